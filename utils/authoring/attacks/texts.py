"""Texts that are slow or too deep to be read: the grader reads them in a process in which other submissions wait.

The answers are right, and each text stands in a helper cell, in the answer's cell or in the function's body. What it costs is its author's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from unittest import mock

from utils.authoring.attacks.scene import (
    FULL,
    ONE_LOST,
    TARGET,
    ZERO,
    Attack,
    Entry,
    Scene,
    answers,
    before_the_answer,
    code_cell,
    one_class,
    solved,
)
from utils.grading import normalise

GROUP = "hard to read"
RIGHT = "    return torch.ones(length, length, dtype=torch.bool).tril()\n"
Make = Callable[[Scene], object]


def _in_a_helper(text: str) -> Make:
    return lambda scene: scene.write(before_the_answer(solved(), text))


def _behind(text: str) -> Make:
    def make(scene: Scene) -> None:
        notebook = solved()
        notebook["cells"].append(code_cell(text))
        scene.write(notebook)

    return make


def _in_the_cell(text: str) -> Make:
    return lambda scene: scene.write(solved(**{TARGET: f"{text}\n{answers()[TARGET]}"}))


def _in_the_body(text: str) -> Make:
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return lambda scene: scene.write(solved(**{TARGET: f"def {TARGET}(length):\n{lines}{RIGHT}"}))


PLACES = {"a helper": _in_a_helper, "the cell": _in_the_cell, "the body": _in_the_body}
DEEP = "+".join(["1"] * 1500)  # Python reads it, and fails to write its tree again
LONG = "x = f'" + "{0}" * 30_000 + "'"  # Python's own parser takes the square of its parts
BLANKS = f"!true\n{' ' * 100_000}\n"  # behind a line for IPython, for which each line is looked at
NAMES = "x = 0\n" + "x += x\n" * 8_000


def _with_names(in_cell: bool) -> Make:
    """8,000 statements that make and use one name, on which the answer rests."""

    def make(scene: Scene) -> None:
        answer = f"def {TARGET}(length):\n    length += x\n{RIGHT}"
        if in_cell:
            scene.write(solved(**{TARGET: NAMES + answer}))
        else:
            scene.write(before_the_answer(solved(**{TARGET: answer}), NAMES))

    return make


def _in_a_second(make: Make) -> Make:
    """A submission that gets a tenth of the time that others have to be read."""

    def made(scene: Scene) -> None:
        scene.doors.enter_context(mock.patch.object(normalise, "SECONDS", 1.0))
        make(scene)

    return made


def _python_of_the_future(scene: Scene) -> None:
    notebook = solved(**{TARGET: f"def {TARGET}(length):\n    return ???\n"})
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.99.1"}
    scene.write(notebook)


def _blank(scene: Scene, entry: Entry, entries: list[Entry]) -> Iterator[str]:
    if entry.get("newer"):
        yield "it has a blank in place of a grade"


ATTACKS = (
    *one_class(
        GROUP,
        (
            *(
                Attack(f"100,000 blanks, in {place}", GROUP, FULL, make(BLANKS))
                for place, make in PLACES.items()
            ),
            Attack(
                "a sum of 1,500 terms, in a helper behind all answers",
                GROUP,
                FULL,
                _behind(f"def own():\n    return {DEEP}"),
            ),
            Attack("a check of 1,500 terms, in a helper", GROUP, FULL, _in_a_helper(f"check({DEEP})")),
            Attack("a check of 1,500 terms, in the cell", GROUP, FULL, _in_the_cell(f"check({DEEP})")),
            Attack("8,000 lines on one name, in a helper", GROUP, FULL, _with_names(False)),
            Attack("8,000 lines on one name, in the cell", GROUP, FULL, _with_names(True)),
            Attack(
                "no Python, and said to be Python 3.99", GROUP, ONE_LOST, _python_of_the_future, also=_blank
            ),
        ),
    ),
    *one_class(
        "in a second",
        (
            Attack(
                f"expressions that Python reads too slowly, in {place}",
                GROUP,
                ZERO,
                _in_a_second(make(f"{LONG}\n{LONG}")),
            )
            for place, make in PLACES.items()
        ),
    ),
)
