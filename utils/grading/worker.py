"""The grader's end of a sandbox: starts a zygote, sends submissions, collects verdicts, restarts what died."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, TypeVar

from torch import Tensor

from utils.checks.chain import rests_on
from utils.grading import launch, wire
from utils.grading.isolation import Level, Limits
from utils.grading.launch import Zygote
from utils.grading.normalise import Submission
from utils.grading.verdict import Examiner, Verdict

RESTART_AFTER = 500  # submissions per zygote
DIED = "its sandbox died"
Judged = TypeVar("Judged")


class NoSandbox(RuntimeError):
    """The host could not isolate a submission just now: that is nobody's zero."""


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
        self,
        submission: Submission,
        checks: list[dict[str, Any]],
        tensors: dict[str, Tensor],
        judge: Callable[[bytes], Judged],
    ) -> tuple[list[Judged], str]:
        """Runs a submission's parts and checks in a fresh sandbox.

        A zygote that dies under it (the host's memory is short, say) is replaced, and the submission run once more.

        Args:
            submission: what to run.
            checks: of its exercises, see `Examiner.request`.
            tensors: of their cases.
            judge: what becomes of a frame; called on each as it comes, while the sandbox goes on.

        Returns:
            what `judge` made of the frames that came out, and how it ended: "done" or why it was stopped.

        Raises:
            NoSandbox: the host cannot set one up now.
        """
        for _ in range(2):
            frames, ending = self._once(submission, checks, tensors, judge)
            if ending not in (DIED, "no sandbox"):
                return frames, ending
        if ending == "no sandbox":
            raise NoSandbox("no sandbox could be set up; nothing was graded, run the command again")
        return frames, ending

    def _once(
        self,
        submission: Submission,
        checks: list[dict[str, Any]],
        tensors: dict[str, Tensor],
        judge: Callable[[bytes], Judged],
    ) -> tuple[list[Judged], str]:
        if self.served >= RESTART_AFTER:
            self.stop()
        self.start()
        self.served += 1
        parts = [{"kind": part.kind, "name": part.name, "source": part.source} for part in submission.parts]
        payload = wire.pack({"parts": parts, "checks": checks, "limits": asdict(self.limits)}, tensors)
        frames: list[Judged] = []
        assert self.zygote is not None
        try:
            wire.write_frame(self.zygote.requests, payload)
            while (frame := wire.read_frame(self.zygote.answers)) is not None:
                kind, payload = frame
                if kind == wire.MAGIC:
                    return frames, str(wire.unpack(payload)[0]["end"])
                frames.append(judge(payload))
        except (BrokenPipeError, wire.BadFrame):
            pass
        self.stop()
        return frames, DIED

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


def grade(sandbox: Sandbox, examiner: Examiner, submission: Submission) -> list[Verdict]:
    """Verdicts on all exercises of a submission, in the notebook's order.

    An answer that builds on an earlier one which did not pass is asked once more with the library's version of that one.
    """
    checks, tensors = examiner.request()
    verdicts = _round(sandbox, examiner, submission, checks, tensors, {})
    failed = {name for name, verdict in verdicts.items() if verdict.state != "passed"}
    below = {name: sorted(failed & set(rests_on(examiner.exercises[name]))) for name in failed}
    again = {name: used for name, used in below.items() if used and verdicts[name].state != "not started"}
    if again:
        checks, tensors = examiner.request(again)
        verdicts |= _round(sandbox, examiner, submission, checks, tensors, again)
    return [verdicts[name] for name in examiner.exercises]


def grade_some(
    sandbox: Sandbox, examiner: Examiner, submission: Submission, names: list[str]
) -> dict[str, Verdict]:
    """Verdicts on some exercises only, in one round (no library versions stand in)."""
    checks, tensors = examiner.request({name: [] for name in names})
    return _round(sandbox, examiner, submission, checks, tensors, {})


def _round(
    sandbox: Sandbox,
    examiner: Examiner,
    submission: Submission,
    checks: list[dict[str, Any]],
    tensors: dict[str, Tensor],
    substitutes: dict[str, list[str]],
) -> dict[str, Verdict]:
    answers, ending = sandbox.run(submission, checks, tensors, examiner.judge)
    verdicts: dict[str, Verdict] = {}
    for found in answers:
        if found is not None and found.exercise not in verdicts:  # the first answer counts
            others = tuple(substitutes.get(found.exercise, ()))
            verdicts[found.exercise] = replace(found, substitutes=others)
    for check in checks:
        name = check["exercise"]
        if name not in verdicts:
            why = "its process ended before" if ending == "done" else ending
            verdicts[name] = examiner.missing(name, f"No answer came back: {why}.")
    return verdicts
