"""What a prediction is judged by: claims, each an interval that should lie above or below a limit; and what rules are written with.

A rule takes an experiment's rows (one preset, stage "main") and gives claims. What it needs and does not find raises KeyError,
IndexError or ValueError: "not recorded".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from utils.experiments.results import select
from utils.experiments.statistics import Interval, column, mean_interval, paired_difference

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """One number that a prediction is about.

    Args:
        what: in a few words.
        found: mean and interval.
        above, below: the limit that it should exceed, or stay under.
        unit: "points" (of percent), "%", or another word printed behind the number.
    """

    what: str
    found: Interval
    above: float | None = None
    below: float | None = None
    unit: str = "points"

    @property
    def state(self) -> str:
        """ "held" if the whole interval lies on the right side, "open" if only the mean does, else "failed"; or "not recorded"."""
        mean, half = self.found.mean, self.found.half
        if math.isnan(mean):
            return "not recorded"
        reach = math.inf if math.isnan(half) else half
        distance = mean - self.above if self.above is not None else (self.below or 0.0) - mean
        return "held" if distance - reach > 0 else "open" if distance >= 0 else "failed"

    def __str__(self) -> str:
        scale = 100 if self.unit in ("points", "%") else 1
        sign = "+" if self.unit == "points" else ""
        digits = 1 if scale == 100 else 2
        half = "" if math.isnan(self.found.half) else f" ± {scale * self.found.half:.{digits}f}"
        mark = {
            "held": "",
            "open": " (interval reaches the limit)",
            "failed": " (no)",
            "not recorded": " (not recorded)",
        }
        limit, side = (self.above, "above") if self.above is not None else (self.below or 0.0, "below")
        wanted = f"{side} {scale * limit:.3g}"
        return f"{self.what}: {scale * self.found.mean:{sign}.{digits}f}{half} {self.unit}, expected {wanted}{mark[self.state]}"


def by_seed(
    rows: Iterable[dict[str, Any]], value: str | Callable = "test_accuracy", **only: Any
) -> dict[Any, float]:
    """seed -> value of the one row that fits; KeyError if there is none."""
    read, found = column(value), {row["seed"]: row for row in select(rows, **only)}
    if not found:
        raise KeyError(f"no rows with {only}")
    return {seed: read(row) for seed, row in found.items()}


def over_seeds(function: Callable[..., float], *sides: dict[Any, float]) -> Interval:
    """Mean and interval of `function(side1[seed], side2[seed], ...)` over the seeds that all sides have."""
    seeds = set.intersection(*(set(side) for side in sides))
    return mean_interval(function(*(side[seed] for side in sides)) for seed in sorted(seeds))


def ends(rows: Rows) -> tuple[int, int]:
    """The smallest and the largest size."""
    sizes = sorted({row["size"] for row in rows})
    return sizes[0], sizes[-1]


def plain(rows: Rows) -> Rows:
    """The rows of equal steps, without augmentation."""
    return select(rows, arm="steps", augment=False)


def differences(
    rows: Rows, a: str, b: str, above: float = 0.0, sizes: Sequence[int] | None = None
) -> list[Claim]:
    """A claim per size that model a is ahead of model b by more than `above`."""
    found = paired_difference(rows, a, b, "size")
    return [
        Claim(f"{a} minus {b}, {s:,}", d, above=above)
        for s, d in found.items()
        if sizes is None or s in sizes
    ]
