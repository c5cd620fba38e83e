"""Stand-ins: from patches to tokens with a class token and positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchEmbedding(nn.Module):
    """(B, C, H, W) -> (B, N, D), as a strided convolution over the weight of a linear layer."""

    def __init__(self, patch_size: int, dim: int, in_channels: int = 3) -> None:
        super().__init__()
        self.patch_size, self.in_channels = patch_size, in_channels
        self.projection = nn.Linear(in_channels * patch_size * patch_size, dim)

    def forward(self, images: Tensor) -> Tensor:
        p = self.patch_size
        kernels = self.projection.weight.unflatten(1, (self.in_channels, p, p))
        return F.conv2d(images, kernels, self.projection.bias, stride=p).flatten(2).transpose(1, 2)


def add_cls_and_positions(tokens: Tensor, cls_token: Tensor | None, positions: Tensor) -> Tensor:
    """(B, N, D) -> (B, N + 1, D), CLS first; without CLS (B, N, D)."""
    if cls_token is None:
        return tokens + positions
    padded = F.pad(tokens, (0, 0, 1, 0))
    first = torch.zeros_like(positions)
    first[:, :1] = 1
    return padded + first * cls_token + positions
