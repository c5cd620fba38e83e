"""Checks: attention in the neighbourhood of each pixel."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _window_cases(draw: Draw) -> list[Case]:
    rectified = draw.normal(2, 2, 4, 5).relu()
    rectified[:, :, 1, 3] = 0  # a pixel of the image that looks like padding

    def case(name: str, x: Tensor, kernel_size: int) -> Case:
        return Case(name, args={"x": x, "kernel_size": kernel_size})

    return [
        case("very large numbers, more columns than rows", draw.normal(1, 1, 3, 5, scale=1e9), 3),
        case("several channels, more rows than columns", draw.normal(2, 3, 5, 4), 3),
        case("a feature map after ReLU, with zeros inside", rectified, 3),
        case("a window larger than the image", draw.normal(1, 2, 2, 3), 5),
        case("a window of one pixel", draw.normal(2, 3, 2, 3), 1),
        case("float64", draw.normal(1, 2, 4, 3, dtype=torch.float64), 3),
    ]


def _middle_is_the_pixel(case: Case, seen: Seen) -> bool:
    middle = seen["windows"][:, :, case.args["kernel_size"] ** 2 // 2]  # (B, C, N)
    pixels = case.args["x"].flatten(2)
    return middle.shape == pixels.shape and torch.allclose(middle, pixels, atol=1e-6)


NEIGHBORHOODS = Exercise(
    name="neighborhoods",
    notebook="04_attention_in_vision",
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.local_attention:neighborhoods",
    outputs=("windows", "inside"),
    cases=_window_cases,
    refuses=lambda draw: [
        Case("an even window, which has no middle", args={"x": draw.normal(1, 2, 4, 5), "kernel_size": 2})
    ],
    stand_in="utils.stand_ins.local_attention:neighborhoods",
    properties=(
        Property(
            "the middle of a window is its pixel",
            "The middle place of the window around pixel n must hold pixel n itself, and in yours it holds something else.",
            _middle_is_the_pixel,
        ),
    ),
)


def _local_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, kernel_size: int, dtype: torch.dtype = torch.float32) -> Case:
        init = {"channels": shape[1], "kernel_size": kernel_size}
        return Case(name, init=init, args={"x": draw.normal(*shape, scale=1.5, dtype=dtype)})

    black = case("a black pixel, whose key is zero like the padding", 1, 2, 3, 4, kernel_size=3)
    black.args["x"][:, :, 1, 2] = 0
    layers = ("query", "key", "value")
    weights = {f"{layer}.weight": draw.normal(2, 2, 1, 1, scale=0.7) for layer in layers}
    weights |= {f"{layer}.bias": draw.normal(2, scale=0.3) for layer in ("query", "value")}
    weights["key.bias"] = torch.zeros(2)
    return [
        replace(black, weights=weights),
        case("one image, more columns than rows", 1, 4, 3, 6, kernel_size=3),
        case("two images, more rows than columns", 2, 3, 6, 4, kernel_size=3),
        replace(
            case("a wider window, scores far below zero", 1, 2, 6, 5, kernel_size=5),
            weights=_far_below_zero(draw),
        ),
        case("a window larger than the image", 2, 5, 2, 3, kernel_size=5),
        case("float64", 1, 3, 4, 5, kernel_size=3, dtype=torch.float64),
    ]


def _far_below_zero(draw: Draw) -> dict[str, Tensor]:
    """Weights that give all pairs of pixels a score near -160, which is far below that of padding (a key of zeros: 0)."""
    weights = {
        "query.bias": draw.normal(2, scale=0.2, shift=11),
        "key.bias": draw.normal(2, scale=0.2, shift=-11),
    }
    weights |= {
        "query.weight": draw.normal(2, 2, 1, 1, scale=0.2),
        "key.weight": draw.normal(2, 2, 1, 1, scale=0.03),
    }
    return weights | {
        "value.weight": draw.normal(2, 2, 1, 1, scale=0.004),
        "value.bias": draw.normal(2, scale=0.004),
    }


LOCAL_ATTENTION2D = Exercise(
    name="LocalAttention2d",
    notebook="04_attention_in_vision",
    points=4,
    stars=3,
    minutes=15,
    reference="solutions.local_attention:LocalAttention2d",
    kind="module",
    cases=_local_cases,
    uses=("neighborhoods",),
)
