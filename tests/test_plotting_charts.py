"""The charts: lines with intervals, bars, heat maps, images; text that is neither cut off nor covered."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from tests.pictures import assert_nothing_cut_or_covered, extents, overlap, texts
from utils import plotting
from utils.plotting import numbers
from utils.plotting.endlabels import EndLabel, spread

# ------------------------------------------------------------------------------------------------- charts


def test_t_interval_against_scipy():
    rng = np.random.default_rng(0)
    samples = rng.normal(3, 2, (5, 4))
    mean, half = numbers.t_interval(samples)
    for column in range(4):
        low, high = stats.t.interval(
            0.95, 4, loc=samples[:, column].mean(), scale=stats.sem(samples[:, column])
        )
        np.testing.assert_allclose([mean[column] - half[column], mean[column] + half[column]], [low, high])
    samples[1:, 0] = np.nan
    samples[0, 1] = np.nan
    mean, half = numbers.t_interval(samples)
    assert mean[0] == samples[0, 0] and np.isnan(half[0])
    np.testing.assert_allclose(half[1], stats.sem(samples[1:, 1]) * stats.t.ppf(0.975, 3))


def test_lines_draw_means_and_intervals():
    rng = np.random.default_rng(1)
    seeds = torch.tensor(rng.normal(0, 1, (4, 6)), requires_grad=True)
    fig, ax = plotting.figure()
    plotting.lines(
        ax, torch.arange(6), {"seeds": seeds, "one": list(range(6))}, xlabel="epoch", ylabel="loss (nats)"
    )
    mean, half = numbers.t_interval(seeds.detach().numpy())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), range(6))
    (band,) = ax.collections  # none for the single run
    corners = band.get_paths()[0].vertices
    for i in range(6):
        at = np.sort(corners[corners[:, 0] == i][:, 1])
        np.testing.assert_allclose([at[0], at[-1]], [mean[i] - half[i], mean[i] + half[i]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nats)")
    with pytest.raises(ValueError, match=r"'long'.*\(7,\).*6"):
        plotting.lines(ax, range(6), {"long": range(7)}, xlabel="x", ylabel="y")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.11, 0.63], ["0.2", "0.3", "0.4", "0.6"]),
        ([3567, 13840], ["4,000", "6,000", "8,000", "10,000"]),
        ([0.7, 25], ["1", "2", "5", "10", "20"]),
        ([0.03, 200], ["0.1", "1", "10", "100"]),
    ],
)
def test_ticks_of_logarithmic_axes_are_plain_numbers(values, expected):
    fig, ax = plotting.figure()
    plotting.lines(ax, [1, 2], {"a": values}, xlabel="x", ylabel="y", logy=True)
    fig.canvas.draw()
    low, high = ax.get_ylim()
    pairs = zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
    assert [label.get_text() for tick, label in pairs if low <= tick <= high] == expected
    assert not any(label.get_text() for label in ax.get_yticklabels(minor=True))


def test_an_interval_that_reaches_below_zero_ends_on_a_logarithmic_axis_at_the_smallest_value():
    """Seen once: the plotting floor, a tenth of the curve's smallest value, looked like a fall of 28 decades."""
    _, ax = plotting.figure()
    values = [[1.0, 1e-3, 1e-9], [1.0, 2e-3, 5e-8], [1.0, 9e-2, 1e-7]]
    plotting.lines(ax, [1, 2, 3], {"a": values}, xlabel="x", ylabel="y", logy=True)
    band = ax.collections[0].get_paths()[0].vertices
    for x, seeds in zip([1, 2, 3], zip(*values, strict=True), strict=True):
        mean, half = numbers.t_interval(np.array(seeds)[:, None])
        wanted = mean[0] - half[0] if mean[0] - half[0] > 0 else min(seeds)
        assert np.isclose(band[band[:, 0] == x, 1].min(), wanted)


def test_chance_is_drawn_at_its_value_and_named_apart_from_the_lines():
    fig, ax = plotting.figure()
    plotting.lines(ax, range(5), {"plain": [0.2, 0.22, 0.24, 0.26, 0.251]}, xlabel="epoch", ylabel="accuracy")
    plotting.chance(ax, 0.25)
    assert list(ax.lines[-1].get_ydata()) == [0.25, 0.25]
    assert {"plain", "guessing"} <= {text.get_text() for text, _ in texts(fig)[2]}
    assert_nothing_cut_or_covered(fig)


