"""Compares what was seen with what the reference gives, and says the first thing that is wrong, in words."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from utils.checks import words
from utils.checks.spec import Case, Exercise, Seen
from utils.words import Later, later

# What an observation holds beside outputs, by the beginning of its key. Notes are there only if something is wrong.
NOTES = tuple(sorted({key.partition(":")[0] + ":" for key in words.NOTES}))
PREFIXES = ("after:", "same:", "buffer:", "grad:", *NOTES)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in one case.

    Args:
        kind: "missing", "shape", "dtype", "nan", "changed input", "again", "property", "value", "buffer", "gradient", "problem".
        sentence: what is wrong.
        details: further lines: shapes, the largest difference and where.
    """

    kind: str
    sentence: str
    details: tuple[str, ...] = field(default=())


def compare(exercise: Exercise, case: Case, expected: Seen, seen: Seen) -> Finding | None:
    """The first finding, or None if all is right.

    Order: outputs' shape, dtype and finiteness; inputs unchanged; the same result once more, nothing left behind; properties; values;
    buffers; gradients.
    """
    outputs = [key for key in expected if not key.startswith(PREFIXES)]
    for key in outputs:
        if finding := _form(key, expected[key], seen.get(key), _is_inner(exercise, key)):
            looked_for = key not in seen and _is_inner(
                exercise, key
            )  # why it is not there, a property may know
            return (looked_for and _broken(exercise, case, seen)) or finding
    for key in (key for key in exercise.outputs if key in seen and key not in expected):
        return Finding("missing", later("`{name}` should be None here, and yours is a tensor.", name=key))
    for key in (key for key in expected if key.startswith(("after:", "same:"))):
        if finding := _unchanged(key, expected[key], seen.get(key)):
            return finding
    for key in words.NOTES:
        if key in seen and key not in expected:
            return Finding("again", words.NOTES[key])
    if finding := _broken(exercise, case, seen):
        return finding
    for key in outputs:
        if finding := _values(exercise, key, expected[key], seen[key]):
            return finding
    for key in (key for key in expected if key.startswith("buffer:")):
        name = key.removeprefix("buffer:")
        if key not in seen:
            missing = later("The buffer `{name}` is missing after a call in train mode.", name=name)
            return Finding("buffer", missing)
        if off := differs(exercise, expected[key], seen[key]):
            wrong = later("The buffer `{name}` is wrong after a call in train mode.", name=name)
            return Finding("buffer", wrong, off)
    return _gradients(exercise, expected, seen)


def _broken(exercise: Exercise, case: Case, seen: Seen) -> Finding | None:
    for prop in exercise.properties:
        if not property_holds(prop.holds, case, seen):
            return Finding("property", prop.sentence)
    return None


def property_holds(holds, case: Case, seen: Seen) -> bool:  # noqa: ANN001 - a predicate of any kind
    """Whether a property holds; one that asks for a key that was not seen is not asked.

    A predicate that cannot be evaluated on the attempt's values (wrong shape inside) does not hold.
    """
    try:
        return bool(holds(case, seen))
    except KeyError:
        return True
    except (RuntimeError, IndexError, ValueError, TypeError):
        return False


def _is_inner(exercise: Exercise, key: str) -> bool:
    """Whether a key is no name of a returned value, but words for what else a check looks at."""
    return key not in exercise.outputs or " " in key


def _form(key: str, expected: Tensor, got: Tensor | None, inner: bool) -> Finding | None:
    """Wrong shape, dtype or NaN. What is no returned value (`inner`) is never shown under the name that the check has for it."""
    if got is None:
        return Finding("missing", words.inner(key) if inner else later("`{name}` is missing.", name=key))
    if inner and (got.shape != expected.shape or got.dtype != expected.dtype or bool(got.isnan().any())):
        return Finding("value", words.inner(key), words.compared(expected, got))
    if got.shape != expected.shape:
        return Finding(
            "shape",
            later("`{name}` has the wrong shape.", name=key),
            (
                later("expected shape {shape}", shape=tuple(expected.shape)),
                later("got shape      {shape}", shape=tuple(got.shape)),
                *_hint_shape(expected, got),
            ),
        )
    loose = expected.ndim == 0 and expected.is_floating_point() and got.is_floating_point()
    if got.dtype != expected.dtype and not loose:
        return Finding(
            "dtype",
            later(
                "`{name}` has dtype {got}, expected {wanted}.",
                name=key,
                got=words.dtype(got),
                wanted=words.dtype(expected),
            ),
            _hint_dtype(expected, got),
        )
    if got.is_floating_point():
        bad = got.isnan() & ~expected.isnan()
        if bad.any():
            where = tuple(bad.nonzero()[0].tolist())
            return Finding(
                "nan",
                later(
                    "`{name}` contains NaN ({count} of {total} values).",
                    name=key,
                    count=int(bad.sum()),
                    total=bad.numel(),
                ),
                (later("first at {place}", place=list(where)),),
            )
    return None


def _hint_shape(expected: Tensor, got: Tensor) -> tuple[str, ...]:
    if got.ndim == expected.ndim and sorted(got.shape) == sorted(expected.shape):
        return (later("the sizes are right and in another order: axes have changed places"),)
    if got.numel() == expected.numel():
        return (later("the number of values is right: the axes are joined or split differently"),)
    if got.ndim == expected.ndim and all(g in (e, 1) for g, e in zip(got.shape, expected.shape, strict=True)):
        return (later("is an axis of size 1 left where the full size is expected?"),)
    return ()


def _hint_dtype(expected: Tensor, got: Tensor) -> tuple[str, ...]:
    if got.is_floating_point() and expected.dtype == torch.float64:  # which comes of such inputs only
        return (later("the result should have the dtype of the inputs"),)
    return ()


