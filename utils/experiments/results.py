"""Recorded experiments: one JSON line per finished cell in `data/results/<name>.jsonl`.

    rows = load("data-scaling")              # [] where nothing is recorded
    rows = load("data-scaling", preset="cpu", stage="main", augment=False)

How lines are written, and why they are whole, is in `utils.storage`. A cell that is being computed is *claimed* by a lock that
the operating system gives back when the process dies.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from utils import storage
from utils.paths import DATA

RESULTS = DATA / "results"


class Mixed(ValueError):
    """Rows that were made under different conditions, where one comparison was asked for."""


def path_of(name: str, folder: Path | str | None = None) -> Path:
    """The file that holds an experiment's rows."""
    return Path(folder or RESULTS) / f"{name}.jsonl"


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file in the order they were written; a missing file is empty.

    A line that can't be read is left out with a warning; a last line that was cut off by a kill is left out.
    """
    found = list(storage.lines(path))
    for line in found:
        if line.row is None and line is not found[-1]:
            warnings.warn(f"{path.name}, line {line.number}: {line.problem}; it is left out", stacklevel=2)
    return [line.row for line in found if line.row is not None]


def load(
    name: str, folder: Path | str | None = None, *, mixed: bool = False, **only: Any
) -> list[dict[str, Any]]:
    """The recorded rows of an experiment.

    Args:
        name: of the experiment, such as "data-scaling".
        folder: default: the repository's `data/results`.
        mixed: allow rows of one preset that were made under different conditions (see `conditions`).
        only: columns and the value that they should have, e.g. `preset="cpu", stage="main"`; a tuple allows several.

    Returns:
        a flat dictionary per finished cell: experiment, preset, stage ("tune" for cells that chose a learning rate,
        "main" for the others), model, data, size, augment, arm, seed, test_accuracy, train_accuracy (0 to 1), seconds,
        parameters, macs, curve, precision, device, command, machine, versions, data_fingerprint, and whatever the experiment
        adds. A main row names in `tuned_on` the tuning rows that its learning rate rests on.

    Raises:
        Mixed: rows of one preset differ in precision, device, torch version or data.
    """
    rows = select(read(path_of(name, folder)), **only)
    if not mixed:
        for sentence in differing(rows):
            raise Mixed(f"{name}: {sentence}. Choose one (`precision=`, `device=`), or say mixed=True")
    return rows


def conditions(row: dict[str, Any]) -> tuple[Any, Any, str]:
    """What two rows of one comparison share: precision, kind of device, torch's version ("2.13")."""
    torch_version = str((row.get("versions") or {}).get("torch", ""))
    return row.get("precision"), row.get("device"), ".".join(torch_version.split("+")[0].split(".")[:2])


def _data(row: dict[str, Any]) -> tuple:
    """What decides which data a row has seen, beside its size; a seed draws other procedural images, and only another order of others."""
    drawn = row.get("seed") if row.get("task") == "stream" else None
    return *(str(row.get(k)) for k in ("data", "rule", "share", "limit", "stage", "test_images")), drawn


def differing(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Sentences about rows of one preset that should not be compared: made under different conditions, or on other data."""
    found: list[str] = []
    presets: dict[Any, dict[tuple, int]] = {}
    prints: dict[tuple, set] = {}
    for row in rows:
        ways = presets.setdefault(row.get("preset"), {})
        ways[conditions(row)] = ways.get(conditions(row), 0) + 1
        if row.get("data_fingerprint"):
            prints.setdefault((row.get("preset"), *_data(row)), set()).add(row["data_fingerprint"])
    for preset, ways in presets.items():
        if len(ways) > 1:
            said = "; ".join(
                f"{n} in {precision} on {device} with torch {version}"
                for (precision, device, version), n in ways.items()
            )
            found.append(f"the rows of preset {preset} were made under different conditions: {said}")
    for (preset, data, *_), seen in prints.items():
        if len(seen) > 1:
            found.append(
                f"the rows of preset {preset} saw different data under the name {data} "
                f"(fingerprints {', '.join(sorted(seen))})"
            )
    return found


def select(rows: Iterable[dict[str, Any]], **only: Any) -> list[dict[str, Any]]:
    """The rows whose columns have the given values; a tuple, list or set of values allows each of them."""
    allowed = {key: v if isinstance(v, (tuple, list, set)) else (v,) for key, v in only.items()}
    return [row for row in rows if all(row.get(key) in values for key, values in allowed.items())]


def append(path: Path, row: dict[str, Any]) -> None:
    """Adds a row, unless one of its identity is there (`storage.Taken`); see `storage.append` for the rest."""
    storage.append(path, row, key="cell")


@contextlib.contextmanager
def claim(name: str, cell: str, folder: Path | str | None = None) -> Iterator[bool]:
    """Holds a cell while it is computed, so that two commands never compute the same one.

    Gives True if the cell is ours, False if another process is at it. The lock dies with the process that holds it, however
    that dies. Where the folder can't be written to, or the system has no such locks, the answer is True.
    """
    handle, ours = None, True
    path = Path(folder or RESULTS) / ".claims" / f"{name}.{cell}"
    try:
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if handle is not None:
            ours = storage.lock(handle, wait=False)
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
                if storage.lock(handle, wait=False):
                    path.unlink(missing_ok=True)
            finally:
                os.close(handle)
