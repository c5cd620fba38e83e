"""Checks: cross-attention and Perceiver IO."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.building import build_module
from utils.checks.observe import observe_default
from utils.checks.properties import same
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def cross_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        batch: int,
        queries: int,
        inputs: int,
        dims: tuple[int, int, int],
        hide: bool,
        mode: Literal["eval", "train"] = "eval",
        **kind: Any,
    ) -> Case:
        query_dim, input_dim, heads = dims
        args = {
            "queries": draw.normal(batch, queries, query_dim, **kind),
            "inputs": draw.normal(batch, inputs, input_dim, scale=2.0, shift=0.5, **kind),
            "mask": draw.mask(batch, inputs) if hide else None,
        }
        init = {"query_dim": query_dim, "input_dim": input_dim, "num_heads": heads}
        return Case(name, init=init, args=args, mode=mode)

    return [
        case("few queries, many inputs", 2, 3, 7, (6, 4, 2), False),
        case("many queries, few inputs", 1, 6, 2, (4, 7, 1), False),
        case("some inputs are hidden", 3, 3, 5, (6, 3, 2), True),
        case("equal widths, as many queries as inputs, training", 2, 4, 4, (4, 4, 2), True, "train"),
        _hidden_above_all(draw),
    ]


def _hidden_above_all(draw: Draw) -> Case:
    """Inputs along one direction, whose scores lie near -20000; hidden ones point the other way, and theirs lie as far above zero."""
    double = {"dtype": torch.float64}
    mask, along = draw.mask(2, 6), draw.normal(5, scale=2.0, **double)
    along = along - along.mean()
    turned = torch.where(mask, 1.0, -1.0)[..., None]
    inputs = along * turned + draw.normal(2, 6, 5, scale=0.05, **double)
    parts = {"query": (8, 8, 0.5), "key": (8, 5, 0.02), "value": (8, 5, 0.5), "output": (8, 8, 0.4)}
    weights = {}
    for name, (rows, columns, scale) in parts.items():
        weights[f"{name}.weight"] = draw.normal(rows, columns, scale=scale, **double)
        weights[f"{name}.bias"] = draw.normal(
            rows, scale=0.3, shift=100.0 if name == "query" else 0.0, **double
        )
    weights["key.weight"] -= (
        100 * along / (along.norm() * 5**0.5)
    )  # 5 numbers with deviation 1 have this length
    for name, width in (("norm_query", 8), ("norm_input", 5)):
        weights[f"{name}.weight"] = draw.normal(width, scale=0.02, shift=1.0, **double)
        weights[f"{name}.bias"] = draw.normal(width, scale=0.02, **double)
    args = {"queries": draw.normal(2, 3, 8, **double), "inputs": inputs, "mask": mask}
    init = {"query_dim": 8, "input_dim": 5, "num_heads": 2}
    return Case("hidden scores far above the others, float64", init=init, args=args, weights=weights)


def hidden_changed(case: Case) -> Tensor:
    """The inputs, with those that the mask hides turned round and made larger."""
    inputs, mask = case.args["inputs"], case.args["mask"]
    return torch.where(mask[..., None], inputs, -3 * inputs)


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


def queries_are_alone(case: Case, seen: Seen) -> bool:
    return same(seen["output of the first query alone"], seen["output"][:, :1])


def hidden_stay_hidden(case: Case, seen: Seen) -> bool:
    return same(seen["output with other hidden inputs"], seen["output"])


CROSS_ATTENTION = Exercise(
    name="CrossAttention",
    notebook="09_beyond_attention",
    points=3,
    stars=3,
    minutes=15,
    kind="module",
    reference="solutions.perceiver:CrossAttention",
    by_hand=by_hand.MULTIHEAD,
    stand_in="utils.stand_ins.perceiver:CrossAttention",
    cases=cross_cases,
    refuses=lambda draw: [
        Case(
            "a width that the heads do not divide",
            init={"query_dim": draw.indivisible(4), "input_dim": draw.integer(2, 20), "num_heads": 4},
        )
    ],
    observe=observe_cross,
    properties=(
        Property(
            "queries are alone",
            "A query asked alone should find what it finds among others: queries look at the inputs, not at each other.",
            queries_are_alone,
        ),
        Property(
            "hidden stays hidden",
            "Your output changes when only inputs change that the mask hides.",
            hidden_stay_hidden,
        ),
    ),
)


def perceiver_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        batch: int,
        inputs: int,
        queries: tuple[int, ...],
        depth: int,
        hide: bool,
        mode: Literal["eval", "train"] = "eval",
        widening: int = 2,
        **kind: Any,
    ) -> Case:
        init = {"input_dim": 3, "num_latents": 3, "latent_dim": 4, "depth": depth, "query_dim": queries[-1]}
        args = {
            "inputs": draw.normal(batch, inputs, 3, scale=2.0, shift=0.5, **kind),
            "queries": draw.normal(*queries, **kind),
            "mask": draw.mask(batch, inputs) if hide else None,
        }
        return Case(name, init={**init, "num_heads": 2, "widening": widening}, args=args, mode=mode)

    return [
        case("one layer, queries for each image", 2, 5, (2, 4, 6), 1, False),
        case("two layers, the same queries for all", 3, 7, (2, 4), 2, False),
        case("more queries than inputs", 1, 2, (1, 6, 4), 1, False),
        case("some inputs are hidden, training", 3, 5, (3, 6), 1, True, "train"),
        case("hidden inputs, float64", 2, 5, (2, 2, 4), 1, True, dtype=torch.float64),
        case("wider MLPs", 2, 4, (2, 3, 6), 1, True, widening=3),
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


PERCEIVER_IO = Exercise(
    name="PerceiverIO",
    notebook="09_beyond_attention",
    points=4,
    stars=3,
    minutes=20,
    kind="module",
    reference="solutions.perceiver:PerceiverIO",
    by_hand=(*by_hand.TRANSFORMER, *by_hand.MULTIHEAD),
    cases=perceiver_cases,
    refuses=lambda draw: [
        Case(
            "a width that the heads do not divide",
            init={
                "input_dim": draw.integer(2, 20),
                "num_latents": 3,
                "latent_dim": draw.indivisible(4),
                "depth": 0,
                "query_dim": 4,
            },
        )
    ],
    observe=observe_perceiver,
    uses=("CrossAttention", "EncoderLayer"),
    properties=(
        Property(
            "inputs are a set",
            "Your latents change when the same inputs come in another order.",
            inputs_are_a_set,
        ),
        Property(
            "hidden inputs change no latent",
            "Your latents change when only inputs change that the mask hides.",
            hidden_change_no_latent,
        ),
        Property(
            "answers don't depend on what else is asked",
            "The answer to a query should not depend on which other queries are asked of the same latents.",
            first_answer_alone,
        ),
        Property(
            "other queries, other answers",
            "Two different sets of queries get the same answers from your latents: the queries are not used.",
            other_queries_other_answers,
        ),
    ),
)
