"""Stand-ins: the feed-forward network and the encoder layer, from `nn.LayerNorm` and `nn.Linear`.

`from_torch`, a table of names, turns a state dict of PyTorch's own layers into one that these load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from utils.stand_ins.attention import MultiHeadAttention


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


class Layer(nn.Module):
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


class EncoderLayer(Layer):
    """The library's parts in the order of `nn.TransformerEncoderLayer`, under the course's names."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = self.residual(x, self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0])
        return self.residual(x, self.norm2, self.feed_forward)


def from_torch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `nn.TransformerEncoderLayer` / `nn.TransformerDecoderLayer` under this course's names.

    Everything is named alike, but the course keeps the feed-forward in a module of its own: `linear1.weight` is
    `feed_forward.linear1.weight`. Works on stacks of layers as well.
    """
    return {
        re.sub(r"(^|\.)(linear[12]\.)", r"\1feed_forward.\2", name): value for name, value in state.items()
    }
