"""The plain and the trusted path give the same verdict on every honest answer.

Here every N-th answer of the banks is compared; `python -m utils.authoring agreement` compares all of them.
"""

from __future__ import annotations

import pytest

from tests.kinds import each
from utils.authoring import agreement
from utils.checks.registry import exercises_of
from utils.grading import answers
from utils.grading.isolation import probe
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade

pytestmark = pytest.mark.skipif(not probe().safe, reason=probe().sentence())
EVERY = 12


@pytest.fixture(scope="module")
def box():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.mark.parametrize("notebook", each(agreement.released()))
@pytest.mark.thorough
def test_every_nth_honest_answer(notebook, box, capsys):
    count = agreement.measure(notebook, box, EVERY, offset=int(notebook[:2]) % EVERY)
    with capsys.disabled():
        print(
            f"\n{notebook}: {count.agree} of {count.answers} verdicts agree, {count.as_known} are as the bank says"
        )
    assert count.answers > len(exercises_of(notebook)), "nothing but the references was compared"
    assert count.agree == count.answers, "\n".join(count.complaints)
    assert count.as_known == count.answers, "\n".join(count.complaints)


@pytest.mark.parametrize("notebook", each(["01_transformer_recap", "03_transformer_sentiment"]))
def test_nbval_itself_agrees_on_a_notebook_with_three_wrong_answers(notebook, box, tmp_path):
    """Real pytest, real kernel. The wrong answers are ones that others build on, so library versions must stand in on both paths."""
    exercises = exercises_of(notebook)
    needed = {name for exercise in exercises for name in exercise.uses if name in {e.name for e in exercises}}
    chosen = [e for e in exercises if e.name in needed][:2] + [e for e in exercises if e.name not in needed][
        -1:
    ]
    edits = {e.name: answers.bank(e).wrongs[0].text(answers.reference(e)) for e in chosen}
    plain = agreement.nbval(notebook, edits, tmp_path)
    submission = agreement.written(tmp_path, notebook, agreement.filled(notebook, **edits))
    trusted = {
        v.exercise: v.state == "passed" for v in grade(box, Examiner(notebook, agreement.SEED), submission)
    }
    assert plain == trusted
    assert {name for name, passed in trusted.items() if not passed} == set(edits)
