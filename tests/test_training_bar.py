"""The bar of a training as text: loss, accuracy, and a time left that knows `max_seconds` and the trainings that come behind."""

from __future__ import annotations

import math
import re
import time

import pytest
import torch
from torch import nn

from utils.experiments.live import run_live
from utils.training import fit, progress, training_bar
from utils.training.history import History
from utils.training.progress import Progress, in_a_row

BATCH = (torch.ones(4, 3), torch.tensor([0, 1, 0, 1]))


@pytest.fixture
def screen(monkeypatch, capsys):
    """A screen on which a bar is drawn at each step; gives its states, line after line."""
    monkeypatch.setattr(progress, "somebody_looks_on", lambda: True)
    monkeypatch.setattr(progress, "REDRAW", 0.0)
    return lambda: re.split(r"[\r\n]", capsys.readouterr().out)


def batches(epoch):
    for _ in range(4):
        time.sleep(0.02)
        yield BATCH


def test_the_bar_of_fit_tells_loss_accuracy_and_the_time_left(screen):
    fit(nn.Linear(3, 2), batches, epochs=2, lr=0.1, validation=[BATCH], device="cpu", progress="bar")
    drawn = [line for line in screen() if "left=" in line]
    assert re.search(r"epoch 1/2: .*/8 .*loss=\d\.\d+, accuracy=\d\.\d+, left=0:0\d", drawn[0])
    assert "epoch 2/2" in drawn[-1] and "validation accuracy=0.500" in drawn[-1]


def test_the_time_left_on_the_bar_ends_with_max_seconds(screen):
    history = History(epochs=1, steps=10)
    bar = Progress(history, 100_000, show=True, max_seconds=60)
    bar.first = (0, bar.began)
    bar.began -= 50  # of its sixty seconds
    bar.show(0, torch.tensor([6.0, 3.0, 4.0]))
    bar.close()
    (left,) = {
        m[1] for line in screen() if (m := re.search(r"loss=1.500, accuracy=0.750, left=0:(\d\d)", line))
    }
    assert int(left) <= 10


def test_a_loop_of_a_notebooks_own_has_the_same_bar(screen):
    with training_bar(2, 3, name="LSTM") as bar:
        for epoch in bar.epochs():
            assert len(list(bar.steps([1, 2, 3]))) == 3
            bar.tell(f"epoch {epoch + 1} is done", loss=0.5, accuracy=0.75)
    drawn = screen()
    assert "epoch 1 is done" in drawn and "epoch 2 is done" in drawn, "a line of its own, above the bar"
    (last,) = [line for line in drawn if "6/6" in line and "left=0:00" in line][-1:]
    assert "LSTM, epoch 2/2" in last and "loss=0.500" in last and "validation accuracy=0.750" in last


def test_without_a_screen_such_a_loop_prints_its_own_lines_only(capsys):
    with training_bar(1, 2) as bar:
        bar.tell(f"{len(bar.steps([1, 2]))} steps", loss=0.5)
    assert capsys.readouterr().out == "2 steps\n"


def test_trainings_in_a_row_share_a_bar_that_knows_what_is_left_of_all(screen):
    with in_a_row() as row:
        for number, rest in ((1, None), (2, 100.0)):
            row.begin(f"{number}/2 CNN", rest, times=1.0)
            fit(nn.Linear(3, 2), batches, epochs=1, lr=0.1, device="cpu", progress=False)
            row.say(f"training {number} is done")
    drawn = screen()
    bars = [line for line in drawn if "left=" in line]
    assert all(re.search(r"[12]/2 CNN: .*loss=\d\.\d+, accuracy=\d\.\d+, left=", line) for line in bars)
    assert "left=1:4" in bars[-1], "a second of its own, and 100 behind it"
    assert "training 1 is done" in drawn and "training 2 is done" in drawn


def test_a_row_ends_with_its_block(screen):
    with in_a_row(), pytest.raises(FloatingPointError):
        fit(nn.Linear(3, 2), [(BATCH[0] * math.nan, BATCH[1])], epochs=1, lr=0.1, device="cpu")
    screen()
    fit(nn.Linear(3, 2), [BATCH], epochs=1, lr=0.1, device="cpu")
    assert any("1/1" in line for line in screen()), "and the next training has a bar of its own"


def test_a_live_part_of_an_experiment_shows_the_training_that_runs(screen):
    rows = run_live(
        "data-scaling", "smoke", models=("CNN",), sizes=(64,), seeds=(0, 1), steps=6,
        only={"arm": "steps", "augment": False}, test_images=20,
    )  # fmt: skip
    drawn = screen()
    assert len(rows) == 2
    for number in (1, 2):
        assert any(
            re.search(rf"{number}/2 CNN, 64 images.*loss=\d\.\d+, accuracy=\d\.\d+, left=\d+:\d\d", line)
            for line in drawn
        )
    assert sum(line.startswith(("[1/2]", "[2/2]")) for line in drawn) == 2
