"""Notebook 01, second part: positions, the feed-forward, the encoder's layer."""

from __future__ import annotations

from typing import Any

from utils.checks.exercises.attention_01 import DOUBLE, NOTEBOOK
from utils.checks.spec import Case, Draw, Exercise, Property


def _position_cases(draw: Draw) -> list[Case]:
    return [
        Case("a short sequence", args={"length": draw.integer(4, 8), "dim": 8}),
        Case("more columns than positions", args={"length": 3, "dim": 2 * draw.integer(6, 9)}),
        Case("only two columns", args={"length": draw.integer(9, 13), "dim": 2}),
        Case("only one position", args={"length": 1, "dim": 6}),
        Case("a longer sequence", args={"length": draw.integer(24, 32), "dim": 10}),
    ]


def _feed_forward_cases(draw: Draw) -> list[Case]:
    return [
        Case("twice as wide inside", init={"dim": 6, "hidden_dim": 12}, args={"x": draw.normal(2, 3, 6)}),
        Case("narrower inside", init={"dim": 8, "hidden_dim": 5}, args={"x": draw.normal(1, 4, 8)}),
        Case(
            "GELU in place of ReLU",
            init={"dim": 4, "hidden_dim": 10, "activation": "gelu"},
            args={"x": draw.normal(2, 5, 4, scale=2.0)},
        ),
        Case(
            "double precision, train mode",
            init={"dim": 5, "hidden_dim": 7},
            mode="train",
            args={"x": draw.normal(3, 2, 5, dtype=DOUBLE)},
        ),
    ]


def _encoder_cases(draw: Draw) -> list[Case]:
    def init(norm_first: bool, **more: Any) -> dict[str, Any]:
        return {"dim": 6, "num_heads": 2, "hidden_dim": 10, "norm_first": norm_first, **more}

    return [
        Case("post-LN", init=init(False), args={"x": draw.normal(2, 4, 6)}),
        Case("pre-LN", init=init(True), args={"x": draw.normal(2, 3, 6, scale=1.5)}),
        Case(
            "post-LN with padding",
            init=init(False),
            args={"x": draw.normal(2, 5, 6), "mask": draw.mask(2, 1, 5)},
        ),
        Case(
            "pre-LN with a mask per pair, double precision, GELU",
            init=init(True, activation="gelu"),
            args={"x": draw.normal(2, 3, 6, dtype=DOUBLE), "mask": draw.mask(3, 3)},
        ),
        Case(
            "post-LN in train mode, dropout takes all that is added",
            init=init(False, dropout=1.0),
            mode="train",
            args={"x": draw.normal(2, 3, 6)},
        ),
        Case(
            "pre-LN in train mode, dropout takes all that is added",
            init=init(True, dropout=1.0),
            mode="train",
            args={"x": draw.normal(1, 4, 6)},
        ),
    ]


EXERCISES = [
    Exercise(
        name="sinusoidal_positions",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=15,
        reference="solutions.transformer:sinusoidal_positions",
        stand_in="utils.stand_ins.transformer:sinusoidal_positions",
        cases=_position_cases,
        gradients=False,
        properties=(
            Property(
                "between -1 and 1",
                "Sines and cosines lie between -1 and 1, and some of your numbers do not.",
                lambda case, seen: seen["output"].abs().max() <= 1 + 1e-5,
            ),
        ),
    ),
    Exercise(
        name="FeedForward",
        notebook=NOTEBOOK,
        points=2,
        stars=1,
        minutes=8,
        kind="module",
        reference="solutions.transformer:FeedForward",
        stand_in="utils.stand_ins.transformer:FeedForward",
        cases=_feed_forward_cases,
    ),
    Exercise(
        name="EncoderLayer",
        notebook=NOTEBOOK,
        points=4,
        stars=2,
        minutes=15,
        kind="module",
        reference="solutions.transformer:EncoderLayer",
        stand_in="utils.stand_ins.transformer:EncoderLayer",
        cases=_encoder_cases,
        uses=(
            "MultiHeadAttention",
            "FeedForward",
            "scaled_dot_product_attention",
            "split_heads",
            "merge_heads",
        ),
    ),
]
