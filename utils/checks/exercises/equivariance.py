"""Checks: what a model does when the image moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.checks.again import writes
from utils.checks.outputs import as_promised, name_outputs
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

DOUBLE = torch.float64


FRACTION = "a shift by half a position of the output"
TOO_FAR = "a shift by the height of the image"


def equivariance_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], shift: tuple[int, int], **layer: Any) -> Case:
        dtype, size = layer.pop("dtype", torch.float32), layer.pop("size", 1.0)
        init = {
            "weight": draw.normal(4, shape[1], 3, 3, scale=0.4 * size, dtype=dtype),
            "bias": draw.normal(4, scale=size, dtype=dtype),
            "stride": [1, 1],
            "circular": False,
            "enlarged": 1,
            "identity": False,
            "alternating": False,
            **layer,
        }
        return Case(name, init=init, args={"x": draw.normal(*shape, dtype=dtype), "shift": shift})

    return [
        case("a convolution with zeros at the border", (2, 3, 5, 7), (1, -2)),
        case("a convolution without a border", (2, 2, 6, 4), (8, -5), circular=True),
        case("stride 2 along both axes", (1, 3, 8, 12), (-4, 2), stride=[2, 2]),
        case("stride 2 across only", (3, 1, 4, 8), (1, 6), stride=[1, 2]),
        case("signs that alternate from column to column", (2, 2, 5, 8), (0, 3), alternating=True),
        case(FRACTION, (1, 2, 6, 8), (0, 3), stride=[2, 2]),
        case("very small outputs", (1, 2, 4, 5), (1, -1), size=1e-12),
        case("double precision", (2, 3, 9, 6), (6, -2), stride=[3, 1], dtype=DOUBLE),
        case("a layer that enlarges the map", (1, 2, 4, 5), (1, -2), enlarged=2),
        case("a layer that returns its input as it is", (2, 1, 3, 4), (1, 2), identity=True),
    ]


def _refusal(call: Callable[[], Any]) -> Seen:
    try:
        call()
    except ValueError:
        return {"refused": torch.tensor(True)}
    return {"refused": torch.tensor(False)}


REFUSED = Property(
    "a ValueError where there is no answer",
    'What this case asks for has no answer, and the text of the cell ("Raises") wants a ValueError. Keep the lines that were given.',
    lambda case, seen: seen["refused"],
)


def observe_equivariance(attempt: Any, case: Case) -> Seen:
    """The layer is rebuilt from the case: a 3 x 3 convolution, with zeros or with the opposite side beyond the border."""
    layer = case.init

    def convolution(x: Tensor) -> Tensor:
        if layer["identity"]:
            return x
        padded = F.pad(x, (1, 1, 1, 1), mode="circular" if layer["circular"] else "constant")
        small = F.conv2d(padded, layer["weight"], layer["bias"], layer["stride"])
        if layer["alternating"]:
            small = small * (1 - 2 * (torch.arange(small.shape[-1]) % 2))
        return small.repeat_interleave(layer["enlarged"], 2).repeat_interleave(layer["enlarged"], 3)

    x = case.args["x"].clone()
    if case.name == FRACTION:
        return _refusal(lambda: attempt(convolution, x, case.args["shift"]))
    result = attempt(convolution, x, case.args["shift"])
    as_promised(attempt, result, case.exercise)
    return {**name_outputs(result, case.exercise), "after:x": x}


def no_border_no_error(case: Case, seen: Seen) -> bool:
    return not (case.init["circular"] or case.init["identity"]) or bool(seen["output"].abs() < 1e-4)


TRANSLATION_EQUIVARIANCE_ERROR = Exercise(
    name="translation_equivariance_error",
    notebook="06_inductive_bias",
    points=3,
    stars=2,
    minutes=15,
    reference="solutions.equivariance:translation_equivariance_error",
    cases=equivariance_cases,
    observe=observe_equivariance,
    gradients=False,
    properties=(
        Property(
            "no border, no error",
            "This layer commutes with every cyclic shift, so its error should be 0 up to rounding, and yours is not. Do you "
            "compare the two outputs position by position, after moving the second one?",
            no_border_no_error,
        ),
        REFUSED,
    ),
)


def consistency_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], classes: int, max_shift: int, **more: Any) -> Case:
        dtype = more.pop("dtype", torch.float32)
        init = {
            "weight": draw.normal(shape[1] * shape[2] * shape[3], classes, dtype=dtype),
            "training": False,
            **more,
        }
        images = draw.normal(*shape, shift=0.3, dtype=dtype)
        return Case(name, init=init, args={"images": images, "max_shift": max_shift})

    return [
        case("wide colour images", (9, 3, 4, 6), 3, 3),
        case("tall grey images", (11, 1, 7, 5), 4, 4),
        case("a model in training mode", (8, 2, 5, 6), 3, 4, training=True),
        case("two classes", (13, 2, 6, 5), 2, 2),
        case("no shift at all", (5, 1, 3, 4), 3, 0),
        case(TOO_FAR, (2, 1, 3, 4), 3, 3),
        case("double precision", (7, 2, 6, 7), 5, 3, dtype=DOUBLE),
    ]


class Watched(nn.Module):
    """A linear classifier of pixels, which notes in what mode it is called."""

    def __init__(self, weight: Tensor, training: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.called_in_training = False
        self.train(training)

    def forward(self, images: Tensor) -> Tensor:
        self.called_in_training |= self.training
        return images.flatten(1) @ self.weight  # (B, C H W) @ (C H W, K) -> (B, K)


def observe_consistency(attempt: Any, case: Case) -> Seen:
    """The shares, and in which mode the model was called and is left."""
    model = Watched(**case.init)
    images = case.args["images"].clone()
    written = writes({"images": images})
    if case.name == TOO_FAR:
        return _refusal(lambda: attempt(model, images, case.args["max_shift"]))
    result = attempt(model, images, case.args["max_shift"])
    return {
        **name_outputs(result, case.exercise),
        **written(dict(case.args)),
        "called_in_training": torch.tensor(model.called_in_training),
        "left_in_training": torch.tensor(model.training),
        "after:images": images,
    }


def mode_is_restored(case: Case, seen: Seen) -> bool:
    return bool(seen["left_in_training"]) == case.init["training"]


def starts_at_one(case: Case, seen: Seen) -> bool:
    return bool((seen["output"][0] - 1).abs() < 1e-6)


SHIFT_CONSISTENCY = Exercise(
    name="shift_consistency",
    notebook="06_inductive_bias",
    points=3,
    stars=2,
    minutes=15,
    reference="solutions.equivariance:shift_consistency",
    stand_in="utils.stand_ins.equivariance:shift_consistency",
    cases=consistency_cases,
    observe=observe_consistency,
    gradients=False,
    properties=(
        Property(
            "evaluation mode",
            "Your model is called in training mode, where dropout and batch norm change its answers from call to call. The "
            "lines above yours have put it into evaluation mode; leave it there.",
            lambda case, seen: not seen["called_in_training"],
        ),
        Property(
            "mode restored",
            "The model is not left in the mode in which it came: you return before the last lines can put it back. Give "
            "your result the name `consistency`, and let them return it.",
            mode_is_restored,
        ),
        Property(
            "a shift of 0 changes nothing",
            "With a shift of 0 pixels every image is where it was, so the first number must be 1, and yours is not.",
            starts_at_one,
        ),
        REFUSED,
    ),
)
