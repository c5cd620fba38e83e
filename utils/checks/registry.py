"""Finds exercises: every `Exercise` that a module of `utils/checks/exercises/` defines. Nothing is registered by hand.

The order inside a notebook is that of its cells. The build writes it to `data/expected/order.json`, because a class has neither
the sources of the notebooks nor, perhaps, the notebooks as they were handed out.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache

from utils.checks import exercises as package
from utils.checks import fixtures
from utils.checks.spec import Exercise


def stems() -> list[str]:
    """Names of the modules that define exercises, such as "attention"; none is imported."""
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__))


@cache
def exercises_in(stem: str) -> dict[str, Exercise]:
    """The exercises that one module defines, by name, in the order in which they stand there."""
    module = importlib.import_module(f"{package.__name__}.{stem}")
    return {value.name: value for value in vars(module).values() if isinstance(value, Exercise)}


@cache
def order() -> dict[str, list[str]]:
    """Notebook -> names of its exercises in the order of its cells, as of the last build."""
    path = fixtures.order_path()
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@cache
def exercises_of(notebook: str) -> tuple[Exercise, ...]:
    """Exercises of one notebook in the order in which they appear.

    Args:
        notebook: "01", or a whole name that begins with it.
    """
    names = (names for name, names in order().items() if name[:2] == notebook[:2])
    return tuple(find(name) for name in next(names, []))


@cache
def all_exercises() -> dict[str, Exercise]:
    """Every exercise of the course by name: in the notebooks' order, those that no notebook uses yet at the end.

    Raises:
        ValueError: if two exercises have one name.
    """
    found: dict[str, Exercise] = {}
    for stem in stems():
        for name, exercise in exercises_in(stem).items():
            if name in found:
                raise ValueError(
                    f"two exercises are called {name!r}: {found[name].reference}, {exercise.reference}"
                )
            found[name] = exercise
    known = [name for names in order().values() for name in names if name in found]
    return {name: found[name] for name in dict.fromkeys([*known, *found])}


@cache  # a sandbox asks nine times for what three answers need, and each would look through folders
def find(name: str) -> Exercise:
    """The exercise called `name`.

    Raises:
        KeyError: with the names that exist.
    """
    stem = fixtures.stem_of(
        name
    )  # the folder of its check data tells it: only one module is imported in a notebook
    if stem in stems() and name in exercises_in(stem):
        return exercises_in(stem)[name]
    try:
        return all_exercises()[name]
    except KeyError:
        raise KeyError(f"no exercise is called {name!r}; there are: {', '.join(all_exercises())}") from None


def forget() -> None:
    """Drops what was read, so that a build sees the order that it has just written."""
    for function in (order, exercises_of, all_exercises, find):
        function.cache_clear()
