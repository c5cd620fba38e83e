"""Whose a file is, and how often one may try: archives and names that take another's place, another's space or another's grade."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import re
from collections.abc import Iterator
from unittest import mock

from utils.authoring.attacks.handing import (
    FILE,
    Make,
    by_canvas,
    clear,
    elsewhere,
    own,
    put,
    right,
    wrong,
    zipped,
)
from utils.authoring.attacks.scene import (
    FULL,
    NOTEBOOK,
    ONE_LOST,
    ZERO,
    Attack,
    Entry,
    Scene,
    one_class,
)
from utils.grading import arrivals, report_run, roster, submissions
from utils.grading.policy import Policy
from utils.grading.reports import pages, tables
from utils.grading.roster import Person

GROUP = "whose, and how often"


# One archive's member in the place of another's


def _below_one_folder(attacker: str) -> Make:
    def make(scene: Scene) -> None:
        for number, (student, _) in enumerate([*scene.honest]):
            elsewhere(scene, number, f"hw1/{student}/work.zip")
        put(scene, f"hw1/{attacker} {scene.base.name}/work.zip", zipped({FILE: wrong()}))

    return make


def _in_one_archive(scene: Scene) -> None:
    """All students' archives of one name, below one folder, in one archive."""
    (a, _), (z, _) = scene.honest
    contents = [path.read_bytes() for path in scene.neighbours]
    clear(scene)
    files = {a: contents[0], f"m {scene.base.name}": wrong(), z: contents[1]}
    whole = zipped({f"hw1/{who}/work.zip": zipped({FILE: content}) for who, content in files.items()})
    scene.neighbours[:] = [put(scene, "class.zip", whole)]


def _two_archives(scene: Scene) -> None:
    for name, content, day in (("final.zip", right(), 2), ("first.zip", wrong(), 1)):
        path = put(scene, f"{scene.who}/{name}", zipped({FILE: content}))
        when = datetime.datetime(2025, 1, day).timestamp()
        os.utime(path, (when, when))


# Another's space, another's place


def _space(scene: Scene) -> None:
    """A platform's download in which one student's 20 kB unpack to 9 MB, where all may have 2 MB and a student 0.6."""
    scene.doors.enter_context(mock.patch.object(arrivals, "ALL_BYTES", 2_000_000))
    scene.doors.enter_context(mock.patch.object(arrivals, "STUDENTS_BYTES", 600_000))
    bomb = zipped({f"{n}/{FILE}": b"{" + b" " * 60_000 for n in range(150)})
    first, last = (path.read_bytes() for path in scene.neighbours)
    clear(scene)
    (a, _), (z, _) = scene.honest
    files = {
        f"{a}_11_21_{FILE}": first,
        f"m {scene.base.name}_12_22_work.zip": bomb,
        f"{z}_13_23_{FILE}": last,
    }
    scene.neighbours[:] = [put(scene, "submissions.zip", zipped(files))]
    scene.honest[:] = [(a, "11"), (z, "13")]


def _like_a_download(scene: Scene) -> None:
    """One student's archive at the top, whose member is called as a neighbour's next attempt would be."""
    by_canvas(scene)
    inside = f"{scene.honest[0][0]}_11_21_{NOTEBOOK}-99.ipynb"
    put(scene, f"Eve {scene.base.name}.zip", zipped({inside: wrong()}))


def _bytes_that_differ(scene: Scene) -> None:
    word = os.fsencode(scene.base.name)
    who = [os.fsdecode(name + word) for name in (b"M\xf6ller ", b"M\xfcller ")]
    elsewhere(scene, 0, f"{who[0]}/{FILE}", f"M\\udcf6ller {scene.base.name}")
    put(scene, f"{who[1]}/{FILE}", wrong())


# Another's line in the gradebook


def _same_name(scene: Scene) -> None:
    by_canvas(scene)
    put(scene, f"{scene.honest[0][0]}_666_77_{FILE}", wrong())


