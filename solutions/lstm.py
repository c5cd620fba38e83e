"""Long short-term memory, from one step of one cell to a trained classifier of sentences.

The state of a plain recurrent network passes through a matrix and a tanh at every step, and so does the gradient on
its way back: it shrinks (or grows) exponentially with the distance. The LSTM keeps a second state, the
cell, that is only scaled by a gate and added to; a gate near one lets the gradient through unchanged.

Parameters are named and laid out as in `torch.nn.LSTMCell` and `torch.nn.LSTM`, so weights can be exchanged.

References:
    1. Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
    2. Gers, Schmidhuber and Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural Computation
       12(10), 2000: the forget gate.
    3. Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", IEEE Transactions on Signal
       Processing 45(11), 1997.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn


class LSTMCell(nn.Module):
    """One step of an LSTM, the same function as `torch.nn.LSTMCell`.

    It is that of Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000).

    The four gates' rows lie under each other in PyTorch's order: input gate i, forget gate f, candidate g, output gate o.

    Args:
        input_size: I, width of the input x.
        hidden_size: H, width of the states h and c.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))  # rows: i, f, g, o
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_size))
        for parameter in self.parameters():  # PyTorch's start for recurrent layers
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(
        self, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step.

        Args:
            x: (B, I), this step's input.
            state: (h, c), each (B, H), from the step before; zeros where it is None.

        Returns:
            the new h and the new c, each (B, H).
        """
        if state is None:
            zeros = x.new_zeros(x.shape[0], self.hidden_size)
            state = (zeros, zeros)
        h, c = state
        ### BEGIN SOLUTION
        gates = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, dim=-1)  # (B, 4H) -> four of (B, H)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, c
        ### END SOLUTION


def reverse_padded(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Turn the real part of every row around and leave its padding where it is.

    Doing it twice gives the input back.

    Args:
        x: (B, N, D), any dtype.
        lengths: (B,) integers, 0 <= length <= N.

    Returns:
        (B, N, D): position t of a row holds what was at position length - 1 - t, for t < length; else x unchanged.
    """
    ### BEGIN SOLUTION
    steps = torch.arange(x.shape[1], device=x.device)  # (N,)
    mirrored = lengths[:, None] - 1 - steps  # (B, N), negative in the padding
    source = torch.where(mirrored >= 0, mirrored, steps)
    return x.gather(1, source[:, :, None].expand_as(x))  # (B, N, D)
    ### END SOLUTION


class LSTM(nn.Module):
    """One layer of LSTM over time, in one direction or both: `torch.nn.LSTM(..., batch_first=True)`.

    Args:
        input_size: I, width of the input.
        hidden_size: H, width of the states.
        bidirectional: run a second LSTM, with weights of its own, from the last word to the first.
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
            self.register_parameter(f"bias_ih{suffix}", nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f"bias_hh{suffix}", nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():  # PyTorch's start for recurrent layers
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def weights(self, suffix: str) -> list[torch.Tensor]:
        """One direction's weight_ih (4H, I), weight_hh (4H, H), bias_ih (4H,) and bias_hh (4H,)."""
        return [getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

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
        """Read a padded batch; the result is what each row would give alone, without its padding.

        Args:
            x: (B, N, I).
            lengths: (B,) integers, the real steps of each row; None means that all N are real.

        Returns:
            outputs (B, N, H) or (B, N, 2H), forward direction first, zero at padded steps; and the final states
            (h, c), each (1 or 2, B, H): the forward direction's after a row's last real step, the backward
            direction's after its first. A row of length zero has zeros everywhere.
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


def pool(outputs: torch.Tensor, lengths: torch.Tensor, how: str, bidirectional: bool = False) -> torch.Tensor:
    """One vector per sentence from one vector per step; padded steps count for nothing.

    Args:
        outputs: (B, N, D).
        lengths: (B,) integers, 0 <= length <= N.
        how: "last" (where the reading ended), "mean" or "max" (over the real steps, for each feature by itself).
        bidirectional: matters for "last" only. The first D/2 features then are the forward direction's, which ended at
            step length - 1, and the other D/2 the backward direction's, which ended at step 0.

    Returns:
        (B, D); zeros for a row of length zero.

    Raises:
        ValueError: `how` is none of the three.
    """
    if how not in ("last", "mean", "max"):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = (
        torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    )  # (B, N), True = a real step
    ### BEGIN SOLUTION
    if how == "last":
        rows = torch.arange(len(outputs), device=outputs.device)
        pooled = outputs[rows, (lengths - 1).clamp(min=0)]  # (B, D)
        if bidirectional:
            half = outputs.shape[-1] // 2
            pooled = torch.cat([pooled[:, :half], outputs[:, 0, half:]], dim=-1)
    elif how == "mean":
        total = outputs.masked_fill(~real[:, :, None], 0.0).sum(dim=1)
        pooled = total / lengths.clamp(min=1)[:, None]
    else:
        pooled = outputs.masked_fill(~real[:, :, None], float("-inf")).amax(dim=1)
    return pooled.masked_fill((lengths == 0)[:, None], 0.0)
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


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_norm: float = 1.0,
) -> float:
    """One pass over the training set: a step of the optimizer per batch.

    Args:
        model: maps tokens (B, N) and lengths (B,) to logits (B, classes).
        batches: yields (tokens, lengths, labels) on the model's device.
        optimizer: over the model's parameters.
        scheduler: sets the learning rate; stepped once after every batch.
        max_norm: the gradient of all parameters together is shortened to this norm where it is longer.

    Returns:
        the mean cross-entropy per example over the epoch, each batch measured before its own step.
    """
    ### BEGIN SOLUTION
    model.train()
    total, seen = 0.0, 0
    for tokens, lengths, labels in batches:
        loss = F.cross_entropy(model(tokens, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(labels)
        seen += len(labels)
    return total / seen
    ### END SOLUTION


def evaluate(
    model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
) -> tuple[float, float]:
    """Loss and accuracy on a data set, without learning from it.

    The model is put into evaluation mode (no dropout) and no gradient is recorded.

    Args:
        model: maps tokens (B, N) and lengths (B,) to logits (B, classes).
        batches: yields (tokens, lengths, labels) on the model's device; the last may be smaller.

    Returns:
        the mean cross-entropy per example and the fraction of examples whose largest logit is at the label.
    """
    ### BEGIN SOLUTION
    model.eval()
    total, correct, seen = 0.0, 0, 0
    with torch.no_grad():
        for tokens, lengths, labels in batches:
            logits = model(tokens, lengths)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(dim=-1) == labels).sum().item()
            seen += len(labels)
    return total / seen, correct / seen
    ### END SOLUTION
