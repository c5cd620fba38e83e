"""What a check asks beyond the calls that it compares: repeated calls, other sizes, a batch of one, errors that are due."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from utils.checks import fixtures
from utils.checks.engine import examine
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


@pytest.mark.parametrize("right", [Plus, ByWidth])
def test_what_is_kept_rightly_passes(fixture, right):
    assert examine(EXERCISE, right, fixture).passed


@pytest.mark.parametrize(
    ("wrong", "case", "said"),
    [
        (Remembers, "a map", "your code keeps something of the first call"),
        (Counts, "a map", "your code keeps something of the first call"),
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
