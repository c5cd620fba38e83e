"""A process with torch already imported that forks a sandbox per submission. It holds no answers and no seeds.

`python -m utils.grading.zygote` imports torch and forks such processes, one per worker (see `launch`): requests come in on one descriptor
and answers go out on another, as frames.
Fork safety: one thread, no parallel torch operation before a fork, no CUDA; checked at start.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from utils.grading import cgroup, forking, inside, isolation, kernel, wire
from utils.grading.cgroup import Group
from utils.grading.inside import GRACE
from utils.grading.isolation import Level, Limits
from utils.grading.launch import PIPES

SECRET = (
    "solutions",
    "utils.authoring",
    *(f"utils.grading.{m}" for m in ("answers", "bank", "hidden", "verdict", "run")),
)
LATE = 0.1  # seconds between two looks at what a sandbox uses
SPARE = 8  # processes that a control group grants beyond the limit, so that the watchdog, which can say why, comes first


def warm_up() -> None:
    """Imports what notebooks import, and makes sure that forking is safe."""
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    from utils.checks.engine import stand_in
    from utils.checks.registry import all_exercises

    for exercise in all_exercises().values():
        if exercise.stand_in:
            stand_in(exercise)
    _import_what_notebooks_import()
    secret = [name for name in sys.modules if name.startswith(SECRET)]
    if secret:
        raise RuntimeError(f"the zygote must hold no answers, and has imported {', '.join(secret)}")
    rehearse()
    isolation.readable_paths()
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
        message, found = wire.unpack(wire.pack({"cases": cases}, tensors | fixture.expected[0]))
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


def bear(pipes: list[tuple[int, int]], at_most: int = 3) -> None:
    """Warms up, forks a zygote for each pair of pipes, and waits until the last one has ended. Student code never runs in this process.

    Args:
        pipes: descriptors of each zygote, for requests and for answers.
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
    for own in pipes:
        if os.fork() == 0:
            with contextlib.suppress(BaseException):
                for descriptor in {fd for pair in pipes for fd in pair} - set(own):
                    os.close(descriptor)
                serve(*own, level)
            os._exit(0)
    for descriptor in (fd for pair in pipes for fd in pair):
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    cgroup.sweep()
    os._exit(0)  # a tidy end would take torch a tenth of a second


def serve(requests: int, answers: int, level: Level) -> None:
    """Answers requests until the grader closes the pipe."""
    if level.number < 3 and sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    wire.write_frame(answers, wire.pack({"level": asdict(level), "pid": os.getpid()}, {}))
    group, held = None, None
    while (frame := wire.read_frame(requests)) is not None:
        request, tensors = wire.unpack(frame[1])
        limits = Limits(**request["limits"])
        if level.counted and limits != held:
            group, held = cgroup.make(limits.memory, limits.processes + SPARE), limits
            if group is not None:
                group.enter()  # once: moving each sandbox in would take the kernel ten milliseconds each time
        ending, bury = run_one(request, tensors, level, group, requests, answers)
        if level.number < 3:
            bury()
        wire.write_frame(answers, wire.pack({"end": ending}, {}))
        if (
            level.number == 3
        ):  # all its processes are being killed; the grader compares while the kernel takes them down
            bury()


def run_one(
    request: dict[str, Any],
    tensors: dict[str, Tensor],
    level: Level,
    group: Group | None,
    requests: int,
    answers: int,
) -> tuple[str, Callable[[], None]]:
    """Runs one submission in a fresh sandbox and passes its frames on.

    Returns:
        how it ended: "done", "no sandbox" (the host's fault), or in words why it was stopped; and what waits until the sandbox, which
        has been killed, is gone.
    """
    limits = Limits(**request["limits"])
    watch = Watch(limits, group)
    reading, writing = os.pipe()
    telling, told = os.pipe()
    outer = os.fork()
    if outer == 0:
        with contextlib.suppress(BaseException):
            for descriptor in (requests, answers, reading, telling):
                os.close(descriptor)
            _outer(request, tensors, level, group, limits, writing, told)
        os._exit(1)
    os.close(writing)
    os.close(told)
    first, begun = _first_process(telling)
    os.close(telling)
    watch.first, handle = first, _handle(first)
    try:
        ending = _relay(reading, requests, answers, watch, request["checks"]) if begun else "no sandbox"
    finally:
        os.close(reading)
        _kill(first, handle)
    return ending, lambda: _bury(outer, level)


