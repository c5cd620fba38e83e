"""Grades as tables: CSV for Canvas and Moodle, `results.json` for Gradescope, JUnit XML."""

from __future__ import annotations

import csv
import datetime
import hashlib
import json
import re
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from utils.grading.roster import Person
from utils.storage import replacing
from utils.words import say, speaking

Entry = dict[str, Any]


def cell(text: str) -> str:
    """Text that no spreadsheet runs as a formula: a leading =, +, -, @ (full width too), tab or line break gets an apostrophe."""
    text = re.sub(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", "", text
    )  # and no reversed writing
    return "'" + text if text.strip(" ")[:1] in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") else text


def raw(entry: Entry) -> float:
    """Points of an entry before late work costs anything: automatic ones, and marks where they have been merged."""
    return round(sum(v["points"] for v in entry["verdicts"]) + sum(entry.get("marks", {}).values()), 2)


def points(entry: Entry) -> float:
    """Points of an entry, as far as they are known: what late work costs is off, a change by hand holds."""
    if "override" in entry:
        return float(entry["override"]["points"])
    return round(raw(entry) - cost(entry), 2)


def cost(entry: Entry) -> float:
    """Points that late work costs."""
    return round(raw(entry) * entry.get("late", {}).get("share", 0.0), 2)


def possible(entry: Entry) -> float:
    """Points that could be had in an entry's notebook, written questions included, whether they are marked yet or not."""
    automatic = sum(v["possible"] for v in entry["verdicts"])
    return automatic + (sum(_written_points(entry).values()) if entry["verdicts"] or entry["written"] else 0)


def _written_points(entry: Entry) -> dict[str, int]:
    from utils.grading.reports.questions import written_points

    return (
        written_points(entry["notebook"]) if entry["notebook"] and entry.get("written_counts", True) else {}
    )


def unmarked(entry: Entry) -> list[str]:
    """Written questions that a person has yet to mark. An empty answer needs no mark: it is worth 0."""
    return [
        name
        for name in _written_points(entry)
        if name not in entry.get("marks", {})
        and not (name in entry["written"] and not entry["written"][name].strip())
    ]


def grade(entry: Entry) -> float | None:
    """The grade that a platform gets; None, which is a blank, where it is not known: nothing could be read or graded, or marks are missing."""
    if "override" in entry:
        return points(entry)
    if entry["problem"] or entry.get("lost") or entry.get("newer") or unmarked(entry):
        return None
    return points(entry)


def by_student(entries: list[Entry]) -> dict[tuple[str, str], dict[str, Entry]]:
    """(student, platform id) -> notebook -> entry."""
    table: dict[tuple[str, str], dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        table[entry["student"], entry["user"]][entry["notebook"] or entry["origin"]] = entry
    return dict(sorted(table.items()))


def number(value: float | None) -> str:
    """A number for a platform: a point, as many digits as it needs, blank for None."""
    return "" if value is None else f"{value:g}"


def most_of(entries: list[Entry]) -> dict[str, float]:
    """Points possible by notebook."""
    names = sorted({entry["notebook"] for entry in entries if entry["notebook"]})
    return {name: max(possible(e) for e in entries if e["notebook"] == name) for name in names}


def grades_csv(
    entries: list[Entry],
    path: Path,
    people: list[Person] | None = None,
    columns: dict[str, str] | None = None,
) -> Path:
    """Canvas' import format: names, ids, a column per notebook, and Canvas' row of possible points.

    UTF-8 without a byte order mark, before which Canvas' reader takes no quoted field. All fields are quoted, so that a ; in a name begins
    no cell where ; separates.

    Args:
        entries: of all students; those of `people` have their `person`.
        path: of the file.
        people: the roster; each of its lines gets a row, blank where nothing is known.
        columns: notebook -> title of Canvas' column ("Homework 1 (12345)").
    """
    most = most_of(entries)
    titles = [(columns or {}).get(name, name) for name in most]
    rows: dict[tuple[str, ...], dict[str, Entry]] = {
        (person.name, person.id, person.sis, person.login, person.section): {} for person in people or []
    }
    for (student, user), row in by_student(entries).items():
        person = next(iter(row.values())).get("person")
        head = (
            tuple(person[key] for key in ("name", "id", "sis", "login", "section"))
            if person
            else (student, user, "", "", "")
        )
        rows.setdefault(head, {}).update(row)
    with replacing(path) as beside, open(beside, "w", newline="", encoding="utf-8", errors="replace") as file:
        out = csv.writer(file, quoting=csv.QUOTE_ALL)
        out.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *titles])
        out.writerow(["    Points Possible", "", "", "", "", *(number(most[name]) for name in most)])
        for head, row in rows.items():
            known = [number(grade(row[name])) if name in row else "" for name in most]
            out.writerow([*(cell(text) for text in head), *known])
    return path