def _unchanged(key: str, expected: Tensor, got: Tensor | None) -> Finding | None:
    name = key.split(":", 1)[1]
    if (
        got is None
        or got.shape != expected.shape
        or not torch.equal(torch.nan_to_num(got.double()), torch.nan_to_num(expected.double()))
    ):
        return Finding(
            "changed input",
            later(
                "Your code changes its input `{name}`. Work on a copy (no in-place operation on an argument).",
                name=name,
            ),
        )
    return None


def _values(exercise: Exercise, key: str, expected: Tensor, got: Tensor) -> Finding | None:
    off = differs(exercise, expected, got)
    if not off:
        return None
    if _is_inner(exercise, key):
        return Finding(
            "value", words.inner(key), words.compared(expected, got) if expected.ndim == 0 else off
        )
    if expected.dtype in (torch.bool, torch.uint8) or expected.ndim == 0:  # yes and no, a text, a number
        return Finding(
            "value",
            later("`{name}` is wrong.", name=key),
            words.compared(expected, got) if expected.ndim < 2 else off,
        )
    return Finding("value", later("`{name}` has the right shape and dtype, and wrong values.", name=key), off)


def differs(exercise: Exercise, expected: Tensor, got: Tensor) -> tuple[str, ...]:
    """How many values differ by more than the tolerance, and the largest difference, in words; empty if none does."""
    if got.shape != expected.shape:
        return (later("shape {got}, expected {wanted}", got=tuple(got.shape), wanted=tuple(expected.shape)),)
    if expected.numel() == 0:
        return ()
    left, right = expected.double(), got.double()
    exact = not expected.is_floating_point()
    difference = (left - right).abs()
    difference = torch.where(
        (left == right) | (left.isnan() & right.isnan()), torch.zeros_like(difference), difference
    )
    difference = difference.nan_to_num(nan=float("inf"))
    wrong = difference > tolerance(exercise, expected)
    if exact and not got.is_floating_point():  # float64 holds whole numbers up to 2**53 only
        wrong = wrong | (expected != got)
    if not wrong.any():
        return ()
    where = torch.where(wrong, difference, -torch.ones_like(difference)).argmax()
    index = _place(int(where), expected.shape)
    pair = [words.value(one.flatten()[where], expected.dtype) for one in (expected, got)]
    if not index:
        return (later("expected {wanted}, got {got}", wanted=pair[0], got=pair[1]),)
    return (
        later("{count} of {total} values differ", count=int(wrong.sum()), total=wrong.numel()),
        later(
            "largest difference at {place}: expected {wanted}, got {got}",
            place=index,
            wanted=pair[0],
            got=pair[1],
        ),
    )


def tolerance(exercise: Exercise, expected: Tensor) -> Tensor:
    """By how much each value may differ, float64, shaped like `expected`. Nothing may where it holds whole numbers or yes and no."""
    if not expected.is_floating_point():
        return torch.zeros(expected.shape, dtype=torch.float64)
    scale = 1e-3 if expected.dtype == torch.float64 and expected.ndim > 0 else 1.0
    return scale * (exercise.atol + exercise.rtol * _size(expected.double()))


def _place(number: int, shape: torch.Size) -> list[int]:
    """Index of a flat position. `torch.unravel_index` does the same, and imports sympy to do it: a second, at the first wrong value."""
    index: list[int] = []
    for size in reversed(shape):
        number, rest = divmod(number, size)
        index.insert(0, rest)
    return index


def _size(values: Tensor) -> Tensor:
    """Magnitude to which the relative tolerance applies: the larger of a value's own and the tensor's mean magnitude."""
    finite = values.abs().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return torch.maximum(finite, finite.mean())


def rounded(right: Tensor, got: Tensor) -> Later | None:
    """What is right to the precision of float32, where more was due; or None.

    The first sentence only of numbers that float32 can hold: nothing else makes those. An eps of another size can make the second.
    """
    if right.dtype != torch.float64 or not right.numel() or not got.isfinite().all():
        return None
    off, largest = float((got - right).abs().max()), float(right.abs().max())
    if right.ndim and torch.equal(got.float().double(), got) and off <= 1e-5 * largest:
        return later(
            "Your values are right to the precision of float32, and the inputs are float64: something is computed in "
            "float32 (a tensor of the default dtype, `.float()`)."
        )
    if off <= 1e-6 * largest:
        return later(
            "Your values are right to about six digits, and the inputs are float64: is something computed in float32 (a tensor of the "
            "default dtype, `.float()`), or a small constant (an eps) another one?"
        )
    return None


def _gradients(exercise: Exercise, expected: Seen, seen: Seen) -> Finding | None:
    keys = [key for key in expected if key.startswith("grad:")]
    lost = [key for key in keys if key not in seen and bool((expected[key] != 0).any())]
    if lost:
        what = words.some([f"`{key.removeprefix('grad:')}`" for key in lost])
        hint = later(
            "the values are right, but cut from the graph: look for detach(), .data, .item(), torch.no_grad() or torch.tensor(...)"
        )
        return Finding(
            "gradient",
            later("No gradient reaches {names}, so nothing there or before can be trained.", names=what),
            (hint,),
        )
    for key in keys:
        if key in seen and (off := differs(exercise, expected[key], seen[key])):
            name = key.removeprefix("grad:")
            hint = rounded(expected[key], seen[key]) or later(
                "the values of this case are right, what backward() gives is not: is a part cut from the graph (detach(), .data, .item()), or added to it?"
            )
            return Finding("gradient", later("The gradient for `{name}` is wrong.", name=name), (hint, *off))
    return None
