"""From whatever a student hands in to the few pieces that are run: answers, their own helpers, and the release's imports.

Outputs, metadata, kernel specification, check cells and everything else that a submission says about itself are ignored.
Cells are matched by the name that they define, and among several by id or nbgrader's grade id. All of this reads text; no code runs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from utils.grading.cells import defines, definitions, problem_of
from utils.paths import ROOT

RELEASE = ROOT / "notebooks"
MAX_BYTES = 32 * 2**20  # JSON of this size can need 1 GiB while it is read
MAX_CELLS = 5000
MAX_SOURCE = 200_000  # characters of one cell
MAX_CODE = 2_000_000  # characters of all code cells: what is parsed here
STUB = 'raise NotImplementedError("not started yet")'


class BadNotebook(ValueError):
    """The file is no notebook that can be graded; the message says why, for the student."""


@dataclass(frozen=True)
class Part:
    """A piece of code that is run in the sandbox.

    Args:
        kind: "release", "helper" or "answer".
        name: cell id, or the exercise's name.
        source: Python.
    """

    kind: str
    name: str
    source: str


@dataclass
class Submission:
    """A normalised submission.

    Args:
        notebook: "01_transformer_recap".
        parts: in the order in which they are run.
        written: answers to written questions, by grade id.
        notes: what had to be mended or is missing, in words for the feedback page.
    """

    notebook: str
    parts: list[Part] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def normalise(path: Path, notebook: str) -> Submission:
    """Reads a submission of `notebook`.

    Raises:
        BadNotebook: empty, corrupt, too large, or another assignment.
    """
    from utils.checks.registry import exercises_of  # comes with torch, which a reader of names needs not

    cells = read_cells(path)
    release = release_cells(notebook)
    names = [exercise.name for exercise in exercises_of(notebook)]
    submission = Submission(notebook)
    for cell in cells:
        cell["defines"] = defines(cell["source"]) if cell["cell_type"] == "code" else []
    answers = {name: _find(name, cells, submission.notes) for name in names}
    submission.written = _written(cells, release)
    if names and not any(answers.values()) and not any(text.strip() for text in submission.written.values()):
        raise BadNotebook(
            f"it holds none of the answers of {notebook}: is it the notebook of another assignment?"
        )
    helpers = _helpers(cells, answers, {cell["id"]: cell["source"].strip() for cell in release})
    first = True
    for cell in release:
        if cell["id"] in answers:
            if first:  # functions that stand behind the last answer can be used by all; constants there are scratch work
                late = (definitions(part.source, constants=False) for part in helpers.get("", []))
                submission.parts += [Part("helper", "at the end", source) for source in late if source]
                first = False
            submission.parts += helpers.get(cell["id"], [])
            found = answers[cell["id"]]
            if found is not None:
                submission.parts.append(Part("answer", cell["id"], found["source"]))
        elif cell["cell_type"] == "code" and (kept := release_definitions(cell["source"])):
            submission.parts.append(Part("release", cell["id"], kept))
    return submission


def read_cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook file as plain dicts with `id`, `cell_type`, `source` (one string), `grade_id`.

    Raises:
        BadNotebook: in words.
    """
    size = path.stat().st_size
    if size == 0:
        raise BadNotebook("the file is empty")
    if size > MAX_BYTES:
        raise BadNotebook(
            f"the file has {size / 2**20:.0f} MiB; the limit is {MAX_BYTES // 2**20} MiB (clear the outputs and submit again)"
        )
    try:
        raw = json.loads(path.read_bytes())["cells"]
        if not isinstance(raw, list) or len(raw) > MAX_CELLS:
            raise BadNotebook(
                f"the file has {len(raw)} cells; the limit is {MAX_CELLS}"
                if isinstance(raw, list)
                else "the file is not a notebook (its cells are no list)"
            )
        cells = [_plain(cell, index) for index, cell in enumerate(raw)]
    except BadNotebook:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError, OSError) as error:
        raise BadNotebook(f"the file is not a notebook ({type(error).__name__})") from error
    code = sum(len(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    if code > MAX_CODE:
        raise BadNotebook(f"its code has {code:,} characters; the limit is {MAX_CODE:,}")
    return cells


def _plain(cell: dict[str, Any], index: int) -> dict[str, Any]:
    source = cell.get("source", "")
    source = "".join(source) if isinstance(source, list) else str(source)
    grade = (cell.get("metadata") or {}).get("nbgrader") or {}
    return {
        "id": clean(str(cell.get("id") or f"cell-{index}"))[:200],
        "cell_type": str(cell.get("cell_type"))[:20],
        "source": clean(source[:MAX_SOURCE]),
        "grade_id": clean(str(grade.get("grade_id", "")))[:200],
    }


def clean(text: str) -> str:
    """Text that can be stored: halves of surrogate pairs, which JSON may hold and UTF-8 may not, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def release_definitions(source: str) -> str:
    """`definitions` of a released cell, kept."""
    return definitions(source)


@cache
def release_cells(notebook: str) -> tuple[dict[str, Any], ...]:
    """The cells of the released notebook."""
    return tuple(read_cells(RELEASE / f"{notebook}.ipynb"))


def _find(name: str, cells: list[dict[str, Any]], notes: list[str]) -> dict[str, Any] | None:
    """The cell that answers exercise `name`: one that defines it, rather not a stub, rather with the right id, rather the last."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    candidates = [cell for cell in code if name in cell["defines"]]
    if not candidates:
        broken = [cell for cell in code if name in (cell["id"], cell["grade_id"]) and cell["source"].strip()]
        if broken:  # a syntax error, most likely
            if problem := problem_of(broken[-1]["source"]):
                notes.append(f"{name}: its cell is not valid Python ({problem}).")
            return broken[-1]
        text = any(
            cell["cell_type"] != "code"
            and re.search(rf"^(def|class) {re.escape(name)}\b", cell["source"], re.M)
            for cell in cells
        )
        notes.append(
            f"{name}: its answer is in a text cell, which is not run."
            if text
            else f"{name}: no cell defines it."
        )
        return None
    written = [cell for cell in candidates if STUB not in cell["source"]] or candidates
    own = [cell for cell in written if name in (cell["id"], cell["grade_id"])] or written
    if len(written) > 1:
        notes.append(
            f"{name}: {len(written)} cells define it; the {'one in its own place' if len(own) == 1 else 'last one'} is graded."
        )
    return own[-1]


def _helpers(
    cells: list[dict[str, Any]], answers: dict[str, Any], released: dict[str, str]
) -> dict[str, list[Part]]:
    """The student's own definitions, under the answer that follows them ("" for those behind the last).

    A released cell that the student has changed (an import added, say) counts as theirs.
    """
    places: dict[int, list[str]] = {}
    for name, cell in answers.items():
        if cell is not None:
            places.setdefault(id(cell), []).append(name)
    found: dict[str, list[Part]] = {}
    waiting: list[Part] = []
    for cell in cells:
        if id(cell) in places:
            first = next(name for name in answers if name in places[id(cell)])
            found.setdefault(first, []).extend(waiting)
            waiting = []
        elif cell["cell_type"] == "code" and cell["source"].strip() != released.get(cell["id"]):
            kept = definitions(cell["source"])
            if kept and not set(cell["defines"]) & set(
                answers
            ):  # another version of an answer is not a helper
                waiting.append(Part("helper", cell["id"], kept))
    found[""] = waiting
    return found


def _written(cells: list[dict[str, Any]], release: tuple[dict[str, Any], ...]) -> dict[str, str]:
    """Answers to written questions: the cell with the question's grade id (or id)."""
    answers = {}
    for question in (cell for cell in release if cell["cell_type"] == "markdown" and cell["grade_id"]):
        matches = [c for c in cells if c["grade_id"] == question["grade_id"] or c["id"] == question["id"]]
        text = matches[-1]["source"] if matches else ""
        answers[question["grade_id"]] = "" if text.strip() == question["source"].strip() else text
    return answers
