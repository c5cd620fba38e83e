"""What a grid asks of a machine: its models with what each is trained on in all cells together, and what that takes on a T4."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from utils.budget import t4_minutes
from utils.cost.macs import profile
from utils.experiments.declare import Cell, Experiment, passes
from utils.experiments.models import MissingModel, build

START = 3.0  # seconds of a cell that are no training: data, the model, a first step


@dataclass(frozen=True)
class Load:
    """One model of a grid.

    Attributes:
        cell: one of its cells.
        side: height and width of its images.
        cells: how many trainings.
        steps, examples: of all its trainings.
        tested: examples that are only answered, in all its trainings.
    """

    cell: Cell
    side: int
    cells: int
    steps: int
    examples: float
    tested: int


def loads(experiment: Experiment, preset: str) -> list[Load]:
    """The models of a preset, tuning included, in the grid's order."""
    cells = [*experiment.main_cells(preset), *experiment.tuning_cells(preset)]
    sides = [(cell.get("spec") or {}).get("args", {}).get("image_size") for cell in cells]
    side = next((one for one in sides if one), 32)  # all models of a grid see the same images
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.get("spec"):
            found.setdefault(f"{cell['model']} {cell['spec']} {cell.get('batch')}", []).append(cell)
    return [
        Load(
            some[0],
            side,
            len(some),
            round(sum(passes(cell) / cell.get("batch", 64) for cell in some)),
            sum(passes(cell) for cell in some),
            sum(_tested(cell) for cell in some),
        )
        for some in found.values()
    ]


def _tested(cell: Cell) -> int:
    held = cell.get("validation") if cell.get("stage") == "tune" else cell.get("test_images")
    return (held or 10_000) + 2_000  # and training images, for the training accuracy


def here(load: Load) -> bool:
    """Whether the model can be built: a class's copy of the course has no answers, and not for each of them a stand-in."""
    try:
        build(load.cell["spec"], 10, name=load.cell["model"])
    except MissingModel:
        return False
    return True


def minutes_on_a_t4(found: Iterable[Load]) -> float:
    """Minutes of image models on a T4, one training after another: estimated from multiply-adds, never measured there."""
    total = 0.0
    for load in found:
        model, _ = build(load.cell["spec"], 10, name=load.cell["model"])
        macs = profile(model, (1, 3, load.side, load.side)).macs
        total += t4_minutes(macs, load.examples, load.steps) + t4_minutes(macs, load.tested / 3)
        total += load.cells * START / 60
    return total
