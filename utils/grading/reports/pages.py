"""Grades as pages: feedback per student, one page per written question for marking, a summary of the class. Plain HTML, no scripts."""

from __future__ import annotations

import csv
import html
import io
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from utils.grading.records import write_safely
from utils.grading.reports.questions import questions
from utils.grading.reports.tables import by_student, cell, file_name, mark_key, points, possible, said

Entry = dict[str, Any]
STYLE = """
:root{color-scheme:light dark}
body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:46rem;overflow-wrap:anywhere;color:#1b1b1b;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}
.ex{border:1px solid #888;border-left-width:.5rem;border-radius:.3rem;padding:.6rem .8rem;margin:.8rem 0}
.passed{border-left-color:#1a7f37}.failed{border-left-color:#b35900}.missing,.open{border-left-color:#57606a}
.ex h3{font-size:1rem;margin:0}.ex p{margin:.3rem 0 0}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid #999;vertical-align:top}
.bar{background:#0b6bb0;height:.8rem}pre{white-space:pre-wrap;background:#f3f3f3;padding:.6rem;border-radius:.3rem}
th,td{overflow-wrap:break-word}td code{overflow-wrap:anywhere}
@media (max-width:30rem){table{font-size:.85rem}th,td{overflow-wrap:anywhere;hyphens:auto;padding-right:.3rem}}
small{color:#4a4a4a}
@media (prefers-color-scheme:dark){body{background:#161616;color:#eee}pre{background:#262626}small{color:#bbb}.bar{background:#5ab0ee}}
"""
STATES = {
    "passed": ("\u2713", "Passed", "passed"),
    "not started": ("\u25cb", "Not started", "open"),
    "missing": ("\u25cb", "Missing", "missing"),
}


def page(title: str, body: str) -> str:
    """A whole HTML document. `body` must be escaped already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )


def feedback(entries: list[Entry], folder: Path, isolation: str) -> Path:
    """A page per student: for each exercise points, what is wrong by concept, and the diagnosis."""
    folder.mkdir(parents=True, exist_ok=True)
    for (student, _), row in by_student(entries).items():
        parts = [f"<h1>Feedback for {html.escape(student)}</h1>"]
        for notebook, entry in sorted(row.items()):
            parts.append(
                f"<h2>{html.escape(notebook or entry['origin'])}: {points(entry):g} of {possible(entry):g} points</h2>"
            )
            if entry["problem"]:
                parts.append(
                    f"<p><strong>This file could not be graded:</strong> {html.escape(entry['problem'])}.</p>"
                )
            parts += [_exercise(verdict) for verdict in entry["verdicts"]]
            if entry["notes"]:
                notes = "".join(f"<li>{html.escape(note)}</li>" for note in entry["notes"])
                parts.append(f"<p>Notes on the file:</p><ul>{notes}</ul>")
            for name, mark in sorted(entry.get("marks", {}).items()):
                parts.append(f"<p>Written question {html.escape(name)}: {mark:g} points.</p>")
        parts.append(
            f"<p><small>Hidden cases are named by concept, never by value. {html.escape(isolation)}</small></p>"
        )
        (folder / f"{file_name(next(iter(row.values())))}.html").write_text(
            page(f"Feedback for {student}", "".join(parts)), encoding="utf-8"
        )
    return folder


def _exercise(verdict: dict[str, Any]) -> str:
    symbol, word, kind = STATES.get(verdict["state"], ("\u2717", "Not yet", "failed"))
    others = ""
    if verdict["substitutes"]:
        others = f"<p><small>Checked with the library's {html.escape(', '.join(verdict['substitutes']))} in place of yours.</small></p>"
    return (
        f'<section class="ex {kind}"><h3><span aria-hidden="true">{symbol}</span> {word}: <code>{html.escape(verdict["exercise"])}</code>, '
        f"{verdict['points']:g} of {verdict['possible']:g} points</h3><p>{html.escape(said(verdict))}</p>{others}</section>"
    )


def written(entries: list[Entry], folder: Path) -> Path:
    """Per written question: a page with the rubric and all answers, and a CSV to put marks into.

    A later run adds rows for new answers and keeps what has been entered.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted({entry["notebook"] for entry in entries if entry["notebook"]}):
        answers = [entry for entry in entries if entry["notebook"] == notebook]
        for question in questions(notebook):
            body = [
                f"<h1>{html.escape(notebook)}: {html.escape(question.name)} ({question.points} points)</h1><pre>{html.escape(question.text)}</pre>"
            ]
            if question.rubric:
                body.append(f"<h2>Rubric</h2><pre>{html.escape(question.rubric)}</pre>")
            for entry in answers:
                text = entry["written"].get(question.name, "")
                shown = f"<pre>{html.escape(text)}</pre>" if text.strip() else "<p>(no answer)</p>"
                key = mark_key(entry, question.name)
                body.append(
                    f"<section><h2>{html.escape(entry['student'])}</h2><p><small>{key}</small></p>{shown}</section>"
                )
            stem = f"{notebook}-{question.name}"
            (folder / f"{stem}.html").write_text(page(stem, "".join(body)), encoding="utf-8")
            _marking_sheet(folder / f"{stem}.csv", answers, question.name, question.points)
    return folder


