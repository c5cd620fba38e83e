"""A process with torch already imported that forks a sandbox per submission. It holds no answers, no seeds, and no byte of a submission.

`python -m utils.grading.zygote` imports torch and forks such processes, one per worker (see `launch`). For each submission the grader sends the
descriptors of two pipes, which the zygote hands to the sandbox unread: what a sandbox is forked from has never held what another one was given or said.
The next sandbox is set up while the grader reads the next submission, and waits for its descriptors.
Fork safety: one thread, no parallel torch operation before a fork, no CUDA; checked at start.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from torch import Tensor

from utils.grading import cgroup, control, forking, inside, isolation, kernel, lending, wire
from utils.grading.cgroup import Group
from utils.grading.isolation import Level, Limits
from utils.grading.launch import SOCKETS
from utils.words import Later, later

SECRET = (
    "solutions",
    "utils.authoring",
    *(f"utils.grading.{m}" for m in ("answers", "bank", "hidden", "verdict", "run")),
)
LATE = 0.1  # seconds between two looks at what a sandbox uses
SPARE = 8  # processes that a control group grants beyond the limit, so that the watchdog, which can say why, comes first


_FOR_GOOD = contextlib.ExitStack()


def warm_up() -> None:
    """Imports what notebooks import, and makes sure that forking is safe."""
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    from utils.checks.registry import all_exercises
    from utils.checks.state import no_compiler_for_optimizers

    # The compiler takes seconds to import, and needs a /tmp: a sandbox has none.
    _FOR_GOOD.enter_context(no_compiler_for_optimizers())

    lending.withhold()
    course = all_exercises()
    _import_what_notebooks_import()
    for place in itertools.chain.from_iterable(lending.DONE[name] for name in lending.DONE.keys() & course):
        importlib.import_module(place.partition(":")[0])
    secret = [name for name in sys.modules if name.startswith(SECRET)]
    if secret:
        raise RuntimeError(f"the zygote must hold no answers, and has imported {', '.join(secret)}")
    rehearse()
    isolation.root_plan()
    with contextlib.suppress(OSError):
        kernel.seccomp_program()
    forking.prepare()


def rehearse() -> None:
    """Observes a function and a module once, gradients included, so that what is set up at first use is set up before the fork."""
    import torch

    from utils.checks import fixtures
    from utils.checks.spec import Case, Exercise

    some: dict[str, Any] = {"notebook": "", "points": 1, "stars": 1, "minutes": 1, "reference": ""}
    function = Exercise(
        name="add",
        cases=lambda draw: [Case("two", args={"a": draw.normal(2, 3), "b": draw.normal(2, 3)})],
        **some,
    )
    module = Exercise(
        name="Linear",
        kind="module",
        cases=lambda draw: [
            Case("one", init={"in_features": 3, "out_features": 2}, args={"input": draw.normal(2, 3)})
        ],
        **some,
    )
    for exercise, answer in ((function, lambda a, b: a + b), (module, torch.nn.Linear)):
        fixture = fixtures.prepare(exercise, answer, 0)
        tensors: dict[str, Tensor] = {}
        cases = [fixtures.encode_case(case, str(i), tensors) for i, case in enumerate(fixture.cases)]
        message, found = wire.unpack_trusted(wire.pack({"cases": cases}, tensors | fixture.expected[0]))
        fixtures.decode_case(message["cases"][0], exercise, found)


def _import_what_notebooks_import() -> None:
    """Runs the import statements of the released notebooks, so that a sandbox need not."""
    import ast

    from utils.grading.cells import parse
    from utils.grading.reading import RELEASE, release_cells

    for path in sorted(RELEASE.glob("[0-9][0-9]_*.ipynb")):
        for cell in release_cells(path.stem):
            tree = parse(cell["source"]) if cell["cell_type"] == "code" else None
            for node in tree.body if tree else ():
                if isinstance(node, ast.Import | ast.ImportFrom):
                    # what cannot be imported here fails in the sandbox, in words
                    with contextlib.suppress(Exception):
                        exec(compile(ast.Module([node], []), path.name, "exec"), {})


def fork_on_request(ends: list[socket.socket], at_most: int = 3) -> None:
    """Warms up, forks a zygote for each socket, and waits until the last one has ended. Student code never runs in this process.

    Args:
        ends: each zygote's end of a pair, see `control`.
        at_most: isolation level that is not exceeded, for tests of the weaker ones.
    """
    inside.silence(0, 1)  # what goes wrong while it warms up is still seen on stderr
    warm_up()
    inside.silence()
    level = isolation.probe()
    if level.number > at_most:
        # without groups too, so that tests of these levels meet the watchdog
        missing = (*level.missing, f"level {at_most} was asked for")
        level = replace(level, number=at_most, missing=missing, counted=())
    for own in ends:
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                for end in ends:
                    if end is not own:
                        end.close()
                serve(own, level)
            os._exit(0)
    for end in ends:
        end.close()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    cgroup.sweep(seconds=1.0)
    os._exit(0)  # a tidy end would take torch a tenth of a second


def serve(end: socket.socket, level: Level) -> None:
    """Sets up a sandbox for each message until the grader closes the socket."""
    if level.number < 3 and sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    control.send(end, {"level": asdict(level), "pid": os.getpid()})
    group, held, ahead = None, None, None
    while (found := control.receive(end, 3)) is not None:
        message, descriptors = found
        limits = Limits(**message["limits"])
        if ahead and ahead.fixed != _fixed(limits):
            ahead.give_up(level)
            ahead = None
        if level.counted and (limits.memory, limits.processes) != held:
            held = limits.memory, limits.processes
            group = cgroup.make(limits.memory, limits.processes + SPARE)
            if group is not None:
                group.enter()  # once: moving each sandbox in would take the kernel ten milliseconds each time
        box = ahead or set_up(limits, level, group, end, *descriptors)
        ended, clean_up = run_one(box, limits, level, group, end, descriptors)
        if level.number < 3:
            clean_up()
        control.send(end, ended)
        ahead = None
        if level.number == 3:
            # all its processes are being killed; the grader compares while the kernel takes them down
            clean_up()
            ahead = set_up(limits, level, group, end)


@dataclass
class Box:
    """A sandbox that waits for what it is to run.

    Args:
        outer: pid of the process that has made the namespaces.
        line: what the sandbox says of its first process, and takes limits and descriptors from.
        fixed: what it was set up for.
    """

    outer: int
    line: socket.socket
    fixed: tuple[int, ...]

    def give_up(self, level: Level) -> None:
        """Nobody wants it: it ends when its line does."""
        self.line.close()
        _bury(self.outer, level)


def _fixed(limits: Limits) -> tuple[int, ...]:
    """Of the limits, what a sandbox is set up with; the rest it is told with its request."""
    return limits.disk, limits.memory, limits.processes


def set_up(limits: Limits, level: Level, group: Group | None, end: socket.socket, *more: int) -> Box:
    """Forks a sandbox, which makes its namespaces and its empty root while this process goes on.

    Args:
        limits, level, group: as in `run_one`.
        end: the zygote's, which no sandbox keeps.
        more: descriptors that it does not keep either.
    """
    line, theirs = socket.socketpair()
    outer = os.fork()
    if outer == 0:
        with contextlib.suppress(BaseException):
            end.close()
            line.close()
            for descriptor in more:
                os.close(descriptor)
            _outer(level, group, limits.disk, theirs)
        os._exit(1)
    theirs.close()
    return Box(outer, line, _fixed(limits))


def run_one(
    box: Box, limits: Limits, level: Level, group: Group | None, end: socket.socket, descriptors: list[int]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Runs one submission in a fresh sandbox. Nothing of it is read here: the sandbox has the descriptors.

    Args:
        box: the sandbox, which has run nothing yet.
        limits: for the submission.
        level: how it is locked up.
        group: the control group that this process is in.
        end: the grader is gone when it can be read.
        descriptors: of the request's pipe, of the answers', and of one that the grader closes when it wants no more.

    Returns:
        `end` ("done", "no sandbox": the host's fault, or in words why it was stopped), `names` (what is put into those words) and `cpu`
        (processor seconds used); and what waits until the sandbox, which has been killed, is gone.
    """
    asked, out, life = descriptors
    watch, began = Watch(limits, group), time.monotonic()
    with contextlib.suppress(OSError):  # it is gone, which the next line finds out
        control.send(box.line, asdict(limits), (asked, out))
    for descriptor in (asked, out):
        os.close(descriptor)
    first, begun = _first_process(box.line)
    box.line.close()
    if not begun:  # it may have died while it waited, and its number be another process's by now
        first = 0
    watch.start(first)
    handle = _handle(first)
    try:
        ending = _guard(end, life, handle, watch) if begun else "no sandbox"
    finally:
        os.close(life)
        # looking takes milliseconds, and a short run can have used no more than it lasted
        lasted = time.monotonic() - began
        used = lasted if lasted < 1 else watch.processor_seconds()
        _kill(first, handle)
    names = ending.names if isinstance(ending, Later) else {}
    template = ending.template if isinstance(ending, Later) else ending
    return {"end": template, "names": names, "cpu": used}, lambda: _bury(box.outer, level)


