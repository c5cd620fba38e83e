"""Stand-ins: a map into windows, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def window_partition(x: Tensor, window_size: int) -> Tensor:
    """(B, H, W, C) -> (B * nW, M, M, C)."""
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(
            f"a {height} x {width} map cannot be cut into windows of {window_size} x {window_size}"
        )
    cut = x.unfold(1, window_size, window_size).unfold(2, window_size, window_size)
    return cut.flatten(0, 2).movedim(1, -1).contiguous()


def window_reverse(windows: Tensor, window_size: int, height: int, width: int) -> Tensor:
    """(B * nW, M, M, C) -> (B, H, W, C)."""
    columns = windows.unflatten(0, (-1, height // window_size, width // window_size)).unbind(2)
    return torch.cat([torch.cat(column.unbind(1), 1) for column in columns], 2)
