"""Attention between all pixels of a feature map, as a layer inside a CNN.

A pixel is a token: an image of H x W pixels is a set of N = H * W vectors of C numbers.

References:
1. Wang, Girshick, Gupta, He (2018). Non-local Neural Networks. CVPR.
2. Zhang, Goodfellow, Metaxas, Odena (2019). Self-Attention Generative Adversarial Networks. ICML.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SelfAttention2d(nn.Module):
    """Self-attention over all pixels of a feature map, added to it through a gate: x + gamma *
    output(attention(x)).

    The layout (queries, keys, values and the output as 1x1 convolutions, a residual connection)
    is that of the non-local block (Wang et al. 2018); the gate gamma, one learned number that
    starts at zero, is SAGAN's (Zhang et al. 2019). Scores are divided by sqrt(d) as in the
    Transformer; these two leave them as they are.

    The parameters are four 1x1 convolutions with bias, `query`, `key`, `value` (C -> d each)
    and `output` (d -> C), which start as PyTorch makes them, and `gamma` of shape (1,).

    Args:
        channels: C of the feature map.
        head_channels: width d of queries, keys and values; default C. SAGAN takes C / 8, to
            save work.
    """

    def __init__(self, channels: int, head_channels: int | None = None) -> None:
        super().__init__()
        head_channels = head_channels or channels
        ### BEGIN SOLUTION
        self.query = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.key = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.value = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.output = nn.Conv2d(head_channels, channels, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1))
        ### END SOLUTION

    def weights(self, x: Tensor) -> Tensor:
        """How much each pixel looks at each other one.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, N, N) with N = H * W pixels in reading order; row = query, column = key; each
            row sums to 1.
        """
        ### BEGIN SOLUTION
        query = self.query(x).flatten(2)  # (B, d, H, W) -> (B, d, N)
        key = self.key(x).flatten(2)
        scores = query.transpose(1, 2) @ key / math.sqrt(query.shape[1])  # (B, N, d) @ (B, d, N) -> (B, N, N)
        return scores.softmax(dim=-1)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        value = self.value(x).flatten(2)  # (B, d, N)
        attended = value @ self.weights(x).transpose(1, 2)  # (B, d, N): column n is what query n takes
        folded = attended.unflatten(2, x.shape[2:])  # (B, d, N) -> (B, d, H, W)
        return x + self.gamma * self.output(folded)
        ### END SOLUTION
