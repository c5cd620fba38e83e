"""The one door from authors' commands to `solutions/`: answers and banks are found by name, and only where the folder exists."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from utils.checks.registry import all_exercises
from utils.checks.spec import Exercise
from utils.grading.bank import Bank, banks_in


class NoSolutions(RuntimeError):
    """This copy of the course is a class release: it has no `solutions/`."""


def reference_module(exercise: Exercise) -> ModuleType:
    """The module that holds an exercise's answer.

    Raises:
        NoSolutions: if the folder is not there.
    """
    name = exercise.reference.split(":")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in ("solutions", name):
            raise NoSolutions(
                f"{exercise.name}: {name} is not here; this command is for authors, who have solutions/"
            ) from error
        raise


def reference(exercise: Exercise) -> Any:
    """An exercise's answer, by the name it declares."""
    return getattr(reference_module(exercise), exercise.reference.split(":")[1])


def bank(exercise: Exercise) -> Bank:
    """Its wrong and alternative right answers; empty for a draft, which has none yet."""
    name = f"solutions.mistakes.{exercise.stem}"
    try:
        banks = banks_in(importlib.import_module(name))
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        banks = {}
    return banks.get(exercise.name, Bank(exercise.name))


def select(names: list[str] | None = None, notebook: str = "") -> list[Exercise]:
    """The exercises that a command is asked for: by name, by notebook ("01"), or all."""
    chosen = [e for e in all_exercises().values() if e.notebook.startswith(notebook)]
    if names:
        unknown = set(names) - {e.name for e in chosen}
        if unknown:
            raise LookupError(f"no such exercise: {', '.join(sorted(unknown))}")
        chosen = [e for e in chosen if e.name in names]
    return chosen
