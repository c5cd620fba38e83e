"""Calls an attempt on a case and writes down what is seen: outputs, inputs afterwards, gradients. No verdict here.

The observation is a flat dict of tensors, so that it can be compared in another process than the one that ran the student's code.
What cannot be observed (an exception, None, a NumPy array, a missing parameter) becomes a :class:`Problem` with a sentence.
"""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from utils.checks import again
from utils.checks.building import build_module, check_signature
from utils.checks.chance import without_chance
from utils.checks.limits import PATIENCE, TimeLimitExceeded, time_limit
from utils.checks.outputs import as_promised, gradients, name_outputs
from utils.checks.problems import ObservationError, Problem, raised
from utils.checks.spec import Case, Exercise, Seen
from utils.checks.state import left_behind, own_state, set_own
from utils.words import later

ANOTHER_ERROR = later(
    "What is asked for here cannot be done, and the text of the cell says which error to raise. Yours raises {error}, which is another "
    "one: is a line missing that was given?"
)


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
                # In training an exercise's own further calls meet no chance either: else a stray dropout looks like another fault.
                with without_chance() if case.mode == "train" else contextlib.nullcontext():
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
            return raised(error, attempt, exercise)
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
    check_signature(target if module is None or case.method else module.forward, case, exercise.name)
    drawn = torch.default_generator.get_state()
    written = again.writes({**args, **kwargs})
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
    seen.update(written(originals))
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