@pytest.mark.parametrize("log", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("crowd", [2, 7])
def test_labels_stay_apart_and_on_the_page(log, crowd):
    x = np.array([64, 256, 1024, 4096])
    fig, axes = plotting.figure(1, 2)
    for ax in axes:
        curves = {f"window attention {i}": x * (1.0 + i * 1e-3) for i in range(crowd)}
        plotting.lines(ax, x, curves, xlabel="tokens N", ylabel="time (ms)", logx=log[0], logy=log[1])
    renderer, page, labels = texts(fig, EndLabel)
    boxes = [box for _, box in labels]
    middles = [box.y0 + box.height / 2 for box in boxes[:crowd]]
    assert middles == sorted(middles)  # in the order of the lines
    assert all(overlap(first, second) < 4 for first, second in itertools.combinations(boxes, 2))
    assert all(box.x1 <= page.x1 + 1 for box in boxes)
    right_panel = axes[1].yaxis.label.get_window_extent(renderer)
    assert all(overlap(box, right_panel) == 0 for box in boxes)


def test_labels_follow_when_the_axes_change():
    fig, ax = plotting.figure()
    plotting.lines(ax, [1, 2], {"a": [0, 1.0], "b": [0, 1.01]}, xlabel="x", ylabel="y")
    plotting.lines(ax, [1, 2], {"c": [0, 1.005]}, xlabel="x", ylabel="y")  # shares the crowd
    for top in (2, 50, 1.1):
        ax.set_ylim(0, top)
        assert_nothing_cut_or_covered(fig, EndLabel)


def test_spread_moves_as_little_as_can_be():
    np.testing.assert_allclose(spread(np.array([0.0, 10.0, 30.0]), np.full(3, 5.0)), [0, 10, 30])
    np.testing.assert_allclose(spread(np.array([10.0, 10.0]), np.full(2, 4.0)), [8, 12])
    placed = spread(np.array([5.0, 1.0, 1.5, 40.0]), np.array([2.0, 2.0, 4.0, 2.0]))
    assert placed[3] == 40 and placed[1] < placed[2] < placed[0]
    assert placed[2] - placed[1] >= 3 - 1e-9 and placed[0] - placed[2] >= 3 - 1e-9


def test_missing_values_end_a_line_early():
    fig, ax = plotting.figure()
    plotting.lines(ax, [1, 2, 3], {"stopped": [1, 2, np.nan], "never": [np.nan] * 3}, xlabel="x", ylabel="y")
    (label,) = ax.findobj(EndLabel)
    assert label.get_text() == "stopped" and tuple(label.xy) == (2, 2)
    extents(fig)


def test_the_curve_of_a_training_that_was_stopped_ends_where_it_ends():
    fig, ax = plotting.figure()
    plotting.lines(
        ax, range(1, 5), {"whole": [4, 3, 2, 1], "stopped": [4.0, 3.5]}, xlabel="epoch", ylabel="loss"
    )
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [4.0, 3.5, np.nan, np.nan])
    assert {label.get_text(): tuple(label.xy) for label in ax.findobj(EndLabel)}["stopped"] == (2, 3.5)
    extents(fig)


def test_bars_write_their_values():
    fig, ax = plotting.figure()
    values = {
        "attention": (0.8123, 0.0112),
        "a random fixed mixing matrix": torch.tensor(0.71),
        "lost": (-0.2, 0.03),
    }
    plotting.bars(ax, values, xlabel="accuracy")
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.8123, 0.71, -0.2])
    written = [text.get_text() for text in ax.texts]
    assert written == ["0.812 ± 0.011", "0.710", "−0.200 ± 0.030"]
    assert [bar.get_y() for bar in ax.patches] == sorted((b.get_y() for b in ax.patches), reverse=True)
    assert_nothing_cut_or_covered(fig)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345, "12,345"), (0.123456, "0.123"), (1234.5, "1,234"), (-3.14159, "−3.14"), (2.5e9, "2.50e9"),
     (0.00012, "1.20e−4"), (-0.5, "−0.500"), (1e7, "1.00e7"), (float("nan"), "no value"), (float("-inf"), "−inf")],
)  # fmt: skip
def test_numbers_as_text(value, text):
    assert numbers.number(value) == text


