"""Runs the cells of an experiment that are not recorded yet, in one process or several, and records each as it is done.

The process that was started (the *parent*) hands out cells, claims them and writes results; workers (`workers`) only compute. A
worker that dies (the system kills what takes too much memory) costs its own cell, gets a sentence, and is replaced. The parent may
be killed at any moment: what is recorded is on the disk, its workers end within a second, and the same command goes on. If it is
stopped (Ctrl-C, SIGTERM), results that are finished reach the disk, or the terminal where the disk refuses them.

A main cell whose learning rate is tuned starts only when every tuning cell of its key is recorded (`tuning`).
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.experiments.declare import Cell, Experiment, cell_id, describe, untuned
from utils.experiments.results import (
    RESULTS,
    append,
    claim,
    conditions,
    differing,
    path_of,
    read,
    select,
    sweep_claims,
)
from utils.experiments.tuning import Tuning, tuning_of
from utils.experiments.workers import Clock, Workers, duration, explain, uninterrupted, versions
from utils.storage import Taken, try_folder
from utils.training.precision import precision_for

MADE_FOR = {
    "cpu": "cpu",
    "long": "cpu",
    "t4": "cuda",
    "gpu": "cuda",
}  # preset -> the kind of device that its sizes were chosen for


@dataclass
class Outcome:
    """What a command did: counts, and the sentences about cells that failed or could not be recorded."""

    recorded: int = 0
    already: int = 0
    elsewhere: int = 0
    postponed: int = 0
    waiting: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class Running:
    """A cell at work: its id, the worker, and the claim that is given back when its row is written."""

    key: str
    slot: int
    claim: ExitStack


class Runner:
    """One command's run of one experiment.

    Args:
        experiment: declared, see `declare`.
        preset: "smoke", "cpu", "gpu", or another of the experiment.
        workers: processes; 0 = in this process.
        threads: torch threads of each worker.
        folder: of the results.
        command: recorded in every row.
        only: columns and the values that they may have, for a part of the grid; the tuning that this part needs comes along.
        limit: at most so many cells (of those not recorded).
        minutes: start no cell that is not expected to be done after so many minutes.
        device, precision: part of every row's identity; default: this machine's own, see `utils.training.precision`.
        measured: goes into every row: what the precision was chosen by, see `precision_choice`.
        executor: an Executor in place of own processes (Dask's `Client.get_executor()`).
        say: gets each line of progress.

    Raises:
        ValueError: `only` names a column or a value that the grid does not have.
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
        only: Mapping[str, Sequence[Any]] | None = None,
        limit: int | None = None,
        minutes: float | None = None,
        device: str | None = None,
        precision: str | None = None,
        measured: Mapping[str, float] | None = None,
        executor: Executor | None = None,
        say: Callable[[str], None] = lambda text: print(text, flush=True),
    ) -> None:
        self.experiment, self.preset, self.command = experiment, preset, command
        self.folder = Path(folder or RESULTS)
        self.workers, self.threads, self.executor, self.limit, self.say = (
            workers,
            threads,
            executor,
            limit,
            say,
        )
        self.deadline = None if minutes is None else time.perf_counter() + 60 * minutes
        chosen = precision_for(device, precision)
        self.conditions = {"precision": chosen.name, "device": chosen.device.type}
        self.measured = {"precision_measured": dict(measured)} if measured else {}
        self.cells = chosen_cells(
            [self.conditions | cell for cell in experiment.main_cells(preset)], only or {}
        )
        self.clock = Clock(max(1, workers))
        self.running: dict[Future, Running] = {}
        self.ids: dict[str, Cell] = {}
        self.unwritten: list[tuple[Path, dict[str, Any]]] = []
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """All of it: tuning first, then the cells whose learning rate it has chosen.

        Raises:
            OSError: the folder of the results, or that of pretrained weights, can't be written to.
        """
        self._look_before()
        self.pool = Workers(self.workers, self.threads, self.executor)
        try:
            self._all()
        except BaseException:
            with uninterrupted():
                self._rescue()
                self.pool.close(now=True)
                self._write_rest()
            raise
        self.pool.close()
        self._write_rest()
        sweep_claims(self.experiment.name, self.folder)
        return self.outcome

    def _look_before(self) -> None:
        """What can be known before the first cell: whether results can be kept, and whether the machine is the intended one."""
        try_folder(self.folder)
        if any(cell.get("pretraining") for cell in self.cells):
            from utils.experiments.pretraining import folder

            try_folder(folder())
        device, wanted = self.conditions["device"], MADE_FOR.get(self.preset)
        if wanted is not None and device != wanted:
            self.say(
                f"note: the sizes of preset {self.preset} were chosen for {wanted}, and this run computes on {device}; "
                "its rows are other rows than those of a run there"
            )
        rows = select(read(path_of(self.experiment.name, self.folder)), preset=self.preset)
        here = conditions(self.conditions | {"versions": versions()})
        for there in sorted({conditions(row) for row in rows} - {here}, key=str):
            said = [
                f"{precision} on {kind} with torch {version}" for precision, kind, version in (there, here)
            ]
            self.say(
                f"note: rows of this preset were made in {said[0]}, and this run computes in {said[1]}; "
                "figures and judges don't mix them"
            )

    def _all(self) -> None:
        tuning = self._tuning()
        keys = {tuning.key(cell) for cell in self.cells if untuned(cell)}
        wanted = [
            self.conditions | cell
            for cell in self.experiment.tuning_cells(self.preset)
            if tuning.key(cell) in keys
        ]
        if wanted:
            self._part(wanted, following=self.cells)
            tuning = self._tuning()
        ready, waiting = tuning.applied(self.cells)
        self._say_why(tuning, waiting)
        self._part(self._still_true(ready))

    def _tuning(self) -> Tuning:
        rows = read(path_of(self.experiment.owner.name, self.folder))
        return tuning_of(self.experiment, self.preset, rows, self.conditions)

    def _say_why(self, tuning: Tuning, waiting: list[Cell]) -> None:
        """Why cells wait for a learning rate: a failure, unless tuning was cut short or another command is at it."""
        self.outcome.waiting = len(waiting)
        if not waiting:
            return
        names = ", ".join(sorted({str(cell["model"]) for cell in waiting}))
        lacking = sum(len(tuning.missing.get(key, ())) for key in {tuning.key(cell) for cell in waiting})
        said = f"{len(waiting)} cells of {names} wait for a learning rate: {lacking} tuning cells are not recorded"
        out_of_time = self.deadline is not None and time.perf_counter() > self.deadline
        if self.outcome.elsewhere:
            self.say(
                f"{said}, some are at work in another command; when it is done, the same command goes on"
            )
        elif out_of_time or self.limit == 0 or self.outcome.postponed:
            self.say(f"{said}; the same command goes on")
        else:
            self.outcome.failures.append(f"{said}, because tuning failed")

    def _still_true(self, cells: list[Cell]) -> list[Cell]:
        """Leaves out recorded cells whose rate is not the one that tuning says now; they are a failure, in a sentence."""
        recorded = {row.get("cell"): row for row in read(path_of(self.experiment.name, self.folder))}
        good = []
        for cell in cells:
            row = recorded.get(cell_id(cell))
            if row is not None and row.get("lr") != cell.get("lr"):
                self.outcome.failures.append(
                    f"{describe(cell)}: recorded with learning rate {row.get('lr')}, and tuning says {cell['lr']}; "
                    f"take its line out of {self.experiment.name}.jsonl (`audit` lists such lines) and run again"
                )
            else:
                good.append(cell)
        return good

    def _part(self, cells: list[Cell], following: Iterable[Cell] = ()) -> None:
        self.ids = {cell_id(cell): cell for cell in cells}
        done = self._recorded(cells)
        waiting = [key for key in self.ids if key not in done]
        self.outcome.already += len(self.ids) - len(waiting)
        following = list(following)
        there = self._recorded(following)
        later = [cell for cell in following if cell_id(cell) not in there]
        if self.limit is not None:
            self.limit, waiting = max(0, self.limit - len(waiting)), waiting[: self.limit]
            later = later[: self.limit]
        total, number = len(waiting), 0
        while waiting or self.running:
            while waiting and self.pool.free:
                self._start(waiting.pop(0))
            if not self.running:
                continue
            finished, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in finished:
                number += 1
                todo = [self.ids[key] for key in waiting]
                todo += [self.ids[at.key] for other, at in self.running.items() if other is not future]
                self._finish(future, f"[{number}/{total}]", todo + later)

    def _start(self, key: str) -> None:
        cell, held = self.ids[key], ExitStack()
        if self.deadline is not None:
            expected = self.clock.cost(cell) or 0.0
            if time.perf_counter() + expected > self.deadline:
                self.outcome.postponed += 1
                return
        if not held.enter_context(claim(cell["experiment"], key, self.folder)):
            self.outcome.elsewhere += 1
            self.say(f"{describe(cell)}: another command is at it")
        elif key in self._recorded([cell]):  # by another command, since we looked
            self.outcome.already += 1
        else:
            slot, future = self.pool.submit(cell)
            self.running[future] = Running(key, slot, held)
            return
        held.close()

    def _recorded(self, cells: Iterable[Cell]) -> set[str]:
        names = {cell["experiment"] for cell in cells}
        rows = (row for name in names for row in read(path_of(name, self.folder)))
        return {row["cell"] for row in rows if "cell" in row}

    def _finish(self, future: Future, at: str, todo: list[Cell]) -> None:
        """Writes a finished cell's row, or says what went wrong; only then is it no longer running."""
        work = self.running[future]
        cell, error = self.ids[work.key], future.exception()
        with work.claim:  # gives the claim back when the row is written
            if error is None:
                row = make_row(cell, work.key, future.result() | self.measured, self.command)
                problem = unfit(row) or self._other_data(row)
            else:
                problem = explain(error)
            if problem:
                sentence = f"{describe(cell)}: {problem}"
                self.outcome.failures.append(sentence)
                self.say(f"{at} FAILED {sentence}")
                if error is not None and os.environ.get("COURSE_DEBUG"):
                    traceback.print_exception(error)
            else:
                self.clock.add(cell, row["seconds"])
                written = self._write(path_of(cell["experiment"], self.folder), row)
                left = duration(self.clock.left(todo)) if todo else "nothing"
                self.say(f"{at} {summary(row)} · left: {left}{'' if written else ' · NOT YET WRITTEN'}")
        del self.running[future]
        self.pool.done(work.slot, isinstance(error, BrokenProcessPool))

    def _other_data(self, row: dict[str, Any]) -> str:
        """Why a row does not belong to the recorded ones: its data have the name of theirs, and are others."""
        there = [
            old
            for old in read(path_of(row["experiment"], self.folder))
            if conditions(old) == conditions(row) and old.get("preset") == row.get("preset")
        ]
        return "".join(differing([*there, row])) if not differing(there) else ""

    def _write(self, path: Path, row: dict[str, Any]) -> bool:
        """Appends what could not be written before, then this row; keeps what still can't be written."""
        self.unwritten.append((path, row))
        while self.unwritten:
            try:
                append(*self.unwritten[0])
                self.outcome.recorded += 1
            except (
                Taken
            ):  # another command was faster, or this very row had been written when the run was stopped
                self.outcome.already += 1
            except OSError as error:
                self.say(
                    f"could not write to {path.name} ({error.strerror or error}); the result is kept in memory, "
                    "the run goes on, and it is tried again after the next cell"
                )
                return False
            self.unwritten.pop(0)
        return True

    def _rescue(self) -> None:
        """After an interruption: rows of cells that are finished are written, or kept for `_write_rest`."""
        for future in [f for f in self.running if f.done() and not f.cancelled()]:
            self._finish(future, "[stopped]", [])
        for work in self.running.values():
            work.claim.close()

    def _write_rest(self) -> None:
        for path, row in list(self.unwritten):
            try:
                append(path, row)
                self.outcome.recorded += 1
            except Taken:
                self.outcome.already += 1
            except OSError as error:
                self.outcome.failures.append(
                    f"{summary(row)}: could not be written to {path.name} ({error.strerror or error}); its line is printed above"
                )
                print(json.dumps(row, ensure_ascii=False), file=sys.stderr, flush=True)
        self.unwritten.clear()


