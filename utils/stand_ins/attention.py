"""Stand-ins: several heads side by side."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from utils.stand_ins.scaled_dot_product import scaled_dot_product_attention


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(B, N, D) -> (B, H, N, d)."""
    if x.shape[-1] % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {x.shape[-1]}")
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, N, d) -> (B, N, D)."""
    return x.transpose(1, 2).flatten(2)


class MultiHeadAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` (its parameters, its initialisation) behind the course's signature and mask convention."""

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        if embed_dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {embed_dim}")
        super().__init__(embed_dim, num_heads, batch_first=True)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Output (B, N, D) and weights (B, H, N, M) or None; mask True = may attend."""
        key = query if key is None else key
        value = key if value is None else value
        if mask is None:
            return super().forward(query, key, value, need_weights=need_weights, average_attn_weights=False)
        mask = mask.unsqueeze(1) if mask.dim() == 3 else mask
        mask = mask.expand(query.shape[0], self.num_heads, query.shape[1], key.shape[1])  # (B, H, N, M)
        if not mask.any(-1).all():  # the library answers NaN for a query that sees no key
            return self._composed(query, key, value, mask)
        return super().forward(
            query,
            key,
            value,
            attn_mask=~mask.flatten(0, 1),
            need_weights=need_weights,
            average_attn_weights=False,
        )

    def _composed(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        heads = [
            split_heads(F.linear(x, w, b), self.num_heads)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        ]
        output, attention = scaled_dot_product_attention(*heads, mask)
        return self.out_proj(merge_heads(output)), attention
