"""How wrong values are related to the right ones: the same numbers at other places, a factor, a square, an input too many.

Asked only after a check has failed and no known mistake fits. What is said was computed; where nothing fits, nothing is said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

from utils.checks.compare import Finding, differs, rounded
from utils.checks.fixtures import Fixture
from utils.checks.problems import Problem
from utils.checks.spec import Case, Exercise, Seen
from utils.words import Later, later

LARGEST = 20_000  # values of a result that is searched
EVIDENCE = 6  # values that a single case must have; with fewer, two cases must agree
CASES = 4  # wrong cases that are looked at
Found = tuple[Hashable, Later]


def relation(fixture: Fixture, findings: list[Finding | None], outcomes: list[Seen | Problem]) -> str:
    """What the wrong values are, in terms of the right ones: of all wrong cases, or of the first one, or "".

    Args:
        fixture: the cases and what is expected.
        findings: what is wrong in each case.
        outcomes: what was seen in each case.
    """
    exercise = fixture.exercise
    wrong = [
        i
        for i, finding in enumerate(findings)
        if finding is not None and finding.kind in ("value", "property")
    ]
    if not wrong or findings.index(next(f for f in findings if f is not None)) != wrong[0]:
        return ""
    first, *others = wrong[:CASES]
    if said := _exchanged(exercise, fixture.expected[first], outcomes[first]):
        return said
    for key in exercise.outputs:
        tried = ((i, _pair(exercise, key, fixture.expected[i], outcomes[i])) for i in (first, *others))
        pairs = {i: pair for i, pair in tried if pair is not None}
        found = dict(_found(exercise, fixture.cases[first], *pairs[first])) if first in pairs else {}
        if findings[first].kind == "property":  # type: ignore[union-attr]
            found = _beside_a_property(found)
        if not found:
            continue
        rest = [i for i in others if i in pairs]
        agree = [dict(_found(exercise, fixture.cases[i], *pairs[i])).keys() for i in rest]
        everywhere = [name for name in found if all(name in each for each in agree)]
        enough = pairs[first][0].numel() >= EVIDENCE
        if everywhere and (rest or enough and None not in findings):
            return found[everywhere[0]]
        if enough:
            what = next(iter(found.values()))
            return later("In the case `{case}`: {what}", case=fixture.cases[first].name, what=what)
    return ""


def _pair(exercise: Exercise, key: str, expected: Seen, seen: Seen | Problem) -> tuple[Tensor, Tensor] | None:
    """What is expected and what was got under a name, as doubles, where they differ and can be compared."""
    if isinstance(seen, Problem) or key not in expected or key not in seen:
        return None
    right, got = expected[key].detach(), seen[key].detach()
    if right.shape != got.shape or right.dtype != got.dtype or not 0 < right.numel() <= LARGEST:
        return None
    if right.dtype == torch.uint8 or not (right.isfinite().all() and got.isfinite().all()):
        return None
    return (right, got) if differs(exercise, right, got) else None


def _beside_a_property(found: dict[Hashable, Later]) -> dict[Hashable, Later]:
    """What is worth saying before a property's own sentence, which is about the matter itself."""
    return {
        name: what
        for name, what in found.items()
        if name != "elsewhere" and not (isinstance(name, tuple) and name[0] == "plus")
    }


def _exchanged(exercise: Exercise, expected: Seen, seen: Seen | Problem) -> str:
    """One result that is what another one should be."""
    if isinstance(seen, Problem):
        return ""
    for got, wanted in itertools.permutations(
        [key for key in exercise.outputs if key in expected and key in seen], 2
    ):
        value, other = seen[got], expected[wanted]
        if (
            value.shape != other.shape
            or value.dtype != other.dtype
            or float(other.double().abs().max()) in (0.0, 1.0)
        ):
            continue
        if differs(exercise, other, value) or not differs(exercise, expected[got], value):
            continue
        if differs(exercise, other, seen[wanted]):
            return later(
                "Your `{got}` is what `{wanted}` should be. Return ({names}), in this order.",
                got=got,
                wanted=wanted,
                names=", ".join(exercise.outputs),
            )
    return ""