def warnings_of(columns: dict[str, str], entries: list[Entry]) -> list[str]:
    """What Canvas will not take, in words."""
    found = [
        f"Canvas ignores columns with the word final in their title, such as {title!r}: rename the assignment there, or its grades stay out"
        for title in columns.values()
        if "final" in title.casefold()
    ]
    unknown = {e["student"] for e in entries if not (e.get("person") or {}).get("id", e["user"])}
    if columns and unknown:
        found.append(
            f"{len(unknown)} students have no id of Canvas ({', '.join(sorted(unknown)[:3])}...): give its gradebook export as --roster"
        )
    return found


def moodle_id(entry: Entry) -> str:
    """The number by which Moodle knows a participant (the one in the names of its bulk download), or ""."""
    found = entry["user"] or (entry.get("person") or {}).get("id", "")
    return found if found.isdigit() else ""


def moodle_csv(entries: list[Entry], folder: Path) -> Path:
    """Moodle's offline grading worksheet, one per notebook: what an assignment takes under "Upload grading worksheet".

    Moodle finds the participant by "Identifier". It skips a grade that was changed there after the time in "Last modified (grade)"; this table
    carries the time at which it is written. Students without a number of Moodle's (folders that no platform named) are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = ["Identifier", "Full name", "Grade", "Maximum grade", "Last modified (grade)", "Feedback comments"]
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    for name, most in most_of(entries).items():
        sheet = folder / f"{name}.csv"
        with (
            replacing(sheet) as beside,
            open(beside, "w", newline="", encoding="utf-8", errors="replace") as file,
        ):
            out = csv.writer(file, quoting=csv.QUOTE_ALL)
            out.writerow(head)
            for entry in entries:
                if entry["notebook"] == name and (identity := moodle_id(entry)):
                    row = [
                        f"Participant {identity}",
                        cell(entry["student"]),
                        number(grade(entry)),
                        f"{most:g}",
                        now,
                    ]
                    out.writerow([*row, cell(short(entry))])
    return folder


def short(entry: Entry) -> str:
    """One entry in a few sentences, for a platform's comment."""
    with speaking(entry.get("language", "en")):
        return _short(entry)


def _short(entry: Entry) -> str:
    if entry["problem"] or entry.get("lost"):
        return say("The file could not be graded: {problem}.", problem=entry["problem"])
    passed = sum(v["state"] == "passed" for v in entry["verdicts"])
    parts = [say("{passed} of {total} exercises passed.", passed=passed, total=len(entry["verdicts"]))]
    if entry.get("late"):
        parts.append(late_said(entry))
    if "override" in entry:
        parts.append(
            say(
                "Changed to {points:g} points: {reason}.",
                points=entry["override"]["points"],
                reason=entry["override"]["reason"],
            )
        )
    parts += [f"{name}: {text}" if name else text for name, text in entry.get("comments", {}).items()]
    return " ".join(parts)


def late_said(entry: Entry) -> str:
    """How late an entry was and what that cost, in words; "" for one on time."""
    if not entry.get("late"):
        return ""
    days = entry["late"]["days"]
    when = (
        say("Handed in late")
        if days is None
        else say("Handed in {days:.1f} days late", days=days)
        if days >= 1
        else say("Handed in {hours:.1f} hours late", hours=24 * days)
    )
    return (
        say("{when}; that costs {points:g} points.", when=when, points=cost(entry))
        if cost(entry)
        else f"{when}."
    )


def feedback_zips(entries: list[Entry], pages: Path, folder: Path) -> list[Path]:
    """Feedback pages under the names by which Moodle's "Upload multiple feedback files in a zip" finds each participant, a zip per notebook."""
    found = []
    for name in most_of(entries):
        theirs = [entry for entry in entries if entry["notebook"] == name and moodle_id(entry)]
        if not theirs:
            continue
        found.append(folder / f"{name}-feedback.zip")
        with zipfile.ZipFile(found[-1], "w", zipfile.ZIP_DEFLATED) as zipped:
            for entry in theirs:
                student = re.sub(r"[_/\\\x00-\x1f:*?\"<>|]+", " ", entry["student"]).strip(" .~") or "student"
                place = f"{student}_{moodle_id(entry)}_assignfeedback_file_/feedback.html"
                zipped.write(pages / f"{file_name(entry)}.html", place)
    return found


