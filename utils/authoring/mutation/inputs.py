"""Legal inputs that no case holds: fresh seeds, and cases bent a little. The reference says what is legal."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from utils.checks import fixtures
from utils.checks.engine import passes
from utils.checks.fixtures import Fixture
from utils.checks.spec import Case, Draw, Exercise

SEEDS = 5
PARTS = ("args", "kwargs", "init")


def inputs(exercise: Exercise, reference: Any, seeds: int = SEEDS) -> Iterator[tuple[str, Fixture]]:
    """What the input is, in words, and the prepared case.

    Args:
        exercise: which.
        reference: its answer; an input on which it fails is not legal.
        seeds: fresh ones.
    """
    for seed in range(1, seeds + 1):
        whole = fixtures.prepare(exercise, reference, 90_000 + seed)
        for case, expected in zip(whole.cases, whole.expected, strict=True):
            yield f"seed {90_000 + seed}: {describe(case)}", Fixture(exercise, [case], [expected])
    for what, case in bent(exercise.cases(Draw(90_000))):
        asked = replace(exercise, cases=partial(_only, case))
        try:
            fixture = fixtures.prepare(asked, reference, 90_000)
            legal = passes(asked, reference, fixture)
        except Exception:  # noqa: S112 - the reference cannot take it: not legal
            continue
        if legal:
            yield f"{what}: {describe(fixture.cases[0])}", fixture


def _only(case: Case, draw: Draw) -> list[Case]:
    return [case]


def bent(cases: list[Case]) -> Iterator[tuple[str, Case]]:
    """Cases in the other mode, with another case's arguments, without an optional one, smaller along an axis, one item, larger values."""
    for case in cases:
        plain = replace(case, weights=None) if case.init else case
        other_mode = "eval" if case.mode == "train" else "train"
        if case.init:
            yield f"in {other_mode} mode", replace(plain, mode=other_mode)  # type: ignore[arg-type]
        for part in PARTS:
            mine = dict(getattr(case, part))
            for giver, name in itertools.product(cases, {n: 0 for c in cases for n in getattr(c, part)}):
                theirs = dict(getattr(giver, part))
                if name in theirs and not _same(theirs[name], mine.get(name, ...)):
                    yield f"{name} of another case", with_part(plain, part, mine | {name: theirs[name]})
            for name in mine:
                rest = {other: value for other, value in mine.items() if other != name}
                yield f"without {name}", with_part(plain, part, rest)
        tensors = [v for v in [*case.args.values(), *case.kwargs.values()] if isinstance(v, Tensor)]
        for size in sorted({n for value in tensors for n in value.shape if n > 1}):
            for less in {size - 1, 1}:
                yield f"axes of {size} cut to {less}", _each(plain, lambda v, s=size, n=less: _cut(v, s, n))
        yield "values ten times as large", _each(plain, lambda v: v * 10 if v.is_floating_point() else v)
        yield "values without sign", _each(plain, lambda v: v.abs() if v.is_floating_point() else v)


def with_part(case: Case, part: str, values: dict[str, Any]) -> Case:
    """The case with other arguments: `part` is "args", "kwargs" or "init"."""
    other: dict[str, Any] = {part: values}
    return replace(case, **other)


def _same(left: Any, right: Any) -> bool:
    """Whether two arguments are one and the same number, text or object; trees of tensors are not looked into."""
    plain = isinstance(left, bool | int | float | str | None) and type(left) is type(right)
    return left is right or (plain and left == right)


def _cut(value: Tensor, size: int, less: int) -> Tensor:
    for axis, n in enumerate(value.shape):
        value = value.narrow(axis, 0, less) if n == size else value
    return value.clone()


def _each(case: Case, change: Any) -> Case:
    def of(part: Any) -> dict[str, Any]:
        return {name: change(value) if isinstance(value, Tensor) else value for name, value in part.items()}

    return replace(case, args=of(case.args), kwargs=of(case.kwargs))


def describe(case: Case) -> str:
    """A case in one line: mode, constructor, arguments; tensors by shape."""
    init = ", ".join(f"{name}={_short(value)}" for name, value in case.init.items())
    given = ", ".join(f"{name}={_short(value)}" for name, value in {**case.args, **case.kwargs}.items())
    built = f"{'train' if case.mode == 'train' else 'eval'} mode, ({init}), " if case.init else ""
    return f"{built}({given})"


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        if value.numel() <= 6 and not value.is_floating_point():
            return str(value.tolist())
        kind = "" if value.dtype == torch.float32 else f" {str(value.dtype).removeprefix('torch.')}"
        return f"<{'x'.join(map(str, value.shape))}{kind}>"
    text = repr(value)
    return text if len(text) < 40 else text[:37] + "..."
