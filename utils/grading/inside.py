"""Runs in the sandbox: a student's cells, and the checks of the answers in forked processes. Sends values home, no verdicts.

Nothing in here is trusted by the grader: a student's code may change any of it in its own process.
"""

from __future__ import annotations
import __future__

import ast
import contextlib
import functools
import linecache
import operator
import os
import select
import signal
import sys
import time
import types
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from utils.checks import fixtures
from utils.checks.chain import stand_in, substituted
from utils.checks.observe import Problem, observe
from utils.checks.registry import find
from utils.checks.spec import Exercise, Seen
from utils.grading import wire
from utils.grading.cells import bound, parse

CALM = ("not started", "missing")  # problems that cannot come from what was asked before
FUTURE: set[int] = set()  # flags of `from __future__ import`; the process runs one submission
GRACE = 2.0  # seconds between a check's own time limit and its end by force


def run(request: dict[str, Any], tensors: dict[str, Tensor], out: int) -> None:
    """Runs the request's parts in order, and asks each answer in a process forked from the state that its check finds in the notebook.

    Forking and ending a process costs more than a check of a small answer. So an answer waits to be asked together with the next one
    where that changes nothing: the cells in between only define names that were free.

    Args:
        request: `parts` (kind, name, source), `checks` (exercise, cases, stand_ins) and `limits`.
        tensors: of the cases.
        out: where frames go.
    """
    # a module of its own name, so that what looks a class's module up (get_type_hints, pickle) finds the notebook
    sys.modules["__main__"] = notebook = types.ModuleType("__main__")
    space: dict[str, Any] = notebook.__dict__
    checks = {check["exercise"]: check for check in request["checks"]}
    limits = request["limits"]
    taken: dict[str, str] = {}
    waiting: list[Asked] = []
    errors: dict[str, str] = {}
    last = {part["name"]: index for index, part in enumerate(request["parts"]) if part["kind"] == "answer"}
    for index, part in enumerate(request["parts"]):
        tree = parse(part["source"])
        names = None if tree is None else bound(tree)
        if names is None or any(taken.get(name, what) != what for name, what in names.items()):
            ask(waiting, tensors, space, limits["check"], out)
        error = define(part["name"], part["source"], space, limits["cell"], tree)
        taken.update(dict.fromkeys(space, "something") if names is None else names)
        name = part["name"]
        errors[name] = errors.get(name) or error
        if last.get(name) == index and name in checks:
            waiting.append(Asked(checks.pop(name), errors[name]))
    ask(waiting, tensors, space, limits["check"], out)
    # no cell answers these
    ask([Asked(check, "") for check in checks.values()], tensors, {}, limits["check"], out)


@dataclass
class Asked:
    """A check that is to be answered, and the first error of the cell that it is about ("": none)."""

    check: dict[str, Any]
    error: str


def ask(
    waiting: list[Asked], tensors: dict[str, Tensor], space: dict[str, Any], limit: float, out: int
) -> None:
    """Has checks answered in forked processes, and empties the list.

    One process answers as many as it can. An error, or its death, is sent only if nothing was asked of that process before; else
    the same check is asked again, first, of a new one. So no answer suffers from what another one did.
    """
    while waiting:
        seconds = [min(find(one.check["exercise"]).seconds, limit) for one in waiting]
        reading, writing = os.pipe()
        try:
            child = os.fork()
        except OSError as refused:
            os.close(reading)
            os.close(writing)
            sentence = f"no process could be started for it ({refused.strerror})"
            send(waiting.pop(0).check, [Problem("died", sentence)], {}, out)
            continue
        if child == 0:
            with contextlib.suppress(BaseException):
                os.close(reading)
                _answer_all(waiting, tensors, space, seconds, out, writing)
                os._exit(0)
            os._exit(1)
        os.close(writing)
        done, over, status = _follow(child, reading, seconds)
        os.close(reading)
        del waiting[:done]
        if over:
            sentence = f"Your code was still running after {seconds[done]:.0f} s and was stopped. Is there a loop that never ends?"
            send(waiting.pop(0).check, [Problem("time", sentence)], {}, out)
        elif waiting and done == 0:
            ended = waiting.pop(0)
            if status != 0:
                send(ended.check, [Problem("died", f"its process ended with status {status}")], {}, out)


