"""PoolFormer's token mixer: the mean of the neighbourhood, without a parameter.

1. Weihao Yu, Mi Luo, Pan Zhou, Chenyang Si, Yichen Zhou, Xinchao Wang, Jiashi Feng, Shuicheng Yan. "MetaFormer Is Actually
   What You Need for Vision". CVPR 2022. https://arxiv.org/abs/2111.11418 (section 3)
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Pooling(nn.Module):
    """Token mixer without parameters: the mean of the neighbourhood, minus the token itself (Yu
    et al. 2022).

    The mean is over the positions of the K x K neighbourhood that lie inside the map: 9, 6 or 4
    of them for K = 3. The token is subtracted because the block that calls the mixer adds it
    back.

    Args:
        pool_size: side K of the neighbourhood, odd.

    Raises:
        ValueError: if K is even or not positive: no position would be in the middle.
    """

    def __init__(self, pool_size: int = 3) -> None:
        super().__init__()
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(
                f"a neighbourhood with the token in its middle has an odd side, got {pool_size}"
            )
        self.pool_size = pool_size

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        mean = F.avg_pool2d(x, self.pool_size, stride=1, padding=self.pool_size // 2, count_include_pad=False)
        return mean - x
        ### END SOLUTION
