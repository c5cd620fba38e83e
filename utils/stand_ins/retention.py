"""Stand-ins: decay, and retention of a whole sequence at once."""

from __future__ import annotations

import torch
from torch import Tensor


def decay_matrix(decay: Tensor, length: int) -> Tensor:
    """(H,) -> (H, N, N): running products down each column."""
    steps = decay[:, None, None].expand(-1, length, length)
    ones = torch.ones(length, length, dtype=decay.dtype, device=decay.device)
    below = torch.where(ones.tril(-1).bool(), steps, ones)  # gamma below the diagonal, 1 on it and above
    return torch.cumprod(below, dim=1) * ones.tril()


def retention_parallel(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    """(B, H, N, d), (B, H, N, d), (B, H, N, e), (H,) -> (B, H, N, e)."""
    return torch.einsum("bhnd,bhmd,hnm,bhme->bhne", query, key, decay_matrix(decay, query.shape[2]), value)
