"""What students read on feedback pages, by language: one place, so that a further language is a further dict."""

from __future__ import annotations

WORDS = {
    "en": {
        "title": "Feedback for {student}",
        "notebook": "{name}: {points} of {possible} points",
        "notebook open": "{name}: {points} of {possible} points so far, written answers are not marked yet",
        "notebook unread": "{name}: no points",
        "unread": "This file could not be graded:",
        "lost": "Grading it failed here, not with you; it will be graded again.",
        "passed": "Passed",
        "not started": "Not started",
        "missing": "Missing",
        "failed": "Not yet",
        "points": "{points} of {possible} points",
        "changed": "Changed by hand (it was {before}): {reason}",
        "override": "Changed by hand to {points} points: {reason}",
        "substitutes": "Checked with the library's {names} in place of yours.",
        "answer": "Your answer",
        "notes": "Notes on the file",
        "skipped": "Not run: no answer rests on it, or it is no Python",
        "written": "Written question {name}",
        "marked": "{points} of {possible} points",
        "unmarked": "not yet marked",
        "empty": "no answer",
        "comment": "Comment: {text}",
        "hidden": "Hidden cases are named by concept, never by value.",
    }
}


def words(language: str) -> dict[str, str]:
    """The sentences of a language; English where it has none."""
    return WORDS["en"] | WORDS.get(language, {})
