"""Makes a module as a case says, with the case's weights, and looks at how an attempt can be called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case
from utils.checks.words import some
from utils.words import Later, later, say

ROOM = 240  # characters of a sentence beside which a headline and the name of a case fit into a message
NOT_THOSE = later("The parameters of {name} are not those of the exercise ({parts}).")
LACKS = {
    "missing": later("missing"),
    "unexpected": later("unexpected"),
    "wrong shape": later("wrong shape"),
    "twice": later("registered a second time, under another name"),
}


def build_module(attempt: Any, case: Case) -> nn.Module:
    """Constructs the attempt, loads the case's weights strictly, sets train or eval mode and the dtype.

    Raises:
        ObservationError: wrong constructor, not a module, or parameters missing, unexpected or of another shape (all are listed).
    """
    name = getattr(attempt, "__name__", "Your class")
    if isinstance(attempt, nn.Module) or not callable(attempt):
        raise ObservationError(
            Problem(
                "type",
                later(
                    "The check needs the class itself: check({name}), without calling it.",
                    name=type(attempt).__name__,
                ),
            )
        )
    _check_constructor(attempt, case, name)
    module = attempt(**case.init)
    if not isinstance(module, nn.Module):
        raise ObservationError(
            Problem(
                "type",
                later(
                    "{name} must be an nn.Module: write `class {name}(nn.Module)` and call `super().__init__()`.",
                    name=name,
                ),
            )
        )
    if case.weights is not None:
        load_strictly(module, dict(case.weights), name)
    return module.train(case.mode == "train")


def _check_constructor(attempt: Any, case: Case, name: str) -> None:
    try:
        signature = inspect.signature(attempt)
    except (TypeError, ValueError):  # compiled code has none: let the call itself tell
        return
    try:
        signature.bind(**case.init)
    except TypeError as error:
        call = ", ".join(f"{key}={value!r}" for key, value in case.init.items())
        sentence = later("{name}({call}) cannot be called: {error}.", name=name, call=call, error=error)
        raise ObservationError(Problem("signature", sentence)) from None


def load_strictly(module: nn.Module, weights: dict[str, Tensor], name: str = "Your module") -> None:
    """Loads `weights`; buffers that hold no trained values (index tables, masks) may differ.

    Raises:
        ObservationError: listing every parameter that is missing, unexpected or has another shape.
    """
    own = dict(module.state_dict())
    parameters = dict(module.named_parameters())
    missing = [key for key in weights if key not in own]
    extra = [key for key in parameters if key not in weights]
    every = dict(module.named_parameters(remove_duplicate=False))
    twice = [key for key in every if key not in weights and key not in parameters]
    shapes: list[str] = [
        later(
            "{name} is {got}, expected {wanted}",
            name=key,
            got=tuple(own[key].shape),
            wanted=tuple(weights[key].shape),
        )
        for key in weights
        if key in own and own[key].shape != weights[key].shape
    ]
    lists = (
        ("missing", missing, ", "),
        ("unexpected", extra, ", "),
        ("wrong shape", shapes, "; "),
        ("twice", twice, ", "),
    )
    if parts := [part for part in lists if part[1]]:
        whole = ". ".join(f"{what}: {comma.join(names)}" for what, names, comma in parts)
        sentence = later(NOT_THOSE, name=name, parts=whole)
        raise ObservationError(Problem("parameters", sentence, short=_brief(name, parts)))
    dtypes = {value.dtype for value in weights.values() if value.is_floating_point()}
    if len(dtypes) == 1:
        module.to(dtypes.pop())
    module.load_state_dict({key: value.clone() for key, value in weights.items()}, strict=False)


def _brief(name: str, parts: list[tuple[str, list[str], str]]) -> Later:
    """Which parameters are not those of the exercise: as many of each kind as a message has room for, one at least."""
    for most in (3, 2, 1):
        said = ". ".join(
            f"{say(LACKS[what])}: {say(some([say(n) for n in names], comma, most))}"
            for what, names, comma in parts
        )
        sentence = later(NOT_THOSE, name=name, parts=said)
        if len(say(sentence)) <= ROOM:
            break
    return sentence


def check_signature(target: Callable[..., Any], case: Case, name: str) -> None:
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):  # a builtin without a signature: let the call itself tell
        return
    try:
        signature.bind(*case.args.values(), **case.kwargs)
    except TypeError:
        wanted = ", ".join([*case.args, *(f"{key}=..." for key in case.kwargs)])
        raise ObservationError(
            Problem(
                "signature",
                later(
                    "{name} is called with ({wanted}), and yours takes {signature}.",
                    name=name,
                    wanted=wanted,
                    signature=signature,
                ),
            )
        ) from None
