"""The trusted side of a check: hidden cases from a secret seed, comparison, points. No student code runs in this process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from utils.authoring import expected
from utils.checks import fixtures
from utils.checks.compare import Finding, compare
from utils.checks.engine import diagnose
from utils.checks.observe import Problem
from utils.checks.registry import exercises_of
from utils.checks.spec import Exercise, Seen
from utils.grading import wire


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

    def record(self) -> dict[str, Any]:
        return asdict(self) | {"substitutes": list(self.substitutes)}


class Examiner:
    """Holds the hidden cases of one notebook, what the references give on them, and what known mistakes look like.

    Args:
        notebook: "01_transformer_recap".
        seed: the secret seed.
    """

    def __init__(self, notebook: str, seed: int) -> None:
        self.notebook = notebook
        self.exercises = {exercise.name: exercise for exercise in exercises_of(notebook)}
        self.fixtures = {name: expected.build(exercise, seed) for name, exercise in self.exercises.items()}

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

    def judge(self, payload: bytes) -> Verdict | None:
        """The verdict on one frame that came out of a sandbox; None if it is no answer to any exercise here."""
        try:
            message, tensors = wire.unpack(payload)
            exercise = self.exercises[message["exercise"]]
            outcomes = _outcomes(message, tensors, len(self.fixtures[exercise.name].cases))
        except (wire.BadFrame, KeyError, TypeError, ValueError):
            return None
        return self._verdict(exercise, outcomes)

    def missing(self, name: str, sentence: str) -> Verdict:
        """The verdict where no answer came."""
        exercise = self.exercises[name]
        return Verdict(
            name, 0.0, exercise.points, 0, len(self.fixtures[name].cases), "missing", sentence=sentence
        )

    def _verdict(self, exercise: Exercise, outcomes: list[Seen | Problem]) -> Verdict:
        fixture = self.fixtures[exercise.name]
        findings: list[Finding | None] = []
        for case, wanted, outcome in zip(fixture.cases, fixture.expected, outcomes, strict=True):
            if isinstance(outcome, Problem):
                findings.append(Finding(outcome.kind, outcome.sentence))
            else:
                findings.append(compare(exercise, case, wanted, outcome))
        right = sum(finding is None for finding in findings)
        base = Verdict(exercise.name, 0.0, exercise.points, right, len(findings), "passed")
        if right == len(findings):
            return replace(base, points=float(exercise.points))
        index, first = next((i, f) for i, f in enumerate(findings) if f is not None)
        state = first.kind if first.kind in ("not started", "missing") else "failed"
        return replace(
            base,
            points=round(exercise.points * right / len(findings), 2),
            state=state,
            concept=fixture.cases[index].name,
            sentence=first.sentence,
            diagnosis=diagnose(fixture, outcomes) if state == "failed" else "",
        )


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
