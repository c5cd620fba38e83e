"""Recorded experiments: one JSON line per finished cell in `data/results/<name>.jsonl`.

    rows = load("data-scaling")              # [] where nothing is recorded
    rows = load("data-scaling", preset="cpu", stage="main", augment=False)

A line is written with one `write` on a file opened for appending, under a lock, and forced to the disk, so that a kill leaves
whole lines only; should a line be cut off all the same (power, a foreign editor), readers skip it and the next writer closes
it. A cell that is being computed is *claimed* by a lock that the operating system gives back when the process dies.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from utils.paths import DATA

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows: no locks, so one command at a time there
    fcntl = None

RESULTS = DATA / "results"

#: experiments whose rows were recorded by an older command, which has its own names for some columns; read as long as there
#: are no rows of this one
OLDER = {"text": ("sentiment_sizes", {"accuracy": "test_accuracy"}, {"experiment": "text", "stage": "main"})}


def path_of(name: str, folder: Path | str | None = None) -> Path:
    """The file that holds an experiment's rows."""
    return Path(folder or RESULTS) / f"{name}.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file in the order they were written; a line that is cut off is left out, a missing file is empty."""
    rows = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows


def load(name: str, folder: Path | str | None = None, **only: Any) -> list[dict[str, Any]]:
    """The recorded rows of an experiment.

    Args:
        name: of the experiment, such as "data-scaling".
        folder: default: the repository's `data/results`.
        only: columns and the value that they should have, e.g. `preset="cpu", stage="main"`; a tuple allows several.

    Returns:
        a flat dictionary per finished cell: experiment, preset, stage ("tune" for cells that chose a learning rate,
        "main" for the others), model, data, size, augment, arm, seed, test_accuracy, train_accuracy (0 to 1), seconds,
        parameters, macs, curve, command, machine, versions, data_fingerprint, and whatever the experiment adds.
    """
    rows = read(path_of(name, folder))
    if name in OLDER and not rows:
        older, names, constants = OLDER[name]
        for row in read(path_of(older, folder)):
            rows.append({**constants, "arm": "steps", **{names.get(key, key): row[key] for key in row}})
    return select(rows, **only)


def select(rows: Iterable[dict[str, Any]], **only: Any) -> list[dict[str, Any]]:
    """The rows whose columns have the given values; a tuple, list or set of values allows each of them."""
    allowed = {key: v if isinstance(v, (tuple, list, set)) else (v,) for key, v in only.items()}
    return [row for row in rows if all(row.get(key) in values for key, values in allowed.items())]


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds one line: all of it, or (on a full disk) nothing.

    Raises:
        OSError: it could not be written; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        _lock(handle, wait=True)
        size = os.fstat(handle).st_size
        if size:
            os.lseek(handle, size - 1, os.SEEK_SET)
            if os.read(handle, 1) != b"\n":
                line = b"\n" + line  # close a line that was cut off
        try:
            written = os.write(handle, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written to {path.name}")
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)  # gives the lock back


@contextlib.contextmanager
def claim(name: str, cell: str, folder: Path | str | None = None) -> Iterator[bool]:
    """Holds a cell while it is computed, so that two commands never compute the same one.

    Gives True if the cell is ours, False if another process is at it. The lock dies with the process that holds it, however
    that dies. Where the folder can't be written to, or the system has no such locks, the answer is True.
    """
    handle, ours = None, True
    path = Path(folder or RESULTS) / ".claims" / f"{name}.{cell}"
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            if handle is not None:
                ours = _lock(handle, wait=False)
        yield ours
    finally:
        if handle is not None:
            if ours:
                path.unlink(missing_ok=True)  # whoever waits on this name looks into the results again
            os.close(handle)


def sweep_claims(name: str, folder: Path | str | None = None) -> None:
    """Removes the claim files that killed commands left behind (they claim nothing any more)."""
    for path in (Path(folder or RESULTS) / ".claims").glob(f"{name}.*"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDWR)
            try:
                if _lock(handle, wait=False):
                    path.unlink(missing_ok=True)
            finally:
                os.close(handle)


def _lock(handle: int, *, wait: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
