"""Checks: attention between all pixels of a feature map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks import by_hand
from utils.checks.building import build_module
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _self_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, mode="eval", dtype: torch.dtype = torch.float32, **init: int) -> Case:
        x = draw.normal(*shape, scale=1.5, dtype=dtype)
        return Case(name, init={"channels": shape[1], **init}, args={"x": x}, mode=mode)

    return [
        case("one image, more columns than rows", 1, 4, 2, 5),
        case("two images, more rows than columns", 2, 6, 4, 3),
        case("queries narrower than the feature map", 2, 8, 3, 4, head_channels=2),
        case("queries wider than the feature map", 1, 3, 4, 2, head_channels=5),
        case("a single row of pixels, training", 2, 3, 1, 6, head_channels=3, mode="train"),
        replace(case("large scores, float64", 2, 4, 3, 2, dtype=torch.float64), weights=_large_scores(draw)),
    ]


def _large_scores(draw: Draw) -> dict[str, Tensor]:
    """Weights that give all pairs of pixels a score near 1800, beyond what `exp` can hold, and not far from each other."""
    weights = {"gamma": draw.uniform(1, low=0.4, high=0.8)}
    for layer in ("query", "key", "value", "output"):
        weights[f"{layer}.weight"] = draw.normal(4, 4, 1, 1, scale=0.01 if layer == "key" else 0.5)
        weights[f"{layer}.bias"] = draw.normal(4, scale=0.5, shift=30.0 if layer in ("query", "key") else 0.0)
    return {name: value.double() for name, value in weights.items()}


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
    new = attempt(**case.init).to(x.dtype)
    fresh = new(x.clone())
    seen.update(observe_default(attempt, case))
    seen["the gate can open"] = torch.tensor(_can_open(new, fresh))
    seen["starts_as_identity"] = torch.tensor(fresh.shape == x.shape and torch.allclose(fresh, x))
    return seen


def _can_open(layer: nn.Module, output: Tensor) -> bool:
    """Whether the gate gets a gradient while it is zero."""
    if not output.requires_grad:
        return False
    ramp = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    (grad,) = torch.autograd.grad((output * ramp).sum(), [layer.gamma], allow_unused=True)
    return grad is not None and bool(grad.any())


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
        Property(
            "the gate can open",
            "In a fresh layer `gamma` gets no gradient, so the gate stays shut for ever. Is everything behind the gate computed while it is "
            "zero, and does `output` start as PyTorch makes it, not at zero, too?",
            lambda case, seen: seen["the gate can open"],
        ),
    ),
)
