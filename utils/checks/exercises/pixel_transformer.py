"""Checks: a Transformer whose tokens are pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.building import build_module
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _pixel_cases(draw: Draw) -> list[Case]:
    return [
        Case("one colour image, more columns than rows", args={"images": draw.normal(1, 3, 2, 5)}),
        Case("two images, more rows than columns", args={"images": draw.normal(2, 2, 4, 3)}),
        Case("whole numbers", args={"images": draw.integers(0, 256, 3, 1, 3, 4)}),
        Case("many channels", args={"images": draw.normal(2, 7, 3, 2)}),
        Case("float64", args={"images": draw.normal(2, 3, 2, 4, dtype=torch.float64)}),
    ]


def _same_numbers(case: Case, seen: Seen) -> bool:
    ours, theirs = seen["output"].flatten().sort().values, case.args["images"].flatten().sort().values
    return ours.shape == theirs.shape and torch.allclose(ours, theirs)


PIXEL_TOKENS = Exercise(
    name="pixel_tokens",
    notebook="04_attention_in_vision",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.pixel_transformer:pixel_tokens",
    cases=_pixel_cases,
    stand_in="utils.stand_ins.pixel_transformer:pixel_tokens",
    properties=(
        Property(
            "nothing lost",
            "Every number of the images must appear in the tokens exactly once, and in yours some are missing or changed.",
            _same_numbers,
        ),
    ),
)


def _transformer_cases(draw: Draw) -> list[Case]:
    def case(name: str, batch: int, *, mode="eval", dtype: torch.dtype = torch.float32, **init: Any) -> Case:
        shape = (batch, init["in_channels"], *init["image_size"])
        return Case(name, init=init, args={"images": draw.normal(*shape, dtype=dtype)}, mode=mode)

    two: dict[str, Any] = {"dim": 6, "depth": 2, "num_heads": 2}
    one: dict[str, Any] = {"dim": 6, "depth": 1, "num_heads": 3}
    return [
        case("more columns than rows", 2, image_size=(2, 4), in_channels=3, num_classes=5, **two),
        case("more rows than columns, one channel", 3, image_size=(4, 3), in_channels=1, num_classes=2, **one),
        case("without positions", 2, image_size=(3, 2), in_channels=2, num_classes=4, use_positions=False, **two),
        case("a single logit, training, float64", 2, image_size=(2, 3), in_channels=1, num_classes=1, mode="train",
             dtype=torch.float64, **one),
    ]  # fmt: skip


def _transformer_refuses(draw: Draw) -> list[Case]:
    init = {"image_size": (2, 3), "in_channels": 1, "num_classes": 3, "dim": 6, "depth": 1, "num_heads": 3}
    return [
        Case("images of another size", init=init, args={"images": draw.normal(2, 1, 3, 2)}),
        Case("images of other channels", init=init, args={"images": draw.normal(2, 3, 2, 3)}),
    ]


def _transformer_weights(name: str, value: Tensor, draw: Draw) -> Tensor:
    """As drawn everywhere, but with positions as large as the tokens."""
    if name == "positions":
        return draw.normal(*value.shape, scale=0.7)
    if value.ndim <= 1:
        return draw.normal(*value.shape, scale=0.3, shift=1.0 if name.endswith("weight") else 0.0)
    return draw.normal(*value.shape, scale=value[0].numel() ** -0.5)


def _watch_transformer(attempt: Any, case: Case) -> Seen:
    with torch.no_grad():
        tokens = build_module(attempt, case).encode(case.args["images"].clone())
    return {"tokens": tokens, **observe_default(attempt, case)}


PIXEL_TRANSFORMER = Exercise(
    name="PixelTransformer",
    notebook="04_attention_in_vision",
    points=3,
    stars=2,
    minutes=10,
    reference="solutions.pixel_transformer:PixelTransformer",
    by_hand=by_hand.TRANSFORMER,
    kind="module",
    cases=_transformer_cases,
    refuses=_transformer_refuses,
    observe=_watch_transformer,
    weights=_transformer_weights,
    uses=("pixel_tokens", "EncoderLayer"),
)
