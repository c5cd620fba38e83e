"""Whose is what: from all that arrived to students and their notebooks. Canvas' and Moodle's bulk downloads are read as they come.

A student is who the place says: the platform's name of the file or folder, else the folder at the top. Names inside of what a
student sent tell nothing. Which notebook a file is, its content tells, and the name where that leaves a choice.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from utils.grading.arrivals import (
    CANVAS,
    MOODLE,
    MOODLE_LAST,
    STRAY,
    Arrival,
    is_system,
    not_the_hosts,
    tidy,
    walk,
)
from utils.grading.reading import RELEASE, BadNotebook, named, names_an_exercise, notebook_of, read_cells
from utils.words import later, say

ATTEMPTS = 10  # of one notebook by one student, where the best counts
UNREAD = 20  # files of one student that cannot be read and have an entry each in the gradebook; of more the rows tell
_VERSION_WORDS = {
    *("final", "copy", "of", "my", "old", "new", "solution", "solutions", "solved", "homework", "hw", "submission", "submitted"),
    *("updated", "assignment", "notebook", "draft", "answers", "answer", "untitled", "lab", "backup", "fixed", "last", "latest"),
    *("finished", "done", "ipynb", "colab", "kopie", "copie", "copia", "version", "ver", "v", "rev", "exercise", "week", "txt"),
    *("mine", "older", "newer", "good", "bad", "wrong", "right", "works", "working", "test", "tests", "tmp", "temp", "code", "main", "corrected"),
    *("improved", "clean", "edited", "run", "executed", "output", "outputs", "kaggle", "jupyter", "local", "task", "exam", "upload", "ok"),
    *("json", "py", "complete", "completed", "late", "resubmission", "try", "attempt", "the", "and", "second", "first", "third"),
    *("\ubcf5\uc0ac\ubcf8", "\ucd5c\uc885", "\uc81c\ucd9c", "\uacfc\uc81c", "\uc218\uc815", "\uc0ac\ubcf8"),
}  # fmt: skip


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


@dataclass(frozen=True)
class Handed:
    """One notebook of one student, or the news that a student handed in none.

    Args:
        student: as the folder or the platform names them.
        user: the platform's id, or "".
        notebook: "01_transformer_recap", or "" if nothing tells.
        path: the file on disk.
        origin: where it was found, for messages.
        problem: why it cannot be graded, or "".
        note: what else of the same student and notebook was found and is not graded, or "".
        late: the platform says so.
        when: when the file was last changed, as its place has it.
        how: how it was read, where that is not plain ("read as a notebook: its name ends in .txt"), or "".
        edited: the same as the student's own archive says, which only orders what lies in it.
    """

    student: str
    user: str
    notebook: str
    path: Path
    origin: str
    problem: str = ""
    note: str = ""
    late: bool = False
    when: datetime.datetime | None = None
    how: str = ""
    edited: datetime.datetime | None = None

    @property
    def digest(self) -> str:
        """sha256 of the file's content ("" where there is none to read: a problem, or by now a link or nothing)."""
        if self.problem:
            return ""
        try:
            with open(self.path, "rb", opener=_no_link) as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
                raise
            return ""

    @property
    def attempt(self) -> int:
        """Canvas marks the n-th resubmission by "-n" before the ending; what else is called so ("recap-01.ipynb") is called so by its owner."""
        given = next(filter(CANVAS.match, self.origin.split("/")), "")
        found = re.search(r"-(\d{1,3})\.[A-Za-z]+$", given)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class Row:
    """What was made of one thing that arrived, in words."""

    student: str
    origin: str
    made: str


@dataclass
class Delivery:
    """All of a delivery.

    Args:
        handed: every notebook of every student, all attempts; a student without any has one with a `problem`.
        rows: what was made of each file, folder and archive member.
    """

    handed: list[Handed]
    rows: list[Row]


