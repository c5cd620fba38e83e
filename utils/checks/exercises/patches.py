"""Checks: images into patches, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property

DOUBLE = torch.float64


def patchify_cases(draw: Draw) -> list[Case]:
    return [
        Case("a wide image", args={"images": draw.normal(2, 3, 4, 6), "patch_size": 2}),
        Case("a tall image of one channel", args={"images": draw.normal(1, 1, 9, 6), "patch_size": 3}),
        Case("one patch that is the whole image", args={"images": draw.normal(3, 2, 4, 4), "patch_size": 4}),
        Case("patches of one pixel", args={"images": draw.normal(2, 3, 2, 5), "patch_size": 1}),
        Case("double precision", args={"images": draw.normal(2, 4, 6, 4, dtype=DOUBLE), "patch_size": 2}),
    ]


def same_numbers(name: str):
    """The output holds every number of the input exactly once."""
    return lambda case, seen: torch.equal(
        case.args[name].flatten().sort()[0], seen["output"].flatten().sort()[0]
    )


EVERY_PIXEL = "Cutting or joining patches only moves pixels: each should occur exactly once in your result, and that is not so."

PATCHIFY = Exercise(
    name="patchify",
    notebook="05_vit",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.patches:patchify",
    stand_in="utils.stand_ins.patches:patchify",
    cases=patchify_cases,
    refuses=lambda draw: [
        Case(
            "a side that the patches do not divide", args={"images": draw.normal(1, 3, 4, 7), "patch_size": 2}
        )
    ],
    properties=(Property("each pixel once", EVERY_PIXEL, same_numbers("images")),),
)


def unpatchify_cases(draw: Draw) -> list[Case]:
    def case(name: str, patches: Tensor, p: int, height: int, width: int) -> Case:
        return Case(name, args={"patches": patches, "patch_size": p, "height": height, "width": width})

    return [
        case("a wide image", draw.normal(2, 6, 12), 2, 4, 6),
        case("a tall image of one channel", draw.normal(1, 6, 9), 3, 9, 6),
        case("one patch that is the whole image", draw.normal(3, 1, 32), 4, 4, 4),
        case("patches of one pixel", draw.normal(2, 10, 3), 1, 2, 5),
        case("double precision", draw.normal(2, 6, 16, dtype=DOUBLE), 2, 6, 4),
    ]


UNPATCHIFY = Exercise(
    name="unpatchify",
    notebook="05_vit",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.patches:unpatchify",
    stand_in="utils.stand_ins.patches:unpatchify",
    cases=unpatchify_cases,
    refuses=lambda draw: [
        Case(
            "too few patches",
            args={"patches": draw.normal(1, 5, 12), "patch_size": 2, "height": 4, "width": 6},
        ),
        Case(
            "a height that the patches do not divide",
            args={"patches": draw.normal(1, 6, 12), "patch_size": 2, "height": 5, "width": 6},
        ),
        Case(
            "a width that the patches do not divide",
            args={"patches": draw.normal(1, 6, 12), "patch_size": 2, "height": 4, "width": 7},
        ),
    ],
    properties=(Property("each pixel once", EVERY_PIXEL, same_numbers("patches")),),
)