def _marking_sheet(path: Path, answers: list[Entry], question: str, most: int) -> None:
    from utils.grading.marks import rows_of

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


def summary(entries: list[Entry], path: Path, isolation: str) -> Path:
    """The class at a glance: distribution of points, how each exercise went, which mistakes were frequent."""
    body = ["<h1>Class summary</h1>", f"<p>{html.escape(isolation)}</p>"]
    for notebook in sorted({entry["notebook"] for entry in entries if entry["notebook"]}):
        group = [entry for entry in entries if entry["notebook"] == notebook]
        scores = [points(entry) for entry in group]
        most = max(possible(entry) for entry in group)
        body.append(
            f"<h2>{html.escape(notebook)}</h2><p>{len(group)} submissions; median {statistics.median(scores):g} of {most:g} points, mean {statistics.mean(scores):.1f}.</p>"
        )
        body.append(_distribution(scores, most))
        body.append(_exercises(group))
        body.append(_mistakes(group))
    unread = [entry for entry in entries if entry["problem"]]
    if unread:
        rows = "".join(
            f"<li>{html.escape(e['student'])} ({html.escape(e['origin'])}): {html.escape(e['problem'])}</li>"
            for e in unread
        )
        body.append(f"<h2>Files that could not be graded</h2><ul>{rows}</ul>")
    path.write_text(page("Class summary", "".join(body)), encoding="utf-8")
    return path


def _distribution(scores: list[float], most: float) -> str:
    bins = Counter(min(int(10 * score / most) if most else 0, 9) for score in scores)
    top = max(bins.values())
    rows = "".join(
        f'<tr><td>{10 * b} to {10 * (b + 1)} %</td><td>{bins[b]}</td><td style="width:60%"><div class="bar" style="width:{100 * bins[b] / top:.0f}%"></div></td></tr>'
        for b in range(10)
    )
    return f"<table><thead><tr><th>share of points</th><th>students</th><th>distribution</th></tr></thead><tbody>{rows}</tbody></table>"


def _exercises(group: list[Entry]) -> str:
    rows = []
    names = list(dict.fromkeys(v["exercise"] for entry in group for v in entry["verdicts"]))
    for name in names:
        states = Counter(v["state"] for entry in group for v in entry["verdicts"] if v["exercise"] == name)
        total = sum(states.values())
        rows.append(
            f"<tr><td><code>{html.escape(name)}</code></td><td>{100 * states['passed'] / total:.0f} %</td>"
            f"<td>{100 * states['failed'] / total:.0f} %</td><td>{100 * (states['not started'] + states['missing']) / total:.0f} %</td></tr>"
        )
    head = "<tr><th>exercise</th><th>passed</th><th>wrong</th><th>open or missing</th></tr>"
    return f"<h3>Exercises</h3><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _mistakes(group: list[Entry]) -> str:
    counts = Counter(
        (v["exercise"], v["diagnosis"]) for entry in group for v in entry["verdicts"] if v["diagnosis"]
    )
    if not counts:
        return ""
    rows = "".join(
        f"<tr><td>{count}</td><td><code>{html.escape(name)}</code></td><td>{html.escape(text)}</td></tr>"
        for (name, text), count in counts.most_common(20)
    )
    return f"<h3>Frequent mistakes</h3><table><thead><tr><th>students</th><th>exercise</th><th>what they were told</th></tr></thead><tbody>{rows}</tbody></table>"
