"""Runs in the sandbox: a student's cells, and the checks of the answers in forked processes. Sends values home, no verdicts.

Nothing in here is trusted by the grader: a student's code may change any of it in its own process. What it does keep apart are the answers of one
submission: each process that answers has a pipe of its own, so what one answer sends, breaks or leaves behind costs that answer alone.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import functools
import inspect
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
from utils.checks.attempts import functions
from utils.checks.chain import stand_in, substituted
from utils.checks.observe import observe
from utils.checks.problems import Problem
from utils.checks.registry import find
from utils.checks.spec import Exercise, Seen
from utils.grading import lending, wire
from utils.grading.cells import bound, parse

CALM = ("not started", "missing", "borrowed")  # problems that cannot come from what was asked before
FUTURE: set[int] = set()  # flags of `from __future__ import`; the process runs one submission
GRACE = 2.0  # seconds between a check's own time limit and its end by force
PATIENCE = 10  # times a limit of processor time that may pass on the clock, on a busy machine
IDLE = 15.0, 0.02  # seconds after which code that has used so small a share of them only waits, and ends too
CRASHES = {
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGILL,
    signal.SIGFPE,
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
}
COURSE_FILES = (lending.PACKAGE, "stand_ins", "solutions", "data/expected")


@dataclass
class Asked:
    """A check that is to be answered, and the first error of the cell that it is about ("": none)."""

    check: dict[str, Any]
    error: str


class Home:
    """Where answers go, and how this sandbox keeps them apart.

    Args:
        nonce: of the request.
        out: descriptor that the grader reads.
    """

    def __init__(self, nonce: bytes, out: int) -> None:
        self.nonce, self.out = nonce, out
        # only as the first process of a namespace of its own may it kill all others
        self.pid = os.getpid()
        self.first = self.pid == 1

    def send(self, check: dict[str, Any], outcomes: list[Any], to: int | None = None) -> None:
        """One frame for one check; the last outcome stands for all cases behind it."""
        payload = _packed(check, outcomes)
        if len(payload) > wire.MAX_ANSWER:
            payload = _packed(check, [Problem("size", "more values than an answer may have")])
        wire.write_frame(self.out if to is None else to, self.nonce, check["index"], payload)

    def clear(self) -> None:
        """Ends whatever an answer has left behind: it would take from the next one's time, memory and number of processes."""
        if self.first:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-1, 0)


def run(request: dict[str, Any], tensors: dict[str, Tensor], out: int) -> None:
    """Runs the request's parts in order, and asks each answer in a process forked from the state that its check finds in the notebook.

    Forking and ending a process costs more than a check of a small answer. So an answer waits to be asked together with the next one
    where that changes nothing: the cells in between only define names that were free.

    Args:
        request: `nonce`, `parts` (kind, name, source), `checks` (index, exercise, cases, stand_ins), `lent` and `limits`.
        tensors: of the cases.
        out: where frames go.
    """
    lending.lend(request["lent"])
    lending.take_away(check["exercise"] for check in request["checks"])
    # a module of its own name, so that what looks a class's module up (get_type_hints, pickle) finds the notebook
    sys.modules["__main__"] = notebook = types.ModuleType("__main__")
    space: dict[str, Any] = notebook.__dict__
    checks = {check["exercise"]: check for check in request["checks"]}
    limits = request["limits"]
    home = Home(bytes.fromhex(request["nonce"]), out)
    # what an answer that waits looks up there must not be shadowed by a later cell's `max = 5`
    taken = dict.fromkeys(dir(builtins), "Python's own")
    waiting: list[Asked] = []
    errors: dict[str, str] = {}
    last = {part["name"]: index for index, part in enumerate(request["parts"]) if part["kind"] == "answer"}
    for index, part in enumerate(request["parts"]):
        tree = parse(part["source"])
        names = None if tree is None else bound(tree)
        if names is None or any(taken.get(name, what) != what for name, what in names.items()):
            ask(waiting, tensors, space, limits["check"], home)
        error = define(part["name"], part["source"], space, limits["cell"], tree)
        if os.getpid() != home.pid:  # a child that the cell has forked and that came back from it
            os._exit(0)
        taken.update(dict.fromkeys(space, "something") if names is None else names)
        name = part["name"]
        errors[name] = errors.get(name) or error
        if last.get(name) == index and name in checks:
            waiting.append(Asked(checks.pop(name), errors[name]))
    ask(waiting, tensors, space, limits["check"], home)
    # no cell answers these
    ask([Asked(check, "") for check in checks.values()], tensors, {}, limits["check"], home)


