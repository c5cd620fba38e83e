"""Checks: the feed-forward network and the encoder layer."""

from __future__ import annotations

from typing import Any

import torch

from utils.checks import by_hand
from utils.checks.spec import Case, Draw, Exercise

DOUBLE = torch.float64


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


FEED_FORWARD = Exercise(
    name="FeedForward",
    notebook="01_transformer_recap",
    points=2,
    stars=1,
    minutes=8,
    kind="module",
    reference="solutions.transformer:FeedForward",
    stand_in="utils.stand_ins.transformer:FeedForward",
    cases=_feed_forward_cases,
)


def _encoder_cases(draw: Draw) -> list[Case]:
    def init(norm_first: bool, **more: Any) -> dict[str, Any]:
        kind = {"norm_first": True} if norm_first else {}  # False is the default
        return {"dim": 6, "num_heads": 2, "hidden_dim": 10, **kind, **more}

    # As many sequences as positions: a mask per pair could be taken for one per sequence. One row sees nothing, one all.
    per_pair, per_sequence = draw.mask(3, 3), draw.mask(2, 4, 4)
    per_pair[0], per_pair[2], per_sequence[1, 2] = True, False, False
    return [
        Case("post-LN", init=init(False), args={"x": draw.normal(2, 4, 6)}),
        Case("pre-LN", init=init(True), args={"x": draw.normal(2, 3, 6, scale=1.5)}),
        Case(
            "dropout is switched off in eval mode",
            init=init(True, dropout=0.5),
            args={"x": draw.normal(2, 4, 6)},
        ),
        Case(
            "post-LN with padding",
            init=init(False),
            args={"x": draw.normal(2, 5, 6), "mask": draw.mask(2, 1, 5)},
        ),
        Case(
            "pre-LN with a mask per pair, double precision, GELU",
            init=init(True, activation="gelu"),
            args={"x": draw.normal(3, 3, 6, dtype=DOUBLE), "mask": per_pair},
        ),
        Case(
            "post-LN in train mode, dropout takes all that is added",
            init=init(False, dropout=1.0),
            mode="train",
            args={"x": draw.normal(2, 3, 6)},
        ),
        Case(
            "pre-LN in train mode, dropout takes some of what is added",
            init=init(True, dropout=0.4),
            mode="train",
            args={"x": draw.normal(2, 4, 6), "mask": per_sequence},
        ),
        Case(
            "post-LN in train mode, dropout takes some of what is added",
            init=init(False, dropout=0.6),
            mode="train",
            args={"x": draw.normal(2, 5, 6)},
        ),
    ]


ENCODER_LAYER = Exercise(
    name="EncoderLayer",
    notebook="01_transformer_recap",
    points=4,
    stars=2,
    minutes=15,
    kind="module",
    reference="solutions.transformer:EncoderLayer",
    by_hand=(*by_hand.TRANSFORMER, *by_hand.MULTIHEAD),
    stand_in="utils.stand_ins.transformer:EncoderLayer",
    cases=_encoder_cases,
    uses=(
        "MultiHeadAttention",
        "FeedForward",
        "scaled_dot_product_attention",
        "split_heads",
        "merge_heads",
    ),
)
