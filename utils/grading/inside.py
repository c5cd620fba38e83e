"""Runs in the sandbox: a student's cells, then one forked process per check. Sends values home, no verdicts.

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
from utils.grading.normalise import without_magics

CELL_SECONDS = 10.0


def run(request: dict[str, Any], tensors: dict[str, Tensor], out: int) -> None:
    """Defines what the request's parts define, then answers its checks, each in a process of its own.

    Args:
        request: `parts` (name, source) and `checks` (exercise, cases, stand_ins).
        tensors: of the cases.
        out: where frames go.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    errors = {}
    for part in request["parts"]:
        error = define(part["name"], part["source"], space)
        if error and part["kind"] == "answer":
            errors[part["name"]] = error
    for check in request["checks"]:
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                answer(check, tensors, space, errors, out)
            os._exit(0)
        wait(child, find(check["exercise"]).seconds + 5.0)


def define(name: str, source: str, space: dict[str, Any]) -> str:
    """Runs a cell statement by statement, so that an error behind a definition does not undo it.

    Returns:
        the first error in words, or "".
    """
    import ast

    from utils.checks.limits import TimeLimitExceeded, time_limit

    filename = f"<{name}>"
    source = without_magics(source)
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    first = ""
    try:
        tree = ast.parse(source, filename)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"Your cell is not valid Python: {error}."
    with contextlib.suppress(TimeLimitExceeded), time_limit(CELL_SECONDS):
        for statement in tree.body:
            try:
                exec(compile(ast.Module([statement], []), filename, "exec"), space)
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                first = first or f"Your cell raised {type(error).__name__}: {error}"[:500]
        return first
    return first or f"Your cell was still running after {CELL_SECONDS:.0f} s and was stopped."


def answer(
    check: dict[str, Any], tensors: dict[str, Tensor], space: dict[str, Any], errors: dict[str, str], out: int
) -> None:
    """Observes one exercise on its cases and sends what was seen."""
    exercise = find(check["exercise"])
    attempt = space.get(exercise.name)
    if attempt is None:
        problem = Problem("missing", errors.get(exercise.name) or f"{exercise.name} is not defined.")
        outcomes: list[Any] = [problem] * len(check["cases"])
    else:
        outcomes = _outcomes(exercise, attempt, check, tensors)
    message: dict[str, Any] = {"exercise": exercise.name, "outcomes": []}
    found: dict[str, Tensor] = {}
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, Problem):
            message["outcomes"].append(
                {"kind": outcome.kind, "sentence": outcome.sentence[:1000], "trace": outcome.trace[:1000]}
            )
        else:
            message["outcomes"].append({"seen": list(outcome)})
            found.update({f"{index}/{key}": value for key, value in outcome.items()})
    wire.write_frame(out, wire.pack(message, found))


def _outcomes(
    exercise: Exercise, attempt: Any, check: dict[str, Any], tensors: dict[str, Tensor]
) -> list[Any]:
    began = time.perf_counter()
    outcomes: list[Any] = []
    others = {name: stand_in(find(name)) for name in check["stand_ins"]}
    with substituted(attempt, others):
        for raw in check["cases"]:
            case = fixtures.decode_case(raw, exercise, tensors)
            left = exercise.seconds - (time.perf_counter() - began)
            outcomes.append(observe(attempt, case, seconds=max(left, 0.05)))
            if isinstance(outcomes[-1], Problem) and outcomes[-1].kind in ("time", "not started"):
                break
    return outcomes + outcomes[-1:] * (len(check["cases"]) - len(outcomes))


def wait(child: int, seconds: float) -> None:
    """Waits for a child, and kills it when its time is over."""
    descriptor = os.pidfd_open(child) if hasattr(os, "pidfd_open") else -1
    if descriptor >= 0:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        os.close(descriptor)
        if not ready:
            os.kill(child, signal.SIGKILL)
    else:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def silence() -> None:
    """What student code prints goes nowhere; nobody reads 200 MB of it."""
    sys.stdout.flush()
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)
