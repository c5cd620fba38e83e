"""Why is it wrong? First the bank of known mistakes, then what needs no bank: an argument that is never used, or has no influence.

A cause is named only where it was seen. A known mistake counts as seen if an attempt gives exactly its wrong values.
"""

from __future__ import annotations

import dis
import inspect
import math
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from utils.checks import fixtures, words
from utils.checks.attempts import functions, own_codes, spaces
from utils.checks.compare import PREFIXES, Finding
from utils.checks.fixtures import Fingerprint, Fixture
from utils.checks.observe import Problem, observe
from utils.checks.spec import Case, Seen
from utils.words import later

EVIDENCE = 12  # wrong values that must be a mistake's own before it is named beside a second fault
OWN_SENTENCE = (
    *("again", "changed input", "gradient", "parameters", "signature", "time", "type"),
    *("needs", "raised", "missing", "not started"),
)


@dataclass(frozen=True)
class Cause:
    """What an attempt was found to suffer from.

    Args:
        sentence: for the student; "" if unknown.
        rest: index of a case in which something else is wrong as well; -1 if there is none.
    """

    sentence: str = ""
    rest: int = -1


def known(
    fixture: Fixture, outcomes: list[Seen | Problem], findings: list[Finding | None] | None = None
) -> Cause:
    """The known mistake that these outcomes are: in every case, or, with `findings`, in those before a second fault.

    Args:
        fixture: with the mistakes' fingerprints.
        outcomes: one per case.
        findings: what is wrong in each case.
    """
    looks = [fixtures.fingerprint(outcome) for outcome in outcomes]
    for mistake in fixture.mistakes:
        if all(fixtures.looks_like(a, b) for a, b in zip(looks, mistake.looks, strict=True)):
            return Cause(mistake.sentence)
    if findings is None:
        return Cause()
    wrong = [index for index, finding in enumerate(findings) if finding is not None]
    best: dict[str, tuple[int, int]] = {}
    for mistake in fixture.mistakes:
        alike = [i for i, (a, b) in enumerate(zip(looks, mistake.looks, strict=True)) if _same_outputs(a, b)]
        seen = [i for i in wrong if i in alike and findings[i].kind in ("value", "property", "nan", "shape")]  # type: ignore[union-attr]
        rest = [i for i in range(len(looks)) if i not in alike]
        evidence = sum(_numel(looks[i]) for i in seen)
        if wrong[0] in seen and evidence >= EVIDENCE and all(i in wrong for i in rest):
            best[mistake.sentence] = (len(seen), rest[0] if rest else -1)
    most = max((count for count, _ in best.values()), default=0)
    first = [(sentence, rest) for sentence, (count, rest) in best.items() if count == most]
    return Cause(*first[0]) if len(first) == 1 else Cause()


def _same_outputs(left: Fingerprint, right: Fingerprint) -> bool:
    """Whether two fingerprints have the same values; inputs afterwards, buffers and gradients may differ: that is another fault."""
    if "problem" in left or "problem" in right:
        return False
    kept = [
        {group: look for group, look in one.items() if f"{group}:" not in PREFIXES} for one in (left, right)
    ]
    return bool(kept[0]) and fixtures.looks_like(kept[0], kept[1])


def _numel(look: Fingerprint) -> int:
    return sum(
        math.prod(shape[1:])
        for group, value in look.items()
        if f"{group}:" not in PREFIXES
        for shape in value["shapes"]
    )


def cause(
    fixture: Fixture, attempt: Any, findings: list[Finding | None], outcomes: list[Seen | Problem]
) -> Cause:
    """What is wrong with a failed attempt, as far as that can be said.

    Args:
        fixture: its cases.
        attempt: the function or class; it is called again with one thing changed.
        findings: one per case.
        outcomes: one per case.
    """
    found = known(fixture, outcomes, findings)
    first = next(finding for finding in findings if finding is not None)
    if found.sentence or first.kind in OWN_SENTENCE:
        return found
    return Cause(_never_used(fixture, attempt) or _without_influence(fixture, attempt, findings, outcomes))