def read(folder: Path, scratch: Path, notebooks: list[str]) -> Delivery:
    """Reads a delivery.

    Args:
        folder: what the instructor points at: folders per student, or a platform's archive or its content.
        scratch: where members of archives are put.
        notebooks: the names that exist.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder} does not exist")
    arrived = [*walk(folder, scratch)]
    if not arrived:
        raise FileNotFoundError(f"{folder} is empty: nothing was handed in")
    handed, rows = [], []
    unread: dict[tuple[str, str], int] = defaultdict(int)
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    notes = [_read(one, notebooks) for one in arrived]
    places = _places(arrived, [notebook for notebook, _, _ in notes])
    owners = _several(
        [(one, _whose(place), place[1:] or place) for one, place in zip(arrived, places, strict=True)], notes
    )
    mixed = _mixed(arrived, places)
    for (one, (student, user, late), _), (notebook, made, problem), place in zip(
        owners, notes, places, strict=True
    ):
        if one.parts[0] in mixed:
            notebook, made, problem = (
                "",
                "",
                say(
                    "it looks like a platform's download of several students, and other work lies beside it: "
                    "put the download into a folder of its own"
                ),
            )
        rows.append(Row(student, one.origin, made or problem))
        unread[student, user] += bool(problem)
        if notebook or problem:
            if problem and unread[student, user] > UNREAD:
                continue
            how = made if not made.startswith("graded as") else ""
            path = one.path or folder
            # of a student's own archive at the top only its own time is not theirs to choose
            when = one.packed if one.packed and len(place) == len(one.parts) else one.when
            handed.append(
                Handed(student, user, notebook, path, one.origin, problem, "", late, when, how, one.edited)
            )
        else:
            seen[student, user].append(f"{one.parts[-1]} ({made})")
    known = {(one.student, one.user) for one in handed}
    for (student, user), found in seen.items():
        if (student, user) not in known and not all(text.endswith("(a system file)") for text in found):
            some = ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
            handed.append(
                Handed(student, user, "", folder, student, say("no notebook; found {some}", some=some))
            )
    handed.sort(key=lambda h: (h.student, h.user, h.notebook, not h.problem, h.attempt, h.origin))
    return Delivery(handed, rows)


def find(folder: Path, scratch: Path, notebooks: list[str]) -> list[Handed]:
    """The submissions that count where no policy says otherwise: of several by one student for one notebook, the last on time.

    Raises:
        FileNotFoundError: there is no such folder, or nothing in it.
    """
    return chosen(read(folder, scratch, notebooks).handed)


def chosen(handed: Iterable[Handed], *, last: bool = False) -> list[Handed]:
    """One file per student and notebook, with a note of the others.

    Args:
        handed: all attempts.
        last: the last one counts, though another one was on time.
    """
    kept = [replace(group[-1], note=_listed(group[:-1])) for group in _attempts(handed, last=last)]
    unread = {(one.student, one.user) for one in kept if not one.problem}
    # a second file that is no notebook does not need a line in the gradebook beside the one that is
    return [one for one in kept if not one.problem or one.notebook or (one.student, one.user) not in unread]


def _attempts(handed: Iterable[Handed], *, last: bool = False) -> list[list[Handed]]:
    """All attempts of each student and notebook; the one that counts most comes last: what can be read, on time (or `last`), late."""
    groups: dict[tuple[str, str, str], list[Handed]] = defaultdict(list)
    for one in handed:
        groups[one.student, one.user, one.notebook or one.origin].append(one)

    def order(one: Handed) -> tuple[Any, ...]:
        when, edited = (time or datetime.datetime.min for time in (one.when, one.edited))
        return not one.problem, last or not one.late, one.attempt, when, edited, one.origin

    return [sorted(group, key=order) for group in groups.values()]


def best_of(handed: Iterable[Handed]) -> list[Handed]:
    """All files that are graded where the best attempt counts: the last `ATTEMPTS` of each student and notebook, with a note of the others.

    Each attempt may guess, and an archive holds thousands of them.
    """
    kept = []
    for group in _attempts(handed):
        last = group[-ATTEMPTS:]
        kept += [*last[:-1], replace(last[-1], note=_listed(group[:-ATTEMPTS]))]
    return kept


def _listed(handed: list[Handed]) -> str:
    more = f" and {len(handed) - 20} more" if len(handed) > 20 else ""
    return " ".join(one.origin for one in handed[:20]) + more


def _read(one: Arrival, notebooks: list[str]) -> tuple[str, str, str]:
    """(notebook, what was made of it, problem) of something that arrived; nothing in one file stops the others' run."""
    try:
        return _made_of(one, notebooks)
    except Exception as error:
        not_the_hosts(error)
        return "", "", say("it cannot be unpacked ({error})", error=type(error).__name__)


