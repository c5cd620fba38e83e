"""Predicted against seen: holds every prediction that an experiment wrote down against its recorded rows.

    for verdict in judge("data-scaling", rows):
        print(verdict)

A prediction is judged by a rule beside it, in the experiment's own file, which turns rows into *claims* (`utils.experiments.claims`):
an interval (mean over seeds and its 95% t-interval) that should lie above or below a limit. A prediction holds if all its claims do.
What could not be computed, because its rows are not there, is "not recorded".
"""

from __future__ import annotations

from dataclasses import dataclass

from utils.experiments.claims import Claim, Rows
from utils.experiments.declare import Experiment, find


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


def judge(name: str | Experiment, rows: Rows) -> list[Verdict]:
    """A verdict per prediction of an experiment, in their order.

    Args:
        name: of the experiment, or the experiment.
        rows: its recorded rows of stage "main" and one preset.
    """
    experiment = find(name) if isinstance(name, str) else name
    verdicts = []
    for prediction in experiment.predictions:
        try:
            claims = tuple(prediction.judged_by(rows)) if rows else ()
        except (KeyError, IndexError, ValueError, ZeroDivisionError):
            claims = ()  # a model, size or arm is not there
        verdicts.append(Verdict(experiment.name, prediction.text, claims))
    return verdicts
