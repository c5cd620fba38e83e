"""Stand-ins: attention in the neighbourhood of each pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def neighborhoods(x: Tensor, kernel_size: int) -> tuple[Tensor, Tensor]:
    """(B, C, H, W) -> windows (B, C, K, N) with zeros outside the image, and (K, N) bool, True inside it."""
    if kernel_size % 2 == 0:
        raise ValueError(f"a window has a middle only if its side is odd, got {kernel_size}")
    margin = kernel_size // 2

    def windows_of(images: Tensor) -> Tensor:
        padded = F.pad(images, (margin,) * 4)
        cut = padded.unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)  # (B, C, H, W, k, k)
        return cut.flatten(4).flatten(2, 3).transpose(2, 3)  # (B, C, K, N)

    inside = windows_of(torch.ones(1, 1, *x.shape[2:]))[0, 0] == 1
    return windows_of(x), inside.to(x.device)
