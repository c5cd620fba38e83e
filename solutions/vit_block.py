"""Self-attention with one matrix for queries, keys and values, and the block of ViT around it.

Parameters are named and laid out as PyTorch does: a `ViTBlock` loads the weights of
`nn.TransformerEncoderLayer(norm_first=True, activation="gelu")` as they are, and the other way round.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils.layers.stochastic_depth import StochasticDepth


class SelfAttention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values together.

    The parameters are those of `nn.MultiheadAttention`: rows 0..D-1 of `in_proj_weight` make
    the queries, the next D the keys, the last D the values; head h owns rows h*d..(h+1)*d-1 of
    each third.

    Args:
        dim: width D of a token.
        num_heads: number of heads H; d = D / H.
        dropout: probability of dropping an attention weight in training.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"a width of {dim} cannot be split into {num_heads} heads")
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):  # each third as a layer of its own
            nn.init.xavier_uniform_(part)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, D) -> queries, keys and values, each (B, H, N, d)."""
        ### BEGIN SOLUTION
        thirds = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(
            3, dim=-1
        )  # (B, N, 3 D) -> 3 x (B, N, D)
        query, key, value = (rearrange(part, "b n (h d) -> b h n d", h=self.num_heads) for part in thirds)
        return query, key, value
        ### END SOLUTION

    def weights(self, x: Tensor) -> Tensor:
        """(B, N, D) -> attention weights (B, H, N, N); row = query, column = key. For looking
        at, not for speed: dropout leaves them alone."""
        ### BEGIN SOLUTION
        query, key, _ = self.split(x)
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # (B, H, N, N)
        return scores.softmax(dim=-1)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        dropout = self.dropout if self.training else 0.0
        ### BEGIN SOLUTION
        query, key, value = self.split(x)
        heads = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)  # (B, H, N, d)
        return self.out_proj(rearrange(heads, "b h n d -> b n (h d)"))
        ### END SOLUTION


class ViTBlock(nn.Module):
    """One pre-norm encoder layer: x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        dim: width D of a token.
        num_heads: number of heads.
        hidden_dim: hidden width of the MLP.
        dropout: after the attention's output, after GELU and after the MLP's output.
        attention_dropout: on the attention weights.
        drop_path: probability of leaving a whole residual branch out for an image (stochastic
            depth).
        norm_eps: epsilon of the layer norms.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.self_attn = SelfAttention(dim, num_heads, attention_dropout)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D). The MLP is linear1, exact GELU, linear2."""
        ### BEGIN SOLUTION
        attended = self.self_attn(self.norm1(x))
        x = x + self.drop_path(self.dropout(attended))
        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x))))  # (B, N, hidden_dim)
        return x + self.drop_path(self.dropout(self.linear2(hidden)))
        ### END SOLUTION
