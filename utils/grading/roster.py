"""Who is in the class, and changes by hand: rosters of Canvas, Moodle or any table with names and ids; `overrides.csv`."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
OVERRIDES = ["student", "id", "notebook", "exercise", "points", "reason", "comment"]
_HEADS = {
    "name": ("student", "full name", "fullname", "name", "student name", "participant"),
    "first": ("first name", "firstname", "given name"),
    "last": ("last name", "lastname", "surname", "family name", "sid name"),
    "id": (
        "id",
        "identifier",
        "user id",
        "userid",
        "id number",
        "student id",
        "sid",
        "number",
        "login",
        "username",
    ),
    "sis": ("sis user id",),
    "login": ("sis login id", "email address", "email", "e-mail"),
    "section": ("section", "groups", "group", "sections"),
}


@dataclass(frozen=True)
class Person:
    """One line of a roster.

    Args:
        name: as the roster has it.
        id: the platform's id, or "".
        sis, login, section: Canvas' further columns; of others e-mail address and group.
    """

    name: str
    id: str = ""
    sis: str = ""
    login: str = ""
    section: str = ""


def rows_of(path: Path) -> list[list[str]]:
    """Rows of a table that a spreadsheet may have saved with semicolons or tabs, in UTF-8, UTF-16 or what Excel takes for its language.

    Raises:
        ValueError: it is no table (a quotation mark that does not end, say).
    """
    text = _decoded(path.read_bytes())
    first = text.split("\n", 1)[0]
    mark = max(",;\t", key=first.count)
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark) if any(row)]
    except csv.Error as error:
        raise ValueError(f"{path.name}: {error}") from error


def _decoded(data: bytes) -> str:
    """The text of a table. Excel saves "CSV" in its country's encoding: Korean is told by its syllables, everything else is taken for Western."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            text = data.decode(encoding)
            odd = [letter for letter in text if not letter.isascii()]
            # what is Western and happens to be Korean too is made of syllables that nobody writes
            if encoding != "cp949" or 2 * sum(map(_is_common, odd)) > len(odd):
                return text
    return data.decode("cp1252", errors="replace")


def _is_common(syllable: str) -> bool:
    return bool(syllable.encode("euc_kr", "ignore"))


def read(path: Path) -> list[Person]:
    """Reads a roster: Canvas' gradebook export, Moodle's participants or worksheet, any table with a name and an id.

    Raises:
        ValueError: it has no column for names, or is no table.
    """
    rows = rows_of(path)
    head = [text.strip().casefold() for text in rows[0]] if rows else []
    where = {
        key: next((head.index(name) for name in names if name in head), -1) for key, names in _HEADS.items()
    }
    if where["name"] < 0 and where["last"] < 0:
        raise ValueError(
            f"{path.name}: no column for names (Student, Full name, or First name and Last name)"
        )

    def value(row: list[str], key: str) -> str:
        text = row[where[key]].strip() if 0 <= where[key] < len(row) else ""
        return text[1:] if re.match(r"'[=+\-@]", text) else text  # as our own tables write it

    people = []
    for row in rows[1:]:
        name = value(row, "name") or f"{value(row, 'first')} {value(row, 'last')}".strip()
        if not name or name == "Points Possible" or value(row, "id").startswith("Manual Posting"):
            continue
        number = re.sub(r"^Participant\s+", "", value(row, "id"))
        people.append(Person(name, number, value(row, "sis"), value(row, "login"), value(row, "section")))
    return people


def keys_of(name: str) -> set[str]:
    """Forms under which a name may stand: "Lee, Ann", "Ann Lee" and Canvas' "leeann" are one; so are those without accents.

    A name that `submissions` put together ("Kim: Jiwoo") has no other form: its second part is what a student called a file.
    """
    text = unicodedata.normalize("NFC", name).casefold()
    if ": " in text:
        return {text}
    words = [word for word in re.split(r"[^\w]+", text.replace("_", " ")) if word]
    if "," in name:
        last, _, first = text.partition(",")
        words = [word for word in re.split(r"[^\w]+", f"{first} {last}") if word]
    orders = {"".join(words), "".join(words[-1:] + words[:-1]), "".join(words[1:] + words[:1])}
    return (orders | {_plain(order) for order in orders}) - {""}


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))


def _spoken(name: str) -> str:
    """The name in the order in which it is spoken, accents kept."""
    last, _, first = unicodedata.normalize("NFC", name).casefold().partition(",")
    return " ".join(f"{first} {last}".split())


