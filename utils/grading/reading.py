"""Reads what may be a notebook, whatever its ending says: JSON of format 4 or 3, or a script as Colab, Jupyter and jupytext write it.

Text only; no code runs. Which notebook of the course it is, its content tells: exercises that it defines and grade ids.
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from utils.paths import ROOT
from utils.words import languages, say

RELEASE = ROOT / "notebooks"
MAX_BYTES = 32 * 2**20  # JSON of this size can need 1 GiB while it is read
MAX_SCRIPT = 2 * 2**20  # of a script, bytes
MAX_LINES = 10_000  # of a script: jupytext takes the square of them
MAX_CELLS = 5000
MAX_SOURCE = 200_000  # characters of one cell
MAX_CODE = 2_000_000  # characters of all code cells: what is parsed here
_NOT_ONE = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, MemoryError, OSError)
_BOUND = re.compile(r"^(?:(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)|(\w+)[ \t]*(?::[^=\n]+)?=(?!=))", re.M)
# A script's YAML header: nothing in it is needed, and ten lines of YAML can stand for gigabytes.
_HEADER = re.compile(
    r"\A((?:#!.*\n)?(?:#.*coding[:=].*\n)?)#[ \t]*---[ \t]*\n(?:#.*\n)*?#[ \t]*---[ \t]*(?:\n|\Z)\n?"
)
_PYTHON = re.compile(r"^(?:(?:async )?def \w|class \w|import \w|from \w|# %%|# In\[|@\w)", re.M)


class BadNotebook(ValueError):
    """The file is no notebook that can be graded; the message says why, for the student: in `COURSE_LANGUAGE`, since the file has none."""


def read_cells(path: Path) -> list[dict[str, Any]]:
    """The cells of a file as plain dicts with `id`, `cell_type`, `source` (one string), `grade_id`.

    Raises:
        BadNotebook: in words.
    """
    return _cells(path)[0]


def written_with(path: Path) -> str:
    """The version of Python that a notebook says it was written with ("3.12.1"), or ""."""
    try:
        return _cells(path)[1]
    except BadNotebook:
        return ""


def _cells(path: Path) -> tuple[list[dict[str, Any]], str]:
    size = path.stat().st_size
    if size == 0:
        raise BadNotebook(say("the file is empty"))
    if size > MAX_BYTES:
        raise BadNotebook(
            say(
                "the file has {size} MiB; the limit is {most} MiB (clear the outputs and submit again)",
                size=round(size / 2**20),
                most=MAX_BYTES // 2**20,
            )
        )
    data = path.read_bytes()
    script = as_script(data)
    try:
        content: dict[str, Any] = {"cells": _of_script(script)} if script else json.loads(data)
        raw = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]  # format 3
        if not isinstance(raw, list) or len(raw) > MAX_CELLS:
            raise BadNotebook(
                say("the file has {count} cells; the limit is {most}", count=len(raw), most=MAX_CELLS)
                if isinstance(raw, list)
                else say("the file is not a notebook (its cells are no list)")
            )
        cells = [_plain(cell, index) for index, cell in enumerate(raw) if isinstance(cell, dict)]
        language = _table(_table(content.get("metadata")).get("language_info"))
        version = clean(str(language.get("version", "")))[:20] if language.get("name") == "python" else ""
    except BadNotebook:
        raise
    except _NOT_ONE as error:
        raise BadNotebook(say("the file is not a notebook ({error})", error=type(error).__name__)) from error
    code = sum(len(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    if code > MAX_CODE:
        raise BadNotebook(
            say("its code has {count:,} characters; the limit is {most:,}", count=code, most=MAX_CODE)
        )
    return cells, version


def as_script(data: bytes) -> str:
    """The text, if these bytes are Python and not JSON, a page or a document; else ""."""
    if len(data) > MAX_SCRIPT or data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[", b"<", b"%", b""):
        return ""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    return text if "\0" not in text and _PYTHON.search(text) else ""


def _of_script(text: str) -> list[dict[str, Any]]:
    """Cells of a script: `# %%` (jupytext, VS Code), `# In[3]:` (nbconvert), else paragraphs (Colab's "Download .py")."""
    import jupytext

    text = re.sub(r"^# In\[[\d ]*\]:[ \t]*$", "# %%", text.replace("\r\n", "\n"), flags=re.M)
    text = re.sub(r"\n(?:[ \t]*\n){10,}", "\n" * 11, _HEADER.sub(r"\1", text))
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise BadNotebook(
            say("the script has {count:,} lines; the limit is {most:,}", count=len(lines), most=MAX_LINES)
        )
    if any("---" in line for line in takewhile(lambda line: line.startswith("#"), lines)):
        text = "\n" + text  # no header begins so, and jupytext reads none
    kind = "py:percent" if re.search(r"^# %%", text, re.M) else "py:light"
    try:
        found = jupytext.reads(text, fmt=kind).cells
    except Exception as error:  # a parser of free text, not ours
        raise BadNotebook(say("the script cannot be read ({error})", error=type(error).__name__)) from error
    return [
        {"cell_type": cell.cell_type, "source": cell.source, "metadata": dict(cell.metadata)}
        for cell in found
    ]


def _plain(cell: dict[str, Any], index: int) -> dict[str, Any]:
    source = cell.get("source", cell.get("input", ""))
    source = "".join(map(str, source)) if isinstance(source, list) else str(source)
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    grade = _table(_table(cell.get("metadata")).get("nbgrader"))
    return {
        "id": clean(str(cell.get("id") or f"cell-{index}"))[:200],
        "cell_type": str(cell.get("cell_type"))[:20],
        "source": clean(source[:MAX_SOURCE]),
        "cut": len(source) > MAX_SOURCE,
        "grade_id": clean(str(grade.get("grade_id", "")))[:200],
        "number": index + 1,
    }


def _table(value: Any) -> dict[str, Any]:
    """Metadata as it should be: what has another form says nothing, and is no reason not to read the cells."""
    return value if isinstance(value, dict) else {}


def clean(text: str) -> str:
    """Text that can be stored: halves of surrogate pairs, which JSON may hold and UTF-8 may not, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def release_cells(notebook: str, language: str = "en") -> tuple[dict[str, Any], ...]:
    """The cells of the released notebook in a language."""
    folder = RELEASE if language == "en" else RELEASE / language
    return tuple(read_cells(folder / f"{notebook}.ipynb"))


def language_of(cells: list[dict[str, Any]], notebook: str) -> str:
    """The language of a submission: the edition of which the most cells stand in it word for word; English among equals.

    Args:
        cells: of the file.
        notebook: which notebook it is.
    """
    theirs = {cell["source"].strip() for cell in cells}
    kept = {
        language: sum(cell["source"].strip() in theirs for cell in release_cells(notebook, language))
        for language in languages()
        if language == "en" or (RELEASE / language / f"{notebook}.ipynb").exists()
    }
    return max(kept, key=lambda language: kept[language])


@cache
def _marks() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Notebook -> names of its exercises, and all its grade ids."""
    found = {}
    for path in sorted(RELEASE.glob("[0-9][0-9]_*.ipynb")):
        grades = {cell["grade_id"] for cell in release_cells(path.stem) if cell["grade_id"]}
        names = {grade.removesuffix("-check") for grade in grades if grade.endswith("-check")}
        found[path.stem] = frozenset(names), frozenset(grades - names - {f"{name}-check" for name in names})
    return found


def names_an_exercise(path: Path) -> bool:
    """Whether a script has a name in it by which it could be a notebook of the course; parsing a folder of libraries would take hours."""
    text = path.read_bytes()[: MAX_SCRIPT + 1].decode("utf-8", "replace")
    return any(name in text for names, questions in _marks().values() for name in names | questions)


def notebook_of(cells: list[dict[str, Any]], named: str = "") -> str:
    """Which notebook of the course these cells are, or "".

    An exercise that is defined, or a cell with its grade id, counts one; so does a written question. A tie goes to the one that
    the file's name names.

    Args:
        cells: of a file.
        named: what its name says, or "".
    """
    defined = {
        a or b for cell in cells if cell["cell_type"] == "code" for a, b in _BOUND.findall(cell["source"])
    }
    ids = {name for cell in cells for name in (cell["grade_id"], cell["id"]) if name}
    score = {
        notebook: (len(names & (defined | ids)) + len(questions & ids), notebook == named)
        for notebook, (names, questions) in _marks().items()
    }
    best = max(score, key=lambda notebook: score[notebook], default="")
    return best if best and score[best][0] else ""


def named(name: str, notebooks: list[str]) -> str:
    """The notebook that a file's name names: the whole name, or its number and a word of it ("1-transformer recap"), or ""."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.casefold())
    for notebook in notebooks:
        number, *words = notebook.split("_")
        if notebook in plain or re.search(
            rf"(?<!\d){int(number):d}_{'_'.join(words)}", plain.replace("_0", "_")
        ):
            return notebook
    found = re.search(r"(?<!\d)0?(\d{1,2})_([a-z_]+)", plain)
    if found:
        for notebook in notebooks:
            number, *words = notebook.split("_")
            if int(number) == int(found[1]) and set(words) & set(found[2].split("_")):
                return notebook
    return ""
