"""Stand-ins for notebook 01: attention and its heads, masks, positions, the encoder's and the decoder's layer.

The work is done by `F.scaled_dot_product_attention`, `nn.MultiheadAttention`, `nn.LayerNorm` and `nn.Linear`. `from_torch`, a
table of names, turns a state dict of PyTorch's own layers into one that these load.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def from_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `nn.TransformerEncoderLayer` / `nn.TransformerDecoderLayer` under this course's names.

    Everything is named alike, but the course keeps the feed-forward in a module of its own: `linear1.weight` is
    `feed_forward.linear1.weight`. Works on stacks of layers as well.
    """
    return {
        re.sub(r"(^|\.)(linear[12]\.)", r"\1feed_forward.\2", name): value for name, value in state.items()
    }


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """PyTorch's kernel; it gives no weights away, but asked to average the rows of an identity matrix it returns them."""
    if mask is not None:
        mask = mask.expand(*torch.broadcast_shapes(query.shape[:-2], mask.shape[:-2]), *mask.shape[-2:])
    one_hot = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device).expand(
        *key.shape[:-1], key.shape[-2]
    )
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return output, F.scaled_dot_product_attention(query, key, one_hot, attn_mask=mask)


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


def causal_mask(length: int) -> Tensor:
    """(N, N) bool, True = may attend."""
    return nn.Transformer.generate_square_subsequent_mask(length) == 0


def sinusoidal_positions(length: int, dim: int) -> Tensor:
    """(N, D) float32; computed in double precision from complex rotations."""
    if dim % 2:
        raise ValueError(f"sine and cosine come in pairs, so dim must be even, got {dim}")
    speeds = torch.exp(-math.log(10000.0) * torch.arange(0, dim, 2, dtype=torch.float64) / dim)  # (D/2,)
    hands = torch.polar(
        torch.ones((), dtype=torch.float64), torch.outer(torch.arange(length).double(), speeds)
    )
    return torch.view_as_real(hands).flip(-1).flatten(1).float()  # (cos, sin) -> (sin, cos)


class FeedForward(nn.Module):
    """linear1, activation, linear2."""

    def __init__(self, dim: int, hidden_dim: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation = getattr(F, activation)
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        return self.linear2(self.activation(self.linear1(x)))


class _Layer(nn.Module):
    """What encoder and decoder layer share: the moves' parameters and the residual connection around each."""

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu") -> None:
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def residual(self, x: Tensor, norm: nn.Module, move) -> Tensor:
        if self.norm_first:
            return x + self.dropout(move(norm(x)))
        return norm(x + self.dropout(move(x)))


class EncoderLayer(_Layer):
    """The library's parts in the order of `nn.TransformerEncoderLayer`, under the course's names."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = self.residual(x, self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0])
        return self.residual(x, self.norm2, self.feed_forward)


class DecoderLayer(_Layer):
    """The library's parts in the order of `nn.TransformerDecoderLayer`, under the course's names."""

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu") -> None:
        super().__init__(dim, num_heads, hidden_dim, norm_first, dropout, activation)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.norm3 = nn.LayerNorm(dim)

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """(B, N, D), memory (B, M, D) -> (B, N, D)."""
        x = self.residual(x, self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0])
        x = self.residual(
            x, self.norm2, lambda x: self.multihead_attn(x, memory, mask=memory_mask, need_weights=False)[0]
        )
        return self.residual(x, self.norm3, self.feed_forward)
