"""Checks: attention between all pixels of a feature map."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.observe import build_module, observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _self_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32, **init: int) -> Case:
        x = draw.normal(*shape, scale=1.5, dtype=dtype)
        return Case(name, init={"channels": shape[1], **init}, args={"x": x})

    return [
        case("one image, more columns than rows", 1, 4, 2, 5),
        case("two images, more rows than columns", 2, 6, 4, 3),
        case("queries narrower than the feature map", 2, 8, 3, 4, head_channels=2),
        case("queries wider than the feature map", 1, 3, 4, 2, head_channels=5),
        case("a single row of pixels", 2, 3, 1, 6, head_channels=3),
        case("float64", 2, 4, 3, 2, dtype=torch.float64),
    ]


def _self_weights(name: str, value: Tensor, draw: Draw) -> Tensor:
    """A gate far from zero and from one, matrices in the scale of their input, biases away from zero."""
    if name == "gamma":
        return draw.uniform(*value.shape, low=0.4, high=0.8) * draw.choice([-1.0, 1.0])
    fan_in = value[0].numel() if value.ndim > 1 else 4
    return draw.normal(*value.shape, scale=fan_in**-0.5)


def _watch_self(attempt: Any, case: Case) -> Seen:
    """The weights first: where they are wrong already, the message should say so."""
    x = case.args["x"]
    seen: Seen = {}
    with torch.no_grad():
        seen["weights"] = build_module(attempt, case).weights(x.clone())
        fresh = attempt(**case.init).to(x.dtype)(x.clone())
    seen.update(observe_default(attempt, case))
    seen["starts_as_identity"] = torch.tensor(fresh.shape == x.shape and torch.allclose(fresh, x))
    return seen


def _rows_sum_to_one(case: Case, seen: Seen) -> bool:
    sums = seen["weights"].double().sum(-1)
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


SELF_ATTENTION2D = Exercise(
    name="SelfAttention2d",
    notebook="04_attention_in_vision",
    points=4,
    stars=3,
    minutes=20,
    reference="solutions.self_attention_2d:SelfAttention2d",
    by_hand=by_hand.ATTENTION,
    kind="module",
    cases=_self_cases,
    observe=_watch_self,
    weights=_self_weights,
    properties=(
        Property(
            "rows sum to one",
            "Each row of `weights` belongs to one query and must sum to 1 over the keys, and yours does not.",
            _rows_sum_to_one,
        ),
        Property(
            "starts as the identity",
            "A fresh layer must return its input unchanged, because the gate starts closed; yours already changes it.",
            lambda case, seen: seen["starts_as_identity"],
        ),
    ),
)
