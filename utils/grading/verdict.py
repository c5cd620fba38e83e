"""The trusted side of a check: hidden cases from a secret seed, comparison, points. No student code runs in this process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from utils.checks import fixtures
from utils.checks.compare import Finding, compare
from utils.checks.engine import diagnose
from utils.checks.problems import Problem
from utils.checks.registry import exercises_of
from utils.checks.spec import Case, Exercise, Seen
from utils.grading import hidden, wire
from utils.words import later, say


@dataclass(frozen=True)
class Verdict:
    """What one exercise earned.

    Args:
        exercise: its name.
        points: earned, of
        possible: points.
        right: number of hidden cases that are right, of
        cases: cases.
        state: "passed", "failed", "not started", "missing".
        concept: name of the first wrong case: a concept, no value.
        sentence: what is wrong.
        diagnosis: sentence of the known mistake, or "".
        substitutes: earlier exercises for which the library's version stood in.
        said: what the student's process said of a problem, for the instructor's records only.
        layers: the library's own layers that a right answer uses where the exercise asks for one's own, for the instructor.
        ended: whether its process ended in a way of which only the grader may know the reason.
    """

    exercise: str
    points: float
    possible: int
    right: int
    cases: int
    state: str
    concept: str = ""
    sentence: str = ""
    diagnosis: str = ""
    substitutes: tuple[str, ...] = field(default=())
    said: str = ""
    layers: tuple[str, ...] = field(default=())
    ended: bool = False

    def record(self) -> dict[str, Any]:
        record = asdict(self) | {"substitutes": list(self.substitutes), "layers": list(self.layers)}
        record.pop("ended")
        return record


class Examiner:
    """Holds the hidden cases of one notebook, what the references give on them, and what known mistakes look like.

    Args:
        notebook: "01_transformer_recap".
        seed: the secret seed.
    """

    def __init__(self, notebook: str, seed: int) -> None:
        self.notebook = notebook
        self.exercises = {exercise.name: exercise for exercise in exercises_of(notebook)}
        self.fixtures = {name: hidden.build(exercise, seed) for name, exercise in self.exercises.items()}

    def request(
        self, stand_ins: dict[str, list[str]] | None = None
    ) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
        """The checks that go into a sandbox: cases without what is expected of them.

        Args:
            stand_ins: exercise -> names that the library's version shall stand in for; default every exercise with none.
        """
        tensors: dict[str, Tensor] = {}
        checks = []
        wanted = dict.fromkeys(self.exercises, []) if stand_ins is None else stand_ins
        for name, others in wanted.items():
            cases = [
                fixtures.encode_case(case, f"{name}/{i}", tensors)
                for i, case in enumerate(self.fixtures[name].cases)
            ]
            checks.append({"exercise": name, "cases": cases, "stand_ins": list(others)})
        return checks, tensors

    def judge(self, name: str, payload: bytes) -> Verdict:
        """The verdict on what a sandbox sent as the answer to exercise `name`.

        Raises:
            wire.BadFrame, ValueError, KeyError, TypeError: it is no answer to it; the sandbox cannot be trusted with another.
        """
        message, tensors = wire.unpack(payload)
        if message["exercise"] != name:
            raise ValueError("an answer to another exercise")
        exercise = self.exercises[name]
        return self._verdict(exercise, _outcomes(message, tensors, len(self.fixtures[name].cases)))

    def missing(self, name: str, sentence: str) -> Verdict:
        """The verdict where no answer came."""
        exercise = self.exercises[name]
        return Verdict(
            name, 0.0, exercise.points, 0, len(self.fixtures[name].cases), "missing", sentence=sentence
        )

    def _verdict(self, exercise: Exercise, outcomes: list[Seen | Problem]) -> Verdict:
        fixture = self.fixtures[exercise.name]
        findings: list[Finding | None] = []
        for index, (case, wanted, outcome) in enumerate(
            zip(fixture.cases, fixture.expected, outcomes, strict=True)
        ):
            outcomes[index] = outcome = _bounded(outcome, wanted)
            findings.append(
                Finding(outcome.kind, "")
                if isinstance(outcome, Problem)
                else _compare(exercise, case, wanted, outcome)
            )
        right = _right(fixture, findings)
        base = Verdict(exercise.name, 0.0, exercise.points, right, len(findings), "passed")
        if right == len(findings):
            return replace(base, points=float(exercise.points))
        index, first = next((i, f) for i, f in enumerate(findings) if f is not None)
        outcome = outcomes[index]
        state = first.kind if first.kind in ("not started", "missing") else "failed"
        return replace(
            base,
            points=round(exercise.points * right / len(findings), 2),
            state=state,
            concept=say(fixture.cases[index].name),
            sentence=say(_neutral(outcome, exercise) if isinstance(outcome, Problem) else _plain(first)),
            diagnosis=say(_diagnose(fixture, outcomes, findings)) if state == "failed" else "",
            ended=isinstance(outcome, Problem) and outcome.kind in ENDED,
            said=f"{outcome.sentence} {outcome.trace}".strip() if isinstance(outcome, Problem) else "",
        )


def _right(fixture: fixtures.Fixture, findings: list[Finding | None]) -> int:
    """How many cases are right. One in which an error is due proves nothing of code that can do nothing but raise one: it counts where another
    case is right too. (Exercises that look for themselves say "refused".)"""
    due = [
        case.mode == "refused" or "refused" in seen
        for case, seen in zip(fixture.cases, fixture.expected, strict=True)
    ]
    ordinary = [finding for finding, error in zip(findings, due, strict=True) if not error]
    if ordinary and None not in ordinary:
        return 0
    return findings.count(None)


# What a student reads of a problem. The words that came out of the sandbox are theirs to choose and could carry the
# values of a hidden case, so none of them is shown; they are kept for the instructor.
NEUTRAL = {
    "not started": later("Not started."),
    "missing": later("Your notebook does not define it, or its cell raised an error before that."),
    "time": later("Your code was still running when its time was over. Is there a loop that never ends?"),
    "signature": later("It cannot be called as the exercise says."),
    "parameters": later("Its parameters are not those of the exercise (names or shapes)."),
    "type": later(
        "It returns something else than the exercise asks for (None, a NumPy array, too few values)."
    ),
    "needs": later("It calls an earlier exercise that is not started."),
    "borrowed": later(
        "It takes its result from the course's own files (a stand-in, `reuse` of itself, a file). Write it yourself."
    ),
    "idle": later(
        "Your code had not come to an end long after its time, without computing. Does it wait for something?"
    ),
    "crashed": later(
        "Its process crashed before it answered (as after a wrong memory access or too deep a recursion)."
    ),
    "exit": later("Your code ended its own process before it answered (`exit`, `quit`)."),
    "killed": later(
        "Its process was killed before it answered (by your code, or because memory was used up)."
    ),
    "processes": later("No process could be started for it: your code has too many running."),
    "frame": later("It sent something that is no answer."),
    "size": later("It returns far more values than the exercise asks for."),
}
ENDED = ("killed", "processes")  # what a limit of the whole submission looks like to the process that met it


def _neutral(problem: Problem, exercise: Exercise) -> str:
    """One sentence for errors of all kinds: which of Python's many it is, is theirs to choose too."""
    return NEUTRAL.get(problem.kind) or later(
        "Your code raised an error here. Run check({name}) in your notebook: it shows the message where it happens there too.",
        name=exercise.name,
    )


