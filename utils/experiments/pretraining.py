"""Pretraining for the transfer experiment: once per model, seed and source, kept in the user's cache folder.

The weights are a means, not a result: they can be computed again from the cell, so they are not part of the repository. Two
processes that want the same ones wait for each other by a lock on the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from utils.data.image_cache import cache_folder
from utils.experiments.declare import Cell, cell_id
from utils.storage import lock, replacing


def folder() -> Path:
    """Where pretrained weights are kept."""
    return cache_folder() / "pretrained"


def source_cell(cell: Mapping[str, Any]) -> Cell:
    """The pretraining as a cell of its own: same model and seed, the source's data, size and steps."""
    columns = ("experiment", "preset", "model", "spec", "seed", "batch", "lr", "precision", "device")
    kept = {key: cell[key] for key in columns}
    return kept | {"stage": "pretrain", "augment": cell["pretraining_augment"]} | cell["pretraining_source"]


def pretrain_and_load(
    model: nn.Module, cell: Mapping[str, Any], train: Callable[[Cell, list], dict[str, Any]]
) -> dict[str, Any]:
    """Puts pretrained weights into everything but the head; trains them first if nobody has.

    Args:
        model: of the cell.
        cell: says what to pretrain on.
        train: a cell and an empty list -> its row; puts the trained model into the list.

    Returns:
        what belongs into the row: the pretraining's accuracy on its own test images, and how many seconds it took, whenever that was.
    """
    source = source_cell(cell)
    path = folder() / f"{cell_id(source)}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(handle, wait=True)
        if not path.exists():
            _pretrain(source, train, path)
        state = load_file(path)
    finally:
        os.close(handle)
    about = {key: float(state.pop(f"about.{key}")) for key in ("accuracy", "seconds")}
    load_all_but_head(model, state)
    return {
        "pretraining_accuracy": round(about["accuracy"], 5),
        "pretraining_seconds": round(about["seconds"], 3),
    }


def load_all_but_head(model: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Loads every entry whose shape fits, but not the head; whatever else should differ raises ValueError.

    The head stays as the model was built: new classes have nothing to inherit.
    """
    head = next(name for name in ("head", "fc", "classifier") if hasattr(model, name))
    kept = {name: value for name, value in state.items() if not name.startswith(f"{head}.")}
    missing, unexpected = model.load_state_dict(kept, strict=False)
    lost = [name for name in missing if not name.startswith(f"{head}.")]
    if lost or unexpected:
        raise ValueError(f"the pretrained weights do not fit this model: {(lost + list(unexpected))[:3]}")


def _pretrain(source: Cell, train: Callable[[Cell, list], dict[str, Any]], path: Path) -> None:
    models: list[nn.Module] = []
    result = train(source, models)
    state = {name: value.detach().cpu().contiguous() for name, value in models[0].state_dict().items()}
    state["about.accuracy"] = torch.tensor(result["test_accuracy"])
    state["about.seconds"] = torch.tensor(result["seconds"])
    with replacing(path) as beside:
        save_file(state, beside)
