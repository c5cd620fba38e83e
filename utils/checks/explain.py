"""Why is it wrong? First the bank of known mistakes, then what needs no bank: an argument that is never used, or has no influence.

A cause is named only where it was seen. A known mistake counts as seen if an attempt gives exactly its wrong values.
"""

from __future__ import annotations

import dis
import inspect
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks import fixtures, parts, words
from utils.checks.attempts import functions, own_codes, spaces
from utils.checks.compare import PREFIXES, Finding
from utils.checks.fixtures import Fingerprint, Fixture
from utils.checks.observe import observe
from utils.checks.problems import Problem
from utils.checks.relations import relation
from utils.checks.spec import Case, Seen
from utils.words import later

EVIDENCE = 12  # wrong values that must be a mistake's own before it is named beside a second fault
ASKED_AGAIN = 3  # further cases in which a value without influence is changed, beside its gradients
ROUNDING = 1e-5  # share of the largest value
OWN_SENTENCE = (
    *("again", "changed input", "gradient", "parameters", "signature", "time", "type"),
    *("needs", "raised", "missing", "not started"),
)


@dataclass(frozen=True)
class Cause:
    """What an attempt was found to suffer from.

    Args:
        sentence: for the student; "" if unknown.
        rest: index of a case in which the result is not that of the known mistake alone; -1 if there is none.
    """

    sentence: str = ""
    rest: int = -1


def known(
    fixture: Fixture, outcomes: list[Seen | Problem], findings: list[Finding | None] | None = None
) -> Cause:
    """The known mistake that these outcomes are: in every case, or, with `findings`, in those before a second fault.

    A mistake whose outputs are the right ones (a detached path, a shared memory) is not told by outputs, so it never counts by them alone.

    Args:
        fixture: with the mistakes' fingerprints.
        outcomes: one per case.
        findings: what is wrong in each case.
    """
    looks = [fixtures.fingerprint(outcome) for outcome in outcomes]
    tolerance = min(fixture.exercise.rtol, fixtures.TOLERANCE)
    for mistake in fixture.mistakes:
        if all(fixtures.looks_like(a, b, tolerance) for a, b in zip(looks, mistake.looks, strict=True)):
            return Cause(mistake.sentence)
    if findings is None:
        return Cause()
    right = [fixtures.fingerprint(expected) for expected in fixture.expected]
    wrong = [index for index, finding in enumerate(findings) if finding is not None]
    best: dict[str, tuple[int, int]] = {}
    for mistake in fixture.mistakes:
        pairs = list(zip(looks, mistake.looks, strict=True))
        alike = [i for i, (a, b) in enumerate(pairs) if _same_outputs(a, b, tolerance)]
        tells = [i for i in alike if not _same_outputs(mistake.looks[i], right[i], tolerance)]
        seen = [i for i in wrong if i in tells and findings[i].kind in ("value", "property", "nan", "shape")]  # type: ignore[union-attr]
        rest = [i for i in range(len(looks)) if i not in alike]
        evidence = _evidence([(fixture.expected[i], outcomes[i]) for i in seen])
        if wrong[0] in seen and evidence >= EVIDENCE and all(i in wrong for i in rest):
            best[mistake.sentence] = (len(seen), rest[0] if rest else -1)
    most = max((count for count, _ in best.values()), default=0)
    first = [(sentence, rest) for sentence, (count, rest) in best.items() if count == most]
    return Cause(*first[0]) if len(first) == 1 else Cause()


def _same_outputs(left: Fingerprint, right: Fingerprint, tolerance: float) -> bool:
    """Whether two fingerprints have the same values; inputs afterwards, buffers and gradients may differ: that is another fault."""
    if "problem" in left or "problem" in right:
        return False
    kept = [
        {group: look for group, look in one.items() if f"{group}:" not in PREFIXES} for one in (left, right)
    ]
    return bool(kept[0]) and fixtures.looks_like(kept[0], kept[1], tolerance)


