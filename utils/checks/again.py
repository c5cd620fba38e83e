"""More calls than the one that is compared: is a result repeated, whatever its input's layout in memory, does a module remember its first call, does
a batch of one keep its axes?

What is asked here compares an answer with itself, so it needs no expected value, and an input that the answer does not take is left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.layouts import Arguments, strewn
from utils.checks.limits import TimeLimitExceeded
from utils.checks.spec import Case, Exercise, Seen

Fresh = Callable[[], Arguments]
NOTHING: Arguments = ([], {})


def repeated(
    target: Callable[..., Any],
    case: Case,
    fresh: Fresh,
    outputs: dict[str, Tensor],
    drawn: Tensor,
    named: Callable[[Any, Exercise | None], dict[str, Tensor]],
) -> Seen:
    """Whether an equal call gives an equal result: a note if not. The generator stands elsewhere, so that what is drawn shows.

    The equal call's numbers are laid out otherwise in memory; only where that one differs is there a call with the same layout, too.

    Args:
        target: what was called.
        case: how.
        fresh: gives new copies of the arguments.
        outputs: what it gave.
        drawn: the generator's state before that call.
        named: reads a result, as `outputs.name_outputs` does.
    """

    def differs(given: Arguments) -> bool:
        args, kwargs = given
        again = named(target(*args, **kwargs), case.exercise)
        return again.keys() != outputs.keys() or not all(
            _alike(again[name], value) for name, value in outputs.items()
        )

    def laid_out_otherwise() -> bool:
        try:
            return differs(strewn(fresh()))
        except TimeLimitExceeded:
            raise
        except Exception:
            return True

    torch.default_generator.manual_seed(1)
    if not laid_out_otherwise():
        return {}
    torch.default_generator.manual_seed(1)
    if not differs(fresh()):
        return {"again:layout": torch.tensor(True)}
    torch.default_generator.set_state(drawn)
    return {"again:kept" if differs(fresh()) else "again:random": torch.tensor(True)}


def writes(given: dict[str, Any]) -> Callable[[dict[str, Any]], Seen]:
    """Call before an answer; what is returned, with the numbers that they had, after it: a note where one was written to and put back.

    A tensor counts what is written into it. An expanded or shared one would not have come out of it as it was.
    """
    before = {name: value._version for name, value in given.items() if isinstance(value, Tensor)}

    def found(originals: dict[str, Any]) -> Seen:
        changed = [name for name, version in before.items() if given[name]._version != version]
        if any(torch.equal(given[name], originals[name]) for name in changed):
            return {"written:input": torch.tensor(True)}
        return {}

    return found


@cache
def asked_in(exercise: Exercise) -> str:
    """The case in which a module is given inputs of other sizes: one of them is enough, and calls cost time."""
    cases = [case for case in exercise.draw(0) if case.mode == "eval"]
    several = [case for case in cases if _cut(([*case.args.values()], {}), 1)]
    return (several or cases)[0].name if cases else ""


def other_inputs(
    build: Callable[[], Callable[..., Any]], arguments: Fresh, seen: Seen, *, sizes: bool
) -> Seen:
    """Calls a module, then it and a new one with other inputs: whatever the new one takes, both must answer alike.

    Args:
        build: makes the module, or a method of it, with the case's weights.
        arguments: gives new copies of the case's arguments.
        seen: notes of earlier questions: where a result is random, or kept already, nothing is asked.
        sizes: also inputs of other sizes, and a batch of one.
    """
    if seen.keys() & {"again:kept", "again:random"}:
        return {}
    with torch.no_grad():
        used = _called(build, NOTHING)  # a check that builds its modules in another way asks by itself
        first = None if used is None else flat(_called(used, arguments()))
        if first is None:
            return {}
        if sizes and _hangs_on_layout(used, arguments, first):
            return {"again:layout": torch.tensor(True)}
        others = [*_others(arguments)][: None if sizes else 1]
        for given in [*others, *_left_out(used, arguments)]:
            wanted = flat(_called(build(), given()))
            if wanted is None:
                continue
            got = flat(_called(used, given()))
            if not _same(wanted, got):
                return {"again:kept": torch.tensor(True)}
        if sizes and not _reads_its_weights(build, used, arguments):
            return {"again:kept": torch.tensor(True)}
    return one_example(used, arguments) if sizes else {}


def _hangs_on_layout(used: Callable[..., Any], arguments: Fresh, first: list[Tensor]) -> bool:
    otherwise, alike = (flat(_called(used, given)) for given in (strewn(arguments()), arguments()))
    return not _same(first, otherwise) and _same(
        first, alike
    )  # else it is something kept, which is asked next


def _reads_its_weights(
    build: Callable[[], Callable[..., Any]], used: Callable[..., Any], arguments: Fresh
) -> bool:
    """Whether a module that was called answers as a new one does once both have other weights, as after a step of training."""
    new = build()
    for target in (used, new):
        module = getattr(target, "__self__", target)  # of a method
        for weight in module.parameters() if isinstance(module, nn.Module) else ():
            weight.mul_(0.8)
    wanted, got = (flat(_called(target, arguments())) for target in (new, used))
    return wanted is None or _same(wanted, got)


def one_example(target: Callable[..., Any], arguments: Fresh) -> Seen:
    """Whether a batch of one gives results with fewer axes than a larger batch: a note if so."""
    given = _cut(arguments(), 1)
    if given is None:
        return {}
    with torch.no_grad():
        many, one = (flat(_called(target, each)) or [] for each in (arguments(), given))
    if len(many) == len(one) and any(a.ndim > b.ndim for a, b in zip(many, one, strict=True)):
        return {"one:axes": torch.tensor(True)}
    return {}


def _others(arguments: Fresh) -> Iterator[Fresh]:
    """Other inputs: other values, fewer examples, longer and larger ones."""

    def changed(change: Callable[[Tensor], Tensor], numbers: bool = True) -> Fresh:
        def given() -> Arguments:
            args, kwargs = arguments()

            def of(value: Any) -> Any:
                return (
                    change(value)
                    if isinstance(value, Tensor) and value.is_floating_point() == numbers
                    else value
                )

            return [of(value) for value in args], {name: of(value) for name, value in kwargs.items()}

        return given

    yield changed(lambda x: 0.7 * x.detach().flip(0) + 0.2 if x.ndim else x.detach())
    if _cut(arguments(), 1):
        yield lambda: _cut(arguments(), 1) or arguments()
    for axis in (1, 2, 3):  # tokens; rows and columns, in either order of the axes
        yield changed(partial(_lengthened, axis=axis))
    yield changed(lambda x: torch.cat([x, x], 1) if x.ndim == 2 else x, numbers=False)  # indices of words


def _left_out(target: Callable[..., Any], arguments: Fresh) -> Iterator[Fresh]:
    """The call without what may be left out, if anything of it was given: a mask of the call before is no mask of this one."""
    called = target.forward if isinstance(target, nn.Module) else target
    try:
        free = [parameter.default is None for parameter in inspect.signature(called).parameters.values()]
    except (ValueError, TypeError):  # compiled: it does not say what it takes
        return

    def given() -> Arguments:
        args, kwargs = arguments()
        return [None if may else value for value, may in zip(args, free, strict=False)], kwargs

    if any(may and isinstance(value, Tensor) for value, may in zip(arguments()[0], free, strict=False)):
        yield given


def _lengthened(x: Tensor, axis: int) -> Tensor:
    return torch.cat([x, x], axis).detach() if 2 < x.ndim > axis else x.detach()


def _cut(given: Arguments, examples: int) -> Arguments | None:
    """The first examples alone, of every tensor that has as many as the first one; None if that one has no more."""
    args, kwargs = given
    first = next((value for value in args if isinstance(value, Tensor) and value.ndim), None)
    if first is None or len(first) <= examples:
        return None
    batch = len(first)

    def of(value: Any) -> Any:
        return value[:examples] if isinstance(value, Tensor) and value.ndim and len(value) == batch else value

    return [of(value) for value in args], {name: of(value) for name, value in kwargs.items()}


def _called(target: Callable[..., Any], given: Arguments) -> Any:
    """The result, or None where the answer does not take this."""
    args, kwargs = given
    try:
        return target(*args, **kwargs)
    except TimeLimitExceeded:
        raise
    except Exception:
        return None


def flat(result: Any) -> list[Tensor] | None:
    """All tensors of a result, however nested; None if there is none."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list):
        return [tensor for part in result for tensor in flat(part) or []] or None
    return None


def _same(wanted: list[Tensor], got: list[Tensor] | None) -> bool:
    return got is not None and len(got) == len(wanted) and all(map(_alike, got, wanted))


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(
        one.double(), other.double(), rtol=1e-3, atol=1e-4, equal_nan=True
    )
