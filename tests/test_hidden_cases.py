"""Hidden cases are not the public ones: who looks results up in `data/expected` has next to no points."""

from __future__ import annotations

import pytest

from utils.checks import fixtures
from utils.checks.engine import examine
from utils.checks.fixtures import PUBLIC_SEED, drawn, same_input
from utils.checks.observe import observe
from utils.checks.registry import all_exercises
from utils.checks.spec import Case, Exercise
from utils.grading import answers, hidden

COURSE = all_exercises()
SEEDS = (1, 2_000_000_011)
ONLY_ONE = {  # there is no other input of that kind
    ("causal_mask", "a single position"),
    ("relative_position_index", "a window of a single position"),
    ("invariant_ceiling", "no image"),
}


def shared(exercise: Exercise, seed: int) -> list[str]:
    """Names of a seed's cases whose input is a public one's."""
    public = {same_input(case) for case in exercise.draw(PUBLIC_SEED)}
    return [case.name for case in drawn(exercise, seed) if same_input(case) in public]


def test_no_input_is_a_public_one_where_there_are_others():
    found = {(name, case) for name, e in COURSE.items() for seed in SEEDS for case in shared(e, seed)}
    assert found == ONLY_ONE


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    "name",
    [
        "Vocabulary",
        "attention_memory_bytes",
        "causal_mask",
        "decay_matrix",
        "msa_flops",
        "padding_mask",
        "relative_position_index",
        "shifted_window_mask",
        "sinusoidal_positions",
        "window_msa_flops",
    ],
)
def test_the_smallest_spaces_hold_enough_for_every_seed(name, seed):
    assert {(name, case) for case in shared(COURSE[name], seed)} <= ONLY_ONE


def table_of(exercise: Exercise):
    """An answer that computes nothing: it looks its input up in the exercise's public check data."""
    fixture = fixtures.load(exercise)

    def asked(args: tuple, kwargs: dict) -> str:
        given = dict(enumerate(args)) | kwargs
        return same_input(Case("", args={str(key): value for key, value in given.items()}))

    table = {
        asked(tuple(case.args.values()), dict(case.kwargs)): seen.get("output")
        for case, seen in zip(fixture.cases, fixture.expected, strict=True)
    }
    return lambda *args, **kwargs: table[asked(args, kwargs)]


def test_a_table_of_the_check_data_scores_at_most_one_percent():
    """All shares are counted by `same_input`; that a table has just these cases right is tried on the exercises whose answer is one value."""
    points = 0.0
    for name, exercise in COURSE.items():
        share = max(len(shared(exercise, seed)) for seed in SEEDS) / len(exercise.draw(1))
        points += share * exercise.points
        if name in ("causal_mask", "relative_position_index", "shifted_window_mask"):
            assert examine(exercise, table_of(exercise), fixtures.load(exercise)).passed, (
                "a table of these very cases"
            )
            fixture = hidden.build(exercise, SEEDS[0])
            found = [
                examine(exercise, table_of(exercise), fixtures.Fixture(exercise, [case], [seen])).passed
                for case, seen in zip(fixture.cases, fixture.expected, strict=True)
            ]
            assert sum(found) == share * len(found)
    assert points <= 0.01 * sum(exercise.points for exercise in COURSE.values())


def test_known_mistakes_are_tried_once_and_only_when_one_is_asked_for(monkeypatch):
    tried = []
    monkeypatch.setattr(hidden, "observe", lambda *given: tried.append(given) or observe(*given))
    exercise = COURSE["causal_mask"]
    fixture = hidden.build(exercise, SEEDS[0])
    assert len(fixture.mistakes) == len(answers.bank(exercise).wrongs) and tried == []
    looks = [mistake.looks for mistake in fixture.mistakes]
    assert len(tried) == len(fixture.mistakes) * len(fixture.cases) and all(map(len, looks))
    assert fixture.mistakes[-1].looks == looks[-1] and len(tried) == len(looks) * len(fixture.cases)