def _evidence(pairs: list[tuple[Seen, Seen | Problem]]) -> int:
    """How many values say something of a mistake, in cases given as (expected, seen).

    Of real numbers, different wrong ones: outputs as coarse as the shares of nine images coincide easily. Of tables and masks, all: what is
    right in them is as much of the mistake as what is wrong.
    """
    numbers, places = [torch.empty(0, dtype=torch.float64)], 0
    for expected, seen in pairs:
        if isinstance(seen, Problem):
            continue
        for key in expected:
            if key.startswith(PREFIXES) or key not in seen:
                continue
            right, got = expected[key], seen[key]
            if not got.is_floating_point():
                places += got.numel() if got.ndim else 0
            elif right.shape != got.shape:
                numbers.append(got.double().flatten())
            else:
                numbers.append(got[~torch.isclose(got.double(), right.double(), equal_nan=True)].double())
    return len(torch.cat(numbers).unique()) + places


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
    return Cause(
        _never_used(fixture, attempt)
        or _without_influence(fixture, attempt, findings, outcomes)
        or relation(fixture, findings, outcomes)
        or parts.part(fixture, attempt, findings)
    )


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
    for index, (finding, seen) in enumerate(zip(findings, outcomes, strict=True)):
        if finding is None or isinstance(seen, Problem) or finding.kind not in ("value", "property"):
            continue  # of an output of another shape no gradient was asked
        case, expected = fixture.cases[index], fixture.expected[index]
        asked = [key.removeprefix("grad:") for key in expected if _wants(expected, key)]
        silent = [name for name in asked if not _reaches(expected, seen, name)]
        dead = [name for name in silent[:12] if _changes_nothing(attempt, case, name, seen)]
        if dead:
            everywhere = [
                n for n in dead if _is_dead_elsewhere(fixture, attempt, outcomes, index, n, findings)
            ]
            if not everywhere and case.init.get("dropout") == 1.0:
                continue  # what comes behind a dropout that takes everything is dead: a consequence, not the fault
            return _no_influence(everywhere or dead, "" if everywhere else case.name)
        given = case.args if finding.kind == "value" else {}
        zero = [name for name in silent if name in given and f"grad:{name}" in seen]
        if same := [name for name in zero if _changes_nothing(attempt, case, name, seen, up_to=ROUNDING)]:
            return later(
                "In the case `{case}` your result stays the same, up to rounding, with other values of {names}: is a softmax, a mean or "
                "a norm taken over another axis?",
                case=case.name,
                names=words.some([f"`{name}`" for name in same]),
            )
        if asked and not any(f"grad:{name}" in seen for name in asked):
            return _cut_from_the_graph(fixture, outcomes, index)
    return ""


def _no_influence(dead: list[str], case: str) -> str:
    names = words.some([f"`{name}`" for name in dead])
    if case and len(dead) == 1:
        return later(
            "In the case `{case}`, {names} has no influence on your result: with other values it stays the same.",
            names=names,
            case=case,
        )
    if case:
        return later(
            "In the case `{case}`, {names} have no influence on your result: with other values it stays the same.",
            names=names,
            case=case,
        )
    if len(dead) == 1:
        return later(
            "{names} has no influence on your result: with other values it stays the same.", names=names
        )
    return later(
        "{names} have no influence on your result: with other values it stays the same.", names=names
    )


def _is_dead_elsewhere(
    fixture: Fixture,
    attempt: Any,
    outcomes: list[Seen | Problem],
    here: int,
    name: str,
    findings: list[Finding | None],
) -> bool:
    """Whether what has no influence in one case has none in the first wrong one and in all others that expect a gradient for it."""
    first = next(index for index, finding in enumerate(findings) if finding is not None)
    others = [
        i for i, expected in enumerate(fixture.expected) if i != here and _wants(expected, f"grad:{name}")
    ]
    if first != here and first not in others:
        return False
    for index in others:
        seen = outcomes[index]
        if isinstance(seen, Problem) or _reaches(fixture.expected[index], seen, name):
            return False
    return all(
        _changes_nothing(attempt, fixture.cases[index], name, outcomes[index])  # type: ignore[arg-type]
        for index in others[:ASKED_AGAIN]
    )


