"""What comes out of a grading run: tables for platforms, pages for people. `write(entries, out, level)` writes all of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.grading.reports import pages, tables
from utils.grading.roster import Person

if TYPE_CHECKING:  # torch comes with it, for which who only reads reports does not wait
    from utils.grading.likeness import Pair


def isolation_of(entries: list[dict[str, Any]], here: str) -> str:
    """The levels at which a run's entries were graded, in one line; `here` (this host's) where none was run."""
    return " ".join(sorted({entry["isolation"] for entry in entries if entry["isolation"]})) or here


def write(
    entries: list[dict[str, Any]],
    out: Path,
    isolation: str,
    *,
    people: list[Person] | None = None,
    missing: Iterable[Person] = (),
    strangers: Iterable[str] = (),
    rows: Iterable[dict[str, str]] = (),
    columns: dict[str, str] | None = None,
    copies: Iterable[Pair] = (),
) -> list[Path]:
    """Writes every report of a run.

    Args:
        entries: gradebook entries, as `run.run` returns them.
        out: folder.
        isolation: the isolation level's sentence, which every report carries (see `isolation_of`).
        people: the roster.
        missing, strangers: of the roster and not of it, see `roster.join`.
        rows: what was made of each file that arrived (student, origin, made).
        columns: notebook -> title of Canvas' column.
        copies: pairs of students whose answers are alike.

    Returns:
        the files written (feedback pages: their folder).
    """
    out.mkdir(parents=True, exist_ok=True)
    feedback = pages.feedback(entries, out / "feedback", isolation)
    return [
        tables.grades_csv(entries, out / "grades.csv", people, columns),
        tables.moodle_csv(entries, out / "moodle"),
        *tables.feedback_zips(entries, feedback, out / "moodle"),
        tables.junit(entries, out / "junit.xml", isolation),
        tables.gradescope(entries, out / "gradescope", isolation),
        feedback,
        pages.written(entries, out / "written"),
        pages.summary(
            entries,
            out / "summary.html",
            isolation,
            rows=rows,
            missing=missing,
            strangers=strangers,
            copies=copies,
        ),
    ]
