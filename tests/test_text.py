"""Tokens, batches of like length, the held-out split, and the runner of sentiment experiments."""

from __future__ import annotations

import json

import pytest
import torch

from utils.data import TextData, TextSplit
from utils.data.text import Batches, hold_out, tokenize
from utils.experiments import sentiment
from utils.stand_ins.text import collate


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


SETTINGS = sentiment.Settings(
    model="utils.stand_ins.text:LSTMClassifier",
    data="tiny",
    model_args={"embed_dim": 8, "hidden_dim": 8, "dropout": 0.0},
    min_frequency=1,
    epochs=10,
    batch_size=8,
    lr=2e-2,
)


def test_a_run_learns_and_repeats_itself() -> None:
    runs = [sentiment.run(SETTINGS, 3, _tiny(), say=lambda line: None, device="cpu") for _ in range(2)]
    assert runs[0]["accuracy"] == 1.0 and runs[0]["split"] == "validation"
    losses = [[epoch["train_loss"] for epoch in run["history"]] for run in runs]
    assert losses[0] == losses[1] and losses[0][-1] < losses[0][0]


def test_runs_are_recorded_once_and_resumed(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sentiment, "load_text", lambda name, limit=None: _tiny())
    out = tmp_path / "runs.jsonl"
    command = [
        "--model",
        SETTINGS.model,
        "--data",
        "tiny",
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--device",
        "cpu",
    ]
    command += ["--model-args", json.dumps(SETTINGS.model_args), "--out", str(out)]
    assert sentiment.main([*command, "--seeds", "0"]) == 0
    with out.open("a") as file:
        file.write('{"seed": 1, "accur')  # a run that was killed while it wrote
    assert sentiment.main([*command, "--seeds", "0", "1"]) == 0
    runs = sentiment.read(out)
    assert [run["seed"] for run in runs] == [0, 1]
    assert "seed 0: in runs.jsonl already" in capsys.readouterr().out
    for key in (
        "accuracy",
        "seconds",
        "machine",
        "command",
        "parameters",
        "data_sha256",
        "epochs",
        "history",
    ):
        assert key in runs[1]
    assert sentiment.main([*command, "--seeds", "1", "--lr", "0.5"]) == 0  # other settings are another run
    assert len(sentiment.read(out)) == 3


def test_an_unknown_model_is_refused_in_a_sentence() -> None:
    with pytest.raises(SystemExit, match="module:attribute"):
        sentiment.resolve("utils.stand_ins.text:NoSuchModel")
