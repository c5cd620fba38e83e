"""Stand-ins: a trained model on a new task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def fine_tune(
    model: nn.Module,
    layers: Sequence[Sequence[str]],
    num_classes: int,
    learning_rate: float,
    decay: float,
    head: str = "head",
) -> list[dict[str, Any]]:
    """Replaces the head by one of zeros; parameter groups with rates that fall by `decay` per layer below the head."""
    old = model.get_submodule(head)
    new = nn.Linear(old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype)
    for parameter in new.parameters():
        nn.init.zeros_(parameter)
    model.add_module(head, new)
    rates = [(head, learning_rate)]
    for i, part in enumerate(layers):
        rates += [(name, learning_rate * decay ** (len(layers) - i)) for name in part]
    groups: dict[float, list[nn.Parameter]] = {}
    for key, parameter in model.named_parameters():
        found = [rate for name, rate in rates if key == name or key.startswith(f"{name}.")]
        if len(found) != 1:
            raise ValueError(f"{key} is in {len(found)} layers, must be in exactly one")
        groups.setdefault(found[0], []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items()]
