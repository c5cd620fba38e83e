"""The parts of Swin: windows, relative position bias, the shift and its mask, the block, patch merging.

Attention between all pixels of an h x w map costs (hw)^2. Swin lets a pixel attend only inside its M x M window,
which is linear in hw, moves the windows by half a window in every second block so that neighbours meet, and
halves the map between stages as a CNN does. `solutions/swin_model.py` stacks these parts into the whole network.

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
    2. Shaw, Uszkoreit, Vaswani (2018). Self-Attention with Relative Position Representations. NAACL.
       https://arxiv.org/abs/1803.02155
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn


def window_partition(x: torch.Tensor, window_size: int) -> torch.Tensor:
    """Cuts a map into windows that do not overlap.

    Args:
        x: (B, H, W, C); H and W are multiples of `window_size`.
        window_size: side M of a window.

    Returns:
        (B * nW, M, M, C) with nW = (H / M) * (W / M). Windows are in reading order (left to right, then down), and
        all windows of the first image come before those of the second.

    Raises:
        ValueError: if H or W is not a multiple of M.
    """
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(
            f"a {height} x {width} map cannot be cut into windows of {window_size} x {window_size}"
        )
    ### BEGIN SOLUTION
    return rearrange(x, "b (rows m) (cols n) c -> (b rows cols) m n c", m=window_size, n=window_size)
    ### END SOLUTION


def window_reverse(windows: torch.Tensor, window_size: int, height: int, width: int) -> torch.Tensor:
    """Puts windows back where `window_partition` took them from.

    Args:
        windows: (B * nW, M, M, C) in the order of `window_partition`.
        window_size: side M of a window.
        height, width: the map's H and W, multiples of M. (B follows from them.)

    Returns:
        (B, H, W, C)
    """
    ### BEGIN SOLUTION
    rows, cols = height // window_size, width // window_size
    return rearrange(windows, "(b rows cols) m n c -> b (rows m) (cols n) c", rows=rows, cols=cols)
    ### END SOLUTION


def relative_position_index(window_size: int) -> torch.Tensor:
    """Which entry of the bias table belongs to which pair of positions in a window.

    Position i of a window stands in row i // M and column i % M. A pair (query i, key j) is described by
    dy = row_i - row_j and dx = col_i - col_j, both in -(M - 1) .. M - 1. The table lists all (2M - 1)^2 offsets in
    reading order, beginning with dy = dx = -(M - 1).

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
    """Multi-head self-attention inside windows, with a learned bias per head and relative position.

    softmax(q k^T / sqrt(d) + bias) v, where bias[h, i, j] = table[index[i, j], h] (reference 1, equation 4).

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
        self.qkv = nn.Linear(dim, 3 * dim)  # output: all of q, then k, then v; within each, head after head
        self.proj = nn.Linear(dim, dim)
        # (number of offsets, heads)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer(
            "relative_position_index", relative_position_index(window_size), persistent=False
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Attention inside each window.

        Args:
            x: (B * nW, N, C) windows with N = M * M positions, in the order of `window_partition`.
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


def cyclic_shift(x: torch.Tensor, shift_size: int) -> torch.Tensor:
    """Moves the map up and to the left; what leaves at one edge comes back at the opposite one.

    Args:
        x: (B, H, W, C)
        shift_size: s, in pixels. Position (s, s) moves to (0, 0). A negative s moves down and to the right, so
            `cyclic_shift(cyclic_shift(x, s), -s)` is x.

    Returns:
        (B, H, W, C), a new tensor.
    """
    ### BEGIN SOLUTION
    return torch.roll(x, shifts=(-shift_size, -shift_size), dims=(1, 2))
    ### END SOLUTION


def shifted_window_mask(height: int, width: int, window_size: int, shift_size: int) -> torch.Tensor:
    """Who may attend to whom in the windows of a map that `cyclic_shift` has moved.

    After the shift, the last s rows and columns hold pixels that came from the opposite edge. In a window of the last
    row or column they sit beside pixels that are far from them in the image, and must not attend to those, nor be
    attended to by them.

    Args:
        height, width: the map's H and W, multiples of M.
        window_size: side M of a window.
        shift_size: s, 0 <= s < M. With s = 0 everyone may attend.

    Returns:
        (nW, M * M, M * M) bool, True = may attend; windows and positions in the order of `window_partition`.
    """
    ### BEGIN SOLUTION
    wrapped_row = torch.arange(height) >= height - shift_size  # (H,)
    wrapped_col = torch.arange(width) >= width - shift_size  # (W,)
    # four kinds of pixel: neither, column, row or both wrapped round
    kind = 2 * wrapped_row.long()[:, None] + wrapped_col.long()[None, :]  # (H, W)
    kind = window_partition(kind[None, :, :, None], window_size).flatten(1)  # (nW, M*M)
    return kind[:, :, None] == kind[:, None, :]
    ### END SOLUTION


class SwinBlock(nn.Module):
    """Pre-norm Transformer block on a map, with attention inside windows: W-MSA, or SW-MSA if `shift_size` > 0.

    Args:
        dim: channels C.
        num_heads: heads; C is a multiple of it.
        window_size: side M of a window.
        shift_size: s, 0 <= s < M; the paper's is M // 2 in every second block.
        mlp_ratio: hidden width of the MLP, in multiples of C.
    """

    def __init__(
        self, dim: int, num_heads: int, window_size: int = 7, shift_size: int = 0, mlp_ratio: float = 4.0
    ) -> None:
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(
                f"the shift must be at least 0 and below the window's {window_size}, got {shift_size}"
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
        """`shifted_window_mask` for a map of this size; built once, then remembered until the size changes."""
        key = (height, width, device)
        if self._mask is None or self._mask[0] != key:
            mask = shifted_window_mask(height, width, self.window_size, self.shift_size)
            self._mask = (key, mask.to(device))
        return self._mask[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x + windowed attention of its norm, then + MLP of its norm.

        A map whose sides are no multiples of M is padded with zeros at the bottom and on the right: after the norm,
        before the shift. The padding is cut off again after the shift has been undone.

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
            raise ValueError(f"a window of {window} x {window} does not fit into a {height} x {width} map")
        # where one window spans the map, a shift would only cut the map in two
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
    """Halves the map and doubles the channels: each 2 x 2 group of C channels -> 4C -> norm -> linear to 2C.

    Args:
        dim: channels C.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Merges neighbours.

        The four neighbours are concatenated column by column: upper left, lower left, upper right, lower right (the
        order in which released weights expect them). A map with an odd side first gets a row or column of zeros at the
        bottom or on the right, as in both libraries.

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
