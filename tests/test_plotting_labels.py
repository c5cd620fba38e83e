"""Names at line ends and beside points: inside the axes, clear of each other, clear of lines that go on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.pictures import assert_nothing_cut_or_covered, overlap, texts
from utils import plotting
from utils.plotting.endlabels import EndLabel, _curves, across, columns, spread, step_aside


def test_spread_stays_between_its_limits_where_there_is_room() -> None:
    crowd, heights = np.array([1.0, 1.1, 0.9]), np.full(3, 4.0)
    np.testing.assert_allclose(spread(crowd, heights, 0, 100), [6, 10, 2])  # -5..7 without limits
    np.testing.assert_allclose(spread(99 + crowd / 2, heights, 0, 100), [94, 98, 90])
    np.testing.assert_allclose(spread(crowd, heights, 0, 11), spread(crowd, heights))  # 12 do not fit into 11
    np.testing.assert_allclose(spread(np.array([50.0, 1.0]), np.full(2, 4.0), 0, 100), [50, 2])


def test_columns_are_linked_by_overlaps() -> None:
    left, right = np.array([0.0, 20.0, 8.0, 31.0]), np.array([10.0, 30.0, 21.0, 40.0])
    assert [group.tolist() for group in columns(left, right)] == [[0, 2, 1], [3]]


def test_a_curve_takes_up_room_only_where_it_is() -> None:
    curve = np.array([[0.0, 0.0], [10.0, 10.0], [20.0, 0.0]])
    low, high = across(curve, 5.0, 12.0) or (0, 0)
    assert low < 5 and 10 < high < 15  # from y = 5 over the top at 10, and a little room around
    assert across(curve, 21.0, 30.0) is None and across(curve, -9.0, -1.0) is None


def test_a_name_steps_aside_by_as_little_as_can_be() -> None:
    assert step_aside(10, 4, [], [], 0, 100) == 10
    assert step_aside(10, 4, [(20, 30)], [], 0, 100) == 10  # the line passes elsewhere
    assert step_aside(10, 4, [(9, 12)], [], 0, 100) == 7  # below is nearer than 14
    assert step_aside(10, 4, [(9, 12)], [(4, 8)], 0, 100) == 14  # below there is another name
    assert step_aside(10, 4, [(9, 12)], [], 6, 100) == 14  # below the axes end
    assert step_aside(10, 4, [(-100, 100)], [], -200, 200) == 10  # nowhere near: it stays


def early_end():
    """The memory picture of notebook 04: a line ends early, and another passes where its name would stand."""
    fig, ax = plotting.figure(width=6.2, height=3.2)
    sides, nan = [32, 48, 64, 96, 128, 192, 256], np.nan
    series = {
        "convolution": [0.3, 0.7, 1.3, 2.8, 5, 11, 20],
        "pixels, fused": [2.6, 3.3, 4.3, 7, 11, nan, nan],
        "patch attention": [0.2, 0.44, 0.77, 1.7, 3.1, 6.9, 16],
    }
    plotting.lines(ax, sides, series, xlabel="R", ylabel="MiB", logx=True, logy=True)
    return fig, ax


def test_no_line_runs_through_a_name() -> None:
    fig, ax = early_end()
    _, _, labels = texts(fig, EndLabel)
    assert len(labels) == 3
    for (label, box), curve in itertools.product(labels, _curves(ax)):
        room = across(curve, box.x0, box.x1)
        assert room is None or room[1] <= box.y0 + 3 or room[0] >= box.y1 - 3, label.get_text()
    assert_nothing_cut_or_covered(fig, EndLabel)


def test_a_name_that_had_to_move_far_is_joined_to_its_line() -> None:
    """Times of notebook 09: two lines end early, where three go on."""
    fig, ax = plotting.figure(width=7.6, height=3.3)
    lengths, nan = [256, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192], np.nan
    series = {"attention": [0.66, 2.2, 4.7, 9, 22, 37, 80, 160, nan, nan]}
    series |= {"attention, fused": [0.38, 1.3, 1.9, 3.2, 6, 10.3, 21, 35, 75, 132]}
    series |= {"retention, parallel": [0.8, 3, 7, 13, 31, 53, 115, 228, nan, nan]}
    series |= {"retention, recurrent": [9, 18, 27, 36, 36, 73, 105, 92, 142, 200]}
    series |= {"retention, chunkwise": [1.25, 2.4, 3.4, 5.3, 4.5, 10, 13, 11, 16.5, 24]}
    plotting.lines(ax, lengths, series, xlabel="N", ylabel="ms", logx=True, logy=True)
    _, _, labels = texts(fig, EndLabel)
    joined = {label.get_text(): bool(label.arrow_patch.get_visible()) for label, _ in labels}
    moved = {
        label.get_text(): bool(abs(label.get_position()[1]) > 1.2 * label.get_fontsize())
        for label, _ in labels
    }
    assert joined == moved and joined["attention"] and not joined["retention, chunkwise"]


def test_no_name_lies_on_the_ticks_below_the_axes() -> None:
    fig, ax = plotting.figure(height=3.4)
    for i in range(6):  # six lines that end together, at the bottom: the gap picture of notebook 06
        plotting.lines(ax, [500, 2000, 8000], {f"model {i}": [70 - i, 30, i / 10]}, xlabel="n", ylabel="gap", logx=True)  # fmt: skip
    _, _, labels = texts(fig, EndLabel)
    assert all(box.y0 >= ax.bbox.y0 - 2 for _, box in labels)
    assert_nothing_cut_or_covered(fig)


def test_points_that_lie_together_get_names_apart() -> None:
    fig, ax = plotting.figure(height=3.2)
    places = {
        "identity": (5.0, 34.0),
        "pooling": (5.0, 33.8),
        "attention": (15.7, 34.0),
        "token MLP": (12, 45.5),
    }
    for x, y in places.values():
        ax.plot(x, y, "o")
    plotting.name_points(ax, places)
    ax.margins(x=0.3)
    _, _, labels = texts(fig, EndLabel)
    boxes = {label.get_text(): box for label, box in labels}
    assert set(boxes) == set(places)
    assert overlap(boxes["identity"], boxes["pooling"]) < 4 and boxes["identity"].y0 > boxes["pooling"].y0
    middle = {name: (box.y0 + box.y1) / 2 for name, box in boxes.items()}
    own = ax.transData.transform(places["attention"])[1]
    assert middle["attention"] == pytest.approx(own, abs=2)  # far to the right, so nothing to make room for
