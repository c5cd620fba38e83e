"""Stand-ins for notebook 02: the vocabulary, padded batches, `nn.LSTM` on packed ones, the classifier, and its two loops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence, unpad_sequence


class Vocabulary:
    """Counts with NumPy; otherwise as in notebook 02."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = ["<pad>", "<unk>", *words]
        self.index = dict(zip(self.words, range(len(self.words)), strict=True))

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], min_frequency: int = 1) -> Vocabulary:
        """Frequent words first; those of equal frequency in alphabetical order."""
        every = np.array([word for sentence in sentences for word in sentence], dtype=object)
        words, counts = np.unique(every, return_counts=True)  # in alphabetical order
        order = np.argsort(-counts, kind="stable")
        return cls(words[order][counts[order] >= min_frequency].tolist())

    def encode(self, words: Sequence[str]) -> list[int]:
        """Indices; 1 for an unknown word."""
        return [self.index.get(word, 1) for word in words]

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Words."""
        return [self.words[index] for index in indices]


def collate(batch: Sequence[tuple[Sequence[int], int]], pad: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """`torch.nn.utils.rnn.pad_sequence` with lengths and labels."""
    rows = [torch.tensor(row, dtype=torch.long) for row, _ in batch]
    labels = [label for _, label in batch]
    lengths = torch.tensor([row.numel() for row in rows])
    return pad_sequence(rows, batch_first=True, padding_value=pad), lengths, torch.tensor(labels)


LSTMCell = nn.LSTMCell


def reverse_padded(x: Tensor, lengths: Tensor) -> Tensor:
    """Row by row, with `flip`."""
    rows = [
        torch.cat([row[:length].flip(0), row[length:]])
        for row, length in zip(x, lengths.tolist(), strict=True)
    ]
    return torch.stack(rows)


class LSTM(nn.LSTM):
    """`nn.LSTM` on a packed batch."""

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if lengths is None or bool((lengths == x.shape[1]).all()):
            return super().forward(x)
        packed = pack_padded_sequence(x, lengths.cpu().clamp(min=1), batch_first=True, enforce_sorted=False)
        packed, (h, c) = super().forward(packed)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        empty = (lengths == 0)[:, None].to(x.device)  # packing refuses them: they were given one step
        return outputs.masked_fill(empty[:, None], 0.0), (
            h.masked_fill(empty, 0.0),
            c.masked_fill(empty, 0.0),
        )


def pool(outputs: Tensor, lengths: Tensor, how: str, bidirectional: bool = False) -> Tensor:
    """Row by row, on the unpadded steps."""
    if how not in ("last", "mean", "max"):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    half = outputs.shape[-1] // 2
    pooled = []
    for row in unpad_sequence(outputs, lengths, batch_first=True):  # (length, D)
        if not len(row):
            pooled.append(outputs.new_zeros(outputs.shape[-1]))
        elif how == "last":
            pooled.append(torch.cat([row[-1, :half], row[0, half:]]) if bidirectional else row[-1])
        else:
            pooled.append(row.mean(0) if how == "mean" else row.amax(0))
    return torch.stack(pooled)


class LSTMClassifier(nn.Module):
    """On `nn.LSTM`."""

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
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.embedding.weight.data[0])
        self.lstm = LSTM(embed_dim, hidden_dim, bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_dim * (1 + bidirectional), num_classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.lstm(self.dropout(self.embedding(tokens)), lengths)
        return self.head(self.dropout(pool(outputs, lengths, self.pooling, self.lstm.bidirectional)))


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_norm: float = 1.0,
) -> float:
    """One epoch; the mean loss per example."""
    losses, sizes = [], []
    for tokens, lengths, labels in batches:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model.train()(tokens, lengths), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
        sizes.append(len(labels))
    return float(np.average(losses, weights=sizes))


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[float, float]:
    """Mean loss per example, and accuracy."""
    model.eval()
    pairs = [(model(tokens, lengths), labels) for tokens, lengths, labels in batches]
    logits, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    accuracy = (logits.argmax(-1) == labels).double().mean().item()
    return nn.functional.cross_entropy(logits, labels).item(), accuracy
