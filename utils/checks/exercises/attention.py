"""Checks: several heads side by side."""

from __future__ import annotations

import torch

from utils.checks import by_hand
from utils.checks.exercises.scaled_dot_product import HIDDEN, ROWS
from utils.checks.spec import Case, Draw, Exercise

DOUBLE = torch.float64


def _split_cases(draw: Draw) -> list[Case]:
    return [
        Case("three heads", args={"x": draw.normal(2, 5, 12), "num_heads": 3}),
        Case("two heads, one sequence", args={"x": draw.normal(1, 7, 8), "num_heads": 2}),
        Case("heads of width one", args={"x": draw.normal(3, 4, 6), "num_heads": 6}),
        Case("a single head", args={"x": draw.normal(2, 3, 4), "num_heads": 1}),
        Case("five heads, double precision", args={"x": draw.normal(2, 3, 10, dtype=DOUBLE), "num_heads": 5}),
    ]


SPLIT_HEADS = Exercise(
    name="split_heads",
    notebook="01_transformer_recap",
    points=2,
    stars=1,
    minutes=8,
    reference="solutions.attention:split_heads",
    stand_in="utils.stand_ins.attention:split_heads",
    cases=_split_cases,
    refuses=lambda draw: [
        Case("a width that the heads do not divide", args={"x": draw.normal(2, 3, 10), "num_heads": 4})
    ],
)


def _merge_cases(draw: Draw) -> list[Case]:
    return [
        Case("three heads", args={"x": draw.normal(2, 3, 5, 4)}),
        Case("two heads, one sequence", args={"x": draw.normal(1, 2, 7, 3)}),
        Case("heads of width one", args={"x": draw.normal(3, 6, 4, 1)}),
        Case("a single head", args={"x": draw.normal(2, 1, 3, 5)}),
        Case("five heads, double precision", args={"x": draw.normal(2, 5, 2, 3, dtype=DOUBLE)}),
    ]


MERGE_HEADS = Exercise(
    name="merge_heads",
    notebook="01_transformer_recap",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.attention:merge_heads",
    stand_in="utils.stand_ins.attention:merge_heads",
    cases=_merge_cases,
)


def _multi_head_cases(draw: Draw) -> list[Case]:
    two, three = {"embed_dim": 8, "num_heads": 2}, {"embed_dim": 6, "num_heads": 3}
    blind = draw.mask(3, 5)
    blind[1] = False
    twin = draw.normal(2, 3, 8)
    per_sequence, shared = draw.mask(2, 4, 4), draw.mask(4, 4)
    per_sequence[0, 1], per_sequence[1, 2], shared[2] = False, True, True
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
            args={"query": draw.normal(4, 4, 6), "key": None, "value": None, "mask": shared},
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
            "cross-attention between sequences of one length",
            init=two,
            args={
                "query": draw.normal(2, 4, 8),
                "key": draw.normal(2, 4, 8),
                "value": None,
                "mask": per_sequence,
            },
        ),
        Case(
            "a key of its own with the query's numbers", init=two, args={"query": twin, "key": twin.clone()}
        ),
        Case(
            "self-attention that averages other values",
            init=three,
            args={"query": draw.normal(2, 3, 6), "key": None, "value": draw.normal(2, 3, 6)},
        ),
        Case(
            "a mask, and nobody needs the weights",
            init=two,
            args={
                "query": draw.normal(2, 3, 8),
                "key": draw.normal(2, 5, 8),
                "value": None,
                "mask": draw.mask(2, 3, 5),
            },
            kwargs={"need_weights": False},
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


MULTI_HEAD_ATTENTION = Exercise(
    name="MultiHeadAttention",
    notebook="01_transformer_recap",
    points=5,
    stars=3,
    minutes=25,
    kind="module",
    reference="solutions.attention:MultiHeadAttention",
    by_hand=by_hand.MULTIHEAD,
    stand_in="utils.stand_ins.attention:MultiHeadAttention",
    outputs=("output", "weights"),
    cases=_multi_head_cases,
    refuses=lambda draw: [
        Case("a width that the heads do not divide", init={"embed_dim": draw.indivisible(3), "num_heads": 3})
    ],
    properties=(ROWS, HIDDEN),
    uses=("scaled_dot_product_attention", "split_heads", "merge_heads"),
)
