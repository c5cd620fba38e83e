"""`progress()`: a table of what is passed, open and changed since, from the journal and the student's own notebooks."""

from __future__ import annotations

import html
import os
import sys
import textwrap
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from utils.checks import journal
from utils.checks.copies import Copy, copies, run_by_others
from utils.checks.messages import in_jupyter
from utils.checks.registry import exercises_of
from utils.checks.spec import Exercise
from utils.paths import ROOT
from utils.words import later, say

COLUMNS = (
    later("Notebook"),
    later("Passed"),
    later("Changed since"),
    later("Open"),
    later("Points"),
    later("Next"),
)


@dataclass(frozen=True)
class Standing:
    """Where a student stands in one notebook.

    Attributes:
        notebook: "01_transformer_recap".
        states: exercise -> "passed", "changed" or "open", in the notebook's order.
    """

    notebook: str
    states: dict[Exercise, str]

    def names(self, state: str) -> list[str]:
        """Exercises in a state."""
        return [exercise.name for exercise, value in self.states.items() if value == state]

    @cached_property
    def points(self) -> tuple[int, int]:
        """Points of what is passed, and of all."""
        passed = sum(e.points for e, state in self.states.items() if state == "passed")
        return passed, sum(e.points for e in self.states)

    @property
    def next(self) -> Exercise | None:
        """The first exercise that is not passed."""
        return next((exercise for exercise, state in self.states.items() if state != "passed"), None)


def standings() -> list[Standing]:
    """Every notebook that has exercises, in order."""
    passed = journal.read()
    found = []
    for name in sorted({path.stem for path in (ROOT / "notebooks").rglob("[0-9][0-9]_*.ipynb")}):
        exercises = exercises_of(name)
        if exercises:
            own = (
                list(copies(name, [e.name for e in exercises]))
                if any(e.name in passed for e in exercises)
                else []
            )
            found.append(Standing(name, {e: state_of(e, passed.get(e.name, {}), own) for e in exercises}))
    return found


def state_of(exercise: Exercise, passed: dict[str, str], own: list[Copy]) -> str:
    """ "passed" if a copy's cell is one that passed, or no copy was saved since; "changed" if it passed once; else "open".

    Args:
        exercise: which one.
        passed: hashes of cells that passed, with the time.
        own: the student's copies of the notebook.
    """
    if not passed:
        return "open"
    cells = [copy.source(index) for copy in own if (index := copy.answer_cell(exercise.name)) is not None]
    known = [journal.fingerprint(cell) for cell in cells]
    last = max(datetime.fromisoformat(time).timestamp() for time in passed.values())
    unsaved = all(copy.saved < last for copy in own)  # the answer stands in an editor, and on no disk yet
    return "passed" if unsaved or any(one in passed for one in known) else "changed"


def next_step(all_of_them: list[Standing]) -> tuple[str, Exercise] | None:
    """The notebook and exercise to go on with: in the last notebook that was begun, else the first that is open."""
    unfinished = [standing for standing in all_of_them if standing.next]
    begun = [s for s in unfinished if len(s.names("open")) < len(s.states)]
    for standing in [*begun[-1:], *unfinished[:1]]:
        if standing.next:
            return standing.notebook, standing.next
    return None


def rows(all_of_them: list[Standing]) -> list[tuple[str, ...]]:
    """The table's cells as text, under `COLUMNS`."""
    found: list[tuple[str, ...]] = []
    for standing in all_of_them:
        points, total = standing.points
        ahead = standing.next
        found.append(
            (
                standing.notebook,
                say("{number} of {count}", number=len(standing.names("passed")), count=len(standing.states)),
                ", ".join(standing.names("changed")) or "-",
                str(len(standing.names("open"))),
                say("{number} of {count}", number=points, count=total),
                ahead.name if ahead else say("done"),
            )
        )
    return found


