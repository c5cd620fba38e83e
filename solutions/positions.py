"""Positions as clock hands: what tells a Transformer the order of its tokens.

References:
1. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sinusoidal_positions(length: int, dim: int) -> Tensor:
    """The paper's position encodings: each pair of columns is a clock hand that turns at its
    own speed (section 3.5).

    PE[p, 2i] = sin(p / 10000^(2i / D)) and PE[p, 2i + 1] = cos(p / 10000^(2i / D)): sines in
    the even columns, cosines in the odd ones, so that the two numbers of one hand are
    neighbours.

    Args:
        length: number of positions N; p = 0 .. N - 1.
        dim: width D of a token, even; i = 0 .. D / 2 - 1.

    Returns:
        (N, D) float32.

    Raises:
        ValueError: if D is odd.
    """
    if dim % 2:
        raise ValueError(f"sine and cosine come in pairs, so dim must be even, got {dim}")
    ### BEGIN SOLUTION
    positions = torch.arange(length).unsqueeze(1)  # (N, 1)
    speeds = 10000 ** (-torch.arange(0, dim, 2) / dim)  # (D/2,): 1 down to about 1/10000
    angles = positions * speeds  # (N, D/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (N, D/2, 2) -> (N, D)
    ### END SOLUTION
