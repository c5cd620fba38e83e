"""Finds exercises by name. One module of specifications per notebook, in `utils/checks/exercises/`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from utils.checks import exercises as package
from utils.checks.spec import Exercise


@cache
def _modules() -> dict[str, str]:
    """Notebook number ("01") -> module name, without importing any of them."""
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("n"):
            found[info.name[1:3]] = f"{package.__name__}.{info.name}"
    return dict(sorted(found.items()))


@cache
def exercises_of(number: str) -> tuple[Exercise, ...]:
    """Exercises of one notebook in the order in which they appear.

    Args:
        number: "01" or a whole notebook name that begins with it.
    """
    module = _modules().get(number[:2])
    return tuple(importlib.import_module(module).EXERCISES) if module else ()


@cache
def all_exercises() -> dict[str, Exercise]:
    """Every exercise of the course by name.

    Raises:
        ValueError: if two exercises have one name.
    """
    found: dict[str, Exercise] = {}
    for number in _modules():
        for exercise in exercises_of(number):
            if exercise.name in found:
                raise ValueError(
                    f"two exercises are called {exercise.name!r}: {found[exercise.name].notebook}, {exercise.notebook}"
                )
            found[exercise.name] = exercise
    return found


def find(name: str) -> Exercise:
    """The exercise called `name`.

    Raises:
        KeyError: with the names that exist.
    """
    from utils.checks import fixtures

    number = fixtures.notebook_number(name)  # a file name tells it: only one module is imported in a notebook
    for exercise in exercises_of(number) if number else ():
        if exercise.name == name:
            return exercise
    try:
        return all_exercises()[name]
    except KeyError:
        raise KeyError(f"no exercise is called {name!r}; there are: {', '.join(all_exercises())}") from None
