"""From a sentence to a batch of numbers: a vocabulary, and padding.

A network computes with numbers, so every word gets an index (`Vocabulary`), and since the sentences of a
batch differ in length, the short ones are filled up to a rectangle (`collate`). The true lengths travel
with the batch: everything behind this module must treat a padded position as if it were not there.

References:
    1. Jurafsky and Martin, "Speech and Language Processing", 3rd edition draft (2025), chapter 2: words,
       tokens, vocabularies and unknown words.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch


class Vocabulary:
    """A two-way table between words and the indices 0 .. len(vocabulary) - 1.

    Index 0 is `<pad>`, index 1 is `<unk>`, the words follow in the order given.

    Attributes:
        words: list of str, `words[index]` is the word.
        index: dict, `index[word]` is its index.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = [
            "<pad>",
            "<unk>",
            *words,
        ]  # 0: no word at all; 1: a word that we do not know
        self.index = {word: index for index, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def build(cls, sentences: Iterable[Sequence[str]], min_frequency: int = 1) -> "Vocabulary":
        """Vocabulary of the words that occur at least `min_frequency` times in the sentences
        together.

        The most frequent word comes first. Words of equal frequency are in alphabetical order
        (Python's order of strings), so that two people who build from the same text get the
        same indices.

        Args:
            sentences: each a sequence of words, such as `["not", "bad", "at", "all"]`.
            min_frequency: the fewest occurrences that earn a word an index of its own.

        Returns:
            a new `Vocabulary`: `<pad>`, `<unk>`, then the words kept.
        """
        ### BEGIN SOLUTION
        counts = Counter(word for sentence in sentences for word in sentence)
        kept = [word for word, count in counts.items() if count >= min_frequency]
        kept.sort(key=lambda word: (-counts[word], word))
        return cls(kept)
        ### END SOLUTION

    def encode(self, words: Sequence[str]) -> list[int]:
        """The words' indices, as a list of the same length; a word that is not in the table
        gets `<unk>`'s."""
        ### BEGIN SOLUTION
        unknown = self.index["<unk>"]
        return [self.index.get(word, unknown) for word in words]
        ### END SOLUTION

    def decode(self, indices: Iterable[int]) -> list[str]:
        """The words behind the indices (the inverse of `encode`, up to unknown words)."""
        return [self.words[index] for index in indices]


def collate(
    batch: Sequence[tuple[Sequence[int], int]], pad: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Put sentences of different length into one rectangle.

    Args:
        batch: B pairs (indices, label); `indices` has any length, also zero.
        pad: the index written behind a sentence that is shorter than the longest one.

    Returns:
        tokens (B, N) int64 with N the longest length, each sentence at the left of its row;
        lengths (B,) int64, the number of real tokens in each row; labels (B,) int64.
    """
    ### BEGIN SOLUTION
    lengths = torch.tensor([len(indices) for indices, _ in batch], dtype=torch.long)
    labels = torch.tensor([label for _, label in batch], dtype=torch.long)
    tokens = torch.full((len(batch), int(lengths.max())), pad, dtype=torch.long)  # (B, N)
    for row, (indices, _) in zip(tokens, batch, strict=True):
        row[: len(indices)] = torch.as_tensor(indices, dtype=torch.long)
    return tokens, lengths, labels
    ### END SOLUTION
