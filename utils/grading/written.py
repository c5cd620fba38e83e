"""Answers to written questions: what a student wrote in a question's cell, beside it, or below the question's own text."""

from __future__ import annotations

from typing import Any

Cell = dict[str, Any]


def written_answers(cells: list[Cell], release: tuple[Cell, ...]) -> dict[str, str]:
    """Answers to written questions: the cell with the question's grade id (or id), and what was written beside it or below the question's own text."""
    known = {cell["id"] for cell in release}, {cell["source"].strip() for cell in release}
    answers = {}
    for index, place in enumerate(release):
        if place["cell_type"] == "markdown" and place["grade_id"]:
            parts = _written_there(cells, place, release[max(index - 1, 0)], known)
            answers[place["grade_id"]] = "\n\n".join(text for text in parts if text.strip())
    return answers


def _written_there(
    cells: list[Cell], place: Cell, question: Cell, known: tuple[set[str], set[str]]
) -> list[str]:
    def at(wanted: Cell) -> int:
        ids = (wanted["id"], wanted["grade_id"] or wanted["id"])
        found = [n for n, cell in enumerate(cells) if cell["id"] == ids[0] or cell["grade_id"] == ids[1]]
        return found[-1] if found else -1

    def own(n: int) -> bool:
        return (
            0 <= n < len(cells)
            and cells[n]["cell_type"] != "code"
            and cells[n]["id"] not in known[0]
            and cells[n]["source"].strip() not in known[1]
        )

    asked, answered = at(question), at(place)
    first = last = answered if answered >= 0 else asked
    if first < 0:
        return []
    while answered >= 0 and own(first - 1):
        first -= 1
    while own(last + 1):
        last += 1
    text = question["source"].strip()
    under = cells[asked]["source"].strip() if asked >= 0 else ""
    found = [under.removeprefix(text)] if text and under.startswith(text) else []
    empty = {place["source"].strip(), text, under}
    return found + [cell["source"] for cell in cells[first : last + 1] if cell["source"].strip() not in empty]
