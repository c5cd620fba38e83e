"""Runs in the sandbox: a student's cells, each answer followed by its check in a forked process. Sends values home, no verdicts.

Nothing in here is trusted by the grader: a student's code may change any of it in its own process.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import select
import signal
import sys
import time
from typing import Any

from torch import Tensor

from utils.checks import fixtures
from utils.checks.engine import stand_in, substituted
from utils.checks.observe import Problem, observe
from utils.checks.registry import find
from utils.checks.spec import Exercise
from utils.grading import wire
from utils.grading.cells import parse

GRACE = 2.0  # seconds between a check's own time limit and its end by force


def run(request: dict[str, Any], tensors: dict[str, Tensor], out: int) -> None:
    """Runs the request's parts in order. An answer's check follows it at once, as in the notebook, in a process of its own.

    Args:
        request: `parts` (kind, name, source), `checks` (exercise, cases, stand_ins) and `limits`.
        tensors: of the cases.
        out: where frames go.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    waiting = {check["exercise"]: check for check in request["checks"]}
    limits = request["limits"]
    for part in request["parts"]:
        error = define(part["name"], part["source"], space, limits["cell"])
        if part["kind"] == "answer" and part["name"] in waiting:
            examine(waiting.pop(part["name"]), tensors, space, error, limits["check"], out)
    for check in waiting.values():  # no cell answers these
        examine(check, tensors, {}, "", limits["check"], out)


def examine(
    check: dict[str, Any],
    tensors: dict[str, Tensor],
    space: dict[str, Any],
    error: str,
    limit: float,
    out: int,
) -> None:
    """Answers one check in a forked process, or says in its place why there is no answer."""
    seconds = min(find(check["exercise"]).seconds, limit)
    try:
        child = os.fork()
    except OSError as refused:
        return send(
            check, [Problem("died", f"no process could be started for it ({refused.strerror})")], {}, out
        )
    if child == 0:
        with contextlib.suppress(BaseException):
            answer(check, tensors, space, error, seconds, out)
            os._exit(0)
        os._exit(1)
    status = wait(child, seconds + GRACE)
    if status is None:
        sentence = f"Your code was still running after {seconds:.0f} s and was stopped. Is there a loop that never ends?"
        send(check, [Problem("time", sentence)], {}, out)
    elif status != 0:
        send(check, [Problem("died", f"its process ended with status {status}")], {}, out)
    return None


def define(name: str, source: str, space: dict[str, Any], seconds: float) -> str:
    """Runs a cell statement by statement, so that an error behind a definition does not undo it.

    Returns:
        the first error in words, or "".
    """
    import ast

    from utils.checks.limits import TimeLimitExceeded, time_limit

    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    first = ""
    tree = parse(source)
    if tree is None:
        return "Your cell is not valid Python."
    with contextlib.suppress(TimeLimitExceeded), time_limit(seconds):
        for statement in tree.body:
            try:
                exec(compile(ast.Module([statement], []), filename, "exec"), space)
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                first = first or f"Your cell raised {type(error).__name__}: {error}"[:500]
        return first
    return first or f"Your cell was still running after {seconds:.0f} s and was stopped."


def answer(
    check: dict[str, Any],
    tensors: dict[str, Tensor],
    space: dict[str, Any],
    error: str,
    seconds: float,
    out: int,
) -> None:
    """Observes one exercise on its cases and sends what was seen."""
    exercise = find(check["exercise"])
    attempt = space.get(exercise.name)
    if attempt is None:
        outcomes: list[Any] = [Problem("missing", error or f"{exercise.name} is not defined.")]
    else:
        outcomes = _outcomes(exercise, attempt, check, tensors, seconds)
    found: dict[str, Tensor] = {}
    for index, outcome in enumerate(outcomes):
        if not isinstance(outcome, Problem):
            found.update({f"{index}/{key}": value for key, value in outcome.items()})
    send(check, outcomes, found, out)


def send(check: dict[str, Any], outcomes: list[Any], tensors: dict[str, Tensor], out: int) -> None:
    """One frame for one check; the last outcome stands for all cases behind it."""
    outcomes = outcomes + outcomes[-1:] * (len(check["cases"]) - len(outcomes))
    entries = [
        {"kind": one.kind, "sentence": one.sentence[:1000], "trace": one.trace[:1000]}
        if isinstance(one, Problem)
        else {"seen": list(one)}
        for one in outcomes
    ]
    wire.write_frame(out, wire.pack({"exercise": check["exercise"], "outcomes": entries}, tensors))


def _outcomes(
    exercise: Exercise, attempt: Any, check: dict[str, Any], tensors: dict[str, Tensor], seconds: float
) -> list[Any]:
    began = time.perf_counter()
    outcomes: list[Any] = []
    others = {name: stand_in(find(name)) for name in check["stand_ins"]}
    with substituted(attempt, others):
        for raw in check["cases"]:
            case = fixtures.decode_case(raw, exercise, tensors)
            left = seconds - (time.perf_counter() - began)
            outcomes.append(observe(attempt, case, seconds=max(left, 0.05)))
            if isinstance(outcomes[-1], Problem) and outcomes[-1].kind in ("time", "not started"):
                break
    return outcomes


def wait(child: int, seconds: float) -> int | None:
    """Waits for a child, and kills it when its time is over.

    Returns:
        its exit status (negative: the signal that ended it), or None if its time was over.
    """
    over = False
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(child)
            over = not select.select([descriptor], [], [], seconds)[0]
            os.close(descriptor)
    else:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        over = True
    if over:
        os.kill(child, signal.SIGKILL)
    status = 0
    with contextlib.suppress(ChildProcessError):
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return None if over else status


def silence(*streams: int) -> None:
    """What student code prints goes nowhere; nobody reads 200 MB of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in streams or (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
