"""The Transformer's decoder layer, and greedy decoding: a sentence written one token at a time.

References:
1. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from solutions.attention import MultiHeadAttention
from solutions.transformer import FeedForward


class DecoderLayer(nn.Module):
    """Masked self-attention, cross-attention to the encoder's output, feed-forward (section
    3.1).

    Three moves, each with its residual connection and its own norm (`norm1`, `norm2`, `norm3`),
    placed as in `EncoderLayer`. In cross-attention the queries come from the decoder, keys and
    values from the encoder's output ("memory"), which no norm of this layer touches.

    Args:
        dim, num_heads, hidden_dim, norm_first, dropout, activation: as in `EncoderLayer`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        norm_first: bool = False,
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(
            dim, num_heads
        )  # cross-attention; the name is PyTorch's
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """Lets each target position look at the target so far and at the whole source.

        Args:
            x: (B, N, D), the target so far.
            memory: (B, M, D), output of the encoder.
            mask: bool, True = may attend, target to target: (N, N) or (B, N, N); usually
                `causal_mask(N)`.
            memory_mask: bool, True = may attend, target to source: (N, M), (B, N, M), or (B, 1,
                M) to hide padding.

        Returns:
            (B, N, D).
        """
        ### BEGIN SOLUTION
        moves = [
            (self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0]),
            (self.norm2, lambda x: self.multihead_attn(x, memory, mask=memory_mask, need_weights=False)[0]),
            (self.norm3, self.feed_forward),
        ]
        for norm, move in moves:
            if self.norm_first:
                x = x + self.dropout(move(norm(x)))
            else:
                x = norm(x + self.dropout(move(x)))
        return x
        ### END SOLUTION


@torch.no_grad()
def greedy_decode(
    model: Callable[[Tensor, Tensor], Tensor],
    source: Tensor,
    start: int,
    end: int,
    max_length: int,
) -> Tensor:
    """Writes a target token by token: always the likeliest next token, until every sequence has
    ended.

    Args:
        model: called as `model(source, target)` with the target so far, (B, T) int64, which
            begins with `start`; answers with logits (B, T, V), where [:, t] scores the token
            that comes *after* position t.
        source: (B, M) int64.
        start: token that every target begins with.
        end: token that ends a target. A sequence that has ended is filled up with `end` while
            others go on.
        max_length: largest number of tokens to write.

    Returns:
        (B, T) int64 with T <= max_length: the written tokens, `end` included, `start` not.
    """
    target = torch.full((source.shape[0], 1), start, device=source.device)  # (B, 1)
    ### BEGIN SOLUTION
    ended = torch.zeros_like(target[:, 0], dtype=torch.bool)  # (B,)
    for _ in range(max_length):
        token = model(source, target)[:, -1].argmax(dim=-1)  # (B, V) -> (B,)
        token = token.masked_fill(ended, end)
        target = torch.cat([target, token.unsqueeze(1)], dim=1)
        ended = ended | (token == end)
        if ended.all():
            break
    return target[:, 1:]
    ### END SOLUTION
