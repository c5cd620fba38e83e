"""From whatever a student hands in to the few pieces that are run: answers, their own helpers, and the release's imports.

Outputs, metadata, kernel specification, check cells and everything else that a submission says about itself are ignored.
Cells are matched by id, then by nbgrader's grade id, then by the name that they define.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from utils.checks.registry import exercises_of

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "notebooks"
MAX_BYTES = 64 * 2**20
MAX_SOURCE = 200_000  # characters of one cell
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
    cells = read_cells(path)
    release = release_cells(notebook)
    names = [exercise.name for exercise in exercises_of(notebook)]
    submission = Submission(notebook)
    answers = {name: _find(name, cells, submission.notes) for name in names}
    if names and not any(answers.values()):
        raise BadNotebook(
            f"it holds none of the answers of {notebook}: is it the notebook of another assignment?"
        )
    used = {id(cell) for cell in answers.values() if cell is not None}
    known = {cell["id"] for cell in release}
    helpers = _helpers(cells, answers, used, known)
    for cell in release:
        if cell["id"] in answers:
            submission.parts += helpers.get(cell["id"], [])
            found = answers[cell["id"]]
            if found is not None:
                submission.parts.append(Part("answer", cell["id"], found["source"]))
        elif cell["cell_type"] == "code" and (kept := definitions(cell["source"])):
            submission.parts.append(Part("release", cell["id"], kept))
    submission.parts += helpers.get("", [])
    submission.written = _written(cells, release)
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
        raw = json.loads(path.read_bytes().decode("utf-8-sig"))["cells"]
        return [_plain(cell, index) for index, cell in enumerate(raw)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadNotebook(f"the file is not a notebook ({type(error).__name__})") from error


def _plain(cell: dict[str, Any], index: int) -> dict[str, Any]:
    source = cell.get("source", "")
    source = "".join(source) if isinstance(source, list) else str(source)
    grade = (cell.get("metadata") or {}).get("nbgrader") or {}
    identity = str(cell.get("id") or f"cell-{index}")
    return {
        "id": identity,
        "cell_type": str(cell.get("cell_type")),
        "source": source[:MAX_SOURCE],
        "grade_id": str(grade.get("grade_id", "")),
    }


@cache
def release_cells(notebook: str) -> tuple[dict[str, Any], ...]:
    """The cells of the released notebook."""
    return tuple(read_cells(RELEASE / f"{notebook}.ipynb"))


def parse(source: str) -> ast.Module | None:
    """The syntax tree, or None if it is no Python. Lines for IPython (`%magic`, `!shell`) count as `pass`."""
    try:
        return ast.parse(without_magics(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def without_magics(source: str) -> str:
    """The source with IPython's special lines replaced by `pass`, so that line numbers stay."""
    return re.sub(r"^([ \t]*)[%!?][^\n]*$", r"\1pass", source, flags=re.M)


def defines(source: str) -> list[str]:
    """Names of the functions and classes that a cell defines at its top level."""
    tree = parse(source)
    kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return [node.name for node in tree.body if isinstance(node, kinds)] if tree else []


def definitions(source: str) -> str:
    """Of a cell, what defines something without doing work: imports, functions, classes, literals, `reuse(...)`."""
    tree = parse(source)
    if tree is None:
        return ""
    kept = [node for node in tree.body if _is_definition(node)]
    return "\n".join(ast.unparse(node) for node in kept)


def _is_definition(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        if isinstance(node.value, ast.Call):
            return isinstance(node.value.func, ast.Name) and node.value.func.id == "reuse"
        return not any(isinstance(part, ast.Call | ast.Await) for part in ast.walk(node.value))
    return False


def _find(name: str, cells: list[dict[str, Any]], notes: list[str]) -> dict[str, Any] | None:
    """The cell that answers exercise `name`: one that defines it, rather not a stub, rather with the right id, rather the last."""
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    candidates = [cell for cell in code if name in defines(cell["source"])]
    if not candidates:
        broken = [cell for cell in code if name in (cell["id"], cell["grade_id"]) and cell["source"].strip()]
        if broken:  # a syntax error: the sandbox will say which
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
    cells: list[dict[str, Any]], answers: dict[str, Any], used: set[int], known: set[str]
) -> dict[str, list[Part]]:
    """The student's own cells, under the answer that follows them ("" for those behind the last)."""
    places: dict[int, str] = {id(cell): name for name, cell in answers.items() if cell is not None}
    found: dict[str, list[Part]] = {}
    waiting: list[Part] = []
    for cell in cells:
        if id(cell) in places:
            found.setdefault(places[id(cell)], []).extend(waiting)
            waiting = []
        elif cell["cell_type"] == "code" and id(cell) not in used and cell["id"] not in known:
            kept = definitions(cell["source"])
            if kept and not set(defines(kept)) & set(answers):  # another version of an answer is not a helper
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
