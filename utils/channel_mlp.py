"""The MLP of a MetaFormer block: two 1 x 1 convolutions, computed as matrix products where that is faster.

A 1 x 1 convolution is a linear layer on the channels of each position. Where a map's memory already holds the channels of a position
side by side (channels last), a CPU computes the linear layer faster than the convolution, above all backwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelMLP(nn.Module):
    """C -> hidden -> C at each position, with exact GELU between; the same for every position.

    Args:
        dim: channels C.
        hidden: hidden width.

    Parameters are those of two `nn.Conv2d` with kernel 1, `fc1` and `fc2`, as in released weights.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(dim, hidden, kernel_size=1)
        self.act = nn.GELU()
        self.fc2 = nn.Conv2d(hidden, dim, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), in the memory layout of x."""
        if x.device.type != "cpu" or not x.is_contiguous(memory_format=torch.channels_last):
            return self.fc2(self.act(self.fc1(x)))
        rows = x.permute(0, 2, 3, 1)  # (B, H, W, C), no copy
        hidden = self.act(F.linear(rows, self.fc1.weight.flatten(1), self.fc1.bias))
        return F.linear(hidden, self.fc2.weight.flatten(1), self.fc2.bias).permute(0, 3, 1, 2)
