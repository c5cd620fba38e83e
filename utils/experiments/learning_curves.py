"""Learning curves of recorded trainings: the loss of every seed over the steps, and the accuracies where it ends.

curves = LearningCurves(recorded("data-scaling"))
plotting.explore(curves.draw, curves.alt, **curves.choices, start=curves.start)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from utils.experiments import plots
from utils.experiments.results import select
from utils.experiments.statistics import mean_interval

#: ways to train that were recorded, in words, and the columns that say so
WAYS: dict[str, dict[str, Any]] = {
    "equal steps": {"arm": "steps", "augment": False},
    "equal steps, augmented": {"arm": "steps", "augment": True},
    "equal epochs": {"arm": "epochs", "augment": False},
}
PAIR, ALL = "CNN and ViT", "all"


class LearningCurves:
    """What can be chosen among some rows, and the picture and words of a choice.

    Args:
        rows: of data-scaling, one preset, stage "main"; each has `curve`, {"step": [...], "train_loss": [...]}.

    Raises:
        ValueError: there are no rows of any of `WAYS`.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.models = plots.in_order(row["model"] for row in rows)
        ways = [way for way, columns in WAYS.items() if select(rows, **columns)]
        if not ways:
            raise ValueError("there are no recorded learning curves to choose among")
        sizes = sorted({row["size"] for row in rows})
        pair = [PAIR] if {"CNN", "ViT"} <= set(self.models) else []
        #: name of a control -> its values
        self.choices = {"images": sizes, "models": [*pair, *self.models, ALL], "training": ways}
        self.start = {"images": sizes[0], "models": [*pair, ALL][0], "training": ways[0]}

    def _chosen(self, images: int, models: str, training: str) -> dict[str, list[dict[str, Any]]]:
        """model -> its rows, one per seed; an empty list where nothing is recorded."""
        names = {PAIR: ["CNN", "ViT"], ALL: self.models}.get(models, [models])
        some = select(self.rows, size=images, **WAYS[training])
        return {
            name: sorted(select(some, model=name), key=lambda row: row["seed"])
            for name in names
            if models != ALL or select(some, model=name)
        }

    def draw(self, images: int, models: str, training: str) -> Any:
        """Left a thin line per seed, right a dot per seed: full on test images, hollow in training."""
        from utils import plotting

        found = self._chosen(images, models, training)
        fig, (left, right) = plotting.figure(1, 2, width=8.6, height=3.2)
        for name, rows in found.items():
            self._losses(left, name, rows)
        left.set(xlabel="training steps", ylabel="training loss", title=f"{images:,} images, {training}")
        left.set_ylim(0, self._highest_loss())
        left.grid(True, axis="y")
        places = np.arange(len(found))[::-1]
        for place, (name, rows) in zip(places, found.items(), strict=True):
            up = place + np.linspace(-0.18, 0.18, len(rows)) if len(rows) > 1 else np.full(len(rows), place)
            color = plots.color_of(name)
            right.scatter([100 * row["test_accuracy"] for row in rows], up, s=24, color=color, zorder=3)
            right.scatter([100 * row["train_accuracy"] for row in rows], up, s=52, facecolor="none", edgecolor=color, zorder=4)  # fmt: skip
            if not rows:
                right.annotate("not recorded", (50, place), ha="center", va="center", color="#6b6b6b")
        right.set_yticks(places, list(found))
        right.set(xlim=(-3, 103), ylim=(-0.6, len(found) - 0.4), xlabel="accuracy at the end (%)")
        right.set_title("\u25cf test   \u25cb training", loc="left", fontweight="normal")
        right.grid(True, axis="x")
        return fig

    def _highest_loss(self) -> float:
        """One axis for all choices, so that they can be compared."""
        return 1.05 * max(max(row["curve"]["train_loss"]) for row in self.rows)

    @staticmethod
    def _losses(ax: Any, name: str, rows: list[dict[str, Any]]) -> None:
        from utils import plotting

        for row in rows:
            ax.plot(row["curve"]["step"], row["curve"]["train_loss"], color=plots.color_of(name), linewidth=1, alpha=0.8)  # fmt: skip
        if rows:
            ends = [row["curve"]["train_loss"][-1] for row in rows]
            end = (rows[0]["curve"]["step"][-1], sum(ends) / len(ends))
            plotting.name_points(ax, {name: end}, color=plots.color_of(name), fontsize=9)

    def alt(self, images: int, models: str, training: str) -> str:
        """The same in words, from the same rows."""
        said = [self._in_words(name, rows) for name, rows in self._chosen(images, models, training).items()]
        return f"{images:,} images, {training}. {'; '.join(said)}."

    @staticmethod
    def _in_words(name: str, rows: list[dict[str, Any]]) -> str:
        if not rows:
            return f"{name}: not recorded"
        first, last = (sum(row["curve"]["train_loss"][at] for row in rows) / len(rows) for at in (0, -1))
        test, train = (mean_interval(row[key] for row in rows).mean for key in ("test_accuracy", "train_accuracy"))  # fmt: skip
        seeds = f"{len(rows)} seed{'s' * (len(rows) != 1)}"
        return (
            f"{name}, {seeds}: loss from {first:.2f} to {last:.2f} after {rows[0]['curve']['step'][-1]:,} steps, "
            f"training accuracy {100 * train:.1f}%, test accuracy {100 * test:.1f}%"
        )