def _made_of(one: Arrival, notebooks: list[str]) -> tuple[str, str, str]:
    platforms = MOODLE.match(one.parts[-1]) or CANVAS.match(one.parts[-1])
    name = (platforms["name"] if platforms else "") or one.parts[-1]
    by_name = named(name, notebooks)
    if one.problem:
        return by_name, "", one.problem
    if one.path is None:
        return "", one.kind, ""
    if one.kind == "python" and not names_an_exercise(one.path):
        return "", "Python without an exercise of the course", ""
    ending = "." + name.rsplit(".", 1)[-1] if "." in name else "nothing"
    try:
        cells = read_cells(one.path)
    except BadNotebook as error:
        if name.casefold().endswith(".ipynb") and by_name:
            return by_name, f"graded as {by_name}", ""  # the grader says what is wrong with it
        return ("", "", str(error)) if name.casefold().endswith(".ipynb") else ("", str(error), "")
    notebook = notebook_of(cells, by_name)
    if notebook not in notebooks:
        notebook = by_name if one.kind == "json" else ""
    if not notebook:
        if one.kind == "json" and (cells or name.casefold().endswith(".ipynb")):
            said = say("nothing in it belongs to a notebook of the course, and its name names none")
            return "", "", said
        return "", "Python without an exercise of the course" if one.kind == "python" else "no notebook", ""
    if one.kind == "python":
        return (
            notebook,
            later(
                "read as {notebook}: a script; answers to written questions cannot be found in it",
                notebook=notebook,
            ),
            "",
        )
    if ending != ".ipynb":
        how = later(
            "read as {notebook}: a notebook, though its name ends in {ending}",
            notebook=notebook,
            ending=ending,
        )
        return notebook, how, ""
    if by_name != notebook:
        return (
            notebook,
            later("read as {notebook}: its content says so, its name does not", notebook=notebook),
            "",
        )
    return notebook, f"graded as {notebook}", ""


Owned = tuple[Arrival, tuple[str, str, bool], tuple[str, ...]]


def _whose(place: tuple[str, ...]) -> tuple[str, str, bool]:
    """(student, id, late) of a place: only its first part is looked at."""
    if moodle := MOODLE.match(place[0]):
        last = MOODLE_LAST.match(place[0]) or moodle
        # a folder's name ends with what Moodle wrote; what stands before it is the student's to choose
        if len(place) > 1:
            return last["student"], last["user"], False
        if last["user"] == moodle["user"]:
            return moodle["student"], moodle["user"], False
        return _stem(place[0]), "", False  # two ids, in a name or in a file's name: nobody's but its own
    if canvas := CANVAS.match(place[0]):
        return canvas["student"], canvas["user"], bool(canvas["late"])
    if len(place) > 1:
        return place[0], "", False
    return _person(place[0]) or _stem(place[0]), "", False


def _stem(name: str) -> str:
    return re.sub(r"(?:\.(?:ipynb|txt|json|py|zip|tar|gz|tgz))+$", "", name, flags=re.I) or name


def _platforms(name: str) -> bool:
    return bool(MOODLE.match(name) or CANVAS.match(name))


def _is_stray(one: Arrival) -> bool:
    """Whether it is a table or a note at the top, beside what a platform has named: the instructor's own."""
    name = one.parts[0]
    return (
        len(one.parts) == 1
        and one.path is None
        and name.casefold().endswith(STRAY)
        and not (one.problem or _platforms(name))
    )


