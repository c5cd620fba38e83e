"""What a text model knows of the order of words: the questions, asked of models whose answers are known."""

from __future__ import annotations

import torch
from torch import nn

from tests.peers import import_transformers
from utils.data.diagnostics import diagnostic_pairs
from utils.data.text import tokenize
from utils.experiments import precision_choice
from utils.experiments.grids import word_order
from utils.experiments.models import resolve
from utils.experiments.tasks import Context
from utils.experiments.text_probes import (
    RelativeBias,
    local_start,
    pairs_passed,
    passes,
    relative_positions,
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


def test_relative_positions_start_as_none_and_then_tell_orders_apart():
    torch.manual_seed(3)
    unordered = without_positions(**SIZES).eval()
    torch.manual_seed(3)
    relative = relative_positions(**SIZES).eval()
    added = {name for name, _ in relative.named_parameters()} - {n for n, _ in unordered.named_parameters()}
    assert added == {f"encoder.layers.{n}.self_attn.relative.bias" for n in range(2)}
    tokens, lengths = torch.randint(1, 40, (5, 9)), torch.tensor([9, 3, 9, 1, 7])
    torch.testing.assert_close(relative(tokens, lengths), unordered(tokens, lengths))
    for layer in relative.encoder.layers:
        nn.init.normal_(layer.self_attn.relative.bias)
    assert not torch.allclose(relative(tokens, lengths), relative(tokens.flip(1), lengths), atol=1e-4)
    padded = tokens.masked_fill(torch.arange(9) >= lengths[:, None], 7)
    torch.testing.assert_close(relative(padded, lengths), relative(tokens, lengths))
    nn.functional.cross_entropy(relative(tokens, lengths), lengths % 2).backward()
    assert all((layer.self_attn.relative.bias.grad != 0).any() for layer in relative.encoder.layers)


def test_a_local_start_looks_at_one_neighbour_per_head_and_learns_from_there():
    model = local_start(**SIZES)
    for layer in model.encoder.layers:
        bias = layer.self_attn.relative.bias
        heads, furthest = len(bias), layer.self_attn.relative.furthest
        assert bias.requires_grad and bias.shape == (heads, 2 * furthest + 1)
        assert (bias.argmax(dim=1) - furthest).tolist() == [h - heads // 2 for h in range(heads)]
        assert set(bias.diff(dim=1).flatten().tolist()) == {1.0, -1.0}, "one less per word further away"
        attend = layer.self_attn.attend
        query = key = torch.zeros(1, heads, 9, 2)
        seen = attend(query, key, torch.eye(9).expand(1, heads, 9, 9), None)[0]  # weights: (1, H, N, M)
        assert (seen[0, :, 4].argmax(dim=1) - 4).tolist() == [h - heads // 2 for h in range(heads)]


def test_the_relative_bias_is_that_of_t5_where_its_buckets_hold_one_distance_each():
    import_transformers()
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5Attention

    heads, n, d = 3, 8, 5
    config = T5Config(d_model=heads * d, d_kv=d, num_heads=heads, relative_attention_num_buckets=32)
    theirs = T5Attention(config, has_relative_attention_bias=True, layer_idx=0)
    ours = RelativeBias(heads)
    nn.init.normal_(ours.bias)
    with torch.no_grad():
        for away in range(1 - n, n):
            bucket = 16 + away if away > 0 else -away
            theirs.relative_attention_bias.weight[bucket] = ours.bias[:, away + ours.furthest]
    query, key, value = torch.randn(3, 2, heads, n, d).unbind()
    mask = torch.rand(2, 1, 1, n) < 0.7
    mask[..., 0] = True
    scores = query @ key.transpose(-1, -2) / d**0.5 + theirs.compute_bias(n, n)
    expected = scores.masked_fill(~mask, float("-inf")).softmax(-1) @ value
    torch.testing.assert_close(ours(query, key, value, mask)[0], expected)


def test_distances_beyond_the_furthest_share_a_number():
    bias = RelativeBias(1, furthest=2)
    nn.init.normal_(bias.bias)
    query = key = torch.zeros(1, 1, 6, 1)
    weights = bias(query, key, torch.eye(6)[None, None], None)[0]
    assert torch.equal(weights[0, 0, 0, 2:], weights[0, 0, 0, 2].expand(4)), "0 looks 2, 3, 4, 5 away"


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
