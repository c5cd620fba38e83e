"""Stand-ins for notebook 09: the router, places and balance of a mixture of experts; cross-attention; decay and retention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


class CrossAttention(nn.Module):
    """`F.multi_head_attention_forward`, PyTorch's own, between two layer norms' outputs."""

    def __init__(self, query_dim: int, input_dim: int, num_heads: int = 1) -> None:
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {query_dim}")
        self.num_heads = num_heads
        self.norm_query, self.norm_input = nn.LayerNorm(query_dim), nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key, self.value = nn.Linear(input_dim, query_dim), nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries: Tensor, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, M, Q), (B, N, D), (B, N) bool -> (B, M, Q)."""
        array = self.norm_input(inputs).transpose(0, 1)
        found, _ = F.multi_head_attention_forward(
            *(self.norm_query(queries).transpose(0, 1), array, array),
            embed_dim_to_check=queries.shape[-1],
            num_heads=self.num_heads,
            in_proj_weight=None,
            in_proj_bias=torch.cat([self.query.bias, self.key.bias, self.value.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.output.weight,
            out_proj_bias=self.output.bias,
            key_padding_mask=None if mask is None else ~mask,
            need_weights=False,
            use_separate_proj_weight=True,
            q_proj_weight=self.query.weight,
            k_proj_weight=self.key.weight,
            v_proj_weight=self.value.weight,
        )
        return found.transpose(0, 1)


def decay_matrix(decay: Tensor, length: int) -> Tensor:
    """(H,) -> (H, N, N): running products down each column."""
    steps = decay[:, None, None].expand(-1, length, length)
    ones = torch.ones(length, length, dtype=decay.dtype, device=decay.device)
    below = torch.where(ones.tril(-1).bool(), steps, ones)  # gamma below the diagonal, 1 on it and above
    return torch.cumprod(below, dim=1) * ones.tril()


def retention_parallel(query: Tensor, key: Tensor, value: Tensor, decay: Tensor) -> Tensor:
    """(B, H, N, d), (B, H, N, d), (B, H, N, e), (H,) -> (B, H, N, e)."""
    return torch.einsum("bhnd,bhmd,hnm,bhme->bhne", query, key, decay_matrix(decay, query.shape[2]), value)
