"""Attention in the neighbourhood of each pixel, in place of a convolution.

References:
1. Ramachandran, Parmar, Vaswani, Bello, Levskaya, Shlens (2019). Stand-Alone Self-Attention in Vision Models. NeurIPS.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def neighborhoods(x: Tensor, kernel_size: int) -> tuple[Tensor, Tensor]:
    """For every pixel the k x k window around it, as a convolution of stride 1 and padding k //
    2 sees it.

    Args:
        x: (B, C, H, W).
        kernel_size: k, odd.

    Returns:
        windows: (B, C, K, N) with K = k * k places of a window and N = H * W pixels, both in
            reading order: `windows[b, :, i, n]` are the channels at place i of the window
            around pixel n. Zeros where a window hangs over the border.
        inside: (K, N) bool, True where the place is a pixel of the image, False where it is
            padding.

    Raises:
        ValueError: if k is even (a window without a middle).
    """
    if kernel_size % 2 == 0:
        raise ValueError(
            f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}"
        )
    ### BEGIN SOLUTION
    columns = F.unfold(x, kernel_size, padding=kernel_size // 2)  # (B, C * K, N), channel slowest
    windows = columns.unflatten(1, (x.shape[1], -1))  # (B, C, K, N)
    ones = torch.ones_like(x[:1, :1])  # (1, 1, H, W): an image that is 1 wherever there is an image
    inside = F.unfold(ones, kernel_size, padding=kernel_size // 2)[0] > 0  # (1, K, N) -> (K, N)
    return windows, inside
    ### END SOLUTION


class LocalAttention2d(nn.Module):
    """Attention of every pixel to the k x k window around it, in place of a convolution
    (Ramachandran et al. 2019, equation 2).

    One head, scores divided by sqrt(C), and no term for the relative position (the paper's
    equation 3 adds one). A window that hangs over the border is smaller: places outside the
    image get weight zero, they are not attended to as zero vectors.

    Args:
        channels: C; `query`, `key` and `value` are 1x1 convolutions C -> C with bias.
        kernel_size: k, odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        query = self.query(x).flatten(2).unsqueeze(2)  # (B, C, 1, N): one query per window
        keys, inside = neighborhoods(self.key(x), self.kernel_size)  # (B, C, K, N), (K, N)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        scores = (query * keys).sum(dim=1) / math.sqrt(x.shape[1])  # (B, K, N)
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        attended = (weights.unsqueeze(1) * values).sum(dim=2)  # (B, C, N)
        return attended.unflatten(2, x.shape[2:])  # (B, C, H, W)
        ### END SOLUTION