def gradescope_result(entry: Entry, isolation: str) -> dict[str, Any]:
    """An entry as Gradescope's `results.json`. Written answers are marked there."""
    with speaking(entry.get("language", "en")):
        told = [said(v) for v in entry["verdicts"]]
    tests = [
        {
            "name": v["exercise"],
            "score": v["points"],
            "max_score": v["possible"],
            "status": "passed" if v["state"] == "passed" else "failed",
            "output": text,
        }
        for v, text in zip(entry["verdicts"], told, strict=True)
    ]
    output = "\n".join(
        [f"{short(entry)} {isolation}", *entry["notes"], *(f"Not run: {x}" for x in entry.get("skipped", []))]
    )
    return {"score": points(entry), "output": output, "visibility": "visible", "tests": tests}


def gradescope(entries: list[Entry], folder: Path, isolation: str) -> Path:
    """One `results.json` per submission, in a folder per notebook and student, as Gradescope's autograder reads it."""
    for entry in entries:
        target = folder / (entry["notebook"] or "unread") / file_name(entry) / "results.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(gradescope_result(entry, isolation), ensure_ascii=False, indent=1)
        target.write_text(text, encoding="utf-8", errors="replace")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def junit(entries: list[Entry], path: Path, isolation: str) -> Path:
    """JUnit XML: a suite per submission, a test case per exercise."""
    root = ElementTree.Element("testsuites")
    for entry in entries:
        skipped = [v for v in entry["verdicts"] if v["state"] in ("not started", "missing")]
        failed = [v for v in entry["verdicts"] if v["state"] not in ("passed", "not started", "missing")]
        attributes = {
            "name": xml_text(f"{entry['student']} {entry['notebook']}"),
            "tests": str(len(entry["verdicts"])),
            "failures": str(len(failed)),
            "skipped": str(len(skipped)),
        }
        suite = ElementTree.SubElement(root, "testsuite", attributes)
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", {"name": "isolation", "value": isolation})
        for v in entry["verdicts"]:
            case = ElementTree.SubElement(
                suite, "testcase", {"classname": entry["notebook"], "name": v["exercise"]}
            )
            if v["state"] != "passed":
                open_kinds = ("not started", "missing")
                kind = "skipped" if v["state"] in open_kinds else "failure"
                ElementTree.SubElement(case, kind, {"message": xml_text(said(v))})
        if entry["problem"]:
            ElementTree.SubElement(suite, "system-err").text = xml_text(entry["problem"])
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def said(verdict: dict[str, Any]) -> str:
    """What a student reads about one exercise: the concept of the first wrong case and what is wrong; no hidden value."""
    if verdict["state"] == "passed":
        return say("All hidden cases are right.")
    if verdict["state"] == "not started" and not verdict["right"]:
        return say("Not started.")
    parts = [
        say("{right} of {cases} hidden cases are right.", right=verdict["right"], cases=verdict["cases"])
    ]
    if verdict["concept"]:
        parts.append(say("First wrong case: {case}.", case=verdict["concept"]))
    parts.append(verdict["diagnosis"] or verdict["sentence"])
    return " ".join(parts)


def mark_key(entry: Entry, question: str) -> str:
    """What a mark for a written answer belongs to: student, notebook, question and the text itself, whatever the seed or the grader's version."""
    parts = (entry["student"], entry["user"], entry["notebook"], question, entry["written"].get(question, ""))
    # a letter first: of "12e4..." a spreadsheet makes a number
    return "k" + hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def xml_text(text: str) -> str:
    """Text without the characters that XML 1.0 forbids."""
    return re.sub(r"[^\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def unturned(value: Any) -> Any:
    """Text for a page without control characters and turned writing, which would turn what stands behind a name in its line too."""
    return (
        re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", value)
        if type(value) is str
        else value
    )


def called(entry: Entry) -> str:
    """A student for an instructor's eyes: with the platform's id, where there is one, since two may have one name."""
    user = entry.get("user")  # records of an older run may have none
    return f"{entry['student']} ({user})" if user else str(entry["student"])


def shown(text: str) -> str:
    """Text that no terminal obeys: without control characters and turned writing, which a name may hold."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", text)


def file_name(entry: Entry) -> str:
    """A file name for an entry that no student name can bend: letters, digits and a short hash."""
    plain = re.sub(r"[^\w]+", "-", entry["student"], flags=re.A).strip("-")[:40]
    digest = hashlib.sha256(f"{entry['student']}\0{entry['user']}".encode("utf-8", "replace")).hexdigest()[
        :16
    ]
    return f"{plain or 'student'}-{digest}"
