"""Builds a student notebook and a solved notebook from one source in `solutions/source/` (jupytext percent format).

The markers that a source may use are listed in CONTRIBUTING.md. Cell ids and nbgrader metadata are set here, so that they are
stable from build to build.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import tokenize
from collections import Counter
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from utils.authoring import settings
from utils.authoring.stubs import answer
from utils.checks import fixtures, registry
from utils.checks.registry import all_exercises
from utils.checks.spec import Exercise
from utils.paths import ROOT

SOURCES, STUDENT, SOLVED = ROOT / "solutions" / "source", ROOT / "notebooks", ROOT / "solutions"
MARKERS = ("exercise", "predict", "question", "rubric", "answer")
PREDICTION = "*Your prediction (before you run the next cell):*\n\n"
GIVEN = "*The authors' answer, with the numbers of the stored run:*\n\n"
OUTCOME = "What came out in the stored run (open it after your prediction)"
TAKES = "*About {seconds} s on two CPU cores:*"  # in front of a cell that takes longer than ten
WRITTEN = "*Your answer:*\n\n"


def source_names(only: str = "") -> list[str]:
    """Names of the notebooks that have a source, such as "01_transformer_recap"."""
    return sorted(path.stem for path in SOURCES.glob("[0-9][0-9]_*.py") if path.stem.startswith(only))


def build(name: str) -> tuple[NotebookNode, NotebookNode]:
    """Student and solved notebook for a source.

    Raises:
        ValueError: for a marker that is unknown, used twice, or names no exercise of this notebook; for a declared exercise that is not used.
    """
    source = jupytext.read(SOURCES / f"{name}.py", fmt="py:percent")
    exercises = {e.name: e for e in all_exercises().values() if e.notebook == name}
    used = used_in(name)
    wrong = [n for n, count in Counter(used).items() if count > 1 or n not in exercises] + [
        n for n in exercises if n not in used
    ]
    if wrong:
        raise ValueError(
            f"{name}: these exercises are declared and not used, used twice, or used and not declared: {', '.join(wrong)}"
        )
    given = {cell.metadata["answer"]: cell.source for cell in source.cells if "answer" in cell.metadata}
    maker = _Maker(name, given)
    for index, cell in enumerate(source.cells):
        maker.add(cell, [exercises[n] for n in [cell.metadata.get("exercise")] if n], used)
        if index == 0:
            maker.setup()
        elif cell.cell_type == "code" and exercises and "restore" not in maker.counts:
            maker.restore()
    if exercises:
        maker.progress()
    return maker.notebook(maker.student), maker.notebook(maker.solved)


def used_in(name: str) -> list[str]:
    """Names of a notebook's exercises in the order of its cells."""
    source = jupytext.read(SOURCES / f"{name}.py", fmt="py:percent")
    return [cell.metadata["exercise"] for cell in source.cells if "exercise" in cell.metadata]


def write_order() -> bool:
    """Notes which notebook has which exercises, in the order of its cells, where checks and graders read it.

    Returns:
        whether the file was written.
    """
    text = json.dumps({name: used_in(name) for name in source_names()}, indent=1) + "\n"
    path = fixtures.order_path()
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    registry.forget()
    return True


