"""Cases of any seed with what the reference gives on them: the public ones that authors store, the hidden ones of a grader."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from utils.checks import fixtures
from utils.checks.fixtures import Fixture, Mistake
from utils.checks.observe import observe
from utils.checks.spec import Exercise
from utils.grading import answers

# Graders ask from several threads, and an observation has the process's own generator, default dtype and attention kernel.
_observing = threading.Lock()


def build(exercise: Exercise, seed: int = fixtures.PUBLIC_SEED) -> Fixture:
    """Cases of a seed, what the reference gives, and, once somebody looks, what every known mistake looks like on them."""
    with _observing:
        fixture = fixtures.prepare(exercise, answers.reference(exercise), seed)
    return replace(fixture, mistakes=_Mistakes(fixture))


class _Mistakes(Sequence[Mistake]):
    """The known mistakes of an exercise. They are tried on the cases when the first of them is asked for: right answers need none."""

    def __init__(self, fixture: Fixture) -> None:
        self.fixture = fixture

    def __len__(self) -> int:
        return len(answers.bank(self.fixture.exercise).wrongs)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # of a number or a slice, as Sequence has it
        with _observing:
            return self._found[index]

    @cached_property
    def _found(self) -> list[Mistake]:
        exercise = self.fixture.exercise
        reference, module = answers.reference(exercise), answers.reference_module(exercise)
        found = []
        for wrong in answers.bank(exercise).wrongs:
            attempt = wrong.build(reference, module)
            looks = [fixtures.fingerprint(observe(attempt, case)) for case in self.fixture.cases]
            found.append(Mistake(wrong.name, wrong.sentence, looks))
        return found
