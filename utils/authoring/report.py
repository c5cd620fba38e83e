"""How good are the checks? Kill rate, diagnosis rate and false-reject rate per exercise, measured on the bank.

    python -m utils.authoring report [--exercise NAME ...] [--notebook 01] [--verbose] [--seeds 200] [--threads 1 2]
        [--other-dtype]

Exits with 1 unless every wrong answer is rejected and diagnosed by its own sentence, and every right one is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from utils.authoring.messages import message
from utils.checks import fixtures
from utils.checks.engine import examine, passes
from utils.checks.fixtures import Fixture
from utils.checks.rounding import recast
from utils.checks.spec import Case, Draw, Exercise
from utils.grading import answers

LEAST_WRONG, LEAST_RIGHT = 8, 6  # answers in a bank, the reference among the right ones
FRESH_SEEDS = (11, 4242)  # beside the public one: the grader's cases come from seeds that nobody has seen


@dataclass
class Rates:
    """What was counted for one exercise. Wrong answers are counted once, killed only if every seed kills them."""

    exercise: Exercise
    wrong: int = 0
    killed: int = 0
    diagnosed: int = 0
    right: int = 0
    rejected: int = 0
    seconds: list[float] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)  # to each wrong answer; see `messages.said`

    @property
    def perfect(self) -> bool:
        return (
            self.killed == self.diagnosed == self.wrong
            and self.rejected == 0
            and self.wrong >= LEAST_WRONG
            and self.right >= LEAST_RIGHT
        )


def measure(
    exercise: Exercise,
    seeds: int = 0,
    threads: Sequence[int] = (),
    other_dtype: bool = False,
    fresh: Sequence[int] = FRESH_SEEDS,
) -> Rates:
    """Runs the whole bank of one exercise (and the reference, as one right answer) through its check.

    Args:
        exercise: which.
        seeds: on how many hidden seeds more the right answers are tried.
        threads: numbers of threads of torch with which they are tried: a sum is then added in another order.
        other_dtype: also with float64 in place of float32, and the other way round, where that is legal.
        fresh: seeds on which every answer is tried beside the public one.
    """
    rates = Rates(exercise)
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    public = fixtures.load(exercise)
    others = [fixtures.prepare(exercise, reference, seed) for seed in fresh]
    bank = answers.bank(exercise)
    for wrong in bank.wrongs:
        attempt = wrong.build(reference, module)
        result = examine(exercise, attempt, public)
        rates.wrong += 1
        rates.seconds.append(result.seconds)
        rates.messages[wrong.name] = message(result)
        alive = [seed for seed, f in zip(fresh, others, strict=True) if passes(exercise, attempt, f)]
        if result.passed or alive:
            rates.complaints.append(
                f"survives {'the public cases' if result.passed else f'seed {alive}'}: {wrong.name}"
            )
        else:
            rates.killed += 1
        if result.diagnosis == wrong.sentence:
            rates.diagnosed += 1
        else:
            rates.complaints.append(f"not diagnosed: {wrong.name} -> {result.diagnosis or 'nothing'}")
    rights = [("the reference", reference)] + [
        (right.name, right.build(reference, module)) for right in bank.rights
    ]
    for name, attempt in rights:
        results = [examine(exercise, attempt, f) for f in (public, *others)]
        rates.right += 1
        rates.seconds.append(results[0].seconds)
        failed = next((r for r in results if not r.passed), None)
        if failed is not None:
            rates.rejected += 1
            finding = next(f for f in failed.findings if f is not None)
            rates.complaints.append(f"rejected: {name} -> {finding.sentence} {' '.join(finding.details)}")
    for seed in range(1000, 1000 + seeds):
        fixture = fixtures.prepare(exercise, reference, seed)
        for name, attempt in rights:
            if not examine(exercise, attempt, fixture).passed:
                rates.rejected += 1
                rates.complaints.append(f"rejected on seed {seed}: {name}")
    again = [public, *others] if threads else []
    again += in_other_dtype(exercise, reference) if other_dtype else []
    complaints = rejected_on(exercise, rights, again, threads)
    rates.rejected += len(complaints)
    rates.complaints += complaints
    if rates.wrong < LEAST_WRONG or rates.right < LEAST_RIGHT:
        rates.complaints.append(
            f"the bank is small: {rates.wrong} wrong (at least {LEAST_WRONG}), {rates.right} right (at least {LEAST_RIGHT})"
        )
    return rates


def rejected_on(
    exercise: Exercise, rights: list[tuple[str, Any]], again: list[Fixture], threads: Sequence[int] = ()
) -> list[str]:
    """The right answers, given as (name, answer), that fail on some fixture with some number of torch's threads, in words."""
    found = []
    before = torch.get_num_threads()
    for number in threads or (before,):
        torch.set_num_threads(number)
        for name, attempt in rights:
            results = (examine(exercise, attempt, fixture) for fixture in again)
            failed = next((f for result in results for f in result.findings if f), None)
            if failed:
                found.append(f"rejected with {number} threads or another dtype: {name} -> {failed.sentence}")
    torch.set_num_threads(before)
    return found


