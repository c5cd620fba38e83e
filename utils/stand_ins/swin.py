"""Stand-ins for notebook 07: windows, their attention with its bias and its cost, the shift and its mask, the block, patch merging.

The work is done by PyTorch's own views and kernels, and the attention is not fast.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def window_partition(x: Tensor, window_size: int) -> Tensor:
    """(B, H, W, C) -> (B * nW, M, M, C)."""
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(
            f"a {height} x {width} map cannot be cut into windows of {window_size} x {window_size}"
        )
    return (
        x.unfold(1, window_size, window_size).unfold(2, window_size, window_size).flatten(0, 2).movedim(1, -1)
    )


def window_reverse(windows: Tensor, window_size: int, height: int, width: int) -> Tensor:
    """(B * nW, M, M, C) -> (B, H, W, C)."""
    columns = windows.unflatten(0, (-1, height // window_size, width // window_size)).unbind(2)
    return torch.cat([torch.cat(column.unbind(1), 1) for column in columns], 2)


def relative_position_index(window_size: int) -> Tensor:
    """(M * M, M * M) int64."""
    axis = torch.arange(window_size)
    place = torch.cartesian_prod(axis, axis)  # (M*M, 2)
    apart = place[:, None] - place[None, :] + window_size - 1  # (M*M, M*M, 2)
    return torch.tensordot(apart, torch.tensor([2 * window_size - 1, 1]), 1)


class WindowAttention(nn.Module):
    """`F.multi_head_attention_forward`, PyTorch's own, with the bias (and -inf for hidden pairs) as its mask."""

    def __init__(self, dim: int, window_size: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{dim} channels cannot be shared equally by {num_heads} heads")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer(
            "relative_position_index", relative_position_index(window_size), persistent=False
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B * nW, N, C), mask (nW, N, N) bool or None -> (B * nW, N, C)."""
        bias = F.embedding(self.relative_position_index, self.relative_position_bias_table).movedim(-1, 0)
        bias = bias.repeat(len(x), 1, 1)  # (B*nW*heads, N, N)
        if mask is not None:
            seen = mask.repeat(len(x) // len(mask), 1, 1).repeat_interleave(self.num_heads, 0)
            bias = bias.where(seen, torch.full_like(bias, float("-inf")))
        tokens = x.transpose(0, 1)  # (N, B*nW, C)
        output, _ = F.multi_head_attention_forward(
            *(tokens, tokens, tokens),
            embed_dim_to_check=x.shape[-1],
            num_heads=self.num_heads,
            in_proj_weight=self.qkv.weight,
            in_proj_bias=self.qkv.bias,
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.proj.weight,
            out_proj_bias=self.proj.bias,
            need_weights=False,
            attn_mask=bias,
        )
        return output.transpose(0, 1)


def msa_flops(h: int, w: int, channels: int) -> int:
    """Multiply-adds of global attention: that of one window as large as the map."""
    return h * w * channels * (4 * channels + 2 * h * w)


def window_msa_flops(h: int, w: int, channels: int, window_size: int) -> int:
    """Multiply-adds of windowed attention."""
    return h * w * channels * (4 * channels + 2 * window_size**2)


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


class SwinBlock(nn.Module):
    """The parts above, in the block's order."""

    def __init__(
        self, dim: int, num_heads: int, window_size: int = 7, shift_size: int = 0, mlp_ratio: float = 4.0
    ):
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(
                f"the shift must be at least 0 and below the window's {window_size}, got {shift_size}"
            )
        self.window_size, self.shift_size = window_size, shift_size
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module("fc1", nn.Linear(dim, int(mlp_ratio * dim)))
        self.mlp.add_module("act", nn.GELU())
        self.mlp.add_module("fc2", nn.Linear(int(mlp_ratio * dim), dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        _, height, width, _ = x.shape
        window = self.window_size
        if min(height, width) < window:
            raise ValueError(f"a window of {window} x {window} does not fit into a {height} x {width} map")
        shift = self.shift_size if min(height, width) > window else 0
        full = [side + -side % window for side in (height, width)]
        padded = F.pad(self.norm1(x), (0, 0, 0, full[1] - width, 0, full[0] - height))
        windows = window_partition(cyclic_shift(padded, shift), window).flatten(1, 2)
        mask = shifted_window_mask(*full, window, shift).to(x.device)
        attended = self.attn(windows, mask).unflatten(1, (window, window))
        attended = cyclic_shift(window_reverse(attended, window, *full), -shift)
        x = x + attended[:, :height, :width]
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    """`F.pixel_unshuffle` gathers the neighbours; its channel order is turned into the exercise's."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), 2C)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2)).movedim(-1, 1)
        merged = F.pixel_unshuffle(x, 2).unflatten(1, (-1, 2, 2))  # (B, C, row, column, H/2, W/2)
        merged = merged.permute(0, 4, 5, 3, 2, 1).flatten(3)
        return self.reduction(self.norm(merged))
