"""Checks: the best accuracy that an invariant function can reach."""

from __future__ import annotations

import torch

from utils.checks.spec import Case, Draw, Exercise


def _cases(draw: Draw) -> list[Case]:
    def case(name: str, images: int, orbits: int, classes: int) -> Case:
        return Case(
            name,
            args={"orbits": draw.integers(0, orbits, images), "labels": draw.integers(0, classes, images)},
        )

    one_each = Case(
        "every image an orbit of its own",
        args={"orbits": draw.permutation(9), "labels": draw.integers(0, 3, 9)},
    )
    # 16 places; the label is the glyph except in a quarter of the frame, where it is the next one
    glyph = torch.arange(4).repeat_interleave(16)
    exception = torch.zeros(16, dtype=torch.bool)
    exception[draw.permutation(16)[:4]] = True
    shifted = (glyph + exception.repeat(4).long()) % 4
    order = draw.permutation(64)
    far = torch.tensor(
        [-(2**50), -3, 2**50, 2**50 + 1]
    )  # any numbers name orbits, negative and very large ones, too
    frame = Case(
        "an exception in a quarter of the frame",
        args={"orbits": far[glyph[order]], "labels": shifted[order]},
    )
    unequal = torch.cat([torch.zeros(20), torch.ones(3), torch.full((2,), 2)]).long()
    order = draw.permutation(25)
    sizes = Case(
        "orbits of very different size",
        args={
            "orbits": unequal[order] + 5,
            "labels": torch.cat([draw.integers(0, 4, 20), draw.integers(0, 2, 5)])[order],
        },
    )
    return [
        case("two orbits, two classes", 8, 2, 2),
        case("several orbits in no order", 30, 6, 4),
        case("one orbit", 11, 1, 3),
        one_each,
        frame,
        sizes,
        case("one image", 1, 4, 3),
        case("a hundred classes", 60, 9, 100),
    ]


INVARIANT_CEILING = Exercise(
    name="invariant_ceiling",
    notebook="06_inductive_bias",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.invariance:invariant_ceiling",
    stand_in="utils.stand_ins.invariance:invariant_ceiling",
    outputs=("accuracy",),
    cases=_cases,
    refuses=lambda draw: [
        Case(
            "no image",
            args={
                "orbits": torch.tensor([], dtype=torch.int64),
                "labels": torch.tensor([], dtype=torch.int64),
            },
        ),
        Case("a label too few", args={"orbits": draw.integers(0, 3, 6), "labels": draw.integers(0, 2, 5)}),
    ],
    gradients=False,
)
