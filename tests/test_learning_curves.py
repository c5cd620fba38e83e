"""The learning curves behind notebook 06's controls: every choice has a picture and words, made from the same rows."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.collections import PathCollection

from tests.pictures import extents
from utils import plotting
from utils.experiments.declare import find
from utils.experiments.learning_curves import ALL, PAIR, LearningCurves
from utils.experiments.results import load, select
from utils.plotting import controls


def row(model: str, size: int, seed: int, **more) -> dict:
    losses = [2.0, 1.0 + seed / 10, 0.5]
    return {"model": model, "size": size, "seed": seed, "arm": "steps", "augment": False, "test_accuracy": 0.3,
            "train_accuracy": 0.9 + seed / 100, "curve": {"step": [1, 5, 10], "train_loss": losses}} | more  # fmt: skip


ROWS = [row(m, s, seed) for m in ("CNN", "ViT") for s in (500, 2000) for seed in range(3)]
ROWS += [row("Swin", 500, 0), row("CNN", 500, 0, augment=True)]


@pytest.mark.slow
def test_every_choice_has_a_picture_and_words() -> None:
    curves = LearningCurves(ROWS)
    assert curves.choices == {
        "images": [500, 2000],
        "models": [PAIR, "CNN", "ViT", "Swin", ALL],
        "training": ["equal steps", "equal steps, augmented"],
    }
    assert curves.start == {"images": 500, "models": PAIR, "training": "equal steps"}
    for values in itertools.product(*curves.choices.values()):
        chosen = dict(zip(curves.choices, values, strict=True))
        extents(curves.draw(**chosen))
        assert curves.alt(**chosen).startswith(f"{chosen['images']:,} images, {chosen['training']}. ")


def test_a_line_per_seed_and_a_dot_and_a_ring_per_seed() -> None:
    fig = LearningCurves(ROWS).draw(images=500, models=PAIR, training="equal steps")
    left, right = fig.axes
    assert [line.get_ydata()[1] for line in left.lines] == [1.0, 1.1, 1.2] * 2
    dots = [c.get_offsets()[:, 0].tolist() for c in right.collections if isinstance(c, PathCollection)]
    assert dots == [[30.0] * 3, [90.0, 91.0, 92.0]] * 2


def test_the_words_are_of_the_rows() -> None:
    curves = LearningCurves(ROWS)
    said = curves.alt(images=500, models=ALL, training="equal steps")
    assert (
        "CNN, 3 seeds: loss from 2.00 to 0.50 after 10 steps, training accuracy 91.0%, test accuracy 30.0%"
        in said
    )
    assert "Swin, 1 seed:" in said
    assert "ViT: not recorded" in curves.alt(images=500, models=PAIR, training="equal steps, augmented")


def test_rows_without_a_known_way_are_refused() -> None:
    with pytest.raises(ValueError, match="no recorded learning curves"):
        LearningCurves([row("CNN", 500, 0, arm="one pass")])


@pytest.mark.slow
def test_a_control_draws_the_recorded_trainings_again(monkeypatch) -> None:
    monkeypatch.setattr(controls, "in_jupyter", lambda: True)
    curves = LearningCurves(load("data-scaling", preset="cpu", stage="main"))
    widget = plotting.explore(curves.draw, curves.alt, start=curves.start, **curves.choices)
    bar, shown = widget.children
    images, models, training = bar.children
    assert 'alt="500 images, equal steps. CNN' in shown.value
    images.value, training.value = 2000, "equal steps, augmented"
    assert "2,000 images, equal steps, augmented. CNN: not recorded" in shown.value
    training.value, models.value = "equal epochs", "ViT"
    assert "2,000 images, equal epochs. ViT, 3 seeds" in shown.value


def test_the_rolled_rule_has_a_picture_of_its_own() -> None:
    rows = [
        row(model, 16_384, seed, rule=rule, arm="one pass", test_accuracy=value + seed / 100)
        for rule in ("position", "position, rolled")
        for model, value in (("CNN", 0.9), ("CNN, circular", 0.7 if rule == "position" else 0.24))
        for seed in range(3)
    ]
    made = find("label-rule").figures(rows)
    fig, alt = made["edges"]
    extents(fig)
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["images as drawn", "rolled over the edges"]
    assert "circular padding 71.0" in alt and "circular padding 25.0" in alt
    assert "edges" not in find("label-rule").figures(select(rows, rule="position"))