def chosen_cells(cells: list[Cell], only: Mapping[str, Sequence[Any]]) -> list[Cell]:
    """The cells whose columns have one of the given values, compared as text.

    Raises:
        ValueError: there is no such column, or no cell has one of the values; the text lists what there is.
    """
    for column, values in only.items():
        there = {str(cell[column]) for cell in cells if column in cell}
        if not there:
            columns = sorted({key for cell in cells for key in cell} - {"spec"})
            raise ValueError(f"--only {column}=...: the grid's columns are {', '.join(columns)}")
        for value in values:
            if str(value) not in there:
                known = ", ".join(sorted(there)[:12])
                raise ValueError(f"--only {column}={value}: no cell has that; there are {known}")
    return [
        cell for cell in cells if all(str(cell.get(key)) in map(str, values) for key, values in only.items())
    ]


def make_row(cell: Cell, key: str, found: dict[str, Any], command: str) -> dict[str, Any]:
    """A flat row: the cell's id, what was declared (the model's arguments as `model_args`), what was found, the command."""
    declared = {k: v for k, v in cell.items() if k != "spec"}
    declared |= {"task": str(cell.get("task")).rpartition(":")[2]}  # its name, not where it lies
    spec = cell.get("spec") or {}
    return {"cell": key} | declared | {"model_args": spec.get("args", {})} | found | {"command": command}


def unfit(row: dict[str, Any]) -> str:
    """Why a row can't be a line of JSON, "" if it can."""
    for column, value in row.items():
        try:
            json.dumps(value, allow_nan=False)
        except TypeError:
            return (
                f"its task returned {column!r} as {type(value).__name__}, which a row can't hold; "
                "return numbers, text, or lists and dictionaries of them (a tensor's .tolist())"
            )
        except ValueError:
            return f"its task returned {column!r} = {value!r}, and a row holds finite numbers only"
    return ""


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
