"""Calls an attempt on a case and writes down what is seen: outputs, inputs afterwards, gradients. No verdict here.

The observation is a flat dict of tensors, so that it can be compared in another process than the one that ran the student's code.
What cannot be observed (an exception, None, a NumPy array, a missing parameter) becomes a :class:`Problem` with a sentence.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import linecache
import textwrap
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks import again
from utils.checks.attempts import own_codes
from utils.checks.chance import without_chance
from utils.checks.limits import PATIENCE, TimeLimitExceeded, time_limit
from utils.checks.spec import Case, Exercise, Seen
from utils.checks.state import left_behind, own_state, set_own
from utils.checks.words import some
from utils.words import Later, later, say

NOT_STARTED = "not started yet"
ROOM = 240  # characters of a sentence beside which a headline and the name of a case fit into a message
NOT_THOSE = later("The parameters of {name} are not those of the exercise ({parts}).")
ANOTHER_ERROR = later(
    "What is asked for here cannot be done, and the text of the cell says which error to raise. Yours raises {error}, which is another "
    "one: is a line missing that was given?"
)
LACKS = {
    "missing": later("missing"),
    "unexpected": later("unexpected"),
    "wrong shape": later("wrong shape"),
    "twice": later("registered a second time, under another name"),
}


@dataclass(frozen=True)
class Problem:
    """Why an attempt could not be observed.

    Args:
        kind: "not started", "raised", "time", "signature", "parameters", "type", "needs".
        sentence: all that is known.
        trace: their own line, where there is one.
        short: what the student reads, where the sentence is long.
    """

    kind: str
    sentence: str
    trace: str = ""
    short: str = ""

    @property
    def signature(self) -> str:
        """What makes two problems the same, for the diagnosis."""
        return f"{self.kind}: {self.sentence}"


class ObservationError(Exception):
    """Carries a :class:`Problem` out of the observation."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


def observe(attempt: Any, case: Case, *, seconds: float | None = None, seed: int = 0) -> Seen | Problem:
    """Everything seen when `attempt` is called as `case` says, in the check's own session state.

    Args:
        attempt: a function or class.
        case: with `case.exercise` set.
        seconds: limit of the processor's time; default the exercise's.
        seed: of PyTorch's generator before the call.

    Returns:
        the observed tensors (detached; `left:gradients` or `left:dtype` where the attempt changes the session for good), or the problem that prevented it.
    """
    exercise = _exercise(case)
    # A copy: a case is loaded once a session, and an answer that changes its arguments must not spoil it for the next one.
    # The standard observation gives each call its own arguments (`_argument`); an exercise's own may not.
    case = replace(case, init=copy.deepcopy(dict(case.init)))
    if exercise.observe is not None:
        case = replace(case, args=copy.deepcopy(dict(case.args)), kwargs=copy.deepcopy(dict(case.kwargs)))
    look = observe_refusal if case.mode == "refused" else exercise.observe or observe_default
    with own_state(seed):
        try:
            with time_limit(exercise.seconds if seconds is None else seconds):
                seen = dict(look(attempt, case))
                if exercise.kind == "module" and case.mode == "eval":
                    build = partial(_target, attempt, case)
                    sizes = case.name == again.asked_in(exercise)
                    seen.update(again.other_inputs(build, lambda: call_arguments(case), seen, sizes=sizes))
                elif exercise.kind == "function" and exercise.observe is None and case.mode == "eval":
                    seen.update(again.one_example(attempt, lambda: call_arguments(case)))
        except ObservationError as error:
            return error.problem
        except TimeLimitExceeded as error:
            return Problem("time", _too_long(exercise, error.waiting))
        except (Exception, SystemExit) as error:  # the student's own error: it becomes their message
            return _raised(error, attempt, exercise)
        if changed := left_behind():
            seen[f"left:{changed}"] = torch.tensor(True)
    return {name: value.detach() for name, value in seen.items()}


