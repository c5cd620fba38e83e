"""Where cells are computed: in this process, in processes of our own, or behind a given Executor (Dask's); and how long it takes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

from utils.experiments.declare import Cell, passes
from utils.experiments.image_data import MissingData
from utils.experiments.models import MissingModel


class InThisProcess(Executor):
    """The Executor interface without any process: `submit` computes at once."""

    def submit(self, function, /, *arguments, **named):
        future: Future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a cell that calls sys.exit() too
            future.set_exception(error)
        return future


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within the block a second Ctrl-C does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _start_worker(threads: int, parent: int) -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process; the parent decides what becomes of us
    import torch

    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os._exit(1)  # the parent is gone, and with it whoever would record what we compute

    threading.Thread(target=watch, daemon=True).start()


def compute_cell(cell: Cell) -> dict[str, Any]:
    """What a worker does: measurements, and the machine they were made on."""
    from utils.experiments.tasks import compute

    return compute(cell) | made_on()


def made_on() -> dict[str, Any]:
    """The machine, the versions of what decides a result, and the time, for a row."""
    from utils.budget import describe_machine

    finished = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {"machine": describe_machine(), "versions": versions(), "finished": finished}


def versions() -> dict[str, str]:
    """Versions of what decides a result."""
    import platform

    import numpy
    import torch

    found = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
    return found


class Workers:
    """N one-process pools, so that a process that dies takes only its own cell along; or one given Executor (Dask's)."""

    def __init__(self, count: int, threads: int, executor: Executor | None = None) -> None:
        self.threads = threads
        if executor is not None:
            self.pools: list[Executor] = [executor]
            self.free, self.given = list(range(count)), True
        else:
            self.pools = [self._pool() for _ in range(count)] if count else [InThisProcess()]
            self.free, self.given = list(range(max(1, count))), False

    def _pool(self) -> Executor:
        return ProcessPoolExecutor(1, get_context("spawn"), _start_worker, (self.threads, os.getpid()))

    def submit(self, cell: Cell) -> tuple[int, Future]:
        slot = self.free.pop()
        pool = self.pools[0 if self.given else slot]
        try:
            return slot, pool.submit(compute_cell, cell)
        except BrokenProcessPool:
            self.pools[slot] = self._pool()
            return slot, self.pools[slot].submit(compute_cell, cell)

    def done(self, slot: int, broken: bool) -> None:
        if broken and not self.given:
            self.pools[slot].shutdown(wait=False)
            self.pools[slot] = self._pool()
        self.free.append(slot)

    def close(self, *, now: bool = False) -> None:
        for pool in self.pools:
            if now and isinstance(pool, ProcessPoolExecutor):
                for process in list((pool._processes or {}).values()):
                    process.kill()
            if not self.given:
                pool.shutdown(wait=not now, cancel_futures=True)


def explain(error: BaseException) -> str:
    """What went wrong with a cell, as a sentence that says what to do."""
    text = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
    if isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker":
        return "its process was killed, most likely for taking too much memory; run with fewer --workers"
    if (
        isinstance(error, MemoryError)
        or "out of memory" in text.lower()
        or "can't allocate memory" in text.lower()
    ):
        return f"out of memory ({type(error).__name__}); run with fewer --workers or on a larger machine"
    if isinstance(error, (MissingData, MissingModel)):
        return text.strip("'\"")
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}: {text}"


@dataclass
class Clock:
    """The time left, from the seconds per training example of the cells that are done, model by model."""

    workers: int
    seen: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, cell: Cell, seconds: float) -> None:
        self.seen.setdefault(cell["model"], []).append((passes(cell), seconds))

    def cost(self, cell: Cell) -> float | None:
        pairs = self.seen.get(cell["model"]) or [p for some in self.seen.values() for p in some]
        if not pairs:
            return None
        return passes(cell) * sum(s for _, s in pairs) / sum(p for p, _ in pairs)

    def left(self, cells: Iterable[Cell]) -> float | None:
        costs = [self.cost(cell) for cell in cells]
        known = [cost for cost in costs if cost is not None]
        return sum(known) / max(1, self.workers) if len(known) == len(costs) else None


def duration(seconds: float | None) -> str:
    """Seconds as "45 s", "12 min" or "3.1 h"."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
