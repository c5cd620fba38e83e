"""Builds the public check fixtures in `data/expected/` from the references and the banks of wrong answers."""

from __future__ import annotations

from pathlib import Path

from utils.checks import fixtures
from utils.checks.fixtures import Fixture, Mistake
from utils.checks.registry import all_exercises
from utils.checks.spec import Exercise
from utils.grading import answers, hidden


def write(exercise: Exercise) -> list[Path]:
    """Builds an exercise's fixture, and writes the file of its numbers and the one of its sentences where they say something else.

    Returns:
        the files written.
    """
    fixture = hidden.build(exercise)
    numbers = fixtures.path_of(exercise)
    words = numbers.with_suffix(".json")
    before = {path: path.read_bytes() for path in (numbers, words) if path.exists()}
    fixtures.load.cache_clear()
    up_to_date = len(before) == 2 and same(fixture, fixtures.load(exercise))
    fixtures.save(fixture, numbers)
    if (
        up_to_date
    ):  # the same numbers up to rounding: the bytes stay, so that another machine's build leaves git clean
        numbers.write_bytes(before[numbers])
    fixtures.load.cache_clear()
    return [path for path in (numbers, words) if path.read_bytes() != before.get(path)]


def stale_sentences() -> list[str]:
    """Text files that do not say what the banks and properties say, or belong to no exercise, in words."""
    said = []
    wanted = {}
    for exercise in all_exercises().values():
        path = fixtures.path_of(exercise).with_suffix(".json")
        mistakes = [Mistake(wrong.name, wrong.sentence, []) for wrong in answers.bank(exercise).wrongs]
        wanted[path] = fixtures.sentences(exercise, mistakes)
        where = path.relative_to(fixtures.FOLDER.parents[1])
        if not path.exists():
            said.append(f"{where} is missing: run make notebooks")
        elif path.read_text(encoding="utf-8") != wanted[path]:
            said.append(f"{where} is stale: run make notebooks")
    for path in sorted(fixtures.FOLDER.rglob("*.*")):
        if path.with_suffix(".json") not in wanted and path != fixtures.order_path():
            said.append(f"{path.relative_to(fixtures.FOLDER.parents[1])} belongs to no exercise")
    return said


def same(left: Fixture, right: Fixture) -> bool:
    """Whether two fixtures hold the same cases, expectations (up to rounding) and looks of mistakes. Sentences lie elsewhere."""
    if [(c.name, c.mode, c.method) for c in left.cases] != [(c.name, c.mode, c.method) for c in right.cases]:
        return False
    if [(m.name, len(m.looks)) for m in left.mistakes] != [(m.name, len(m.looks)) for m in right.mistakes]:
        return False
    for a, b in zip(left.cases, right.cases, strict=True):
        for part in ("args", "kwargs", "init", "weights", "cotangents"):
            if not _close(getattr(a, part), getattr(b, part)):
                return False
    if not all(_close(a, b) for a, b in zip(left.expected, right.expected, strict=True)):
        return False
    pairs = [
        (x, y)
        for m, n in zip(left.mistakes, right.mistakes, strict=True)
        for x, y in zip(m.looks, n.looks, strict=True)
    ]
    return all(fixtures.looks_like(x, y) for x, y in pairs)


def _close(left: object, right: object) -> bool:
    import torch

    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return (
            left.shape == right.shape
            and left.dtype == right.dtype
            and torch.allclose(left.double(), right.double(), rtol=1e-3, atol=1e-4, equal_nan=True)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_close(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(_close(a, b) for a, b in zip(left, right, strict=True))
    return left == right
