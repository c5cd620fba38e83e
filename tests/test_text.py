"""Tokens, batches of like length, the held-out split, and the training of sentiment experiments."""

from __future__ import annotations

import pytest
import torch

from utils.data import TextData, TextSplit
from utils.data.text import Batches, hold_out, tokenize
from utils.experiments.text_training import part, train_text
from utils.stand_ins.lstm import LSTMClassifier
from utils.stand_ins.text import collate
from utils.training import Precision


@pytest.mark.parametrize(
    ("text", "unit", "tokens"),
    [
        ("It isn't bad!", "words", ["it", "is", "n't", "bad", "!"]),
        ("it is n't bad , it 's great", "words", ["it", "is", "n't", "bad", ",", "it", "'s", "great"]),
        ("I can\u2019t say", "words", ["i", "ca", "n't", "say"]),
        ("well-made", "words", ["well", "-", "made"]),
        ("정말  재미있다", "eojeol", ["정말", "재미있다"]),
        ("재미 있다", "syllables", ["재", "미", " ", "있", "다"]),
        ("재미 있다", "bigrams", ["재미", "미 ", " 있", "있다", "다 "]),
        ("", "words", []),
        ("", "bigrams", []),
    ],
)
def test_tokenize(text: str, unit: str, tokens: list[str]) -> None:
    assert tokenize(text, unit) == tokens


def test_tokenize_refuses_an_unknown_unit() -> None:
    with pytest.raises(ValueError, match="'letters'"):
        tokenize("a", "letters")


def _examples(count: int = 300) -> list[tuple[list[int], int]]:
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(0, 40, (count,), generator=generator).tolist()
    return [([2 + n] * length, n) for n, length in enumerate(lengths)]


def test_batches_hold_every_example_once_and_little_padding() -> None:
    examples = _examples()
    batches = Batches(examples, 32, collate, shuffle=True, seed=3)
    epochs = [list(batches), list(batches)]
    for epoch in epochs:
        assert len(epoch) == len(batches) == 10
        assert sorted(label for _, _, labels in epoch for label in labels.tolist()) == list(range(300))
        for tokens, lengths, labels in epoch:
            for row, length, n in zip(tokens.tolist(), lengths.tolist(), labels.tolist(), strict=True):
                wanted = examples[n][0] or [1]  # an empty text becomes one unknown word
                assert row[:length] == wanted and not any(row[length:])
    cells = sum(tokens.numel() for tokens, _, _ in epochs[0])
    real = sum(int(lengths.sum()) for _, lengths, _ in epochs[0])
    assert real / cells > 0.8  # 0.5 if they were drawn at random
    first = [labels.tolist() for _, _, labels in epochs[0]]
    assert first != [labels.tolist() for _, _, labels in epochs[1]]  # other batches in the next epoch
    again = Batches(examples, 32, collate, shuffle=True, seed=3)
    assert first == [labels.tolist() for _, _, labels in again]


def test_word_dropout_replaces_about_its_share() -> None:
    batches = Batches([([7] * 50, 0)] * 40, 20, collate, word_dropout=0.3, unknown=1)
    tokens = torch.cat([tokens for tokens, _, _ in batches])
    assert set(tokens.unique().tolist()) == {1, 7}
    assert (tokens == 1).float().mean().item() == pytest.approx(0.3, abs=0.05)


def test_hold_out_leaves_no_fragment_behind() -> None:
    sentences = [
        "a gripping movie",
        "a gripping movie , played well",
        "played well",
        "dull",
        "so dull it hurts",
        "art",
    ]
    for seed in range(4):
        rest, held = hold_out(sentences, 1, seed)
        assert len(held) == 1 and sentences[held[0]] in (sentences[1], sentences[4], sentences[5])
        assert not any(f" {sentences[n]} " in f" {sentences[held[0]]} " for n in rest)
    rest, held = hold_out(sentences, 3)
    assert held == [1, 4, 5] and rest == []  # "art" is no fragment: words are compared, not letters
    rest, held = hold_out(sentences, 0)
    assert held == [] and rest == list(range(6))


def _tiny() -> TextData:
    good = ["a good film", "good fun", "really good", "such good work"] * 6
    bad = ["a bad film", "bad jokes", "really bad", "such bad work"] * 6
    split = TextSplit(good + bad, [1] * 24 + [0] * 24)
    return TextData("tiny", "procedural", ("negative", "positive"), {"train": split, "validation": split})


CELL = {"model": "LSTM", "spec": {"args": {"embed_dim": 8, "hidden_dim": 8, "dropout": 0.0}}, "size": 0, "seed": 3, "min_frequency": 1,
        "epochs": 10, "batch": 8, "lr": 2e-2, "schedule": "one cycle", "warmup": 0.2}  # fmt: skip
CPU = Precision(torch.device("cpu"))


def test_a_run_learns_and_repeats_itself() -> None:
    runs = [train_text(LSTMClassifier, _tiny(), CELL, CPU) for _ in range(2)]
    assert runs[0]["test_accuracy"] == runs[0]["train_accuracy"] == 1.0 and runs[0]["split"] == "validation"
    losses = [found["curve"]["train_loss"] for found in runs]
    assert losses[0] == losses[1] and len(losses[0]) == 10 and losses[0][-1] < losses[0][0]
    assert runs[0]["steps_taken"] == 60 and runs[0]["vocabulary"] > 5 and runs[0]["data_fingerprint"]


def test_equal_steps_are_counted_over_the_ends_of_epochs() -> None:
    steps = {k: v for k, v in CELL.items() if k not in ("epochs", "schedule", "warmup")} | {
        "steps": 17,
        "size": 16,
    }
    found = train_text(LSTMClassifier, _tiny(), steps, CPU)
    assert found["steps_taken"] == 17 and found["curve"]["step"] == [17]


def test_smaller_parts_lie_inside_larger_ones_and_seeds_differ() -> None:
    examples = [([i], 0) for i in range(100)]
    small, large = part(examples, 10, seed=1), part(examples, 30, seed=1)
    assert (
        large[:10] == small and part(examples, 10, seed=2) != small and part(examples, 0, seed=1) == examples
    )
