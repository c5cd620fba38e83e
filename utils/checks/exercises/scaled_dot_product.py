"""Checks: one weighted average over the keys, and the mask that hides the future."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

DOUBLE = torch.float64


def _attention_cases(draw: Draw) -> list[Case]:
    some_hidden = draw.mask(4, 7)  # as many queries as sequences: one mask for all, and not a row for each
    some_hidden[3] = True
    one_blind, shared = draw.mask(3, 4, 5), draw.mask(3, 4)
    one_blind[1, 2] = shared[1] = False
    # In double precision: in single, rounding of such scores leaves little of a gradient made from their logarithms.
    query, key = (draw.normal(2, size, 6, scale=200.0, dtype=DOUBLE) for size in (3, 5))
    visible = draw.mask(1, 5)
    # In the first sequence hidden keys fit far better than visible ones, whose scores lie far below any number such as -10000.
    query[0], key[0] = query[0].abs() + 40.0, (key[0].abs() + 40.0) * torch.where(visible, -1.0, 1.0).T
    all_visible = torch.ones_like(visible)
    return [
        Case(
            "more keys than queries",
            args={"query": draw.normal(2, 3, 8), "key": draw.normal(2, 5, 8), "value": draw.normal(2, 5, 6)},
        ),
        Case(
            "several heads, fewer keys than queries",
            args={
                "query": draw.normal(2, 3, 5, 4),
                "key": draw.normal(2, 3, 2, 4),
                "value": draw.normal(2, 3, 2, 4),
                "mask": draw.mask(2, 1, 5, 2),
            },
        ),
        Case(
            "a mask that hides some keys",
            args={
                "query": draw.normal(4, 4, 6),
                "key": draw.normal(4, 7, 6),
                "value": draw.normal(4, 7, 3),
                "mask": some_hidden,
            },
        ),
        Case(
            "one mask for all sequences and heads",
            args={
                "query": draw.normal(2, 2, 3, 5),
                "key": draw.normal(2, 2, 4, 5),
                "value": draw.normal(2, 2, 4, 5),
                "mask": shared,
            },
        ),
        Case(
            "as many keys as queries, the same keys hidden from all of them",
            args={
                "query": draw.normal(2, 4, 6),
                "key": draw.normal(2, 4, 6),
                "value": draw.normal(2, 4, 6),
                "mask": draw.mask(2, 1, 4),
            },
        ),
        Case(
            "no batch axis, double precision",
            args={
                "query": draw.normal(4, 6, dtype=DOUBLE),
                "key": draw.normal(5, 6, dtype=DOUBLE),
                "value": draw.normal(5, 3, dtype=DOUBLE),
            },
        ),
        Case(
            "very large scores",
            args={
                "query": query,
                "key": key,
                "value": draw.normal(2, 5, 4, dtype=DOUBLE),
                "mask": torch.stack([visible, all_visible]),
            },
        ),
        Case(
            "a query that may attend to nothing",
            args={
                "query": draw.normal(3, 4, 6),
                "key": draw.normal(3, 5, 6),
                "value": draw.normal(3, 5, 2),
                "mask": one_blind,
            },
        ),
    ]


def _mask_of(case: Case, weights: Tensor) -> Tensor:
    """The case's mask in the shape of the weights."""
    mask = case.args.get("mask")
    if mask is None:
        return torch.ones_like(weights, dtype=torch.bool)
    if weights.dim() == 4 and mask.dim() == 3:
        mask = mask.unsqueeze(1)
    return mask.expand_as(weights)


def _rows_sum_to_one(case: Case, seen: Seen) -> bool:
    sees = _mask_of(case, seen["weights"]).any(-1)
    return torch.allclose(seen["weights"].sum(-1), sees.to(seen["weights"].dtype), atol=1e-4)


ROWS = Property(
    "rows sum to one",
    "Each query's weights should sum to 1 over the keys it may see (and to 0 if it may see none); yours do not.",
    _rows_sum_to_one,
)


def _hidden_are_zero(case: Case, seen: Seen) -> bool:
    return bool((seen["weights"][~_mask_of(case, seen["weights"])] == 0).all())


HIDDEN = Property(
    "hidden keys get no weight",
    "A key that the mask hides (False) should get a weight of exactly 0, and yours gets some.",
    _hidden_are_zero,
)

SCALED_DOT_PRODUCT_ATTENTION = Exercise(
    name="scaled_dot_product_attention",
    notebook="01_transformer_recap",
    points=4,
    stars=2,
    minutes=15,
    reference="solutions.scaled_dot_product:scaled_dot_product_attention",
    by_hand=by_hand.ATTENTION,
    stand_in="utils.stand_ins.scaled_dot_product:scaled_dot_product_attention",
    outputs=("output", "weights"),
    cases=_attention_cases,
    properties=(ROWS, HIDDEN),
)


def _causal_cases(draw: Draw) -> list[Case]:
    return [
        Case("a few positions", args={"length": draw.integer(3, 6)}),
        Case("a single position", args={"length": 1}),
        Case("more positions", args={"length": draw.integer(6, 10)}),
        Case("many positions", args={"length": draw.integer(260, 320)}),
    ]


CAUSAL_MASK = Exercise(
    name="causal_mask",
    notebook="01_transformer_recap",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.scaled_dot_product:causal_mask",
    by_hand=("nn.Transformer.generate_square_subsequent_mask",),
    stand_in="utils.stand_ins.scaled_dot_product:causal_mask",
    cases=_causal_cases,
    gradients=False,
)
