"""Stand-ins: which expert gets which token."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def top_k_router(logits: Tensor, k: int, renormalize: bool = False) -> tuple[Tensor, Tensor]:
    """(T, E) scores -> weights and experts, (T, k) each: a sort by score, then a softmax over the chosen or over all."""
    if not 1 <= k <= logits.shape[-1]:
        raise ValueError(f"each token is to be sent to k = {k} experts, and there are {logits.shape[-1]}")
    scores, order = torch.sort(logits, dim=-1, descending=True)
    if renormalize:
        return F.softmax(scores[..., :k], dim=-1), order[..., :k]
    return F.softmax(scores, dim=-1)[..., :k], order[..., :k]


def keep_within_capacity(experts: Tensor, num_experts: int, capacity: int) -> Tensor:
    """(T, k) -> (T, k) bool: each expert walks along the queue by itself."""
    queue = experts.t().reshape(-1)
    kept = torch.zeros_like(queue, dtype=torch.bool)
    for expert in range(num_experts):
        kept[(queue == expert).nonzero()[:capacity]] = True
    return kept.reshape(experts.shape[1], experts.shape[0]).t()


def load_balancing_loss(logits: Tensor, experts: Tensor) -> Tensor:
    """(T, E) scores, (T, k) choices -> scalar."""
    if logits.shape[0] == 0:
        raise ValueError("the balance of no tokens at all is not defined: logits have shape (0, E)")
    counts = torch.bincount(experts.reshape(-1), minlength=logits.shape[1]) / experts.numel()
    return logits.shape[1] * torch.dot(counts.to(logits.dtype), F.softmax(logits, dim=1).mean(0))
