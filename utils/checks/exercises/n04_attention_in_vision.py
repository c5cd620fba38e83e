"""Exercises of notebook 04: attention in vision. Specifications only; the answers are in `solutions/vision_attention.py`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.observe import build_module, observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NOTEBOOK = "04_attention_in_vision"


# 1: attention inside a CNN -------------------------------------------------------------------------------------------


def _self_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32, **init: int) -> Case:
        x = draw.normal(*shape, scale=1.5, dtype=dtype)
        return Case(name, init={"channels": shape[1], **init}, args={"x": x})

    return [
        case("one image, more columns than rows", 1, 4, 2, 5),
        case("two images, more rows than columns", 2, 6, 4, 3),
        case("queries narrower than the feature map", 2, 8, 3, 4, head_channels=2),
        case("queries wider than the feature map", 1, 3, 4, 2, head_channels=5),
        case("a single row of pixels", 2, 3, 1, 6, head_channels=3),
        case("float64", 2, 4, 3, 2, dtype=torch.float64),
    ]


def _self_weights(name: str, value: Tensor, draw: Draw) -> Tensor:
    """A gate far from zero and from one, matrices in the scale of their input, biases away from zero."""
    if name == "gamma":
        return draw.uniform(*value.shape, low=0.4, high=0.8) * draw.choice([-1.0, 1.0])
    fan_in = value[0].numel() if value.ndim > 1 else 4
    return draw.normal(*value.shape, scale=fan_in**-0.5)


def _watch_self(attempt: Any, case: Case) -> Seen:
    """The weights first: where they are wrong already, the message should say so."""
    x = case.args["x"]
    seen: Seen = {}
    with torch.no_grad():
        seen["weights"] = build_module(attempt, case).weights(x.clone())
        fresh = attempt(**case.init).to(x.dtype)(x.clone())
    seen.update(observe_default(attempt, case))
    seen["starts_as_identity"] = torch.tensor(fresh.shape == x.shape and torch.allclose(fresh, x))
    return seen


def _rows_sum_to_one(case: Case, seen: Seen) -> bool:
    sums = seen["weights"].double().sum(-1)
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


# 2: windows, and attention inside them --------------------------------------------------------------------------------


def _window_cases(draw: Draw) -> list[Case]:
    rectified = draw.normal(2, 2, 4, 5).relu()
    rectified[:, :, 1, 3] = 0  # a pixel of the image that looks like padding

    def case(name: str, x: Tensor, kernel_size: int) -> Case:
        return Case(name, args={"x": x, "kernel_size": kernel_size})

    return [
        case("one channel, more columns than rows", draw.normal(1, 1, 3, 5), 3),
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


def _local_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, kernel_size: int, dtype: torch.dtype = torch.float32) -> Case:
        init = {"channels": shape[1], "kernel_size": kernel_size}
        return Case(name, init=init, args={"x": draw.normal(*shape, scale=1.5, dtype=dtype)})

    return [
        case("one image, more columns than rows", 1, 4, 3, 6, kernel_size=3),
        case("two images, more rows than columns", 2, 3, 6, 4, kernel_size=3),
        case("a wider window", 1, 2, 6, 5, kernel_size=5),
        case("a window larger than the image", 2, 5, 2, 3, kernel_size=5),
        case("float64", 1, 3, 4, 5, kernel_size=3, dtype=torch.float64),
    ]


# 3: pixels as tokens --------------------------------------------------------------------------------------------------


def _pixel_cases(draw: Draw) -> list[Case]:
    return [
        Case("one colour image, more columns than rows", args={"images": draw.normal(1, 3, 2, 5)}),
        Case("two images, more rows than columns", args={"images": draw.normal(2, 2, 4, 3)}),
        Case("grey images", args={"images": draw.normal(3, 1, 3, 4)}),
        Case("many channels", args={"images": draw.normal(2, 7, 3, 2)}),
        Case("float64", args={"images": draw.normal(2, 3, 2, 4, dtype=torch.float64)}),
    ]


def _same_numbers(case: Case, seen: Seen) -> bool:
    ours, theirs = seen["output"].flatten().sort().values, case.args["images"].flatten().sort().values
    return ours.shape == theirs.shape and torch.allclose(ours, theirs)


def _transformer_cases(draw: Draw) -> list[Case]:
    def case(name: str, batch: int, *, dtype: torch.dtype = torch.float32, **init: Any) -> Case:
        shape = (batch, init["in_channels"], *init["image_size"])
        return Case(name, init=init, args={"images": draw.normal(*shape, dtype=dtype)})

    two: dict[str, Any] = {"dim": 6, "depth": 2, "num_heads": 2}
    one: dict[str, Any] = {"dim": 6, "depth": 1, "num_heads": 3}
    return [
        case("more columns than rows", 2, image_size=(2, 4), in_channels=3, num_classes=5, **two),
        case("more rows than columns, one channel", 3, image_size=(4, 3), in_channels=1, num_classes=2, **one),
        case("without positions", 2, image_size=(3, 2), in_channels=2, num_classes=4, use_positions=False, **two),
        case("float64", 2, image_size=(2, 3), in_channels=1, num_classes=3, dtype=torch.float64, **one),
    ]  # fmt: skip


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


def _memory_cases(draw: Draw) -> list[Case]:
    def case(name: str, tokens: int, layers: int, heads: int, size: int) -> Case:
        numbers = {
            "num_tokens": tokens,
            "num_layers": layers,
            "num_heads": heads,
            "bytes_per_element": size,
        }
        return Case(name, args=numbers)

    return [
        case("one layer, one head", draw.integer(50, 300), 1, 1, 4),
        case("several layers", draw.integer(50, 300), draw.integer(5, 30), 1, 4),
        case("several heads, half precision", draw.integer(50, 300), 2, draw.integer(3, 20), 2),
        case("a large model in double precision", draw.integer(2000, 6000), 48, 16, 8),
    ]


EXERCISES = [
    Exercise(
        name="SelfAttention2d",
        notebook=NOTEBOOK,
        points=4,
        stars=3,
        minutes=20,
        reference="solutions.vision_attention:SelfAttention2d",
        kind="module",
        cases=_self_cases,
        observe=_watch_self,
        weights=_self_weights,
        properties=(
            Property(
                "rows sum to one",
                "Each row of `weights` belongs to one query and must sum to 1 over the keys, and yours does not.",
                _rows_sum_to_one,
            ),
            Property(
                "starts as the identity",
                "A fresh layer must return its input unchanged, because the gate starts closed; yours already changes it.",
                lambda case, seen: seen["starts_as_identity"],
            ),
        ),
    ),
    Exercise(
        name="neighborhoods",
        notebook=NOTEBOOK,
        points=3,
        stars=3,
        minutes=15,
        reference="solutions.vision_attention:neighborhoods",
        outputs=("windows", "inside"),
        cases=_window_cases,
        stand_in="utils.stand_ins.vision:neighborhoods",
        properties=(
            Property(
                "the middle of a window is its pixel",
                "The middle place of the window around pixel n must hold pixel n itself, and in yours it holds something else.",
                _middle_is_the_pixel,
            ),
        ),
    ),
    Exercise(
        name="LocalAttention2d",
        notebook=NOTEBOOK,
        points=4,
        stars=3,
        minutes=15,
        reference="solutions.vision_attention:LocalAttention2d",
        kind="module",
        cases=_local_cases,
        uses=("neighborhoods",),
    ),
    Exercise(
        name="pixel_tokens",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference="solutions.vision_attention:pixel_tokens",
        cases=_pixel_cases,
        stand_in="utils.stand_ins.vision:pixel_tokens",
        properties=(
            Property(
                "nothing lost",
                "Every number of the images must appear in the tokens exactly once, and in yours some are missing or changed.",
                _same_numbers,
            ),
        ),
    ),
    Exercise(
        name="PixelTransformer",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=10,
        reference="solutions.vision_attention:PixelTransformer",
        kind="module",
        cases=_transformer_cases,
        observe=_watch_transformer,
        weights=_transformer_weights,
        uses=("pixel_tokens", "EncoderLayer"),
    ),
    Exercise(
        name="attention_memory_bytes",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference="solutions.vision_attention:attention_memory_bytes",
        cases=_memory_cases,
        gradients=False,
    ),
]
