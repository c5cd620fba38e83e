"""Stand-ins: what attention weights show."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_attention_distance(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """(..., N, N) attention weights -> (...) mean distance of query and key in patches; a CLS token is left out."""
    rows, columns = grid
    cls = weights.shape[-1] - rows * columns
    if cls not in (0, 1):
        raise ValueError(f"{weights.shape[-1]} tokens do not fit {rows} x {columns} patches")
    patches = weights[..., cls:, cls:]
    patches = patches / patches.sum(-1, keepdim=True)
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(patches)
    return torch.einsum("...qk,qk->...q", patches, torch.cdist(places, places)).mean(-1)
