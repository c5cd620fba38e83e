"""Starts zygotes, the processes that sandboxes are forked from; if need be before this process has imported torch itself.

One *mother* process imports what notebooks need, forks as many zygotes as there are workers, and waits for them; she runs nothing else. So
torch is imported once for all workers, while this process imports its own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from utils.grading import cgroup, control
from utils.grading.isolation import ROOT

MOST_EARLY = 4  # more workers than that have processes of their own, and start their sandboxes themselves
SOCKETS = "COURSE_GRADING_SOCKETS"  # in the mother's environment: each zygote's end of a pair, as "7,9"
_early: list[Zygote] = []
_lock = threading.Lock()


class Zygote:
    """The grader's end of one zygote.

    Args:
        mother: the process that forks it.
        end: the grader's end of the pair, see `control`.
    """

    def __init__(self, mother: subprocess.Popen[bytes], end: socket.socket) -> None:
        self.mother, self.control = mother, end
        self.pid = 0  # known when it has greeted
        self._handle = -1
        self._open = True

    def greet(self) -> dict[str, Any] | None:
        """Waits for its first message, `level` and `pid`; None if it ended before."""
        found = control.receive(self.control)
        if found is None:
            return None
        message, _ = found
        self.pid = int(message["pid"])
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._handle = os.pidfd_open(self.pid)
        return message

    def alive(self) -> bool:
        """Whether it still runs (before it has greeted: whether its mother does)."""
        if not self._open:
            return False
        if self._handle >= 0:
            return not select.select([self._handle], [], [], 0)[0]
        if self.mother.poll() is not None:
            return False
        return not self.pid or _exists(self.pid)

    def end(self, seconds: float = 10.0) -> None:
        """Kills it, closes its socket and waits until it is gone. One that has not greeted ends by itself: its socket is closed."""
        if not self._open:
            return
        if self.pid and self.alive():
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
            until = time.monotonic() + seconds
            while self.alive() and time.monotonic() < until:
                time.sleep(0.002)
        self._open = False
        self.control.close()
        if self._handle >= 0:
            os.close(self._handle)
        _bury(self.mother, seconds, self.pid > 0)
        cgroup.sweep(seconds=1.0)  # the sandbox that waited for a request dies with its zygote


def launch(at_most: int = 3, count: int = 1) -> list[Zygote]:
    """New zygotes from one new mother. Each greets when it is ready.

    Args:
        at_most: isolation level that is not exceeded.
        count: how many.
    """
    names = ("PATH", "LANG", "LC_ALL", "OPENBLAS_CORETYPE")
    keep = {name: os.environ[name] for name in names if name in os.environ}
    pairs = [socket.socketpair() for _ in range(count)]
    passed = [theirs.fileno() for _, theirs in pairs]
    env = keep | {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        SOCKETS: ",".join(map(str, passed)),
    }
    command = [sys.executable, "-m", "utils.grading.zygote", str(at_most), str(os.getpid())]
    mother = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, pass_fds=passed)
    for _, theirs in pairs:
        theirs.close()
    with _lock:
        _children[mother] = count
    return [Zygote(mother, ours) for ours, _ in pairs]


_children: dict[
    subprocess.Popen[bytes], int
] = {}  # mothers, and how many of their zygotes have not been ended


def _bury(mother: subprocess.Popen[bytes], seconds: float, forked: bool) -> None:
    """Counts one zygote less. A mother of none ends by herself once she has reaped them; one that has `forked` none yet is killed."""
    with _lock:
        _children[mother] -= 1
        if _children[mother]:
            return
        del _children[mother]
    try:
        mother.wait(seconds if forked else 0.0)
    except subprocess.TimeoutExpired:
        mother.kill()
        mother.wait()


def early(count: int) -> None:
    """Starts zygotes that :func:`take` will hand out; those that nobody takes end with this process."""
    atexit.register(_end)
    started = launch(count=count)
    with _lock:
        _early.extend(started)


def take(at_most: int = 3) -> Zygote:
    """A zygote of one's own: one that was started early and is alive, else a new one."""
    while at_most == 3:
        with _lock:
            zygote = _early.pop() if _early else None
        if zygote is None:
            break
        if zygote.alive():
            return zygote
        zygote.end()
    return launch(at_most)[0]


def _end() -> None:
    while True:
        with _lock:
            zygote = _early.pop() if _early else None
        if zygote is None:
            return
        zygote.end()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
