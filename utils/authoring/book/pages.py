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
from utils.authoring.build import PREDICTION, WRITTEN
from utils.authoring.stubs import BEGIN, END

EMBEDDED = re.compile(r'<img [^>]*(src="data:image/png;base64,([^"]+)")[^>]*>')
# The beginning of a markdown cell's id -> what its fold says.
FOLDED = {
    "prediction-": "Show what happens",
    "answer-": "Show a model answer",
    "rubric-": "Show how it is marked",
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
    stubs = {cell.id: cell.source for cell in student.cells if cell.cell_type == "code"}
    result = nbformat.from_dict(solved)
    cells = []
    for cell in result.cells:
        if cell.id == "badge":
            cells.append(new_markdown_cell(_head(result), id="badge"))
        elif cell.id == "set-up":
            cells.append(_fold_code(cell, "the set-up cell"))
        elif cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            cells.append(new_markdown_cell(f"```python\n{stubs[cell.id]}\n```", id=f"{cell.id}-stub"))
            cell.source = "\n".join(x for x in cell.source.splitlines() if x.strip() not in (BEGIN, END))
            cells.append(_fold_code(cell, "the answer"))
        elif cell.cell_type == "markdown":
            cells.extend(_text(cell))
        elif "hide-input" in cell.metadata.get("tags", []):
            title, _, cell.source = cell.source.partition("\n")
            cells.append(
                _fold_code(cell, f"the code of this {title.removeprefix('# @title').strip().lower()}")
            )
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
    buttons = {
        "Download the notebook": f'href="downloads/{name}.ipynb" download',
        "Open it in Colab": f'href="{html.escape(settings.colab(name))}"',
        "Download it solved": f'href="downloads/solved/{name}.ipynb" download',
    }
    links = " ".join(f'<a class="course-button" {target}>{text}</a>' for text, target in buttons.items())
    said = ""
    if made:
        said = f"The outputs on this page were computed on {made['date']} with the budget `{made['budget']}`, in {made['seconds']} s: {made['machine']}."
    return f'<p class="course-actions">{links}</p>\n\n{said}'.strip()


def _fold_code(cell: NotebookNode, what: str) -> NotebookNode:
    cell.metadata["tags"] = sorted({*cell.metadata.get("tags", []), "hide-input"})
    cell.metadata["mystnb"] = {"code_prompt_show": f"Show {what}", "code_prompt_hide": f"Hide {what}"}
    return cell


def _text(cell: NotebookNode) -> list[NotebookNode]:
    """Prose as it is; what gives an answer away folded; a space for the reader's own answer left out."""
    if cell.source.strip() in (PREDICTION.strip(), WRITTEN.strip()):
        return []
    summary = next((text for start, text in FOLDED.items() if cell.id.startswith(start)), "")
    if summary:
        # Inside a fold a heading would begin a new section of the page, outside of the fold.
        body = re.sub(r"^#+ +(.+)$", r"**\1**", cell.source, flags=re.M)
        cell.source = f'<details class="course-fold"><summary>{summary}</summary>\n\n{body}\n\n</details>'
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
