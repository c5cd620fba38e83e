"""Rules that hold for the cases of every exercise, so that no argument, mode or border is left out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from utils.checks import fixtures
from utils.checks.registry import all_exercises, find
from utils.checks.spec import Case, Exercise
from utils.grading import answers

EXERCISES = list(all_exercises().values())

# Arguments that are never given another value in a public case, and why not.
EXEMPT: dict[tuple[str, str], str] = {
    ("LSTMCell", "state"): "the check hands h and c of its cases over as one state",
    ("train_epoch", "scheduler"): "the check builds it from the case's decay, once the model is there",
}


def defaults_of(exercise: Exercise) -> Iterator[tuple[str, Any]]:
    """Name and default of each argument that may be left out, of a function, or of a class and the methods that its cases call."""
    reference = answers.reference(exercise)
    called = [reference]
    if inspect.isclass(reference):
        methods = {case.method or "forward" for case in fixtures.load(exercise).cases}
        called = [
            getattr(reference, name) for name in ["__init__", *sorted(methods)] if hasattr(reference, name)
        ]
    for one in called:
        for parameter in inspect.signature(one).parameters.values():
            if parameter.default is not parameter.empty:
                yield parameter.name, parameter.default


def is_other(value: Any, default: Any) -> bool:
    return isinstance(value, torch.Tensor) or value != default


def given(case: Case) -> dict[str, Any]:
    return {**case.init, **case.args, **case.kwargs}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_every_argument_with_a_default_has_another_value_in_a_case(exercise):
    cases = [given(case) for case in fixtures.load(exercise).cases if case.mode != "refused"]
    for name, default in defaults_of(exercise):
        other = any(name in values and is_other(values[name], default) for values in cases)
        exempt = (exercise.name, name) in EXEMPT
        assert other != exempt, f"{name} is {'given, and exempt' if other else 'never given another value'}"


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_a_dropout_rate_is_tried_between_0_and_1_in_both_modes(exercise):
    """At rate 1 or 0 a missing 1 / (1 - p) shows nothing, and in one mode alone not where it is left on."""
    rates = {name for name, _ in defaults_of(exercise) if name in ("dropout", "drop_path")}
    for name in rates - {name for one, name in EXEMPT if one == exercise.name}:
        cases = [case for case in fixtures.load(exercise).cases if 0 < given(case).get(name, 0) < 1]
        assert {case.mode for case in cases} >= {"train", "eval"}, (name, [case.name for case in cases])


@pytest.mark.parametrize("name", ["padding_mask", "reverse_padded", "pool", "LSTM", "LSTMClassifier"])
def test_an_empty_sentence_stands_first_in_some_case(name):
    lengths = [given(case)["lengths"] for case in fixtures.load(find(name)).cases if "lengths" in given(case)]
    assert any(len(one) > 1 and one[0] == 0 for one in lengths), [one.tolist() for one in lengths]