def _answer_all(
    waiting: list[Asked],
    tensors: dict[str, Tensor],
    space: dict[str, Any],
    seconds: list[float],
    out: int,
    told: int,
) -> None:
    """In the forked process: answers one check after the other, and tells of each; stops where something goes wrong."""
    gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    for index, (one, limit) in enumerate(zip(waiting, seconds, strict=True)):
        torch.set_grad_enabled(gradients)  # as the cells left them, whatever the answer before has done
        torch.set_default_dtype(dtype)
        outcomes = answer(one.check, tensors, space, one.error, limit)
        kinds = {found.kind for found in outcomes if isinstance(found, Problem)} - set(CALM)
        if kinds - {"time"} and index:
            return
        send(one.check, outcomes, _tensors(outcomes), out)
        os.write(told, b".")
        if kinds:
            return


def _follow(child: int, reading: int, seconds: list[float]) -> tuple[int, bool, int]:
    """Waits for a forked process; each check has its own time.

    Returns:
        how many checks were answered, whether the time of the next was over, and the exit status (negative: the signal that ended it).
    """
    done, over = 0, False
    watched = [reading]
    if hasattr(os, "pidfd_open"):  # a process that the answer left behind may hold the pipe open
        with contextlib.suppress(OSError):
            watched.append(os.pidfd_open(child))
    while done < len(seconds):
        ready = select.select(watched, [], [], seconds[done] + GRACE)[0]
        over = not ready
        if over or reading not in ready:
            break
        if not (told := os.read(reading, len(seconds) - done)):
            break
        done += len(told)
    if over:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
    for descriptor in watched[1:]:
        os.close(descriptor)
    status = wait(child, GRACE)
    return done, over, -signal.SIGKILL if status is None else status


def define(name: str, source: str, space: dict[str, Any], seconds: float, tree: ast.Module | None) -> str:
    """Runs a cell statement by statement, so that an error behind a definition does not undo it.

    Args:
        name: of the cell, for tracebacks.
        source: its text.
        space: the names of the notebook.
        seconds: limit.
        tree: the text, parsed; None if it is no Python.

    Returns:
        the first error in words, or "".
    """
    from utils.checks.limits import TimeLimitExceeded, time_limit

    filename = f"<{name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    first = ""
    if tree is None:
        return "Your cell is not valid Python."
    with contextlib.suppress(TimeLimitExceeded), time_limit(seconds, clock=2 * seconds):
        for statement in tree.body:
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                named = [getattr(__future__, name.name, None) for name in statement.names]
                FUTURE.update(one.compiler_flag for one in named if one is not None)
            try:
                flags = functools.reduce(operator.or_, FUTURE, 0)  # a notebook keeps them from cell to cell
                exec(compile(ast.Module([statement], []), filename, "exec", flags, dont_inherit=True), space)
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                first = first or f"Your cell raised {type(error).__name__}: {error}"[:500]
        return first
    return first or f"Your cell was still running after {seconds:.0f} s and was stopped."


def answer(
    check: dict[str, Any], tensors: dict[str, Tensor], space: dict[str, Any], error: str, seconds: float
) -> list[Seen | Problem]:
    """Observes one exercise on its cases: what was seen, or why nothing was."""
    exercise = find(check["exercise"])
    attempt = space.get(exercise.name)
    if attempt is None:
        return [Problem("missing", error or f"{exercise.name} is not defined.")]
    return _outcomes(exercise, attempt, check, tensors, seconds)


def _tensors(outcomes: list[Seen | Problem]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for index, outcome in enumerate(outcomes):
        if not isinstance(outcome, Problem):
            found.update({f"{index}/{key}": value for key, value in outcome.items()})
    return found


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
    used = time.process_time()
    outcomes: list[Any] = []
    others = {name: stand_in(find(name)) for name in check["stand_ins"]}
    with substituted(attempt, others):
        for raw in check["cases"]:
            case = fixtures.decode_case(raw, exercise, tensors)
            left = seconds - (time.process_time() - used)
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
