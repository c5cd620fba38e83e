"""What the course says to its reader, in the reader's language.

    say("{name} is not started yet.", name="pool")     # "pool is not started yet.", or what the catalogue has for it

Everything that a reader sees is said in English in the code and looked up in `locale/<language>/LC_MESSAGES/*.po`. What is not there, or
marked as fuzzy there, is shown in English. `.po` files are read as they are, by the few lines below: they are what a diff shows and a
translator edits, so there is no compiled copy that could be stale in a clone of the repository. Nothing here needs more than Python.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from utils.particles import chosen
from utils.paths import ROOT

LOCALE = ROOT / "locale"
VARIABLE = "COURSE_LANGUAGE"  # the language of a terminal, and of what a notebook has chosen
CATALOGUES = ("checks", "feedback", "site")  # of what is said by code; a class release has the first
_within: ContextVar[str] = ContextVar("language", default="")
_STRING = re.compile(r'(?:(msgid|msgstr) )?(".*")$')


def speak(language: str) -> None:
    """Chooses the language for this process and those that it starts. The set-up cell of a notebook calls it.

    Args:
        language: such as "ko"; "en" is the source.
    """
    os.environ[VARIABLE] = language


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Within the block, another language: for a grader, whose submissions are in several."""
    token = _within.set(language)
    try:
        yield
    finally:
        _within.reset(token)


def language() -> str:
    """The language in use, as two letters; "en" if none was chosen."""
    return re.split(r"[_.@-]", _within.get() or os.environ.get(VARIABLE, ""))[0].lower() or "en"


def languages() -> list[str]:
    """All languages of the course: English, then those that have catalogues."""
    return ["en", *sorted(path.parent.name for path in LOCALE.glob("*/LC_MESSAGES"))]


def say(sentence: str, *values: object, **names: object) -> str:
    """A sentence in the reader's language, with values put into it.

    Args:
        sentence: in English, written out where it is said, so that `make messages` finds it; with `{name}` for what is put in, as in
            `str.format`. Without any value it is taken as it stands. Or what :func:`later` gave.
        *values, **names: what is put in; `{}` without a name only where the values have none (alt texts).
    """
    if isinstance(sentence, Later):
        names = sentence.names
        sentence = sentence.template
    names = {key: say(value) if isinstance(value, Later) else value for key, value in names.items()}
    spoken = language()
    text = translations(spoken).get(sentence, sentence)
    return finished(text.format(*values, **names) if values or names else text, spoken)


def finished(text: str, language: str) -> str:
    """A sentence in its last form, once the values are in it: in Korean the particles are chosen."""
    return chosen(text) if language == "ko" else text


class Later(str):
    """An English sentence that still knows what it was made of, so that it can be said in another language when it is shown.

    Everything between, such as a comparison with another sentence, sees the English.
    """

    template: str
    names: dict[str, object]


def later(sentence: str, **names: object) -> Later:
    """The sentence in English, with values put into it, to be shown by `say(it)`. Values may be such sentences themselves.

    Args:
        sentence, **names: as in :func:`say`.
    """
    text = Later(sentence.format(**names) if names else sentence)
    text.template, text.names = sentence, names
    return text


@lru_cache(maxsize=None)  # noqa: UP033 - an old Python, which lacks `cache`, gets its sentence, too
def translations(language: str) -> dict[str, str]:
    """English -> translated, of all that code says; what is missing or fuzzy is left out."""
    found: dict[str, str] = {}
    for name in CATALOGUES:
        path = LOCALE / language / "LC_MESSAGES" / f"{name}.po"
        if language != "en" and path.exists():
            found = {**read(path), **found}
    return found


def read(path: Path) -> dict[str, str]:
    """The translations in a `.po` file: English -> translated, without what is empty or fuzzy."""
    found: dict[str, str] = {}
    entry: dict[str, str] = {}
    field, fuzzy = "", False
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        if line.startswith("#,"):
            fuzzy = fuzzy or "fuzzy" in line
        match = _STRING.match(line)
        if match:
            field = match[1] or field
            entry[field] = entry.get(field, "") + json.loads(match[2])
        elif not line.strip():
            if entry.get("msgid") and entry.get("msgstr") and not fuzzy:
                found[entry["msgid"]] = entry["msgstr"]
            entry, field, fuzzy = {}, "", False
    return found
