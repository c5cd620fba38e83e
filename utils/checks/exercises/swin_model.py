"""Checks: the whole Swin Transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from utils.checks.building import build_module
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _model_cases(draw: Draw) -> list[Case]:
    tiny = {"patch_size": 2, "in_channels": 2, "embed_dim": 4, "mlp_ratio": 1.0, "num_classes": 3}
    two = {**tiny, "depths": (2, 1), "num_heads": (1, 2)}
    return [
        Case(
            "a wide image, lower than the window in its second stage, float64",
            init={**two, "image_size": (8, 16), "window_size": 4},
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
        Case(
            "two stages, an image larger than it was built for",
            init={**two, "depths": (3, 2), "image_size": 12, "window_size": 6},
            args={"images": draw.normal(1, 2, 24, 20)},
        ),
        Case(
            "a tall image, narrower than the window",
            init={**two, "image_size": (16, 8), "window_size": 3},
            args={"images": draw.normal(2, 2, 16, 8)},
        ),
    ]


def observe_swin(attempt: Any, case: Case) -> Seen:
    """Adds the map of `features`, which the logits alone do not show, and whether a stage's blocks can be called as a whole."""
    seen = observe_default(attempt, case)
    model = build_module(attempt, case)
    with torch.no_grad():
        seen["features"] = model.features(case.args["images"])
    blocks = [stage["blocks"] for stage in model.layers]
    seen["blocks are sequences"] = torch.tensor(all(isinstance(some, nn.Sequential) for some in blocks))
    return seen


SWIN_TRANSFORMER = Exercise(
    name="SwinTransformer",
    notebook="07_swin",
    points=5,
    stars=4,
    minutes=30,
    kind="module",
    reference="solutions.swin_model:SwinTransformer",
    cases=_model_cases,
    observe=observe_swin,
    uses=("SwinBlock", "PatchMerging"),
    properties=(
        Property(
            "blocks are sequences",
            "The `blocks` of a stage should be an `nn.Sequential`, so that they can be called as a whole; an `nn.ModuleList` cannot.",
            lambda case, seen: seen["blocks are sequences"],
        ),
    ),
)
