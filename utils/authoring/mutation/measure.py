"""Which mutants of the answers survive the checks, and on which legal input do they behave differently?

    python -m utils.authoring mutants [--exercise NAME ...] [--notebook 01] [--page FILE]

Exits with 1 if a mutant passes its check and differs from the reference on a legal input that was found.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from utils.authoring import stubs
from utils.authoring.mutation.inputs import inputs
from utils.authoring.mutation.operators import Mutant, mutants
from utils.checks import fixtures
from utils.checks.engine import passes
from utils.checks.fixtures import Fixture
from utils.checks.spec import Exercise
from utils.grading import answers
from utils.grading.bank import BankAttempt

SECONDS = 2.0  # of the processor's time for a mutant: some never end
MEMORY = 8 * 2**30
HEAD = """# Mutants of the answers

Written by `make mutants`: every small change of every answer, run against its public check. A survivor is shown with the first legal
input (fresh seeds, cases bent a little) on which it differs from the answer; most of the others are the same answer in other words.

"""


@dataclass
class Survival:
    """What became of the mutants of one exercise.

    Args:
        exercise: which.
        killed: number of mutants that the public check rejects.
        differing: survivors with an input that shows the difference.
        alike: survivors that no input told from the reference.
    """

    exercise: Exercise
    killed: int = 0
    differing: list[tuple[Mutant, str]] = field(default_factory=list)
    alike: list[Mutant] = field(default_factory=list)

    @property
    def all(self) -> int:
        return self.killed + len(self.differing) + len(self.alike)


def solution_lines(whole: str) -> list[int]:
    """Numbers of the lines between the markers: what a student writes."""
    inside, found = False, []
    for number, line in enumerate(whole.splitlines(), 1):
        if line.strip() in (stubs.BEGIN, stubs.END):
            inside = line.strip() == stubs.BEGIN
        elif inside:
            found.append(number)
    return found


def mutants_of(exercise: Exercise) -> list[Mutant]:
    """All mutants of an exercise's answer, changed where a student writes."""
    whole = stubs.answer(exercise).whole
    lines = set(solution_lines(whole))
    return [mutant for mutant in mutants(whole) if mutant.line in lines]


def measure(exercise: Exercise, every: int = 1) -> Survival:
    """Runs every `every`-th mutant of one exercise through its public check, and looks for inputs that tell survivors apart."""
    quick = replace(exercise, seconds=SECONDS)
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    public = fixtures.load(exercise)
    found = Survival(exercise)
    known: list[tuple[str, Fixture]] = []
    fresh = inputs(quick, reference)
    for mutant in mutants_of(exercise)[::every]:
        with _quiet():
            try:
                attempt = BankAttempt(exercise.name, mutant.what, source=mutant.source).build(
                    reference, module
                )
                passed = passes(quick, attempt, public)
            except Exception:  # it cannot even be defined
                passed = False
            if not passed:
                found.killed += 1
                continue
            shown = _telling(quick, attempt, known, fresh)
        if shown:
            found.differing.append((mutant, shown))
        else:
            found.alike.append(mutant)
    return found


def _telling(
    exercise: Exercise, attempt: Any, known: list[tuple[str, Fixture]], fresh: Iterator[tuple[str, Fixture]]
) -> str:
    """The first input on which an attempt differs from the reference, in words; "" if none was found."""
    for what, fixture in known:
        if not passes(exercise, attempt, fixture):
            return what
    for what, fixture in fresh:
        known.append((what, fixture))
        if not passes(exercise, attempt, fixture):
            return what
    return ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


# Why a survivor that differs is left: what a check must not ask for.
EXPLAINED = {
    "the two calls in the other order": "both masks multiply, so the result has the same distribution; only the generator's draws are used up in another order",
    "10000 becomes 10001": "one part in 10,000 of the base is less than the tolerance for float32 at a length that a class computes by hand",
    "10000 becomes 9999": "one part in 10,000 of the base is less than the tolerance for float32 at a length that a class computes by hand",
}


def _why(what: str) -> str:
    reason = next((reason for end, reason in EXPLAINED.items() if what.endswith(end)), "")
    return f"; left because {reason}" if reason else ""


def page(rows: list[Survival]) -> str:
    """The table, and the survivors with the input that shows them, as Markdown."""
    lines = [
        "| exercise | mutants | killed | survive and differ | no difference found |",
        "| --- | --: | --: | --: | --: |",
    ]
    for row in rows:
        lines.append(
            f"| {row.exercise.name} | {row.all} | {row.killed} | {len(row.differing)} | {len(row.alike)} |"
        )
    total = [
        sum(part)
        for part in zip(*((r.all, r.killed, len(r.differing), len(r.alike)) for r in rows), strict=True)
    ]
    lines.append(f"| all {len(rows)} | {' | '.join(map(str, total))} |")
    for row in rows:
        if row.differing or row.alike:
            lines += ["", f"## {row.exercise.name}", ""]
            lines += [
                f"- line {m.line}: `{m.what}`; shown by {shown}{_why(m.what)}" for m, shown in row.differing
            ]
            lines += [f"- line {m.line}: `{m.what}`; no difference found" for m in row.alike]
    return "\n".join(lines) + "\n"


def main(names: list[str] | None, notebook: str, where: str) -> int:
    """Prints the page and writes it to a file, growing as exercises are measured; 1 if a mutant that differs survives."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(
            resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY)
        )  # some mutants ask for all there is
    rows = []
    for exercise in answers.select(names, notebook):
        rows.append(measure(exercise))
        print(f"{exercise.name}: {rows[-1].killed} of {rows[-1].all} killed", file=sys.stderr, flush=True)
        if where:
            with open(where, "w", encoding="utf-8") as file:
                file.write(HEAD + page(rows))
    print(page(rows))
    return 1 if any(row.differing for row in rows) else 0
