"""Which part of a module is the first that gets something else than it should: attempt and library's version side by side.

Both have the same weights under the same names, so their parts can be watched in pairs. Asked only after a check has failed and nothing
else is known. Parts that only one of the two calls, or that get their numbers in another layout, say nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks import again, chance
from utils.checks.building import build_module
from utils.checks.compare import Finding
from utils.checks.fixtures import Fixture
from utils.checks.limits import time_limit
from utils.checks.observe import call_arguments
from utils.checks.spec import Case
from utils.checks.state import own_state
from utils.words import Later, later

TOLERANCE = 1e-4  # share of the largest value; a part's input that is off by less is called right
EXACT = 1e-5  # the same, where all parts are to be right


@dataclass
class Watched:
    """What happened in one call: all parts with weights; per part that was called its first input and its result in each of its calls, in the order of first calls; where
    dropout acted; what the whole gave."""

    names: set[str] = field(default_factory=set)
    parts: dict[str, list[Tensor]] = field(default_factory=dict)
    results: dict[str, list[Tensor]] = field(default_factory=dict)
    dropped: list[tuple[int, ...]] = field(default_factory=list)
    result: list[Tensor] = field(default_factory=list)


def part(fixture: Fixture, attempt: Any, findings: list[Finding | None]) -> str:
    """The first part that gets something else than it should, or the wrong number of dropouts in training; "" if unknown.

    Args:
        fixture: its cases.
        attempt: the class.
        findings: what is wrong in each case.
    """
    from utils.checks.chain import stand_in

    exercise = fixture.exercise
    index = next((i for i, finding in enumerate(findings) if finding is not None), -1)
    if exercise.kind != "module" or not exercise.stand_in or index < 0 or findings[index].kind != "value":  # type: ignore[union-attr]
        return ""
    case = fixture.cases[index]
    try:
        got, right = watched(attempt, case), watched(stand_in(exercise), case)
    except Exception:  # whatever a call without the check's own preparations raises: then nothing is said
        return ""
    if training_only(fixture, findings) and (said := dropouts(got, right)):
        return said
    return difference(stand_in(exercise), case, got, right)


def watched(kind: Any, case: Case, given_to: dict[str, list[Tensor]] | None = None) -> Watched:
    """Calls a module as a case says, and watches its parts.

    Args:
        kind: the class.
        case: how.
        given_to: what a part gets in place of its own input, call by call.
    """
    seen = Watched()
    others = {name: iter(values) for name, values in (given_to or {}).items()}

    def hook(name: str) -> Callable[..., Any]:
        def note(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            if not given or not isinstance(given[0], Tensor):
                return None
            seen.parts.setdefault(name, []).append(given[0].detach().clone())
            return ((next(others[name]), *given[1:]), named) if name in others else None

        return note

    def after(name: str) -> Callable[..., None]:
        def note(_: nn.Module, given: tuple[Any, ...], result: Any) -> None:
            if name in seen.parts:
                seen.results.setdefault(name, []).extend(
                    one.detach().clone() for one in (again.flat(result) or [])[:1]
                )

        return note

    with own_state(0), time_limit(2.0), torch.no_grad():
        module = build_module(kind, case)
        for name, inner in module.named_modules():
            if name and any(True for _ in inner.parameters()):
                if not isinstance(inner, nn.ModuleList | nn.ModuleDict | nn.ParameterList):
                    seen.names.add(name)
                inner.register_forward_pre_hook(hook(name), with_kwargs=True)
                inner.register_forward_hook(after(name))
        args, kwargs = call_arguments(case)
        with (
            chance.without_chance() if case.mode == "train" else contextlib.nullcontext(),
            chance.noted() as acted,
        ):
            result = (getattr(module, case.method) if case.method else module)(*args, **kwargs)
    seen.result = again.flat(result) or []
    seen.dropped = acted
    return seen


def training_only(fixture: Fixture, findings: list[Finding | None]) -> bool:
    """Whether all that is wrong is wrong in training mode, while evaluation was looked at and is right."""
    pairs = [
        (case.mode == "train", finding is None) for case, finding in zip(fixture.cases, findings, strict=True)
    ]
    return all(train or right for train, right in pairs) and any(not train for train, _ in pairs)


def dropouts(got: Watched, right: Watched) -> str:
    """How often dropout acts, where that differs."""
    mine, wanted = len(got.dropped), len(right.dropped)
    numbers = [sum(map(math.prod, one.dropped)) for one in (got, right)]
    if numbers[0] == numbers[1]:  # the same numbers, in several calls or in one
        return ""
    if mine == wanted:
        one, other = next(pair for pair in zip(got.dropped, right.dropped, strict=True) if pair[0] != pair[1])
        return later(
            "In evaluation mode all is right. In training mode dropout acts on shape {got} in yours, and on shape {wanted} in the "
            "course's own version.",
            got=one,
            wanted=other,
        )
    if not mine:
        return later(
            "In evaluation mode all is right. In training mode no dropout is seen in yours. Is it missing? If you draw zeros by hand (`torch.rand`, "
            "`bernoulli`), use `self.dropout` or `F.dropout`: those the check can follow."
        )
    return later(
        "In evaluation mode all is right. In training mode the number of places where dropout acts is {got} in yours, and {wanted} in "
        "the course's own version.",
        got=mine,
        wanted=wanted,
    )


def difference(library: Any, case: Case, got: Watched, right: Watched) -> str:
    """The first part whose input differs, in the order in which the parts are to be called; it counts if the library's version with
    that input gives another result, which padding does not, for one. Else the part whose result differs, or what comes after all parts.
    """
    before: list[str] = []
    for name, wanted in right.parts.items():
        mine = got.parts.get(name)
        if mine is None or [x.shape for x in mine] != [x.shape for x in wanted]:
            if mine is not None and len(mine) != len(wanted):
                return ""  # called in another way, so that nothing can be said of what comes after it
            continue
        wrong = [one for one, other in zip(mine, wanted, strict=True) if not _alike(one, other)]
        if wrong and all(map(_same_examples, mine, wanted)):
            return ""  # sorted, say by length, and perhaps put back later
        if wrong and not all(map(_alike, watched(library, case, {name: mine}).result, right.result)):
            maker = _gives_another(before, got, right, inside=name)
            return _made_otherwise(maker) if maker else _said(name, wrong[0], case)
        before.append(name)
    if maker := _gives_another(before, got, right):
        return _made_otherwise(maker)
    last = list(right.parts)[-1:]
    if right.names != set(before) or not last or not all(_same_calls(name, got, right) for name in before):
        return ""
    return later(
        "All parts, up to `{name}`, get what they should and give what they should: what is done with the results is wrong.",
        name=last[0],
    )


def _gives_another(names: list[str], got: Watched, right: Watched, inside: str = "") -> str:
    """The first of these parts that gives another result, though what it gets is right, and whose own parts do not."""
    wrong = [
        name for name in names if not _same_results(name, got, right) and not inside.startswith(f"{name}.")
    ]
    return next((one for one in wrong if not any(other.startswith(f"{one}.") for other in wrong)), "")


def _same_results(name: str, got: Watched, right: Watched, tolerance: float | None = None) -> bool:
    mine, wanted = got.results.get(name, []), right.results.get(name, [])
    if [x.shape for x in mine] != [x.shape for x in wanted]:
        return tolerance is None  # in another layout, so that nothing can be said
    return all(_alike(a, b, tolerance or TOLERANCE) for a, b in zip(mine, wanted, strict=True))


def _same_calls(name: str, got: Watched, right: Watched) -> bool:
    inputs = all(_alike(a, b, EXACT) for a, b in zip(got.parts[name], right.parts[name], strict=True))
    return inputs and _same_results(name, got, right, EXACT)


def _made_otherwise(name: str) -> Later:
    return later(
        "`{name}` gets the right values as its first input and gives another result: look at its other inputs, and at how it is made.",
        name=name,
    )


def _said(name: str, mine: Tensor, case: Case) -> Later:
    for given, value in {**case.args, **case.kwargs}.items():
        if isinstance(value, Tensor) and value.shape == mine.shape and _alike(mine, value):
            return later(
                "`{name}` should get other values: yours gives it `{given}`, as it came in. What was to be done before is left out.",
                name=name,
                given=given,
            )
    return later(
        "`{name}` gets other values than it should: look at what is done before its call.", name=name
    )


def _same_examples(one: Tensor, other: Tensor) -> bool:
    """Whether two batches hold the same examples, in whatever order."""
    if one.shape != other.shape or one.ndim < 2:
        return False
    found = [[_alike(mine, wanted) for wanted in other] for mine in one]
    return all(map(any, found)) and all(map(any, zip(*found, strict=True)))


def _alike(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype == torch.bool or not one.numel():
        return torch.equal(one, other.to(one.dtype))
    left, right = one.double().nan_to_num(), other.double().nan_to_num()
    return bool(((left - right).abs() <= tolerance * right.abs().max() + 1e-6).all())
