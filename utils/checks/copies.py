"""Finds a student's copies of a notebook, wherever they work and whatever the copies are called.

Colab saves "Copy of 01_transformer_recap.ipynb" in a folder of its own on Drive, a browser appends " (1)", people add their name.
So a notebook is recognised by what is in it: the course's own mark, the marks of its exercises, or, where an editor dropped
all marks, the names that it defines.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from utils.paths import DRIVE, ON_DRIVE, ROOT
from utils.words import languages, say

LARGEST = 50_000_000  # bytes; a larger file is no notebook that anybody worked in
PLACEHOLDER = 'raise NotImplementedError("not started yet")'
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def places() -> list[Path]:
    """Folders that may hold the student's notebooks, in the order in which they are searched.

    The working folder, those that COURSE_WORK names (separated as in PATH), the course's folder and Colab's own on Drive, and the
    course's `notebooks/`, in each language. Only those that exist.
    """
    named = [Path(name).expanduser() for name in os.environ.get("COURSE_WORK", "").split(os.pathsep) if name]
    shipped = [ROOT / "notebooks" / ("" if one == "en" else one) for one in languages()]
    wanted = [Path.cwd(), *named, ON_DRIVE, DRIVE / "Colab Notebooks", *shipped]
    found: dict[Path, None] = {}
    for folder in wanted:
        try:
            if folder.is_dir():
                found[folder.resolve()] = None
        except OSError:  # a Drive that is gone
            continue
    return list(found)


def where_looked() -> str:
    """The places in words, for the end of a sentence; tells how to add one."""
    here = Path.cwd().resolve()
    names = [say("this folder") if folder == here else str(folder) for folder in places()]
    return say("{places} (COURSE_WORK can name another)", places=", ".join(names))


def run_by_others() -> bool:
    """Whether a test or grader (pytest, nbgrader) or the build of the course runs this process, and no student."""
    return (
        "PYTEST_VERSION" in os.environ
        or os.environ.get("COURSE_PROGRESS") == "plain"
        or any(name.startswith("NBGRADER_") for name in os.environ)
    )


@dataclass(frozen=True)
class Copy:
    """One file that holds a notebook of the course.

    Attributes:
        path: the file.
        cells: (source, grade_id) of its code cells, in order; "" for a cell without one. None for other cells.
        saved: when, in seconds since 1970.
    """

    path: Path
    cells: tuple[tuple[str, str] | None, ...]
    saved: float = 0.0

    def answer_cell(self, name: str) -> int | None:
        """Index of the cell that answers an exercise: the marked one, else the last that defines the name; None for an untouched stub."""
        found = [
            index
            for index, cell in enumerate(self.cells)
            if cell and PLACEHOLDER not in cell[0] and name in defined(cell[0])
        ]
        marked = [index for index in found if self.cells[index][1] == name]  # type: ignore[index]
        return (marked or found)[-1] if found else None

    def source(self, index: int) -> str:
        """Source of a code cell."""
        cell = self.cells[index]
        return cell[0] if cell else ""


def copies(notebook: str, names: Sequence[str], folders: Sequence[Path] | None = None) -> Iterator[Copy]:
    """A student's copies of one notebook: place by place, there the one with the course's name first, then the newest.

    A grader may have many students' files in one folder: there the name has to be the course's.

    Args:
        notebook: "01_transformer_recap".
        names: its exercises.
        folders: where to look; default `places()`.
    """
    for folder in places() if folders is None else folders:
        found = []
        for path in folder.glob("*.ipynb"):
            try:
                state = path.stat()
                named = path.name == f"{notebook}.ipynb"
                if state.st_size <= LARGEST and (named or not run_by_others()):
                    found.append((not named, -state.st_mtime_ns, state.st_size, path))
            except OSError:
                continue
        for _, time, size, path in sorted(found):
            cells, mark = _read(path, time, size)
            if cells and _belongs(cells, mark, notebook, names):
                yield Copy(path, cells, -time / 1e9)


def _belongs(cells: tuple, mark: str, notebook: str, names: Sequence[str]) -> bool:
    ids = {cell[1] for cell in cells if cell} - {""}
    if mark or ids:
        return mark == notebook or not ids.isdisjoint(names)
    return any(not set(names).isdisjoint(defined(cell[0])) for cell in cells if cell)


@lru_cache(maxsize=64)
def _read(path: Path, time: int, size: int) -> tuple[tuple[tuple[str, str] | None, ...], str]:
    """Cells and the course's mark, read again when the file changes; nothing for what is no notebook."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        return parse(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return (), ""


def parse(content: dict[str, Any]) -> tuple[tuple[tuple[str, str] | None, ...], str]:
    """Code cells (source, grade_id) and the course's mark of a notebook's JSON."""
    cells = []
    for cell in content["cells"]:
        metadata = cell.get("metadata", {})
        grade = metadata.get("nbgrader", {})
        code = cell.get("cell_type") == "code"
        marked = grade.get("grade_id", "") if grade.get("solution") else ""
        cells.append(("".join(cell["source"]), str(marked)) if code else None)
    return tuple(cells), str(content.get("metadata", {}).get("course", {}).get("notebook", ""))


def tree_of(source: str) -> ast.Module | None:
    """The syntax tree of a cell, IPython's special lines left out; None for a cell that Python cannot read."""
    plain = re.sub(r"^([ \t]*)[%!][^\n]*$", r"\1pass", source, flags=re.M)
    try:
        return ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=1024)
def defined(source: str) -> frozenset[str]:
    """Names of the functions and classes that a cell defines at its top level."""
    tree = tree_of(source)
    return (
        frozenset(node.name for node in tree.body if isinstance(node, DEFINITIONS)) if tree else frozenset()
    )
