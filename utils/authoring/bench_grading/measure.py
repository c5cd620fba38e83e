"""Times whole commands: wall clock, processor time of the command with all its children, and, while it runs, its memory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Taken:
    """What a command took, in seconds: `wall`, and `cpu` of it and every process that it waited for."""

    wall: float
    cpu: float


def run(
    command: list[str], folder: Path, env: dict[str, str], status: tuple[int, ...] = (0,), says: str = ""
) -> Taken:
    """Runs `python ...` to its end.

    Args:
        command: its arguments.
        folder: where.
        env: its environment.
        status: exit statuses that are well.
        says: a regular expression that must be found in what it prints, so that what was timed is the work that was meant.

    Raises:
        RuntimeError: it ended with another exit status than those given, or does not say what it should.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    said = process.stdout.read()
    process.stdout.close()
    _, ended, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(ended)
    if process.returncode not in status or not re.search(says, said.decode()):
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said.decode()[-2000:]}")
    return Taken(time.perf_counter() - began, usage.ru_utime + usage.ru_stime)


@dataclass(frozen=True)
class Look:
    """The grader at one moment: submissions done, seconds of wall clock and processor, memory of the process in MiB."""

    done: int
    wall: float
    cpu: float
    memory: float


def watch(
    command: list[str], folder: Path, env: dict[str, str], records: Path, every: float = 0.5
) -> list[Look]:
    """Runs a grading command and looks at it from outside while it runs (Linux: reads `/proc`).

    Raises:
        RuntimeError: it failed.
    """
    began = time.perf_counter()
    looks: list[Look] = []
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        time.sleep(every)
        done = records.read_bytes().count(b"\n") if records.exists() else 0
        if done and (not looks or done > looks[-1].done):
            cpu, memory = _family(process.pid)
            if cpu:
                looks.append(Look(done, time.perf_counter() - began, cpu, memory))
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return looks


def _family(pid: int) -> tuple[float, float]:
    """Processor seconds of a process, all below it and those they waited for; the process's own memory (MiB)."""
    memory, ticks, todo = 0.0, 0, [pid]
    while todo:
        member = todo.pop()
        with contextlib.suppress(OSError, IndexError, ValueError):  # sandboxes come and go while we look
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(int(field) for field in fields[11:15])
            for thread in Path(f"/proc/{member}/task").iterdir():
                todo += map(int, (thread / "children").read_text().split())
            if member == pid:
                memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20
    return (ticks / TICK, memory) if memory else (0.0, 0.0)


def nearest(looks: list[Look], done: int) -> Look:
    """The look at which the number of graded submissions was nearest to `done`."""
    return min(looks, key=lambda look: abs(look.done - done))


def slope(looks: list[Look], first: int, last: int) -> tuple[float, float]:
    """Wall and processor seconds per submission between the looks nearest to two numbers of submissions."""
    a, b = nearest(looks, first), nearest(looks, last)
    count = max(b.done - a.done, 1)
    return (b.wall - a.wall) / count, (b.cpu - a.cpu) / count
