"""What comes out of a grading run: tables for platforms, pages for people. `write(entries, out, level)` writes all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from utils.grading.reports import pages, tables


def isolation_of(entries: list[dict[str, Any]], here: str) -> str:
    """The levels at which a run's entries were graded, in one line; `here` (this host's) where none was run."""
    return " ".join(sorted({entry["isolation"] for entry in entries if entry["isolation"]})) or here


def write(entries: list[dict[str, Any]], out: Path, isolation: str) -> list[Path]:
    """Writes every report of a run.

    Args:
        entries: gradebook entries, as `run.run` returns them.
        out: folder.
        isolation: the isolation level's sentence, which every report carries (see `isolation_of`).

    Returns:
        the files written (feedback pages: their folder).
    """
    out.mkdir(parents=True, exist_ok=True)
    return [
        tables.grades_csv(entries, out / "grades.csv"),
        tables.moodle_csv(entries, out / "moodle"),
        tables.junit(entries, out / "junit.xml", isolation),
        tables.gradescope(entries, out / "gradescope", isolation),
        pages.feedback(entries, out / "feedback", isolation),
        pages.written(entries, out / "written"),
        pages.summary(entries, out / "summary.html", isolation),
    ]
