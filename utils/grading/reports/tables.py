"""Grades as tables: CSV for Canvas and Moodle, `results.json` for Gradescope, JUnit XML."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Entry = dict[str, Any]


def cell(text: str) -> str:
    """Text that no spreadsheet runs as a formula: a leading =, +, -, @ (full width too), tab or line break gets an apostrophe."""
    text = re.sub(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", "", text
    )  # and no reversed writing
    return "'" + text if text.strip(" ")[:1] in tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") else text


def points(entry: Entry) -> float:
    """Points of an entry: automatic ones, and rubric marks where they have been merged."""
    return round(sum(v["points"] for v in entry["verdicts"]) + sum(entry.get("marks", {}).values()), 2)


def possible(entry: Entry) -> float:
    """Points that could be had in an entry's notebook."""
    from utils.grading.reports.questions import written_points

    automatic = sum(v["possible"] for v in entry["verdicts"])
    return automatic + (sum(written_points(entry["notebook"]).values()) if entry.get("marks") else 0)


def by_student(entries: list[Entry]) -> dict[tuple[str, str], dict[str, Entry]]:
    """(student, platform id) -> notebook -> entry."""
    table: dict[tuple[str, str], dict[str, Entry]] = defaultdict(dict)
    for entry in entries:
        table[entry["student"], entry["user"]][entry["notebook"] or entry["origin"]] = entry
    return dict(sorted(table.items()))


def grades_csv(entries: list[Entry], path: Path) -> Path:
    """Canvas' import format: names, ids, a column per notebook, and Canvas' row of possible points."""
    names = sorted({entry["notebook"] for entry in entries if entry["notebook"]})
    most = {name: max(possible(e) for e in entries if e["notebook"] == name) for name in names}
    with open(path, "w", newline="", encoding="utf-8-sig") as file:
        out = csv.writer(
            file, quoting=csv.QUOTE_ALL
        )  # so that a ; in a name begins no cell where ; separates
        out.writerow(["Student", "ID", "SIS Login ID", "Section", *names])
        out.writerow(["    Points Possible", "", "", "", *(f"{most[name]:g}" for name in names)])
        for (student, user), row in by_student(entries).items():
            out.writerow(
                [
                    cell(student),
                    cell(user),
                    "",
                    "",
                    *(f"{points(row[n]):g}" if n in row else "" for n in names),
                ]
            )
    return path


def moodle_csv(entries: list[Entry], folder: Path) -> Path:
    """Moodle's offline grading worksheet, one per notebook: what an assignment takes under "Upload grading worksheet".

    Moodle finds the participant by "Identifier"; the number is the one in the names of its bulk download. Students without one
    (folders that no platform named) are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({entry["notebook"] for entry in entries if entry["notebook"]})
    head = ["Identifier", "Full name", "Grade", "Maximum grade", "Last modified (grade)", "Feedback comments"]
    for name in names:
        group = [entry for entry in entries if entry["notebook"] == name]
        most = max(possible(entry) for entry in group)
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, quoting=csv.QUOTE_ALL)
            out.writerow(head)
            for entry in group:
                if entry["user"].isdigit():
                    said = f"{sum(v['state'] == 'passed' for v in entry['verdicts'])} of {len(entry['verdicts'])} exercises passed."
                    row = [
                        f"Participant {entry['user']}",
                        cell(entry["student"]),
                        f"{points(entry):g}",
                        f"{most:g}",
                        "-",
                    ]
                    out.writerow([*row, entry["problem"] and "The file could not be graded." or said])
    return folder


def gradescope(entries: list[Entry], folder: Path, isolation: str) -> Path:
    """One `results.json` per submission, in a folder per notebook and student, as Gradescope's autograder reads it."""
    for entry in entries:
        tests = [
            {
                "name": v["exercise"],
                "score": v["points"],
                "max_score": v["possible"],
                "status": "passed" if v["state"] == "passed" else "failed",
                "output": said(v),
            }
            for v in entry["verdicts"]
        ]
        result = {
            "score": points(entry),
            "output": entry["problem"] or isolation,
            "visibility": "visible",
            "tests": tests,
        }
        target = folder / (entry["notebook"] or "unread") / file_name(entry) / "results.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
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
        return "All hidden cases are right."
    if verdict["state"] == "not started" and not verdict["right"]:
        return "Not started."
    parts = [f"{verdict['right']} of {verdict['cases']} hidden cases are right."]
    if verdict["concept"]:
        parts.append(f"First wrong case: {verdict['concept']}.")
    parts.append(verdict["diagnosis"] or verdict["sentence"])
    return " ".join(parts)


def mark_key(entry: Entry, question: str) -> str:
    """What a mark for a written answer belongs to: student, notebook, question and the text itself, whatever the seed or the grader's version."""
    parts = (entry["student"], entry["user"], entry["notebook"], question, entry["written"].get(question, ""))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def xml_text(text: str) -> str:
    """Text without the characters that XML 1.0 forbids."""
    return re.sub(r"[^\x09\x0a\x0d\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)


def file_name(entry: Entry) -> str:
    """A file name for an entry that no student name can bend: letters, digits and a short hash."""
    plain = re.sub(r"[^\w]+", "-", entry["student"], flags=re.A).strip("-")[:40]
    digest = hashlib.sha256(f"{entry['student']}\0{entry['user']}".encode("utf-8", "replace")).hexdigest()[:8]
    return f"{plain or 'student'}-{digest}"
