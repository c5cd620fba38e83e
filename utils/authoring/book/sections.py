"""A Sphinx extension that writes what the search of the site reads: `sections.js`, an entry per section, not per page.

A notebook is a page of 28,000 pixels, so a search that finds pages finds nothing. The file is a script and not JSON, so that it
can be read from a folder on disk as well.
"""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes

UNREAD = (
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.literal_block,
    nodes.section,
    nodes.title,
    nodes.comment,
)


def entries(page: str, document: nodes.document) -> list[tuple[str, str, list[str], str]]:
    """Every section of a page: page, anchor, titles from the page's own down to the section's, and the text without its subsections'."""
    found = []
    for section in document.findall(nodes.section):
        titles: list[str] = []
        above = section
        while isinstance(above, nodes.section):
            titles.insert(0, above.next_node(nodes.title).astext())
            above = above.parent
        text = " ".join(" ".join(_said(child)) for child in section.children)
        found.append((page, section["ids"][0], titles, " ".join(text.split())))
    return found


def _said(node: nodes.Node) -> list[str]:
    """The words of a node without formulas, code and subsections."""
    if isinstance(node, UNREAD) or "cell_output" in getattr(node, "attributes", {}).get("classes", []):
        return []
    if isinstance(node, (nodes.math, nodes.math_block)):
        return ["…"]
    if isinstance(node, nodes.Text):
        return [node.astext()]
    return [word for child in node.children for word in _said(child)]


def _write(app, exception: Exception | None) -> None:
    if exception is None:
        every = [
            entry for page in sorted(app.env.found_docs) for entry in entries(page, app.env.get_doctree(page))
        ]
        text = json.dumps(every, ensure_ascii=False, separators=(",", ":"))
        (Path(app.outdir) / "sections.js").write_text(f"const SECTIONS = {text};\n", encoding="utf-8")


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
