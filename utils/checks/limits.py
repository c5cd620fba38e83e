"""A time limit for code that may never end. It counts the processor's time: a busy machine makes no answer wrong."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Iterator

PATIENCE = 6.0  # the clock's limit is so many times the processor's


class TimeLimitExceeded(BaseException):
    """Raised inside the attempt when its time is over. A BaseException, so `except Exception` does not swallow it.

    Args:
        waiting: the clock's time is over and not the processor's: the code waits for something, or the machine is busy.
    """

    def __init__(self, waiting: bool = False) -> None:
        super().__init__(waiting)
        self.waiting = waiting


class Waited(TimeLimitExceeded):
    """The limit of the clock; a class of its own, since one thread can only raise a class in another."""

    def __init__(self) -> None:
        super().__init__(waiting=True)


@contextlib.contextmanager
def time_limit(seconds: float, *, clock: float | None = None) -> Iterator[None]:
    """Raises :class:`TimeLimitExceeded` in the block when its time is over, and again every second until it leaves.

    In the main thread of a POSIX process timer signals do it. Elsewhere (Windows, a worker thread) the exception is set in the thread
    from outside, which a call into compiled code delays until it returns.

    Args:
        seconds: limit of the processor's time of this thread in seconds (in a worker thread: of the process); 0 or less means no limit.
        clock: limit of the clock's time in seconds; default `PATIENCE` times as much, at least a minute.
    """
    clock = max(PATIENCE * seconds, 60.0) if clock is None else clock
    if seconds <= 0:
        yield
    elif hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
        yield from _by_signal(seconds, clock)
    else:
        yield from _by_thread(seconds, clock)


def _by_signal(seconds: float, clock: float) -> Iterator[None]:
    used = time.thread_time()

    def stop(signum: int, frame: object) -> None:
        if signum == signal.SIGALRM:
            raise Waited
        left = seconds - (time.thread_time() - used)
        if left > 0.01:  # the timer counts all threads, and PyTorch's spin while they wait for work
            signal.setitimer(signal.ITIMER_PROF, left, 1.0)
        else:
            raise TimeLimitExceeded

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, clock))
    before = [signal.signal(number, stop) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit, 1.0)
    try:
        yield
    finally:
        for _, timer, _ in timers:
            signal.setitimer(timer, 0)
        for (number, _, _), handler in zip(timers, before, strict=True):
            signal.signal(number, handler)


def _by_thread(seconds: float, clock: float) -> Iterator[None]:
    done = threading.Event()
    target = ctypes.c_ulong(threading.get_ident())
    used, began = time.process_time(), time.monotonic()

    def watch() -> None:
        wait = min(0.05, seconds)
        while not done.wait(wait):
            over = time.process_time() - used >= seconds
            if over or time.monotonic() - began >= clock:
                error = TimeLimitExceeded if over else Waited
                ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(error))
                wait = 1.0

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
