"""Cases in which rounding alone carries far are measured as such, and others are drawn in their place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from utils.checks import fixtures
from utils.checks.engine import examine
from utils.checks.registry import all_exercises
from utils.checks.rounding import MOST, recast, strays
from utils.checks.spec import Case, Draw, Exercise
from utils.grading import answers


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x)


def near(draw: Draw) -> list[Case]:
    """Three numbers around 1 that differ by a millionth on some seeds, and by about one on the others."""
    apart = 1.0 if draw.integer(0, 2) else 1e-6
    return [Case("three numbers", init={"width": 3}, args={"x": draw.normal(2, 3, scale=apart, shift=1.0)})]


EXERCISE = Exercise(
    name="Norm",
    notebook="01_transformer_recap",
    points=1,
    stars=1,
    minutes=1,
    reference="none:none",
    kind="module",
    cases=near,
)


def close(draw: Draw, apart: float) -> float:
    case = Case("one", init={"width": 3}, args={"x": draw.normal(2, 3, scale=apart, shift=1.0)})
    prepared = fixtures.prepare(replace(EXERCISE, cases=lambda _: [case]), Norm, 3)
    return strays(Norm, prepared.cases[0], prepared.expected[0])


def test_rounding_is_told_from_the_exact_numbers():
    assert close(Draw(1), 1.0) < MOST
    assert close(Draw(1), 1e-6) > 1.0


def test_a_case_that_enlarges_rounding_is_drawn_again():
    plain = [float(near(Draw(seed))[0].args["x"].std()) for seed in range(12)]
    assert min(plain) < 1e-4 < max(plain)  # else the test looks at nothing
    for seed in range(12):
        prepared = fixtures.prepare(EXERCISE, Norm, seed)
        assert float(prepared.cases[0].args["x"].std()) > 1e-4
        assert strays(Norm, prepared.cases[0], prepared.expected[0]) <= MOST


def test_a_choice_that_hangs_on_rounding_is_no_case():
    def count(x: torch.Tensor) -> torch.Tensor:
        return x[x.double().sum() + 1.0 > 1.0] if x.dtype == torch.float64 else x[x > 0]

    exercise = replace(EXERCISE, kind="function", gradients=False, outputs=("output",))
    case = Case("one", args={"x": torch.tensor([1.0, -1.0])}, exercise=exercise)
    assert strays(count, case, {"output": torch.ones(1)}) == float("inf")


def test_recast_reaches_into_trees_and_leaves_the_rest():
    double = {torch.float32: torch.float64}
    tree = {"a": [torch.ones(1), (torch.ones(1, dtype=torch.int64), "b")], "c": None}
    turned = recast(tree, double)
    assert turned["a"][0].dtype == torch.float64 and turned["a"][1][0].dtype == torch.int64
    assert turned["a"][1][1] == "b" and turned["c"] is None


@pytest.mark.parametrize(
    ("name", "attempt", "seed"),
    [
        ("MixerBlock", "weights from the left: the token MLP as matrix products", 1010),
        ("CrossAttention", "einsum, and a mask that is added", 1181),
        ("PerceiverIO", "query by query", 1165),
    ],
)
def test_right_answers_once_rejected_for_rounding_pass(name, attempt, seed):
    exercise = all_exercises()[name]
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    right = next(one for one in answers.bank(exercise).rights if one.name == attempt)
    result = examine(exercise, right.build(reference, module), fixtures.prepare(exercise, reference, seed))
    assert result.passed, [finding for finding in result.findings if finding]


@pytest.mark.slow
def test_no_public_case_enlarges_rounding():
    for exercise in all_exercises().values():
        public = fixtures.load(exercise)
        reference = answers.reference(exercise)
        for case, seen in zip(public.cases, public.expected, strict=True):
            assert strays(reference, case, seen) <= MOST, (exercise.name, case.name)
