"""The Transformer's encoder layer and its feed-forward network.

A layer alternates two moves: tokens exchange information (attention), then each token digests what it got (feed-forward).
Around each move runs a residual connection with a layer norm, before the move (pre-LN) or after the sum (post-LN).

References:
1. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
2. Ba, Kiros, Hinton (2016). Layer Normalization. arXiv:1607.06450.
3. Xiong, Yang, He, Zheng, Zheng, Xing, Zhang, Lan, Wang, Liu (2020). On Layer Normalization in the Transformer
   Architecture. ICML.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from solutions.attention import MultiHeadAttention


class FeedForward(nn.Module):
    """Two linear layers with an activation between them, for each token by itself (section
    3.3).

    The layers are called `linear1` (D -> hidden) and `linear2` (hidden -> D), as in
    `nn.TransformerEncoderLayer`.

    Args:
        dim: D, width of a token.
        hidden_dim: width in between; 4 * D in the paper.
        activation: name of a function in `torch.nn.functional`: "relu" as in the paper, "gelu"
            in later models.
    """

    def __init__(self, dim: int, hidden_dim: int, activation: str = "relu") -> None:
        super().__init__()
        self.activation_name = activation
        ### BEGIN SOLUTION
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)
        ### END SOLUTION

    def activation(self, hidden: Tensor) -> Tensor:
        """The activation, for each number by itself. ReLU works in place where no gradient
        needs what was there before: the hidden layer is the widest tensor of a Transformer, and
        a second copy of it costs time."""
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
    """Self-attention, then feed-forward, each inside a residual connection with a layer norm
    (section 3.1).

    With f for a move (attention or feed-forward) and LN for its own norm (`norm1` for
    attention, `norm2` for feed-forward): post-LN, as in the paper, x <- LN(x + dropout(f(x)));
    pre-LN, x <- x + dropout(f(LN(x))).

    Args:
        dim: D, width of a token.
        num_heads: H.
        hidden_dim: width inside the feed-forward.
        norm_first: False = post-LN, True = pre-LN.
        dropout: probability of dropping a number of what a move adds to its input, in train
            mode.
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