def _too_long(exercise: Exercise, waiting: bool) -> str:
    if waiting:
        return later(
            "{name} had not finished after {seconds:.0f} s, though it used little of the "
            "processor. Does it wait for something (input, sleep, a download)? If this machine is very busy, run the check again.",
            name=exercise.name,
            seconds=max(PATIENCE * exercise.seconds, 60.0),
        )
    return later(
        "Your code computed for {seconds:.0f} s and was stopped. Is there a loop that never ends?",
        seconds=exercise.seconds,
    )


def observe_default(attempt: Any, case: Case) -> Seen:
    """The standard observation: outputs, `after:<arg>`, `same:<arg>`, `buffer:<name>`, `grad:<arg or parameter>`.

    In train mode dropout and stochastic depth leave out the same numbers every time. In eval mode the call is repeated: `again:random` or `again:kept` is there if its result differs. `new:output` is there if
    an exercise promises a new tensor and the result shares an input's memory.

    Raises:
        ObservationError: if the attempt cannot be built, called, or returns the wrong kind of thing.
    """
    exercise = _exercise(case)
    leaves: dict[str, Tensor] = {}
    target = attempt
    module = None
    if exercise.kind == "module":
        module = build_module(attempt, case)
        target = getattr(module, case.method) if case.method else module
        leaves.update({name: p for name, p in module.named_parameters() if p.is_floating_point()})
    args = {name: _argument(name, value, leaves, exercise.gradients) for name, value in case.args.items()}
    kwargs = {name: _argument(name, value, leaves, exercise.gradients) for name, value in case.kwargs.items()}
    originals = {**case.args, **case.kwargs}
    _check_signature(target if module is None or case.method else module.forward, case, exercise.name)
    drawn = torch.default_generator.get_state()
    with without_chance() if case.mode == "train" else contextlib.nullcontext():
        result = target(*args.values(), **kwargs)
    as_promised(target if module is None or case.method else module.forward, result, exercise)
    outputs = name_outputs(result, exercise)
    seen = dict(outputs)
    if changed := left_behind():
        seen[f"left:{changed}"] = torch.tensor(True)
        set_own()  # so that the rest can be looked at
    if exercise.fresh and _shares_memory(outputs, [*args.values(), *kwargs.values()]):
        seen["new:output"] = torch.tensor(True)
    for name, value in {**args, **kwargs}.items():
        if isinstance(value, Tensor):
            seen[f"after:{name}"] = value
        elif isinstance(value, list | dict | set):
            seen[f"same:{name}"] = torch.tensor(_same(value, originals[name]))
    if module is not None and case.mode == "train":
        seen.update({f"buffer:{name}": b for name, b in module.named_buffers() if b.is_floating_point()})
    if exercise.gradients:
        seen.update(gradients(outputs, case, leaves))
    if case.mode == "eval":
        seen.update(again.repeated(target, case, lambda: call_arguments(case), outputs, drawn, name_outputs))
    return seen


def call_arguments(case: Case) -> tuple[list[Any], dict[str, Any]]:
    """Fresh copies of a case's arguments."""
    gradients = _exercise(case).gradients
    args = [_argument(name, value, {}, gradients) for name, value in case.args.items()]
    return args, {name: _argument(name, value, {}, gradients) for name, value in case.kwargs.items()}


def observe_refusal(attempt: Any, case: Case) -> Seen:
    """Whether an error is raised, when the module is built or when it is called.

    Raises:
        ObservationError: an error that is neither a ValueError nor a TypeError. All that stubs promise are of these two kinds.
    """
    try:
        if _exercise(case).kind == "module":
            module = attempt(**case.init)
            target = getattr(module, case.method) if case.method else module
            if case.args:
                args, kwargs = call_arguments(case)
                target(*args, **kwargs)
        else:
            args, kwargs = call_arguments(case)
            attempt(*args, **kwargs)
    except (NotImplementedError, TimeLimitExceeded):
        raise
    except (ValueError, TypeError):
        return {"an error": torch.tensor(True)}
    except Exception as error:
        raise ObservationError(Problem("raised", later(ANOTHER_ERROR, error=type(error).__name__))) from error
    return {"an error": torch.tensor(False)}


