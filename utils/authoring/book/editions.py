"""A Sphinx extension for a site in several languages: each in a folder of its own, English at the top; every page leads to the same
page in the others.

While Sphinx runs, the language in use (`utils.words`) is the site's.
"""

from __future__ import annotations

from typing import Any

from babel import Locale

from utils.paths import ROOT
from utils.words import language, languages, say

#: Texts beside the notebooks, and the names of their pages.
TEXTS = {
    "README.md": "index",
    "CONTRIBUTING.md": "contributing",
    "data/README.md": "data",
    "docs/measured.md": "measured",
    "docs/claims.md": "claims",
    "docs/instructors.md": "instructors",
    "docs/places.md": "places",
}


def translated(name: str, spoken: str) -> str:
    """The file of a text in a language, such as "docs/places.ko.md" for "docs/places.md"; the English one where there is none."""
    other = name.removesuffix(".md") + f".{spoken}.md"
    return other if (ROOT / other).exists() else name


def _is_english(page: str) -> bool:
    """Whether a page of another edition shows an English text; `lang` says so to a screen reader."""
    return any(stem == page and translated(name, language()) == name for name, stem in TEXTS.items())


def links(page: str) -> list[tuple[str, str, str]]:
    """(language, its own name, address from this page) of the same page in every edition, this one included."""
    here = "" if language() == "en" else "../"
    return [
        (
            code,
            str(Locale.parse(code).get_display_name(code)),
            f"{here}{'' if code == 'en' else code + '/'}{page}.html",
        )
        for code in languages()
    ]


def _context(app, page: str, template: str, context: dict[str, Any], document) -> None:
    context |= {"say": say, "editions": links(page), "edition": language()}
    if language() != "en" and _is_english(page):
        context["body"] = f'<div lang="en">{context["body"]}</div>'


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("html-page-context", _context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
