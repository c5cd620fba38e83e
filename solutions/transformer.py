"""The Transformer of the paper: positions, encoder layer, decoder layer, greedy decoding.

A layer alternates two moves: tokens exchange information (attention), then each token digests what it got (feed-forward).
Around each move runs a residual connection with a layer norm, before the move (pre-LN) or after the sum (post-LN).

References:
1. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
2. Ba, Kiros, Hinton (2016). Layer Normalization. arXiv:1607.06450.
3. Xiong, Yang, He, Zheng, Zheng, Xing, Zhang, Lan, Wang, Liu (2020). On Layer Normalization in the Transformer
   Architecture. ICML.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from solutions.attention import MultiHeadAttention


def sinusoidal_positions(length: int, dim: int) -> Tensor:
    """The paper's position encodings: each pair of columns is a clock hand that turns at its own speed (section 3.5).

    PE[p, 2i] = sin(p / 10000^(2i / D)) and PE[p, 2i + 1] = cos(p / 10000^(2i / D)): sines in the even columns, cosines in
    the odd ones, so that the two numbers of one hand are neighbours.

    Args:
        length: number of positions N; p = 0 .. N - 1.
        dim: width D of a token, even; i = 0 .. D / 2 - 1.

    Returns:
        (N, D) float32.

    Raises:
        ValueError: if D is odd.
    """
    if dim % 2:
        raise ValueError(f"sine and cosine come in pairs, so dim must be even, got {dim}")
    ### BEGIN SOLUTION
    positions = torch.arange(length).unsqueeze(1)  # (N, 1)
    speeds = 10000 ** (-torch.arange(0, dim, 2) / dim)  # (D/2,): 1 down to about 1/10000
    angles = positions * speeds  # (N, D/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (N, D/2, 2) -> (N, D)
    ### END SOLUTION


class FeedForward(nn.Module):
    """Two linear layers with an activation between them, for each token by itself (section 3.3).

    The layers are called `linear1` (D -> hidden) and `linear2` (hidden -> D), as in `nn.TransformerEncoderLayer`.

    Args:
        dim: D, width of a token.
        hidden_dim: width in between; 4 * D in the paper.
        activation: name of a function in `torch.nn.functional`: "relu" as in the paper, "gelu" in later models.
    """

    def __init__(self, dim: int, hidden_dim: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation_name = activation
        ### BEGIN SOLUTION
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)
        ### END SOLUTION

    def activation(self, hidden: Tensor) -> Tensor:
        """The activation, for each number by itself. ReLU works in place where no gradient needs what was there before:
        the hidden layer is the widest tensor of a Transformer, and a second copy of it costs time."""
        if self.activation_name == "relu":
            return F.relu(hidden, inplace=not hidden.requires_grad)
        return getattr(F, self.activation_name)(hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        ### BEGIN SOLUTION
        hidden = self.activation(self.linear1(x))  # (B, N, hidden)
        return self.linear2(hidden)
        ### END SOLUTION


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each inside a residual connection with a layer norm (section 3.1).

    With f for a move (attention or feed-forward) and LN for its own norm (`norm1` for attention, `norm2` for feed-forward):
    post-LN, as in the paper, x <- LN(x + dropout(f(x))); pre-LN, x <- x + dropout(f(LN(x))).

    Args:
        dim: D, width of a token.
        num_heads: H.
        hidden_dim: width inside the feed-forward.
        norm_first: False = post-LN, True = pre-LN.
        dropout: probability of dropping a number of what a move adds to its input, in train mode.
        activation: of the feed-forward.
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
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Lets the tokens of each sequence look at each other.

        Args:
            x: (B, N, D).
            mask: bool, True = may attend: (N, N), (B, N, N), or (B, 1, N) to hide padding.

        Returns:
            (B, N, D).
        """

        def attend(x: Tensor) -> Tensor:  # the first move; the second is self.feed_forward
            return self.self_attn(x, mask=mask, need_weights=False)[0]

        ### BEGIN SOLUTION
        if self.norm_first:
            x = x + self.dropout(attend(self.norm1(x)))
            x = x + self.dropout(self.feed_forward(self.norm2(x)))
        else:
            x = self.norm1(x + self.dropout(attend(x)))
            x = self.norm2(x + self.dropout(self.feed_forward(x)))
        return x
        ### END SOLUTION


class DecoderLayer(nn.Module):
    """Masked self-attention, cross-attention to the encoder's output, feed-forward (section 3.1).

    Three moves, each with its residual connection and its own norm (`norm1`, `norm2`, `norm3`), placed as in `EncoderLayer`.
    In cross-attention the queries come from the decoder, keys and values from the encoder's output ("memory"), which
    no norm of this layer touches.

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
        self.multihead_attn = MultiHeadAttention(dim, num_heads)  # cross-attention; the name is PyTorch's
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, mask: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Lets each target position look at the target so far and at the whole source.

        Args:
            x: (B, N, D), the target so far.
            memory: (B, M, D), output of the encoder.
            mask: bool, True = may attend, target to target: (N, N) or (B, N, N); usually `causal_mask(N)`.
            memory_mask: bool, True = may attend, target to source: (N, M), (B, N, M), or (B, 1, M) to hide padding.

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
    model: Callable[[Tensor, Tensor], Tensor], source: Tensor, start: int, end: int, max_length: int
) -> Tensor:
    """Writes a target token by token: always the likeliest next token, until every sequence has ended.

    Args:
        model: called as `model(source, target)` with the target so far, (B, T) int64, which begins with `start`; answers with
            logits (B, T, V), where [:, t] scores the token that comes *after* position t.
        source: (B, M) int64.
        start: token that every target begins with.
        end: token that ends a target. A sequence that has ended is filled up with `end` while others go on.
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
