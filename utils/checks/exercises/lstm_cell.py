"""Checks: one step of an LSTM."""

from __future__ import annotations

from typing import Any

import torch

from utils.checks import by_hand
from utils.checks.building import build_module
from utils.checks.outputs import as_promised, gradients, name_outputs
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _cell_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        batch: int,
        inputs: int,
        hidden: int,
        state: bool = True,
        size: float = 1.5,
        dtype=torch.float32,
    ) -> Case:
        x = draw.normal(batch, inputs, dtype=dtype)
        h = draw.normal(batch, hidden, scale=0.6, dtype=dtype)
        c = draw.normal(batch, hidden, scale=size, dtype=dtype)
        h[1:2] = 0.0  # beside a c that holds something
        args = {"x": x, "h": h, "c": c} if state else {"x": x}
        return Case(name, args=args, init={"input_size": inputs, "hidden_size": hidden})

    return [
        case("a step from a given state", 3, 4, 5),
        case("wide input, narrow state", 2, 7, 3),
        case("as many inputs as states", 4, 4, 4, size=40.0),
        case("a step from the zero state", 3, 5, 2, state=False),
        case("one sentence, float64", 1, 3, 6, dtype=torch.float64),
    ]


def _observe_cell(attempt: Any, case: Case) -> Seen:
    """As the standard observation, with h and c handed over as one state."""
    exercise = case.exercise
    module = build_module(attempt, case)
    leaves = dict(module.named_parameters())
    leaves |= {name: value.clone().requires_grad_() for name, value in case.args.items()}
    given = {name: leaves[name].clone() for name in case.args}
    result = module(given["x"], (given["h"], given["c"])) if "h" in given else module(given["x"])
    as_promised(module.forward, result, exercise)
    seen = name_outputs(result, exercise)
    values = dict(seen)
    seen |= {f"after:{name}": value for name, value in given.items()}
    return seen | gradients(values, case, leaves)


def _not_exchanged(case: Case, seen: Seen) -> bool:
    """Whether the first result could be h: not if it is larger than 1 and the second one is, number for number, within its tanh."""
    first, second = seen["h"], seen["c"]
    within = ((second * first >= 0) & (second.abs() <= first.tanh().abs() + 1e-6)).all()
    return not (first.abs().max() > 1.0 and first.numel() >= 6 and within)


LSTM_CELL = Exercise(
    name="LSTMCell",
    notebook="02_lstm_sentiment",
    points=4,
    stars=2,
    minutes=15,
    reference="solutions.lstm_cell:LSTMCell",
    by_hand=by_hand.LSTM,
    stand_in="utils.stand_ins.lstm_cell:LSTMCell",
    kind="module",
    cases=_cell_cases,
    observe=_observe_cell,
    outputs=("h", "c"),
    properties=(
        Property("h first", "You return (c, h). Asked is (h, c), in this order.", _not_exchanged),
        Property(
            "h within one",
            "Some of your h lie outside -1 .. 1. A sigmoid times a tanh cannot: look at the line that makes h.",
            lambda case, seen: seen["h"].abs().max() <= 1.0,
        ),
    ),
)
