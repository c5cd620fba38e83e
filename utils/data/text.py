"""Text for the sentiment notebooks: tokens, batches of like lengths, and an honest held-out split.

Everything here works on plain lists, so it serves a student's vocabulary and collate as well as ours.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

import torch

Example = tuple[list[int], int]  # word indices, label
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # tokens (B, N), lengths (B,), labels (B,)

# "isn't" and "is n't" both become "is", "n't": the negation is a token of its own.
_WORDS = re.compile(r"n't\b|\w+?(?=n't\b)|'\w+|\w+|[^\w\s]")
UNITS = ("words", "eojeol", "syllables", "bigrams")


def composed(text: str) -> str:
    """The text in Unicode's composed form (NFC): macOS stores Hangul as single letters (jamo), which no vocabulary knows."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def tokenize(text: str, unit: str = "words") -> list[str]:
    """Cut a text into tokens, in lower case.

    Args:
        text: any text.
        unit: "words" (English: words, clitics such as "n't" and "'s", single punctuation marks); "eojeol" (what
            stands between spaces); "syllables" (single characters; for Korean a character is a syllable);
            "bigrams" (every character together with its right neighbour; the step between two words is kept).

    Returns:
        the tokens; an empty list for an empty text.

    Raises:
        ValueError: the unit is none of these.
    """
    text = composed(text).lower().replace("\u2019", "'")
    if unit == "words":
        return _WORDS.findall(text)
    if unit == "eojeol":
        return text.split()
    characters = " ".join(text.split())
    if unit == "syllables":
        return list(characters)
    if unit == "bigrams":
        return [a + b for a, b in zip(characters, [*characters[1:], " "], strict=False)]
    raise ValueError(f"unit should be one of {', '.join(UNITS)}, not {unit!r}")


class Batches:
    """A data set cut into padded batches of like lengths; can be iterated once per epoch.

    Sentences of like length share a batch, so little is wasted on padding. With `shuffle`, every epoch draws
    new batches: the order is random up to a small jitter in length, and so is the order of the batches.

    Args:
        examples: pairs (indices, label). An example without any token is given one `unknown`.
        batch_size: sentences per batch; the last batch may be smaller.
        collate: turns a list of examples into (tokens, lengths, labels).
        shuffle: for training.
        word_dropout: probability with which a word is replaced by `unknown`, drawn anew each time: the model
            learns to do without single words, and learns what to do with `<unk>` (training only).
        unknown: the index of `<unk>`.
        seed: of the shuffling and the word dropout.
        device: where the tensors go.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        batch_size: int,
        collate: Callable[[list[Example]], Batch],
        *,
        shuffle: bool = False,
        word_dropout: float = 0.0,
        unknown: int = 1,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.examples = [(list(indices) or [unknown], label) for indices, label in examples]
        self.batch_size = batch_size
        self.collate = collate
        self.shuffle = shuffle
        self.word_dropout = word_dropout
        self.unknown = unknown
        self.device = torch.device(device)
        self._random = random.Random(seed)

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        jitter = self._random.random if self.shuffle else lambda: 0.0
        order = sorted(
            range(len(self.examples)),
            key=lambda n: len(self.examples[n][0]) * (1 + 0.1 * jitter()) + jitter(),
        )
        starts = list(range(0, len(order), self.batch_size))
        if self.shuffle:
            self._random.shuffle(starts)
        for start in starts:
            yield self._batch([self.examples[n] for n in order[start : start + self.batch_size]])

    def _batch(self, examples: list[Example]) -> Batch:
        if self.word_dropout:
            examples = [(self._drop(indices), label) for indices, label in examples]
        tokens, lengths, labels = self.collate(examples)
        return tokens.to(self.device), lengths.to(self.device), labels.to(self.device)

    def _drop(self, indices: list[int]) -> list[int]:
        draw = self._random.random
        return [self.unknown if draw() < self.word_dropout else index for index in indices]


def hold_out(sentences: Sequence[str], count: int, seed: int = 0) -> tuple[list[int], list[int]]:
    """Split off `count` whole sentences, and keep every fragment of theirs out of the rest.

    SST-2's training set holds sentences *and* their phrases ("a gripping movie" beside "a gripping movie , played
    with performances that are all understated"). A random split would put phrases of one sentence on both sides, and the
    held-out accuracy would flatter. A sentence is taken as whole if no other text contains it.

    Args:
        sentences: the texts.
        count: how many whole sentences to hold out.
        seed: of the choice.

    Returns:
        (rest, held): indices into `sentences`, each in ascending order; texts that are fragments of a
        held-out sentence are in neither.
    """
    texts = [f" {' '.join(text.split())} " for text in sentences]
    inside: set[int] = set()
    by_word: dict[str, list[int]] = {}
    for n, text in enumerate(texts):
        for word in set(text.split()):
            by_word.setdefault(word, []).append(n)

    def containers(n: int) -> list[int]:
        """The texts in which text n occurs, n among them; looked up by its rarest word."""
        rarest = min(texts[n].split() or [""], key=lambda word: len(by_word.get(word, ())))
        return [m for m in by_word.get(rarest, ()) if texts[n] in texts[m]]

    found = {n: containers(n) for n in range(len(texts))}
    inside = {n for n, around in found.items() if any(len(texts[m]) > len(texts[n]) for m in around)}
    whole = [n for n in range(len(texts)) if n not in inside]
    held = set(random.Random(seed).sample(whole, min(count, len(whole))))
    rest = [n for n in range(len(texts)) if n not in held and not held.intersection(found[n])]
    return rest, sorted(held)
