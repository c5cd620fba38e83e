"""Stand-ins: sinusoidal positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoidal_positions(length: int, dim: int) -> Tensor:
    """(N, D) float32; computed in double precision from complex rotations."""
    if dim % 2:
        raise ValueError(f"sine and cosine come in pairs, so dim must be even, got {dim}")
    speeds = torch.exp(-math.log(10000.0) * torch.arange(0, dim, 2, dtype=torch.float64) / dim)  # (D/2,)
    hands = torch.polar(
        torch.ones((), dtype=torch.float64), torch.outer(torch.arange(length).double(), speeds)
    )
    return torch.view_as_real(hands).flip(-1).flatten(1).float()  # (cos, sin) -> (sin, cos)
