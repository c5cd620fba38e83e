"""Checks: a map into windows, and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _partition_cases(draw: Draw) -> list[Case]:
    return [
        Case("one image, more rows than columns", args={"x": draw.normal(1, 6, 4, 3), "window_size": 2}),
        Case("two images, more columns than rows", args={"x": draw.normal(2, 4, 12, 2), "window_size": 4}),
        Case("three images, one channel", args={"x": draw.normal(3, 3, 9, 1), "window_size": 3}),
        Case("one window per image", args={"x": draw.normal(2, 3, 3, 4), "window_size": 3}),
        Case("whole numbers", args={"x": draw.integers(0, 99, 2, 4, 6, 1), "window_size": 2}),
        Case("float64", args={"x": draw.normal(2, 8, 6, 2, dtype=torch.float64), "window_size": 2}),
    ]


def _first_window(case: Case, seen: Seen) -> bool:
    """As a set: the order of the pixels inside is compared later."""
    corner = case.args["x"][0, : case.args["window_size"], : case.args["window_size"]]
    return torch.equal(seen["output"][0].flatten().sort().values, corner.flatten().sort().values)


WINDOW_PARTITION = Exercise(
    name="window_partition",
    notebook="07_swin",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.windows:window_partition",
    stand_in="utils.stand_ins.windows:window_partition",
    cases=_partition_cases,
    refuses=lambda draw: [
        Case("a side that windows do not divide", args={"x": draw.normal(1, 4, 6, 2), "window_size": 4})
    ],
    properties=(
        Property(
            "neighbours stay together",
            "Your first window does not hold the pixels of the upper left M x M corner of the first image.",
            _first_window,
        ),
    ),
)


def _reverse_cases(draw: Draw) -> list[Case]:
    def case(name: str, batch: int, height: int, width: int, channels: int, window: int, **kind: Any) -> Case:
        count = batch * (height // window) * (width // window)
        windows = draw.normal(count, window, window, channels, **kind)
        return Case(name, args={"windows": windows, "window_size": window, "height": height, "width": width})

    return [
        case("one image, more rows than columns", 1, 6, 4, 3, 2),
        case("two images, more columns than rows", 2, 4, 12, 2, 4),
        case("three images, one channel", 3, 3, 9, 1, 3),
        case("one window per image", 2, 3, 3, 4, 3),
        Case(
            "whole numbers",
            args={"windows": draw.integers(0, 99, 12, 2, 2, 1), "window_size": 2, "height": 4, "width": 6},
        ),
        case("float64", 2, 8, 6, 2, 2, dtype=torch.float64),
    ]


def windows_of(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * nW, M, M, C) by `Tensor.unfold`."""
    return x.unfold(1, window, window).unfold(2, window, window).flatten(0, 2).permute(0, 2, 3, 1)


def _comes_back(case: Case, seen: Seen) -> bool:
    return torch.equal(windows_of(seen["output"], case.args["window_size"]), case.args["windows"])


WINDOW_REVERSE = Exercise(
    name="window_reverse",
    notebook="07_swin",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.windows:window_reverse",
    stand_in="utils.stand_ins.windows:window_reverse",
    cases=_reverse_cases,
    properties=(
        Property(
            "inverts window_partition",
            "Cutting your map into windows again does not give the windows that it was put together from.",
            _comes_back,
        ),
    ),
)


def cut_lines(side: int, window: int, shift: int = 0) -> Tensor:
    """(side,) which window each row (or column) falls into, when the cut lines have moved by `shift`."""
    return (torch.arange(side) - shift).div(window, rounding_mode="floor")