class _Maker:
    """Collects the cells of both notebooks."""

    def __init__(self, name: str, given: dict[str, str]) -> None:
        self.name, self.given = name, given
        self.student: list[NotebookNode] = []
        self.solved: list[NotebookNode] = []
        self.counts: Counter[str] = Counter()
        self.heading = "start"
        self.asked = (
            ""  # "predict" behind a question for a prediction, "shown" behind the code that answers it
        )

    def add(self, cell: NotebookNode, exercise: list[Exercise], order: list[str]) -> None:
        marker = next((m for m in MARKERS if m in cell.metadata), "")
        unknown = (
            set(cell.metadata)
            - set(MARKERS)
            - {"points", "tags", "fold", "seconds", "lines_to_next_cell", "lines_to_end_of_cell_marker"}
        )
        if unknown:
            raise ValueError(f"{self.name}: unknown cell marker {', '.join(sorted(unknown))}")
        if cell.cell_type == "markdown" and (found := re.search(r"^#+ +(.+)$", cell.source, re.M)):
            self.heading = re.sub(r"[^a-z0-9]+", "-", found[1].lower()).strip("-")[:40] or "section"
        slug = cell.metadata.get(marker, "")
        cell.source = self._closed(cell, marker)
        if marker == "exercise":
            self._exercise(cell.source, exercise[0], order.index(slug) + 1)
        elif marker == "predict":
            self._both(new_markdown_cell(f"**Predict.** {cell.source}", id=f"predict-{slug}"))
            answered = GIVEN + self.given[slug] if slug in self.given else None
            self._free(f"prediction-{slug}", PREDICTION, answered, _written(f"prediction-{slug}", 0))
        elif marker == "question":
            points = int(cell.metadata.get("points", 5))
            self._both(
                new_markdown_cell(
                    f"{cell.source}\n\n*Written answer · {points} points · marked by rubric*",
                    id=f"question-{slug}",
                )
            )
            self._free(f"answer-{slug}", WRITTEN, self.given.get(slug), _written(slug, points))
        elif marker == "rubric":
            self.solved.append(new_markdown_cell(cell.source, id=f"rubric-{slug}"))
        elif marker != "answer":
            self._plain(cell)

    def _closed(self, cell: NotebookNode, marker: str) -> str:
        """The cell's text; what tells the result of a prediction is closed, up to the next heading, until somebody opens it."""
        if marker == "answer":
            return cell.source
        before = self.asked
        self.asked = {
            "predict": "predict",
            "": ("shown" if before else "") if cell.cell_type == "code" else "",
        }.get(marker, "")
        if marker or cell.cell_type == "code" or before != "shown":
            return cell.source
        told, *rest = re.split(r"^(?=#+ )", cell.source, maxsplit=1, flags=re.M)
        if not told.strip():
            return cell.source
        closed = f"<details><summary>{OUTCOME}</summary>\n\n{told.strip()}\n\n</details>"
        return "\n\n".join([closed, *rest])

    def setup(self) -> None:
        """The Colab badge and the cell that finds or fetches the course."""
        self._both(new_markdown_cell(settings.badge(self.name), id="badge"))
        self._both(
            new_code_cell(settings.SETUP.replace("REPOSITORY_URL", settings.repository()), id="set-up")
        )

    def restore(self) -> None:
        """The cell that brings back earlier answers."""
        self.counts["restore"] = 1
        self._both(new_code_cell(settings.RESTORE.replace("NUMBER", self.name[:2]), id="restore"))

    def progress(self) -> None:
        """The cell that shows how far the student is."""
        self._both(new_code_cell(settings.PROGRESS.replace("NUMBER", self.name[:2]), id="progress"))

    def notebook(self, cells: list[NotebookNode]) -> NotebookNode:
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata = {
            "kernelspec": kernel,
            "language_info": {"name": "python"},
            "course": {"notebook": self.name},
        }
        ids = [cell.id for cell in cells]
        if len(set(ids)) != len(ids):
            raise ValueError(f"{self.name}: two cells have the id {Counter(ids).most_common(1)[0][0]}")
        return new_notebook(cells=cells, metadata=metadata)

    def _both(self, cell: NotebookNode) -> None:
        self.student.append(cell)
        self.solved.append(nbformat.from_dict(cell))

    def _plain(self, cell: NotebookNode) -> None:
        kind = "text" if cell.cell_type == "markdown" else "code"
        stem = f"{self.heading}-{kind}"
        self.counts[stem] += 1
        identity = f"{stem}-{self.counts[stem]}"
        make = new_markdown_cell if kind == "text" else new_code_cell
        if seconds := cell.metadata.get("seconds"):
            self._both(new_markdown_cell(TAKES.format(seconds=seconds), id=f"{identity}-time"))
        metadata: dict[str, Any] = {"tags": list(cell.metadata["tags"])} if "tags" in cell.metadata else {}
        source = cell.source
        if title := cell.metadata.get("fold"):  # closed in JupyterLab, in Colab, and on the pages
            source = f"# @title {title}\n{source}"
            metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
            metadata["tags"] = [*metadata.get("tags", []), "hide-input"]
        self._both(make(source, id=identity, metadata=metadata))

    def _exercise(self, text: str, exercise: Exercise, number: int) -> None:
        stars = "\u2605" * exercise.stars + "\u2606" * (5 - exercise.stars)
        points = "1 point" if exercise.points == 1 else f"{exercise.points} points"
        own = f"To be built by hand, not by `{exercise.by_hand[0]}`.\n\n" if exercise.by_hand else ""
        head = f"### Exercise {int(self.name[:2])}.{number} · `{exercise.name}`\n\n{stars} · about {exercise.minutes} minutes · {points}\n\n{own}"
        self._both(new_markdown_cell(head + text, id=f"{exercise.name}-task"))
        found = answer(exercise)
        grade = {"nbgrader": _nbgrader(exercise.name, solution=True)}
        self.student.append(new_code_cell(found.stub.rstrip(), id=exercise.name, metadata=grade))
        self.solved.append(new_code_cell(found.whole.rstrip(), id=exercise.name, metadata=grade))
        test = {"nbgrader": _nbgrader(f"{exercise.name}-check", points=exercise.points, locked=True)}
        self._both(new_code_cell(f"check({exercise.name})", id=f"{exercise.name}-check", metadata=test))

    def _free(self, identity: str, empty: str, given: str | None, metadata: dict[str, Any]) -> None:
        self.student.append(new_markdown_cell(empty.rstrip(), id=identity, metadata=metadata))
        self.solved.append(new_markdown_cell(given or empty.rstrip(), id=identity, metadata=metadata))


