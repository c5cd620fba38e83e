"""The standard figures of each experiment, for `python -m utils.experiments plot` and for notebooks.

for name, (figure, alt) in figures_of("data-scaling", "cpu").items():
    plotting.show(figure, alt)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from utils.experiments import plots
from utils.experiments.grids.label_rule import RULES, WITHOUT_EDGES
from utils.experiments.results import load, select
from utils.experiments.rules import CHANCE

Figures = dict[str, tuple[Any, str]]


def data_scaling(rows: list[dict[str, Any]]) -> Figures:
    """Accuracy curves per arm, paired differences in points and in ln(error), the train-test gap, augmentation."""
    found: Figures = {}
    for data in sorted({row["data"] for row in rows}):
        mine = select(rows, data=data)
        steps = select(mine, arm="steps", augment=False)
        tag = "" if len({row["data"] for row in rows}) == 1 else f"-{data}"
        found[f"accuracy{tag}"] = plots.curves(steps, title="equal steps, no augmentation")
        pairs = [("CNN", name) for name in plots.in_order(r["model"] for r in steps) if name != "CNN"]
        found[f"difference{tag}"] = plots.differences(
            steps, pairs, title="CNN minus another model, same seeds"
        )
        found[f"log-error{tag}"] = plots.differences(steps, pairs[:1], value="log_error")
        found[f"gap{tag}"] = plots.curves(steps, value="gap", title="training minus test accuracy")
        found[f"arms{tag}"] = plots.panels(
            select(mine, model=("CNN", "ViT"), augment=False),
            "arm",
            ("steps", "epochs"),
            {"steps": "equal steps", "epochs": "equal epochs"},
        )
        found[f"augmentation{tag}"] = plots.panels(
            select(mine, model=("CNN", "ViT"), arm="steps"),
            "augment",
            (False, True),
            {False: "as they are", True: "augmented"},
        )
    return found


def label_rule(rows: list[dict[str, Any]]) -> Figures:
    """Accuracy against the number of fresh images, a panel per rule, and the paired differences; then the frame's edges."""
    pairs = [("CNN", "ViT")]
    found = {"accuracy": label_rule_curves(rows)}
    for rule in RULES:
        some = select(rows, rule=rule)
        if some:
            found[f"difference-{rule}"] = plots.differences(
                some, pairs, title=rule, xlabel="images seen, each once"
            )
    if select(rows, rule=WITHOUT_EDGES):
        found["edges"] = label_rule_edges(rows)
    return found


def label_rule_curves(rows: list[dict[str, Any]]) -> tuple[Any, str]:
    """A panel per rule, with chance as a dotted line."""
    fig, alt = plots.panels(
        rows, "rule", RULES, {rule: rule for rule in RULES}, xlabel="images seen, each once"
    )
    sizes = sorted({row["size"] for row in rows})
    for ax in fig.axes:
        ax.axhline(100 * CHANCE, color="#6b6b6b", linewidth=0.9, linestyle=":")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
    return fig, f"{alt} Chance is {100 * CHANCE:.0f}%, a dotted line."


def label_rule_edges(rows: list[dict[str, Any]]) -> tuple[Any, str]:
    """Both CNNs under the position rule, at the largest number of images: on images as drawn, and rolled over the edges."""
    from utils import plotting

    size = max(row["size"] for row in rows)
    images = {"position": "images as drawn", WITHOUT_EDGES: "rolled over the edges"}
    padding = {"CNN": "zeros beyond the border", "CNN, circular": "circular padding"}
    fig, axes = plotting.figure(1, 2, width=8.6, height=1.9)
    said = []
    for ax, (rule, title) in zip(axes, images.items(), strict=True):
        some = select(rows, rule=rule, size=size, model=tuple(padding))
        named = [row | {"padding": padding[row["model"]]} for row in some]
        _, alt = plots.bars(named, by="padding", order=list(padding.values()), ax=ax)
        ax.axvline(100 * CHANCE, color="#6b6b6b", linewidth=0.9, linestyle=":")
        ax.set_title(title, loc="left")
        said.append(f"{title}: {alt}")
    return (
        fig,
        f"CNNs under the position rule after {size:,} images. {' '.join(said)} Chance is {100 * CHANCE:.0f}%.",
    )


def transfer(rows: list[dict[str, Any]]) -> Figures:
    """From scratch against from each source, a panel per size."""
    found: Figures = {}
    for size in sorted({row["size"] for row in rows}):
        named = [
            row | {"what": f"{row['model']}, {row['arm'].replace('_', ' ')}"}
            for row in select(rows, size=size)
        ]
        order = sorted({row["what"] for row in named})
        found[f"accuracy-{size}"] = plots.bars(named, by="what", order=order)
    return found


def symmetry(rows: list[dict[str, Any]]) -> Figures:
    """Accuracy after permutations, and robustness to shifts and shuffled patches."""
    named = [row | {"what": f"{row['model']}, {row['arm']}"} for row in rows]
    order = sorted({row["what"] for row in named}, key=lambda what: (what.split(", ")[0], what))
    found = {"permutation": plots.bars(named, by="what", order=order)}
    probed = [row for row in rows if row.get("shift")]
    if probed:
        found["shift"] = plots.profile(probed, "shift", xlabel="shift (pixels)", ylabel="test accuracy (%)")
        found["consistency"] = plots.profile(
            probed, "consistency", xlabel="shift (pixels)", ylabel="answers unchanged (%)"
        )
        found["shuffle"] = plots.profile(
            [
                row
                | {"shuffle": {"x": [np.log2(32 / p) for p in row["shuffle"]["x"]], "y": row["shuffle"]["y"]}}
                for row in probed
            ],
            "shuffle",
            xlabel="log2 of the number of tiles along a side",
            ylabel="test accuracy (%)",
        )
    return found


def distance(rows: list[dict[str, Any]]) -> Figures:
    """Mean attention distance of every layer over training, a panel per size, with the uniform baseline; heads at the end."""
    return {"layers": distance_over_training(rows), "heads": distance_of_heads(rows)}


def distance_over_training(rows: list[dict[str, Any]]) -> tuple[Any, str]:
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


def distance_of_heads(rows: list[dict[str, Any]]) -> tuple[Any, str]:
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


def text(rows: list[dict[str, Any]]) -> Figures:
    """Accuracy and paired differences of LSTM and Transformer encoder."""
    rows = select(rows, arm="steps")
    return {
        "accuracy": plots.curves(rows, xlabel="training sentences"),
        "difference": plots.differences(rows, [("LSTM", "Transformer")], xlabel="training sentences"),
    }


def token_mixers(rows: list[dict[str, Any]]) -> Figures:
    """A bar per mixer: test accuracy, and training accuracy for comparison."""
    return {
        "accuracy": plots.bars(rows, by="mixer"),
        "training": plots.bars(rows, by="mixer", value="train_accuracy"),
    }


FIGURES: dict[str, Callable[[list[dict[str, Any]]], Figures]] = {
    "data-scaling": data_scaling,
    "label-rule": label_rule,
    "transfer": transfer,
    "symmetry": symmetry,
    "distance": distance,
    "text": text,
    "token-mixers": token_mixers,
}


def figures_of(name: str, preset: str, folder: Path | str | None = None) -> Figures:
    """All standard figures of an experiment, {} where nothing is recorded."""
    rows = select(load(name, folder), stage="main")
    rows = [row for row in rows if row.get("preset", "cpu") == preset]
    return FIGURES[name](rows) if rows else {}
