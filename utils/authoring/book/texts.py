"""Takes pages out of the Markdown files that the repository has anyway, so that nothing is written twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from utils.authoring import settings
from utils.authoring.book.pictures import dark, kept

LINK = re.compile(r"(!?)\[([^\]\n]*(?:\[[^\]]*\][^\]\n]*)?)\]\(([^)\s]+)\)")


def _pieces(text: str) -> list[str]:
    """The text cut into prose and fenced code blocks."""
    return re.split(r"(^```.*?^```)", text, flags=re.M | re.S)


def _picture(alt: str, file: Path) -> str:
    """A picture; where its file says what to keep, a second one for the dark theme."""
    keep = kept(file)
    if keep is None:
        return f"![{alt}]({file.parent.name}/{file.name})"
    other = file.with_stem(f"{file.stem}-dark")
    other.write_bytes(dark(file.read_bytes(), keep))
    return "\n".join(
        f"```{{image}} {file.parent.name}/{one.name}\n:alt: {alt}\n:class: only-{theme}\n```\n"
        for theme, one in (("light", file), ("dark", other))
    )


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
            return _picture(label, assets / place.name)
        if name in pages:
            return f"[{label}]({pages[name]}{'#' + anchor if anchor else ''})"
        return f"[{label}]({settings.on_the_web(name, folder=place.is_dir())})"

    return LINK.sub(replace, text)
