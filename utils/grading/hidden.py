"""Cases of any seed with what the reference gives on them: the public ones that authors store, the hidden ones of a grader."""

from __future__ import annotations

from dataclasses import replace

from utils.checks import fixtures
from utils.checks.fixtures import Fixture, Mistake
from utils.checks.observe import observe
from utils.checks.spec import Exercise
from utils.grading import answers


def build(exercise: Exercise, seed: int = fixtures.PUBLIC_SEED) -> Fixture:
    """Cases of a seed, what the reference gives, and what every known mistake looks like on them."""
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    fixture = fixtures.prepare(exercise, reference, seed)
    mistakes = []
    for wrong in answers.bank(exercise).wrongs:
        attempt = wrong.build(reference, module)
        looks = [fixtures.fingerprint(observe(attempt, case)) for case in fixture.cases]
        mistakes.append(Mistake(wrong.name, wrong.sentence, looks))
    return replace(fixture, mistakes=mistakes)
