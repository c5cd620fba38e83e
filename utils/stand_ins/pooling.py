"""Stand-ins: the token mixer of PoolFormer."""

from __future__ import annotations

from torch import Tensor, nn


class Pooling(nn.AvgPool2d):
    """`nn.AvgPool2d` without its padding in the count, minus the input."""

    def __init__(self, pool_size: int = 3) -> None:
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f"a neighbourhood with the token in its middle has an odd side, got {pool_size}")
        super().__init__(pool_size, stride=1, padding=pool_size // 2, count_include_pad=False)
        self.pool_size = pool_size

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return super().forward(x) - x
