"""The grader's end of a sandbox: starts a zygote, sends submissions, collects verdicts, restarts what died."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from torch import Tensor

from utils.checks import by_hand
from utils.checks.chain import rests_on
from utils.checks.registry import all_exercises
from utils.grading import control, launch, lending, wire
from utils.grading.isolation import Level, Limits
from utils.grading.launch import Zygote
from utils.grading.normalise import Submission
from utils.grading.verdict import Examiner, Verdict
from utils.words import later, say

RESTART_AFTER = 500  # submissions per zygote
PATIENCE = 3  # times its processor time that a submission may take on the clock
DIED, NONE = later("its sandbox died"), "no sandbox"
TOO_LONG = later("it took too long in all and was stopped")
_NO_ANSWER = later("it sent something that is no answer ({why})")
Judged = TypeVar("Judged")


class NotAsked(OSError):
    """A zygote could not be asked for a sandbox."""


class NoSandbox(RuntimeError):
    """The host could not isolate a submission just now: that is nobody's zero."""


@dataclass
class Budget:
    """What a submission may still use, in all its sandboxes together.

    Args:
        cpu: processor seconds.
        clock: seconds on the clock. Who sleeps uses no processor and holds a worker all the same.
    """

    cpu: float
    clock: float

    @classmethod
    def of(cls, limits: Limits) -> Budget:
        return cls(limits.cpu, PATIENCE * limits.cpu + limits.seconds)


@dataclass
class Request:
    """What one sandbox is to run and to answer.

    Args:
        submission: its parts are run in order.
        checks, tensors: see `Examiner.request`.
        lent: texts of stand-ins, see `lending`.
    """

    submission: Submission
    checks: list[dict[str, Any]]
    tensors: dict[str, Tensor]
    lent: dict[str, str]

    def bytes(self, nonce: bytes, limits: Limits) -> bytes:
        parts = [{"kind": p.kind, "name": p.name, "source": p.source} for p in self.submission.parts]
        checks = [{"index": index} | check for index, check in enumerate(self.checks)]
        message = {
            "nonce": nonce.hex(),
            "parts": parts,
            "checks": checks,
            "lent": self.lent,
            "limits": asdict(limits),
        }
        return wire.pack(message, self.tensors)


@dataclass
class Run(Generic[Judged]):
    """What came of one sandbox.

    Args:
        judged: what the judge made of each answer.
        ending: "done", or in words why it was stopped.
        broken: number of the check at which the sandbox was stopped.
        sure: whether it was that check's answer for which it was stopped; else something that was asked before may be to blame.
        cpu: processor seconds used.
        clock: seconds that it took on the clock.
    """

    judged: list[Judged]
    ending: str
    broken: int | None = None
    sure: bool = False
    cpu: float = 0.0
    clock: float = 0.0


