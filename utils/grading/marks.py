"""Merges rubric marks for written questions, entered in `OUT/written/*.csv`, back into the gradebook's entries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from utils.grading.reading import RELEASE
from utils.grading.reports.questions import written_points
from utils.grading.reports.tables import mark_key
from utils.grading.roster import rows_of


def merge(entries: list[dict[str, Any]], folder: Path) -> list[str]:
    """Adds `marks` (question -> points) and `comments` (question -> text) to the entries, in place.

    Args:
        entries: gradebook entries.
        folder: `OUT/written`.

    Returns:
        complaints about marks that make no sense, in words; those are left out.
    """
    complaints = []
    for path in sorted(folder.glob("*.csv")):
        notebook, _, question = path.stem.partition("-")
        most = written_points(notebook).get(question) if notebook in _notebooks() else None
        if most is None:
            complaints.append(f"{path.name}: no notebook has such a question")
            continue
        owners = {mark_key(entry, question): entry for entry in entries if entry["notebook"] == notebook}
        for number, row in enumerate(rows_of(path), start=1):
            points, comment = (*(text.strip() for text in row[2:4]), "", "")[:2]
            if number == 1 or not (points or comment):
                continue
            try:
                mark = float(points.replace(",", ".") or "0")
            except ValueError:
                mark = -1.0
            entry = owners.get(row[0].strip())
            if entry is None:
                complaints.append(
                    f"{path.name}, line {number}: no such answer (has {row[1]} handed in another since? Mark the new one)"
                )
            elif not 0 <= mark <= most:
                complaints.append(f"{path.name}, line {number}: {row[2]!r} is not between 0 and {most}")
            else:
                if points:
                    entry.setdefault("marks", {})[question] = mark
                if comment:
                    entry.setdefault("comments", {})[question] = comment
    return complaints


def _notebooks() -> set[str]:
    return {path.stem for path in RELEASE.glob("[0-9][0-9]_*.ipynb")}


def latest(out: Path) -> list[dict[str, Any]]:
    """The entries of the last run, from `OUT/entries.json`."""
    return json.loads((out / "entries.json").read_text(encoding="utf-8"))
