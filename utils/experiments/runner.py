"""Runs the cells of an experiment that are not recorded yet, in one process or several, and records each as it is done.

The process that was started (the *parent*) hands out cells, claims them and writes results; workers only compute. A worker that
dies (the system kills what takes too much memory) costs its own cell, gets a sentence, and is replaced. The parent may be
killed at any moment: what is recorded is on the disk, its workers end within a second, and the same command goes on.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from utils.experiments.declare import Cell, Experiment, cell_id, describe, find, passes, rates, with_rates
from utils.experiments.image_data import MissingData
from utils.experiments.models import MissingModel
from utils.experiments.results import append, claim, path_of, read, select, sweep_claims


class InThisProcess(Executor):
    """The Executor interface without any process: `submit` computes at once."""

    def submit(self, function, /, *arguments, **named):
        future: Future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            future.set_exception(error)
        return future


def _start_worker(threads: int, parent: int) -> None:
    import torch

    torch.set_num_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.3)
        os._exit(1)  # the parent is gone, and with it whoever would record what we compute

    threading.Thread(target=watch, daemon=True).start()


def compute_cell(cell: Cell) -> dict[str, Any]:
    """What a worker does: measurements, and the machine they were made on."""
    from utils.budget import describe_machine
    from utils.experiments.tasks import compute

    found = compute(cell)
    return found | {
        "machine": describe_machine(),
        "versions": versions(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


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
    began: float = field(default_factory=time.perf_counter)
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


@dataclass
class Outcome:
    """What a command did: counts, and the sentences about cells that failed or could not be recorded."""

    recorded: int = 0
    already: int = 0
    elsewhere: int = 0
    postponed: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures


class Runner:
    """One command's run of one experiment.

    Args:
        experiment: declared, see `declare`.
        preset: "smoke", "cpu" or "gpu".
        workers: processes; 0 = in this process.
        threads: torch threads of each worker.
        folder: of the results.
        command: recorded in every row.
        only: columns and the value they must have, for a part of the grid.
        limit: at most so many cells (of those not recorded).
        minutes: start no cell that is not expected to be done after so many minutes.
        executor: an Executor in place of own processes (Dask's `Client.get_executor()`).
        say: gets each line of progress.
    """

    def __init__(
        self,
        experiment: Experiment,
        preset: str,
        *,
        workers: int = 0,
        threads: int = 1,
        folder: Path | str | None = None,
        command: str = "",
        only: dict[str, Any] | None = None,
        limit: int | None = None,
        minutes: float | None = None,
        executor: Executor | None = None,
        say: Callable[[str], None] = lambda text: print(text, flush=True),
    ) -> None:
        self.experiment, self.preset, self.folder, self.command = experiment, preset, folder, command
        self.workers, self.only, self.limit, self.say = workers, only or {}, limit, say
        self.deadline = None if minutes is None else time.perf_counter() + 60 * minutes
        self.pool = Workers(workers, threads, executor)
        self.clock = Clock(max(1, workers))
        self.unwritten: list[tuple[Path, dict[str, Any]]] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """All of it: tuning first, then the cells with the learning rates that it chose."""
        try:
            owner = find(self.experiment.rates_from) if self.experiment.rates_from else self.experiment
            cells = self.experiment.cells(self.preset)
            if owner.tuning and any(cell["lr"] is None for cell in cells):
                models = {tuple(cell.get(c) for c in owner.tuned_by) for cell in cells if cell["lr"] is None}
                tuning = [
                    c for c in owner.tuning(self.preset) if tuple(c.get(k) for k in owner.tuned_by) in models
                ]
                self._part(tuning, following=cells)
                found = rates(
                    select(read(path_of(owner.name, self.folder)), preset=self.preset), owner.tuned_by
                )
                cells, waiting = with_rates(cells, found, owner.tuned_by)
                cells = [c for c in cells if self._wanted(c)]
                lost = [c for c in waiting if self._wanted(c)]
                if lost and not self._cut_short():
                    names = sorted({str(c["model"]) for c in lost})
                    self.outcome.failures.append(
                        f"{len(lost)} cells of {', '.join(names)} wait for a learning rate: tuning failed"
                    )
            else:
                cells = [c for c in cells if self._wanted(c)]
            self._part(cells)
        except BaseException:
            self.pool.close(now=True)
            raise
        self.pool.close()
        self._write_rest()
        sweep_claims(self.experiment.name, self.folder)
        return self.outcome

    def _wanted(self, cell: Cell) -> bool:
        return all(str(cell.get(key)) in map(str, values) for key, values in self.only.items())

    def _cut_short(self) -> bool:
        """Whether cells were left for a later run (or for another command), so that a missing one is no failure."""
        out_of_time = self.deadline is not None and time.perf_counter() > self.deadline
        return out_of_time or self.limit == 0 or self.outcome.postponed > 0 or self.outcome.elsewhere > 0

    def _part(self, cells: list[Cell], following: list[Cell] | None = None) -> None:
        ids = {cell_id(cell): cell for cell in cells}
        done = self._recorded(cells)
        waiting = [key for key in ids if key not in done]
        self.outcome.already += len(ids) - len(waiting)
        if self.limit is not None:
            self.limit, waiting = max(0, self.limit - len(waiting)), waiting[: self.limit]
        total, number = len(ids), len(ids) - len(waiting)
        running: dict[Future, tuple[str, int, ExitStack]] = {}
        while waiting or running:
            while waiting and self.pool.free:
                key = waiting.pop(0)
                cell, stack = ids[key], ExitStack()
                if self.deadline is not None:
                    expected = self.clock.cost(cell) or 0.0
                    if time.perf_counter() + expected > self.deadline:
                        self.outcome.postponed += 1
                        continue
                if not stack.enter_context(claim(cell["experiment"], key, self.folder)):
                    stack.close()
                    self.outcome.elsewhere += 1
                    self.say(f"{describe(cell)}: another command is at it")
                    continue
                if key in self._recorded([cell]):  # by another command, since we looked
                    stack.close()
                    self.outcome.already += 1
                    continue
                slot, future = self.pool.submit(cell)
                running[future] = key, slot, stack
            if not running:
                continue
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                key, slot, stack = running.pop(future)
                number += 1
                error = future.exception()
                self.pool.done(slot, isinstance(error, BrokenProcessPool))
                with stack:  # gives the claim back when the row is written
                    todo = (
                        [ids[k] for k in waiting]
                        + [ids[k] for k, _, _ in running.values()]
                        + (following or [])
                    )
                    self._finish(ids[key], key, future, error, f"[{number}/{total}]", todo)

    def _recorded(self, cells: Iterable[Cell]) -> set[str]:
        names = {cell["experiment"] for cell in cells}
        rows = (row for name in names for row in read(path_of(name, self.folder)))
        return {row["cell"] for row in rows if "cell" in row}

    def _finish(
        self, cell: Cell, key: str, future: Future, error: BaseException | None, at: str, todo: list[Cell]
    ) -> None:
        if error is not None:
            sentence = f"{describe(cell)}: {explain(error)}"
            self.outcome.failures.append(sentence)
            self.say(f"{at} FAILED {sentence}")
            if os.environ.get("COURSE_DEBUG"):
                traceback.print_exception(error)
            return
        row = make_row(cell, key, future.result(), self.command)
        self.clock.add(cell, row["seconds"])
        written = self._write(path_of(cell["experiment"], self.folder), row)
        self.outcome.recorded += written
        left = duration(self.clock.left(todo)) if todo else "nothing"
        self.say(f"{at} {summary(row)} · left: {left}{'' if written else ' · NOT YET WRITTEN'}")

    def _write(self, path: Path, row: dict[str, Any]) -> bool:
        """Appends what could not be written before, then this row; keeps what still can't be written."""
        self.unwritten.append((path, row))
        while self.unwritten:
            try:
                append(*self.unwritten[0])
            except OSError as error:
                self.say(
                    f"could not write to {path.name} ({error.strerror or error}); the result is kept in memory, "
                    "the run goes on, and it is tried again after the next cell"
                )
                return False
            self.unwritten.pop(0)
        return True

    def _write_rest(self) -> None:
        for path, row in list(self.unwritten):
            try:
                append(path, row)
                self.outcome.recorded += 1
            except OSError as error:
                import json

                self.outcome.failures.append(
                    f"{summary(row)}: could not be written to {path.name} ({error.strerror or error}); its line is printed above"
                )
                print(json.dumps(row, ensure_ascii=False), file=sys.stderr, flush=True)
        self.unwritten.clear()


def make_row(cell: Cell, key: str, found: dict[str, Any], command: str) -> dict[str, Any]:
    """A flat row: the cell's id, what was declared (the model's arguments as `model_args`), what was found, the command."""
    declared = {k: v for k, v in cell.items() if k != "spec"}
    spec = cell.get("spec") or {}
    return {"cell": key} | declared | {"model_args": spec.get("args", {})} | found | {"command": command}


def summary(row: dict[str, Any]) -> str:
    """A row in a line: what it is, accuracies, time."""
    scores = [
        f"{name} {row[column]:.1%}"
        for name, column in (
            ("validation", "validation_accuracy"),
            ("test", "test_accuracy"),
            ("train", "train_accuracy"),
        )
        if row.get(column) is not None
    ]
    return f"{describe(row)}: {', '.join(scores)} in {duration(row['seconds'])}"
