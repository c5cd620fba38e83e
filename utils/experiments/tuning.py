"""Learning rates from recorded tuning cells; none from tuning that is not finished.

Cells of stage "tune" share a *key* (the values of `Experiment.tuned_by`, the model by default). A key has a rate when each of its
declared tuning cells is recorded: the rate with the best mean validation accuracy, of several equally good ones (all at 100 %, say)
the middle one, which is far from failing at either end. A main row names the tuning rows that its
rate rests on (`tuned_on`), so that an audit can choose again and compare.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from utils.experiments.declare import Cell, Experiment, cell_id, untuned
from utils.experiments.statistics import group, mean_interval


@dataclass(frozen=True)
class Rate:
    """A learning rate, and the ids of the tuning rows that it was chosen by."""

    lr: float
    tuned_on: list[str]


@dataclass(frozen=True)
class Tuning:
    """The tuning of one grid under one set of conditions.

    Attributes:
        tuned_by: the columns of the key.
        rates: key -> its rate, for the keys whose tuning is finished.
        missing: key -> its tuning cells that are not recorded.
    """

    tuned_by: tuple[str, ...]
    rates: dict[tuple, Rate]
    missing: dict[tuple, list[Cell]]

    def key(self, cell: Cell) -> tuple:
        return tuple(cell.get(column) for column in self.tuned_by)

    def applied(self, cells: Iterable[Cell]) -> tuple[list[Cell], list[Cell]]:
        """Cells with their rates put in, and those that still wait for one."""
        ready: list[Cell] = []
        waiting: list[Cell] = []
        for cell in cells:
            rate = self.rates.get(self.key(cell))
            if not untuned(cell):
                ready.append(cell)
            elif rate is not None:
                ready.append(cell | {"lr": rate.lr, "tuned_on": rate.tuned_on})
            else:
                waiting.append(cell)
        return ready, waiting


def tuning_of(
    experiment: Experiment, preset: str, rows: Iterable[dict[str, Any]], conditions: Cell
) -> Tuning:
    """What the recorded rows say about the learning rates of a preset.

    Args:
        experiment: whose main cells want rates.
        preset: of it.
        rows: of the experiment that owns the tuning (`Experiment.owner`).
        conditions: {"precision": ..., "device": ...}, part of every cell's identity.
    """
    tuned_by, recorded = experiment.owner.tuned_by, {row.get("cell"): row for row in rows}
    cells = [conditions | cell for cell in experiment.tuning_cells(preset)]
    rates: dict[tuple, Rate] = {}
    missing: dict[tuple, list[Cell]] = {}
    for key, some in group(cells, tuned_by).items():
        absent = [cell for cell in some if cell_id(cell) not in recorded]
        if absent:
            missing[key] = absent
            continue
        found = [recorded[cell_id(cell)] for cell in some]
        scores = {
            lr: mean_interval(row["validation_accuracy"] for row in of).mean
            for lr, of in group(found, "lr").items()
        }
        best = sorted(lr for lr in scores if scores[lr] == max(scores.values()))
        rates[key] = Rate(best[(len(best) - 1) // 2], [row["cell"] for row in found])
    return Tuning(tuned_by, rates, missing)
