"""What an experiment is: one file in `grids/`, with a question, a grid of cells, figures, and predictions beside their rules.

    EXPERIMENT = Experiment(
        "Does a warm-up help a ViT?",
        cells,                                        # preset -> cells, made with `make_cell`
        figures,                                      # rows -> {name: (figure, alt text)}
        predictions=[Prediction("It does, by 2 points or more.", judged_by=helps)],   # written before the first run
    )

The file's name is the experiment's name (`data_scaling.py` is "data-scaling"); it is found because it lies in the folder.

A *cell* is a flat dictionary that says everything about one training: experiment, preset, stage, task, model (with its
arguments), data, size, augment, arm, seed, steps, batch, lr, ... Learning rates that are tuned are not declared ("lr": None):
cells of stage "tune" try some on validation images (training images that lie in no subset), and the cells of stage "main" get
the best one of their key.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from utils.experiments import grids
from utils.experiments.claims import Claim, Rows
from utils.experiments.models import MODELS, resolve

Cell = dict[str, Any]
Figures = dict[str, tuple[Any, str]]  # name -> (figure, alt text)
PRESETS = ("smoke", "cpu", "gpu")


@dataclass(frozen=True)
class Prediction:
    """What was expected, written before the first run and left as it was, and the rule that holds it against the rows.

    Attributes:
        text: in a sentence or two.
        judged_by: the experiment's rows (one preset, stage "main") -> claims, see `utils.experiments.claims`.
    """

    text: str
    judged_by: Callable[[Rows], list[Claim]]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Experiment:
    """A declared experiment.

    Attributes:
        question: what it asks.
        cells: preset -> cells of stage "main"; a cell whose "lr" is None gets a tuned one.
        figures: rows (one preset, stage "main") -> the standard figures.
        predictions: each beside the rule that judges it.
        tuning: preset -> cells of stage "tune", each with its lr and validation images.
        tuned_by: the columns that share a learning rate.
        rates_from: name of the experiment whose tuning is used; default: its own.
        presets: the sizes that the grid comes in.
        name: as in the command and the file of results; default: by the file.
    """

    question: str
    cells: Callable[[str], list[Cell]]
    figures: Callable[[Rows], Figures]
    predictions: Sequence[Prediction] = ()
    tuning: Callable[[str], list[Cell]] | None = None
    tuned_by: tuple[str, ...] = ("model",)
    rates_from: str | None = None
    presets: tuple[str, ...] = PRESETS
    name: str = ""

    def main_cells(self, preset: str) -> list[Cell]:
        """The cells of stage "main", each with the experiment's and the preset's name."""
        return [self._named(preset) | cell for cell in self.cells(preset)]

    def tuning_cells(self, preset: str) -> list[Cell]:
        """The cells of stage "tune" that its learning rates rest on, whichever experiment they belong to."""
        owner = self.owner
        return [owner._named(preset) | cell for cell in owner.tuning(preset)] if owner.tuning else []

    @property
    def owner(self) -> Experiment:
        """The experiment whose tuning is used."""
        return find(self.rates_from) if self.rates_from else self

    def _named(self, preset: str) -> Cell:
        return {"experiment": self.name, "preset": preset}


def names() -> tuple[str, ...]:
    """The declared experiments: the files of `grids/`."""
    return tuple(sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(grids.__path__)))


def find(name: str) -> Experiment:
    """A declared experiment by its name, or any by "package.module:attribute".

    Raises:
        ValueError: there is none; the text lists those there are.
    """
    if ":" in name:
        found, called = resolve(name), name.partition(":")[2]
    elif name in names():
        module = importlib.import_module(f"{grids.__name__}.{name.replace('-', '_')}")
        found, called = getattr(module, "EXPERIMENT", None), name
    else:
        raise ValueError(f"no experiment {name!r}; there are {', '.join(names())}")
    if not isinstance(found, Experiment):
        raise ValueError(f"{name}: its file should hold EXPERIMENT = Experiment(...), and holds {found!r}")
    return found if found.name else replace(found, name=called)


def make_cell(preset: str, model: str, **settings: Any) -> Cell:
    """A cell of one of the models of a preset (`models.MODELS`), or of the model behind `spec=` (see there)."""
    spec = settings.pop("spec", None) or MODELS[preset][model]
    defaults = {"stage": "main", "task": "classify", "lr": None}
    return {"model": model, "spec": spec} | defaults | settings


def image_set(preset: str) -> str:
    """CIFAR-10, and for smoke runs the bundled digits, which are always there."""
    return "digits" if preset == "smoke" else "cifar10"


def untuned(cell: Cell) -> bool:
    """Whether a cell waits for a learning rate."""
    return "lr" in cell and cell["lr"] is None


def cell_id(cell: Cell) -> str:
    """A row's identity: 12 hexadecimal digits of everything that was declared, precision and kind of device among it.

    A model counts by its name and arguments and a task by its name, not by the module in which they lie. A learning rate that was
    tuned is no part of it: there is one row per place in the grid, whatever the tuning found.
    """
    said = {key: value for key, value in cell.items() if key not in ("spec", "tuned_on")}
    said["model_args"] = (cell.get("spec") or {}).get("args", {})
    said["task"] = str(cell.get("task")).rpartition(":")[2]
    if "tuned_on" in cell:
        said["lr"] = None
    text = json.dumps(said, sort_keys=True, ensure_ascii=False, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