def _written(grade_id: str, points: int) -> dict[str, Any]:
    return {"nbgrader": _nbgrader(grade_id, solution=True, points=points)} if points else {}


def _nbgrader(
    grade_id: str, *, solution: bool = False, points: int = 0, locked: bool = False
) -> dict[str, Any]:
    """nbgrader's cell metadata, schema version 3."""
    grade = {
        "grade": points > 0,
        "grade_id": grade_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    return {**grade, "points": points} if points else grade


def code_hash(notebook: NotebookNode) -> str:
    """sha256 over the code cells, in order: outputs that belong to another hash are stale. Docstrings and comments do not count."""
    digest = hashlib.sha256()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            digest.update(what_runs(cell.source).encode() + b"\0")
    return digest.hexdigest()[:16]


def what_runs(source: str) -> str:
    """A cell's lines without docstrings, and without lines that hold a comment only; lines for IPython leave it as it is."""
    try:
        tree = ast.parse(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return source
    dropped = {t.start[0] for t in tokens if t.type == tokenize.COMMENT and t.line.lstrip().startswith("#")}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            first = node.body[0]
            if first.lineno > node.lineno and len(node.body) > 1:  # it has lines of its own
                dropped |= set(range(first.lineno, (first.end_lineno or 0) + 1))
    lines = source.splitlines()
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in dropped and line.strip())


def write(name: str) -> list[Path]:
    """Builds a notebook and writes what changed; stored outputs of solved cells whose code did not change are kept.

    Returns:
        the files written.
    """
    student, solved = build(name)
    target = SOLVED / f"{name}.ipynb"
    if target.exists():
        keep_outputs(solved, nbformat.read(target, as_version=4))
    written = []
    for notebook, path in ((student, STUDENT / f"{name}.ipynb"), (solved, target)):
        text = nbformat.writes(notebook) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def keep_outputs(new: NotebookNode, old: NotebookNode) -> None:
    """Carries outputs (and the note of how they were made) from an older build to a newer one, cell by cell."""
    before = {cell.id: cell for cell in old.cells if cell.cell_type == "code"}
    for cell in new.cells:
        previous = before.get(cell.id)
        if cell.cell_type == "code" and previous is not None and same_code(previous.source, cell.source):
            cell.outputs = previous.outputs
            cell.execution_count = previous.execution_count
    if "executed" in old.metadata.get("course", {}):
        new.metadata["course"]["executed"] = old.metadata["course"]["executed"]


def same_code(first: str, second: str) -> bool:
    """Whether two cells compute the same: equal but for line breaks, spaces, quotes and comments."""
    if first == second:
        return True
    try:
        return ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    except SyntaxError:  # magics
        return False


def stale(name: str) -> list[str]:
    """What is not up to date for a notebook, in words; empty if all is."""
    student, solved = build(name)
    said = []
    for notebook, path in ((student, STUDENT / f"{name}.ipynb"), (solved, SOLVED / f"{name}.ipynb")):
        where = path.relative_to(ROOT)
        if not path.exists():
            said.append(f"{where} is missing: run make notebooks")
            continue
        old = nbformat.read(path, as_version=4)
        if notebook is solved:
            keep_outputs(notebook, old)
        if nbformat.writes(notebook) + "\n" != path.read_text(encoding="utf-8"):
            said.append(f"{where} is stale: run make notebooks")
        if notebook is solved and old.metadata.get("course", {}).get("executed", {}).get("code") != code_hash(
            solved
        ):
            said.append(f"the outputs in {where} are not of this code: run make solve")
    return said
