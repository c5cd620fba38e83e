"""Stand-ins: cross-attention and Perceiver IO."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
