"""Retention with a state: the same function as the matrix form, step by step, and chunk by chunk.

Without a softmax, o_n = sum over m <= n of gamma^(n - m) (q_n . k_m) v_m is linear in everything that came before n. So the sum
can be carried along as a small matrix, the *state*: S_n = gamma S_(n-1) + k_n^T v_n and o_n = q_n S_n. Training uses the matrix
form (all positions at once, N^2), generation the recurrent form (one step, the same cost at any length), long sequences a
mixture: matrices inside chunks, the state between them.

References:
    1. Sun, Dong, Huang, Ma, Xia, Xue, Wang, Wei (2023). Retentive Network: A Successor to Transformer for Large Language
       Models. https://arxiv.org/abs/2307.08621 (section 2.1: equations 6 and 7)
    2. Katharopoulos, Vyas, Pappas, Fleuret (2020). Transformers are RNNs: Fast Autoregressive Transformers with Linear
       Attention. ICML. https://arxiv.org/abs/2006.16236
"""

from __future__ import annotations

import torch
from torch import Tensor

from solutions.retention import retention_parallel


def retention_recurrent(
    query: Tensor, key: Tensor, value: Tensor, decay: Tensor, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One position after the other: S_n = gamma S_(n-1) + k_n^T v_n, o_n = q_n S_n (equation
    6).

    Args:
        query, key: (B, H, N, d).
        value: (B, H, N, e).
        decay: (H,), gamma of each head.
        state: (B, H, d, e), S from an earlier call, to go on from there; None: zeros, a new
            sequence. It is left as it is.

    Returns:
        output: (B, H, N, e)
        state: (B, H, d, e), S after the last position.
    """
    batch, heads, length, width = query.shape
    if state is None:
        state = value.new_zeros(batch, heads, width, value.shape[-1])
    if length == 0:
        return value, state  # no positions: an empty output
    ### BEGIN SOLUTION
    gamma = decay[:, None, None]  # (H, 1, 1): one number per head, for every entry of its state
    outputs = []
    for n in range(length):
        row = slice(n, n + 1)  # keeps the axis: (B, H, 1, d)
        # (B, H, d, e) + (B, H, d, 1) @ (B, H, 1, e)
        state = gamma * state + key[:, :, row].transpose(-2, -1) @ value[:, :, row]
        outputs.append(query[:, :, row] @ state)  # (B, H, 1, d) @ (B, H, d, e)
    return torch.cat(outputs, dim=2), state
    ### END SOLUTION


def retention_chunkwise(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decay: Tensor,
    chunk_size: int,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The matrix form inside chunks of C positions, the state between them (equation 7).

    With i = 1 .. C counting the positions of a chunk and S the state before it, o_i = (what the
    matrix form gives inside the chunk) + gamma^i q_i S, and afterwards S <- gamma^C S + sum_i
    gamma^(C - i) k_i^T v_i.

    Args:
        query, key: (B, H, N, d).
        value: (B, H, N, e).
        decay: (H,), gamma of each head.
        chunk_size: C. Where it does not divide N, the last chunk is shorter.
        state: (B, H, d, e), S from an earlier call; None: zeros. It is left as it is.

    Returns:
        output: (B, H, N, e)
        state: (B, H, d, e), S after the last position.

    Raises:
        ValueError: if the chunk has no positions.
    """
    if chunk_size < 1:
        raise ValueError(f"a chunk needs at least one position, got chunk_size = {chunk_size}")
    if state is None:
        state = value.new_zeros(*query.shape[:2], query.shape[-1], value.shape[-1])
    gamma = decay[:, None, None]  # (H, 1, 1)
    ### BEGIN SOLUTION
    outputs = []
    for q, k, v in zip(*(x.split(chunk_size, dim=2) for x in (query, key, value)), strict=True):
        length = q.shape[2]  # C, or what is left
        i = torch.arange(1, length + 1, device=q.device)[:, None]  # (C, 1)
        inside = retention_parallel(q, k, v, decay)  # (B, H, C, e)
        before = gamma**i * (q @ state)  # (H, C, 1) * (B, H, C, e)
        outputs.append(inside + before)
        gathered = (gamma ** (length - i) * k).transpose(-2, -1) @ v  # (B, H, d, C) @ (B, H, C, e)
        state = gamma**length * state + gathered
    return torch.cat(outputs, dim=2), state
    ### END SOLUTION
