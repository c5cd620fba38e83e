"""Attention inside the windows of Swin, with one learned bias per head and relative position.

Attention between all pixels of an h x w map costs (hw)^2. Swin lets a pixel attend only inside its M x M window, which is
linear in hw. Names of parameters are those of the authors' release (timm's, too).

References:
    1. Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo (2021). Swin Transformer: Hierarchical Vision Transformer using
       Shifted Windows. ICCV. https://arxiv.org/abs/2103.14030 (section 3.2).
    2. Shaw, Uszkoreit, Vaswani (2018). Self-Attention with Relative Position Representations. NAACL.
       https://arxiv.org/abs/1803.02155
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn


def relative_position_index(window_size: int) -> torch.Tensor:
    """Which entry of the bias table belongs to which pair of positions in a window.

    Position i of a window stands in row i // M and column i % M. A pair (query i, key j) is
    described by dy = row_i - row_j and dx = col_i - col_j, both in -(M - 1) .. M - 1. The table
    lists all (2M - 1)^2 offsets in reading order, beginning with dy = dx = -(M - 1).

    Args:
        window_size: side M of a window.

    Returns:
        (M * M, M * M) int64, row = query, column = key, values in 0 .. (2M - 1)^2 - 1.
    """
    ### BEGIN SOLUTION
    position = torch.arange(window_size * window_size)
    row, col = position // window_size, position % window_size
    dy = row[:, None] - row[None, :] + window_size - 1  # (M*M, M*M), 0 .. 2M-2
    dx = col[:, None] - col[None, :] + window_size - 1
    return dy * (2 * window_size - 1) + dx
    ### END SOLUTION


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learned bias per head and relative
    position.

    softmax(q k^T / sqrt(d) + bias) v, where bias[h, i, j] = table[index[i, j], h] (reference 1,
    equation 4).

    Args:
        dim: channels C.
        window_size: side M of a window.
        num_heads: heads; C is a multiple of it.

    Raises:
        ValueError: if C is not a multiple of `num_heads`.
    """

    def __init__(self, dim: int, window_size: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{dim} channels cannot be shared equally by {num_heads} heads")
        self.num_heads = num_heads
        self.qkv = nn.Linear(
            dim, 3 * dim
        )  # output: all of q, then k, then v; within each, head after head
        self.proj = nn.Linear(dim, dim)
        # (number of offsets, heads)
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros((2 * window_size - 1) ** 2, num_heads)
        )
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer(
            "relative_position_index", relative_position_index(window_size), persistent=False
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attention inside each window.

        Args:
            x: (B * nW, N, C) windows with N = M * M positions, in the order of
                `window_partition`.
            mask: (nW, N, N) bool, True = may attend; the same for every image. None: all may.

        Returns:
            (B * nW, N, C)
        """
        ### BEGIN SOLUTION
        qkv = rearrange(self.qkv(x), "w n (three h d) -> three w h n d", three=3, h=self.num_heads)
        q, k, v = qkv  # each (B*nW, h, N, d)
        bias = self.relative_position_bias_table.T[:, self.relative_position_index]  # (h, N, N)
        scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)  # (B*nW, h, N, N)
        if mask is not None:
            bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)
            scores = scores.unflatten(0, (-1, len(mask)))  # (B, nW, h, N, N)
        scores = scores + bias
        weights = scores.softmax(-1).reshape(len(x), *scores.shape[-3:])  # (B*nW, h, N, N)
        return self.proj(rearrange(weights @ v, "w h n d -> w n (h d)"))
        ### END SOLUTION
