"""Checks: from a sentence to a batch of numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Draw, Exercise, Property, Seen
from utils.words import later


def _sentences(draw: Draw, words: list[str], sizes: list[int]) -> list[list[str]]:
    return [[words[i] for i in draw.integers(0, len(words), size).tolist()] for size in sizes]


def _vocabulary_cases(draw: Draw) -> list[Case]:
    words = ["good", "bad", "not", "film", "a", "the", "plot", "New York", "It", "zest"]
    few = _sentences(draw, words, [7, 4, 9, 6])
    exact = [["twice", "once", "thrice"], ["thrice", "twice"], ["thrice"]] + [["filler"] * draw.integer(4, 7)]
    ties = [
        list(
            draw.choice([["pear", "Fig", "apple"], ["Fig", "pear", "apple"]])
        ),  # capitals come first in Python
        ["peach", "peat"][:: draw.choice([1, -1])] + ["applet", "appeal"],  # alike in front; short and long
        ["kiwi", "kiwi"],
        ["kiwi"],
    ]
    korean = _sentences(draw, ["정말", "재미", "없다", "있다", "영화", "최고"], [5, 8, 3])
    return [
        Case(
            "every word kept",
            args={"sentences": few, "words": ["good", "New York", "unheard", "<pad>", "not"]},
        ),
        Case(
            "a minimum frequency of two",
            args={"sentences": exact, "words": ["once", "twice", "thrice", "filler"]},
            kwargs={"min_frequency": 2},
        ),
        Case(
            "words of equal frequency",
            args={"sentences": ties, "words": ["apple", "Fig", "pear", "kiwi", "peach", "appeal", "never"]},
            kwargs={"min_frequency": 1},
        ),
        Case(
            "an empty sentence first, and no words to encode",
            args={"sentences": [[], *_sentences(draw, words, [6, 5, 8])], "words": []},
            kwargs={"min_frequency": 2},
        ),
        Case(
            "Korean words, read once",
            args={"sentences": korean, "words": ["영화", "최악", "최고", "영화"]},
            kwargs={"min_frequency": 2},
        ),
    ]


ONCE = ("Korean words, read once", "an empty sentence first, and no words to encode")


def _known(case: Case) -> list[str]:
    """The two special tokens, then all words of the case in alphabetical order."""
    return ["<pad>", "<unk>", *sorted({word for sentence in case.args["sentences"] for word in sentence})]


def _observe_vocabulary(attempt: Any, case: Case) -> Seen:
    """Builds, looks every word up, encodes. Words are reported in sorted order, so that shapes are known."""
    sentences = [list(sentence) for sentence in case.args["sentences"]]
    before = [list(sentence) for sentence in sentences]
    once = case.name in ONCE  # an Iterable of Sequences may be read once, and need not hold lists
    given = (tuple(sentence) for sentence in sentences) if once else sentences
    vocabulary = attempt.build(given, **case.kwargs)
    if vocabulary is None:
        raise ObservationError(
            Problem(
                "type", later("{name} returned None. Is there a `return` missing?", name="Vocabulary.build")
            )
        )
    if not isinstance(vocabulary, attempt):
        kind = type(vocabulary).__name__
        raise ObservationError(
            Problem(
                "type",
                later(
                    "Vocabulary.build should return a Vocabulary (`cls(...)`), and yours returned a {kind}.",
                    kind=kind,
                ),
            )
        )
    size = _sizes(vocabulary)
    encoded = vocabulary.encode((tuple if once else list)(case.args["words"]))
    if not isinstance(encoded, list) or not all(isinstance(index, int) for index in encoded):
        kind = (
            "a list with other things in it" if isinstance(encoded, list) else f"a {type(encoded).__name__}"
        )
        raise ObservationError(
            Problem(
                "type",
                later("Vocabulary.encode should return a list of int, and yours returned {kind}.", kind=kind),
            )
        )
    return {  # looked up after encoding, which must change nothing
        "indices of the words": torch.tensor([vocabulary.index.get(word, -1) for word in _known(case)]),
        "size": torch.tensor(size[0]),
        "size after encoding": torch.tensor(len(vocabulary)),
        **({} if _sizes(vocabulary) == size else {"again:table": torch.tensor(True)}),
        "encoded": torch.tensor(encoded, dtype=torch.long),
        "same:sentences": torch.tensor(sentences == before),
    }


def _sizes(vocabulary: Any) -> tuple[int, int, int]:
    """Of the vocabulary, of its list and of its dictionary: encoding must leave all three as they are."""
    return len(vocabulary), len(getattr(vocabulary, "words", ())), len(vocabulary.index)


def _counts(case: Case) -> Tensor:
    """Frequencies of `_known`'s words behind the special tokens."""
    counts = Counter(word for sentence in case.args["sentences"] for word in sentence)
    return torch.tensor([counts[word] for word in _known(case)[2:]])


