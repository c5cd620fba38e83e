"""symmetry: what a model assumes shows when the assumption is broken."""

from typing import Any

from utils.experiments.declare import Cell, Experiment, image_set, make_cell

NAME = "symmetry"
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"size": 64, "seeds": (0,), "common": {"steps": 2, "batch": 32, "test_images": 60}},
    "cpu": {"size": 2_000, "seeds": (0, 1, 2), "common": {"steps": 200, "batch": 64, "test_images": 3_000}},
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
        make_cell(NAME, preset, model, **fixed, arm=arm, transform=transform, seed=seed, probes=probes)
        | s["common"]
        for seed in s["seeds"]
        for arm, transform, probes in (
            ("as they are", None, ("shift", "shuffle")),
            ("patches permuted", "patches", ()),
            ("pixels permuted", "pixels", ()),
        )
        for model in ("CNN", "ViT")
    ]


EXPERIMENT = Experiment(
    name=NAME,
    question="Which symmetries does each model use, and what is left when they are taken away?",
    predictions=(
        "A fixed permutation of the patches costs the ViT nothing (its positions are learned), within the interval, and the "
        "CNN 10 points or more.",
        "A fixed permutation of all pixels brings the CNN down to the ViT or below it.",
        "Moved by 1 to 3 pixels, the CNN keeps more of its answers than the ViT; at 4 pixels, a whole patch, the ViT does not recover.",
        "Shuffling the patches of test images hurts the CNN more, in points, than the ViT.",
    ),
    cells=cells,
    rates_from="data-scaling",
)
