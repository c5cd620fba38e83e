"""Checks: a small residual network."""

from __future__ import annotations

from typing import Any

import torch

from utils.checks.spec import Case, Draw, Exercise

DOUBLE = torch.float64


def block_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], channels: int, stride: int = 1, **more: Any) -> Case:
        dtype = more.pop("dtype", torch.float32)
        init = {"in_channels": shape[1], "channels": channels} | ({"stride": stride} if stride > 1 else {})
        return Case(name, init=init, args={"x": draw.normal(*shape, dtype=dtype)}, **more)

    return [
        case("the shortcut is the input itself", (2, 4, 5, 3), 4),
        case("more channels", (2, 3, 4, 6), 5),
        case("stride 2, same channels", (3, 4, 6, 5), 4, 2),
        case("stride 2, more channels, training", (4, 2, 5, 7), 4, 2, mode="train"),
        case("training", (3, 3, 4, 5), 3, mode="train"),
        case("stride 3, double precision", (1, 2, 7, 4), 2, 3, dtype=DOUBLE),
    ]


BASIC_BLOCK = Exercise(
    name="BasicBlock",
    notebook="06_inductive_bias",
    points=3,
    stars=2,
    minutes=15,
    kind="module",
    reference="solutions.resnet:BasicBlock",
    stand_in="utils.stand_ins.resnet:BasicBlock",
    cases=block_cases,
)


def resnet_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], width: int, blocks: tuple[int, ...], **more: Any) -> Case:
        dtype, classes = more.pop("dtype", torch.float32), more.pop("num_classes", 3)
        init = {"width": width, "num_classes": classes, "blocks": blocks, "in_channels": shape[1]}
        return Case(name, init=init, args={"images": draw.normal(*shape, dtype=dtype)}, **more)

    return [
        case("two stages, a wide image", (2, 3, 6, 8), 3, (1, 2)),
        case("the last map, three stages", (2, 1, 9, 7), 2, (2, 1, 1), method="features"),
        case("one stage, training", (3, 2, 5, 4), 4, (2,), mode="train"),
        case("no head", (2, 3, 8, 5), 2, (1, 2), num_classes=0),
        case("a single image", (1, 2, 6, 7), 2, (1, 3)),
        case("a single logit, double precision", (2, 2, 8, 12), 2, (1, 1, 2), dtype=DOUBLE, num_classes=1),
    ]


RES_NET = Exercise(
    name="ResNet",
    notebook="06_inductive_bias",
    points=4,
    stars=3,
    minutes=20,
    kind="module",
    reference="solutions.resnet:ResNet",
    stand_in="utils.stand_ins.resnet:ResNet",
    uses=("BasicBlock",),
    cases=resnet_cases,
)