class Sandbox:
    """One zygote process and the pipe to it.

    Args:
        limits: for each submission.
        level: isolation level that is not exceeded, for tests of the weaker ones.
    """

    def __init__(self, limits: Limits | None = None, level: int = 3) -> None:
        self.limits = limits or Limits()
        self.at_most = level
        self.zygote: Zygote | None = None
        self.served = 0
        self.level = Level(1)

    def start(self) -> Level:
        """Starts the zygote, if it is not there, and says how well it can isolate."""
        if self.zygote is None or not self.zygote.alive():
            self.stop()
            self.zygote = launch.take(self.at_most)
            hello = self.zygote.greet()
            if hello is None:
                raise RuntimeError(
                    "the sandbox process did not start; run `python -m utils.grading.zygote` to see why"
                )
            level = hello["level"]
            self.level = Level(level["number"], tuple(level["missing"]), tuple(level["counted"]))
            self.served = 0
        return self.level

    def run(
        self, request: Request, judge: Callable[[int, bytes], Judged], left: Budget | None = None
    ) -> Run[Judged]:
        """Runs a submission's parts and some of its checks in a fresh sandbox.

        A zygote that dies under it (the host's memory is short, say) is replaced, and the submission run once more.

        Args:
            request: what to run and to ask.
            judge: what becomes of an answer, given its check's number and its bytes; called on each as it comes, while the sandbox goes on.
            left: what is left of the submission's budget; default all.

        Returns:
            what `judge` made of the answers that came out, and how it ended.

        Raises:
            NoSandbox: the host cannot set one up now.
        """
        for _ in range(2):
            found = self._once(request, judge, left or Budget.of(self.limits))
            if found.ending not in (DIED, NONE):
                return found
        if found.ending == NONE:
            raise NoSandbox("no sandbox could be set up; nothing was graded, run the command again")
        return found

    def _once(self, request: Request, judge: Callable[[int, bytes], Judged], left: Budget) -> Run[Judged]:
        if self.served >= RESTART_AFTER:
            self.stop()
        self.start()
        self.served += 1
        assert self.zygote is not None
        try:
            limits = replace(self.limits, cpu=max(left.cpu, 1.0))
            return _converse(self.zygote, limits, request, judge, left.clock)
        except NotAsked:  # nothing of the submission has run: whatever it is, it is the host's
            self.stop()
            return Run([], NONE)
        except OSError:  # the zygote is gone
            self.stop()
            return Run([], DIED)
        except BaseException:  # whatever it was: what may still be on its way belongs to nobody
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the zygote."""
        if self.zygote is not None:
            self.zygote.end()
            self.zygote = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def _converse(
    zygote: Zygote,
    limits: Limits,
    request: Request,
    judge: Callable[[int, bytes], Judged],
    clock: float,
) -> Run[Judged]:
    """Has one sandbox set up, gives it the request, takes its answers for as long as `clock` says, and has it killed.

    Raises:
        NotAsked: the zygote took no request.
        OSError: the zygote is gone.
    """
    nonce = secrets.token_bytes(wire.NONCE)
    asked, asking = os.pipe()
    answers, answering = os.pipe()
    life, living = os.pipe()
    mine = {asking, answers, living}
    try:
        try:
            control.send(zygote.control, {"limits": asdict(limits)}, (asked, answering, life))
        except OSError as error:
            raise NotAsked(*error.args) from error
        finally:
            for descriptor in (asked, answering, life):
                os.close(descriptor)
        os.set_blocking(asking, False)
        taken = _Answers(nonce, len(request.checks), judge)
        began = time.monotonic()
        run = _take(
            zygote.control,
            mine,
            (asking, answers),
            request.bytes(nonce, limits),
            taken,
            limits.seconds,
            min(clock, PATIENCE * limits.cpu + limits.seconds),
        )
        run.clock = time.monotonic() - began - taken.judging
        for descriptor in (
            living,
            answers,
            asking,
        ):  # the zygote kills the sandbox when the first of these is closed
            if descriptor in mine:
                mine.discard(descriptor)
                os.close(descriptor)
        said = control.receive(zygote.control)
        if said is None:
            raise ConnectionError("the zygote is gone")
        run.cpu = said[0]["cpu"]
        if run.ending == "done":
            run.ending = later(said[0]["end"], **said[0]["names"])
        if run.ending != "done" and run.broken is None:
            run.broken = min(taken.reader.awaited, default=None)
        return run
    finally:
        for descriptor in mine:
            os.close(descriptor)


class _Answers(Generic[Judged]):
    """Judges the answers of one request as they come.

    Args:
        nonce: of the request.
        checks: how many are awaited.
        judge: see `Sandbox.run`.
    """

    def __init__(self, nonce: bytes, checks: int, judge: Callable[[int, bytes], Judged]) -> None:
        self.reader = wire.FrameReader(nonce, checks)
        self.judge, self.judged = judge, list[Judged]()
        self.judging = 0.0  # seconds on the clock in `judge`, which are none of the submission's
        self.broken: int | None = None
        self.sure = False
        self.why = ""

    def take(self, data: bytes) -> bool:
        """Whether the sandbox can be trusted to go on; if not, `broken` is the check whose answer it was, and `why` tells."""
        try:
            for frame in self.reader.feed(data):
                began = time.monotonic()
                try:
                    self.judged.append(self.judge(frame.index, frame.payload))
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:  # of whatever library the content has met
                    self.broken, self.sure = frame.index, True
                    self.why = later(_NO_ANSWER, why=type(error).__name__)
                    return False
                finally:
                    self.judging += time.monotonic() - began
        except wire.BadFrame as error:
            self.broken = min(self.reader.awaited, default=0)
            self.why = later(_NO_ANSWER, why=str(error))
            return False
        return True


def _take(
    end: socket.socket,
    mine: set[int],
    pipes: tuple[int, int],
    request: bytes,
    answers: _Answers[Judged],
    silence: float,
    most: float,
) -> Run[Judged]:
    """Writes the request and reads the answers, until all are there, the sandbox ends, or its time is over: `silence` without a byte, `most` in
    all. No time that was measured is told: it is the sandbox's to choose, and could carry the values of a hidden case."""
    asking, reading = pipes
    left = memoryview(request)
    began = heard = time.monotonic()
    while answers.reader.awaited:
        now = time.monotonic()
        if now - heard > silence:
            silent = later(
                "it gave no sign of life for {seconds} s and was stopped", seconds=f"{silence:.0f}"
            )
            return Run(answers.judged, silent)
        if now - began - answers.judging > most:
            return Run(answers.judged, TOO_LONG)
        readable, writable, _ = select.select([reading, end.fileno()], [asking] if left else [], [], 0.5)
        if writable:
            try:
                left = left[os.write(asking, left) :]
            except BrokenPipeError:
                left = left[:0]
            if not left:
                mine.discard(asking)
                os.close(asking)
        if reading in readable:
            data = os.read(reading, 2**20)
            if not data:
                break
            if not answers.take(data):
                return Run(answers.judged, answers.why, answers.broken, answers.sure)
            heard = time.monotonic()
        elif end.fileno() in readable:  # it has ended, and all that it sent has been read
            break
    return Run(answers.judged, "done")


