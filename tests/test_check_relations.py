"""Relations between wrong values and right ones: each is named where it holds, and nothing is named where none does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.test_check_engine import FUNCTION, said, scale_rows
from utils.checks.spec import Case


def cases(draw):
    return [
        Case("wide", args={"x": draw.normal(3, 4), "weights": draw.normal(3)}),
        Case("square", args={"x": draw.normal(5, 5), "weights": draw.normal(5)}),
        Case(
            "double precision",
            args={
                "x": draw.normal(2, 6, dtype=torch.float64),
                "weights": draw.normal(2, dtype=torch.float64),
            },
        ),
    ]


EXERCISE = replace(FUNCTION, cases=cases, properties=(), gradients=False)


def changed(change):
    return lambda x, weights: change(scale_rows(x, weights), x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y, x: -y, "the other sign"),
        (lambda y, x: y * 9 / 8, "Each of your values is 9/8 times the right one."),
        (lambda y, x: y / len(y), "the size of `x` along axis 0"),
        (lambda y, x: y + 0.25, "the right one plus 0.25"),
        (lambda y, x: y + x, "the right one plus `x`"),
        (lambda y, x: y - x, "the right one minus `x`"),
        (lambda y, x: y.tanh(), "`tanh` of the right one"),
        (lambda y, x: (y + x).relu(), "with `relu` and with `x` added"),
        (
            lambda y, x: (y.float() + 8 - 8).to(y.dtype) if y.dtype == torch.float64 else y,
            "right to the precision of float32",
        ),
        (lambda y, x: y.T.reshape(y.shape), "at other places"),
        (lambda y, x: y.flip(1), "in reverse order along axis 1"),
        (lambda y, x: y[:, torch.arange(y.shape[1]).roll(1)], "in another order along axis 1"),
        (lambda y, x: y.flatten().roll(1).view_as(y), "some stand at other places"),
    ],
)
def test_a_relation_is_named(change, words):
    assert words in said(changed(change), exercise=EXERCISE)


def test_a_square_and_an_exchange_of_results():
    positive = replace(
        EXERCISE, cases=lambda draw: [Case("a", args={"x": draw.uniform(3, 4), "weights": draw.uniform(3)})]
    )
    assert "the square of the right one" in said(changed(lambda y, x: y**2), exercise=positive)
    two = replace(EXERCISE, outputs=("low", "high"))
    right = lambda x, weights: (x.min(), x.max() + 2)  # noqa: E731
    text = said(lambda x, weights: (x.max() + 2, weights.mean()), exercise=two, reference=right)
    assert "Your `low` is what `high` should be. Return (low, high)" in text


def test_what_is_copied_as_it_lies_is_named():
    text = said(
        lambda x, weights: x.reshape(x.shape[1], -1) + 0 * weights.sum(),
        exercise=EXERCISE,
        reference=lambda x, weights: x.T.clone(),
    )
    assert "the numbers of `x` in the order in which they lie in memory" in text


def test_an_input_that_comes_back_is_named():
    assert "Your result is `x`, unchanged." in said(
        lambda x, weights: x + 0 * weights.sum(), exercise=EXERCISE, reference=lambda x, weights: x.flip(0)
    )


def test_what_holds_in_the_first_case_alone_is_said_of_it():
    def attempt(x, weights):
        return scale_rows(x, weights) * (2 if len(x) == 3 else 1) + (len(x) != 3) * x.cumsum(0)

    assert "In the case `wide`: Each of your values is 2 times the right one." in said(
        attempt, exercise=EXERCISE
    )


@pytest.mark.parametrize("change", [lambda y, x: y + x**2, lambda y, x: y.cumsum(0), lambda y, x: 0 * y])
def test_nothing_is_named_where_nothing_holds(change):
    text = said(changed(change), exercise=EXERCISE)
    assert (
        text.splitlines()[1].startswith("First wrong case") or "never uses" in text or "no influence" in text
    )


def test_one_number_alone_is_no_evidence():
    one = replace(EXERCISE, cases=lambda draw: [cases(draw)[0]])
    text = said(lambda x, weights: 2 * x.sum(), exercise=one, reference=lambda x, weights: x.sum())
    assert "times the right one" not in text


@pytest.mark.parametrize(
    ("off", "words"),
    [(3e-7, "right to about six digits"), (1e-4, ""), (2e-3, "")],
)
def test_values_that_are_nearly_right_are_no_multiple_by_one(off, words):
    """What was computed in float32 for a while is rounded, and need not be a number of float32 any more."""
    text = said(
        changed(lambda y, x: y * (1 + off * torch.rand_like(y)) if y.dtype == torch.float64 else y),
        exercise=EXERCISE,
    )
    assert "1 times the right one" not in text
    assert ("right to about six digits" in text) == bool(words)


def test_what_has_no_say_in_a_softmax_is_not_found_in_it():
    """Beside numbers of a thousand any other one vanishes: `softmax(right + x)` is that of x alone."""

    def large(draw):
        return [Case("a", args={"x": draw.normal(3, 4, scale=1e4), "weights": draw.normal(3)})]

    text = said(
        lambda x, weights: x.softmax(-1) + 0 * weights.sum(),
        exercise=replace(EXERCISE, cases=large),
        reference=lambda x, weights: x.softmax(-1).flip(1),
    )
    assert "neither of the two is asked" not in text


def test_a_mistake_that_only_shares_memory_is_not_seen_in_another_dtype():
    from utils.checks.fixtures import fingerprint, looks_like

    double, single = ({"output": torch.ones(3, dtype=dtype)} for dtype in (torch.float64, torch.float32))
    assert looks_like(fingerprint(double), fingerprint(double))
    assert not looks_like(fingerprint(double), fingerprint(single))
