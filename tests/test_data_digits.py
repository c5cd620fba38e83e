"""Two digits to be compared: nested, balanced, drawn where they are said to be, and no digit of a test picture in a training picture."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from solutions.self_attention_2d import SelfAttention2d
from utils.data import DigitPairs, load_images
from utils.data.digits import COLOURS, SHARED, SIDE, bundled_digits
from utils.experiments.grids.digit_pairs import ATTENTION, AVERAGE, KINDS, NONE, Network


def test_pairs_are_nested_and_do_not_depend_on_how_they_are_asked_for():
    pairs = DigitPairs(seed=3)
    images, labels = pairs.batch(0, 60)
    again, same = pairs.batch(20, 15)
    assert torch.equal(images[20:35], again) and torch.equal(labels[20:35], same)
    assert images.shape == (60, 3, SIDE, SIDE) and images.dtype == torch.uint8 and labels.dtype == torch.int64
    for other in (DigitPairs(seed=4), DigitPairs("test", seed=3)):
        assert not torch.equal(images, other.batch(0, 60)[0])


def test_the_label_says_what_the_two_share():
    found = DigitPairs(seed=1).parts(0, 4_000)
    digit, colour = (found[name][:, 0] == found[name][:, 1] for name in ("digit", "colour"))
    assert torch.equal(found["label"], torch.where(digit, 0, 2) + torch.where(colour, 0, 1))
    assert SHARED[0] == "same digit and colour" and SHARED[1] == "same digit" and SHARED[2] == "same colour"
    assert (found["quarter"][:, 0] != found["quarter"][:, 1]).all()
    assert found["label"].bincount().tolist() == [1_000] * 4


@pytest.mark.parametrize("name", ["digit", "colour", "quarter"])
def test_one_of_the_two_alone_says_nothing_about_the_label(name):
    found = DigitPairs(seed=2).parts(0, 12_000)
    for which in range(2):
        values = found[name][:, which]
        table = torch.stack([found["label"][values == v].bincount(minlength=4) for v in values.unique()])
        assert stats.chi2_contingency(table.numpy()).pvalue > 1e-3, (name, which)


def test_each_digit_lies_in_its_quarter_in_its_colour():
    pairs = DigitPairs(seed=5)
    found, (images, _) = pairs.parts(0, 40), pairs.batch(0, 40)
    half = SIDE // 2
    for i in range(40):
        quarters = images[i].float().unflatten(1, (2, half)).unflatten(3, (2, half))  # (3, 2, half, 2, half)
        light = quarters.sum((2, 4)).flatten(1)  # (3, 4)
        assert set(light.sum(0).nonzero()[:, 0].tolist()) == set(found["quarter"][i].tolist())
        for which in range(2):
            seen = light[:, found["quarter"][i, which]]
            assert seen.argmax() == int(torch.tensor(COLOURS[found["colour"][i, which]]).argmax())


def test_no_digit_of_a_test_picture_is_in_a_training_picture():
    train, test = (bundled_digits(12).splits[which].images.flatten(1) for which in ("train", "test"))
    assert len(train) == 1_437 and len(test) == 360
    known = {row.numpy().tobytes() for row in train}
    assert sum(row.numpy().tobytes() in known for row in test) == 0
    assert len(DigitPairs("test")._scans) == 108


def test_the_door_opens_them_and_a_larger_set_begins_with_the_smaller_one():
    small, large = (load_images("digit pairs", train=n, test=40, seed=1) for n in (100, 200))
    assert torch.equal(small.train.images, large.train.images[:100]) and len(small.test) == 40
    assert small.label_names == SHARED and small.name == "digit pairs"


def test_the_networks_differ_in_the_middle_alone():
    made = {}
    for kind in KINDS:
        torch.manual_seed(0)
        made[kind] = Network(kind, 4)
    images = torch.randn(3, 3, 32, 32)
    shapes = {kind: network.stem(images).shape for kind, network in made.items()}
    assert set(shapes.values()) == {(3, 64, 8, 8)}
    assert isinstance(made[ATTENTION].middle, SelfAttention2d) and isinstance(
        made[NONE].middle, torch.nn.Identity
    )
    weights = made[AVERAGE].middle.weights(made[AVERAGE].stem(images))
    assert torch.allclose(weights, torch.full_like(weights, 1 / 64))
    frozen = [name for name, p in made[AVERAGE].named_parameters() if not p.requires_grad]
    assert frozen == ["middle.query.weight", "middle.query.bias"]


def test_what_makes_no_sense_is_refused_and_nothing_is_a_number_of_pictures():
    for wrong in ({"size": 64}, {"train": -1}):
        with pytest.raises(ValueError, match="64|-1"):
            load_images("digit pairs", **wrong)
    with pytest.raises(ValueError, match="validation"):
        DigitPairs("validation")
    assert DigitPairs().batch(3, 0)[0].shape == (0, 3, SIDE, SIDE)


def test_what_is_done_to_a_copy_is_its_own_affair():
    first = load_images("digits", size=12)
    first.train.images.zero_()
    assert load_images("digits", size=12).train.images.sum() > 0 and DigitPairs().batch(0, 4)[0].sum() > 0