def _meant(name: str, found: set[Person]) -> Person | None:
    """Whom of some lines a name means: the only one, or the only one that is written as it is ("An Li" is not "Li An", nor "Muller" "M\u00fcller")."""
    if len(found) > 1:
        alike = [one for one in found if _spoken(one.name) == _spoken(name)]
        found = {one for one in alike if len(alike) == 1 and ("," in one.name) == ("," in name)}
    return next(iter(found)) if len(found) == 1 else None


def join(entries: list[Entry], people: Iterable[Person]) -> tuple[list[Person], list[str]]:
    """Gives each entry its `person`, in place: by id, else by a name that only one line of the roster has.

    Where ids of the roster are the platform's (one entry has one of them), who has another id is in no line, whatever the name. Of two
    students who have one line's name and the same notebook neither is joined: one of them only calls themselves so.

    Returns:
        who handed nothing in, and the students whom the roster does not know.
    """
    people = list(people)
    by_id: dict[str, set[Person]] = defaultdict(set)
    by_key: dict[str, set[Person]] = defaultdict(set)
    for one in people:
        if one.id:
            by_id[one.id].add(one)
        for key in keys_of(one.name):
            by_key[key].add(one)
    platforms = any(entry["user"] in by_id for entry in entries)
    claims: dict[tuple[Person, str], set[tuple[str, str]]] = defaultdict(set)
    meant: list[Person | None] = []
    for entry in entries:
        if platforms and entry["user"]:
            found = by_id.get(entry["user"], set())
        else:
            found = {one for key in keys_of(entry["student"]) for one in by_key.get(key, ())}
        by_number = platforms and entry["user"]
        meant.append(_meant("" if by_number else entry["student"], found))
        if person := meant[-1]:
            claims[person, entry["notebook"]].add((entry["student"], entry["user"]))
    here: set[Person] = set()
    strangers: dict[str, None] = {}
    for entry, person in zip(entries, meant, strict=True):
        if person is None:
            strangers[entry["student"]] = None
        elif not (platforms and entry["user"]) and len(claims[person, entry["notebook"]]) > 1:
            strangers[f"{entry['student']} (others too could be {person.name} of the roster)"] = None
        else:
            entry["person"] = asdict(person)
            here.add(person)
    return [person for person in people if person not in here], list(strangers)


def override(entries: list[Entry], path: Path) -> list[str]:
    """Applies changes by hand, in place: points of a notebook or of one exercise, with the reason that the student reads.

    Returns:
        complaints about lines that make no sense, in words; those are left out.
    """
    if not path.exists():
        path.write_text(",".join(OVERRIDES) + "\r\n", encoding="utf-8")
        return []
    try:
        rows = rows_of(path)
    except ValueError as error:
        return [str(error)]
    complaints = []
    for number, row in enumerate(rows[1:], start=2):
        line = dict(zip(OVERRIDES, [text.strip() for text in row] + [""] * 7, strict=False))
        found = [
            entry
            for entry in entries
            if entry["notebook"].startswith(line["notebook"] or "?")
            and (
                line["id"] == entry["user"]
                if line["id"]
                else keys_of(line["student"]) & keys_of(entry["student"])
            )
        ]
        if len(found) != 1:
            complaints.append(f"{path.name}, line {number}: {len(found)} submissions are meant by it")
            continue
        names = {found[0]["student"], (found[0].get("person") or {}).get("name", "")}
        if line["student"] and not keys_of(line["student"]) & set[str]().union(*map(keys_of, names)):
            said = f"{line['id']} is {found[0]['student']}, not {line['student']}"
            complaints.append(f"{path.name}, line {number}: {said}")
            continue
        if problem := _change(found[0], line):
            complaints.append(f"{path.name}, line {number}: {problem}")
    return complaints


def _change(entry: Entry, line: dict[str, str]) -> str:
    if line["comment"]:
        entry.setdefault("comments", {})["" if not line["exercise"] else line["exercise"]] = line["comment"]
    if not line["points"]:
        return "" if line["comment"] else "it changes nothing (no points, no comment)"
    if not line["reason"]:
        return "a change of points needs a reason, which the student reads"
    try:
        points = float(line["points"].replace(",", "."))
    except ValueError:
        return f"{line['points']!r} is no number"
    if not 0 <= points < 10_000:
        return f"{points:g} points cannot be"
    if not line["exercise"]:
        entry["override"] = {"points": points, "reason": line["reason"]}
        return ""
    for verdict in entry["verdicts"]:
        if verdict["exercise"] == line["exercise"]:
            verdict["changed"] = {"from": verdict["points"], "reason": line["reason"]}
            verdict["points"] = points
            return ""
    return f"{entry['notebook']} has no exercise {line['exercise']!r}"
