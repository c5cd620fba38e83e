"""distance: how far a ViT's heads look, and whether a small training set teaches them to look near."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from utils.experiments.claims import Claim, Rows, by_seed, ends, over_seeds
from utils.experiments.declare import Cell, Experiment, Figures, Prediction, image_set, make_cell
from utils.experiments.results import select
from utils.experiments.statistics import mean_interval

FIRST = slice(0, 2)  # "the first layers"
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"sizes": (64, 128), "seeds": (0,), "common": {"steps": 4, "batch": 32, "test_images": 60}},
    "cpu": {
        "sizes": (500, 16_000),
        "seeds": (0, 1, 2),
        "common": {"steps": 400, "batch": 64, "test_images": 3_000},
    },
    "gpu": {
        "sizes": (500, 5_000, 50_000),
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 10_000, "batch": 256, "test_images": None},
    },
}


def cells(preset: str) -> list[Cell]:
    """The ViT with equal steps on few and on many images; attention is looked at before, during and after training."""
    s = SETTINGS[preset]
    fixed = {"data": image_set(preset), "augment": False, "arm": "steps", "probes": ("distance",)}
    return [
        make_cell(preset, "ViT", **fixed, size=size, seed=seed) | s["common"]
        for seed in s["seeds"]
        for size in s["sizes"]
    ]


def _heads(row: dict[str, Any], when: int, layers: slice = slice(None)) -> list[list[float]]:
    return row["watched"][when]["distance"][layers]


def _mean(values: Sequence[Sequence[float]]) -> float:
    flat = [v for part in values for v in part]
    return sum(flat) / len(flat)


def _spread(values: Sequence[Sequence[float]]) -> float:
    """Standard deviation of the heads of a layer, averaged over the layers."""
    return sum((sum((v - sum(h) / len(h)) ** 2 for v in h) / len(h)) ** 0.5 for h in values) / len(values)


def _uniform_before(rows: Rows) -> list[Claim]:
    far = [max(abs(v - row["uniform_distance"]) for h in _heads(row, 0) for v in h) for row in rows]
    return [
        Claim(
            "the head farthest from uniform, before training", mean_interval(far), below=0.25, unit="patches"
        )
    ]


def _near_after(rows: Rows) -> list[Claim]:
    large = select(rows, size=ends(rows)[1])
    nearer = mean_interval(row["uniform_distance"] - _mean(_heads(row, -1, FIRST)) for row in large)
    wider = mean_interval(_spread(_heads(row, -1)) - _spread(_heads(row, 0)) for row in large)
    return [
        Claim("layers 1 and 2, nearer than uniform by", nearer, above=0.5, unit="patches"),
        Claim("spread of the heads, after minus before", wider, above=0, unit="patches"),
    ]


def _few_stay_uniform(rows: Rows) -> list[Claim]:
    few, many = (by_seed(rows, lambda row: _mean(_heads(row, -1, FIRST)), size=size) for size in ends(rows))
    d = over_seeds(lambda f, m: f - m, few, many)
    return [Claim("layers 1 and 2, few images minus many", d, above=0, unit="patches")]


def figures(rows: Rows) -> Figures:
    """Mean attention distance of every layer over training, a panel per size, with the uniform baseline; heads at the end."""
    return {"layers": distance_over_training(rows), "heads": distance_of_heads(rows)}


def distance_over_training(rows: Rows) -> tuple[Any, str]:
    """A line per layer: distance, mean over heads, with the interval over seeds; a panel per training-set size."""
    from utils import plotting

    sizes = sorted({row["size"] for row in rows})
    fig, axes = plotting.figure(1, len(sizes), width=3.6 * len(sizes), height=3.3)
    axes, said = np.ravel(axes), []
    for ax, size in zip(axes, sizes, strict=True):
        some = select(rows, size=size)
        steps = [seen["step"] for seen in some[0]["watched"]]
        values = np.array([[seen["distance"] for seen in row["watched"]] for row in some]).mean(
            -1
        )  # seeds, steps, layers
        x = np.arange(len(steps))  # steps grow by doubling, from 0: evenly spaced here
        series = {f"layer {k + 1}": values[:, :, k] for k in range(values.shape[2])}
        plotting.lines(ax, x, series, xlabel="training steps", ylabel="mean attention distance (patches)")
        ax.set_xticks(x, [str(step) for step in steps], rotation=45)
        uniform = some[0]["uniform_distance"]
        ax.axhline(uniform, linestyle="--", color="#6b6b6b", linewidth=1)
        ax.set_title(f"{size:,} images (dashed: uniform)", loc="left")
        last = values[:, -1].mean(0)
        said.append(
            f"{size:,} images, after training: "
            + ", ".join(f"layer {k + 1} {v:.2f}" for k, v in enumerate(last))
        )
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
    return fig, f"Mean attention distance in patches; uniform attention has {uniform:.2f}. {'; '.join(said)}."


def distance_of_heads(rows: Rows) -> tuple[Any, str]:
    """A dot per head and seed after training, by layer, in a panel per size (as figure 7 of the ViT paper, by depth)."""
    from utils import plotting

    sizes = sorted({row["size"] for row in rows})
    fig, axes = plotting.figure(1, len(sizes), width=3.6 * len(sizes), height=3.0)
    axes, said = np.ravel(axes), []
    for ax, size in zip(axes, sizes, strict=True):
        some = select(rows, size=size)
        values = np.array([row["watched"][-1]["distance"] for row in some])  # seeds, layers, heads
        for layer in range(values.shape[1]):
            y = values[:, layer].ravel()
            ax.scatter(layer + 1 + np.linspace(-0.18, 0.18, len(y)), y, s=14, color=plotting.COLORS[0])
        uniform = some[0]["uniform_distance"]
        ax.axhline(uniform, linestyle="--", color="#6b6b6b", linewidth=1)
        ax.set_xlabel("layer")
        ax.set_ylabel("mean attention distance (patches)")
        ax.set_title(f"{size:,} images (dashed: uniform)", loc="left")
        said.append(f"{size:,} images: heads from {values.min():.2f} to {values.max():.2f}")
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
    return (
        fig,
        f"A dot per head and seed after training; the dashed line is uniform attention. {'; '.join(said)}.",
    )


EXPERIMENT = Experiment(
    question="Does a ViT learn locality from data, and how many images does that take?",
    cells=cells,
    figures=figures,
    rates_from="data-scaling",
    predictions=[
        Prediction(
            "Before training all heads are close to the uniform baseline.",
            judged_by=_uniform_before,
        ),
        Prediction(
            "With many images the heads of the first layers come to look nearer than the baseline by more than half a patch, and "
            "heads within a layer differ more than before.",
            judged_by=_near_after,
        ),
        Prediction(
            "With 500 images and as many steps they stay closer to the baseline than with many.",
            judged_by=_few_stay_uniform,
        ),
    ],
)
