"""symmetry: what a model assumes shows when the assumption is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows, by_seed, over_seeds
from utils.experiments.declare import Cell, Experiment, Figures, Prediction, image_set, make_cell
from utils.experiments.results import select
from utils.experiments.statistics import Interval, paired_difference

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"size": 64, "seeds": (0,), "common": {"steps": 2, "batch": 32, "test_images": 60}},
    "cpu": {
        "size": 2_000,
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 200, "batch": 64, "test_images": 3_000},
    },
    "gpu": {
        "size": 50_000,
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 8_000, "batch": 256, "test_images": None},
    },
}


def cells(preset: str) -> list[Cell]:
    """Trained and tested on images as they are, with one fixed permutation of all patches, and of all pixels."""
    s = SETTINGS[preset]
    fixed = {"data": image_set(preset), "size": s["size"], "augment": False}
    return [
        make_cell(preset, model, **fixed, arm=arm, transform=transform, seed=seed, probes=probes)
        | s["common"]
        for seed in s["seeds"]
        for arm, transform, probes in (
            ("as they are", None, ("shift", "shuffle")),
            ("patches permuted", "patches", ()),
            ("pixels permuted", "pixels", ()),
        )
        for model in ("CNN", "ViT")
    ]


def _cost(rows: Rows, model: str, arm: str) -> Interval:
    return paired_difference(select(rows, model=model), "as they are", arm, of="arm")


def _at(key: str, x: float) -> Callable[[dict[str, Any]], float]:
    return lambda row: row[key]["y"][row[key]["x"].index(x)]


def _patches_permuted(rows: Rows) -> list[Claim]:
    vit, cnn = (_cost(rows, model, "patches permuted") for model in ("ViT", "CNN"))
    # "nothing, within the interval": the interval of the ViT's cost reaches zero
    low = Interval(vit.low, 0.0, vit.n)
    return [Claim("ViT, lower end of its cost", low, below=0), Claim("CNN, cost", cnn, above=0.10)]


def _pixels_permuted(rows: Rows) -> list[Claim]:
    d = paired_difference(select(rows, arm="pixels permuted"), "CNN", "ViT")
    return [Claim("CNN minus ViT, pixels permuted", d, below=0.0)]


def _shifts(rows: Rows) -> list[Claim]:
    some = select(rows, arm="as they are")
    claims = [
        Claim(
            f"CNN minus ViT, answers kept, {s} px",
            paired_difference(some, "CNN", "ViT", value=_at("consistency", s)),
            above=0,
        )
        for s in (1, 2, 3)
    ]
    three, four = (by_seed(some, _at("consistency", s), model="ViT") for s in (3, 4))
    return [
        *claims,
        Claim("ViT, answers kept, 4 px minus 3 px", over_seeds(lambda a, b: b - a, three, four), below=0),
    ]


def _shuffled(rows: Rows) -> list[Claim]:
    some, claims = select(rows, arm="as they are"), []
    for patch in (8, 4):
        lost = {
            m: by_seed(some, lambda row, p=patch: _at("shuffle", 32)(row) - _at("shuffle", p)(row), model=m)
            for m in ("CNN", "ViT")
        }
        d = over_seeds(lambda c, v: c - v, lost["CNN"], lost["ViT"])
        claims.append(Claim(f"CNN's loss minus ViT's, tiles of {patch} px", d, above=0))
    return claims


def figures(rows: Rows) -> Figures:
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


EXPERIMENT = Experiment(
    question="Which symmetries does each model use, and what is left when they are taken away?",
    cells=cells,
    figures=figures,
    rates_from="data-scaling",
    predictions=[
        Prediction(
            "A fixed permutation of the patches costs the ViT nothing (its positions are learned), within the interval, and the "
            "CNN 10 points or more.",
            judged_by=_patches_permuted,
        ),
        Prediction(
            "A fixed permutation of all pixels brings the CNN down to the ViT or below it.",
            judged_by=_pixels_permuted,
        ),
        Prediction(
            "Moved by 1 to 3 pixels, the CNN keeps more of its answers than the ViT; at 4 pixels, a whole patch, the ViT does not recover.",
            judged_by=_shifts,
        ),
        Prediction(
            "Shuffling the patches of test images hurts the CNN more, in points, than the ViT.",
            judged_by=_shuffled,
        ),
    ],
)