def _takes_a_line(grade: str):  # noqa: ANN202
    """Complains if the first neighbour's line has another grade in the table for the platform ("": two claim it, so it has none)."""

    def also(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
        people = [Person(student, user or f"{n}1") for n, (student, user) in enumerate(scene.honest, start=1)]
        roster.join(entries, people)
        path = tables.grades_csv(entries, scene.base / "grades.csv", people)
        grades = {row[1]: row[5] for row in roster.rows_of(path)[2:]}
        if grades["11"] != grade:
            yield f"the neighbour's line has {grades['11'] or 'nothing'}"

    return also


def _same_letters(scene: Scene) -> None:
    student = scene.honest[0][0]
    put(scene, f"{student.replace(' ', '.')}/{FILE}", wrong())


def _two_names(scene: Scene) -> None:
    """In the folder of one student files for two: "Kim: Jiwoo" and "Kim: Minsu", of which a neighbour is one."""
    elsewhere(scene, 0, f"Jiwoo Kim/{FILE}", "Jiwoo Kim")
    scene.students = 2
    for name in ("Minsu", "Jiwoo"):
        put(scene, f"Kim/{NOTEBOOK} {name}.ipynb", own(scene, wrong()))


# As often as one likes, and what names do


def _guesses(scene: Scene) -> None:
    """Where the best of at most two attempts counts, three, of which the first is right."""
    scene.doors.enter_context(mock.patch.object(submissions, "ATTEMPTS", 2))
    files = {f"{n}/{FILE}": wrong() + b" " * n for n in (1, 2)}
    scene.write(zipped({f"0/{FILE}": right()} | files), "work.zip")


def _bends_a_terminal(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    from utils.grading import __main__ as commands

    folder = scene.base / "reports"
    folder.mkdir()
    _, said = report_run.finish(entries, folder, Policy(), {NOTEBOOK: "Homework (12)"}, "here")
    with contextlib.redirect_stderr(io.StringIO()) as told:
        commands._tell([], said)
    if "owned" not in told.getvalue() or re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", told.getvalue()
    ):
        yield f"the terminal gets {told.getvalue()!r}"


def _terminal(scene: Scene) -> None:
    scene.who = f"0 \x1b]0;owned\x07\x1b[2J\x9b31m\u202e {scene.base.name}"
    scene.write(right())


HASHED = "Ann!& }-Lee", "Ann^)!})Lee"  # the first 32 bits of their hashes are the same


def _page_of_another(scene: Scene) -> None:
    elsewhere(scene, 0, f"{HASHED[0]}/{FILE}", HASHED[0])
    scene.who = HASHED[1]
    scene.write(own(scene, right()))


def _fewer_pages(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    written = [*pages.feedback(entries, scene.base / "feedback", "here").iterdir()]
    if len(written) != len(entries):
        yield f"{len(written)} pages for {len(entries)} students"


UNMARKED = Policy(written="leave out")
ATTACKS = (
    Attack(
        "archives of one name below one folder, a wrong one between", GROUP, ONE_LOST, _below_one_folder("m")
    ),
    Attack(
        "archives of one name below one folder, a wrong one last", GROUP, ONE_LOST, _below_one_folder("zz")
    ),
    Attack("archives of one name below one folder of an archive", GROUP, ONE_LOST, _in_one_archive),
    Attack("an archive that unpacks to all that the class may have", GROUP, ZERO, _space),
    Attack("an archive that looks like a platform's download", GROUP, ONE_LOST, _like_a_download),
    Attack(
        "a name that differs from a neighbour's in bytes that are no text",
        GROUP,
        ONE_LOST,
        _bytes_that_differ,
    ),
    Attack(
        "an unknown id with a neighbour's name",
        GROUP,
        ONE_LOST,
        _same_name,
        also=_takes_a_line("30"),
        policy=UNMARKED,
    ),
    Attack(
        "a neighbour's name in other letters, without an id",
        GROUP,
        ONE_LOST,
        _same_letters,
        also=_takes_a_line(""),
        policy=UNMARKED,
    ),
    Attack(
        "a neighbour's name on a file in one's own folder",
        GROUP,
        ONE_LOST,
        _two_names,
        also=_takes_a_line("30"),
        policy=UNMARKED,
    ),
    Attack(
        "a right guess before wrong ones, where the best counts",
        GROUP,
        ONE_LOST,
        _guesses,
        policy=Policy(attempt="best"),
    ),
    *one_class(
        "three students",
        (
            Attack("two archives of one student, of which the later one counts", GROUP, FULL, _two_archives),
            Attack(
                "a name that bends the instructor's terminal", GROUP, FULL, _terminal, also=_bends_a_terminal
            ),
            Attack(
                "a name whose page has a neighbour's short hash",
                GROUP,
                FULL,
                _page_of_another,
                also=_fewer_pages,
            ),
        ),
    ),
)
