"""Which mutants of the answers survive the checks, and on which legal input do they behave differently?

    python -m utils.authoring mutants [--exercise NAME ...] [--notebook 01] [--page FILE]

Exits with 1 if a mutant passes its check, differs from the reference on a legal input that was found, and has no reason in `reasons.py`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from utils.authoring import stubs
from utils.authoring.mutation.inputs import inputs
from utils.authoring.mutation.operators import Mutant, mutants
from utils.authoring.mutation.reasons import GIVEN, why
from utils.checks import fixtures
from utils.checks.engine import passes
from utils.checks.fixtures import Fixture
from utils.checks.registry import all_exercises
from utils.checks.spec import Exercise
from utils.grading import answers
from utils.grading.bank import BankAttempt

SECONDS = 2.0  # of the processor's time for a mutant: some never end
MEMORY = 8 * 2**30
HEAD = """# Mutants of the answers

Written by `make mutants`: every small change of every answer, run against its public check. A survivor is shown with the first legal
input (fresh seeds, cases bent a little) on which it differs from the answer; most of the others are the same answer in other words.
Why one is left is said in `reasons.py`.
"""
LEFT_OUT = "Not measured since their answer or the operators changed: "


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
    """All mutants of an exercise's answer, changed where a student writes, or in a default of a signature."""
    whole = stubs.answer(exercise).whole
    lines = set(solution_lines(whole))
    defaults = {
        (default.lineno, default.col_offset)
        for node in ast.walk(ast.parse(whole))
        if isinstance(node, ast.arguments)
        for default in [*node.defaults, *node.kw_defaults]
        if default
    }
    return mutants(
        whole,
        lambda node: (
            node.lineno in lines  # type: ignore[attr-defined]
            or (node.lineno, getattr(node, "col_offset", -1)) in defaults  # type: ignore[attr-defined]
        ),
    )


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


def page(rows: list[Survival]) -> str:
    """The table, and the survivors with the input that shows them and the reason why they are left, as Markdown."""
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
                f"- line {m.line}: `{m.what}`; shown by {shown}{_left(row, m)}" for m, shown in row.differing
            ]
            lines += [
                f"- line {m.line}: `{m.what}`; no difference found{_left(row, m, alike=True)}"
                for m in row.alike
            ]
    return "\n".join(lines) + "\n"


def reason(exercise: Exercise, mutant: Mutant, *, alike: bool = False) -> str:
    """Why a survivor is left; "" if nobody has said so."""
    written = mutant.line in solution_lines(stubs.answer(exercise).whole)
    return why(exercise.name, mutant.what, alike=alike) if written else GIVEN


def _left(row: Survival, mutant: Mutant, *, alike: bool = False) -> str:
    said = reason(row.exercise, mutant, alike=alike)
    return f"; left because {said}" if said else ""


ROW = re.compile(r"\| (\w+) \| \d+ \| (\d+) \| \d+ \| \d+ \|")
SURVIVOR = re.compile(r"- line (\d+): `(.*?)`; (?:shown by (.*?)|no difference found)(?:; left because .*)?")


def read(text: str) -> dict[str, Survival]:
    """What a page says, by exercise; the mutants without their source. Exercises that are no longer there are left out."""
    found: dict[str, Survival] = {}
    row = None
    for line in text.splitlines():
        if (met := ROW.fullmatch(line)) and met[1] in all_exercises():
            found[met[1]] = Survival(all_exercises()[met[1]], int(met[2]))
        elif line.startswith("## "):
            row = found.get(line[3:])
        elif row and (met := SURVIVOR.fullmatch(line)):
            mutant = Mutant(int(met[1]), met[2], "")
            if met[3]:
                row.differing.append((mutant, met[3]))
            else:
                row.alike.append(mutant)
    return found


def whole_page(rows: dict[str, Survival]) -> str:
    """The page of all exercises: the rows that are up to date, and the names of those that are not."""
    fresh = {name: rows[name] for name in all_exercises() if name in rows and up_to_date(rows[name])}
    names = ", ".join(name for name in all_exercises() if name not in fresh)
    left_out = f"\n{LEFT_OUT}{names}.\n" if names else ""
    return f"{HEAD}{left_out}\n{page(list(fresh.values()))}"


def up_to_date(row: Survival) -> bool:
    """Whether a row counts as many mutants as there are today."""
    return row.all == len(mutants_of(row.exercise))


def unexplained(rows: Iterable[Survival]) -> list[str]:
    """The survivors that differ and are left without a reason, in words."""
    return [
        f"{row.exercise.name}, line {mutant.line}: {mutant.what}; shown by {shown}"
        for row in rows
        for mutant, shown in row.differing
        if not reason(row.exercise, mutant)
    ]


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Within the block this process, and what it starts, has 8 GiB of addresses: some mutants ask for all there is."""
    if sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def main(names: list[str] | None, notebook: str, where: str) -> int:
    """Measures, and puts the rows into the page; 1 if a mutant that differs survives without a reason.

    Args:
        names: exercises; None for all.
        notebook: or those of one notebook.
        where: the page, which keeps its rows of other exercises and grows as exercises are measured; "" prints it.
    """
    file = Path(where or os.devnull)
    rows = read(file.read_text(encoding="utf-8")) if file.is_file() else {}
    measured = []
    for exercise in answers.select(names, notebook):
        with _bounded_memory():
            measured.append(measure(exercise))
        row = rows[exercise.name] = measured[-1]
        print(f"{exercise.name}: {row.killed} of {row.all} killed", file=sys.stderr, flush=True)
        if where:
            file.write_text(whole_page(rows), encoding="utf-8")
    left = unexplained(measured)
    print("\n".join(left) if where else page(measured))
    return 1 if left else 0
