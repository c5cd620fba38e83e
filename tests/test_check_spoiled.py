"""An answer that spoils its arguments spoils them for itself: the next answer to the same exercise meets the case as it was made."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.kinds import each
from utils.checks import fixtures
from utils.checks.engine import examine
from utils.checks.registry import all_exercises
from utils.grading import answers

COURSE = all_exercises()


def spoil(value: Any) -> None:
    """Shape or length: whatever can be changed in place, and is not what gradients are asked for, is changed."""
    if isinstance(value, Tensor):
        if not value.requires_grad:
            value.unsqueeze_(0)
    elif isinstance(value, dict):
        for one in value.values():
            spoil(one)
        value.clear()
    elif isinstance(value, (list, tuple)):
        for one in value:
            spoil(one)
        if isinstance(value, list):
            value.clear()


def kept(value: Any) -> Any:
    """The same, and nothing that `spoil` changes."""
    if isinstance(value, Tensor):
        return value if value.requires_grad else value.clone()
    if isinstance(value, dict):
        return {key: kept(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(kept, value))
    return value


def like(a: Any, b: Any) -> bool:
    """Whether two arguments hold the same; what is no tensor, table, list or number is not looked into."""
    if isinstance(a, Tensor):
        if a.shape != b.shape or a.stride() != b.stride():
            return False
        return torch.equal(a, b) or torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(like(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(like, a, b))
    return a == b if isinstance(a, (int, float, str, bool, type(None))) else True


def spoiling(reference: Any) -> Any:
    """The reference, on copies of its arguments; the arguments it spoils."""

    def wrapped(call: Any) -> Any:
        def answer(*args: Any, **kwargs: Any) -> Any:
            mine = kept(args), kept(kwargs)
            spoil(list(args))
            spoil(kwargs)
            return call(*mine[0], **mine[1])

        return answer

    if not isinstance(reference, type):
        return wrapped(reference)
    methods = {name: wrapped(method) for name, method in vars(reference).items() if callable(method)}
    return type(reference.__name__, (reference,), methods)


@pytest.mark.parametrize("name", each(sorted(COURSE), keep=20, others="slow"))
def test_a_case_is_the_same_after_an_answer_that_spoils_it(name):
    exercise = COURSE[name]
    fixture = fixtures.load(exercise)
    before = copy.deepcopy([(case.args, case.kwargs, case.init) for case in fixture.cases])
    examine(exercise, spoiling(answers.reference(exercise)), fixture)
    for case, was in zip(fixture.cases, before, strict=True):
        assert like((dict(case.args), dict(case.kwargs), dict(case.init)), tuple(map(dict, was))), case.name
    assert examine(exercise, answers.reference(exercise), fixture).passed
