"""Whether recorded rows are what they say: read again, counted, and held against what is declared.

    for report in audit(folder):
        print(report)

A file is clean if every line can be read, every row is whole and stands at a declared place of its grid, no place has two rows, the
columns are the declared ones, each tuned learning rate is the one that the recorded tuning rows give, and the rows of a preset were
made under the same conditions on the same data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils import storage
from utils.experiments.declare import Cell, Experiment, cell_id, describe, find, names
from utils.experiments.results import RESULTS, differing, path_of
from utils.experiments.tuning import Tuning, tuning_of

#: what every row has
COLUMNS = ("cell", "experiment", "preset", "stage", "model", "seed", "seconds", "precision", "device",
           "machine", "versions", "finished", "command")  # fmt: skip
SHARES = ("test_accuracy", "train_accuracy", "validation_accuracy")


@dataclass
class Report:
    """What was found in a file.

    Attributes:
        name: of the file.
        rows: number of rows that could be read.
        places: preset -> (main cells that are recorded, main cells that are declared), for the presets with rows.
        findings: a sentence each; none in a clean file.
    """

    name: str
    rows: int = 0
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counted = "".join(f", {preset} {done}/{of}" for preset, (done, of) in self.places.items())
        head = f"{self.name}: {self.rows} rows{counted}: " + (
            f"{len(self.findings)} findings" if self.findings else "clean"
        )
        return "\n".join([head, *(f"  - {sentence}" for sentence in self.findings)])


def audit(folder: Path | str | None = None, only: Iterable[str] = ()) -> list[Report]:
    """A report for every file of rows in a folder (default: the repository's), or for the experiments named."""
    place = Path(folder or RESULTS)
    paths = [path_of(name, place) for name in only] or sorted(place.glob("*.jsonl"))
    return [audit_file(path) for path in paths]


def audit_file(path: Path) -> Report:
    """A report on one file; a missing file has no rows."""
    report, numbered = Report(path.name), []
    for line in storage.lines(path):
        if line.row is None:
            report.findings.append(f"line {line.number}: {line.problem}")
        else:
            numbered.append((line.number, line.row))
    report.rows = len(numbered)
    for number, row in numbered:
        report.findings += [f"line {number}: {sentence}" for sentence in _incomplete(row)]
    report.findings += _twice(numbered)
    if path.stem not in names():
        report.findings.append(f"no experiment {path.stem!r} is declared")
        return report
    experiment, rows = find(path.stem), [row for _, row in numbered]
    owner = experiment.owner
    rates = rows if owner.name == experiment.name else storage.read(path_of(owner.name, path.parent))
    grid = Grid(experiment, rates)
    for number, row in numbered:
        report.findings += [f"line {number}: {sentence}" for sentence in grid.findings(row)]
    report.findings += differing(rows)
    report.places = {
        preset: grid.places(preset, rows)
        for preset in experiment.presets
        if any(row.get("preset") == preset for row in rows)
    }
    return report


def _incomplete(row: dict[str, Any]) -> list[str]:
    found = []
    lacking = [column for column in COLUMNS if row.get(column) in (None, "", {})]
    if lacking:
        found.append(f"the row lacks {', '.join(lacking)}")
    for column in SHARES:
        value = row.get(column)
        if value is not None and not (isinstance(value, (int, float)) and 0 <= value <= 1):
            found.append(f"{column} is {value!r}, and a share of right answers lies between 0 and 1")
    return found


def _twice(numbered: list[tuple[int, dict[str, Any]]]) -> list[str]:
    seen: dict[Any, list[int]] = {}
    for number, row in numbered:
        seen.setdefault(row.get("cell"), []).append(number)
    return [
        f"lines {', '.join(map(str, at))} are rows of one and the same place ({cell})"
        for cell, at in seen.items()
        if cell is not None and len(at) > 1
    ]


class Grid:
    """The declared cells of an experiment under whatever conditions rows were made, by id."""

    def __init__(self, experiment: Experiment, rates: list[dict[str, Any]]) -> None:
        self.experiment, self.rates = experiment, rates
        self.known: dict[tuple, tuple[dict[str, Cell], dict[str, Cell], Tuning]] = {}

    def cells(
        self, preset: str, precision: Any, device: Any
    ) -> tuple[dict[str, Cell], dict[str, Cell], Tuning]:
        """(main cells by id, own tuning cells by id, the tuning) of a preset."""
        key = preset, precision, device
        if key not in self.known:
            made = {"precision": precision, "device": device}
            own = self.experiment.owner.name == self.experiment.name
            main = [made | cell for cell in self.experiment.main_cells(preset)]
            tune = [made | cell for cell in self.experiment.tuning_cells(preset)] if own else []
            self.known[key] = (
                {cell_id(cell): cell for cell in main},
                {cell_id(cell): cell for cell in tune},
                tuning_of(self.experiment, preset, self.rates, made),
            )
        return self.known[key]

    def places(self, preset: str, rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
        """How many main cells of a preset are recorded (under any conditions), and how many there are."""
        found = set()
        for row in rows:
            if row.get("preset") == preset:
                main = self.cells(preset, row.get("precision"), row.get("device"))[0]
                found |= {list(main).index(row["cell"])} if row.get("cell") in main else set()
        return len(found), len(self.experiment.main_cells(preset))

    def findings(self, row: dict[str, Any]) -> list[str]:
        """What is wrong with one row."""
        if row.get("preset") not in self.experiment.presets:
            return [f"there is no preset {row.get('preset')!r}"]
        main, tune, tuning = self.cells(row["preset"], row.get("precision"), row.get("device"))
        cell = main.get(row.get("cell", "")) or tune.get(row.get("cell", ""))
        if cell is None:
            return [
                f"{_name(row)}: no declared cell has the id {row.get('cell')!r}; the declaration has changed"
            ]
        found = []
        declared = cell | {"task": str(cell.get("task")).rpartition(":")[2]}
        for column, value in json.loads(json.dumps(declared, default=list)).items():
            counted = column == "test_images" and row.get("stage") == "tune"  # then of the validation images
            if column != "spec" and not counted and value is not None and row.get(column) != value:
                found.append(f"{_name(row)}: {column} is {row.get(column)!r}, and {value!r} is declared")
        if row["cell"] in main and "lr" in cell and cell["lr"] is None:
            found += self._rate(row, cell, tuning)
        return found

    def _rate(self, row: dict[str, Any], cell: Cell, tuning: Tuning) -> list[str]:
        rate = tuning.rates.get(tuning.key(cell))
        if rate is None:
            lacking = len(tuning.missing.get(tuning.key(cell), ()))
            return [f"{_name(row)}: its learning rate was chosen without {lacking} declared tuning rows"]
        found = []
        if row.get("lr") != rate.lr:
            found.append(
                f"{_name(row)}: trained with learning rate {row.get('lr')}, and the tuning rows give {rate.lr}"
            )
        # fewer than are declared: rates were added since, and the one that was chosen is still the best
        named = {*(row.get("tuned_on") or [])}
        if not named or not named <= {*rate.tuned_on}:
            found.append(f"{_name(row)}: the tuning rows that it names are not the declared ones")
        return found


def _name(row: dict[str, Any]) -> str:
    try:
        return describe(row)
    except (KeyError, TypeError, ValueError):
        return str(row.get("model", "a row"))
