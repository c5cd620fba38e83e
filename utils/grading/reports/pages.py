"""Grades as pages: feedback per student, one page per written question for marking, a summary of the class. Plain HTML, no scripts.

The pages are Jinja2 templates with autoescape; what students read is in `words.py`.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from utils.grading.records import write_safely
from utils.grading.reports import tables
from utils.grading.reports.questions import questions
from utils.grading.reports.tables import by_student, cell, file_name, grade, mark_key, possible
from utils.grading.reports.words import words
from utils.grading.roster import Person, rows_of
from utils.words import speaking

if TYPE_CHECKING:  # torch comes with it, for which who only reads reports does not wait
    from utils.grading.likeness import Pair

Entry = dict[str, Any]
NOTES = "marks_for_instructor"  # of an entry: what a person should look at, in words
MOST_PAIRS = 200  # of near-copies, on the summary


@cache
def _templates() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=tables.unturned
    )
    for tool in (
        tables.points,
        tables.possible,
        tables.unmarked,
        tables.number,
        tables.said,
        tables.late_said,
        mark_key,
    ):
        environment.globals[tool.__name__] = tool
    environment.globals["written_points"] = tables._written_points
    return environment


def page(template: str, title: str, **values: Any) -> str:
    """A whole HTML document."""
    return _templates().get_template(f"{template}.html").render(title=title, **values)


def feedback(entries: list[Entry], folder: Path, isolation: str) -> Path:
    """A page per student: for each exercise points, what is wrong by concept, the diagnosis, and their own answer."""
    folder.mkdir(parents=True, exist_ok=True)
    for (student, _), row in by_student(entries).items():
        theirs = [entry for _, entry in sorted(row.items())]
        language = theirs[0].get("language", "en")
        with speaking(language):
            say = words()
            text = page(
                "feedback",
                say["title"].format(student=student),
                student=student,
                entries=theirs,
                say=say,
                language=language,
                isolation=isolation,
            )
        (folder / f"{file_name(theirs[0])}.html").write_text(text, encoding="utf-8", errors="replace")
    return folder


def written(entries: list[Entry], folder: Path) -> Path:
    """Per written question: a page with the rubric and all answers, and a CSV to put marks into.

    A later run adds rows for new answers and keeps what has been entered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted({entry["notebook"] for entry in entries if entry["notebook"]}):
        answers = [entry for entry in entries if entry["notebook"] == notebook]
        for question in questions(notebook):
            stem = f"{notebook}-{question.name}"
            text = page("written", stem, notebook=notebook, question=question, entries=answers)
            (folder / f"{stem}.html").write_text(text, encoding="utf-8", errors="replace")
            _marking_sheet(folder / f"{stem}.csv", answers, question.name, question.points)
    return folder


def _marking_sheet(path: Path, answers: list[Entry], question: str, most: int) -> None:
    kept = rows_of(path) if path.exists() else [["key", "student", f"points (0 to {most})", "comment"]]
    known = {row[0] for row in kept[1:] if row}
    rows = [
        [key, cell(entry["student"]), "", ""]
        for entry in answers
        if entry["written"].get(question, "").strip() and (key := mark_key(entry, question)) not in known
    ]
    if rows or not path.exists():
        text = io.StringIO()
        csv.writer(text).writerows([*kept, *rows])
        write_safely(path, text.getvalue())


def summary(
    entries: list[Entry],
    path: Path,
    isolation: str,
    *,
    rows: Iterable[dict[str, str]] = (),
    missing: Iterable[Person] = (),
    strangers: Iterable[str] = (),
    copies: Iterable[Pair] = (),
) -> Path:
    """The class at a glance: points, exercises, frequent mistakes, near-copies, who is missing, what to look at, and what was made of each file."""
    names = sorted({entry["notebook"] for entry in entries if entry["notebook"]})
    text = page(
        "summary",
        "Class summary",
        isolation=isolation,
        books=[_book(name, [entry for entry in entries if entry["notebook"] == name]) for name in names],
        marked=[*_marked(entries)],
        missing=[*missing],
        strangers=[*strangers],
        copies=[*copies],
        most_pairs=MOST_PAIRS,
        unread=[entry for entry in entries if entry["problem"]],
        rows=[*rows],
    )
    path.write_text(text, encoding="utf-8", errors="replace")
    return path


def _book(name: str, group: list[Entry]) -> dict[str, Any]:
    scores = [score for entry in group if (score := grade(entry)) is not None]
    most = max(possible(entry) for entry in group)
    bins = Counter(min(int(10 * score / most) if most else 0, 9) for score in scores)
    top = max(bins.values(), default=1)
    return {
        "name": name,
        "group": group,
        "scores": scores,
        "median": statistics.median(scores) if scores else 0,
        "mean": statistics.mean(scores) if scores else 0,
        "most": most,
        "late": sum(bool(entry.get("late")) for entry in group),
        "waiting": sum(bool(tables.unmarked(entry)) and not entry["problem"] for entry in group),
        "bins": [(f"{10 * b} to {10 * (b + 1)} %", bins[b], round(100 * bins[b] / top)) for b in range(10)],
        "exercises": [*_exercises(group)],
        "mistakes": _mistakes(group),
    }


def _exercises(group: list[Entry]) -> Iterable[tuple[str, int, int, int]]:
    """(exercise, passed, wrong, open or missing), numbers of students."""
    for name in dict.fromkeys(v["exercise"] for entry in group for v in entry["verdicts"]):
        states = Counter(v["state"] for entry in group for v in entry["verdicts"] if v["exercise"] == name)
        yield name, states["passed"], states["failed"], states["not started"] + states["missing"]


def _mistakes(group: list[Entry]) -> list[tuple[str, str, int]]:
    """(exercise, what they were told, number of students), the most frequent first."""
    counts = Counter(
        (v["exercise"], v["diagnosis"]) for entry in group for v in entry["verdicts"] if v["diagnosis"]
    )
    return [(name, text, count) for (name, text), count in counts.most_common(20)]


def _marked(entries: list[Entry]) -> Iterable[tuple[str, str]]:
    """(whose, what) that the grader wants a person to look at: a library's layer, a stand-in's code."""
    for entry in entries:
        who = f"{tables.called(entry)}, {entry['notebook']}"
        if entry.get("newer"):
            yield who, "an answer may be Python of a later version than the grader's: no grade is given"
        if entry.get("missing") and any(verdict["state"] != "passed" for verdict in entry["verdicts"]):
            more = f" and {len(entry['missing']) - 10} more" * (len(entry["missing"]) > 10)
            yield who, f"cells use what was not graded with them: {', '.join(entry['missing'][:10])}{more}"
        for note in entry.get(NOTES, ()):
            yield who, str(note)
        for verdict in entry["verdicts"]:
            if verdict.get("layers") and verdict["points"]:
                yield (
                    f"{who}, {verdict['exercise']}",
                    f"it is the library's {' and '.join(verdict['layers'])}",
                )
