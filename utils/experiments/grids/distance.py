"""distance: how far a ViT's heads look, and whether a small training set teaches them to look near."""

from typing import Any

from utils.experiments.declare import Cell, Experiment, image_set, make_cell

NAME = "distance"
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
        make_cell(NAME, preset, "ViT", **fixed, size=size, seed=seed) | s["common"]
        for seed in s["seeds"]
        for size in s["sizes"]
    ]


EXPERIMENT = Experiment(
    name=NAME,
    question="Does a ViT learn locality from data, and how many images does that take?",
    predictions=(
        "Before training all heads are close to the uniform baseline.",
        "With many images the heads of the first layers come to look nearer than the baseline by more than half a patch, and "
        "heads within a layer differ more than before.",
        "With 500 images and as many steps they stay closer to the baseline than with many.",
    ),
    cells=cells,
    rates_from="data-scaling",
)
