"""Takes pages out of the Markdown files that the repository has anyway, so that nothing is written twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from utils.authoring import settings

LINK = re.compile(r"(!?)\[([^\]\n]*(?:\[[^\]]*\][^\]\n]*)?)\]\(([^)\s]+)\)")


def section(text: str, word: str) -> str:
    """The part of a Markdown text under the first second-level heading that holds a word, heading included.

    Raises:
        ValueError: no such heading.
    """
    parts = [""]
    for piece in _pieces(text):
        first, *rest = [piece] if piece.startswith("```") else re.split(r"^(?=## )", piece, flags=re.M)
        parts[-1] += first
        parts += rest
    found = next((part for part in parts if part.startswith("## ") and word in part.splitlines()[0]), None)
    if found is None:
        raise ValueError(f"no heading of the second level says {word!r}")
    return found.rstrip() + "\n"


def promoted(text: str) -> str:
    """The same text with every heading one level higher, so that a section becomes a page. Code blocks are left alone."""
    return "".join(
        piece if piece.startswith("```") else re.sub(r"^#(#+ )", r"\1", piece, flags=re.M)
        for piece in _pieces(text)
    )


def _pieces(text: str) -> list[str]:
    """The text cut into prose and fenced code blocks."""
    return re.split(r"(^```.*?^```)", text, flags=re.M | re.S)


def relinked(text: str, base: Path, root: Path, pages: dict[str, str], assets: Path) -> str:
    """Relative links made to work on the site: to its page if there is one, else to the repository on the web.

    Args:
        text: Markdown.
        base: folder of the file it comes from.
        root: the repository.
        pages: path in the repository -> page.
        assets: where pictures are copied, for `![...](...)`.
    """

    def replace(match: re.Match) -> str:
        bang, label, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        path, _, anchor = target.partition("#")
        place = (base / path).resolve()
        name = str(place.relative_to(root)) if place.is_relative_to(root) else path
        if bang:
            assets.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, assets / place.name)
            return f"![{label}]({assets.name}/{place.name})"
        if name in pages:
            return f"[{label}]({pages[name]}{'#' + anchor if anchor else ''})"
        return f"[{label}]({settings.on_the_web(name, folder=place.is_dir())})"

    return LINK.sub(replace, text)
