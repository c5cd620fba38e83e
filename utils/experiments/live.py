"""A small part of an experiment, live in a notebook cell, through the code that made the recorded results.

    rows = run_live("data-scaling", classes={"CNN": ResNet, "ViT": ViT}, models=("CNN", "ViT"), sizes=(500, 2_000), steps=100)

Nothing is written to the disk. The rows have the columns of recorded ones, so `plots` and `statistics` take them as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from utils.experiments.declare import cell_id, describe, find, passes, untuned
from utils.experiments.models import MODELS
from utils.experiments.results import path_of, read
from utils.experiments.runner import make_row, summary
from utils.experiments.tasks import Context, compute
from utils.experiments.tuning import tuning_of
from utils.experiments.workers import Clock, duration, explain, made_on
from utils.training.precision import precision_for
from utils.training.progress import in_a_row
from utils.words import say


def run_live(
    name: str,
    preset: str = "cpu",
    *,
    models: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    seeds: Sequence[int] = (0,),
    classes: Mapping[str, Callable[..., nn.Module]] | None = None,
    steps: int | None = None,
    lr: float | Mapping[str, float] | None = None,
    only: Mapping[str, Any] | None = None,
    progress: bool = True,
    **changes: Any,
) -> list[dict[str, Any]]:
    """Runs a part of an experiment's grid now, in this process.

    Args:
        name: of the experiment.
        preset: "smoke", "cpu" or "gpu": model sizes, batch and so on.
        models: names of models, such as ("CNN", "ViT"); default: all that the grid has.
        sizes: numbers of training images, any; default: the grid's.
        seeds: one training per seed.
        classes: own classes for names of models ("ViT") or of classes ("ResNet"); each is called with the preset's arguments
            (see `models.MODELS`) and `num_classes`.
        steps: of each training, in place of the grid's steps or epochs.
        lr: learning rate, or one per model; default: what the recorded tuning chose, else 2e-3.
        only: further columns and their value, such as {"arm": "steps", "augment": False}; a tuple allows several.
        progress: one bar with the running training's loss, accuracy and the time left of all, and a line per training that is done.
        changes: columns to overwrite, such as `test_images=500`.

    Returns:
        a row per training, as `results.load` gives them. A training that fails is reported and left out; after the stop button,
        those that were done, maybe none.

    Raises:
        ValueError: the grid has nothing of that kind.
    """
    here = precision_for()
    made = {"precision": here.name, "device": here.device.type}
    cells = [made | cell for cell in _choose(name, preset, models, sizes, seeds, only or {})]
    rates = _rates(name, preset)
    context, clock = Context(classes or {}, stand_ins=True), Clock(1)
    rows: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        if steps is not None and cell["task"] != "stream":
            cell = {k: v for k, v in cell.items() if k != "epochs"} | {"steps": steps}
        if untuned(cell) or lr is not None:
            given = lr.get(cell["model"]) if isinstance(lr, Mapping) else lr
            cell = cell | {"lr": given or rates(cell) or 2e-3}
        cells[number] = cell | changes
    with in_a_row(show=progress) as bar:
        for number, cell in enumerate(cells, start=1):
            left = cells[number:]
            times = sum(map(passes, left)) / passes(cell)
            bar.begin(f"{number}/{len(cells)} {describe(cell)}", clock.left(left), times)
            try:
                found = compute(cell, context)
            except KeyboardInterrupt:  # the stop button of a notebook; half a training is no row
                bar.say(stopped(len(rows), len(cells)))
                break
            except Exception as error:
                if len(cells) == 1:
                    raise
                bar.say(f"{describe(cell)}: {explain(error)}")
                continue
            row = make_row(cell, cell_id(cell), found | made_on(), f"run_live({name!r}, {preset!r})")
            rows.append(row)
            clock.add(cell, row["seconds"])
            if progress:
                behind = f" · left: {duration(clock.left(left))}" if left else ""
                bar.say(f"[{number}/{len(cells)}] {summary(row)}{behind}")
    return rows


def stopped(done: int, of: int) -> str:
    """What is said after the stop button."""
    if not done:
        return say("Stopped before a training was done. The cells below have no result of it to show.")
    return say(
        "Stopped: {done} of {all} trainings are done, and the cells below can use them.", done=done, all=of
    )


def _choose(name, preset, models, sizes, seeds, only) -> list[dict[str, Any]]:
    """Cells of the grid with the wanted columns; sizes and seeds that the grid lacks are made from its cells of the nearest size."""
    grid = find(name).main_cells(preset)
    allowed = {key: v if isinstance(v, (tuple, list, set)) else (v,) for key, v in only.items()}
    kinds: dict[str, list[dict[str, Any]]] = {}
    found = []
    for cell in grid:
        if models is not None and cell["model"] not in models:
            continue
        if not all(cell.get(key) in values for key, values in allowed.items()):
            continue
        kind = {
            k: v for k, v in cell.items() if k not in ("seed", "size", "steps")
        }  # steps may go by the size
        kinds.setdefault(repr(kind), []).append(cell)
    wanted = list(dict.fromkeys(cell["size"] for cell in grid)) if sizes is None else list(sizes)
    for seed in seeds:
        for size in wanted:
            for cells in kinds.values():
                nearest = min(cells, key=lambda cell: abs(math.log(cell["size"] / size)))
                found.append(nearest | {"size": size, "seed": seed})
    if not found:
        have = ", ".join(sorted({cell["model"] for cell in grid}))
        raise ValueError(
            f"{name} ({preset}) has no cell with models {models} and {dict(only)}; its models are {have}"
        )
    unknown = [m for m in models or () if m not in MODELS[preset] and m not in {c["model"] for c in grid}]
    if unknown:
        raise ValueError(f"there is no model {unknown[0]!r}")
    return found


def _rates(name: str, preset: str) -> Callable[[Mapping[str, Any]], float | None]:
    """The learning rates of the recorded tuning, under whatever conditions it was recorded."""
    experiment = find(name)
    rows = read(path_of(experiment.owner.name))
    ways = {(row["precision"], row["device"]) for row in rows if row.get("preset") == preset}
    tunings = [
        tuning_of(experiment, preset, rows, {"precision": precision, "device": device})
        for precision, device in sorted(ways)
    ]

    def rate(cell: Mapping[str, Any]) -> float | None:
        keys = [(tuning, tuning.key(dict(cell))) for tuning in tunings]
        found = [tuning.rates[key].lr for tuning, key in keys if key in tuning.rates]
        return found[0] if found else None

    return rate
