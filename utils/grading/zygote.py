"""A process with torch already imported that forks a sandbox per submission. It holds no answers and no seeds.

`python -m utils.grading.zygote`: requests come in on descriptor 0 and answers go out on descriptor 1, as frames.
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
from pathlib import Path

from utils.grading import inside, isolation, kernel, wire
from utils.grading.isolation import Limits


def warm_up() -> None:
    """Imports what notebooks import, and makes sure that forking is safe."""
    import einops  # noqa: F401
    import matplotlib
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    matplotlib.use("Agg")
    import matplotlib.pyplot  # noqa: F401

    from utils.checks.engine import stand_in
    from utils.checks.registry import all_exercises

    for exercise in all_exercises().values():
        if exercise.stand_in:
            stand_in(exercise)
    if torch.cuda.is_initialized():
        raise RuntimeError("the zygote must not touch CUDA: a forked process could not use it")
    threads = len(list(Path("/proc/self/task").iterdir())) if Path("/proc/self/task").exists() else 1
    if threads != 1:
        raise RuntimeError(f"the zygote has {threads} threads; a fork of it could hang")


def serve() -> None:
    """Answers requests until the grader closes the pipe."""
    requests, answers = os.dup(0), os.dup(1)
    inside.silence()
    warm_up()
    level = isolation.probe()
    wire.write_frame(
        answers, wire.pack({"level": level.number, "missing": list(level.missing), "pid": os.getpid()}, {})
    )
    while (frame := wire.read_frame(requests)) is not None:
        ending = run_one(frame[1], level, requests, answers)
        wire.write_frame(answers, wire.pack({"end": ending}, {}))


def run_one(payload: bytes, level: isolation.Level, requests: int, answers: int) -> str:
    """Runs one submission in a fresh sandbox and passes its frames on.

    Returns:
        how it ended: "done", or in words why it was stopped.
    """
    request, tensors = wire.unpack(payload)
    limits = Limits(**request.get("limits", {}))
    reading, writing = os.pipe()
    telling, told = os.pipe()
    outer = os.fork()
    if outer == 0:
        with contextlib.suppress(BaseException):
            for descriptor in (requests, answers, reading, telling):
                os.close(descriptor)
            _outer(request, tensors, level, limits, writing, told)
        os._exit(1)
    os.close(writing)
    os.close(told)
    first = _first_process(telling, outer)
    os.close(telling)
    try:
        return _relay(reading, requests, answers, first, limits, len(request["checks"]))
    finally:
        os.close(reading)
        _end(first, outer, level)


def _outer(request, tensors, level, limits: Limits, out: int, told: int) -> None:  # noqa: ANN001
    """Makes the namespaces, tells the zygote who their first process is, and waits for it."""
    os.setsid()
    kernel_linux = sys.platform == "linux"
    if kernel_linux:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    if level.number == 3:
        isolation.enter_namespaces()
    inner = os.fork()
    if inner:
        os.write(told, struct.pack("<i", inner))
        os.close(told)
        os.close(out)
        os.waitpid(inner, 0)
        os._exit(0)
    if kernel_linux:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.close(told)
    os.setsid()
    isolation.lock_up(level, limits)
    inside.run(request, tensors, out)
    os._exit(0)


def _first_process(telling: int, outer: int) -> int:
    """Pid of the sandbox's first process, as the zygote sees it."""
    data = b""
    while len(data) < 4 and (part := os.read(telling, 4 - len(data))):
        data += part
    return struct.unpack("<i", data)[0] if len(data) == 4 else outer


def _relay(reading: int, requests: int, answers: int, first: int, limits: Limits, checks: int) -> str:
    """Passes frames on until the sandbox ends, its time is over, or it breaks a limit."""
    until = time.monotonic() + limits.seconds
    reader = wire.FrameReader()
    frames = 0
    next_look = time.monotonic() + 0.2
    while True:
        now = time.monotonic()
        if now > until:
            return f"it was still running after {limits.seconds:.0f} s and was stopped"
        ready, _, _ = select.select([reading, requests], [], [], min(until - now, 0.1))
        if (
            requests in ready
        ):  # the grader says nothing while it waits: its end of the pipe is closed, it is gone
            return "the grader is gone"
        if ready:
            data = os.read(reading, 2**20)
            if not data:
                return "done"
            try:
                payloads = reader.feed(data)
            except wire.BadFrame as error:
                return f"it sent something that is no answer ({error})"
            for payload in payloads:
                frames += 1
                if frames <= checks:
                    wire.write_frame(answers, payload, wire.RELAYED)
        if frames >= checks:
            return "done"
        if now > next_look:
            next_look = now + 0.2
            processes, memory = usage(first)
            if processes > limits.processes:
                return f"it ran more than {limits.processes} processes and was stopped"
            if memory > limits.memory:
                return f"it used more than {limits.memory // 2**20} MiB of memory and was stopped"


def usage(first: int) -> tuple[int, int]:
    """Number and private memory (bytes) of the processes below `first`. A watchdog's view; cgroups would be exact, where there are any."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    family, grown = {first}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        grown = bool(more)
        family |= more
    memory = 0
    for pid in family:
        with contextlib.suppress(
            OSError, ValueError, IndexError
        ):  # Pss: pages that a fork still shares count once, not per process
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += 1024 * int(rollup.split("\nPss:", 1)[1].split()[0])
    return len(family), memory


def _end(first: int, outer: int, level: isolation.Level) -> None:
    """Kills the sandbox's first process and waits until the kernel has ended every other one of its namespace.

    The outer process reaps the first one, so its own end says that the namespace is empty.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(first, signal.SIGKILL)
    if level.number < 3:
        for pid in _descendants(first):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
    inside.wait(outer, 10.0)


def _descendants(first: int) -> set[int]:
    """Without a pid namespace: the processes whose session was begun by `first`; one that called `setsid` is not among them."""
    found = set()
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3]) == first:
                    found.add(int(entry.name))
    return found


if __name__ == "__main__":
    serve()
