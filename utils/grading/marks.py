"""Merges rubric marks for written questions, entered in `OUT/written/*.csv`, back into the gradebook's entries."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from utils.grading.reports.questions import written_points


def merge(entries: list[dict[str, Any]], folder: Path) -> list[str]:
    """Adds `marks` (question -> points) to the entries, in place.

    Args:
        entries: gradebook entries.
        folder: `OUT/written`.

    Returns:
        complaints about marks that make no sense, in words; those are left out.
    """
    complaints = []
    by_key = {entry["key"]: entry for entry in entries}
    for path in sorted(folder.glob("*.csv")):
        notebook, _, question = path.stem.partition("-")
        most = written_points(notebook).get(question)
        if most is None:
            complaints.append(f"{path.name}: {notebook} has no question {question}")
            continue
        with open(path, newline="", encoding="utf-8-sig") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                if number == 1 or len(row) < 3 or not row[2].strip():
                    continue
                entry = by_key.get(row[0])
                try:
                    mark = float(row[2].replace(",", "."))
                except ValueError:
                    mark = -1.0
                if entry is None or not 0 <= mark <= most:
                    complaints.append(
                        f"{path.name}, line {number}: {'no such submission' if entry is None else f'{row[2]!r} is not between 0 and {most}'}"
                    )
                    continue
                entry.setdefault("marks", {})[question] = mark
    return complaints


def latest(out: Path) -> list[dict[str, Any]]:
    """The entries of the last run, from `OUT/entries.json`."""
    return json.loads((out / "entries.json").read_text(encoding="utf-8"))