RERUNS = 4  # fresh sandboxes for what is left of a submission of which an answer has broken one


def grade(sandbox: Sandbox, examiner: Examiner, submission: Submission) -> list[Verdict]:
    """Verdicts on all exercises of a submission, in the notebook's order.

    An answer that builds on an earlier one which did not pass is asked once more with the library's version of that one.
    """
    left = Budget.of(sandbox.limits)
    verdicts = _asked(sandbox, examiner, submission, dict.fromkeys(examiner.exercises, ()), left)
    failed = {name for name, verdict in verdicts.items() if verdict.state != "passed"}
    below = {name: tuple(sorted(failed & set(rests_on(examiner.exercises[name])))) for name in failed}
    again = {name: used for name, used in below.items() if used and verdicts[name].state != "not started"}
    verdicts |= _asked(sandbox, examiner, submission, again, left)
    return [_marked(verdicts[name], submission) for name in examiner.exercises]


def _marked(verdict: Verdict, submission: Submission) -> Verdict:
    """The verdict, with the library's own layers that a right answer uses: a mark for the instructor, which costs nothing by itself."""
    if not verdict.points:
        return verdict
    texts = [part.source for part in submission.parts if part.kind != "release"]
    return replace(verdict, layers=tuple(by_hand.used(all_exercises()[verdict.exercise], *texts)))


def grade_some(
    sandbox: Sandbox, examiner: Examiner, submission: Submission, names: list[str]
) -> dict[str, Verdict]:
    """Verdicts on some exercises only, in one round (no library versions stand in)."""
    return _asked(sandbox, examiner, submission, dict.fromkeys(names, ()), Budget.of(sandbox.limits))


def _asked(
    sandbox: Sandbox,
    examiner: Examiner,
    submission: Submission,
    wanted: Mapping[str, tuple[str, ...]],
    left: Budget,
) -> dict[str, Verdict]:
    """Asks exercises, each with stand-ins for some others, in as many sandboxes as that takes."""
    if not wanted:
        return {}
    course = all_exercises()
    reused = lending.reused((part.source for part in submission.parts), course, examiner.notebook)
    verdicts: dict[str, Verdict] = {}
    for group in lending.groups(
        {name: wanted[name] for name in examiner.exercises if name in wanted}, course, reused
    ):
        verdicts |= _round(sandbox, examiner, submission, group, wanted, left)
    return verdicts


def _round(
    sandbox: Sandbox,
    examiner: Examiner,
    submission: Submission,
    group: lending.Group,
    substitutes: Mapping[str, tuple[str, ...]],
    left: Budget,
) -> dict[str, Verdict]:
    """One group of checks. An answer at which the sandbox had to be stopped is asked once more, first, of a fresh one; if that is stopped too, it
    was to blame, and what comes behind it is asked without it."""
    names, verdicts = list(group.names), dict[str, Verdict]()
    ending: str = TOO_LONG
    for attempt in range(1 + RERUNS):
        if left.clock <= 0:
            break
        checks, tensors = examiner.request({name: list(substitutes[name]) for name in names})
        request = Request(submission, checks, tensors, lending.texts(group.lent))
        judge = partial(_judged, examiner, tuple(names))
        run = sandbox.run(request, judge, left)
        left.cpu -= run.cpu
        left.clock -= run.clock
        ending = run.ending
        for found in run.judged:
            ended = (
                found.ended and run.ending != "done"
            )  # it was stopped with the others of its submission, and could not say why
            sentence = _unanswered(run.ending) if ended else found.sentence
            verdicts[found.exercise] = replace(
                found, sentence=sentence, substitutes=substitutes[found.exercise]
            )
        if run.broken is not None and (run.sure or run.broken == 0):
            name = names[run.broken]
            verdicts[name] = examiner.missing(name, _unanswered(run.ending))
        names = [name for name in names if name not in verdicts]
        if run.broken is None or not names or attempt == RERUNS or left.cpu <= 0:
            break
    why = later("its process ended before") if ending == "done" else ending
    return verdicts | {name: examiner.missing(name, _unanswered(why)) for name in names}


def _unanswered(why: str) -> str:
    return say("No answer came back: {why}.", why=why)


def _judged(examiner: Examiner, names: tuple[str, ...], index: int, payload: bytes) -> Verdict:
    return examiner.judge(names[index], payload)
