"""Written questions of a released notebook: text, points, and rubric where the solved notebook is at hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from utils.grading.reading import RELEASE
from utils.paths import ROOT


@dataclass(frozen=True)
class Question:
    """A written question.

    Args:
        name: its grade id.
        text: the question (Markdown).
        points: full marks.
        rubric: how it is marked (Markdown), or "".
    """

    name: str
    text: str
    points: int
    rubric: str


@cache
def questions(notebook: str) -> tuple[Question, ...]:
    """The written questions of a notebook, in order."""
    cells = json.loads((RELEASE / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = {cell["id"]: "".join(cell["source"]) for cell in cells}
    solved = ROOT / "solutions" / f"{notebook}.ipynb"
    rubrics = {}
    if solved.exists():
        rubrics = {
            c["id"]: "".join(c["source"])
            for c in json.loads(solved.read_text(encoding="utf-8"))["cells"]
            if c["id"].startswith("rubric-")
        }
    found = []
    for cell in cells:
        grade = cell["metadata"].get("nbgrader", {})
        if cell["cell_type"] == "markdown" and grade.get("points"):
            name = grade["grade_id"]
            found.append(
                Question(
                    name,
                    texts.get(f"question-{name}", name),
                    grade["points"],
                    rubrics.get(f"rubric-{name}", ""),
                )
            )
    return tuple(found)


def written_points(notebook: str) -> dict[str, int]:
    """Full marks by question."""
    return {question.name: question.points for question in questions(notebook)}