def _found(exercise: Exercise, case: Case, right: Tensor, got: Tensor) -> Iterator[Found]:
    """All that holds between what is expected and what was got, the most telling first."""
    if right.dtype == torch.bool:
        if torch.equal(right, ~got) and right.any() and not right.all():
            yield "not", later("Your values are right the other way round: true and false are exchanged.")
        yield from _elsewhere(exercise, case, right, got)
        return
    if said := rounded(right, got):
        yield "float32", said
        return
    yield from _arithmetic(exercise, case, right.double(), got.double())
    if right.ndim:
        yield from _elsewhere(exercise, case, right, got)


def _arithmetic(exercise: Exercise, case: Case, right: Tensor, got: Tensor) -> Iterator[Found]:
    def is_it(value: Tensor) -> bool:
        return not differs(exercise, value.float(), got.float())

    largest = right.abs().max()
    if largest < 1e-3 or got.abs().max() < 1e-6:
        return
    if is_it(-right):
        yield "sign", later("Your values are the right ones with the other sign.")
        return
    ratio = float((got * right).sum() / (right * right).sum())
    if abs(ratio) > 1e-3 and abs(ratio - 1) > 1e-4 and is_it(ratio * right):
        yield from _factor(case, ratio)
    if right.min() >= 0 and got.min() >= 0 and not is_it(ratio * right):
        if is_it(right**2):
            yield "square", later("Each of your values is the square of the right one: is a root left out?")
        if is_it(right.sqrt()):
            yield (
                "root",
                later("Each of your values is the square root of the right one: is a root taken too often?"),
            )
    shift = float((got - right).mean())
    if abs(shift) > 1e-3 and is_it(right + shift):
        yield (
            ("plus", round(shift, 4)),
            later("Each of your values is the right one plus {number}.", number=f"{shift:.4g}"),
        )
    for name, given in _inputs(case, right):
        if is_it(right + given):
            yield (
                ("and", name),
                later(
                    "Your result is the right one plus `{name}`: `{name}` is added once too often.", name=name
                ),
            )
        if is_it(right - given):
            yield (
                ("without", name),
                later("Your result is the right one minus `{name}`: add `{name}` to it.", name=name),
            )
        for called, change in FUNCTIONS.items():
            # where a part has no say (a softmax of very large numbers), any sum would fit
            both = right.ndim > 1 and not is_it(change(given)) and not is_it(change(right))
            if both and (is_it(change(right + given)) or is_it(change(right) + given)):
                yield (
                    (called, name),
                    later(
                        "Your result is the right one with {function} and with `{name}` added: neither of the two is asked.",
                        function=called,
                        name=name,
                    ),
                )
    for called, change in FUNCTIONS.items():
        if right.ndim > 1 and is_it(change(right)):
            yield (
                called,
                later(
                    "Your result is {function} of the right one: this last step is too much.", function=called
                ),
            )


FUNCTIONS = {
    "`relu`": torch.relu,
    "`gelu`": torch.nn.functional.gelu,
    "`tanh`": torch.tanh,
    "`sigmoid`": torch.sigmoid,
    "`softmax(-1)`": lambda x: x.softmax(-1),
    "`log_softmax(-1)`": lambda x: x.log_softmax(-1),
}


def _inputs(case: Case, right: Tensor) -> Iterator[tuple[str, Tensor]]:
    for name, given in {**case.args, **case.kwargs}.items():
        if (
            isinstance(given, Tensor)
            and given.is_floating_point()
            and given.shape == right.shape
            and given.any()
        ):
            yield name, given.double()


def _factor(case: Case, ratio: float) -> Iterator[Found]:
    """A constant factor: as a number, or as the size of an axis of an input, which differs from case to case."""
    near = Fraction(ratio).limit_denominator(24)
    exact = abs(float(near) - ratio) < 1e-4 * abs(ratio)
    number = str(near) if exact and abs(near.numerator) <= 24 else f"{ratio:.4g}"
    yield ("times", number), later("Each of your values is {ratio} times the right one.", ratio=number)
    for name, given in {**case.args, **case.kwargs}.items():
        if not isinstance(given, Tensor):
            continue
        for axis, size in enumerate(given.shape):
            for times, value in (
                ("{size}", size),
                ("1/{size}", 1 / size),
                ("the root of {size}", math.sqrt(size)),
                ("1 / the root of {size}", 1 / math.sqrt(size)),
            ):
                if size > 1 and abs(ratio - value) < 1e-4 * value:
                    yield (
                        (times, name, axis),
                        later(
                            "Each of your values is {ratio} times the right one; {size} is the size of `{name}` along axis {axis}. Is a sum "
                            "taken for a mean, or a division left out or done twice?",
                            ratio=number,
                            size=size,
                            name=name,
                            axis=axis,
                        ),
                    )


