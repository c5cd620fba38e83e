"""Retention: attention without the softmax. Here the matrix form, which computes all positions at once.

o_n = sum over m <= n of gamma^(n - m) (q_n . k_m) v_m. `solutions/retention_recurrent.py` has the two forms that carry a state.

Here is the operation itself. A RetNet layer [1] puts around it: queries and keys divided and rotated (their relative positions are
then part of q_n . k_m), a norm per head, and a gate. `gamma` differs from head to head, 1 - 2^(-5 - h) in the paper.

References:
    1. Sun, Dong, Huang, Ma, Xia, Xue, Wang, Wei (2023). Retentive Network: A Successor to Transformer for Large Language
       Models. https://arxiv.org/abs/2307.08621 (section 2.1: equation 5)
"""

from __future__ import annotations

import torch
from torch import Tensor


def decay_matrix(decay: Tensor, length: int) -> Tensor:
    """How much position n still has of position m: D[n, m] = gamma^(n - m) for m <= n, and 0
    for the future.

    Args:
        decay: (H,), gamma of each head, above 0 and at most 1.
        length: number of positions N.

    Returns:
        (H, N, N) of decay's dtype; row = n (the query), column = m (the key). Finite, with
        finite gradients, for any N.
    """
    ### BEGIN SOLUTION
    position = torch.arange(length, device=decay.device)
    distance = position[:, None] - position[None, :]  # (N, N), n - m
    # gamma to a negative power overflows (and infinity times 0 is not a number), so the future is cut off before and after
    return (decay[:, None, None] ** distance.clamp(min=0)).tril()
    ### END SOLUTION


def retention_parallel(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    """All positions at once: (Q K^T * D) V, with * elementwise (Sun et al. 2023, equation 5).
    No softmax, no division by sqrt(d).

    Args:
        query, key: (B, H, N, d).
        value: (B, H, N, e).
        decay: (H,), gamma of each head.

    Returns:
        (B, H, N, e)
    """
    ### BEGIN SOLUTION
    scores = query @ key.transpose(-2, -1)  # (B, H, N, N)
    return (scores * decay_matrix(decay, query.shape[2])) @ value
    ### END SOLUTION
