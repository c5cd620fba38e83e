"""Stand-ins: the decoder layer and greedy decoding."""

from __future__ import annotations

from torch import Tensor, nn

from utils.stand_ins.attention import MultiHeadAttention
from utils.stand_ins.transformer import Layer


class DecoderLayer(Layer):
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
