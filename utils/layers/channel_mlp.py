"""The MLP of a MetaFormer block: two 1 x 1 convolutions, which are linear layers on the channels of each position.

Convolutions and not `F.linear` on a map with channels last, although the arithmetic is the same: on the two-core AMD machine of
`data/results/bench.json` PyTorch's convolutions reach half again the speed of its matrix products (notebook 05, section 11), and PoolFormer-S12
with them takes little more than half the time.
"""

from __future__ import annotations

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
        return self.fc2(self.act(self.fc1(x)))
