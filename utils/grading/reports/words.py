"""What students read on feedback pages, in English; `say` has the other languages."""

from __future__ import annotations

from utils.words import later, say

WORDS = {
    "title": later("Feedback for {student}"),
    "notebook": later("{name}: {points} of {possible} points"),
    "notebook open": later(
        "{name}: {points} of {possible} points so far, written answers are not marked yet"
    ),
    "notebook unread": later("{name}: no points"),
    "unread": later("This file could not be graded:"),
    "lost": later("Grading it failed here, not with you; it will be graded again."),
    "passed": later("Passed"),
    "not started": later("Not started"),
    "missing": later("Missing"),
    "failed": later("Not yet"),
    "points": later("{points} of {possible} points"),
    "changed": later("Changed by hand (it was {before}): {reason}"),
    "override": later("Changed by hand to {points} points: {reason}"),
    "substitutes": later("Checked with the library's {names} in place of yours."),
    "answer": later("Your answer"),
    "notes": later("Notes on the file"),
    "skipped": later("Not run: no answer rests on it, or it is no Python"),
    "written": later("Written question {name}"),
    "marked": later("{points} of {possible} points"),
    "unmarked": later("not yet marked"),
    "empty": later("no answer"),
    "comment": later("Comment: {text}"),
    "hidden": later("Hidden cases are named by concept, never by value."),
}


def words() -> dict[str, str]:
    """The sentences in the language in use, with their places for values."""
    return {key: say(sentence) for key, sentence in WORDS.items()}