def _elsewhere(exercise: Exercise, case: Case, right: Tensor, got: Tensor) -> Iterator[Found]:
    """The same numbers at other places."""
    few = right.double().flatten().unique().numel()
    if right.numel() < EVIDENCE or few < (2 if right.dtype == torch.bool else EVIDENCE):
        return
    if not _near(
        right.double().flatten().sort()[0], got.double().flatten().sort()[0], _slack(exercise, right)
    ):
        return
    if _near(right.double(), got.double(), 10 * _slack(exercise, right)):
        return  # nearly right, each in its place: another fault

    def is_it(value: Tensor) -> bool:
        return _near(value.double(), got.double(), _slack(exercise, right))

    telling = few >= EVIDENCE
    for name, given in {**case.args, **case.kwargs}.items():
        if isinstance(given, Tensor) and given.shape == got.shape and torch.equal(given, got) and telling:
            yield ("unchanged", name), later("Your result is `{name}`, unchanged.", name=name)
            return
        if (
            isinstance(given, Tensor)
            and given.numel() == got.numel()
            and is_it(given.reshape(got.shape))
            and telling
        ):
            yield (
                ("as they lie", name),
                later(
                    "Your result has the numbers of `{name}` in the order in which they lie in memory: `reshape` and `view` alone move "
                    "nothing. Exchange axes first (`permute`, `transpose`), then join them.",
                    name=name,
                ),
            )
    for axis in range(right.ndim):
        if right.shape[axis] > 1 and is_it(right.flip(axis)):
            yield (
                ("reversed", axis),
                later("Your values are right and stand in reverse order along axis {axis}.", axis=axis),
            )
        elif telling and (order := _order(right, got, axis, is_it)):
            yield (
                ("ordered", axis),
                later(
                    "Your values are right and stand in another order along axis {axis}: where {first} are expected, yours are {order}.",
                    axis=axis,
                    first=list(range(min(len(order), 8))),
                    order=order[:8],
                ),
            )
    for order in map(list, itertools.permutations(range(right.ndim)) if 1 < right.ndim <= 5 else ()):
        moved = right.permute(order)
        if order == sorted(order) or not is_it(moved.reshape(right.shape)):
            continue
        changed = [axis for axis, other in enumerate(order) if axis != other]
        if moved.shape == right.shape and len(changed) == 2:
            yield (
                ("axes", *order),
                later(
                    "Your values are right and stand at other places: axes {one} and {other} are exchanged.",
                    one=changed[0],
                    other=changed[1],
                ),
            )
        elif telling:
            yield (
                ("read", *order),
                later(
                    "Your values are right and stand at other places: they lie as if the axes came in the order {order}. `reshape` "
                    "and `view` move nothing: use `permute` or `transpose`.",
                    order=order,
                ),
            )
    if telling:
        yield (
            "elsewhere",
            later(
                "Your values are all right, but some stand at other places: are two axes, or rows and columns, exchanged, or a "
                "`reshape` done in place of a `permute`?"
            ),
        )


def _order(right: Tensor, got: Tensor, axis: int, is_it) -> list[int]:  # noqa: ANN001 - a predicate
    """The order in which the slices along an axis come, if they are all there; else []."""
    size = right.shape[axis]
    if not 1 < size <= 64 or right.numel() // size < 2:
        return []
    left, other = (value.double().movedim(axis, 0).reshape(size, -1) for value in (right, got))
    order = torch.cdist(other, left).argmin(1)
    if order.unique().numel() < size or not is_it(right.index_select(axis, order)):
        return []
    moved = order.tolist()
    return [] if moved == list(range(size)) else moved  # nearly right and in its place: another fault


def _slack(exercise: Exercise, right: Tensor) -> float:
    return 0.0 if not right.is_floating_point() else exercise.atol + exercise.rtol * float(right.abs().mean())


def _near(left: Tensor, right: Tensor, slack: float) -> bool:
    return left.shape == right.shape and bool(((left - right).abs() <= slack).all())