def _never_used(fixture: Fixture, attempt: Any) -> str:
    """An argument of the call that the code never reads."""
    case = fixture.cases[0]
    name = case.method or ("forward" if case.exercise and case.exercise.kind == "module" else "")
    plain = next((f for f in functions(attempt) if not name or f.__name__ == name), None)
    if plain is None:
        return ""
    code = plain.__code__
    own = set(inspect.signature(plain).parameters) - {"self"}
    given = {name for case in fixture.cases for name in [*case.args, *case.kwargs]}
    codes = [code, *(c for c in own_codes(attempt) if set(c.co_freevars) & own)]
    read = {
        name
        for one in codes
        for step in dis.get_instructions(one)
        if "LOAD" in step.opname
        for name in (step.argval if isinstance(step.argval, tuple) else (step.argval,))
    }
    unused = sorted(own & given - read)
    if not unused:
        return ""
    return later("Your code never uses {names}.", names=words.some([f"`{name}`" for name in unused]))


def _without_influence(
    fixture: Fixture, attempt: Any, findings: list[Finding | None], outcomes: list[Seen | Problem]
) -> str:
    """A parameter or an input whose gradient is zero where it should not be, and whose change changes nothing."""
    for case, expected, finding, seen in zip(
        fixture.cases, fixture.expected, findings, outcomes, strict=True
    ):
        if finding is None or isinstance(seen, Problem) or finding.kind not in ("value", "property"):
            continue  # of an output of another shape no gradient was asked
        silent = [
            key.removeprefix("grad:")
            for key, value in expected.items()
            if key.startswith("grad:") and bool((value != 0).any()) and not _any(seen.get(key))
        ]
        dead = [name for name in silent[:12] if _changes_nothing(attempt, case, name, seen)]
        if dead:
            names = words.some([f"`{name}`" for name in dead])
            if len(dead) == 1:
                return later(
                    "{names} has no influence on your result: with other values it stays the same.",
                    names=names,
                )
            return later(
                "{names} have no influence on your result: with other values it stays the same.", names=names
            )
        if silent and len(silent) == sum(key.startswith("grad:") for key in expected):
            return later(
                "Your result is cut from the graph, so nothing can be trained. Look for detach(), .data, .item(), torch.no_grad() or "
                "torch.tensor(...)."
            )
    return ""


def _any(value: Tensor | None) -> bool:
    return value is not None and bool((value != 0).any())


def _changes_nothing(attempt: Any, case: Case, name: str, seen: Seen) -> bool:
    """Whether the outputs stay exactly the same when a parameter or an argument has other values."""
    changed = replace(case, cotangents={})
    for part in ("weights", "args", "kwargs"):
        values = getattr(case, part) or {}
        if name in values and isinstance(values[name], Tensor):
            other: dict[str, Any] = {part: {**values, name: values[name] * 1.7 + 0.3}}
            changed = replace(changed, **other)
            break
    else:
        return False
    again = observe(attempt, changed, seconds=2.0)
    outputs = case.exercise.outputs if case.exercise else ()
    return not isinstance(again, Problem) and all(
        name in again and torch.equal(again[name].nan_to_num(), seen[name].nan_to_num())
        for name in outputs
        if name in seen
    )


def notebook_names(attempt: Any, given: set[str]) -> dict[str, Any]:
    """Plain values that an attempt reads from the notebook, by name: often a leftover of another cell.

    Args:
        attempt: the answer.
        given: names that the course's own cells hand to it.
    """
    names = {
        step.argval
        for code in own_codes(attempt)
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    found: dict[str, Any] = {}
    for space in spaces(attempt):
        for name in sorted(names & space.keys() - given):
            value = space[name]
            if not (
                callable(value) or isinstance(value, ModuleType) or name.isupper() or name.startswith("__")
            ):
                found[name] = value
    return found
