"""Parts watched side by side: the first that gets, or gives, something else is named; right answers differ in none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.test_check_engine import MODULE, said
from utils.checks import fixtures, parts
from utils.checks.chain import stand_in
from utils.checks.registry import all_exercises
from utils.checks.spec import Case
from utils.grading import answers


class Block(nn.Module):
    """norm1, a, then norm2, b, each added."""

    def __init__(self, dim):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.a, self.b = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x):
        x = x + F.dropout(self.a(self.norm1(x)), 0.4, self.training)
        return x + self.b(self.norm2(x)).relu()


EXERCISE = replace(
    MODULE,
    stand_in="tests.test_check_parts:Block",
    cases=lambda draw: [
        Case("a batch", init={"dim": 5}, args={"x": draw.normal(3, 5)}),
        Case("in training", init={"dim": 4}, args={"x": draw.normal(6, 4)}, mode="train"),
    ],
)


class Parallel(Block):
    def forward(self, x):
        return x + F.dropout(self.a(self.norm1(x)), 0.4, self.training) + self.b(self.norm2(x)).relu()


class Scaled(Block):
    def forward(self, x):
        x = x + F.dropout(self.a(self.norm1(x)), 0.4, self.training) * x.std()
        return x + self.b(self.norm2(x)).relu()


class Eps(Block):
    def __init__(self, dim):
        super().__init__(dim)
        self.norm1.eps = 0.3


class End(Block):
    def forward(self, x):
        y = x + F.dropout(self.a(self.norm1(x)), 0.4, self.training)
        return x + self.b(self.norm2(y)).relu()


class Twice(Block):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.4, self.training)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (Parallel, "`norm2` should get other values: yours gives it `x`, as it came in."),
        (Scaled, "`norm2` gets other values than it should"),
        (Eps, "`norm1` gets the right values as its first input and gives another result"),
        (End, "All parts, up to `b`, get what they should and give what they should"),
        (Twice, "the number of places where dropout acts is 2 in yours, and 1 in the course's own version."),
    ],
)
def test_the_first_part_that_differs_is_named(attempt, words):
    assert words in said(attempt, exercise=EXERCISE, reference=Block)


def test_parts_that_are_not_called_as_modules_are_not_spoken_of():
    class ByHand(Block):
        def forward(self, x):
            x = x + F.dropout(
                F.linear(self.norm1(x) * x.std(), self.a.weight, self.a.bias), 0.4, self.training
            )
            return (
                x
                + F.linear(
                    F.layer_norm(x, x.shape[-1:], self.norm2.weight, self.norm2.bias), self.b.weight
                ).relu()
            )

    assert "`a`" not in (text := said(ByHand, exercise=EXERCISE, reference=Block)) and "`b` " not in text


MODULES = [one for one in all_exercises().values() if one.kind == "module" and one.stand_in]


@pytest.mark.parametrize("exercise", MODULES[::6], ids=lambda e: e.name)
def test_in_right_answers_no_part_differs(exercise):
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    rights = [reference, *(right.build(reference, module) for right in answers.bank(exercise).rights)]
    cases = [case for case in fixtures.load(exercise).cases if case.mode != "refused"]
    for case in cases[:: max(len(cases) - 1, 1)]:
        with torch.no_grad():
            library = parts.watched(stand_in(exercise), case)
            for right in rights:
                found = parts.difference(stand_in(exercise), case, parts.watched(right, case), library)
                assert found == "" or found.startswith("All parts")
