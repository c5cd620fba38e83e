"""The block of Swin, and patch merging, which halves the map between stages as a CNN does.

A block attends inside windows; every second block moves the windows by half a window, so that neighbours meet.
`solutions/swin_model.py` stacks these parts into the whole network.

All maps here are (B, H, W, C), channels last. Names of parameters are those of the authors' release (timm's, too).

What the two libraries do differently, and whom this file follows (`tests/test_parity_swin.py` holds all of it):

* Maps that are no multiple of M are padded with zeros, after the norm, at the bottom and on the right; padded
  positions are attended to like any other. `transformers` pads and then rolls, `timm` rolls and then pads, so the
  two agree without a shift and differ with one. Here: `transformers`' order, because only there do the rows that
  the mask calls wrapped remain the wrapped ones.
* No shift where the shorter side of the map is at most M (the authors' code, `transformers`). `timm` decides per axis.

References:
    1. Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo (2021). Swin Transformer: Hierarchical Vision Transformer using
       Shifted Windows. ICCV. https://arxiv.org/abs/2103.14030 (sections 3.1 and 3.2).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from solutions.shifted_windows import cyclic_shift, shifted_window_mask
from solutions.window_attention import WindowAttention
from solutions.windows import window_partition, window_reverse


class SwinBlock(nn.Module):
    """Pre-norm Transformer block on a map, with attention inside windows: W-MSA, or SW-MSA if
    `shift_size` > 0.

    Args:
        dim: channels C.
        num_heads: heads; C is a multiple of it.
        window_size: side M of a window.
        shift_size: s, 0 <= s < M; the paper's is M // 2 in every second block.
        mlp_ratio: hidden width of the MLP, in multiples of C.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int = 7,
        shift_size: int = 0,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(
                f"the shift must be at least 0 and below the window's {window_size}, "
                f"got {shift_size}"
            )
        self.window_size, self.shift_size = window_size, shift_size
        hidden = int(mlp_ratio * dim)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module("fc1", nn.Linear(dim, hidden))
        self.mlp.add_module("act", nn.GELU())
        self.mlp.add_module("fc2", nn.Linear(hidden, dim))
        self._mask = None

    def mask_for(self, height: int, width: int, device: torch.device) -> torch.Tensor:
        """`shifted_window_mask` for a map of this size; built once, then remembered until the
        size changes."""
        key = (height, width, device)
        if self._mask is None or self._mask[0] != key:
            mask = shifted_window_mask(height, width, self.window_size, self.shift_size)
            self._mask = (key, mask.to(device))
        return self._mask[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x + windowed attention of its norm, then + MLP of its norm.

        A map whose sides are no multiples of M is padded with zeros at the bottom and on the
        right: after the norm, before the shift. The padding is cut off again after the shift
        has been undone.

        Args:
            x: (B, H, W, C)

        Returns:
            (B, H, W, C)

        Raises:
            ValueError: if the window is larger than the map.
        """
        _, height, width, _ = x.shape
        window = self.window_size
        if min(height, width) < window:
            raise ValueError(
                f"a window of {window} x {window} does not fit into a {height} x {width} map"
            )
        # where one window spans a side of the map, there is no shift (the authors' rule)
        shift = self.shift_size if min(height, width) > window else 0
        ### BEGIN SOLUTION
        windows = self.norm1(x)
        if height % window or width % window:
            windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))
        full_height, full_width = windows.shape[1:3]
        if shift:
            windows = cyclic_shift(windows, shift)
        windows = window_partition(windows, window).flatten(1, 2)  # (B*nW, M*M, C)
        windows = self.attn(windows, self.mask_for(full_height, full_width, x.device) if shift else None)
        y = window_reverse(windows.unflatten(1, (window, window)), window, full_height, full_width)
        if shift:
            y = cyclic_shift(y, -shift)
        x = x + y[:, :height, :width]
        return x + self.mlp(self.norm2(x))
        ### END SOLUTION


class PatchMerging(nn.Module):
    """Halves the map and doubles the channels: each 2 x 2 group of C channels -> 4C -> norm ->
    linear to 2C.

    Args:
        dim: channels C.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Merges neighbours.

        The four neighbours are concatenated column by column: upper left, lower left, upper
        right, lower right (the order in which released weights expect them). A map with an odd
        side first gets a row or column of zeros at the bottom or on the right, as in both
        libraries.

        Args:
            x: (B, H, W, C)

        Returns:
            (B, ceil(H / 2), ceil(W / 2), 2C)
        """
        ### BEGIN SOLUTION
        _, height, width, _ = x.shape
        if height % 2 or width % 2:
            x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x = rearrange(x, "b (h row) (w col) c -> b h w (col row c)", row=2, col=2)
        return self.reduction(self.norm(x))
        ### END SOLUTION
