"""Answers that build on answers: what an exercise rests on, however deep, and the library's versions in place of what has not passed."""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from utils.checks.attempts import spaces
from utils.checks.registry import find
from utils.checks.spec import Exercise


def rests_on(exercise: Exercise) -> tuple[str, ...]:
    """Names of all exercises that an answer uses, directly or through others; what is used stands before what uses it."""
    order: dict[str, None] = {}
    for name in exercise.uses:
        order |= dict.fromkeys([*rests_on(find(name)), name])
    return tuple(order)


def stand_in(exercise: Exercise) -> Any:
    """The library-built version of an exercise.

    Raises:
        LookupError: if the exercise declares none.
    """
    if not exercise.stand_in:
        raise LookupError(f"{exercise.name} has no stand-in")
    return pkgutil.resolve_name(exercise.stand_in)


@contextlib.contextmanager
def substituted(attempt: Any, replacements: dict[str, Any]) -> Iterator[None]:
    """Within the block, the global names in `replacements` stand for other objects: in the attempt's own namespaces, and in those of
    the other answers that it reaches there, which may come from another notebook.
    """
    places: dict[int, dict[str, Any]] = {}
    todo = spaces(attempt)
    while todo:
        space = todo.pop()
        if id(space) not in places:
            places[id(space)] = space
            todo += [other for name in replacements if name in space for other in spaces(space[name])]
    before = [
        (space, {name: space[name] for name in replacements if name in space}) for space in places.values()
    ]
    for space in places.values():
        space.update(replacements)
    try:
        yield
    finally:
        for space, old in before:
            for name in replacements:
                space.pop(name, None)
            space.update(old)
