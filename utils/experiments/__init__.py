"""Experiments: declared (`declare`, `grids`), run and resumed (`runner`), recorded (`results`), compared (`statistics`), drawn
(`plots`, `figures`); in a notebook `run_live`. The command is `python -m utils.experiments`.

What notebooks use can be imported from here; each name is fetched late, so that reading results does not load torch.
"""

from __future__ import annotations

import importlib
from typing import Any

DOOR = {
    "checkpoint": ("UNMIRRORED", "load_model", "training_log"),
    "declare": ("find", "image_set"),
    "evidence": ("Evidence", "recorded"),
    "image_data": ("whole",),
    "image_training": ("normalizer",),
    "learning_curves": ("LearningCurves",),
    "live": ("run_live",),
    "models": ("MODELS", "build"),
    "results": ("load", "select"),
    "statistics": ("mean_interval", "means", "over_seeds_and_images", "paired_difference"),
    "verdicts": ("judge",),
}


MODULES = ("figures", "plots", "results", "statistics")
GRIDS = ("crossing", "fine_tuning")  # whose parts a notebook uses


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in GRIDS:
        return importlib.import_module(f"{__name__}.grids.{name}")
    for module, names in DOOR.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
