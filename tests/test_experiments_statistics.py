"""Intervals against values computed by hand, paired differences, log error, crossings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from utils.experiments.statistics import (
    Interval,
    crossings,
    log_error,
    mean_interval,
    means,
    over_seeds_and_images,
    paired_difference,
    two_way_interval,
)


def row(model, seed, accuracy, size=500, **more):
    return {
        "model": model,
        "seed": seed,
        "test_accuracy": accuracy,
        "train_accuracy": 1.0,
        "size": size,
    } | more


def test_interval_of_three_values_by_hand():
    # mean 2, deviation 1, t(0.975, 2) = 4.302653 (any table), half-width 4.302653 / sqrt(3)
    found = mean_interval([1.0, 2.0, 3.0])
    assert found.mean == pytest.approx(2) and found.n == 3
    assert found.half == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert found.low == pytest.approx(2 - 2.484138, abs=1e-5) and found.high == pytest.approx(
        4.484138, abs=1e-5
    )
    assert not found.excludes_zero


def test_interval_of_five_values_by_hand():
    # mean -1, squares 4 + 1 + 0 + 1 + 4 = 10, deviation sqrt(10 / 4), t(0.975, 4) = 2.776445
    found = mean_interval([-3.0, -2.0, -1.0, 0.0, 1.0])
    assert found.half == pytest.approx(2.776445 * math.sqrt(2.5) / math.sqrt(5), rel=1e-6)


def test_one_value_has_no_interval_and_none_has_no_mean():
    assert mean_interval([0.7]).mean == 0.7 and math.isnan(mean_interval([0.7]).half)
    assert not mean_interval([0.7]).excludes_zero
    assert mean_interval([0.5, None, math.nan, 0.7]).n == 2
    assert mean_interval([]).n == 0 and math.isnan(mean_interval([]).mean)


def test_pairs_cancel_what_seeds_share():
    """Accuracies differ by 0.3 between seeds, the difference of the models by nothing: the interval is narrow."""
    rows = [row("CNN", s, 0.5 + 0.1 * s) for s in range(4)] + [row("ViT", s, 0.4 + 0.1 * s) for s in range(4)]
    found = paired_difference(rows, "CNN", "ViT")
    assert found.mean == pytest.approx(0.1) and found.half == pytest.approx(0, abs=1e-12) and found.n == 4
    assert means(rows, "model")["CNN"].half > 0.1
    assert paired_difference(rows, "ViT", "CNN").mean == pytest.approx(-0.1)


def test_by_gives_an_interval_for_each_value_and_unpaired_runs_are_left_out():
    rows = [row("CNN", 0, 0.6), row("CNN", 1, 0.7), row("ViT", 1, 0.4), row("CNN", 0, 0.9, size=2000)]
    rows += [row("ViT", 0, 0.8, size=2000), row("Swin", 0, 0.1)]
    found = paired_difference(rows, "CNN", "ViT", by="size")
    assert {key: (pytest.approx(d.mean), d.n) for key, d in found.items()} == {
        500: (pytest.approx(0.3), 1),
        2000: (pytest.approx(0.1), 1),
    }
    assert set(paired_difference(rows, "CNN", "ViT", by=("size", "model"))) == {
        (500, "CNN"),
        (500, "ViT"),
        (2000, "CNN"),
        (2000, "ViT"),
    }


def test_other_columns_may_differ_in_a_pair():
    rows = [row("ViT", 0, 0.5, augment=True), row("ViT", 0, 0.4, augment=False)]
    assert paired_difference(rows, True, False, of="augment").mean == pytest.approx(0.1)


def test_mixed_arms_are_refused():
    rows = [row("CNN", 0, 0.6, arm="steps"), row("CNN", 0, 0.7, arm="epochs"), row("ViT", 0, 0.5)]
    with pytest.raises(ValueError, match="select one arm"):
        paired_difference(rows, "CNN", "ViT")


def test_log_error_is_relative():
    half = paired_difference([row("CNN", 0, 0.9), row("ViT", 0, 0.8)], "CNN", "ViT", value="log_error")
    assert half.mean == pytest.approx(math.log(0.5))
    assert log_error({"test_accuracy": 1.0, "test_images": 200}) == pytest.approx(math.log(0.5 / 200))


def test_a_crossing_counts_only_where_both_sides_are_certain():
    up, down, unsure = Interval(0.1, 0.05, 3), Interval(-0.1, 0.05, 3), Interval(-0.01, 0.05, 3)
    assert crossings([1, 2, 3], [up, unsure, down]) == [(1, 3)]
    assert crossings([1, 2], [up, unsure]) == []
    assert crossings([1, 2, 3], [down, up, down]) == [(1, 2), (2, 3)]


def test_a_table_of_seeds_and_images_by_hand():
    # mean squares: seeds 3 (1/9 + 1/9) / 1 = 2/3, images 2 (1/4 + 1/4) / 2 = 1/2, rest (1/3) / 2 = 1/6; their sum is
    # 2/3 + 1/2 - 1/6 = 1, its degrees of freedom 1 / (4/9 + 1/8 + 1/72) = 12/7
    found = two_way_interval(np.array([[1, 0, 0], [0, 0, -1]]))
    assert (found.mean, found.n) == (0, 2)
    assert found.half == pytest.approx(stats.t.ppf(0.975, 12 / 7) * math.sqrt(1 / 6))


@pytest.mark.parametrize("axis", [0, 1])
def test_where_one_side_alone_varies_the_interval_is_the_usual_one(axis):
    values = np.array([0.1, 0.4, 0.2, 0.7])
    table = np.repeat(np.expand_dims(values, 1 - axis), 6, axis=1 - axis)
    found = two_way_interval(table)
    assert found.mean == pytest.approx(mean_interval(values).mean)
    assert found.half == pytest.approx(mean_interval(values).half)


def test_one_seed_or_no_difference():
    assert math.isnan(two_way_interval(np.ones((1, 9))).half)
    assert two_way_interval(np.zeros((3, 9))) == Interval(0.0, 0.0, 3)


def test_the_interval_covers_what_both_samples_were_drawn_from():
    """Means of 300 tables with effects of seeds, of images and of both: the true mean, 0, is inside about 95 of 100 times."""
    rng = np.random.default_rng(0)
    inside, of_seeds_alone = 0, 0
    for _ in range(300):
        table = (
            0.03 * rng.normal(size=(5, 1)) + 0.4 * rng.normal(size=(1, 200)) + 0.3 * rng.normal(size=(5, 200))
        )
        found = two_way_interval(table)
        inside += abs(found.mean) <= found.half
        alone = mean_interval(table.mean(1))
        of_seeds_alone += abs(alone.mean) <= alone.half
    assert 0.92 <= inside / 300 <= 0.99
    assert of_seeds_alone / 300 < 0.9, "an interval over seeds says nothing about other images"


def test_rows_are_paired_by_seed():
    from utils.experiments.tasks import bitmap

    def kept(model, seed, answers):
        return row(model, seed, 0, right=bitmap(torch.tensor(answers) > 0), test_images=len(answers))

    rows = [
        kept("ViT", 0, [1, 1, 1]),
        kept("ViT", 1, [1, 0, 0]),
        kept("CNN", 0, [0, 1, 1]),
        kept("CNN", 1, [1, 0, 1]),
    ]
    found = over_seeds_and_images([*rows, kept("ViT", 2, [1, 1, 0])], "ViT", "CNN")
    assert found == two_way_interval(np.array([[1, 0, 0], [0, 0, -1]]))
