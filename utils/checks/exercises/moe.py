"""Checks: the layer of experts."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.checks.building import build_module
from utils.checks.observe import observe_default
from utils.checks.properties import same
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def moe_cases(draw: Draw) -> list[Case]:
    def init(num_experts: int, k: int, factor: float | None, renormalize: bool = False) -> dict[str, Any]:
        sizes = {"dim": 4, "hidden_dim": 5, "num_experts": num_experts, "k": k}
        return {**sizes, "capacity_factor": factor, "renormalize": renormalize}

    return [
        Case("one expert", init=init(1, 1, None), args={"x": draw.normal(2, 3, 4)}),
        Case("one of four, room for all", init=init(4, 1, None), args={"x": draw.normal(2, 5, 4)}),
        Case("two of four, renormalised", init=init(4, 2, 2.0, True), args={"x": draw.normal(3, 4, 4)}),
        Case(
            "renormalised, and some choices are dropped",
            init=init(3, 2, 0.75, True),
            args={"x": draw.normal(2, 6, 4)},
        ),
        Case("tokens are dropped", init=init(3, 1, 0.5), args={"x": draw.normal(3, 5, 4)}),
        Case(
            "some choices are dropped, float64",
            init=init(3, 2, 0.75),
            args={"x": draw.normal(2, 7, 4, dtype=torch.float64)},
            mode="train",
        ),
        Case("more experts than tokens", init=init(5, 1, 1.0), args={"x": draw.normal(1, 3, 4)}),
    ]


def observe_moe(attempt: Any, case: Case) -> Seen:
    """The usual, and whether the experts answer for more tokens than chose them, or than they have places."""
    seen = observe_default(attempt, case)
    layer, rows = build_module(attempt, case), []

    def count(module: Any, given: tuple[Tensor, ...], answer: Tensor) -> None:
        rows.append(answer.numel() // answer.shape[-1])

    for expert in layer.experts:
        expert.register_forward_hook(count)
    with torch.no_grad():
        layer(case.args["x"])
    tokens = case.args["x"].flatten(0, 1)
    chosen = (tokens @ layer.router.weight.T.to(tokens)).topk(case.init["k"], dim=1).indices.flatten()
    asked = chosen.bincount(minlength=len(layer.experts)).clamp(min=places(case))
    seen["experts see their own tokens only"] = torch.tensor(sum(rows) <= int(asked.sum()))
    return seen


def places(case: Case) -> int:
    """Of an expert: its capacity."""
    tokens, (number, k) = case.args["x"].shape[:2].numel(), (case.init["num_experts"], case.init["k"])
    factor = case.init["capacity_factor"]
    return tokens if factor is None else math.ceil(round(factor * k * tokens / number, 6))


def one_is_that_expert(case: Case, seen: Seen) -> bool:
    if case.init["num_experts"] > 1:
        return True
    w = case.weights
    hidden = F.gelu(F.linear(case.args["x"], w["experts.0.0.weight"], w["experts.0.0.bias"]))
    return same(seen["output"], F.linear(hidden, w["experts.0.2.weight"], w["experts.0.2.bias"]))


def unserved(case: Case) -> Tensor:
    """(B, N) bool: tokens none of whose choices found a place; by a loop over the queue."""
    x, number, k = case.args["x"], case.init["num_experts"], case.init["k"]
    tokens = x.flatten(0, 1)
    chosen = (tokens @ case.weights["router.weight"].T).topk(k, dim=1).indices.tolist()
    free = [places(case)] * number
    alone = torch.ones(len(tokens), dtype=torch.bool)
    for choice in range(k):
        for token, experts in enumerate(chosen):
            if free[experts[choice]] > 0:
                free[experts[choice]] -= 1
                alone[token] = False
    return alone.view(x.shape[:2])


def dropped_are_zero(case: Case, seen: Seen) -> bool:
    return not seen["output"][unserved(case)].any()


MO_E_LAYER = Exercise(
    name="MoELayer",
    notebook="09_beyond_attention",
    points=4,
    stars=4,
    minutes=25,
    kind="module",
    reference="solutions.moe:MoELayer",
    outputs=("output", "loss"),
    cases=moe_cases,
    observe=observe_moe,
    refuses=lambda draw: [
        Case(
            "more experts per token than there are",
            init={"dim": draw.integer(2, 60), "hidden_dim": 5, "num_experts": 3, "k": 4},
        ),
        Case(
            "no expert per token",
            init={"dim": draw.integer(2, 60), "hidden_dim": 5, "num_experts": 3, "k": 0},
        ),
    ],
    uses=("top_k_router", "keep_within_capacity", "load_balancing_loss"),
    properties=(
        Property(
            "one expert is that expert",
            "With a single expert and room for all, the layer should give exactly what this expert gives, and yours does not.",
            one_is_that_expert,
        ),
        Property(
            "experts see their own tokens only",
            "The values may be right, but your experts answer for tokens that did not choose them. Then the work per token grows with the number of "
            "experts, and what the layer is for is lost: give each expert its own tokens only.",
            lambda case, seen: seen["experts see their own tokens only"],
        ),
        Property(
            "dropped tokens are zero",
            "A token that found no place at any expert should come out as zeros (the residual connection around the layer "
            "carries it past), and yours does not.",
            dropped_are_zero,
        ),
    ),
)