def ask(
    waiting: list[Asked], tensors: dict[str, Tensor], space: dict[str, Any], limit: float, home: Home
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
            home.send(waiting.pop(0).check, [Problem("processes", str(refused.strerror))])
            home.clear()
            continue
        if child == 0:
            with contextlib.suppress(BaseException):
                os.close(reading)
                os.close(home.out)
                _answer_all(waiting, tensors, space, seconds, home, writing)
                os._exit(0)
            os._exit(1)
        os.close(writing)
        answers = wire.FrameReader(home.nonce, 0)
        answers.awaited = {one.check["index"] for one in waiting}
        done, why = _follow(child, reading, waiting, seconds, answers, home)
        os.close(reading)
        home.clear()
        del waiting[:done]
        if waiting and done == 0:
            home.send(waiting.pop(0).check, [why])


def _answer_all(
    waiting: list[Asked],
    tensors: dict[str, Tensor],
    space: dict[str, Any],
    seconds: list[float],
    home: Home,
    to: int,
) -> None:
    """In the forked process: answers one check after the other, and tells of each; stops where something goes wrong."""
    gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    own = os.getpid()
    for index, (one, limit) in enumerate(zip(waiting, seconds, strict=True)):
        torch.set_grad_enabled(gradients)  # as the cells left them, whatever the answer before has done
        torch.set_default_dtype(dtype)
        outcomes = answer(one.check, tensors, space, one.error, limit)
        if os.getpid() != own:  # a child that the answer has forked and that came back from it
            os._exit(0)
        kinds = {found.kind for found in outcomes if isinstance(found, Problem)} - set(CALM)
        if kinds and index:
            return
        home.send(one.check, outcomes, to)
        if kinds:
            return


def _follow(
    child: int,
    reading: int,
    waiting: list[Asked],
    seconds: list[float],
    answers: wire.FrameReader,
    home: Home,
) -> tuple[int, Problem]:
    """Passes a forked process's answers on, in turn, until it ends; each check has its own time.

    Returns:
        how many checks were answered, and why the next was not.
    """
    done, why = 0, None
    began, used = time.monotonic(), 0.0
    watched = [reading]
    if hasattr(os, "pidfd_open"):  # a process that the answer left behind may hold the pipe open
        with contextlib.suppress(OSError):
            watched.append(os.pidfd_open(child))
    while done < len(seconds) and why is None:
        limit = seconds[done]
        ready = select.select(watched, [], [], 0.25)[0]
        if reading in ready and (data := os.read(reading, 2**20)):
            try:
                for found in answers.feed(data):
                    if found.index != waiting[done].check["index"]:
                        raise wire.BadFrame("a frame out of turn")
                    wire.write_frame(home.out, home.nonce, found.index, found.payload)
                    done += 1
                    began, used = time.monotonic(), processor_seconds(child)
            except wire.BadFrame as error:
                why = Problem("frame", str(error))
        elif ready:  # it has ended, and all that it sent has been read
            break
        else:
            why = _over(processor_seconds(child) - used, time.monotonic() - began, limit)
    for descriptor in watched[1:]:
        os.close(descriptor)
    if why is not None or done == len(seconds):
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
    status = wait(child, GRACE)
    return done, why or _end(status)


def _over(used: float, passed: float, limit: float) -> Problem | None:
    """Whether the time of a check or a cell is over. A busy machine makes no answer slow, so computing and waiting are told apart.

    Args:
        used: processor seconds.
        passed: seconds on the clock.
        limit: of processor time.
    """
    if used > limit + GRACE or passed > PATIENCE * limit + GRACE:
        return Problem(
            "time", f"Your code computed for {used:.0f} s and was stopped. Is there a loop that never ends?"
        )
    if passed > min(limit, IDLE[0]) + GRACE and used < IDLE[1] * passed:
        return Problem("idle", f"it had not come to an end after {passed:.0f} s, and had hardly computed")
    return None


def processor_seconds(process: int) -> float:
    """Processor time that a process has used so far; what it had used in the end is lost once it is reaped.

    A clock's number is made of the process's (man 3 clock_getcpuclockid).
    """
    with contextlib.suppress(OSError, AttributeError):
        return time.clock_gettime((~process << 3) | 2)
    return 0.0


def _end(status: int | None) -> Problem:
    """Why a process ended before it answered, as far as its exit status tells."""
    if status == 0:
        return Problem("exit", "its process ended with status 0")
    if status is None:
        return Problem("idle", "it did not end")
    number = -status
    if number == getattr(signal, "SIGXCPU", 0):
        return Problem("time", "its processor time was used up")
    kind = "exit" if status > 0 else "crashed" if number in CRASHES else "killed"
    return Problem(kind, f"its process ended with status {status}")


@functools.cache
def _loop() -> Any:
    """The one loop in which all cells await, as in a notebook. Made when the first one does."""
    import asyncio

    return asyncio.new_event_loop()


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
        _spare_who_computes(seconds)
        for statement in tree.body:
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                named = [getattr(__future__, name.name, None) for name in statement.names]
                FUTURE.update(one.compiler_flag for one in named if one is not None)
            try:
                # a notebook keeps `__future__` from cell to cell, and awaits at its top level
                flags = functools.reduce(operator.or_, FUTURE, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                code = compile(ast.Module([statement], []), filename, "exec", flags, dont_inherit=True)
                if code.co_flags & inspect.CO_COROUTINE:
                    _loop().run_until_complete(eval(code, space))
                else:
                    exec(code, space)
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                first = first or f"Your cell raised {type(error).__name__}: {error}"[:500]
        return first
    return first or f"Your cell was still running after {seconds:.0f} s and was stopped."


def _spare_who_computes(limit: float) -> None:
    """Within a `time_limit`: its clock, which looks every second once its time is over, ends only what `_over` would end, so a cell that waits
    for nothing but a busy machine goes on."""
    end = signal.getsignal(signal.SIGALRM)
    used, began = time.process_time(), time.monotonic()

    def look(number: int, frame: types.FrameType | None) -> None:
        if callable(end) and _over(time.process_time() - used, time.monotonic() - began, limit):
            end(number, frame)

    signal.signal(signal.SIGALRM, look)


def answer(
    check: dict[str, Any], tensors: dict[str, Tensor], space: dict[str, Any], error: str, seconds: float
) -> list[Seen | Problem]:
    """Observes one exercise on its cases: what was seen, or why nothing was."""
    exercise = find(check["exercise"])
    attempt = space.get(exercise.name)
    if attempt is None or isinstance(attempt, lending.Empty):
        kind = "borrowed" if attempt is not None or _of_the_course(error) else "missing"
        return [Problem(kind, error or f"{exercise.name} is not defined.")]
    if owner := _owner(attempt):
        return [Problem("borrowed", f"{exercise.name} is the course's own, from {owner}.")]
    return [
        Problem("borrowed", found.sentence, found.trace)
        if isinstance(found, Problem) and found.kind == "raised" and _of_the_course(found.sentence)
        else found
        for found in _outcomes(exercise, attempt, check, tensors, seconds)
    ]


def _owner(attempt: Any) -> str:
    """The module of the course that an attempt was taken from as it is; "" for one's own, and for a stand-in, of which `lending` takes care."""
    parts = [attempt] if inspect.isclass(attempt) else [*functions(attempt)]
    modules = {str(getattr(part, "__module__", "")) for part in parts}
    theirs = {name for name in modules if name.startswith("utils.") and not name.startswith(lending.PACKAGE)}
    return min(theirs) if theirs and theirs == modules else ""


def _of_the_course(said: str) -> bool:
    """Whether an error's words are about the course's own results: a stand-in that is not there, a file that cannot be read."""
    return any(name in said for name in COURSE_FILES)


def _packed(check: dict[str, Any], outcomes: list[Any]) -> bytes:
    found: dict[str, Tensor] = {}
    for index, outcome in enumerate(outcomes):
        if not isinstance(outcome, Problem):
            found.update({f"{index}/{key}": value for key, value in outcome.items()})
    outcomes = outcomes + outcomes[-1:] * (len(check["cases"]) - len(outcomes))
    entries = [
        {"kind": one.kind, "sentence": one.sentence[:1000], "trace": one.trace[:1000]}
        if isinstance(one, Problem)
        else {"seen": list(one)}
        for one in outcomes
    ]
    return wire.pack({"exercise": check["exercise"], "outcomes": entries}, found)


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