def _outer(level: Level, group: Group | None, disk: int, line: socket.socket) -> None:
    """Makes the namespaces, tells the zygote who their first process is, and waits for it. That one waits for its request."""
    os.setsid()
    if group is not None:  # of all in the group, the kernel shall take one of these when memory is used up
        Path("/proc/self/oom_score_adj").write_text("900")
    on_linux = sys.platform == "linux"
    if on_linux:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if level.number == 3:
        isolation.enter_namespaces()
    inner = os.fork()
    if inner:
        line.sendall(b"P" + struct.pack("<i", inner))
        line.close()
        os.waitpid(inner, 0)
        os._exit(0)
    if on_linux:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    isolation.shut_away(level, disk)
    found = control.receive(line, 2)
    if found is None:  # nobody wants this one
        os._exit(0)
    limits, (asked, out) = found
    isolation.restrict(level, Limits(**limits))
    line.sendall(b"R")
    line.close()
    request, tensors = wire.unpack_trusted(wire.read_all(asked))
    os.close(asked)
    inside.run(request, tensors, out)
    os._exit(0)


def _first_process(line: socket.socket) -> tuple[int, bool]:
    """Pid of the sandbox's first process as the zygote sees it (0: none), and whether it was locked up and is about to run cells."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := line.recv(16):
            data += part
    place = 1 if data[:1] == b"P" else 2  # "P", pid, "R" in either order of the two messages
    number = data[place : place + 4]
    return (struct.unpack("<i", number)[0] if len(number) == 4 else 0), len(data) == 6


def _handle(first: int) -> int:
    """A descriptor of the process, which no later process of the same number can be taken for; -1 where there is none."""
    if first and hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(first)
    return -1


class Watch:
    """Looks at what a sandbox uses, from outside. Made before the sandbox is.

    Args:
        limits: what it may use.
        group: the control group that it runs in, if there is one; the kernel then counts memory, and ends what goes beyond.
    """

    def __init__(self, limits: Limits, group: Group | None) -> None:
        self.limits = limits
        self.group = group if group and group.holds("memory") else None
        self.killed = self.group.kills() if self.group else 0
        self.first: psutil.Process | None = None
        self.used = 0.0

    def start(self, first: int) -> None:
        """From here on the sandbox's first process (0: there is none) is known."""
        with contextlib.suppress(psutil.Error):
            self.first = psutil.Process(first) if first else None

    def family(self) -> list[psutil.Process]:
        """The processes of the sandbox. What has died and is not reaped yet counts too."""
        if self.first is None:
            return []
        with contextlib.suppress(psutil.Error):
            return [self.first, *self.first.children(recursive=True)]
        return [self.first]

    def broken(self) -> str:
        """The limit that is broken, in words, or ""."""
        family = self.family()
        if len(family) > self.limits.processes:
            return later("it ran more than {most} processes and was stopped", most=self.limits.processes)
        if self.processor_seconds(family) > self.limits.cpu:
            return later(
                "it used more than {most} s of processor time in all and was stopped",
                most=f"{self.limits.cpu:.0f}",
            )
        return self.over_memory(0 if self.group else private_memory(family))

    def processor_seconds(self, family: list[psutil.Process] | None = None) -> float:
        """What its processes have used, with those that they have waited for."""
        total = 0.0
        for process in self.family() if family is None else family:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        self.used = max(self.used, total)  # what has ended before it was looked at is seen no more
        return self.used

    def over_memory(self, seen: int = 0) -> str:
        """In words, or "". Where the kernel had to end a process the whole submission ends, as it does without a group."""
        if seen > self.limits.memory or (self.group and self.group.kills() > self.killed):
            return later(
                "it used more than {most} MiB of memory and was stopped", most=self.limits.memory // 2**20
            )
        return ""