def _plain(finding: Finding) -> str:
    """A finding's sentence without a number that is theirs to choose: of how many values are NaN."""
    return later("What it returns contains NaN.") if finding.kind == "nan" else finding.sentence


def _bounded(outcome: Seen | Problem, wanted: Seen) -> Seen | Problem:
    """The observation, unless it is so large that looking at it would cost the grader memory."""
    if isinstance(outcome, Problem):
        return outcome
    most = 20 * sum(value.numel() for value in wanted.values()) + 1_000_000
    if len(outcome) > 10 * len(wanted) + 100 or sum(value.numel() for value in outcome.values()) > most:
        return Problem("size", NEUTRAL["size"])
    return outcome


def _compare(exercise: Exercise, case: Case, wanted: Seen, seen: Seen) -> Finding | None:
    """`compare`, which was written for a student's honest tensors, on whatever came over the wire (a dtype it cannot read, say)."""
    try:
        return compare(exercise, case, wanted, seen)
    except Exception as error:
        sentence = later("What it returned could not be compared ({error}).", error=type(error).__name__)
        return Finding("problem", sentence)


def _diagnose(
    fixture: fixtures.Fixture, outcomes: list[Seen | Problem], findings: list[Finding | None]
) -> str:
    try:
        return diagnose(fixture, outcomes, findings)
    except Exception:  # as in `_compare`; without a diagnosis the neutral sentence stands
        return ""


def _outcomes(message: dict[str, Any], tensors: dict[str, Tensor], count: int) -> list[Seen | Problem]:
    """The observations in a frame; anything of another form is an error.

    Raises:
        ValueError, KeyError, TypeError: the frame is not an answer.
    """
    raw = message["outcomes"]
    if not isinstance(raw, list) or len(raw) != count:
        raise ValueError("wrong number of outcomes")
    outcomes: list[Seen | Problem] = []
    for index, entry in enumerate(raw):
        if "seen" in entry:
            outcomes.append({str(key): tensors[f"{index}/{key}"] for key in entry["seen"]})
        else:
            outcomes.append(
                Problem(str(entry["kind"])[:40], str(entry["sentence"])[:1000], str(entry["trace"])[:1000])
            )
    return outcomes