def in_other_dtype(exercise: Exercise, reference: Any) -> Iterator[Fixture]:
    """Each case on its own with float64 for float32, and the other way round, as far as the reference takes it.

    A case of which two values would become one is left out: equal values share a gradient in more than one right way.
    """
    other = {torch.float32: torch.float64, torch.float64: torch.float32}

    def merges(value: Any) -> bool:
        if isinstance(value, torch.Tensor):
            return value.dtype == torch.float64 and len(value.unique()) != len(value.float().unique())
        parts = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        )
        return any(map(merges, parts))

    for case in exercise.cases(Draw(FRESH_SEEDS[0])):
        if merges([dict(case.args), dict(case.kwargs), dict(case.init)]):
            continue
        trees = {part: recast(getattr(case, part), other) for part in ("args", "kwargs", "init")}
        changed = replace(case, weights=None, **trees)
        asked = replace(exercise, cases=partial(_only, changed))
        try:
            fixture = fixtures.prepare(asked, reference, FRESH_SEEDS[0])
            legal = passes(asked, reference, fixture)
        except Exception:  # noqa: S112 - the reference cannot take it: not legal
            continue
        if legal:
            yield fixture


def _only(case: Case, draw: Draw) -> list[Case]:
    return [case]


def table(all_rates: list[Rates]) -> str:
    """The rates as text, a row per exercise and a last row for all."""
    head = f"{'exercise':<34}{'wrong':>6}{'killed':>8}{'diagnosed':>11}{'right':>7}{'rejected':>10}{'ms (95%)':>10}"
    rows = [head, "-" * len(head)]
    for r in all_rates:
        rows.append(_row(r.exercise.name, r.wrong, r.killed, r.diagnosed, r.right, r.rejected, r.seconds))
    columns = ("wrong", "killed", "diagnosed", "right", "rejected")
    wrong, killed, diagnosed, right, rejected = (sum(getattr(r, name) for r in all_rates) for name in columns)
    seconds = [s for r in all_rates for s in r.seconds]
    rows += [
        "-" * len(head),
        _row(f"all {len(all_rates)}", wrong, killed, diagnosed, right, rejected, seconds),
    ]
    return "\n".join(rows)


def _row(
    name: str, wrong: int, killed: int, diagnosed: int, right: int, rejected: int, seconds: list[float]
) -> str:
    def percent(part: int, whole: int) -> str:
        return f"{100 * part / whole:.0f}%" if whole else "-"

    late = sorted(seconds)[min(len(seconds) - 1, int(0.95 * len(seconds)))] * 1000 if seconds else 0
    return f"{name:<34}{wrong:>6}{percent(killed, wrong):>8}{percent(diagnosed, wrong):>11}{right:>7}{percent(rejected, right):>10}{late:>10.0f}"


def main(
    names: list[str] | None,
    notebook: str,
    verbose: bool,
    seeds: int = 0,
    threads: Sequence[int] = (),
    other_dtype: bool = False,
) -> int:
    """Prints the table; returns the exit code."""
    chosen = answers.select(names, notebook)
    all_rates = [measure(exercise, seeds, threads, other_dtype) for exercise in chosen]
    print(table(all_rates))
    bad = [r for r in all_rates if not r.perfect]
    for r in bad:
        print(f"\n{r.exercise.name}:")
        for complaint in r.complaints if verbose else r.complaints[:6]:
            print(f"  {complaint}")
    return 1 if bad or not all_rates else 0
