"""Stand-ins: from a sentence to a batch of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


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
