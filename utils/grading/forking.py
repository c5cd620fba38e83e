"""Makes a process ready to be forked, often and cheaply: one thread, no CUDA, memory in huge pages, nothing for the collector to do.

A fork copies the page table of the parent's own memory, and every child pays again when it ends. With torch imported that is some 45,000
pages of 4 KiB; gathered into huge pages of 2 MiB it is about ninety, and a fork with its end costs a fifth of the processor time.
A fork of a process with a second thread, or after a parallel torch operation, can hang: the lock that the other thread held
is never released in the child. So both are checked here, and not hoped for.

References:
1. man 2 madvise, MADV_COLLAPSE (Linux 6.1 and later)
2. gc.freeze in the documentation of Python's gc module
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from pathlib import Path

MADV_COLLAPSE = 25
HUGE = 2 * 2**20


class UnsafeFork(RuntimeError):
    """A child forked from this process could hang or fail."""


def prepare() -> None:
    """Call once everything is imported, before the first fork.

    Raises:
        UnsafeFork: this process has a second thread, or CUDA is in use.
    """
    gc.collect()
    gc.freeze()  # or each child's collector would touch, and so copy, every page that it was given
    gather_memory()
    assert_safe()


def threads() -> int:
    """Number of this process's threads; 1 where the system does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


def assert_safe() -> None:
    """Checks what a fork rests on.

    Raises:
        UnsafeFork: this process has a second thread, or CUDA is in use.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        raise UnsafeFork("this process uses CUDA; a process forked from it could not")
    if (count := threads()) != 1:
        raise UnsafeFork(f"this process has {count} threads; a process forked from it could hang")


def gather_memory() -> int:
    """Asks the kernel to put this process's own memory into huge pages.

    Returns:
        bytes in mappings for which the kernel agreed; 0 where it cannot (before Linux 6.1, and elsewhere).
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        maps = Path("/proc/self/maps").read_text()
    except (OSError, TypeError):  # no /proc: not Linux
        return 0
    gathered = 0
    for line in maps.splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0\s*(\[heap\])?$", line)
        if not found:
            continue
        first = -(-int(found[1], 16) // HUGE) * HUGE
        last = int(found[2], 16) // HUGE * HUGE
        # one at a time: one that cannot be gathered must not stop the rest
        for start in range(first, last, HUGE):
            if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(HUGE), MADV_COLLAPSE) == 0:
                gathered += HUGE
    return gathered
