"""taught-shifts: an assumption can be built in, or taught by augmentation. Does the taught one buy the same start, and cost the same ceiling?

The frames and the ViT of `crossing`. In training every frame is rolled by a random distance and keeps its label, which tells the ViT by
examples what a CNN without a border is built to be: the place does not matter. How far frames are rolled is the dial.
"""

from __future__ import annotations

from typing import Any

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows
from utils.experiments.declare import Cell, Experiment, Figures, Prediction
from utils.experiments.grids import crossing
from utils.experiments.results import select
from utils.experiments.statistics import group, mean_interval, paired_difference

FULL = crossing.SIDE // 2  # rolled so far either way, a frame can come to lie anywhere
SHARES = (0.0, 1 / 4)
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"sizes": {32: (2, SHARES, (0, FULL))}, "seeds": (0, 1)},
    # training frames: (steps, shares, how far frames are rolled)
    "cpu": {
        "sizes": {1_000: (2_000, SHARES, (0, 1, 2, FULL)), 16_000: (4_000, SHARES[1:], (0, FULL))},
        "seeds": (0, 1, 2, 3, 4),
    },
}


def cells(preset: str) -> list[Cell]:
    """The ViT of `crossing` at every reach; few frames first."""
    s = SETTINGS[preset]
    return [
        crossing.cell_of(
            preset, crossing.VIT, share, size, seed, arm=f"reach {reach}", reach=reach, steps=steps
        )
        for size, (steps, shares, reaches) in s["sizes"].items()
        for seed in s["seeds"]
        for share in shares
        for reach in reaches
    ]


def _taught(rows: Rows) -> list[Claim]:
    some = select(rows, size=1_000, share=0.0)
    return [
        Claim(f"reach {far} minus reach {near}", paired_difference(some, far, near, of="reach"), above=limit)
        for far, near, limit in ((FULL, 0, 0.3), (2, 0, 0.2))
    ]


def _ceiling(rows: Rows) -> list[Claim]:
    some = select(rows, share=SHARES[1])
    many = select(some, size=16_000)
    right = mean_interval(row["exception_accuracy"] for row in select(many, reach=FULL))
    best = mean_interval(row["test_accuracy"] for row in select(many, reach=FULL))
    return [
        Claim("reach 8 minus reach 0, 1,000 frames", _cost(some, 1_000), above=0.1),
        Claim("reach 8 minus reach 0, 16,000 frames", _cost(some, 16_000), below=-0.05),
        Claim("reach 8, 16,000 frames", best, below=1 - SHARES[1], unit="%"),
        Claim("its exceptions", right, below=0.1, unit="%"),
    ]


def _cost(rows: Rows, size: int) -> Any:
    return paired_difference(select(rows, size=size), FULL, 0, of="reach")


def figures(rows: Rows) -> Figures:
    """Accuracy against how far frames are rolled, a line per share and number of frames, each with its ceiling."""
    from utils import plotting

    fig, ax = plotting.figure(width=5.6, height=3.2)
    said = []
    for color, ((size, share), some) in zip(
        plotting.COLORS, group(rows, ("size", "share")).items(), strict=False
    ):
        xs, matrix = plots.table(some, "reach")
        name = f"{size:,} frames, {f'exceptions in {share:g}' if share else 'no exceptions'}"
        plotting.lines(
            ax,
            xs,
            {name: (100 * matrix).tolist()},
            xlabel="rolled by up to (pixels)",
            ylabel="test accuracy (%)",
            colors={name: color},
        )
        ax.axhline(100 * (1 - share), color="#6b6b6b", linewidth=0.9, linestyle=":")
        means = (100 * matrix).mean(axis=0)
        by = (f"by {x}: {mean:.1f}" for x, mean in zip(xs, means, strict=True))
        said.append(f"{name}: {', '.join(by)}")
    alt = f"Accuracy of the ViT against how far its training frames are rolled (pixels). {'; '.join(said)}. Dotted: 1 - share."
    return {"accuracy": (fig, alt)}


EXPERIMENT = Experiment(
    "Can augmentation teach a ViT what a CNN assumes, and does it cost the same ceiling?",
    cells,
    figures,
    predictions=[
        Prediction(
            "(Informed by a trial of one seed, whose runs are no rows.) Where the label never depends on the place, frames rolled everywhere gain the "
            "ViT more than 30 points at 1,000 frames, and rolled by up to 2 pixels nearly as many (more than 20).",
            judged_by=_taught,
        ),
        Prediction(
            "Where it does in a quarter of the frame, the taught assumption helps with 1,000 frames (by more than 10 points) and costs with 16,000 (more "
            "than 5): the ViT is then below the ceiling of the CNN without a border, and right on fewer than 10% of the exceptions.",
            judged_by=_ceiling,
        ),
    ],
    rates_from="crossing",
    presets=("smoke", "cpu"),
)
