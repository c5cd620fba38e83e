"""Starts sandbox processes (zygotes), if need be before this process has imported torch itself, so that both import at the same time."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading

from utils.grading import cgroup
from utils.grading.isolation import ROOT

MOST_EARLY = 4  # more workers than that have processes of their own, and start their sandboxes themselves
_early: list[subprocess.Popen[bytes]] = []
_lock = threading.Lock()


def launch(at_most: int = 3) -> subprocess.Popen[bytes]:
    """A new zygote: it reads requests on its standard input and answers on its standard output, first of all with a greeting.

    Args:
        at_most: isolation level that is not exceeded.
    """
    names = ("PATH", "LANG", "LC_ALL", "OPENBLAS_CORETYPE")
    keep = {name: os.environ[name] for name in names if name in os.environ}
    env = keep | {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
    }
    command = [sys.executable, "-m", "utils.grading.zygote", str(at_most), str(os.getpid())]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def early(count: int) -> None:
    """Starts zygotes that :func:`take` will hand out; those that nobody takes end with this process."""
    atexit.register(_end)
    with _lock:
        _early.extend(launch() for _ in range(count))


def take(at_most: int = 3) -> subprocess.Popen[bytes]:
    """A zygote of one's own: one that was started early and is alive, else a new one."""
    with _lock:
        while at_most == 3 and _early:
            process = _early.pop()
            if process.poll() is None:
                return process
            _close(process)
    return launch(at_most)


def _end() -> None:
    with _lock:
        while _early:
            _close(_early.pop())


def _close(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    cgroup.sweep()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
