"""Checks: sinusoidal positions."""

from __future__ import annotations

from utils.checks.spec import Case, Draw, Exercise, Property


def _position_cases(draw: Draw) -> list[Case]:
    return [
        Case("a short sequence", args={"length": draw.integer(4, 8), "dim": 8}),
        Case(
            "more columns than positions", args={"length": draw.integer(2, 5), "dim": 2 * draw.integer(6, 9)}
        ),
        Case("only two columns", args={"length": draw.integer(9, 13), "dim": 2}),
        Case("only one position", args={"length": 1, "dim": 2 * draw.integer(2, 7)}),
        Case("a longer sequence", args={"length": draw.integer(24, 32), "dim": 10}),
    ]


SINUSOIDAL_POSITIONS = Exercise(
    name="sinusoidal_positions",
    notebook="01_transformer_recap",
    points=3,
    stars=2,
    minutes=15,
    reference="solutions.positions:sinusoidal_positions",
    stand_in="utils.stand_ins.positions:sinusoidal_positions",
    cases=_position_cases,
    refuses=lambda draw: [
        Case("an odd width", args={"length": draw.integer(3, 40), "dim": draw.indivisible(2)})
    ],
    gradients=False,
    properties=(
        Property(
            "between -1 and 1",
            "Sines and cosines lie between -1 and 1, and some of your numbers do not.",
            lambda case, seen: seen["output"].abs().max() <= 1 + 1e-5,
        ),
    ),
)
