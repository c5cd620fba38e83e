"""The grader's end of a sandbox: starts a zygote, sends submissions, collects verdicts, restarts what died."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

from torch import Tensor

from utils.grading import wire
from utils.grading.isolation import ROOT, Level, Limits
from utils.grading.normalise import Submission
from utils.grading.verdict import Examiner, Verdict

RESTART_AFTER = 500  # submissions per zygote


class Sandbox:
    """One zygote process and the pipe to it.

    Args:
        limits: for each submission.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.process: subprocess.Popen[bytes] | None = None
        self.served = 0
        self.level = Level(1)

    def start(self) -> Level:
        """Starts the zygote, if it is not there, and says how well it can isolate."""
        if self.process is None or self.process.poll() is not None:
            keep = {
                key: os.environ[key]
                for key in ("PATH", "LANG", "LC_ALL", "OPENBLAS_CORETYPE")
                if key in os.environ
            }
            env = keep | {
                "OMP_NUM_THREADS": "1",
                "MKL_NUM_THREADS": "1",
                "PYTHONDONTWRITEBYTECODE": "1",
                "MPLBACKEND": "Agg",
            }
            command = [sys.executable, "-m", "utils.grading.zygote"]
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            hello = self._read()
            if hello is None:
                raise RuntimeError(
                    "the sandbox process did not start; run `python -m utils.grading.zygote` to see why"
                )
            message, _ = wire.unpack(hello[1])
            self.level = Level(message["level"], tuple(message["missing"]))
            self.served = 0
        return self.level

    def run(
        self, submission: Submission, checks: list[dict[str, Any]], tensors: dict[str, Tensor]
    ) -> tuple[list[bytes], str]:
        """Runs a submission's parts and checks in a fresh sandbox.

        Returns:
            the frames that came out, and how it ended: "done" or why it was stopped.
        """
        if self.served >= RESTART_AFTER:
            self.stop()
        self.start()
        self.served += 1
        parts = [{"kind": part.kind, "name": part.name, "source": part.source} for part in submission.parts]
        limits = {name: getattr(self.limits, name) for name in self.limits.__dataclass_fields__}
        payload = wire.pack({"parts": parts, "checks": checks, "limits": limits}, tensors)
        frames: list[bytes] = []
        assert self.process is not None and self.process.stdin is not None
        try:
            wire.write_frame(self.process.stdin.fileno(), payload)
            while (frame := self._read()) is not None:
                kind, payload = frame
                if kind == wire.MAGIC:
                    return frames, str(wire.unpack(payload)[0]["end"])
                frames.append(payload)
        except (BrokenPipeError, wire.BadFrame):
            pass
        self.stop()
        return frames, "its sandbox died"

    def stop(self) -> None:
        """Ends the zygote."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()
            self.process = None

    def _read(self) -> tuple[bytes, bytes] | None:
        assert self.process is not None and self.process.stdout is not None
        return wire.read_frame(self.process.stdout.fileno())

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
    again = {
        name: sorted(failed & set(examiner.exercises[name].uses))
        for name in failed
        if failed & set(examiner.exercises[name].uses) and verdicts[name].state != "not started"
    }
    if again:
        checks, tensors = examiner.request(again)
        verdicts |= _round(sandbox, examiner, submission, checks, tensors, again)
    return [verdicts[name] for name in examiner.exercises]


def _round(
    sandbox: Sandbox,
    examiner: Examiner,
    submission: Submission,
    checks: list[dict[str, Any]],
    tensors: dict[str, Tensor],
    substitutes: dict[str, list[str]],
) -> dict[str, Verdict]:
    frames, ending = sandbox.run(submission, checks, tensors)
    verdicts: dict[str, Verdict] = {}
    for frame in frames:
        found = examiner.judge(frame)
        if found is not None and found.exercise not in verdicts:  # the first answer counts
            others = tuple(substitutes.get(found.exercise, ()))
            verdicts[found.exercise] = replace(found, substitutes=others)
    for check in checks:
        name = check["exercise"]
        if name not in verdicts:
            sentence = (
                f"No answer came back: {ending}."
                if ending != "done"
                else "Its check ended without an answer."
            )
            verdicts[name] = examiner.missing(name, sentence)
    return verdicts
