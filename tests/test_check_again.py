"""What a check asks beyond the calls that it compares: repeated calls, layouts in memory, other sizes, a batch of one, errors that are due."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from utils.checks import fixtures
from utils.checks.again import writes
from utils.checks.building import build_module
from utils.checks.engine import examine
from utils.checks.layouts import strewn
from utils.checks.spec import Case, Exercise


class Plus(nn.Module):
    """x plus a table of places, which is as wide as the map."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        if scale < 0:
            raise ValueError("a negative scale")
        self.scale = scale

    def forward(self, x):
        return x + self.scale * torch.arange(x.shape[-1]).to(x)


class Remembers(Plus):
    """The table is made for the first map and kept."""

    table = None

    def forward(self, x):
        if self.table is None:
            self.table = self.scale * torch.arange(x.shape[-1]).to(x)
        return x + self.table


class Counts(Plus):
    """Something of each call is added to the next."""

    def __init__(self, scale: float) -> None:
        super().__init__(scale)
        self.before = 0.0

    def forward(self, x):
        result = super().forward(x) + self.before
        self.before = float(x.detach().abs().mean())
        return result


class ByWidth(Plus):
    """A table for each width: kept, and right."""

    def __init__(self, scale: float) -> None:
        super().__init__(scale)
        self.tables = {}

    def forward(self, x):
        key = x.shape[-1], x.dtype
        if key not in self.tables:
            self.tables[key] = self.scale * torch.arange(x.shape[-1]).to(x)
        return x + self.tables[key]


class Weighted(nn.Module):
    """x plus a table that a weight stretches."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale, self.weight = scale, nn.Parameter(torch.ones(1))

    def table(self, x):
        return self.weight * self.scale * torch.arange(x.shape[-1]).to(x)

    def forward(self, x):
        return x + self.table(x)


class Folded(Weighted):
    """In evaluation the weight is read once, so one that is trained or loaded later is not seen."""

    seen = None

    def forward(self, x):
        if self.training:
            return super().forward(x)
        if self.seen is None:
            self.seen = self.weight.clone()
        return x + self.seen * self.scale * torch.arange(x.shape[-1]).to(x)


class Squeezed(Plus):
    def forward(self, x):
        return super().forward(x).squeeze()


class Viewed(Plus):
    """`view` wants rows and columns to lie behind each other."""

    def forward(self, x):
        flat = x.view(*x.shape[:2], -1)
        return super().forward(flat.reshape(x.shape))


class Strided(Plus):
    """Reads the memory as if the map lay in it in order: another result, and no error."""

    def forward(self, x):
        return super().forward(x.as_strided(x.shape, torch.empty(x.shape).stride()))


class Reshaped(Plus):
    def forward(self, x):
        return super().forward(x.reshape(*x.shape[:2], -1).reshape(x.shape))


class Silent(Plus):
    """Takes what it should refuse."""

    def __init__(self, scale: float) -> None:
        super().__init__(abs(scale))


EXERCISE = Exercise(
    name="Plus",
    notebook="01_transformer_recap",
    points=1,
    stars=1,
    minutes=5,
    reference="tests:Plus",
    kind="module",
    cases=lambda draw: [
        Case("a map", init={"scale": 2.0}, args={"x": draw.normal(2, 3, 4, 5)}),
        Case("another map", init={"scale": 0.5}, args={"x": draw.normal(3, 2, 3, 4)}),
    ],
    refuses=lambda draw: [Case("a negative scale", init={"scale": -1.0})],
)


@pytest.fixture(scope="module")
def fixture():
    return fixtures.prepare(EXERCISE, Plus, 3)


@pytest.mark.parametrize("right", [Plus, ByWidth, Reshaped])
def test_what_is_kept_rightly_passes(fixture, right):
    assert examine(EXERCISE, right, fixture).passed


@pytest.mark.parametrize(
    ("wrong", "case", "said"),
    [
        (Remembers, "a map", "your code keeps something of the first call"),
        (Counts, "a map", "your code keeps something of the first call"),
        (Viewed, "a map", "laid out otherwise in memory"),
        (Strided, "another map", "laid out otherwise in memory"),
        (Squeezed, "a map", "With a batch of one your result has fewer axes"),
        (Silent, "a negative scale", "wants an error. Yours returns something."),
    ],
)
def test_what_other_calls_show_is_named(fixture, wrong, case, said):
    result = examine(EXERCISE, wrong, fixture)
    found = {
        name: finding.sentence for name, finding in zip(result.names, result.findings, strict=True) if finding
    }
    assert said in found[case]


def test_a_weight_that_changes_later_is_read():
    exercise = replace(EXERCISE, refuses=lambda draw: [])
    prepared = fixtures.prepare(exercise, Weighted, 3)
    assert examine(exercise, Weighted, prepared).passed
    said = [finding.sentence for finding in examine(exercise, Folded, prepared).findings if finding]
    assert len(said) == 1 and "your code keeps something of the first call" in said[0]


def test_an_error_of_another_kind_than_promised_is_no_refusal(fixture):
    class Other(Plus):
        def __init__(self, scale):
            assert scale >= 0
            super().__init__(scale)

    result = examine(EXERCISE, Other, fixture)
    assert [finding is None for finding in result.findings] == [True, True, False]
    assert "Yours raises AssertionError, which is another one" in result.findings[2].sentence


def test_a_case_that_is_refused_is_kept_in_check_data(fixture):
    assert [case.mode for case in fixture.cases] == ["eval", "eval", "refused"]
    assert bool(fixture.expected[2]["an error"])


def by_hand(attempt, case):
    """An observation of its own, which does not repeat its call."""
    return {"output": build_module(attempt, case)(case.args["x"])}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(Viewed, "laid out otherwise in memory"), (Counts, "your code keeps something of the first call")],
)
def test_a_module_with_an_observation_of_its_own_is_asked_too(wrong, said):
    exercise = replace(EXERCISE, observe=by_hand, gradients=False)
    result = examine(exercise, wrong, fixtures.prepare(exercise, Plus, 3))
    assert any(said in finding.sentence for finding in result.findings if finding)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (1, 2, 1, 3, 2)])
def test_strewn_numbers_are_the_same_in_another_layout(shape):
    given = torch.arange(torch.Size(shape).numel(), dtype=torch.float64).reshape(shape).requires_grad_()
    (x,), named = strewn(([given], {"mask": given.detach() > 2, "how": "mean"}))
    assert torch.equal(x, given)
    assert torch.equal(named["mask"], given > 2)
    assert named["how"] == "mean"
    assert not x.is_contiguous()
    assert not x.is_leaf
    if len(shape) == 4:
        assert x.stride(1) == min(x.stride())


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x):
        return self.linear(x)


class Twice(Linear):
    """A second name for the same layer, so that the state dict holds its weights twice."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.Sequential(self.linear, nn.ReLU())


