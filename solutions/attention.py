"""Multi-head attention: several weighted averages side by side, each in a smaller subspace.

References:
1. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from solutions.scaled_dot_product import scaled_dot_product_attention


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cuts the width of every token into heads. Head h of a token is a contiguous slice of d =
    D / H numbers.

    Args:
        x: (B, N, D) tokens, D = H * d.
        num_heads: H.

    Returns:
        (B, H, N, d).

    Raises:
        ValueError: if D is not divisible by H.
    """
    if x.shape[-1] % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {x.shape[-1]}")
    ### BEGIN SOLUTION
    return rearrange(x, "b n (h d) -> b h n d", h=num_heads)
    ### END SOLUTION


def merge_heads(x: Tensor) -> Tensor:
    """Puts the heads of every token side by side again: the inverse of `split_heads`.

    Args:
        x: (B, H, N, d).

    Returns:
        (B, N, D) with D = H * d.
    """
    ### BEGIN SOLUTION
    return rearrange(x, "b h n d -> b n (h d)")
    ### END SOLUTION


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each in its own d = D / H dimensions (Vaswani et al. 2017,
    section 3.2.2).

    Parameters have the names and the layout of `nn.MultiheadAttention`, so the state dict of
    one loads into the other: `in_proj_weight` (3D, D) and `in_proj_bias` (3D,) hold the
    projections of query, key and value on top of each other, in this order; `out_proj` is a
    linear layer D -> D.

    Args:
        embed_dim: D, width of a token.
        num_heads: H.

    Raises:
        ValueError: if D is not divisible by H.
    """

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {embed_dim}")
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, need_weights: bool
    ):
        """(output, weights) of each head; all of shape (B, H, ., d). Nobody asks for the
        weights? Then PyTorch's fused kernel computes the same output without ever storing
        them."""
        if need_weights:
            return scaled_dot_product_attention(query, key, value, mask)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask), None

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        mask: Tensor | None = None,
        need_weights: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """Self-attention with `query` alone; cross-attention with `key` (and `value`, which
        defaults to `key`).

        Args:
            query: (B, N, D).
            key: (B, M, D).
            value: (B, M, D).
            mask: bool, True = may attend. (N, M) for all sequences, (B, N, M) for each its own,
                (B, 1, M) to hide padding.
            need_weights: False lets `attend` take the fast path.

        Returns:
            output (B, N, D), and the weights (B, H, N, M) of each head, or None if they are not
            needed.
        """
        key = query if key is None else key
        value = key if value is None else value
        if mask is not None and mask.dim() == 3:
            mask = mask.unsqueeze(1)  # (B, 1, N, M): the same for every head
        ### BEGIN SOLUTION
        if query is key is value:  # one product is faster than three
            projected = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        else:
            weights = self.in_proj_weight.chunk(3)  # query, key, value: (D, D) each
            biases = self.in_proj_bias.chunk(3)
            projected = [F.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]
        query, key, value = (split_heads(x, self.num_heads) for x in projected)  # (B, H, N or M, d)
        output, weights = self.attend(query, key, value, mask, need_weights)
        return self.out_proj(merge_heads(output)), weights
        ### END SOLUTION
