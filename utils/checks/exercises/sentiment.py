"""Checks: a Transformer that classifies sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.exercises.padding import uneven
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


# TransformerEncoder
def _encoder_cases(draw: Draw) -> list[Case]:
    def sizes(num_layers: int, dim: int, num_heads: int, hidden_dim: int, **more: Any) -> dict[str, Any]:
        return {
            "num_layers": num_layers,
            "dim": dim,
            "num_heads": num_heads,
            "hidden_dim": hidden_dim,
            **more,
        }

    return [
        Case("two layers, pre-LN", init=sizes(2, 6, 2, 8), args={"x": draw.normal(2, 5, 6)}),
        Case(
            "a padded batch",
            init=sizes(2, 6, 3, 4),
            args={"x": draw.normal(3, 5, 6), "mask": torch.arange(5) < uneven(draw, 3, 5)[:, None, None]},
        ),
        Case(
            "three layers, post-LN, a mask per pair of tokens",
            init=sizes(3, 4, 1, 6, norm_first=False),
            args={"x": draw.normal(3, 3, 4), "mask": draw.mask(3, 3)},
        ),
        Case(
            "one layer with another activation, float64",
            init=sizes(1, 4, 4, 6, norm_first=True, activation="gelu"),
            args={"x": draw.normal(1, 6, 4, dtype=torch.float64)},
        ),
        Case(
            "dropout is switched off in evaluation",
            init=sizes(2, 4, 2, 6, norm_first=True, dropout=0.5),
            args={"x": draw.normal(2, 4, 4)},
        ),
        Case(
            "training with a dropout of 0.4, two layers",
            init=sizes(2, 4, 2, 6, norm_first=True, dropout=0.4),
            args={"x": draw.normal(2, 4, 4), "mask": draw.mask(2, 4, 4)},
            mode="train",
        ),
        Case(
            "training with a dropout of 1: every move is dropped",
            init=sizes(1, 4, 2, 6, norm_first=False, dropout=1.0),
            args={"x": draw.normal(2, 3, 4)},
            mode="train",
        ),
    ]


TRANSFORMER_ENCODER = Exercise(
    name="TransformerEncoder",
    notebook="03_transformer_sentiment",
    points=4,
    stars=2,
    minutes=15,
    reference="solutions.sentiment:TransformerEncoder",
    by_hand=by_hand.ENCODER,
    stand_in="utils.stand_ins.sentiment:TransformerEncoder",
    kind="module",
    cases=_encoder_cases,
    uses=("EncoderLayer",),
)


# TransformerClassifier
def _classifier_cases(draw: Draw) -> list[Case]:
    def sizes(vocab_size: int, dim: int, num_layers: int, num_heads: int, **more: Any) -> dict[str, Any]:
        given = {"vocab_size": vocab_size, "dim": dim, "num_layers": num_layers, "num_heads": num_heads}
        return {**given, "hidden_dim": 6, **more}

    def batch(rows: int, longest: int, vocab_size: int, width: int | None = None) -> dict[str, Tensor]:
        lengths = uneven(draw, rows, longest)
        tokens = draw.integers(1, vocab_size, rows, width or longest)
        tokens[int(lengths.argmax()), 1] = (
            0  # <pad> may stand among the words, and is not trained there either
        )
        real = torch.arange(tokens.shape[1]) < lengths[:, None]
        return {"tokens": tokens.masked_fill(~real, 0), "lengths": lengths}

    return [
        Case("mean pooling, padded batch", init=sizes(7, 6, 2, 2, pooling="mean"), args=batch(3, 5, 7)),
        Case(
            "mean pooling, post-LN, three classes, wider than the longest sentence",
            init=sizes(6, 4, 1, 4, pooling="mean", norm_first=False, num_classes=3),
            args=batch(2, 5, 6, width=7),
        ),
        Case(
            "class token, padded batch, wider than the longest sentence",
            init=sizes(5, 6, 1, 3, pooling="cls"),
            args=batch(4, 3, 5, width=5),
        ),
        Case(
            "dropout is switched off in evaluation, lengths as int32",
            init=sizes(6, 4, 1, 2, pooling="mean", dropout=0.5),
            args=(few := batch(3, 4, 6)) | {"lengths": few["lengths"].int()},
        ),
        Case(
            "training with a dropout of 0.4, mean pooling",
            init=sizes(5, 6, 1, 2, pooling="mean", dropout=0.4),
            args=batch(3, 4, 5),
            mode="train",
        ),
        Case(
            "training with a dropout of 0.4, class token",
            init=sizes(5, 6, 1, 3, pooling="cls", dropout=0.4),
            args=batch(2, 4, 5),
            mode="train",
        ),
        Case(
            "training with a dropout of 1: only the last bias is left",
            init=sizes(5, 4, 1, 2, pooling="mean", dropout=1.0),
            args=batch(2, 3, 5),
            mode="train",
        ),
    ]


def _observe_classifier(attempt: Any, case: Case) -> Seen:
    """The standard observation, and the logits once more with other words written into the padding."""
    seen = observe_default(attempt, case)
    tokens, lengths = case.args["tokens"], case.args["lengths"]
    padding = torch.arange(tokens.shape[1]) >= lengths[:, None]
    other = torch.where(padding, torch.full_like(tokens, case.init["vocab_size"] - 1), tokens)
    again = observe_default(attempt, replace(case, args={"tokens": other, "lengths": lengths}, cotangents={}))
    seen["logits with other padding"] = again["logits"]
    return seen


def _padding_is_ignored(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["logits"], seen["logits with other padding"], atol=1e-4)


TRANSFORMER_CLASSIFIER = Exercise(
    name="TransformerClassifier",
    notebook="03_transformer_sentiment",
    points=6,
    stars=3,
    minutes=25,
    reference="solutions.sentiment:TransformerClassifier",
    by_hand=by_hand.TRANSFORMER,
    kind="module",
    outputs=("logits",),
    cases=_classifier_cases,
    observe=_observe_classifier,
    uses=("padding_mask", "TransformerEncoder", "sinusoidal_positions"),
    properties=(
        Property(
            "padding is ignored",
            "The logits change when other indices stand in the padding. Look for a place where padded positions are "
            "attended to, or pooled.",
            _padding_is_ignored,
        ),
    ),
)
