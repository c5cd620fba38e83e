"""Stand-ins: the cyclic shift and its mask."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.stand_ins.windows import window_partition


def cyclic_shift(x: Tensor, shift_size: int) -> Tensor:
    """(B, H, W, C) -> (B, H, W, C)."""
    rows, cols = ((torch.arange(side, device=x.device) + shift_size) % side for side in x.shape[1:3])
    return x.index_select(1, rows).index_select(2, cols)


def shifted_window_mask(height: int, width: int, window_size: int, shift_size: int) -> Tensor:
    """(nW, M * M, M * M) bool: who lies between the same cut lines, which the shift has moved over the image."""
    strips = []
    for side in (height, width):
        lines = (
            torch.arange(shift_size, side, window_size)
            if shift_size
            else torch.arange(window_size, side, window_size)
        )
        strips.append(torch.bucketize(torch.arange(side), lines, right=True))
    cells = strips[0][:, None] * width + strips[1][None, :]  # (H, W)
    cells = window_partition(cyclic_shift(cells[None, :, :, None], shift_size), window_size).flatten(1)
    return torch.eq(cells.unsqueeze(2), cells.unsqueeze(1))
