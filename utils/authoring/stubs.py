"""Cuts answers out of `solutions/*.py`: the whole text for solved notebooks, the stub for students."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache

from utils.checks.spec import Exercise
from utils.grading import answers

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
PLACEHOLDER = ("# YOUR CODE HERE", 'raise NotImplementedError("not started yet")')


@dataclass(frozen=True)
class Answer:
    """An answer's source text.

    Args:
        whole: as it stands in `solutions/`, markers included.
        stub: what the student gets.
        hidden: the lines between the markers.
    """

    whole: str
    stub: str
    hidden: tuple[str, ...]


@cache
def answer(exercise: Exercise) -> Answer:
    """The source of an exercise's answer.

    Raises:
        ValueError: if the markers are missing or do not pair.
    """
    return cut(inspect.getsource(answers.reference(exercise)).rstrip() + "\n", exercise.name)


def cut(whole: str, name: str) -> Answer:
    """Splits source text at its markers.

    Raises:
        ValueError: if the markers are missing or do not pair.
    """
    stub: list[str] = []
    hidden: list[str] = []
    inside = False
    for line in whole.splitlines():
        text = line.strip()
        if text == BEGIN:
            if inside:
                raise ValueError(f"{name}: {BEGIN} inside a solution")
            inside = True
            indent = line[: len(line) - len(line.lstrip())]
            stub.extend(indent + part for part in PLACEHOLDER)
        elif text == END:
            if not inside:
                raise ValueError(f"{name}: {END} without a beginning")
            inside = False
        elif inside:
            hidden.append(line)
        else:
            stub.append(line)
    if inside or not hidden:
        raise ValueError(
            f"{name}: no solution between {BEGIN} and {END}" if not hidden else f"{name}: {END} is missing"
        )
    return Answer(whole, "\n".join(stub) + "\n", tuple(hidden))
