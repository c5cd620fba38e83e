"""Merges the units into `locale/<language>/LC_MESSAGES/*.po` and says how far a language is.

A unit that changed keeps its old translation, marked fuzzy, with the English that it was made for beside it. Fuzzy and missing units are
shown in English, so a half-translated course is whole.
"""

from __future__ import annotations

import difflib
import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from utils.authoring.languages import sources
from utils.authoring.languages.kept import lost
from utils.words import LOCALE

#: Languages in which a missing or fuzzy unit fails the tests. The others are on their way.
COMPLETE = ("ko",)
NEVER = datetime(2026, 1, 1, tzinfo=UTC)  # the header's dates: the time of a merge would make each one a diff
HEADER = "# Transformers for vision, {language}: {name}. Written by `make messages`; translations by hand.\n#"


def path_of(language: str, name: str, locale: Path = LOCALE) -> Path:
    """Where a catalogue lies."""
    return locale / language / "LC_MESSAGES" / f"{name}.po"


def read(path: Path) -> Catalog:
    """A catalogue; an empty one where there is none."""
    if not path.exists():
        return Catalog(locale=path.parent.parent.name, fuzzy=False)
    with open(path, "rb") as file:
        catalog = read_po(file, locale=path.parent.parent.name)
    for message in catalog:  # Babel writes the former English as "#| ..." and reads that as a remark
        former = " ".join(text.lstrip("| ") for text in message.user_comments if text.startswith("|"))
        message.user_comments = [text for text in message.user_comments if not text.startswith("|")]
        parts = re.findall(r'"(?:[^"\\]|\\.)*"', former)  # it is broken into lines anywhere between words
        message.previous_id = ["".join(map(json.loads, parts))] * bool(former)
    return catalog


def merge(language: str, found: dict[str, sources.Units], locale: Path = LOCALE) -> list[Path]:
    """Brings all catalogues of a language up to date.

    Args:
        language: two letters; a new one is begun.
        found: the units, by catalogue.
        locale: folder of the languages.

    Returns:
        the files written.
    """
    old = {name: read(path_of(language, name, locale)) for name in found}
    memory = {
        str(m.id): m.string for catalog in old.values() for m in catalog if m.id and m.string and not m.fuzzy
    }
    written = []
    for name, units in found.items():
        catalog = old[name]
        former = {message.id: message.previous_id for message in catalog}
        catalog.update(_template(language, units))
        catalog.obsolete.clear()  # git remembers them
        for message in catalog:
            message.previous_id = message.previous_id or former.get(message.id, [])
            if message.id and (message.fuzzy or not message.string) and message.id in memory:
                message.string = memory[message.id]
                message.flags.discard("fuzzy")
                message.previous_id = []
        text = _text(catalog, language, name)
        path = path_of(language, name, locale)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def _template(language: str, units: sources.Units) -> Catalog:
    catalog = Catalog(locale=language, fuzzy=False)
    for unit, places in units.items():
        catalog.add(unit, locations=[(place, 0) for place in places[:3]])
    return catalog


def _text(catalog: Catalog, language: str, name: str) -> str:
    catalog.creation_date = catalog.revision_date = NEVER
    catalog.header_comment = HEADER.format(language=language, name=name)
    catalog.project, catalog.version, catalog.last_translator, catalog.language_team = (
        "course",
        "1",
        "",
        language,
    )
    for message in catalog:  # braces and percents of formulas and prose are no places for values
        message.flags -= {"python-format", *(() if name in sources.BY_CODE else ("python-brace-format",))}
    file = io.BytesIO()
    write_po(file, catalog, width=100, include_previous=True)
    return file.getvalue().decode("utf-8")


def state(message: Message) -> str:
    """ "translated", "fuzzy" or "missing"."""
    return "fuzzy" if message.fuzzy else "translated" if message.string else "missing"


def counts(language: str, names: list[str], locale: Path = LOCALE) -> dict[str, dict[str, int]]:
    """Catalogue -> number of units that are translated, fuzzy, missing."""
    found = {}
    for name in names:
        states = [state(m) for m in read(path_of(language, name, locale)) if m.id]
        found[name] = {kind: states.count(kind) for kind in ("translated", "fuzzy", "missing")}
    return found


def table(found: dict[str, dict[str, int]]) -> str:
    """The counts as text, with a last line for all."""
    total = {kind: sum(row[kind] for row in found.values()) for kind in ("translated", "fuzzy", "missing")}
    lines = [f"{'':28}{'translated':>12}{'fuzzy':>8}{'missing':>9}"]
    for name, row in [*found.items(), ("all", total)]:
        share = 100 * row["translated"] / max(sum(row.values()), 1)
        lines.append(f"{name:28}{row['translated']:>12}{row['fuzzy']:>8}{row['missing']:>9}{share:>7.0f} %")
    return "\n".join(lines)


def losses(language: str, names: list[str], locale: Path = LOCALE) -> list[str]:
    """Translations that do not keep what they must, in words."""
    return [
        f"{name}: {message.id!r}: {what}"
        for name in names
        for message in read(path_of(language, name, locale))
        if message.id and state(message) == "translated"
        for what in lost(str(message.id), str(message.string), prose=name not in sources.BY_CODE)
    ]


def changed(language: str, names: list[str], locale: Path = LOCALE) -> str:
    """What a translator has to do: per fuzzy unit the change of the English, word by word, and the old translation; then what is missing."""
    parts = []
    for name in names:
        path = path_of(language, name, locale)
        for message in read(path):
            if not message.id or state(message) == "translated":
                continue
            where = ", ".join(place for place, _ in message.locations)
            head = f"{path.name}: {where}"
            if message.fuzzy:
                was = message.previous_id[0] if message.previous_id else ""
                parts.append(
                    f"{head} (changed)\n  English: {_difference(was, str(message.id))}\n  old: {message.string}"
                )
            else:
                parts.append(f"{head} (missing)\n  English: {message.id}")
    return "\n\n".join(parts) or "Nothing is fuzzy or missing."


def _difference(old: str, new: str) -> str:
    """The new text, with what went as [-old-] and what came as {+new+}, as git's word diff shows it."""
    a, b = old.split(), new.split()
    said = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            said += b[k:m]
            continue
        said += [f"[-{' '.join(a[i:j])}-]"] * (j > i) + [f"{{+{' '.join(b[k:m])}+}}"] * (m > k)
    return " ".join(said)
