"""Scaled dot-product attention: one weighted average per query, and the mask that hides the future.

Each query asks all keys "how well do you fit?", turns the answers into weights that sum to one, and takes the
weighted average of the values.

References:
1. Bahdanau, Cho, Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate. ICLR.
2. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """softmax(Q K^T / sqrt(d)) V, equation (1) of Vaswani et al. (2017).

    N queries look at M keys. The leading axes (...) are batch axes: any number of them, none
    included.

    Args:
        query: (..., N, d).
        key: (..., M, d).
        value: (..., M, e); e may differ from d.
        mask: bool, broadcastable to (..., N, M); True = this query may attend to this key.

    Returns:
        output: (..., N, e), for each query the weighted average of the values.
        weights: (..., N, M), for each query a distribution over the keys, exactly zero where
            the mask is False.
        A query that may attend to no key at all gets weights and an output of zeros (never NaN,
        and no NaN in the gradients).
    """
    ### BEGIN SOLUTION
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (..., N, M)
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # matters only for a query that sees no key
    return weights @ value, weights
    ### END SOLUTION


def causal_mask(length: int) -> Tensor:
    """Mask that lets position i attend to positions 0..i: itself and the past.

    Args:
        length: number of positions N.

    Returns:
        (N, N) bool, True = may attend; row = query, column = key.
    """
    ### BEGIN SOLUTION
    return torch.ones(length, length, dtype=torch.bool).tril()
    ### END SOLUTION
