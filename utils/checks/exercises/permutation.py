"""Checks: images with their pixels in another order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

DOUBLE = torch.float64


STRIDED = "images that lie column by column in memory"


def permutation_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Case:
        order = draw.permutation(shape[2] * shape[3])
        while torch.equal(order[order], torch.arange(len(order))):  # its own inverse: would hide a mistake
            order = draw.permutation(len(order))
        return Case(name, args={"images": draw.normal(*shape, dtype=dtype), "permutation": order})

    return [
        case("wide colour images", 2, 3, 3, 5),
        case("tall grey images", 3, 1, 6, 2),
        case("one image with many channels", 1, 7, 4, 3),
        case("a single row of pixels", 2, 2, 1, 6),
        case("double precision", 2, 3, 2, 4, dtype=DOUBLE),
        case(STRIDED, 2, 3, 3, 4),
        Case("every pixel stays", args={"images": draw.normal(2, 2, 3, 2), "permutation": torch.arange(6)}),
    ]


def observe_permutation(attempt: Any, case: Case) -> Seen:
    """The standard observation, on images that are not contiguous in the case of that name."""
    if case.name == STRIDED:
        images = case.args["images"].mT.contiguous().mT
        case = replace(case, args={**case.args, "images": images})
    return observe_default(attempt, case)


def pixels_stay_whole(case: Case, seen: Seen) -> bool:
    """Each image still holds the same pixels, with all their channels, in some order."""

    def sorted_pixels(images: Tensor) -> list[list[tuple[float, ...]]]:
        return [sorted(map(tuple, image.flatten(1).T.tolist())) for image in images]

    return sorted_pixels(seen["output"]) == sorted_pixels(case.args["images"])


PERMUTE_PIXELS = Exercise(
    name="permute_pixels",
    notebook="06_inductive_bias",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.permutation:permute_pixels",
    stand_in="utils.stand_ins.permutation:permute_pixels",
    cases=permutation_cases,
    refuses=lambda draw: [
        Case(
            "an order that names a pixel twice",
            args={"images": draw.normal(1, 2, 2, 3), "permutation": torch.tensor([0, 1, 2, 3, 4, 4])},
        )
    ],
    fresh=True,
    observe=observe_permutation,
    properties=(
        Property(
            "pixels stay whole",
            "Reordering moves whole pixels: every image must still have the same pixels, each with all its channels, and in "
            "yours that is not so.",
            pixels_stay_whole,
        ),
    ),
)
