"""Stochastic depth: in training, a residual branch is left out for some images of the batch.

1. Gao Huang, Yu Sun, Zhuang Liu, Daniel Sedra, Kilian Q. Weinberger. "Deep Networks with Stochastic Depth".
   ECCV 2016. https://arxiv.org/abs/1603.09382
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Multiplies each sample of a batch by 0 (with probability `rate`) or by 1 / (1 - rate).

    The expectation is unchanged, so nothing is left to do in eval mode: there the module is the identity.
    Put it on the residual *branch*, not on the sum: `x + stochastic_depth(branch(x))`.

    Args:
        rate: probability of leaving the branch out, 0 <= rate < 1.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"the rate of stochastic depth must be at least 0 and below 1, got {rate}")
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training or self.rate == 0:
            return branch
        keep = 1 - self.rate
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)  # one draw per sample, broadcast over the rest
        return branch * torch.empty(shape, dtype=branch.dtype, device=branch.device).bernoulli_(keep).div_(
            keep
        )

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def depth_rates(rate: float, depth: int) -> list[float]:
    """Rates that grow linearly from 0 at the first layer to `rate` at the last (Huang et al. 2016, section 3).

    Args:
        rate: rate of the last layer.
        depth: number of layers.

    Returns:
        `depth` floats.
    """
    return [rate * layer / max(1, depth - 1) for layer in range(depth)]
