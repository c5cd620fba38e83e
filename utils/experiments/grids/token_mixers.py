"""token-mixers: one MetaFormer, six token mixers. What of the accuracy is the mixer's, what the architecture's?

A seventh model, "wider identity", mixes no tokens either, and its channel MLPs are wide enough for as many parameters as the token MLP's model
has: what that one is ahead by is then not a matter of size.
"""

from __future__ import annotations

from typing import Any

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows, by_seed, over_seeds
from utils.experiments.declare import Cell, Experiment, Figures, Prediction, image_set, make_cell
from utils.experiments.statistics import Interval, group, mean_interval, paired_difference

MIXERS = ("attention", "window attention", "token MLP", "pooling", "random", "identity")
WIDER = "wider identity"
ARMS = (*MIXERS, WIDER)
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "size": 64,
        "seeds": (0, 1),
        "common": {"steps": 2, "batch": 32, "test_images": 60, "validation": 50},
        "tune_size": 64,
    },
    "cpu": {
        "size": 8_000,
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 2_000, "batch": 64, "test_images": None, "validation": 2_000},
        "tune_size": 8_000,
        "tune_steps": 2_000,
    },
    "gpu": {
        "size": 50_000,
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 8_000, "batch": 256, "test_images": None, "validation": 5_000},
        "tune_size": 45_000,
    },
}


def cells(preset: str) -> list[Cell]:
    """Six mixers and the wider identity, the same images in the same order, equal steps; augmented on a GPU, where training is long."""
    s = SETTINGS[preset]
    return [_cell(preset, mixer, s["size"], seed) for seed in s["seeds"] for mixer in ARMS]


def _cell(preset: str, mixer: str, size: int, seed: int, **more) -> Cell:
    fixed = {
        "data": image_set(preset),
        "size": size,
        "augment": preset == "gpu",
        "arm": "steps",
        "seed": seed,
        "mixer": mixer,
    }
    return make_cell(preset, f"MetaFormer, {mixer}", **fixed) | SETTINGS[preset]["common"] | more


def tuning(preset: str) -> list[Cell]:
    """Six learning rates per mixer, each trained for as long as the main cells are, scored on held-out training images."""
    s = SETTINGS[preset]
    how = {"stage": "tune", "steps": s.get("tune_steps", s["common"]["steps"])}
    return [_cell(preset, mixer, s["tune_size"], 100, lr=lr, **how) for lr in RATES for mixer in ARMS]


def _mixer(rows: Rows, name: str) -> dict[Any, float]:
    return by_seed(rows, mixer=name)


def _identity_half(rows: Rows) -> list[Claim]:
    found = {
        m: mean_interval(r["test_accuracy"] for r in some).mean for m, some in group(rows, "mixer").items()
    }
    best = max(found, key=lambda m: found[m])
    share = over_seeds(lambda i, b: (i - 0.1) / (b - 0.1), _mixer(rows, "identity"), _mixer(rows, best))
    return [Claim(f"identity's part of {best}'s lead over chance", share, above=0.5, unit="%")]


def _local_best(rows: Rows) -> list[Claim]:
    claims = []
    for local in ("pooling", "window attention"):
        for other in ("attention", "token MLP", "random", "identity"):
            claims.append(
                Claim(f"{local} minus {other}", paired_difference(rows, local, other, of="mixer"), above=0)
            )
    d = paired_difference(rows, "pooling", "window attention", of="mixer")
    low = Interval(abs(d.mean) - d.half, 0.0, d.n)
    return [*claims, Claim("pooling against window attention, beyond the interval", low, below=0)]


def _random_low(rows: Rows) -> list[Claim]:
    return [
        Claim("random minus identity", paired_difference(rows, "random", "identity", of="mixer"), below=0.0)
    ]


def _global_not_ahead(rows: Rows) -> list[Claim]:
    d = paired_difference(rows, "attention", "window attention", of="mixer")
    return [Claim("attention minus window attention", d, below=0.0)]


def _not_size(rows: Rows) -> list[Claim]:
    ahead = paired_difference(rows, "token MLP", WIDER, of="mixer")
    gained = paired_difference(rows, WIDER, "identity", of="mixer")
    return [
        Claim("token MLP minus wider identity", ahead, above=0.03),
        Claim("wider identity minus identity", gained, below=0.03),
    ]


def figures(rows: Rows) -> Figures:
    """A bar per mixer: test accuracy, and training accuracy for comparison."""
    return {
        "accuracy": plots.bars(rows, by="mixer"),
        "training": plots.bars(rows, by="mixer", value="train_accuracy"),
    }


EXPERIMENT = Experiment(
    question="What of the accuracy is the token mixer's, and what the architecture's?",
    cells=cells,
    figures=figures,
    tuning=tuning,
    predictions=[
        Prediction(
            "Identity, which mixes nothing inside the blocks, still gets more than half of the best mixer's lead over chance: the "
            "strided convolutions between the stages mix.",
            judged_by=_identity_half,
        ),
        Prediction(
            "Pooling and window attention are the best at this number of images and steps; the order among the local mixers is within "
            "the intervals.",
            judged_by=_local_best,
        ),
        Prediction(
            "Random fixed mixing is below identity or equal to it.",
            judged_by=_random_low,
        ),
        Prediction(
            "Global attention is not ahead of window attention.",
            judged_by=_global_not_ahead,
        ),
        Prediction(
            "(Added with the wider identity, after the first 300-step rows and before any of its own.) The token MLP's lead over identity is not "
            "a matter of parameters: identity with as many stays more than 3 points behind the token MLP, and gains less than 3 by them.",
            judged_by=_not_size,
        ),
    ],
)
