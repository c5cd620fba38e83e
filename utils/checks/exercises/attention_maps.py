"""Checks: what attention weights show."""

from __future__ import annotations

from typing import Any

import torch

from utils.checks.spec import Case, Draw, Exercise, Property, Seen

DOUBLE = torch.float64


def rollout_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Case:
        return Case(name, args={"attention": draw.normal(*shape, scale=1.5, dtype=dtype).softmax(dim=-1)})

    return [
        case("three layers, two heads", 3, 2, 2, 5, 5),
        case("one layer", 1, 3, 4, 4, 4),
        case("one head", 4, 1, 1, 6, 6),
        case("double precision", 2, 2, 3, 3, 3, dtype=DOUBLE),
    ]


ATTENTION_ROLLOUT = Exercise(
    name="attention_rollout",
    notebook="05_vit",
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.attention_maps:attention_rollout",
    gradients=False,
    cases=rollout_cases,
    properties=(
        Property(
            "rows sum to one",
            "Each row of a rollout says where one token comes from, so it should sum to 1, and yours does not.",
            lambda case, seen: torch.allclose(seen["output"].sum(-1), seen["output"].new_ones(()), atol=1e-4),
        ),
    ),
)

DOUBLE = torch.float64


def distance_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        batch: tuple[int, ...],
        grid: tuple[int, int],
        cls: bool = False,
        for_cls: float = 0.0,
        **more: Any,
    ) -> Case:
        tokens = grid[0] * grid[1] + cls
        scores = draw.normal(*batch, tokens, tokens, scale=1.5, **more)
        scores[..., 0] += for_cls
        weights = scores.softmax(-1)
        return Case(name, args={"weights": weights, "grid": grid})

    return [
        case("a wide grid", (2, 3), (2, 5)),
        case("a tall grid with a CLS token, an even number of tokens", (2, 2), (5, 3), cls=True),
        case("layers, images and heads, an odd number of tokens", (2, 1, 3), (3, 3)),
        case("a single row of patches", (1, 2), (1, 6)),
        case(
            "nearly all goes to CLS, one matrix, double precision",
            (),
            (3, 4),
            cls=True,
            for_cls=14.0,
            dtype=DOUBLE,
        ),
    ]


def a_number_per_matrix(case: Case, seen: Seen) -> bool:
    """No distance can be longer than the grid's diagonal."""
    rows, columns = case.args["grid"]
    longest = ((rows - 1) ** 2 + (columns - 1) ** 2) ** 0.5
    return bool((seen["output"] <= longest + 1e-4).all() and (seen["output"] >= -1e-4).all())


MEAN_ATTENTION_DISTANCE = Exercise(
    name="mean_attention_distance",
    notebook="06_inductive_bias",
    points=4,
    stars=3,
    minutes=20,
    reference="solutions.attention_maps:mean_attention_distance",
    stand_in="utils.stand_ins.attention_maps:mean_attention_distance",
    cases=distance_cases,
    refuses=lambda draw: [
        Case("a grid that does not fit", args={"weights": draw.normal(2, 6, 6).softmax(-1), "grid": (2, 2)})
    ],
    gradients=False,
    properties=(
        Property(
            "no farther than the diagonal",
            "A mean distance can't be negative or longer than the diagonal of the grid, and yours is.",
            a_number_per_matrix,
        ),
    ),
)
