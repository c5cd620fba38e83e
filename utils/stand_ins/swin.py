"""Stand-ins: the Swin block and patch merging."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from utils.stand_ins.shifted_windows import cyclic_shift, shifted_window_mask
from utils.stand_ins.window_attention import WindowAttention
from utils.stand_ins.windows import window_partition, window_reverse


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
