"""Figures of recorded rows."""

from __future__ import annotations

from utils import plotting
from utils.experiments import plots


def test_what_is_no_model_has_a_colour_of_its_own_in_its_figure():
    """The four ways of fine-tuning were one blue."""
    arms = ["scratch", "head only", "decayed", "all alike"]
    assert len({plots.color_of(arm, arms) for arm in arms}) == len(arms)
    assert plots.color_of("ViT", ["ViT", *arms]) == plots.color_of("ViT")
    rows = [
        {"model": arm, "size": size, "seed": seed, "test_accuracy": 0.5}
        for arm in arms
        for size in (1, 2)
        for seed in (0, 1)
    ]
    _, ax = plotting.figure()
    plots.curves(rows, ax=ax)
    assert len({line.get_color() for line in ax.lines if len(line.get_xdata()) == 2}) == len(arms)
