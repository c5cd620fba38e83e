"""Stand-ins: self-attention and the block of ViT."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from utils.layers.stochastic_depth import StochasticDepth


class SelfAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` behind the exercise's signature."""

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        if dim % num_heads:
            raise ValueError(f"a width of {dim} cannot be split into {num_heads} heads")
        super().__init__(dim, num_heads, dropout, batch_first=True)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, N, D) -> queries, keys, values, each (B, H, N, d)."""
        thirds = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        return tuple(part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in thirds)

    def weights(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, H, N, N). The library's own are those after dropout, in training."""
        query, key, _ = self.split(x)
        return (query @ key.mT / key.shape[-1] ** 0.5).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        return super().forward(x, x, x, need_weights=False)[0]


class ViTBlock(nn.TransformerEncoderLayer):
    """PyTorch's pre-norm encoder layer with GELU; with stochastic depth on its two branches."""

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
        super().__init__(
            dim,
            num_heads,
            hidden_dim,
            dropout,
            "gelu",
            layer_norm_eps=norm_eps,
            batch_first=True,
            norm_first=True,
        )
        # parameters in the exercise's order: norm1, self_attn, norm2, linear1, linear2
        parts = {
            name: self._modules.pop(name) for name in ("norm1", "self_attn", "norm2", "linear1", "linear2")
        }
        rest = dict(self._modules)
        self._modules.clear()
        self._modules.update(parts | rest)
        self.self_attn = SelfAttention(dim, num_heads, attention_dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = x + self.drop_path(self.dropout1(self.self_attn(self.norm1(x))))
        return x + self.drop_path(self._ff_block(self.norm2(x)))
