"""What an attempt returned: of the promised types, under its names, and the gradients through it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Exercise, Seen
from utils.words import later


def as_promised(target: Callable[..., Any], result: Any, exercise: Exercise) -> None:
    """Looks at the type of what is returned, where the first line of the answer says what it is (`-> Tensor`, `-> tuple[float, float]`).

    Raises:
        ObservationError: a list or a number for a tensor, a tensor for a number.
    """
    said = getattr(inspect.unwrap(target), "__annotations__", {}).get("return")
    said = (said if isinstance(said, str) else getattr(said, "__name__", "")).replace("torch.", "")
    parts = [part.strip() for part in said.removeprefix("tuple[").removesuffix("]").split(",")]
    values = result if isinstance(result, tuple | list) and said.startswith("tuple[") else (result,)
    if len(parts) != len(values):
        return  # another number of values: the next look says so
    for part, value in zip(parts, values, strict=True):
        wrong = {"Tensor": not isinstance(value, Tensor)} | dict.fromkeys(
            ("float", "int"), isinstance(value, Tensor)
        )
        if value is not None and wrong.get(part, False):
            names = {"name": exercise.name, "type": type(value).__name__, "said": said}
            sentence = later("{name} returned a {type}, and its first line says `-> {said}`.", **names)
            if part != "Tensor":
                sentence = later(
                    "{name} returned a {type} (`.item()` makes a number of it), and its first line says `-> {said}`.",
                    **names,
                )
            raise ObservationError(Problem("type", sentence))


def name_outputs(result: Any, exercise: Exercise | None) -> dict[str, Tensor]:
    """The returned values under their names; numbers, strings and lists of numbers become tensors; None is left out of several.

    Raises:
        ObservationError: None, a NumPy array, the wrong number of values, or something that is no tensor.
    """
    assert exercise is not None, "a case belongs to an exercise once its cases are drawn"
    names = exercise.outputs
    if result is None:
        raise ObservationError(
            Problem("type", later("{name} returned None. Is there a `return` missing?", name=exercise.name))
        )
    if len(names) == 1:
        return {names[0]: _tensor(result, names[0], exercise)}
    if not isinstance(result, tuple | list) or len(result) != len(names):
        got = (
            later("{count} values", count=len(result))
            if isinstance(result, tuple | list)
            else later("one {type}", type=type(result).__name__)
        )
        sentence = later(
            "{name} must return {count} values, ({names}), and returned {got}.",
            name=exercise.name,
            count=len(names),
            names=", ".join(names),
            got=got,
        )
        raise ObservationError(Problem("type", sentence))
    return {
        name: _tensor(value, name, exercise)
        for name, value in zip(names, result, strict=True)
        if value is not None
    }


def gradients(outputs: dict[str, Tensor], case: Case, leaves: Mapping[str, Tensor]) -> Seen:
    """Gradients of `sum(output * cotangent)` for the leaves that it reaches, as `grad:<leaf>`.

    Outputs whose shape is not the cotangent's are left out: the comparison says so first.
    """
    terms = [
        (outputs[name] * cotangent.to(outputs[name].dtype)).sum()
        for name, cotangent in case.cotangents.items()
        if name in outputs and outputs[name].shape == cotangent.shape and outputs[name].requires_grad
    ]
    if not terms or not leaves:
        return {}
    found = torch.autograd.grad(torch.stack(terms).sum(), list(leaves.values()), allow_unused=True)
    return {f"grad:{name}": grad for name, grad in zip(leaves, found, strict=True) if grad is not None}


def text_tensor(text: str) -> Tensor:
    """A string as the tensor of its UTF-8 bytes, so that it travels and compares like every other value."""
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def _tensor(value: Any, name: str, exercise: Exercise) -> Tensor:
    if isinstance(value, Tensor):
        if value.device.type != "cpu":
            raise ObservationError(
                Problem(
                    "type",
                    later(
                        "`{name}` is on {device}; the check's inputs are on the CPU. Don't name a device inside the function.",
                        name=name,
                        device=value.device,
                    ),
                )
            )
        return value
    if isinstance(value, bool | int | float):
        return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
    if isinstance(value, str):
        return text_tensor(value)
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:  # np.prod(...) is a number
        return _tensor(value.item(), name, exercise)
    if type(value).__module__ == "numpy":
        raise ObservationError(
            Problem(
                "type",
                later(
                    "`{name}` is a NumPy {type}; return a torch.Tensor (NumPy cuts the gradient).",
                    name=name,
                    type=type(value).__name__,
                ),
            )
        )
    if isinstance(value, list | tuple) and not any(isinstance(item, Tensor) for item in value):
        try:
            return torch.tensor(value)
        except (TypeError, ValueError, RuntimeError):
            pass
    raise ObservationError(
        Problem(
            "type",
            later(
                "`{name}` must be a torch.Tensor, and {exercise} returned a {type}.",
                name=name,
                exercise=exercise.name,
                type=type(value).__name__,
            ),
        )
    )
