"""Predicted against seen: holds every prediction that an experiment wrote down against its recorded rows.

    for verdict in judge("data-scaling", rows):
        print(verdict)

A prediction becomes *claims*: an interval (mean over seeds and its 95% t-interval) that should lie above or below a limit. A claim is
"held" if the whole interval lies on the right side, "open" if only the mean does, "failed" if the mean does not. A prediction holds if
all its claims do. How a prediction becomes claims is written in `utils/experiments/rules.py`. What could not be computed, because its rows are not there, is "not recorded".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from utils.experiments.declare import find
from utils.experiments.statistics import Interval

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """One number that a prediction is about.

    Args:
        what: in a few words.
        found: mean and interval.
        above, below: the limit that it should exceed, or stay under.
        unit: "points" (of percent), or another word printed behind the number.
    """

    what: str
    found: Interval
    above: float | None = None
    below: float | None = None
    unit: str = "points"

    @property
    def state(self) -> str:
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


@dataclass(frozen=True)
class Verdict:
    """A prediction and what became of it: "held", "failed", "partly", "open" or "not recorded"."""

    experiment: str
    prediction: str
    claims: tuple[Claim, ...]

    @property
    def outcome(self) -> str:
        states = {claim.state for claim in self.claims}
        if not states or "not recorded" in states:
            return "not recorded"
        if "failed" in states:
            return "failed" if states == {"failed"} else "partly"
        return "open" if "open" in states else "held"

    def __str__(self) -> str:
        lines = [f"[{self.outcome}] {self.prediction}"]
        return "\n    ".join(lines + [str(claim) for claim in self.claims if self.outcome != "not recorded"])


def judge(name: str, rows: Rows, others: dict[str, Rows] | None = None) -> list[Verdict]:
    """A verdict per prediction of an experiment, in their order.

    Args:
        name: of the experiment.
        rows: its recorded rows of stage "main" and one preset.
        others: rows of other experiments by name, for a prediction that compares two.
    """
    from utils.experiments.rules import RULES

    experiment, rules = find(name), RULES[name]
    if len(rules) != len(experiment.predictions):
        raise ValueError(
            f"{name} has {len(experiment.predictions)} predictions and {len(rules)} rules to judge them by"
        )
    verdicts = []
    for prediction, rule in zip(experiment.predictions, rules, strict=True):
        try:
            claims = tuple(rule(rows, others or {})) if rows else ()
        except (KeyError, IndexError, ValueError, ZeroDivisionError):
            claims = ()  # a model, size or arm is not there
        verdicts.append(Verdict(name, prediction, claims))
    return verdicts