def _outer(
    request: dict[str, Any],
    tensors: dict[str, Tensor],
    level: Level,
    group: Group | None,
    limits: Limits,
    out: int,
    told: int,
) -> None:
    """Makes the namespaces, tells the zygote who their first process is, and waits for it."""
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
        os.write(told, b"P" + struct.pack("<i", inner))
        os.close(told)
        os.close(out)
        os.waitpid(inner, 0)
        os._exit(0)
    if on_linux:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    isolation.lock_up(level, limits)
    os.write(told, b"R")
    os.close(told)
    inside.run(request, tensors, out)
    os._exit(0)


def _first_process(telling: int) -> tuple[int, bool]:
    """Pid of the sandbox's first process as the zygote sees it (0: none), and whether it was locked up and is about to run cells."""
    data = b""
    while part := os.read(telling, 16):
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
    """Looks at what a sandbox uses, from outside. Made before the sandbox is; `first`, its first process, is set when it is known.

    Args:
        limits: what it may use.
        group: the control group that it runs in, if there is one; the kernel then counts memory, and ends what goes beyond.
    """

    def __init__(self, limits: Limits, group: Group | None) -> None:
        self.limits, self.first = limits, 0
        self.group = group if group and group.holds("memory") else None
        self.killed = self.group.kills() if self.group else 0

    def broken(self) -> str:
        """The limit that is broken, in words, or ""."""
        processes, memory = usage(self.first, self.group is None)
        if processes > self.limits.processes:
            return f"it ran more than {self.limits.processes} processes and was stopped"
        return self.over_memory(memory)

    def over_memory(self, seen: int = 0) -> str:
        """In words, or "". Where the kernel had to end a process the whole submission ends, as it does without a group."""
        if seen > self.limits.memory or (self.group and self.group.kills() > self.killed):
            return f"it used more than {self.limits.memory // 2**20} MiB of memory and was stopped"
        return ""


def _relay(reading: int, requests: int, answers: int, watch: Watch, checks: list[dict[str, Any]]) -> str:
    """Passes frames on until the sandbox ends, its time is over, or it breaks a limit."""
    limits = watch.limits
    began = heard = time.monotonic()
    most = limits.seconds + len(checks) * (limits.cell + limits.check + GRACE)
    reader = wire.FrameReader()
    frames = 0
    next_look = began + LATE
    while True:
        now = time.monotonic()
        if now - heard > limits.seconds or now - began > most:
            return f"it gave no sign of life for {now - heard:.0f} s and was stopped"
        ready, _, _ = select.select([reading, requests], [], [], LATE)
        if (
            requests in ready
        ):  # the grader says nothing while it waits: its end of the pipe is closed, it is gone
            return "the grader is gone"
        if ready:
            data = os.read(reading, 2**20)
            if not data:
                return watch.over_memory() or "done"
            try:
                payloads = reader.feed(data)
            except wire.BadFrame as error:
                return f"it sent something that is no answer ({error})"
            for payload in payloads:
                heard = now
                frames += 1
                if frames <= len(checks):
                    wire.write_frame(answers, payload, wire.RELAYED)
        if frames >= len(checks):
            return "done"
        if now > next_look:
            next_look = now + LATE
            if said := watch.broken():
                return said


def usage(first: int, looks: bool = True) -> tuple[int, int]:
    """Number and private memory (bytes; 0 unless `looks`) of the processes below `first`. A watchdog's view; a control group is exact."""
    family = {first} | _below(first)
    memory = 0
    for pid in family if looks else ():
        with contextlib.suppress(
            OSError, ValueError, IndexError
        ):  # Pss: pages that a fork still shares count once, not per process
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += 1024 * int(rollup.split("\nPss:", 1)[1].split()[0])
    return len(family), memory


def _below(root: int) -> set[int]:
    """Pids of the descendants of a process. What has died and is not reaped yet counts too."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    todo = [root]
    while todo:
        more = children.pop(todo.pop(), [])
        found.update(more)
        todo += more
    return found


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
    if level.number < 3:
        for _ in range(200):
            left = _below(os.getpid()) - {outer}
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            if not left:
                break
            time.sleep(0.005)
    with contextlib.suppress(OSError):
        inside.wait(outer, 10.0)


def main() -> None:
    """`zygote LEVEL PID` with descriptors in the environment. The grader's process id is for whoever reads the process list.

    Without them: greets on its standard output, so that one sees whether a sandbox can be had.
    """
    pipes = [
        (int(asked), int(answering))
        for asked, _, answering in (
            pair.partition(":") for pair in os.environ.pop(PIPES, "").split(",") if pair
        )
    ]
    bear(pipes or [(os.dup(0), os.dup(1))], int(sys.argv[1]) if len(sys.argv) > 1 else 3)


if __name__ == "__main__":
    main()