def said_of(wrong, right, cases):
    """What the one case says of a wrong module, where the right one passes."""
    exercise = replace(EXERCISE, cases=cases, refuses=lambda draw: [])
    fixture = fixtures.prepare(exercise, right, 3)
    assert examine(exercise, right, fixture).passed
    (finding,) = examine(exercise, wrong, fixture).findings
    assert finding is not None
    return finding.sentence


def test_a_layer_that_is_registered_twice_is_named():
    sentence = said_of(Twice, Linear, lambda draw: [Case("x", args={"x": draw.normal(2, 3)})])
    assert "registered a second time, under another name: steps.0.weight, steps.0.bias" in sentence


class Places(nn.Module):
    """An embedding of words, and a number for each place."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 3)

    def places(self, tokens):
        return torch.arange(tokens.shape[1])[:, None]

    def forward(self, tokens):
        return self.embedding(tokens) + self.places(tokens)


class KeptPlaces(Places):
    """The places of the first batch are kept, and a longer one has more."""

    kept = None

    def places(self, tokens):
        if self.kept is None:
            self.kept = super().places(tokens)
        return self.kept[: tokens.shape[1]]


def test_a_module_that_reads_words_is_asked_about_longer_sentences():
    cases = lambda draw: [Case("words", args={"tokens": draw.integers(0, 9, 2, 4)})]  # noqa: E731
    assert "your code keeps something of the first call" in said_of(KeptPlaces, Places, cases)


class Masked(nn.Module):
    """x where the mask lets it be, else nothing of it."""

    def mask_of(self, mask):
        return mask

    def forward(self, x, mask=None):
        mask = self.mask_of(mask)
        return x if mask is None else x * mask


class RemembersItsMask(Masked):
    """Where no mask is given, the one of the call before is taken."""

    mask = None

    def mask_of(self, mask):
        self.mask = self.mask if mask is None else mask
        return self.mask


class KeepsItsMask(Masked):
    """Looks like one that remembers, and reads nothing of it."""

    def mask_of(self, mask):
        self.last = mask
        return mask


def masked(draw):
    return [Case("a mask", args={"x": draw.normal(2, 4, 3), "mask": draw.mask(2, 4, 3)})]


def test_what_was_given_before_and_is_left_out_now_is_not_there():
    for right in (Masked, KeepsItsMask):
        assert "your code keeps something of the first call" in said_of(RemembersItsMask, right, masked)


class PutsBack(Masked):
    """The input is changed in place for a moment."""

    def forward(self, x, mask=None):
        kept = x.detach().clone()
        with torch.no_grad():
            x.mul_(1 if mask is None else mask)
        result = x.clone()
        with torch.no_grad():
            x.copy_(kept)
        return result


def test_an_input_that_is_written_to_and_put_back_is_seen():
    given = torch.arange(3.0)
    written = writes({"x": given, "n": 3})
    assert written({"x": torch.arange(3.0)}) == {}
    given += 1
    given -= 1
    assert list(written({"x": torch.arange(3.0)})) == ["written:input"]
    given += 1  # this is seen by its numbers, and said in other words
    assert written({"x": torch.arange(3.0)}) == {}
    assert "You write into an input in place, even if its numbers are the same" in said_of(
        PutsBack, Masked, masked
    )