def _cut_from_the_graph(fixture: Fixture, outcomes: list[Seen | Problem], here: int) -> str:
    """No gradient is there at all, which is not the same as one that is zero: in every case that expects one, or in this one."""
    for expected, seen in zip(fixture.expected, outcomes, strict=True):
        asked = [key for key in expected if _wants(expected, key)]
        if asked and (isinstance(seen, Problem) or any(key in seen for key in asked)):
            return later(
                "In the case `{case}` your result is cut from the graph, so nothing can be trained. Look for detach(), .data, .item(), "
                "torch.no_grad() or torch.tensor(...).",
                case=fixture.cases[here].name,
            )
    return later(
        "Your result is cut from the graph, so nothing can be trained. Look for detach(), .data, .item(), torch.no_grad() or "
        "torch.tensor(...)."
    )


def _wants(expected: Seen, key: str) -> bool:
    return key.startswith("grad:") and _any(expected.get(key))


def _any(value: Tensor | None) -> bool:
    return value is not None and bool((value != 0).any())


def _reaches(expected: Seen, seen: Seen, name: str) -> bool:
    """Whether there is a gradient, and one that is more than rounding of zero."""
    key = f"grad:{name}"
    return key in seen and float(_largest(seen[key])) > ROUNDING * float(_largest(expected[key]))


def _largest(value: Tensor) -> Tensor:
    return value.abs().nan_to_num().max() if value.numel() else torch.zeros(())


def _changes_nothing(attempt: Any, case: Case, name: str, seen: Seen, up_to: float = 0.0) -> bool:
    """Whether the outputs stay the same, exactly or up to a share of the largest value, when a parameter or an argument has other values."""
    changed = replace(case, cotangents={})
    for part in ("weights", "args", "kwargs"):
        values = getattr(case, part) or {}
        if name in values and isinstance(values[name], Tensor):
            other: dict[str, Any] = {part: {**values, name: _other(values[name])}}
            changed = replace(changed, **other)
            break
    else:
        return False
    again = observe(attempt, changed, seconds=2.0)
    outputs = case.exercise.outputs if case.exercise else ()
    return not isinstance(again, Problem) and all(
        name in again and _equal(again[name], seen[name], up_to) for name in outputs if name in seen
    )


def _equal(left: Tensor, right: Tensor, up_to: float) -> bool:
    if not up_to or left.shape != right.shape or not left.is_floating_point():
        return torch.equal(left.nan_to_num(), right.nan_to_num())
    return bool((left - right).abs().nan_to_num().le(up_to * _largest(right)).all())


def _other(value: Tensor) -> Tensor:
    """Other values, which no norm, softmax or sum makes equal to the old ones."""
    places = torch.arange(value.numel(), dtype=torch.float64).view(value.shape)
    return value * 1.7 + (0.3 + 0.5 * torch.cos(1.9 * places)).to(value)


def notebook_names(attempt: Any) -> tuple[str, ...]:
    """Names of values that an attempt reads from the notebook: often a leftover of another cell.

    Functions, classes and modules are meant to be read, and so are constants, LIKE_THIS; an `N` is as often a leftover as an `n`.
    """
    names = {
        step.argval
        for code in own_codes(attempt)
        for step in dis.get_instructions(code)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    found: dict[str, None] = {}
    for space in spaces(attempt):
        for name in sorted(names & space.keys()):
            value = space[name]
            meant = isinstance(value, ModuleType) or (callable(value) and not isinstance(value, nn.Module))
            if not (meant or (name.isupper() and len(name) > 1) or name.startswith("__")):
                found[name] = None
    return tuple(found)
