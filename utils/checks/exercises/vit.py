"""Checks: the Vision Transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.spec import Case, Draw, Exercise

DOUBLE = torch.float64

TINY = {"patch_size": 2, "dim": 4, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5, "num_classes": 3}


def vit_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, b: int, size: tuple[int, int], *, channels: int = 3, mode: str = "eval", **more: Any
    ) -> Case:
        dtype, method = more.pop("dtype", torch.float32), more.pop("method", "")
        init = {"image_size": size, **TINY, "in_channels": channels, **more}
        images = draw.normal(b, channels, *size, dtype=dtype)
        return Case(name, args={"images": images}, init=init, mode=mode, method=method)

    return [
        case("class token, a wide image", 2, (4, 6)),
        case("mean pooling", 3, (6, 4), pool="mean", num_classes=5),
        case("encode: all tokens", 2, (4, 4), method="encode", channels=1),
        case("no head", 2, (2, 6), num_classes=0, depth=3),
        case("a single logit, double precision", 1, (4, 6), dtype=DOUBLE, num_heads=4, channels=1, num_classes=1),
        case("dropout is switched off in evaluation", 2, (4, 4), dropout=0.5, attention_dropout=0.5, drop_path=0.5),
        case("all kinds of dropout while training", 3, (4, 6), mode="train", dropout=0.3, attention_dropout=0.4,
             drop_path=0.5, pool="mean"),
        case("dropout while training, without any block", 2, (4, 6), mode="train", depth=0, dropout=0.5),
        case("norms with a larger epsilon", 2, (4, 6), norm_eps=0.5, num_classes=2),
    ]  # fmt: skip


def vit_refuses(draw: Draw) -> list[Case]:
    init = {"image_size": (4, 6), **TINY, "in_channels": 2}
    return [
        Case("patches that do not tile the image", init={**init, "image_size": (4, draw.indivisible(2))}),
        Case("another kind of pooling", init={**init, "pool": "max", "num_classes": draw.integer(2, 90)}),
        Case("whole numbers", init=init, args={"images": draw.integers(0, 256, 1, 2, 4, 6)}),
        Case("an image without a batch", init=init, args={"images": draw.normal(2, 4, 6)}),
        Case("images of another size", init=init, args={"images": draw.normal(1, 2, 6, 4)}),
    ]


def vit_weights(name: str, value: Tensor, draw: Draw) -> Tensor:
    """Positions and CLS as large as the tokens, so that leaving them out is seen."""
    if value.ndim == 1:
        return draw.normal(*value.shape, scale=0.3, shift=1.0 if name.endswith("weight") else 0.0)
    if name in ("cls_token", "positions"):
        return draw.normal(*value.shape, scale=0.7)
    return draw.normal(*value.shape, scale=value[0].numel() ** -0.5)


VI_T = Exercise(
    name="ViT",
    notebook="05_vit",
    points=4,
    stars=3,
    minutes=20,
    kind="module",
    reference="solutions.vit:ViT",
    by_hand=by_hand.TRANSFORMER,
    stand_in="utils.stand_ins.vit:ViT",
    uses=("PatchEmbedding", "add_cls_and_positions", "ViTBlock"),
    cases=vit_cases,
    refuses=vit_refuses,
    weights=vit_weights,
)