def _places(arrived: list[Arrival], read: list[str]) -> list[tuple[str, ...]]:
    """The place of each arrival: parts that begin with what names the student.

    The same number of leading parts is cut from all, so that nothing in one student's folder can claim to be another's.

    Args:
        arrived: all of it.
        read: the notebook that each one is, or "".
    """
    real = [index for index, one in enumerate(arrived) if not (is_system(one.parts) or _is_stray(one))]
    archives: dict[str, list[str]] = defaultdict(
        list
    )  # at the top, not named by a platform -> first names in it
    for index in real:
        if arrived[index].packed and not _platforms(arrived[index].parts[0]):
            archives[arrived[index].parts[0]] += arrived[index].parts[1:2]
    alone = len({arrived[index].parts[0] for index in real}) == 1
    flat = alone and any(
        len(arrived[index].parts) == 2 and not _platforms(arrived[index].parts[1]) for index in real
    )
    # Several are downloads only where nothing lies beside: whoever hands in one archive cannot make it one.
    downloads = all(arrived[index].parts[0] in archives for index in real) and all(
        inner and all(_platforms(name) for name in inner) for inner in archives.values()
    )
    places = []
    for one in arrived:
        parts = one.parts
        if parts[0] in archives:
            whole = len(parts) > 1 and not flat and (alone or downloads)
            parts = parts[1:] if whole else (_stem(parts[0]), *parts[1:])
        places.append(parts)
    for _ in range(3):
        groups: dict[str, list[int]] = defaultdict(list)
        for index in real:
            groups[places[index][0]].append(index)
        if not all(
            _holds_students(name, [(places[i], read[i]) for i in group]) for name, group in groups.items()
        ):
            break
        places = [parts[1:] or parts for parts in places]
    return places


def _mixed(arrived: list[Arrival], places: list[tuple[str, ...]]) -> set[str]:
    """Archives at the top that would be one student's because other work lies beside them, and hold what a platform has named after several."""
    inner: dict[str, set[str]] = defaultdict(set)
    for one, place in zip(arrived, places, strict=True):
        name = one.parts[0]
        if one.packed and len(one.parts) > 1 and place[0] == _stem(name) and not _platforms(name):
            inner[name].add(one.parts[1])
    return {
        name
        for name, found in inner.items()
        if all(map(_platforms, found)) and len({_whose((one,))[:2] for one in found}) > 1
    }


def _holds_students(name: str, group: list[tuple[tuple[str, ...], str]]) -> bool:
    """Whether a folder at the top is no student's, but holds students' files or folders (a download kept by assignment, say)."""
    if _platforms(name) or any(len(parts) < 2 for parts, _ in group):
        return False
    if all(_platforms(parts[1]) for parts, _ in group):
        return True
    entries: dict[str, set[str]] = defaultdict(set)  # notebook -> what directly below the folder holds it
    for parts, notebook in group:
        if notebook:
            entries[notebook].add(parts[1])
    people = {_person(name) for held in entries.values() for name in held}
    return "" not in people and any(len({_person(name) for name in held}) >= 2 for held in entries.values())


def _person(name: str) -> str:
    """What of a name is neither a notebook's name nor a version ("Ann" of "Ann - 01_transformer_recap (2).ipynb"), or ""."""
    words = re.split(r"[\s_\-.()\[\],+&\d]+", _stem(name))
    course = {word for path in RELEASE.glob("[0-9][0-9]_*.ipynb") for word in path.stem.split("_")}
    kept = [w for w in words if w and w.casefold() not in course | _VERSION_WORDS]
    return " ".join(kept) if sum(letter.isalpha() for letter in "".join(kept)) >= 2 else ""


def _several(owners: list[Owned], read: list[tuple[str, str, str]]) -> list[Owned]:
    """Gives several students' files that lie in one folder a name each: "hw1: Ann", "hw1: Ben"."""
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    groups = defaultdict(list)
    for index, ((_, (student, user, _), inner), (notebook, _, problem)) in enumerate(
        zip(owners, read, strict=True)
    ):
        if not user and notebook and not problem and len(inner) == 1:
            groups[student, notebook].append(index)
            people[student, notebook].add(_person(inner[0]))
    found = list(owners)
    for key, indices in groups.items():
        names = people[key]
        if len(names) >= 2 and "" not in names and key[0] not in names:
            for index in indices:
                one, (student, user, late), inner = owners[index]
                found[index] = one, (f"{student}: {_person(inner[0])}", user, late), inner
    return found


def whose(origin: str) -> tuple[str, str]:
    """(student, platform id) of a relative name, for who has one file and no delivery."""
    student, user, _ = _whose(tidy(origin))
    return student, user
