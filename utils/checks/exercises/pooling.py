"""Checks: the token mixer of PoolFormer."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def pooling_cases(draw: Draw) -> list[Case]:
    def case(name: str, x: Tensor, size: int | None) -> Case:
        return Case(name, init={"pool_size": size} if size else {}, args={"x": x})

    bright = torch.zeros(1, 2, 7, 6)
    bright[0, :, 3, 2] = 9 * draw.integer(1, 20) * torch.tensor([1.0, -2.0])
    constant = draw.normal(2, 3, 1, 1).expand(2, 3, 4, 5).clone()
    return [
        case("a constant map", constant, 3),
        case("one bright position", bright, 3),
        case("a wide map", draw.normal(2, 3, 4, 7), None),
        case("a larger neighbourhood", draw.normal(1, 2, 8, 6), 5),
        case("a neighbourhood larger than the map", draw.normal(2, 2, 2, 3), 5),
        case("a neighbourhood as large as the map", draw.normal(1, 2, 3, 3), 3),
        case("a neighbourhood of one", draw.normal(2, 3, 3, 4), 1),
        case("float64", draw.normal(1, 4, 5, 3, dtype=torch.float64), 3),
    ]


SILENT = 1e-5  # differences up to here are rounding


def constant_is_zero_inside(case: Case, seen: Seen) -> bool:
    return case.name != "a constant map" or bool((seen["output"][..., 1:-1, 1:-1].abs() < SILENT).all())


def constant_is_zero(case: Case, seen: Seen) -> bool:
    return case.name != "a constant map" or bool((seen["output"].abs() < SILENT).all())


def only_neighbours(case: Case, seen: Seen) -> bool:
    if case.name != "one bright position":
        return True
    far = torch.ones(7, 6, dtype=torch.bool)
    far[2:5, 1:4] = False
    return not seen["output"][..., far].any()


def one_is_silent(case: Case, seen: Seen) -> bool:
    return case.init.get("pool_size") != 1 or bool((seen["output"].abs() < SILENT).all())


POOLING = Exercise(
    name="Pooling",
    notebook="08_mixer_poolformer",
    kind="module",
    points=2,
    stars=1,
    minutes=10,
    reference="solutions.pooling:Pooling",
    stand_in="utils.stand_ins.pooling:Pooling",
    cases=pooling_cases,
    refuses=lambda draw: [
        Case("an even neighbourhood, which has no middle", init={"pool_size": 2 * draw.integer(1, 400)}),
        Case("a negative side", init={"pool_size": 1 - 2 * draw.integer(1, 400)}),
    ],
    properties=(
        Property(
            "nothing to say about a constant map",
            "On a constant map every mean is the value itself, and mean minus input is zero. Yours is not: is the input "
            "subtracted, and is the mean a mean?",
            constant_is_zero_inside,
        ),
        Property(
            "borders included",
            "On a constant map your output is zero inside and not at the border: there you divide by more positions "
            "than lie inside the map, so the padding is counted.",
            constant_is_zero,
        ),
        Property(
            "only neighbours",
            "A single bright position has an effect farther away than pool_size // 2.",
            only_neighbours,
        ),
        Property(
            "one is silent",
            "A neighbourhood of one position is the position itself: mean minus input should be zero there.",
            one_is_silent,
        ),
    ),
)
