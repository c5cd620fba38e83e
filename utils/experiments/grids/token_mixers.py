"""token-mixers: one MetaFormer, six token mixers. What of the accuracy is the mixer's, what the architecture's?"""

from typing import Any

from utils.experiments.declare import Cell, Experiment, image_set, make_cell

NAME = "token-mixers"
MIXERS = ("attention", "window attention", "token MLP", "pooling", "random", "identity")
RATES = (1e-3, 4e-3)
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "size": 64,
        "seeds": (0, 1),
        "common": {"steps": 2, "batch": 32, "test_images": 60, "validation": 50},
        "tune_size": 64,
    },
    "cpu": {
        "size": 8_000,
        "seeds": (0, 1, 2),
        "common": {"steps": 300, "batch": 64, "test_images": 3_000, "validation": 2_000},
        "tune_size": 8_000,
        "tune_steps": 150,
    },
    "gpu": {
        "size": 50_000,
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 8_000, "batch": 256, "test_images": None, "validation": 5_000},
        "tune_size": 45_000,
    },
}


def cells(preset: str) -> list[Cell]:
    """Six mixers, the same images in the same order, equal steps; augmented on a GPU, where training is long."""
    s = SETTINGS[preset]
    return [_cell(preset, mixer, s["size"], seed) for seed in s["seeds"] for mixer in MIXERS]


def _cell(preset: str, mixer: str, size: int, seed: int, **more) -> Cell:
    fixed = {
        "data": image_set(preset),
        "size": size,
        "augment": preset == "gpu",
        "arm": "steps",
        "seed": seed,
        "mixer": mixer,
    }
    return make_cell(NAME, preset, f"MetaFormer, {mixer}", **fixed) | SETTINGS[preset]["common"] | more


def tuning(preset: str) -> list[Cell]:
    """Two learning rates per mixer, scored on held-out training images."""
    s = SETTINGS[preset]
    how = {"stage": "tune", "steps": s.get("tune_steps", s["common"]["steps"])}
    return [_cell(preset, mixer, s["tune_size"], 100, lr=lr, **how) for lr in RATES for mixer in MIXERS]


EXPERIMENT = Experiment(
    name=NAME,
    question="What of the accuracy is the token mixer's, and what the architecture's?",
    predictions=(
        "Identity, which mixes nothing inside the blocks, still gets more than half of the best mixer's lead over chance: the "
        "strided convolutions between the stages mix.",
        "Pooling and window attention are the best at this number of images and steps; the order among the local mixers is within "
        "the intervals.",
        "Random fixed mixing is below identity or equal to it.",
        "Global attention is not ahead of window attention.",
    ),
    cells=cells,
    tuning=tuning,
)
