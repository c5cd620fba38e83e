"""A Transformer that reads a sentence and says whether it praises: the encoder, and the classifier on top of it.

The classifier takes the same `(tokens, lengths)` as the LSTM of notebook 02 and answers with the same logits, so that
the two can be trained by the same loop on the same batches and compared line by line.

References:
    1. Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser, Polosukhin (2017). Attention Is All You Need. NeurIPS.
    2. Devlin, Chang, Lee, Toutanova (2019). BERT: Pre-training of Deep Bidirectional Transformers for Language
       Understanding. NAACL. (The class token.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from solutions.padding import padding_mask
from solutions.positions import sinusoidal_positions
from solutions.transformer import EncoderLayer


class TransformerEncoder(nn.Module):
    """A stack of encoder layers, each with weights of its own: `nn.TransformerEncoder` from
    your own parts.

    The layers are in the list `layers`. With pre-LN nothing normalises what the last layer
    adds, so the stack ends with one more layer norm, `norm`; with post-LN the last layer ends
    with a norm already, and `norm` is `nn.Identity()`.

    Args:
        num_layers: number of layers.
        dim: D, width of a token.
        num_heads: H.
        hidden_dim: width inside the feed-forward.
        norm_first: False = post-LN, True = pre-LN.
        dropout: of every layer.
        activation: of every feed-forward.
    """

    def __init__(
        self,
        num_layers: int,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        norm_first: bool = True,
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()
        ### END SOLUTION

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Lets the tokens of each sequence look at each other, `num_layers` times.

        Args:
            x: (B, N, D).
            mask: bool, True = may attend, the same for every layer: (N, N), (B, N, N), or (B,
                1, N) to hide padding.

        Returns:
            (B, N, D).
        """
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)
        ### END SOLUTION


class TransformerClassifier(nn.Module):
    """Embeddings and positions, encoder, pooling, and a linear layer on top.

    Dropout acts, besides inside the encoder's layers, on the encoder's input and on the pooled
    vector.

    Args:
        vocab_size: number of indices, `<pad>` (index 0) among them.
        dim: D, width of a token.
        num_layers: of the encoder.
        num_heads: H.
        hidden_dim: width inside the feed-forward.
        num_classes: width of the output.
        pooling: "mean" (over the real tokens) or "cls" (a learned token that is put in front of
            every sentence).
        norm_first: False = post-LN, True = pre-LN.
        dropout: probability of a zero in training.

    Raises:
        ValueError: if `pooling` is neither of the two.
    """

    def __init__(
        self,
        vocab_size: int,
        dim: int = 128,
        num_layers: int = 2,
        num_heads: int = 4,
        hidden_dim: int = 256,
        num_classes: int = 2,
        pooling: str = "mean",
        norm_first: bool = True,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "cls"):
            raise ValueError(f"pooling should be 'mean' or 'cls', not {pooling!r}")
        self.pooling = pooling
        self.embedding = nn.Embedding(
            vocab_size, dim, padding_idx=0
        )  # row 0 is zero and never trained
        nn.init.normal_(
            self.embedding.weight[1:], std=dim**-0.5
        )  # about 1 once `embed` has scaled it
        if pooling == "cls":
            self.cls = nn.Parameter(torch.randn(dim))
        self.encoder = TransformerEncoder(
            num_layers, dim, num_heads, hidden_dim, norm_first, dropout
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dim, num_classes)

    def embed(self, tokens: Tensor) -> Tensor:
        """Turns indices into vectors that know where they stand (Vaswani et al. 2017, sections
        3.4 and 3.5).

        The embeddings are multiplied by sqrt(D), the class token (if there is one) goes in
        front of the first word as it is, and the sinusoidal positions are added to everything;
        so the first word stands at position 1 behind a class token, and at position 0 without
        one.

        Args:
            tokens: (B, N) indices.

        Returns:
            (B, N, D), or (B, N + 1, D) with a class token.
        """
        ### BEGIN SOLUTION
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)  # (B, N, D)
        if self.pooling == "cls":
            x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)  # (B, 1 + N, D)
        return x + sinusoidal_positions(x.shape[1], x.shape[2]).to(x)
        ### END SOLUTION

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Scores the classes; what is in the padding has no influence.

        Args:
            tokens: (B, N) indices, padded.
            lengths: (B,) integers, 1 <= length <= N.

        Returns:
            (B, num_classes) logits.
        """
        x = self.dropout(self.embed(tokens))
        ### BEGIN SOLUTION
        if self.pooling == "cls":
            lengths = lengths + 1  # the class token is a real token
        real = padding_mask(lengths, x.shape[1])  # (B, N) or (B, 1 + N)
        x = self.encoder(x, real[:, None, :])
        if self.pooling == "cls":
            pooled = x[:, 0]  # (B, D)
        else:
            pooled = x.masked_fill(~real[:, :, None], 0.0).sum(dim=1) / lengths[:, None]
        return self.head(self.dropout(pooled))
        ### END SOLUTION
