"""Answers written blind: by somebody who has read a student's notebook and nothing else, run against the checks.

    python -m utils.authoring blind FOLDER [--exercise NAME ...] [--page FILE]

FOLDER holds a file per exercise, `<exercise>.py`, in cells: `# %% wrong: name | what is wrong, in a sentence` or
`# %% right: name | style`, and under it the whole answer, as it would stand in the notebook. Each runs where a student's would: behind
the notebook's own definitions. Whether a message names the fault is for a reader to say; the page puts both sentences side by side.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from utils.authoring.agreement import Plain
from utils.authoring.report import FRESH_SEEDS
from utils.checks import fixtures
from utils.checks.engine import examine
from utils.checks.messages import text
from utils.checks.registry import find
from utils.checks.spec import Exercise
from utils.grading import answers

HEAD = re.compile(r"^# %% (wrong|right): *([^|\n]*?) *(?:\|(.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Blind:
    """One answer of a file: what its writer says of it, and its source."""

    exercise: str
    right: bool
    name: str
    said: str
    source: str


@dataclass
class Tally:
    """What the checks made of the answers to one exercise: a line of the page per answer."""

    exercise: str
    wrong: int = 0
    killed: int = 0
    named: int = 0
    right: int = 0
    rejected: int = 0
    lines: list[str] = field(default_factory=list)


def read(folder: Path) -> Iterator[Blind]:
    """The answers in a folder, file by file.

    Raises:
        ValueError: a file without a cell of the two kinds.
    """
    for path in sorted(folder.glob("*.py")):
        whole = path.read_text(encoding="utf-8")
        heads = list(HEAD.finditer(whole))
        if not heads:
            raise ValueError(
                f"{path.name}: no cell begins with `# %% wrong: name | sentence` or `# %% right: ...`"
            )
        for head, end in zip(heads, [*(h.start() for h in heads[1:]), len(whole)], strict=True):
            kind, name, said = head.groups()
            yield Blind(path.stem, kind == "right", name, (said or "").strip(), whole[head.end() : end])


def measure(exercise: Exercise, blind: list[Blind], space: dict[str, Any]) -> Tally:
    """Runs the answers to one exercise on the public cases and on fresh ones.

    Args:
        exercise: which one.
        blind: its answers.
        space: the notebook's names before the exercise's cell.
    """
    tally = Tally(exercise.name)
    reference = answers.reference(exercise)
    prepared = [
        fixtures.load(exercise),
        *(fixtures.prepare(exercise, reference, seed) for seed in FRESH_SEEDS),
    ]
    for one in blind:
        label = f"{'right' if one.right else 'wrong'}: {one.name}"
        try:
            attempt = build(one, space)
        except Exception as error:  # whatever its writer's code raises
            tally.lines.append(f"- {label}: cannot be run ({type(error).__name__}: {error})")
            continue
        results = [examine(exercise, attempt, fixture) for fixture in prepared]
        failed = next((result for result in results if not result.passed), None)
        message = "" if failed is None else " / ".join(map(str.strip, text(failed).splitlines()[1:]))
        if one.right:
            tally.right += 1
            tally.rejected += failed is not None
            if failed is not None:
                tally.lines.append(f"- **rejected**, {label} ({one.said}): {message}")
            continue
        tally.wrong += 1
        tally.killed += failed is not None
        tally.named += failed is not None and bool(failed.diagnosis)
        what = "**passes**" if failed is None else "named" if failed.diagnosis else "killed"
        only_hidden = " (hidden cases only)" if failed is not None and results[0].passed else ""
        tally.lines.append(f"- {what}{only_hidden}, {label}\n  - writer: {one.said}\n  - check: {message}")
    return tally


def build(blind: Blind, space: dict[str, Any]) -> Any:
    """The function or class, run among the notebook's names."""
    filename = f"<blind, {blind.exercise}: {blind.name}>"
    linecache.cache[filename] = (
        len(blind.source),
        None,
        blind.source.splitlines(keepends=True),
        filename,
    )
    namespace = dict(space)
    exec(compile(blind.source, filename, "exec"), namespace)
    return namespace[blind.exercise]


def page(tallies: list[Tally]) -> str:
    """Rates and all that was said, as Markdown."""
    total = [
        sum(getattr(t, name) for t in tallies) for name in ("wrong", "killed", "named", "right", "rejected")
    ]
    wrong, killed, named, right, rejected = total
    lines = [
        f"{len(tallies)} exercises. Wrong answers: {wrong}, killed {killed}, known to the bank or named by the engine {named}. "
        f"Right answers: {right}, rejected {rejected}.",
        "",
    ]
    for tally in tallies:
        lines += [
            f"## {tally.exercise}: {tally.killed}/{tally.wrong} killed, {tally.named} named, {tally.rejected}/{tally.right} rejected",
            "",
            *tally.lines,
            "",
        ]
    return "\n".join(lines)


def main(folder: str, names: list[str] | None, where: str) -> int:
    """Prints the page, or writes it to a file; 0 if nothing wrong passes and nothing right is rejected."""
    by_exercise: dict[str, list[Blind]] = {}
    for one in read(Path(folder)):
        if not names or one.exercise in names:
            by_exercise.setdefault(one.exercise, []).append(one)
    spaces: dict[str, Plain] = {}
    tallies = []
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name, blind in by_exercise.items():
            exercise = find(name)
            if exercise.notebook not in spaces:
                spaces[exercise.notebook] = Plain(exercise.notebook)
            tallies.append(measure(exercise, blind, spaces[exercise.notebook].spaces[name]))
    said = page(tallies)
    if where:
        Path(where).write_text(said, encoding="utf-8")
        said = said.split("\n", 1)[0]
    print(said)
    return 0 if all(t.killed == t.wrong and not t.rejected for t in tallies) else 1
