"""Checks: linear warm-up and cosine decay."""

from __future__ import annotations

from typing import Any

import torch

from utils.checks.observe import observe_default
from utils.checks.outputs import name_outputs
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


# warmup_cosine
def _schedule_cases(draw: Draw) -> list[Case]:
    def case(name: str, warmup: int, total: int) -> Case:
        return Case(name, args={"step": draw.integer(1, total), "warmup_steps": warmup, "total_steps": total})

    return [
        case("a short warm-up", draw.integer(3, 6), draw.integer(20, 30)),
        case("a warm-up of one step", 1, draw.integer(7, 12)),
        case("no warm-up", 0, draw.integer(8, 14)),
        case("mostly warm-up", draw.integer(14, 17), draw.integer(18, 22)),
        case("many steps", draw.integer(15, 25), draw.integer(150, 250)),
    ]


def _observe_schedule(attempt: Any, case: Case) -> Seen:
    """The factor at the case's step, and at every step of the training and a little beyond."""
    seen = observe_default(attempt, case)
    warmup, total = case.args["warmup_steps"], case.args["total_steps"]
    factors = [
        name_outputs(attempt(step, warmup, total), case.exercise)["output"].reshape(()).double()
        for step in range(total + 4)
    ]
    seen["all factors"] = torch.stack(factors)
    return seen


def _rises_then_falls(case: Case, seen: Seen) -> bool:
    factors, warmup = seen["all factors"], case.args["warmup_steps"]
    rises = factors[: warmup + 1].diff() > 0
    falls = factors[warmup:].diff() <= 1e-9
    return bool(rises.all() and falls.all())


WARMUP_COSINE = Exercise(
    name="warmup_cosine",
    notebook="03_transformer_sentiment",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.schedule:warmup_cosine",
    cases=_schedule_cases,
    gradients=False,
    observe=_observe_schedule,
    properties=(
        Property(
            "between 0 and 1",
            "The factor should stay between 0 and 1 at every step, and yours leaves this range.",
            lambda case, seen: bool(
                ((seen["all factors"] >= -1e-9) & (seen["all factors"] <= 1 + 1e-9)).all()
            ),
        ),
        Property(
            "up, then down",
            "The factor should grow with every step of the warm-up and never grow after it; yours does not.",
            _rises_then_falls,
        ),
    ),
)
