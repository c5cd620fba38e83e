"""How good are the checks? Kill rate, diagnosis rate and false-reject rate per exercise, measured on the bank.

    python -m utils.authoring report [--exercise NAME ...] [--notebook 01] [--verbose] [--seeds 200]

Exits with 1 unless every wrong answer is rejected and diagnosed by its own sentence, and every right one is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from utils.checks import fixtures
from utils.checks.engine import examine, passes
from utils.checks.spec import Exercise
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

    @property
    def perfect(self) -> bool:
        return (
            self.killed == self.diagnosed == self.wrong
            and self.rejected == 0
            and self.wrong >= LEAST_WRONG
            and self.right >= LEAST_RIGHT
        )


def measure(exercise: Exercise, seeds: int = 0) -> Rates:
    """Runs the whole bank of one exercise (and the reference, as one right answer) through its check.

    Args:
        exercise: which.
        seeds: on how many hidden seeds more the right answers are tried.
    """
    rates = Rates(exercise)
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    public = fixtures.load(exercise)
    fresh = [fixtures.prepare(exercise, reference, seed) for seed in FRESH_SEEDS]
    bank = answers.bank(exercise)
    for wrong in bank.wrongs:
        attempt = wrong.build(reference, module)
        result = examine(exercise, attempt, public)
        rates.wrong += 1
        rates.seconds.append(result.seconds)
        alive = [seed for seed, f in zip(FRESH_SEEDS, fresh, strict=True) if passes(exercise, attempt, f)]
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
        results = [examine(exercise, attempt, f) for f in (public, *fresh)]
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
    if rates.wrong < LEAST_WRONG or rates.right < LEAST_RIGHT:
        rates.complaints.append(
            f"the bank is small: {rates.wrong} wrong (at least {LEAST_WRONG}), {rates.right} right (at least {LEAST_RIGHT})"
        )
    return rates


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


def main(names: list[str] | None, notebook: str, verbose: bool, seeds: int = 0) -> int:
    """Prints the table; returns the exit code."""
    all_rates = [measure(exercise, seeds) for exercise in answers.select(names, notebook)]
    print(table(all_rates))
    bad = [r for r in all_rates if not r.perfect]
    for r in bad:
        print(f"\n{r.exercise.name}:")
        for complaint in r.complaints if verbose else r.complaints[:6]:
            print(f"  {complaint}")
    return 1 if bad or not all_rates else 0