def summary(all_of_them: list[Standing]) -> str:
    """The sentences under the table."""
    exercises = sum(len(s.states) for s in all_of_them)
    passed = sum(len(s.names("passed")) for s in all_of_them)
    points, total = (sum(s.points[i] for s in all_of_them) for i in (0, 1))
    said = say(
        "{passed} of {exercises} exercises passed, {points} of {total} points. Written answers are marked by a person and not counted.",
        passed=passed,
        exercises=exercises,
        points=points,
        total=total,
    )
    if any(s.names("changed") for s in all_of_them):
        said += " " + say("Changed since: it passed, and the cell is another one now; run its check again.")
    step = next_step(all_of_them)
    if step:
        said += " " + say(
            'Next: {name} in {notebook}, about {minutes} minutes. Stuck? hint("{name}")',
            name=step[1].name,
            notebook=step[0],
            minutes=step[1].minutes,
        )
    return said


def text(all_of_them: list[Standing]) -> str:
    """The table for a terminal."""
    table = [tuple(map(say, COLUMNS)), *rows(all_of_them)]
    widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return "\n".join(
        [lines[0], "-" * len(lines[0]), *lines[1:], "", *textwrap.wrap(summary(all_of_them), 100)]
    )


def page(all_of_them: list[Standing]) -> str:
    """The table for a notebook: a caption, and a header for every column and row. It takes the page's own colours."""
    head = "".join(f'<th scope="col" style="text-align:left">{say(name)}</th>' for name in COLUMNS)
    body = ""
    for first, *rest in rows(all_of_them):
        cells = "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in rest)
        body += f'<tr><th scope="row" style="text-align:left;font-weight:normal">{html.escape(first)}</th>{cells}</tr>'
    caption = say("Your progress")
    return (
        f'<table><caption style="text-align:left;caption-side:top">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(summary(all_of_them))}</p>"
    )


def here(all_of_them: list[Standing], notebook: str) -> tuple[str, str]:
    """The last line of a notebook: how far it is, and its first open exercise.

    Args:
        all_of_them: every notebook's standing.
        notebook: its number, such as "01"; "" or a notebook without exercises: no line.

    Returns:
        the line as text, and as HTML with a link to the exercise's cell.
    """
    standing = next((s for s in all_of_them if notebook and s.notebook[:2] == notebook[:2]), None)
    if standing is None:
        return "", ""
    counts = {"passed": len(standing.names("passed")), "count": len(standing.states)}
    if standing.next is None:
        line = say("{notebook}: {passed} of {count} solved.", notebook=standing.notebook, **counts)
        return line, html.escape(line)
    number = f"{int(standing.notebook[:2])}.{list(standing.states).index(standing.next) + 1}"
    link = _linked(f"{standing.next.name}-task", number)
    line, linked = (
        say(
            "{notebook}: {passed} of {count} solved; first open: {exercise}.",
            notebook=standing.notebook,
            exercise=exercise,
            **counts,
        )
        for exercise in (number, link)
    )
    return line, linked


def _linked(cell: str, text: str) -> str:
    """A text as HTML, with a link to a cell of the open notebook where one is known to lead there: in Colab and in JupyterLab.

    In VS Code an output cannot link to a cell, so there the text stays plain.
    """
    if "google.colab" in sys.modules:
        return f'<a href="#scrollTo={cell}">{text}</a>'
    opened = Path(
        os.environ.get("JPY_SESSION_NAME", "")
    ).name  # a Jupyter server says it; it may have been renamed
    if not opened or hasattr(sys.modules["__main__"], "__vsc_ipynb_file__"):
        return text
    # With the notebook's name: JupyterLab leaves a bare "#..." to the browser, which knows no cells.
    return f'<a href="{quote(opened)}#cell-id={cell}">{text}</a>'


def progress(notebook: str = "") -> None:
    """Shows per notebook what is passed, open and changed since, the points so far, and what is next.

    A table in Jupyter, text elsewhere; nothing where a grader or a test runs the cell.

    Args:
        notebook: the number of the one that calls it, such as "01": the last line says how far it is and leads to its first open exercise.
    """
    if run_by_others():
        return
    found = standings()
    line, linked = here(found, notebook)
    said = "\n\n".join(filter(None, [text(found), line]))
    if not in_jupyter():
        print(said)
    else:
        from IPython.display import display

        shown = page(found) + (f"<p><strong>{linked}</strong></p>" if linked else "")
        display({"text/html": shown, "text/plain": said}, raw=True)