VOCABULARY = Exercise(
    name="Vocabulary",
    notebook="02_lstm_sentiment",
    points=3,
    stars=1,
    minutes=10,
    reference="solutions.text:Vocabulary",
    stand_in="utils.stand_ins.text:Vocabulary",
    cases=_vocabulary_cases,
    observe=_observe_vocabulary,
    gradients=False,
    outputs=("indices of the words", "size", "encoded"),
    properties=(
        Property(
            "special tokens first",
            "`<pad>` should have index 0 and `<unk>` index 1; `__init__` sees to that, so hand it the words alone.",
            lambda case, seen: seen["indices of the words"][:2].tolist() == [0, 1],
        ),
        Property(
            "encoding adds nothing",
            "Your `encode` changes the table: a word that is not in it should get the index of `<unk>`, and none of its own.",
            lambda case, seen: seen["size"] == seen["size after encoding"],
        ),
        Property(
            "rare words left out",
            "Your vocabulary holds a word that occurs less often than `min_frequency`.",
            lambda case, seen: (seen["indices of the words"][2:][_counts(case) < case.kwargs.get("min_frequency", 1)] == -1).all(),
        ),
        Property(
            "frequent words kept",
            "A word that occurs at least `min_frequency` times (over all sentences together) is missing in your vocabulary.",
            lambda case, seen: (seen["indices of the words"][2:][_counts(case) >= case.kwargs.get("min_frequency", 1)] >= 2).all(),
        ),
    ),
)  # fmt: skip


def _examples(draw: Draw, lengths: list[int], classes: int = 2) -> list[tuple[list[int], int]]:
    return [(draw.integers(2, 50, length).tolist(), draw.integer(0, classes)) for length in lengths]


def _collate_cases(draw: Draw) -> list[Case]:
    return [
        Case("sentences of different length", args={"batch": _examples(draw, [3, 5, 2])}),
        Case("the longest sentence first, five classes", args={"batch": _examples(draw, [6, 1, 4, 4], 5)}),
        Case("sentences of one length", args={"batch": _examples(draw, [4, 4])}),
        Case("a single sentence", args={"batch": _examples(draw, [7], 9)}),
        Case("a sentence without words", args={"batch": _examples(draw, [2, 0, 3])}),
        Case(
            "the first sentence is empty, and a batch of tuples",
            args={"batch": tuple((tuple(words), label) for words, label in _examples(draw, [0, 4, 1]))},
        ),
        Case(
            "a sentence that holds <pad>'s index itself",
            args={"batch": [*_examples(draw, [4, 2]), ([draw.integer(2, 50), 0, 0], 1)]},
        ),
        Case("another padding index", args={"batch": _examples(draw, [2, 5, 3])}, kwargs={"pad": 99}),
    ]


COLLATE = Exercise(
    name="collate",
    notebook="02_lstm_sentiment",
    points=2,
    stars=1,
    minutes=8,
    reference="solutions.text:collate",
    stand_in="utils.stand_ins.text:collate",
    cases=_collate_cases,
    gradients=False,
    outputs=("tokens", "lengths", "labels"),
    properties=(
        Property(
            "each sentence at the left",
            "A row of `tokens` does not begin with its sentence, in the order of the batch.",
            lambda case, seen: all(
                seen["tokens"][n, : len(indices)].tolist() == list(indices)
                for n, (indices, _) in enumerate(case.args["batch"])
            ),
        ),
    ),
)
