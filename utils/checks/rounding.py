"""How far rounding carries a case: the reference computes it in float32 and in float64, and the two are compared.

A layer norm over three numbers that nearly agree divides by almost nothing, and what comes of rounding before it is made a thousand
times larger; the gradient of a key's bias is zero but for rounding. A right answer that adds up in another order then differs by more
than the tolerance. Such cases are not asked: another is drawn in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from utils.checks.compare import PREFIXES, tolerance
from utils.checks.observe import observe
from utils.checks.problems import Problem
from utils.checks.spec import Case, Seen

MOST = 0.1  # of the tolerance: the same sum in another order may round several times as far
PARTS = ("args", "kwargs", "init", "weights", "cotangents")


def recast(value: Any, dtypes: Mapping[torch.dtype, torch.dtype]) -> Any:
    """A tree of dicts, lists and tuples with its tensors of each dtype turned into another."""
    if isinstance(value, Tensor):
        return value.to(dtypes.get(value.dtype, value.dtype))
    if isinstance(value, Mapping):
        return {key: recast(item, dtypes) for key, item in value.items()}
    return type(value)(recast(item, dtypes) for item in value) if isinstance(value, list | tuple) else value


def strays(reference: Any, case: Case, expected: Seen) -> float:
    """How far the reference's float32 numbers lie from its float64 ones, as a share of the tolerance: the largest over all of them.

    Args:
        reference: the answer.
        case: with weights, cotangents and `exercise` set.
        expected: what the reference gives.

    Returns:
        0 where there is nothing in float32; infinite where the choice itself (what is largest, what is kept) hangs on rounding.
    """
    exercise = case.exercise
    assert exercise is not None
    single = {
        key: value
        for key, value in expected.items()
        if value.dtype == torch.float32 and value.numel() and not key.startswith(PREFIXES[:2])
    }
    if case.mode == "refused" or not single:
        return 0.0
    trees = {part: recast(getattr(case, part), {torch.float32: torch.float64}) for part in PARTS}
    exact = observe(reference, replace(case, **trees))
    if isinstance(exact, Problem):
        return 0.0  # the reference takes no float64: nothing is known
    worst = 0.0
    for key, value in single.items():
        other = exact.get(key)
        if other is None or other.shape != value.shape:
            return float("inf")
        alike = (value == other) | (value.isnan() & other.isnan())
        share = (value.double() - other.double()).abs() / tolerance(exercise, value)
        worst = max(worst, float(share.masked_fill(alike, 0.0).nan_to_num(nan=float("inf")).max()))
    return worst
