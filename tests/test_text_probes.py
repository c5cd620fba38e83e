"""What a text model knows of the order of words: the questions, asked of models whose answers are known."""

from __future__ import annotations

import torch
from torch import nn

from utils.data.diagnostics import diagnostic_pairs
from utils.data.text import tokenize
from utils.experiments import precision_choice
from utils.experiments.grids import word_order
from utils.experiments.models import resolve
from utils.experiments.tasks import Context
from utils.experiments.text_probes import (
    pairs_passed,
    passes,
    shuffled,
    shuffled_accuracy,
    without_positions,
)
from utils.experiments.workload import loads
from utils.stand_ins.text import Vocabulary
from utils.training import Precision

SIZES = {"vocab_size": 40, "dim": 16, "num_heads": 2, "hidden_dim": 32}
WORDS = Vocabulary.build([tokenize(text) for pair in diagnostic_pairs() for text in pair.sentences])


class Bag(nn.Module):
    """The sum of a number per word."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(len(WORDS), generator=torch.Generator().manual_seed(0)))

    def forward(self, tokens, lengths):
        total = (self.weight[tokens] * (tokens > 0)).double().sort(dim=1).values.sum(dim=1)
        return torch.stack([-total, total], dim=1)


class Knows(nn.Module):
    """Looks the label up; scores are those of the grammar, or their opposites."""

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.tensor(float(sign)))
        self.table = {}
        for pair in diagnostic_pairs():
            for n, text in enumerate(pair.sentences):
                score = (1 if pair.labels[n] else -1) + 0.5 * (1 if n == pair.higher else -1)
                self.table[tuple(WORDS.encode(tokenize(text)))] = score

    def forward(self, tokens, lengths):
        rows = [tuple(t[:n]) for t, n in zip(tokens.tolist(), lengths.tolist(), strict=True)]
        score = self.sign * torch.tensor([self.table[row] for row in rows])
        return torch.stack([-score, score], dim=1)


class First(nn.Module):
    """Class 1 if the first word's index is even."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, tokens, lengths):
        even = (tokens[:, 0] % 2 == 0).float() * self.weight
        return torch.stack([1 - even, even], dim=1)


def test_who_knows_the_labels_passes_all_pairs_and_who_says_the_opposite_none():
    assert set(pairs_passed(Knows(1), WORDS.encode).values()) == {32}
    assert set(pairs_passed(Knows(-1), WORDS.encode).values()) == {0}


def test_a_bag_of_words_passes_no_pair_of_equal_words():
    same = [pair for pair in diagnostic_pairs() if pair.same_words]
    assert len(same) == 64 and not any(passes(Bag(), WORDS.encode, pair) for pair in same)
    assert sum(pairs_passed(Bag(), WORDS.encode).values()) > 0, "some of the others it passes by luck"


def test_shuffling_costs_nothing_where_order_says_nothing_and_something_where_it_says_all():
    examples = [([2 * n + 2, 5, 7, 9], 1) for n in range(50)] + [([2 * n + 3, 4, 6, 8], 0) for n in range(50)]
    assert 0.1 < shuffled_accuracy(First(), examples) < 0.45, (
        "the first word is one of four, and the rest disagree"
    )
    same = [([2] * 4, 1)] * 20
    assert shuffled_accuracy(First(), same) == 1.0
    moved = shuffled(examples, 0)
    assert moved != examples and [sorted(t) for t, _ in moved] == [sorted(t) for t, _ in examples]
    assert shuffled(examples, 0) == moved != shuffled(examples, 1)


def test_the_encoder_without_positions_gives_every_order_the_same_answer():
    torch.manual_seed(3)
    ordered = resolve(word_order.ENCODER_CLASS)(**SIZES).eval()
    torch.manual_seed(3)
    unordered = without_positions(**SIZES).eval()
    for (name, a), (other, b) in zip(ordered.named_parameters(), unordered.named_parameters(), strict=True):
        assert name == other and torch.equal(a, b)
    tokens, lengths = torch.randint(1, 40, (5, 9)), torch.full((5,), 9)
    mixed = tokens[:, torch.randperm(9)]
    torch.testing.assert_close(unordered(tokens, lengths), unordered(mixed, lengths))
    assert not torch.allclose(ordered(tokens, lengths), ordered(mixed, lengths), atol=1e-4)


def test_sentences_of_the_grammar_are_nested_and_the_test_is_the_same_for_all():
    small, large, other = (word_order.sentences(*how, 20) for how in ((30, 0), (60, 0), (30, 1)))
    assert large.train.texts[:30] == small.train.texts != other.train.texts
    assert small.test.texts == large.test.texts == other.test.texts
    cells = [dict(word_order.EXPERIMENT.main_cells("smoke")[-1], size=size) for size in (10, 20)]
    rows = [word_order.train(cell, Context()) for cell in cells]
    assert rows[0]["data_fingerprint"] == rows[1]["data_fingerprint"], (
        "the rows of a preset see the same data"
    )
    assert sum(large.train.labels) == 30 and set(small.test.labels) == {0, 1}


def test_which_precision_is_faster_is_measured_on_sentences():
    for load in loads(word_order.EXPERIMENT, "smoke"):
        precision_choice.training_step(load)(Precision(torch.device("cpu"), "float32"))
