"""Checks: decay, and retention of a whole sequence at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.observe import observe_default
from utils.checks.properties import same
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def decays(draw: Draw, heads: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(H,) between 0.4 and 0.95, a different one for each head."""
    return draw.uniform(heads, low=0.4, high=0.95, dtype=dtype)


def decay_cases(draw: Draw) -> list[Case]:
    return [
        Case("one head", args={"decay": decays(draw, 1), "length": 4}),
        Case("several heads", args={"decay": decays(draw, 3), "length": 6}),
        Case("one position", args={"decay": decays(draw, 2), "length": 1}),
        Case("no decay at all", args={"decay": torch.ones(2), "length": draw.integer(3, 8)}),
        Case(
            "a long sequence that is forgotten fast",
            args={"decay": draw.uniform(1, low=0.06, high=0.09), "length": 48},
        ),
        Case("float64", args={"decay": decays(draw, 2, torch.float64), "length": 7}),
    ]


def future_is_zero(case: Case, seen: Seen) -> bool:
    return not seen["output"].triu(1).any()


def itself_is_one(case: Case, seen: Seen) -> bool:
    return bool((seen["output"].diagonal(dim1=-2, dim2=-1) == 1).all())


DECAY_MATRIX = Exercise(
    name="decay_matrix",
    notebook="09_beyond_attention",
    points=2,
    stars=2,
    minutes=12,
    reference="solutions.retention:decay_matrix",
    stand_in="utils.stand_ins.retention:decay_matrix",
    cases=decay_cases,
    properties=(
        Property(
            "the future is zero",
            "Above the diagonal (key later than query) every entry should be exactly 0, and yours are not.",
            future_is_zero,
        ),
        Property(
            "a position sees itself in full",
            "On the diagonal every entry should be exactly 1: a position's own key has not faded at all.",
            itself_is_one,
        ),
    ),
)


def retention_arguments(draw: Draw, sizes: tuple[int, int, int, int, int], **kind: Any) -> dict[str, Tensor]:
    """Queries, keys, values and decays; sizes are B, H, N, d, e."""
    batch, heads, length, width, value_width = sizes
    return {
        "query": draw.normal(batch, heads, length, width, **kind),
        "key": draw.normal(batch, heads, length, width, **kind),
        "value": draw.normal(batch, heads, length, value_width, **kind),
        "decay": decays(draw, heads, **kind),
    }


def parallel_cases(draw: Draw) -> list[Case]:
    double = torch.float64
    return [
        Case("narrow keys, wide values", args=retention_arguments(draw, (2, 2, 5, 3, 4))),
        Case("three heads", args=retention_arguments(draw, (1, 3, 7, 4, 2))),
        Case("one position", args=retention_arguments(draw, (2, 2, 1, 3, 2))),
        Case("no decay at all", args=retention_arguments(draw, (2, 2, 6, 2, 3)) | {"decay": torch.ones(2)}),
        Case(
            "a long sequence that is forgotten fast",
            args=retention_arguments(draw, (1, 1, 150, 2, 2)) | {"decay": draw.uniform(1, low=0.3, high=0.5)},
        ),
        Case("float64", args=retention_arguments(draw, (2, 2, 6, 3, 4), dtype=double)),
    ]


def in_two_parts(attempt: Any, args: dict[str, Any], half: int) -> Tensor:
    """The first half, and then the rest from the state that the first half left."""
    outputs, state = [], args["state"]
    for part in (slice(None, half), slice(half, None)):
        piece = {
            name: value[:, :, part] if name in ("query", "key", "value") else value
            for name, value in args.items()
        }
        output, state = attempt(*(piece | {"state": state}).values())
        outputs.append(output)
    return torch.cat(outputs, dim=2)


def observe_retention(attempt: Any, case: Case) -> Seen:
    """The usual, then: the output after another future, and (where there is a state) the output in two parts."""
    seen = observe_default(attempt, case)
    args = {name: value.clone() if isinstance(value, Tensor) else value for name, value in case.args.items()}
    half = args["query"].shape[2] // 2
    if half == 0:
        return seen
    with torch.no_grad():
        other = dict(args)
        for name in ("query", "key", "value"):
            other[name] = torch.cat([args[name][:, :, :half], -2 * args[name][:, :, half:] + 1], dim=2)
        changed = attempt(*other.values())
        seen["output with another future"] = changed[0] if isinstance(changed, tuple) else changed
        if "state" in args:
            seen["output in two parts"] = in_two_parts(attempt, args, half)
    return seen


def never_sees_the_future(case: Case, seen: Seen) -> bool:
    half = case.args["query"].shape[2] // 2
    return same(seen["output with another future"][:, :, :half], seen["output"][:, :, :half])


NO_FUTURE = Property(
    "never sees the future",
    "Your output at a position changes when later positions change. Position n may use positions 1 to n only.",
    never_sees_the_future,
)

RETENTION_PARALLEL = Exercise(
    name="retention_parallel",
    notebook="09_beyond_attention",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.retention:retention_parallel",
    stand_in="utils.stand_ins.retention:retention_parallel",
    cases=parallel_cases,
    observe=observe_retention,
    uses=("decay_matrix",),
    properties=(NO_FUTURE,),
)