def test_heatmap():
    fig, axes = plotting.figure(1, 2)
    signed = torch.tensor([[1.0, -3.0, 0.5], [0.25, float("nan"), 2.0]], requires_grad=True)
    picture = plotting.heatmap(axes[0], signed, diverging=True, annotate=True, label="score", title="Scores")
    assert (picture.norm.vmin, picture.norm.vmax) == (-3, 3)
    assert [t.get_text() for t in axes[0].texts] == [
        "1.00",
        "−3.00",
        "0.50",
        "0.25",
        "2.00",
    ]  # NaN stays empty
    weights = plotting.heatmap(
        axes[1], [[0.1, 0.9]], xlabels=["a", "b"], ylabels=["q"], xlabel="key", ylabel="query"
    )
    assert weights.norm.vmin == 0 and [t.get_text() for t in axes[1].get_xticklabels()] == ["a", "b"]
    narrow = plotting.heatmap(plotting.figure()[1], [[0.8, 0.9]])
    assert narrow.norm.vmin == 0.8
    assert_nothing_cut_or_covered(fig)
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        plotting.heatmap(axes[0], torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="1 labels for 2 columns"):
        plotting.heatmap(axes[0], [[1, 2]], xlabels=["a"])


def test_heatmap_row_zero_is_on_top():
    fig, ax = plotting.figure()
    plotting.heatmap(ax, np.arange(12).reshape(3, 4))
    extents(fig)
    assert ax.transData.transform((0, 0))[1] > ax.transData.transform((0, 2))[1]


@pytest.mark.parametrize("shape", [(9, 9), (6, 5), (4, 12)])
def test_heatmap_values_fit_their_cells(shape):
    fig, axes = plotting.figure(1, 2)
    for ax, values in zip(
        axes, (np.arange(np.prod(shape)) % 25, np.linspace(-2, 2, np.prod(shape))), strict=True
    ):
        plotting.heatmap(ax, values.reshape(shape), annotate=True, colorbar=False)
        renderer, _ = extents(fig)
        corners = ax.transData.transform([(0, 0), (1, 1)])
        cell = abs(corners[1] - corners[0])
        for text, box in ((t, t.get_window_extent(renderer)) for t in ax.texts):
            assert box.width <= cell[0], text.get_text()


def test_long_word_labels_do_not_collide():
    words = [f"unbelievable{i}" for i in range(14)]
    fig, ax = plotting.figure(width=5, height=4.4)
    plotting.heatmap(ax, np.eye(14), xlabels=words, ylabels=words, xlabel="key", ylabel="query")
    renderer, page = extents(fig)
    labels = [(t, t.get_window_extent(renderer)) for t in ax.get_xticklabels() + ax.get_yticklabels()]
    assert all(box.x0 >= page.x0 and box.y0 >= page.y0 for _, box in labels)
    rows = [box for _, box in labels[14:]]
    assert all(overlap(a, b) < 4 for a, b in itertools.combinations(rows, 2))


def test_images_are_the_images():
    batch = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8)
    fig = plotting.images(batch, titles=["cat", "dog", "a very long class name", "ship", "frog"], cols=3)
    shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(fig.axes) == 6 and len(shown) == 5
    for image, pixels in zip(batch, shown, strict=True):
        np.testing.assert_allclose(pixels, image.permute(1, 2, 0).numpy() / 255)
    assert_nothing_cut_or_covered(fig)


def test_images_rescale():
    grey = torch.tensor([[[0.0, 2.0], [1.0, -2.0]], [[0.0, 0.5], [0.25, 0.0]]])
    together = [ax.images[0].get_array() for ax in plotting.images(grey).axes]
    np.testing.assert_allclose(together[1], [[0.5, 0.625], [0.5625, 0.5]])
    each = [ax.images[0].get_array() for ax in plotting.images(grey, rescale="each").axes]
    np.testing.assert_allclose(each[1], [[0, 1], [0.5, 0]])
    inside = [ax.images[0].get_array() for ax in plotting.images(grey[1:]).axes]
    np.testing.assert_allclose(inside[0], grey[1])  # floats in [0, 1] stay as they are
    listed = plotting.images([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)])
    assert listed.axes[1].images[0].get_array().min() == 1
    with pytest.raises(ValueError, match=r"\(2, 4, 3, 3\)"):
        plotting.images(torch.zeros(2, 4, 3, 3))
    with pytest.raises(ValueError, match="1 titles for 2"):
        plotting.images(torch.zeros(2, 3, 3), titles=["one"])
