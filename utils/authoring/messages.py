"""Everything that a check can say, as one page to be read in one go.

    python -m utils.authoring messages [--exercise NAME ...] [--notebook 01] [--page FILE]

Per exercise the whole message for each wrong answer of the bank, as a student reads it, and the sentences of the properties; then the
engine's own sentences. Exits with 1 if a message is longer than 400 characters or shows the name of an internal observation.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

from utils.checks import fixtures, words
from utils.checks.compare import PREFIXES
from utils.checks.engine import examine
from utils.checks.messages import MOST, text
from utils.checks.result import Result
from utils.checks.spec import Exercise
from utils.grading import answers


def said(exercise: Exercise) -> dict[str, str]:
    """Name of a wrong answer of the bank -> the whole message that it gets."""
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    found = {}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for wrong in answers.bank(exercise).wrongs:
            found[wrong.name] = message(examine(exercise, wrong.build(reference, module)))
    return found


def message(result: Result) -> str:
    """What a student reads."""
    return "PASSED" if result.passed else text(result)


def complaints(exercise: Exercise, messages: dict[str, str]) -> list[str]:
    """What is wrong with messages: too long, or with the name of something that only the check knows."""
    expected = fixtures.load(exercise).expected
    keys = {key for seen in expected for key in seen if not key.startswith(PREFIXES)}
    inner = {key for key in keys if " " in key or "_" in key and key not in exercise.outputs}
    found = []
    for name, message in messages.items():
        if len(message) > MOST:
            found.append(f"{exercise.name}, {name}: {len(message)} characters")
        found += [f"{exercise.name}, {name}: shows `{key}`" for key in sorted(inner) if f"`{key}`" in message]
    return found


def section(exercise: Exercise, messages: dict[str, str]) -> str:
    """An exercise's part of the page, as Markdown."""
    lines = [f"## {exercise.name}", ""]
    lines += [f"- *property, {prop.name}*: {prop.sentence}" for prop in exercise.properties]
    for name, message in messages.items():
        head, *rest = message.splitlines()
        lines.append(
            f"- *{name}* ({len(message)}): {head.partition(': ')[2]} {' / '.join(map(str.strip, rest))}"
        )
    return "\n".join(lines) + "\n"


def engine() -> str:
    """The engine's own sentences, as Markdown."""
    own = [*words.NOTES.values(), *words.INNER.values()]
    return "\n".join(["## The engine", "", *(f"- {sentence}" for sentence in own)]) + "\n"


def main(names: list[str] | None, notebook: str, where: str) -> int:
    """Prints the page, or writes it to a file; 0 if all messages are short and in words."""
    parts, found = [], []
    for exercise in answers.select(names, notebook):
        messages = said(exercise)
        parts.append(section(exercise, messages))
        found += complaints(exercise, messages)
    page = "\n".join([*parts, engine()])
    if where:
        Path(where).write_text(page, encoding="utf-8")
    else:
        print(page)
    print("\n".join(found) or f"No message is longer than {MOST} characters or shows an internal name.")
    return 1 if found else 0
