"""Builds the public check fixtures in `data/expected/` from the references and the banks of wrong answers."""

from __future__ import annotations

from utils.checks import fixtures
from utils.checks.fixtures import Fixture
from utils.checks.spec import Exercise
from utils.grading import hidden


def write(exercise: Exercise) -> bool:
    """Builds and writes an exercise's fixture, if it says something else than the one on disk.

    Returns:
        whether the file was written.
    """
    fixture = hidden.build(exercise)
    path = fixtures.path_of(exercise)
    fixtures.load.cache_clear()
    if path.exists() and same(fixture, fixtures.load(exercise)):
        return False
    fixtures.save(fixture, path)
    fixtures.load.cache_clear()
    return True


def same(left: Fixture, right: Fixture) -> bool:
    """Whether two fixtures hold the same cases, expectations (up to rounding) and mistakes."""
    if [(c.name, c.mode, c.method) for c in left.cases] != [(c.name, c.mode, c.method) for c in right.cases]:
        return False
    if [(m.name, m.sentence, len(m.looks)) for m in left.mistakes] != [
        (m.name, m.sentence, len(m.looks)) for m in right.mistakes
    ]:
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
