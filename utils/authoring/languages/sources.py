"""The units of every catalogue, in the order in which a reader meets them, each with the places where it stands."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from babel.messages.extract import extract_from_file

from utils.authoring.languages import blocks
from utils.paths import ROOT
from utils.plotting import display

Units = dict[str, list[str]]  # unit -> places
KEYWORDS = {"say": None, "later": None}
# What code says: catalogue -> patterns of files. What is not written here is a student's: `checks`.
ELSEWHERE = {
    "feedback": ("utils/grading/**/*.py", "utils/grading/reports/templates/*.html"),
    "site": ("docs/*.py", "docs/_templates/*.html", "utils/authoring/**/*.py"),
}
BY_CODE = ("checks", *ELSEWHERE)
SET_UP = "set-up"
BADGE = "badge"  # a link that differs by edition; its words come from `settings`


def catalogues(root: Path = ROOT) -> dict[str, Units]:
    """Every catalogue: what code says, then the notebooks."""
    found = {"checks": checks(root)}
    for name, patterns in ELSEWHERE.items():
        found[name] = _noted(_in_files(sorted(p for pattern in patterns for p in root.glob(pattern)), root))
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        found[path.stem] = notebook(path.stem, root)
    return found


def checks(root: Path = ROOT) -> Units:
    """What the student's rooms say: sentences in code, those of properties and mistakes, names of cases, alt texts."""
    apart = ("grading", "authoring")
    files = [
        path
        for path in sorted((root / "utils").rglob("*.py"))
        if path.relative_to(root / "utils").parts[0] not in apart
    ]

    def every() -> Iterator[tuple[str, str]]:
        yield from _in_files(files, root)
        for path in sorted((root / "data" / "expected").glob("*/*.json")):
            for said in json.loads(path.read_text(encoding="utf-8")).values():
                yield from ((sentence, path.stem) for sentence in said.values())
            yield from ((name, path.stem) for name in case_names(path.with_suffix(".safetensors")))
        for path in sorted(display.TEXTS.glob("*.toml")):
            for key, text in display._stored(path.stem).items():
                yield text, f"{path.stem}/{key}"

    return _noted(every())


def case_names(fixture: Path) -> list[str]:
    """Names of the cases in an exercise's check data: a concept each, which a student reads."""
    with open(fixture, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [case["name"] for case in json.loads(header["__metadata__"]["exercise"])["cases"]]


def notebook(name: str, root: Path = ROOT) -> Units:
    """What stands in the cells of a notebook, solved and as students get it."""

    def every() -> Iterator[tuple[str, str]]:
        cells: dict[str, list[dict]] = {}
        for folder in ("solutions", "notebooks"):
            path = root / folder / f"{name}.ipynb"
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else []:
                cells.setdefault(cell["id"], []).append(cell)
        for identity, versions in cells.items():
            for cell in reversed(versions):  # the stub first
                units: list[str] = []
                walk(cell["cell_type"], "".join(cell["source"]), identity, _noting(units))
                yield from ((unit, identity) for unit in units)

    return _noted(every())


def walk(kind: str, source: str, identity: str, say: blocks.Say) -> str:
    """A cell's text with every unit as `say` says it."""
    if identity == BADGE or kind not in ("markdown", "code"):
        return source
    return (blocks.markdown if kind == "markdown" else blocks.code)(source, say)


def _noting(units: list[str]) -> Callable[[str], str]:
    def note(unit: str) -> str:
        units.append(unit)
        return unit

    return note


def _in_files(files: list[Path], root: Path) -> Iterator[tuple[str, str]]:
    for path in files:
        found = _in_template(path) if path.suffix == ".html" else _in_python(path)
        yield from ((sentence, path.relative_to(root).as_posix()) for sentence in found)


def _in_template(path: Path) -> Iterator[str]:
    for _, message, _, _ in extract_from_file("jinja2", path, keywords=KEYWORDS):
        yield str(message)


def _in_python(path: Path) -> Iterator[str]:
    """Babel's own reader of Python takes a method of the same name (`sandbox.say("end")`) for ours."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in KEYWORDS
        and node.args
    ]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            yield call.args[0].value


def _noted(found: Iterator[tuple[str, str]]) -> Units:
    units: Units = {}
    for unit, place in found:
        if blocks.has_words(unit):
            places = units.setdefault(unit, [])
            if place not in places:
                places.append(place)
    return units
