"""The LSTM over a padded batch of sentences, and a classifier of sentences on top of it.

Parameters are named and laid out as in `torch.nn.LSTM`, so weights can be exchanged. One step is explained in
`solutions/lstm_cell.py`.

References:
    1. Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
    2. Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Transactions on Signal
       Processing 45(11), 1997.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from solutions.padding import pool, reverse_padded


class LSTM(nn.Module):
    """One layer of LSTM over time, in one direction or both: `torch.nn.LSTM(...,
    batch_first=True)`.

    Args:
        input_size: I, width of the input.
        hidden_size: H, width of the states.
        bidirectional: run a second LSTM, with weights of its own, from the last word to the
            first.
    """

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ("_l0", "_l0_reverse") if bidirectional else ("_l0",)
        for suffix in self.directions:
            self.register_parameter(
                f"weight_ih{suffix}", nn.Parameter(torch.empty(4 * hidden_size, input_size))
            )
            self.register_parameter(
                f"weight_hh{suffix}", nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
            )
            self.register_parameter(
                f"bias_ih{suffix}", nn.Parameter(torch.empty(4 * hidden_size))
            )
            self.register_parameter(
                f"bias_hh{suffix}", nn.Parameter(torch.empty(4 * hidden_size))
            )
        for parameter in self.parameters():  # PyTorch's start for recurrent layers
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def weights(self, suffix: str) -> list[torch.Tensor]:
        """One direction's weight_ih (4H, I), weight_hh (4H, H), bias_ih (4H,) and bias_hh
        (4H,)."""
        return [
            getattr(self, name + suffix)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]

    def scan(self, x: torch.Tensor, suffix: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Run one direction's cell over the steps 0 .. N-1 of x, starting from zero states.

        Args:
            x: (B, N, I) with N >= 1.
            suffix: whose weights, an element of `self.directions`.

        Returns:
            every step's h and every step's c, each (B, N, H).
        """
        ### BEGIN SOLUTION
        weight_ih, weight_hh, bias_ih, bias_hh = self.weights(suffix)
        # The input's share of the gates does not wait for h: one matrix product serves all steps.
        from_input = F.linear(x, weight_ih, bias_ih + bias_hh)  # (B, N, 4H)
        h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hidden, cells = [], []
        for step in from_input.unbind(1):  # N of (B, 4H)
            i, f, g, o = torch.addmm(step, h, weight_hh.t()).chunk(4, dim=-1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            hidden.append(h)
            cells.append(c)
        return torch.stack(hidden, dim=1), torch.stack(cells, dim=1)  # (B, N, H)
        ### END SOLUTION

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Read a padded batch; the result is what each row would give alone, without its
        padding.

        Args:
            x: (B, N, I).
            lengths: (B,) integers, the real steps of each row; None means that all N are real.

        Returns:
            outputs (B, N, H) or (B, N, 2H), forward direction first, zero at padded steps; and
            the final states (h, c), each (1 or 2, B, H): the forward direction's after a row's
            last real step, the backward direction's after its first. A row of length zero has
            zeros everywhere.
        """
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        ### BEGIN SOLUTION
        padding = torch.arange(steps, device=x.device) >= lengths[:, None]  # (B, N)
        last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = [], [], []
        for suffix in self.directions:
            backward = suffix.endswith("reverse")
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h, c = (state.masked_fill(padding[:, :, None], 0.0) for state in (h, c))
            final_h.append(h[last])  # (B, H)
            final_c.append(c[last])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c))
        ### END SOLUTION


class LSTMClassifier(nn.Module):
    """Embedding, LSTM, pooling, and a linear layer on top.

    Dropout acts twice, with the same probability: on the embeddings and on the pooled vector.

    Args:
        vocab_size: number of indices, `<pad>` (index 0) among them.
        embed_dim: width of a word's embedding.
        hidden_dim: width of the LSTM's state, per direction.
        num_classes: width of the output.
        pooling: "last", "mean" or "max".
        dropout: probability of a zero in training.
        bidirectional: read in both directions.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        num_classes: int = 2,
        pooling: str = "max",
        dropout: float = 0.4,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        nn.init.normal_(
            self.embedding.weight, std=0.1
        )  # small: the words' own say at the start should be small
        with torch.no_grad():
            self.embedding.weight[0] = 0.0  # <pad>; `padding_idx` keeps it from being trained
        self.lstm = LSTM(embed_dim, hidden_dim, bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_dim * (2 if bidirectional else 1), num_classes)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Classify a padded batch.

        Args:
            tokens: (B, N) int64, N >= 1.
            lengths: (B,) int64.

        Returns:
            (B, num_classes), unnormalised scores (logits).
        """
        ### BEGIN SOLUTION
        embedded = self.dropout(self.embedding(tokens))  # (B, N, embed_dim)
        outputs, _ = self.lstm(embedded, lengths)  # (B, N, hidden_dim or 2 hidden_dim)
        pooled = pool(outputs, lengths, self.pooling, self.lstm.bidirectional)
        return self.head(self.dropout(pooled))
        ### END SOLUTION
