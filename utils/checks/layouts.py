"""The same numbers laid out otherwise in memory: what `.view` and strides depend on, and no text of an exercise asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Arguments = tuple[list[Any], dict[str, Any]]


def strewn(given: Arguments) -> Arguments:
    """Arguments of which each tensor has its axes in another order in memory, and gaps between its numbers."""
    args, kwargs = given
    return [_strewn(value) for value in args], {name: _strewn(value) for name, value in kwargs.items()}


def _strewn(value: Any) -> Any:
    """A map (B, C, H, W) is channels_last, another tensor has its axes reversed; both are crops of something larger."""
    if not isinstance(value, Tensor) or not value.ndim:
        return value
    axes = [0, 2, 3, 1] if value.ndim == 4 else [*reversed(range(value.ndim))]
    sizes = [value.shape[axis] for axis in axes]
    room = torch.zeros([size + 1 for size in sizes[:-1]] + [2 * sizes[-1]], dtype=value.dtype)
    places = (*(slice(size) for size in sizes[:-1]), slice(None, None, 2))
    room[places] = value.detach().permute(axes)
    if value.requires_grad:
        room = room.requires_grad_().clone()  # no leaf, so that an in-place change is seen, not refused
    return room[places].permute([axes.index(axis) for axis in range(value.ndim)])
