"""What an experiment is: a question, predictions written down before it ran, and a grid of cells for each preset.

A *cell* is a flat dictionary that says everything about one training: experiment, preset, stage, task, model (with its
arguments), data, size, augment, arm, seed, steps, batch, lr, ... Its id is a digest of all of that, so a cell that is declared
otherwise is another cell. Learning rates are not declared: cells of stage "tune" try some on validation images (training images
that lie in no subset), and the cells of stage "main" get the best one for their model.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from utils.experiments.models import MODELS, resolve
from utils.experiments.results import select
from utils.experiments.statistics import group, mean_interval

Cell = dict[str, Any]
PRESETS = ("smoke", "cpu", "gpu")
NAMES = ("data-scaling", "label-rule", "transfer", "symmetry", "distance", "text", "token-mixers")


@dataclass(frozen=True)
class Experiment:
    """A declared experiment.

    Attributes:
        name: as in the command and the file of results.
        question: what it asks.
        predictions: what we expected, written before the first run and left as it was.
        cells: preset -> cells of stage "main"; a cell whose "lr" is None gets a tuned one.
        tuning: preset -> cells of stage "tune", each with its lr and validation images.
        tuned_by: the columns that share a learning rate.
        rates_from: name of the experiment whose tuning is used; default: its own.
    """

    name: str
    question: str
    predictions: tuple[str, ...]
    cells: Callable[[str], list[Cell]]
    tuning: Callable[[str], list[Cell]] | None = None
    tuned_by: tuple[str, ...] = ("model",)
    rates_from: str | None = None


def find(name: str) -> Experiment:
    """A declared experiment by its name, or any by "package.module:attribute".

    Raises:
        ValueError: there is none; the text lists those there are.
    """
    if ":" in name:
        return resolve(name)
    if name not in NAMES:
        raise ValueError(f"no experiment {name!r}; there are {', '.join(NAMES)}")
    return importlib.import_module(f"utils.experiments.grids.{name.replace('-', '_')}").EXPERIMENT


def make_cell(experiment: str, preset: str, model: str, **settings: Any) -> Cell:
    """A cell of one of the models of a preset (`models.MODELS`)."""
    spec = MODELS[preset][model]
    defaults = {"stage": "main", "task": "classify", "lr": None}
    return {"experiment": experiment, "preset": preset, "model": model, "spec": spec} | defaults | settings


def image_set(preset: str) -> str:
    """CIFAR-10, and for smoke runs the bundled digits, which are always there."""
    return "digits" if preset == "smoke" else "cifar10"


#: Where stand-ins lay when the rows in `data/results/` were recorded. A cell stays the same cell when its stand-in moves (the row says
#: which class was trained), so ids go on being taken from these; a stand-in that is declared from now on has no entry here.
RECORDED_STAND_INS = {
    "utils.stand_ins.inductive_bias:ResNet": "utils.stand_ins_bias:ResNet",
    "utils.stand_ins.vit:ViT": "utils.stand_ins_vit:ViT",
}


def cell_id(cell: Cell) -> str:
    """12 hexadecimal digits of everything that the cell says."""
    spec = cell.get("spec") or {}
    if spec.get("stand_in") in RECORDED_STAND_INS:
        cell = cell | {"spec": spec | {"stand_in": RECORDED_STAND_INS[spec["stand_in"]]}}
    text = json.dumps(cell, sort_keys=True, ensure_ascii=False, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def rates(rows: Iterable[dict[str, Any]], tuned_by: tuple[str, ...]) -> dict[tuple, float]:
    """The learning rate with the best mean validation accuracy, for each value of the columns `tuned_by`."""
    found = {}
    for key, some in group(select(rows, stage="tune"), tuned_by).items():
        scores = {
            lr: mean_interval(r["validation_accuracy"] for r in of) for lr, of in group(some, "lr").items()
        }
        found[key] = max(scores, key=lambda lr: scores[lr].mean)
    return found


def with_rates(
    cells: Iterable[Cell], found: dict[tuple, float], tuned_by: tuple[str, ...]
) -> tuple[list[Cell], list[Cell]]:
    """Cells with the learning rates put in, and those for which there is none (their tuning failed)."""
    ready: list[Cell] = []
    waiting: list[Cell] = []
    for cell in cells:
        if cell["lr"] is not None:
            ready.append(cell)
            continue
        lr = found.get(tuple(cell.get(column) for column in tuned_by))
        (ready if lr is not None else waiting).append(cell | {"lr": lr})
    return ready, waiting


def describe(cell: Cell) -> str:
    """A cell in a few words: "CNN, 500 images, steps, seed 0"."""
    size = cell.get("size")
    parts = [str(cell["model"])]
    parts += [cell["rule"]] if cell.get("rule") else []
    parts += [f"{size:,} {cell.get('unit', 'images')}"] if size is not None else []
    parts += [str(cell["arm"])] if cell.get("arm") else []
    parts += ["augmented"] if cell.get("augment") else []
    parts += [f"lr {cell['lr']:g}"] if cell.get("stage") == "tune" else []
    return ", ".join([*parts, f"seed {cell.get('seed')}"])


def passes(cell: Cell) -> float:
    """How many examples a cell reads in training, for the estimate of the time left."""
    if cell.get("steps"):
        return cell["steps"] * cell.get("batch", 64)
    return max(1, cell.get("epochs") or 1) * max(1, cell.get("size") or 50_000)