def private_memory(family: list[psutil.Process]) -> int:
    """Bytes that processes use together: pages that a fork still shares count once (Pss). A watchdog's view; a control group is exact."""
    total = 0
    for process in family:
        with contextlib.suppress(psutil.Error):
            total += getattr(process.memory_full_info(), "pss", 0)
    return total


def _guard(end: socket.socket, life: int, handle: int, watch: Watch) -> str:
    """Waits until the sandbox ends, breaks a limit, or is wanted no longer; in words why."""
    watched: list[Any] = [end, life, *([handle] if handle >= 0 else [])]
    while True:
        ready = select.select(watched, [], [], LATE)[0]
        if end in ready:
            return "the grader is gone"
        if life in ready or handle in ready:
            return watch.over_memory() or "done"
        if handle < 0 and watch.first is not None and not watch.first.is_running():
            return watch.over_memory() or "done"
        if said := watch.broken():
            return said


def _kill(first: int, handle: int) -> None:
    """Kills the sandbox's first process; the kernel then ends every other one of its namespace."""
    with contextlib.suppress(OSError):
        if handle >= 0:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        elif first:
            os.kill(first, signal.SIGKILL)
    if handle >= 0:
        os.close(handle)


def _bury(outer: int, level: Level) -> None:
    """Waits until a killed sandbox is gone.

    The outer process reaps the first one, so its own end says that the namespace is empty. Without namespaces the zygote is
    the parent of whatever lost its own, and kills until nothing is left.
    """
    until = time.monotonic() + 10.0
    while level.number < 3 and time.monotonic() < until:
        for process in psutil.Process().children(recursive=True):
            if process.pid != outer:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return  # the kernel says so; psutil's list misses the children of what dies while it is being made
        time.sleep(0.005)
    with contextlib.suppress(OSError):
        inside.wait(outer, 10.0)


def main() -> None:
    """`zygote LEVEL PID` with sockets in the environment. The grader's process id is for whoever reads the process list.

    Without them: warms up and says so, so that one sees whether a sandbox can be had.
    """
    numbers = [int(number) for number in os.environ.pop(SOCKETS, "").split(",") if number]
    if not numbers:
        warm_up()
        print(isolation.probe().sentence())
        return
    fork_on_request([socket.socket(fileno=number) for number in numbers], int(sys.argv[1]))


if __name__ == "__main__":
    main()
