"""Notebook 01, first part: attention, its heads, and several of them at once."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NOTEBOOK = "01_transformer_recap"
DOUBLE = torch.float64


def _attention_cases(draw: Draw) -> list[Case]:
    some_hidden = draw.mask(2, 4, 7)
    one_blind = draw.mask(3, 4, 5)
    one_blind[1, 2] = False
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
            },
        ),
        Case(
            "a mask that hides some keys",
            args={
                "query": draw.normal(2, 4, 6),
                "key": draw.normal(2, 7, 6),
                "value": draw.normal(2, 7, 3),
                "mask": some_hidden,
            },
        ),
        Case(
            "one mask for all sequences and heads",
            args={
                "query": draw.normal(2, 2, 3, 5),
                "key": draw.normal(2, 2, 4, 5),
                "value": draw.normal(2, 2, 4, 5),
                "mask": draw.mask(3, 4),
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
                "query": draw.normal(2, 3, 6, scale=12.0),
                "key": draw.normal(2, 5, 6, scale=12.0),
                "value": draw.normal(2, 5, 4),
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


def _hidden_are_zero(case: Case, seen: Seen) -> bool:
    return bool((seen["weights"][~_mask_of(case, seen["weights"])] == 0).all())


ROWS = Property(
    "rows sum to one",
    "Each query's weights should sum to 1 over the keys it may see (and to 0 if it may see none); yours do not.",
    _rows_sum_to_one,
)
HIDDEN = Property(
    "hidden keys get no weight",
    "A key that the mask hides (False) should get a weight of exactly 0, and yours gets some.",
    _hidden_are_zero,
)


def _split_cases(draw: Draw) -> list[Case]:
    return [
        Case("three heads", args={"x": draw.normal(2, 5, 12), "num_heads": 3}),
        Case("two heads, one sequence", args={"x": draw.normal(1, 7, 8), "num_heads": 2}),
        Case("heads of width one", args={"x": draw.normal(3, 4, 6), "num_heads": 6}),
        Case("a single head", args={"x": draw.normal(2, 3, 4), "num_heads": 1}),
        Case("five heads, double precision", args={"x": draw.normal(2, 3, 10, dtype=DOUBLE), "num_heads": 5}),
    ]


def _merge_cases(draw: Draw) -> list[Case]:
    return [
        Case("three heads", args={"x": draw.normal(2, 3, 5, 4)}),
        Case("two heads, one sequence", args={"x": draw.normal(1, 2, 7, 3)}),
        Case("heads of width one", args={"x": draw.normal(3, 6, 4, 1)}),
        Case("a single head", args={"x": draw.normal(2, 1, 3, 5)}),
        Case("five heads, double precision", args={"x": draw.normal(2, 5, 2, 3, dtype=DOUBLE)}),
    ]


def _multi_head_cases(draw: Draw) -> list[Case]:
    two, three = {"embed_dim": 8, "num_heads": 2}, {"embed_dim": 6, "num_heads": 3}
    blind = draw.mask(3, 5)
    blind[1] = False
    return [
        Case("self-attention", init=two, args={"query": draw.normal(2, 5, 8)}),
        Case(
            "cross-attention: queries from one sequence, keys and values from another",
            init=two,
            args={"query": draw.normal(2, 3, 8), "key": draw.normal(2, 5, 8)},
        ),
        Case(
            "keys and values differ",
            init=three,
            args={"query": draw.normal(2, 4, 6), "key": draw.normal(2, 3, 6), "value": draw.normal(2, 3, 6)},
        ),
        Case(
            "self-attention with one mask for all sequences",
            init=three,
            args={"query": draw.normal(2, 4, 6), "key": None, "value": None, "mask": draw.mask(4, 4)},
        ),
        Case(
            "padding: keys hidden in each sequence",
            init=two,
            args={
                "query": draw.normal(3, 2, 8),
                "key": draw.normal(3, 4, 8),
                "value": None,
                "mask": draw.mask(3, 1, 4),
            },
        ),
        Case(
            "a query that may attend to nothing, double precision",
            init=three,
            args={
                "query": draw.normal(2, 3, 6, dtype=DOUBLE),
                "key": draw.normal(2, 5, 6, dtype=DOUBLE),
                "value": None,
                "mask": blind,
            },
        ),
    ]


EXERCISES = [
    Exercise(
        name="scaled_dot_product_attention",
        notebook=NOTEBOOK,
        points=4,
        stars=2,
        minutes=15,
        reference="solutions.attention:scaled_dot_product_attention",
        stand_in="utils.stand_ins.transformer:scaled_dot_product_attention",
        outputs=("output", "weights"),
        cases=_attention_cases,
        properties=(ROWS, HIDDEN),
    ),
    Exercise(
        name="split_heads",
        notebook=NOTEBOOK,
        points=2,
        stars=1,
        minutes=8,
        reference="solutions.attention:split_heads",
        stand_in="utils.stand_ins.transformer:split_heads",
        cases=_split_cases,
    ),
    Exercise(
        name="merge_heads",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference="solutions.attention:merge_heads",
        stand_in="utils.stand_ins.transformer:merge_heads",
        cases=_merge_cases,
    ),
    Exercise(
        name="MultiHeadAttention",
        notebook=NOTEBOOK,
        points=5,
        stars=3,
        minutes=25,
        kind="module",
        reference="solutions.attention:MultiHeadAttention",
        stand_in="utils.stand_ins.transformer:MultiHeadAttention",
        outputs=("output", "weights"),
        cases=_multi_head_cases,
        properties=(ROWS, HIDDEN),
        uses=("scaled_dot_product_attention", "split_heads", "merge_heads"),
    ),
]