def _shares_memory(outputs: dict[str, Tensor], given: list[Any]) -> bool:
    inputs = {value.untyped_storage().data_ptr() for value in given if isinstance(value, Tensor)}
    return any(value.untyped_storage().data_ptr() in inputs for value in outputs.values())


def _target(attempt: Any, case: Case) -> Any:
    module = build_module(attempt, case)
    return getattr(module, case.method) if case.method else module


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


def _exercise(case: Case) -> Exercise:
    if case.exercise is None:
        raise ValueError(f"case {case.name!r} is not bound to an exercise")
    return case.exercise


def _argument(name: str, value: Any, leaves: dict[str, Tensor], wants_gradients: bool) -> Any:
    """A private copy. A float tensor becomes a non-leaf, so that an in-place change is seen rather than refused by autograd."""
    if isinstance(value, Tensor):
        if wants_gradients and value.is_floating_point():
            leaves[name] = value.clone().requires_grad_()
            return leaves[name].clone()
        return value.clone()
    return copy.deepcopy(value)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return isinstance(left, Tensor) and isinstance(right, Tensor) and torch.equal(left, right)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(left == right)


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


def _check_signature(target: Callable[..., Any], case: Case, name: str) -> None:
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


def _raised(error: BaseException, attempt: Any, exercise: Exercise) -> Problem:
    frames: list[tuple[FrameType, int]] = list(traceback.walk_tb(error.__traceback__))
    codes = own_codes(attempt)
    deepest = frames[-1][0].f_code if frames else None
    if isinstance(error, NotImplementedError) and NOT_STARTED in str(error):
        if deepest is not None and deepest not in codes:
            owner = next(
                (name for name in exercise.uses if name in deepest.co_qualname.split(".")),
                deepest.co_qualname.split(".")[0],
            )
            return Problem(
                "needs",
                later(
                    "{name} calls {owner}, which is not started yet. Solve {owner} first.",
                    name=exercise.name,
                    owner=owner,
                ),
            )
        return Problem(
            "not started",
            later(
                "{name} is not started yet: replace the line `raise NotImplementedError(...)` by your code.",
                name=exercise.name,
            ),
        )
    own = [(frame, line) for frame, line in frames if frame.f_code in codes]
    files = {code.co_filename for code in codes}
    own = own or [(frame, line) for frame, line in frames if frame.f_code.co_filename in files]
    trace = ""
    if own:
        frame, line = own[-1]
        text = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()
        trace = (
            later(
                "line {line} of your cell, in {name}:  {text}",
                line=line,
                name=frame.f_code.co_name,
                text=text,
            )
            if text
            else later("in {name}, line {line}", name=frame.f_code.co_name, line=line)
        )
    first = str(error).strip().split("\n")[0]
    whole, short = (_error(error, text) for text in (first[:300], _in_words(first)))
    return Problem("raised", whole, trace, short)


def _error(error: BaseException, text: str) -> Later:
    kind = type(error).__name__
    if not text.rstrip(": "):
        return later("Your code raised {error}", error=kind)
    said = text if isinstance(text, Later) else text.rstrip(": ")
    return later("Your code raised {error}: {text}", error=kind, text=said)


IN_PLACE = later(
    "a value that backward() needs was changed in place. Look for `+=`, `*=`, `x[...] = ` or a method that ends in _, and make a new tensor"
)


def _in_words(message: str) -> str:
    """An error's message, cut between words; autograd's long one about in-place changes in plain words."""
    if "modified by an inplace operation" in message or "a leaf Variable that requires grad" in message:
        return IN_PLACE
    return textwrap.shorten(message, 200, placeholder=" ...")
