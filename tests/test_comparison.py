"""The recorded comparison of LSTM and Transformer: nested parts, equal steps, resume."""

from __future__ import annotations

import json

import pytest

from utils.experiments import comparison

pytestmark = pytest.mark.slow

MODELS = ["LSTM=utils.stand_ins.text:LSTMClassifier", "Transformer=utils.stand_ins.text:LSTMClassifier"]


def command(folder, *more):
    models = [word for model in MODELS for word in ("--model", model)]
    base = [
        "--data",
        "reviews",
        "--limit",
        "300",
        "--steps",
        "2",
        "--seeds",
        "0",
        "--out",
        "x",
        "--folder",
        str(folder),
    ]
    return [*models, *base, *more]


def rows(folder):
    return [json.loads(line) for line in (folder / "x.jsonl").read_text().splitlines()]


def test_smaller_parts_lie_inside_larger_ones_and_seeds_differ():
    examples = [([i], 0) for i in range(100)]
    small, large = comparison.part(examples, 10, seed=1), comparison.part(examples, 30, seed=1)
    assert large[:10] == small
    assert comparison.part(examples, 10, seed=2) != small
    assert comparison.part(examples, 0, seed=1) == examples


def test_every_training_is_recorded_once_and_a_killed_run_goes_on(tmp_path, capsys):
    assert comparison.main(command(tmp_path, "--sizes", "40", "80")) == 0
    first = rows(tmp_path)
    assert [(r["model"], r["size"]) for r in first] == [
        ("LSTM", 40),
        ("Transformer", 40),
        ("LSTM", 80),
        ("Transformer", 80),
    ]
    assert all(r["steps"] == 2 and 0 <= r["accuracy"] <= 1 and r["machine"] and r["command"] for r in first)
    path = tmp_path / "x.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:20])  # killed in the middle of a line
    assert comparison.main(command(tmp_path, "--sizes", "40", "80")) == 0
    assert capsys.readouterr().out.count("accuracy") == 0
    whole = [line for line in path.read_text().splitlines() if line.endswith("}")]
    assert len(whole) == 4
    again = json.loads(whole[3])
    assert again["accuracy"] == first[3]["accuracy"], "a repeated training gives the same figure"


def test_an_unknown_model_name_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        comparison.main(
            [
                "--model",
                "GRU=a:b",
                "--data",
                "reviews",
                "--limit",
                "50",
                "--out",
                "x",
                "--folder",
                str(tmp_path),
            ]
        )
    assert "LSTM, Transformer" in capsys.readouterr().err
