"""Whose fault is it? One wrong answer costs one exercise, however many others rest on it; answers may be of any callable kind."""

from __future__ import annotations

import functools
import pkgutil

import pytest
import torch

from tests.kinds import each
from utils.authoring.agreement import Plain, filled, written
from utils.checks import engine, fixtures
from utils.checks.attempts import name_of, own_codes, spaces
from utils.checks.chain import rests_on, substituted
from utils.checks.registry import all_exercises, find
from utils.grading import answers

BELOW = {  # an exercise that others of its notebook use -> those, from the ground up
    name: tuple(
        other.name
        for other in all_exercises().values()
        if other.notebook == find(name).notebook and name in rests_on(other)
    )
    for name in all_exercises()
}
BELOW = {name: above for name, above in BELOW.items() if above}


@pytest.fixture(autouse=True)
def nothing_passed(monkeypatch):
    monkeypatch.setattr(engine, "PASSED", {})


def test_what_an_exercise_rests_on_is_listed_from_the_ground_up():
    names = rests_on(find("LSTMClassifier"))
    assert names.index("reverse_padded") < names.index("LSTM")
    assert "patchify" in rests_on(find("ViT"))
    assert rests_on(find("patchify")) == ()


def wrong_source(name):
    exercise = find(name)
    return answers.bank(exercise).wrongs[0].text(answers.reference(exercise))


def test_many_exercises_are_used_by_others_of_their_notebook():
    assert len(BELOW) > 30 and "LSTMClassifier" in BELOW["reverse_padded"]


@pytest.mark.parametrize("name", each(BELOW, keep=5, others="slow"))
def test_only_the_wrong_answer_is_blamed_by_the_check(name, capsys):
    space = Plain(find(name).notebook).space
    # what the bank imports; its own answers to other exercises, right or wrong, are none of the notebook's
    for key, value in answers.bank(find(name)).wrongs[0].names.items():
        space.setdefault(key, value)
    exec(wrong_source(name), space)
    with pytest.raises(engine.CheckFailed):
        engine.check(space[name])
    below = dict.fromkeys(one for above in BELOW[name] for one in (*rests_on(find(above)), above))
    for other in below:
        if other != name and find(other).notebook == find(name).notebook:
            engine.check(space[other])
    said = capsys.readouterr().out
    assert f"the library's {name}" in said or "more in" in said  # a long list of names is cut


@pytest.fixture(scope="module")
def box():
    from utils.grading.worker import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@functools.cache
def examiner(notebook):
    from utils.grading.verdict import Examiner

    return Examiner(notebook, 5)


@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.parametrize("name", each(list(BELOW)[::3]))
def test_only_the_wrong_answer_is_blamed_by_the_grader(name, box, tmp_path):
    assert blamed_by_the_grader(name, box, tmp_path) == [name]


def blamed_by_the_grader(name, box, folder):
    from utils.grading.worker import grade

    notebook = find(name).notebook
    submission = written(folder, notebook, filled(notebook, **{name: wrong_source(name)}))
    verdicts = grade(box, examiner(notebook), submission)
    return [verdict.exercise for verdict in verdicts if verdict.state != "passed"]


def test_stand_ins_reach_namespaces_of_other_answers_and_leave_them_as_they_were():
    below, above = {"double": lambda x: 3 * x}, {}
    exec("def middle(x):\n    return double(x)\n", below)
    above["middle"] = below["middle"]
    exec("def top(x):\n    return middle(x) + 1\n", above)
    assert above["top"](1) == 4
    wrong = below["double"]
    with substituted(above["top"], {"middle": below["middle"], "double": lambda x: 2 * x}):
        assert above["top"](1) == 3
    assert above["top"](1) == 4 and below["double"] is wrong and "double" not in above


class Merger:
    def __call__(self, x):
        return answers.reference(find("merge_heads"))(x)


def by_name_and_order(order, x):
    return x.permute(order).flatten(2)


@torch.jit.script
def compiled(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).flatten(2)


KINDS = {
    "a callable object": Merger(),
    "a partial": functools.partial(by_name_and_order, (0, 2, 1, 3)),
    "a lambda": lambda x: x.transpose(1, 2).flatten(2),
    "a method": Merger().__call__,
    "compiled": compiled,
    "decorated": torch.enable_grad()(lambda x: by_name_and_order((0, 2, 1, 3), x)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_right_answers_of_any_callable_kind_pass(kind):
    engine.check(KINDS[kind], "merge_heads")
    merge_heads = KINDS[kind]
    space = {"check": engine.check, "merge_heads": merge_heads}
    exec("check(merge_heads)", space)
    assert engine.PASSED["merge_heads"] is merge_heads


def test_a_function_that_builds_a_module_is_an_answer_too():
    plain = answers.reference(find("FeedForward"))
    engine.check(lambda **init: plain(**init), "FeedForward")
    engine.check(functools.partial(plain), "FeedForward")


@pytest.mark.parametrize(
    "attempt", [lambda x: x, functools.partial(print), Merger(), torch.ones(2), 3, torch.nn.Linear(2, 2)]
)
def test_what_is_no_answer_gets_a_short_message(attempt):
    with pytest.raises(engine.CheckFailed) as error:
        engine.check(attempt)
    assert len(str(error.value)) < 250


def test_an_object_built_from_the_answer_is_told_apart():
    with pytest.raises(engine.CheckFailed, match="of type FeedForward. Write check.* without calling it"):
        engine.check(answers.reference(find("FeedForward"))(dim=4, hidden_dim=8))


def test_a_name_that_is_nearly_right_is_suggested():
    def split_head(x, num_heads):
        return x

    with pytest.raises(engine.CheckFailed, match="Did you mean split_heads"):
        engine.check(split_head)


def test_parts_of_an_attempt():
    wrapped = functools.partial(Merger())
    assert Merger.__call__.__code__ in own_codes(wrapped)
    assert spaces(wrapped) == [globals()]
    assert own_codes(compiled) == set() and spaces(torch.ones(1)) == []
    assert name_of(wrapped, {"mine": wrapped}, "mine".__eq__) == "mine"


@pytest.mark.parametrize(
    "name", ["window_partition", "window_reverse", "patchify", "split_heads", "reverse_padded"]
)
def test_stand_ins_lay_their_values_out_as_an_answer_would(name):
    """`window_partition(y, m).view(...)` is right behind the answer, and so it has to be behind the stand-in."""
    exercise = find(name)
    for case in (case for case in fixtures.load(exercise).cases if case.mode != "refused"):
        result = pkgutil.resolve_name(exercise.stand_in)(*case.args.values(), **case.kwargs)
        assert (
            result.is_contiguous()
            or not answers.reference(exercise)(*case.args.values(), **case.kwargs).is_contiguous()
        )
