"""Checks: self-attention and the block of ViT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.building import build_module
from utils.checks.chance import without_chance
from utils.checks.observe import observe_default
from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Draw, Exercise, Property, Seen
from utils.words import later

DOUBLE = torch.float64


def attention_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        b: int,
        n: int,
        d: int,
        heads: int,
        dtype: torch.dtype = torch.float32,
        mode: str = "eval",
        **more: Any,
    ) -> Case:
        init = {"dim": d, "num_heads": heads, **more}
        return Case(name, args={"x": draw.normal(b, n, d, dtype=dtype)}, init=init, mode=mode)

    return [
        case("two heads", 2, 5, 8, 2),
        case("one head", 1, 4, 6, 1),
        case("more heads than channels of a head", 2, 3, 8, 4),
        case("attention dropout, in eval mode", 2, 7, 6, 3, dropout=0.5),
        case(
            "as many tokens as channels, attention dropout while training",
            2,
            6,
            6,
            2,
            mode="train",
            dropout=0.4,
        ),
        replace(case("large scores, double precision", 2, 4, 6, 2, DOUBLE), weights=_large_scores(draw)),
    ]


def _large_scores(draw: Draw) -> dict[str, Tensor]:
    """Weights for a width of 6 that give all pairs of tokens a score near 1800, beyond what `exp` can hold."""
    thirds = [draw.normal(6, 6, scale=scale) for scale in (0.4, 0.01, 0.4)]
    biases = [draw.normal(6, scale=0.5, shift=shift) for shift in (32.0, 32.0, 0.0)]
    weights = {"in_proj_weight": torch.cat(thirds), "in_proj_bias": torch.cat(biases)}
    weights |= {"out_proj.weight": draw.normal(6, 6, scale=0.4), "out_proj.bias": draw.normal(6, scale=0.3)}
    return {name: value.double() for name, value in weights.items()}


def observe_attention(attempt: Any, case: Case) -> Seen:
    """Output and gradients as always, the attention weights of `weights(x)`, in training too, and what `split(x)` gives."""
    seen = observe_default(attempt, case)
    module = build_module(attempt, case)
    with torch.no_grad(), without_chance():
        weights = module.weights(case.args["x"].clone())
        parts = module.split(case.args["x"].clone())
    if not isinstance(weights, Tensor):
        raise ObservationError(
            Problem(
                "type",
                later(
                    "`weights(x)` must return a torch.Tensor, and returned a {kind}.",
                    kind=type(weights).__name__,
                ),
            )
        )
    named = zip(("queries", "keys", "values"), parts, strict=True)
    return {
        "output": seen.pop("output"),
        "weights": weights,
        **{f"{name} of `split`": part for name, part in named},
        **seen,
    }


def rows_sum_to_one(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["weights"].sum(-1), seen["weights"].new_ones(()), atol=1e-4)


SELF_ATTENTION = Exercise(
    name="SelfAttention",
    notebook="05_vit",
    points=4,
    stars=3,
    minutes=20,
    kind="module",
    reference="solutions.vit_block:SelfAttention",
    by_hand=by_hand.MULTIHEAD,
    stand_in="utils.stand_ins.vit_block:SelfAttention",
    cases=attention_cases,
    observe=observe_attention,
    properties=(
        Property(
            "rows sum to one",
            "Each query's attention weights should sum to 1 over the keys, and yours do not.",
            rows_sum_to_one,
        ),
    ),
)


def block_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, b: int, n: int, d: int, heads: int, hidden: int, *, mode: str = "eval", **more: Any
    ) -> Case:
        dtype = more.pop("dtype", torch.float32)
        init = {"dim": d, "num_heads": heads, "hidden_dim": hidden, **more}
        return Case(name, args={"x": draw.normal(b, n, d, dtype=dtype)}, init=init, mode=mode)

    return [
        case("two heads", 2, 5, 8, 2, 12),
        case("an MLP narrower than the tokens", 3, 4, 6, 3, 4),
        case("dropout and stochastic depth, in eval mode", 2, 3, 4, 1, 8, dropout=0.5, drop_path=0.5),
        case("double precision", 1, 6, 4, 2, 10, dtype=DOUBLE),
        case("stochastic depth while training", 5, 2, 4, 2, 4, mode="train", drop_path=0.5),
        case("dropout while training", 3, 5, 4, 2, 6, mode="train", dropout=0.4),
        case(
            "all three kinds of dropout while training",
            4,
            3,
            6,
            3,
            5,
            mode="train",
            dropout=0.3,
            attention_dropout=0.4,
            drop_path=0.5,
            norm_eps=0.1,
        ),
    ]


VI_T_BLOCK = Exercise(
    name="ViTBlock",
    notebook="05_vit",
    points=3,
    stars=2,
    minutes=10,
    kind="module",
    reference="solutions.vit_block:ViTBlock",
    by_hand=by_hand.TRANSFORMER,
    stand_in="utils.stand_ins.vit_block:ViTBlock",
    uses=("SelfAttention",),
    cases=block_cases,
)
