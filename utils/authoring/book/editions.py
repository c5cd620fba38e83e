"""A Sphinx extension for a site in several languages: each in a folder of its own, English at the top; every page leads to the same
page in the others.

While Sphinx runs, the language in use (`utils.words`) is the site's.
"""

from __future__ import annotations

from typing import Any

from babel import Locale

from utils.words import language, languages, say

#: Pages whose text is English in every edition; `lang` says so to a screen reader.
ENGLISH = ("places", "instructors", "measured", "claims", "contributing", "data")


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
    if language() != "en" and page in ENGLISH:
        context["body"] = f'<div lang="en">{context["body"]}</div>'


def setup(app) -> dict:
    """Called by Sphinx."""
    app.connect("html-page-context", _context)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
