"""Cases, observations and properties of notebook 09's exercises. The exercises themselves are in `n09_beyond_attention.py`."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.checks.observe import build_module, observe_default
from utils.checks.spec import Case, Draw, Seen


def same(left: Tensor, right: Tensor) -> bool:
    """Equal up to rounding."""
    return torch.allclose(left, right, rtol=1e-4, atol=1e-5)


# Router ------------------------------------------------------------------------------------------------------------


def router_cases(draw: Draw) -> list[Case]:
    double = torch.float64
    return [
        Case("one expert per token", args={"logits": draw.normal(6, 4), "k": 1}),
        Case("two of five", args={"logits": draw.normal(7, 5), "k": 2}),
        Case(
            "two of five, renormalised",
            args={"logits": draw.normal(6, 5), "k": 2},
            kwargs={"renormalize": True},
        ),
        Case("all experts", args={"logits": draw.normal(5, 3), "k": 3}),
        Case("there is one expert only", args={"logits": draw.normal(4, 1), "k": 1}),
        Case("large scores", args={"logits": draw.normal(5, 4, scale=3, shift=120), "k": 2}),
        Case(
            "three of six, renormalised, float64",
            args={"logits": draw.normal(4, 6, dtype=double), "k": 3},
            kwargs={"renormalize": True},
        ),
    ]


def largest_first(case: Case, seen: Seen) -> bool:
    weights = seen["weights"]
    return bool((weights[:, 1:] <= weights[:, :-1]).all())


def sums_to_one(case: Case, seen: Seen) -> bool:
    weights = seen["weights"]
    return not case.kwargs.get("renormalize") or same(weights.sum(1), torch.ones_like(weights[:, 0]))


def leaves_something(case: Case, seen: Seen) -> bool:
    """Without renormalisation the experts that were not chosen keep their part of the probability."""
    all_chosen = case.args["k"] == case.args["logits"].shape[1]
    return all_chosen or bool(case.kwargs.get("renormalize")) or bool((seen["weights"].sum(1) < 1).all())


# Capacity ----------------------------------------------------------------------------------------------------------


def choices(draw: Draw, tokens: int, num_experts: int, k: int) -> Tensor:
    """(T, k) int64: k different experts for each token."""
    return draw.uniform(tokens, num_experts).argsort(dim=1)[:, :k].contiguous()


def capacity_cases(draw: Draw) -> list[Case]:
    def case(name: str, tokens: int, num_experts: int, k: int, capacity: int) -> Case:
        experts = choices(draw, tokens, num_experts, k)
        return Case(name, args={"experts": experts, "num_experts": num_experts, "capacity": capacity})

    popular = draw.integers(0, 2, 9, 1) * 3  # only experts 0 and 3 of four
    return [
        case("one choice, not room for all", 12, 3, 1, 3),
        case("two choices, half of them find a place", 14, 4, 2, 4),
        case("three choices of five", 9, 5, 3, 3),
        case("room for everyone", 6, 4, 2, 6),
        case("no places at all", 5, 3, 2, 0),
        case("one place each", 8, 3, 2, 1),
        Case("two experts that nobody asks for", args={"experts": popular, "num_experts": 4, "capacity": 2}),
    ]


def asked_and_given(case: Case, seen: Seen) -> tuple[Tensor, Tensor]:
    """(E,) how often each expert was asked for, and how many places it gave."""
    experts, number = case.args["experts"], case.args["num_experts"]
    return (
        torch.bincount(experts.flatten(), minlength=number),
        torch.bincount(experts[seen["output"].bool()], minlength=number),
    )


def nobody_overfull(case: Case, seen: Seen) -> bool:
    return bool((asked_and_given(case, seen)[1] <= case.args["capacity"]).all())


def no_place_wasted(case: Case, seen: Seen) -> bool:
    asked, given = asked_and_given(case, seen)
    return bool((given >= asked.clamp(max=case.args["capacity"])).all())


def first_choices_first(case: Case, seen: Seen) -> bool:
    """No later choice is kept by an expert that turned an earlier choice away."""
    experts, kept = case.args["experts"], seen["output"].bool()
    for expert in range(case.args["num_experts"]):
        wants = experts == expert
        turned_away = [j for j in range(experts.shape[1]) if (wants & ~kept)[:, j].any()]
        served = [j for j in range(experts.shape[1]) if (wants & kept)[:, j].any()]
        if turned_away and served and max(served) > min(turned_away):
            return False
    return True


# Balance -----------------------------------------------------------------------------------------------------------


def balance_cases(draw: Draw) -> list[Case]:
    def case(name: str, tokens: int, num_experts: int, k: int, **kind: Any) -> Case:
        logits = draw.normal(tokens, num_experts, **kind)
        return Case(name, args={"logits": logits, "experts": choices(draw, tokens, num_experts, k)})

    return [
        case("one choice per token", 9, 4, 1),
        case("two choices per token", 7, 5, 2),
        Case(
            "equal scores",
            args={
                "logits": draw.normal(8, 1).expand(8, 4).contiguous(),
                "experts": choices(draw, 8, 4, 1),
            },
        ),
        Case(
            "every token wants the same expert",
            args={
                "logits": draw.normal(6, 3) + torch.tensor([0.0, 6.0, 0.0]),
                "experts": torch.ones(6, 1, dtype=torch.long),
            },
        ),
        case("three choices, float64", 8, 6, 3, dtype=torch.float64),
    ]


def equal_scores_give_one(case: Case, seen: Seen) -> bool:
    return case.name != "equal scores" or abs(seen["output"].item() - 1) < 1e-4


# The layer ---------------------------------------------------------------------------------------------------------


def moe_cases(draw: Draw) -> list[Case]:
    def init(num_experts: int, k: int, factor: float | None, renormalize: bool = False) -> dict[str, Any]:
        sizes = {"dim": 4, "hidden_dim": 5, "num_experts": num_experts, "k": k}
        return {**sizes, "capacity_factor": factor, "renormalize": renormalize}

    return [
        Case("one expert", init=init(1, 1, None), args={"x": draw.normal(2, 3, 4)}),
        Case("one of four, room for all", init=init(4, 1, None), args={"x": draw.normal(2, 5, 4)}),
        Case("two of four, renormalised", init=init(4, 2, 2.0, True), args={"x": draw.normal(3, 4, 4)}),
        Case("tokens are dropped", init=init(3, 1, 0.5), args={"x": draw.normal(3, 5, 4)}),
        Case(
            "some choices are dropped, float64",
            init=init(3, 2, 0.75),
            args={"x": draw.normal(2, 7, 4, dtype=torch.float64)},
            mode="train",
        ),
        Case("more experts than tokens", init=init(5, 1, 1.0), args={"x": draw.normal(1, 3, 4)}),
    ]


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
    factor = case.init["capacity_factor"]
    free = [
        len(tokens) if factor is None else math.ceil(round(factor * k * len(tokens) / number, 6))
    ] * number
    alone = torch.ones(len(tokens), dtype=torch.bool)
    for choice in range(k):
        for token, experts in enumerate(chosen):
            if free[experts[choice]] > 0:
                free[experts[choice]] -= 1
                alone[token] = False
    return alone.view(x.shape[:2])


def dropped_are_zero(case: Case, seen: Seen) -> bool:
    return not seen["output"][unserved(case)].any()


# Perceiver IO ------------------------------------------------------------------------------------------------------


def cross_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, batch: int, queries: int, inputs: int, dims: tuple[int, int, int], hide: bool, **kind: Any
    ) -> Case:
        query_dim, input_dim, heads = dims
        args = {
            "queries": draw.normal(batch, queries, query_dim, **kind),
            "inputs": draw.normal(batch, inputs, input_dim, scale=2.0, shift=0.5, **kind),
            "mask": draw.mask(batch, inputs) if hide else None,
        }
        init = {"query_dim": query_dim, "input_dim": input_dim, "num_heads": heads}
        return Case(name, init=init, args=args)

    return [
        case("few queries, many inputs", 2, 3, 7, (6, 4, 2), False),
        case("many queries, few inputs", 1, 6, 2, (4, 7, 1), False),
        case("some inputs are hidden", 3, 2, 5, (6, 3, 3), True),
        case("equal widths", 2, 4, 3, (4, 4, 2), True),
        case("hidden inputs, float64", 2, 3, 6, (8, 5, 2), True, dtype=torch.float64),
    ]


def observe_cross(attempt: Any, case: Case) -> Seen:
    """The usual, then: the first query alone, and other numbers where inputs are hidden."""
    seen = observe_default(attempt, case)
    module = build_module(attempt, case)
    queries, inputs, mask = case.args["queries"], case.args["inputs"], case.args["mask"]
    with torch.no_grad():
        seen["output of the first query alone"] = module(queries[:, :1].clone(), inputs.clone(), mask)
        if mask is not None:
            seen["output with other hidden inputs"] = module(queries.clone(), hidden_changed(case), mask)
    return seen


def hidden_changed(case: Case) -> Tensor:
    """The inputs, with those that the mask hides turned round and made larger."""
    inputs, mask = case.args["inputs"], case.args["mask"]
    return torch.where(mask[..., None], inputs, -3 * inputs)


def queries_are_alone(case: Case, seen: Seen) -> bool:
    return same(seen["output of the first query alone"], seen["output"][:, :1])


def hidden_stay_hidden(case: Case, seen: Seen) -> bool:
    return same(seen["output with other hidden inputs"], seen["output"])


def perceiver_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, batch: int, inputs: int, queries: tuple[int, ...], depth: int, hide: bool, **kind: Any
    ) -> Case:
        init = {"input_dim": 3, "num_latents": 3, "latent_dim": 4, "depth": depth, "query_dim": queries[-1]}
        args = {
            "inputs": draw.normal(batch, inputs, 3, scale=2.0, shift=0.5, **kind),
            "queries": draw.normal(*queries, **kind),
            "mask": draw.mask(batch, inputs) if hide else None,
        }
        return Case(name, init={**init, "num_heads": 2, "widening": 2}, args=args)

    return [
        case("one layer, queries for each image", 2, 5, (2, 4, 6), 1, False),
        case("two layers, the same queries for all", 3, 7, (2, 4), 2, False),
        case("more queries than inputs", 1, 2, (1, 6, 4), 1, False),
        case("some inputs are hidden", 2, 6, (3, 6), 2, True),
        case("hidden inputs, float64", 2, 5, (2, 2, 4), 2, True, dtype=torch.float64),
    ]


def observe_perceiver(attempt: Any, case: Case) -> Seen:
    """The latents; the usual; the inputs in reverse order; other hidden inputs; the first query alone, and the queries turned round."""
    module = build_module(attempt, case)
    inputs, queries, mask = case.args["inputs"], case.args["queries"], case.args["mask"]
    backwards = None if mask is None else mask.flip(1)
    with torch.no_grad():
        seen = {"latents": module.encode(inputs.clone(), mask)}
        seen["latents of the inputs in reverse order"] = module.encode(inputs.flip(1), backwards)
        if mask is not None:
            seen["latents with other hidden inputs"] = module.encode(hidden_changed(case), mask)
        latents = seen["latents"]
        seen["answer to the first query alone"] = module.decode(latents.clone(), queries[..., :1, :].clone())
        seen["answers to other queries"] = module.decode(latents.clone(), -2 * queries)
    seen.update(observe_default(attempt, case))
    return seen


def inputs_are_a_set(case: Case, seen: Seen) -> bool:
    return same(seen["latents"], seen["latents of the inputs in reverse order"])


def hidden_change_no_latent(case: Case, seen: Seen) -> bool:
    return same(seen["latents"], seen["latents with other hidden inputs"])


def first_answer_alone(case: Case, seen: Seen) -> bool:
    return same(seen["answer to the first query alone"], seen["output"][:, :1])


def other_queries_other_answers(case: Case, seen: Seen) -> bool:
    return not same(seen["answers to other queries"], seen["output"])
