"""Turns an executed, solved notebook into a page: answers folded, the stub before each, pictures as files, buttons on top."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from utils.authoring import settings
from utils.authoring.book.pictures import dark
from utils.authoring.stubs import BEGIN, END
from utils.words import later, say

EMBEDDED = re.compile(r'<img [^>]*(src="data:image/png;base64,([^"]+)")[^>]*>')
# The beginning of a markdown cell's id -> what its fold says.
FOLDED = {
    "prediction-": later("Show what happens"),
    "answer-": later("Show a model answer"),
    "rubric-": later("Show how it is marked"),
}
# What is folded -> what its button says, closed and open.
CODE = {
    "set-up": (later("Show the set-up cell"), later("Hide the set-up cell")),
    "answer": (later("Show the answer"), later("Hide the answer")),
    "drawing": (later("Show the code of this drawing"), later("Hide the code of this drawing")),
}


def page(solved: NotebookNode, student: NotebookNode, pictures: Path) -> NotebookNode:
    """The page for a notebook.

    Args:
        solved: the solved notebook with its stored outputs; it is left as it is.
        student: the same notebook as students get it; it has the stubs.
        pictures: folder for the PNG files; they are linked as `pictures/<its name>/<file>`.

    Returns:
        a notebook for myst-nb, which does not execute it.
    """
    given = {cell.id: cell.source for cell in student.cells}
    result = nbformat.from_dict(solved)
    cells = []
    for cell in result.cells:
        if cell.id == "badge":
            cells.append(new_markdown_cell(_head(result), id="badge"))
        elif cell.id == "set-up":
            cells.append(_fold_code(cell, "set-up"))
        elif cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            cells.append(new_markdown_cell(f"```python\n{given[cell.id]}\n```", id=f"{cell.id}-stub"))
            cell.source = "\n".join(x for x in cell.source.splitlines() if x.strip() not in (BEGIN, END))
            cells.append(_fold_code(cell, "answer"))
        elif cell.cell_type == "markdown":
            cells.extend(_text(cell, given.get(cell.id)))
        elif "hide-input" in cell.metadata.get("tags", []):
            cell.source = cell.source.partition("\n")[2]  # without its title
            cells.append(_fold_code(cell, "drawing"))
        else:
            cells.append(cell)
    for cell in cells:
        if cell.cell_type == "code":
            _take_out_pictures(cell, pictures)
    result.cells = cells
    return result


def _head(notebook: NotebookNode) -> str:
    """Buttons, and where the outputs on this page come from."""
    course = notebook.metadata["course"]
    name, made = course["notebook"], course.get("executed")
    colab = settings.colab(name, course.get("language", "en"))
    buttons = {
        say("Download the notebook"): f'href="downloads/{name}.ipynb" download',
        say("Open it in Colab"): f'href="{html.escape(colab)}"',
        say("Download it solved"): f'href="downloads/solved/{name}.ipynb" download',
    }
    links = " ".join(f'<a class="course-button" {target}>{text}</a>' for text, target in buttons.items())
    said = ""
    if made:
        said = say(
            "The outputs on this page were computed on {date} with the budget `{budget}`, in {seconds} s: {machine}.",
            date=made["date"],
            budget=made["budget"],
            seconds=made["seconds"],
            machine=made["machine"],
        )
    return f'<p class="course-actions">{links}</p>\n\n{said}'.strip()


def _fold_code(cell: NotebookNode, what: str) -> NotebookNode:
    show, hide = map(say, CODE[what])
    cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "hide-input"})
    cell.metadata["mystnb"] = {"code_prompt_show": show, "code_prompt_hide": hide}
    return cell


def _text(cell: NotebookNode, given: str | None) -> list[NotebookNode]:
    """Prose as it is; what gives an answer away folded; a space for the reader's own answer left out."""
    own = cell.id.startswith(("prediction-", "answer-"))
    if own and given is not None and cell.source == given:
        return []
    summary = next((text for start, text in FOLDED.items() if cell.id.startswith(start)), "")
    if summary:
        # Inside a fold a heading would begin a new section of the page, outside of the fold.
        body = re.sub(r"^#+ +(.+)$", r"**\1**", cell.source, flags=re.M)
        cell.source = (
            f'<details class="course-fold"><summary>{say(summary)}</summary>\n\n{body}\n\n</details>'
        )
    return [cell]


def _take_out_pictures(cell: NotebookNode, folder: Path) -> None:
    """Writes embedded PNGs to files, one for each theme, and leaves `<img>`s with the same alt text that load when they come into view."""
    for number, output in enumerate(cell.outputs, 1):
        data = output.get("data", {})
        found = EMBEDDED.search(data.get("text/html", ""))  # the whole tag, and the content in it
        if not found:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        content = base64.b64decode(found[2])
        keep = re.search(r' data-keep="([^"]*)"', found[0])
        tags = []
        for theme, picture in (("light", content), ("dark", dark(content, keep[1] if keep else None))):
            file = folder / f"{cell.id}-{number}{'-dark' * (theme == 'dark')}.png"
            file.write_bytes(picture)
            source = f'class="only-{theme}" src="pictures/{folder.name}/{file.name}" loading="lazy"'
            tags.append(re.sub(r' data-keep="[^"]*"', "", found[0].replace(found[1], source)))
        data["text/html"] = data["text/html"].replace(found[0], "\n".join(tags))
