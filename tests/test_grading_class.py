"""A whole class by one command: forty students, every kind of delivery, and what comes out read as the platforms read it."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

import pytest

from tests.deliveries import FILE, NAME, right, script, tarred, wrong, zipped
from tests.test_grading_output import MOODLE_NAMES, canvas
from utils.authoring.attacks.scene import solved
from utils.checks.registry import exercises_of, find
from utils.grading import lending, records
from utils.grading.isolation import probe
from utils.paths import ROOT

pytestmark = pytest.mark.skipif(not probe().safe, reason=probe().sentence())
MOST = sum(exercise.points for exercise in exercises_of(NAME))
ONE = next(exercise.points for exercise in exercises_of(NAME) if exercise.name == "causal_mask")
# surname first, as Canvas writes it -> what is handed in
KINDS = {
    "kimminsu": (FILE, right()),
    "\uae40\ubbfc\uc218": (FILE, right()),
    "\ubc15\uc11c\uc900": (f"{NAME}_\ucd5c\uc885.ipynb", right()),
    "m\u00fcllerj\u00fcrgen": (FILE, right()),
    "garc\u00edajos\u00e9": ("Untitled.ipynb", right()),
    "nguy\u1ec5nv\u0103n": ("HW_05_recap.ipynb", right()),
    "obrienann": ("script.py", script(right())),
    "textend": (f"{FILE}.txt", right()),
    "jsonend": (f"{FILE}.json", right()),
    "capitals": ("01.IPYNB", right()),
    "zippy": ("hw.ZIP", zipped({FILE: right()})),
    "nested": ("a.zip", zipped({"b.zip": zipped({f"c/{FILE}": right()})})),
    "taped": ("work.tar.gz", tarred({FILE: right()})),
    "claims": ("w.zip", zipped({f"Kim Minsu_1_assignsubmission_file_/{FILE}": wrong()})),
    "onepdf": ("hw.pdf", b"%PDF-1.7"),
    "onepage": ("hw.html", b"<!doctype html><html>"),
    "emptyzip": ("hw.zip", zipped({})),
    "cutoff": (FILE, right()[:20000]),
    "emptyfile": (FILE, b""),
    "formula=1+1": (FILE, right()),
}
UNREAD = {"onepdf", "onepage", "emptyzip", "cutoff", "emptyfile"}


def delivery(folder):
    """Canvas' bulk download of forty students, and the roster: two more, who handed nothing in."""
    files, people = {}, []
    for number, (student, (name, content)) in enumerate(KINDS.items(), start=1):
        files[f"{student}_{number}_{1000 + number}_{name}"] = content
        people.append((student, number))
    for number in range(21, 36):
        files[f"student{number}_{number}_{1000 + number}_{FILE}"] = wrong() if number % 3 == 0 else right()
        people.append((f"student{number}", number))
    files[f"late_LATE_36_1036_{FILE}"] = right()
    files[f"twice_37_1037_{FILE}"], files[f"twice_37_2037_{NAME}-1.ipynb"] = wrong(), right()
    files[f"twicelate_38_1038_{FILE}"], files[f"twicelate_LATE_38_2038_{NAME}-1.ipynb"] = wrong(), right()
    files[f"same_39_1039_{FILE}"], files[f"same_40_1040_{FILE}"] = right(), wrong()
    people += [("late", 36), ("twice", 37), ("twicelate", 38), ("same", 39), ("same", 40)]
    archive = folder / "submissions.zip"
    archive.write_bytes(zipped(files))
    roster = folder / "gradebook.csv"
    with open(roster, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 1 (12345)"])
        out.writerow(["    Points Possible", "", "", "", "", "20"])
        for student, number in [*people, ("Absent, Ann", 41), ("Absent, Ben", 42)]:
            out.writerow([student, number, f"S{number}", f"u{number}", "A", ""])
    policy = folder / "policy.toml"
    policy.write_text("[late]\ncost_per_day = 0.1\n", encoding="utf-8")
    return archive, roster, policy, people


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    base = tmp_path_factory.mktemp("class")
    archive, roster, policy, people = delivery(base)
    out = base / "out"
    command = [sys.executable, "-m", "utils.grading", "grade", str(archive), str(out)]
    command += ["--policy", str(policy), "--roster", str(roster), "--canvas-column", "Homework 1 (12345)"]
    # what an earlier version may have left
    (out / "feedback").mkdir(parents=True)
    (out / "summary.html").write_text("old", encoding="utf-8")
    for path, mode in ((out, 0o755), (out / "feedback", 0o755), (out / "summary.html", 0o644)):
        path.chmod(mode)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, umask=0o022)
    assert done.returncode == 0, done.stderr
    return out, people


def expected(people):
    """Id -> grade; None: blank."""
    grades = {}
    for student, number in people:
        lost = (
            ONE if student in ("claims",) or number in (40,) or (21 <= number < 36 and number % 3 == 0) else 0
        )
        grades[number] = None if student in UNREAD else MOST - lost
    grades[36] = MOST * 0.9
    grades[38] = MOST - ONE  # the one on time counts, though the late one is better
    return grades


def close(found, wanted):
    """A blank for None, the number itself for full points; a wrong answer may earn a part of its points."""
    if wanted is None or wanted == MOST:
        return found == ("" if wanted is None else f"{MOST:g}")
    return wanted <= float(found) < wanted + ONE


