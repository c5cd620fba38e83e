"""Builds a notebook of another language from the English one: the same cells, ids, metadata, outputs and code, other words."""

from __future__ import annotations

import html
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from utils import words
from utils.authoring import build, settings
from utils.authoring.languages import sources
from utils.authoring.languages.blocks import Say
from utils.paths import ROOT
from utils.plotting import display

_FIELD = re.compile(r"\{(\d*)[^{}]*\}")


def translated(
    notebook: NotebookNode, language: str, say: Say, alts: dict[str, str] | None = None
) -> NotebookNode:
    """A notebook in another language.

    Args:
        notebook: the English one; it is left as it is.
        language: two letters.
        say: unit -> what stands in its place.
        alts: English alt text, as it is stored with its fields -> translated.
    """
    new = nbformat.from_dict(notebook)
    name = new.metadata["course"]["notebook"]
    new.metadata["course"]["language"] = language
    for cell in new.cells:
        if cell.id == sources.BADGE:
            with words.speaking(language):
                cell.source = settings.badge(name, language)
            continue
        cell.source = sources.walk(cell.cell_type, cell.source, cell.id, say)
        if cell.id == sources.SET_UP:
            cell.source = cell.source.replace(settings.speak("en"), settings.speak(language))
        for output in cell.get("outputs", []):
            _alt(output, alts or {}, language)
    return new


def _alt(output: NotebookNode, alts: dict[str, str], language: str) -> None:
    """Puts the translated alt text of a picture in the place of the English one."""
    data = output.get("data", {})
    page = data.get("text/html", "")
    found = re.search(r'<img alt="([^"]*)"', page)
    if not found:
        return
    old = html.unescape(found[1])
    new = retold(old, alts, language)
    if new != old:
        data["text/html"] = page.replace(found[0], f'<img alt="{html.escape(new, quote=True)}"', 1)
        data["text/plain"] = data["text/plain"].replace(old, new)


def retold(text: str, alts: dict[str, str], language: str) -> str:
    """A sentence that was made from one of the given templates, with the same values in the translated one; else the sentence itself."""
    for template, other in alts.items():
        pattern = "(.*?)".join(map(re.escape, re.split(r"\{[^{}]*\}", template)))
        if match := re.fullmatch(pattern, text, re.S):
            fields = _FIELD.split(other)[1::2]  # the numbers in "{0}", or ""
            values = [match[int(number or at) + 1] for at, number in enumerate(fields)]
            between = _FIELD.split(other)[::2]
            filled = between[0] + "".join(
                value + text for value, text in zip(values, between[1:], strict=True)
            )
            return words.finished(filled, language)
    return text


def edition(name: str, language: str, *, solved: bool = False) -> NotebookNode:
    """The student's or the solved notebook of a language, from the built English one and the catalogues."""
    catalogue = words.LOCALE / language / "LC_MESSAGES" / f"{name}.po"
    units = words.read(catalogue) if catalogue.exists() else {}
    general = words.translations(language)
    alts = {text: general[text] for text in display._stored(name).values() if text in general}
    notebook = built(name, "en", solved=solved)
    return translated(notebook, language, lambda unit: units.get(unit, unit), alts)


def built(name: str, language: str, *, solved: bool = False) -> NotebookNode:
    """The notebook in any language, English included."""
    if language == "en":
        return nbformat.read((build.SOLVED if solved else build.STUDENT) / f"{name}.ipynb", as_version=4)
    return edition(name, language, solved=solved)


def path_of(name: str, language: str, *, solved: bool = False) -> Path:
    """Where it lies."""
    return (build.SOLVED if solved else build.STUDENT) / language / f"{name}.ipynb"


def write(name: str, language: str, *, solved: bool = False) -> list[Path]:
    """Builds one and writes it if it changed.

    Returns:
        the files written.
    """
    path = path_of(name, language, solved=solved)
    text = nbformat.writes(edition(name, language, solved=solved)) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return [path]


def stale(name: str) -> list[str]:
    """What students of other languages have that is not up to date, in words."""
    said = []
    for language in words.languages()[1:]:
        path = path_of(name, language)
        text = nbformat.writes(edition(name, language)) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            said.append(f"{path.relative_to(ROOT)} is stale: run make notebooks")
    return said
