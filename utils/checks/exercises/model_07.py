"""Notebook 07, third part: patch merging and the whole model."""

from __future__ import annotations

import torch

from utils.checks.exercises.windows_07 import MODEL, NOTEBOOK, STAND_INS, SWIN
from utils.checks.spec import Case, Draw, Exercise

# 10, 11: merging and the whole -------------------------------------------------------------------------------------


def _merging_cases(draw: Draw) -> list[Case]:
    return [
        Case("an even map", init={"dim": 3}, args={"x": draw.normal(2, 4, 6, 3)}),
        Case("more rows than columns", init={"dim": 2}, args={"x": draw.normal(3, 8, 2, 2)}),
        Case("an odd number of rows", init={"dim": 3}, args={"x": draw.normal(1, 5, 4, 3)}),
        Case("both sides odd", init={"dim": 2}, args={"x": draw.normal(2, 3, 7, 2)}),
        Case("float64", init={"dim": 4}, args={"x": draw.normal(1, 2, 6, 4, dtype=torch.float64)}),
    ]


def _model_cases(draw: Draw) -> list[Case]:
    tiny = {"patch_size": 2, "in_channels": 2, "embed_dim": 4, "mlp_ratio": 1.0, "num_classes": 3}
    two = {**tiny, "depths": (2, 1), "num_heads": (1, 2)}
    return [
        Case(
            "two stages",
            init={**two, "image_size": 16, "window_size": 4},
            args={"images": draw.normal(2, 2, 16, 16)},
        ),
        Case(
            "a wide image, float64",
            init={**two, "image_size": (8, 16), "window_size": 2},
            args={"images": draw.normal(1, 2, 8, 16, dtype=torch.float64)},
            mode="train",
        ),
        Case(
            "three stages, odd maps",
            init={**tiny, "depths": (1, 2, 1), "num_heads": (2, 1, 4), "image_size": 20, "window_size": 3},
            args={"images": draw.normal(1, 2, 20, 20)},
        ),
        Case(
            "a stage smaller than the window",
            init={**two, "image_size": 8, "window_size": 3},
            args={"images": draw.normal(3, 2, 8, 8)},
        ),
    ]


EXERCISES = [
    Exercise(
        name="PatchMerging",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=12,
        kind="module",
        reference=f"{SWIN}:PatchMerging",
        stand_in=f"{STAND_INS}:PatchMerging",
        cases=_merging_cases,
    ),
    Exercise(
        name="SwinTransformer",
        notebook=NOTEBOOK,
        points=5,
        stars=4,
        minutes=30,
        kind="module",
        reference=f"{MODEL}:SwinTransformer",
        cases=_model_cases,
        uses=("SwinBlock", "PatchMerging"),
    ),
]
