"""The frames of `crossing`: cyclic, balanced, nested; and the ceiling of an invariant function on them."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from solutions.invariance import invariant_ceiling
from utils.data.frames import NAMES, NOISE, TEST_START, Frames


def test_frames_are_nested_and_do_not_depend_on_how_they_are_asked_for():
    frames = Frames(1 / 4, seed=3)
    images, labels = frames.batch(0, 50)
    again, same = frames.batch(10, 15)
    assert torch.equal(images[10:25], again) and torch.equal(labels[10:25], same)
    assert images.shape == (50, 1, 16, 16) and images.dtype == torch.float32 and labels.dtype == torch.int64
    assert not torch.equal(images, Frames(1 / 4, seed=4).batch(0, 50)[0])
    assert not torch.equal(images[:15], frames.batch(TEST_START, 15)[0])


def test_the_share_changes_labels_and_nothing_else():
    plain, quarter = Frames(0, seed=1), Frames(1 / 4, seed=1)
    images, labels = plain.batch(0, 400)
    other, changed = quarter.batch(0, 400)
    found = quarter.parts(0, 400)
    assert torch.equal(images, other)
    assert torch.equal(labels, found["glyph"])
    assert torch.equal(found["exception"], found["column"] < 4)
    assert torch.equal(changed, (labels + found["exception"].long()) % 4)


def test_a_glyph_is_rolled_over_the_edges():
    frames = Frames(noise=0.0, seed=2)
    found, images = frames.parts(0, 300), frames.batch(0, 300)[0][:, 0]
    for i in range(300):
        back = images[i].roll((-int(found["row"][i]), -int(found["column"][i])), (0, 1))
        assert torch.equal(back, frames._glyphs[found["glyph"][i]]), i
    assert set(images.sum((1, 2)).tolist()) == {9.0}, "the brightness says nothing"


def test_places_and_glyphs_are_uniform_and_independent_and_the_noise_is_normal():
    frames = Frames(seed=5)
    found = frames.parts(0, 20_000)
    for name, kinds in (("glyph", len(NAMES)), ("row", 16), ("column", 16)):
        assert stats.chisquare(found[name].bincount(minlength=kinds)).pvalue > 1e-4, name
    table = torch.zeros(4, 16).index_put_(
        (found["glyph"], found["column"]), torch.ones(20_000), accumulate=True
    )
    assert stats.chi2_contingency(table.numpy()).pvalue > 1e-4
    noise = frames.batch(0, 200)[0][:, 0] - Frames(seed=5, noise=0.0).batch(0, 200)[0][:, 0]
    assert stats.kstest(noise.flatten().numpy(), "norm", args=(0, NOISE)).pvalue > 1e-4
    across = torch.corrcoef(torch.stack([noise[:, :, :-1].flatten(), noise[:, :, 1:].flatten()]))[0, 1]
    assert abs(across) < 4 / noise[:, :, 1:].numel() ** 0.5, "neighbouring pixels"


@pytest.mark.parametrize("share", [0.0, 1 / 8, 1 / 4, 1 / 2])
def test_the_ceiling_of_an_invariant_function_is_one_minus_the_share(share):
    """Every glyph at every place once: its orbit under all shifts."""
    places = torch.arange(256)
    orbits = torch.arange(4).repeat_interleave(256)
    columns = (places % 16).repeat(4)
    frames = Frames(share)
    labels = (orbits + (columns < frames.columns).long()) % 4
    assert invariant_ceiling(orbits, labels) == pytest.approx(1 - share)
    found = frames.parts(0, 20_000)
    drawn = invariant_ceiling(found["glyph"], found["label"])
    assert drawn == pytest.approx(1 - share, abs=0.02)


@pytest.mark.parametrize("bad", [{"share": 0.1}, {"share": 0.75}, {"share": -1 / 8}, {"side": 4}])
def test_what_cannot_be_drawn_is_said(bad):
    with pytest.raises(ValueError, match="share must be|at least 8"):
        Frames(**bad)