@pytest.mark.thorough
def test_forty_students_and_two_who_are_missing(graded):
    out, people = graded
    assert len(people) == 40
    if shutil.which("ruby"):
        table = canvas(out / "grades.csv")
    else:
        with open(out / "grades.csv", newline="", encoding="utf-8") as file:
            table = list(csv.reader(file, strict=True))
    assert table[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 1 (12345)"]
    assert table[1][5] == f"{MOST:g}"
    by_id = {int(row[1]): row for row in table[2:]}
    assert len(table) == 2 + 42 and {*by_id} == {*range(1, 43)}, "a row each, and none twice"
    wanted = expected(people)
    for number, row in by_id.items():
        grade = wanted.get(number)
        assert close(row[5], grade), (row, grade)
        assert row[2:5] == [f"S{number}", f"u{number}", "A"]
    assert float(by_id[1][5]) == MOST, "nobody's file went to another"
    assert float(by_id[36][5]) == pytest.approx(MOST * 0.9)
    assert float(by_id[38][5]) < MOST and float(by_id[37][5]) == MOST


def test_moodle_gradescope_and_junit(graded):
    out, people = graded
    with open(out / "moodle" / f"{NAME}.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file, strict=True))
    wanted = expected(people)
    for row in table:
        assert close(row["Grade"], wanted[int(row["Identifier"].removeprefix("Participant "))]), row
    with zipfile.ZipFile(out / "moodle" / f"{NAME}-feedback.zip") as zipped_pages:
        matched = [MOODLE_NAMES.match(name) for name in zipped_pages.namelist()]
    assert all(matched) and len({match[1] for match in matched}) == len(matched) == len(table)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in out.rglob("results.json")]
    assert len(results) == 40
    for result in results:
        assert set(result) <= {"score", "output", "visibility", "tests"} and isinstance(
            result["score"], int | float
        )
        assert all(0 <= test["score"] <= test["max_score"] for test in result["tests"])
    suites = ElementTree.parse(out / "junit.xml").getroot().findall("testsuite")
    assert len(suites) == 40


def test_only_the_user_can_read_what_comes_out(graded):
    """New paths and those that were open before, under a umask that opens them to all."""
    out, _ = graded
    assert {path.name for path in out.iterdir()} <= {*records.FOLDERS, *records.FILES}
    open_ = {
        str(path.relative_to(out)): oct(path.stat().st_mode)
        for path in (out, *out.rglob("*"))
        if path.stat().st_mode & 0o777 != (0o700 if path.is_dir() else 0o600)
    }
    assert not open_


def test_the_pages_say_what_was_made_of_everything(graded):
    out, _ = graded
    summary = (out / "summary.html").read_text(encoding="utf-8")
    assert "Handed nothing in (2)" in summary and "Absent, Ann" in summary
    for text in (
        "found onepdf_15_1015_hw.pdf (a PDF)",
        "a script; answers to written questions",
        "another attempt counts",
        "ends in .txt",
    ):
        assert text in summary, text
    for student in KINDS:
        assert student in summary
    late = next(page for page in (out / "feedback").glob("late-*.html")).read_text(encoding="utf-8")
    assert f"Handed in late; that costs {MOST / 10:g} points." in late
    mistaken = next(page for page in (out / "feedback").glob("student21-*.html")).read_text(encoding="utf-8")
    assert re.search(r"Your answer</summary><pre><code>def causal_mask\(length\):", mistaken)


def test_a_pasted_stand_in_has_its_points_and_is_named(tmp_path):
    """Code that looks like a stand-in's is nobody's proof: it costs nothing, and the instructor reads of it."""
    name = "scaled_dot_product_attention"
    text = "\n".join(lending.texts(lending.closure(find(name).stand_in)).values())
    place = tmp_path / "in" / "Ann" / FILE
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(solved(**{name: text})), encoding="utf-8")
    command = [sys.executable, "-m", "utils.grading", "grade", str(tmp_path / "in"), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out" / "grades.csv", newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row and row[0] == "Ann"]
    assert [row[-1] for row in rows] == [f"{MOST:g}"]
    summary = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    looks = [line for line in summary.splitlines() if "the course's stand-in" in html.unescape(line)]
    assert any("Ann" in line and name in line for line in looks)
    pages = {
        page.name[:3]: page.read_text(encoding="utf-8") for page in (tmp_path / "out" / "feedback").iterdir()
    }
    assert not any("stand-in" in page for page in pages.values())


def test_changes_and_comments_reach_the_student(graded):
    out, _ = graded
    line = f"student22,22,{NAME[:2]},causal_mask,1,the check was wrong,Well seen!\r\n"
    path = out / "overrides.csv"
    path.write_text(path.read_text(encoding="utf-8") + line + "nobody,99,01,,3,why,\r\n", encoding="utf-8")
    command = [sys.executable, "-m", "utils.grading", "marks", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "overrides.csv, line 3: 0 submissions" in done.stderr
    page = next(page for page in (out / "feedback").glob("student22-*.html")).read_text(encoding="utf-8")
    assert "the check was wrong" in page and "Well seen!" in page
    with open(out / "grades.csv", newline="", encoding="utf-8") as file:
        grade = next(row["Homework 1 (12345)"] for row in csv.DictReader(file) if row["ID"] == "22")
    assert float(grade) == MOST - ONE + 1
    with open(out / "moodle" / f"{NAME}.csv", newline="", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["Identifier"] == "Participant 22")
    assert "Well seen!" in row["Feedback comments"]
