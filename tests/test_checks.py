"""The checks themselves, measured: every wrong answer rejected and diagnosed, every right one accepted, for every exercise."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import textwrap

import pytest
import torch

from tests.kinds import each
from utils.authoring import expected, messages, report
from utils.checks import fixtures
from utils.checks.engine import examine, stand_in
from utils.checks.registry import all_exercises
from utils.checks.spec import Draw
from utils.grading import answers, hidden
from utils.paths import ROOT

EXERCISES = list(all_exercises().values())
by_name = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)


@pytest.mark.slow
@by_name
def test_kill_diagnosis_and_false_reject_rates(exercise):
    """And no message to a wrong answer is long or shows a name that only the check knows."""
    rates = report.measure(exercise, fresh=report.FRESH_SEEDS[:1])
    assert rates.perfect, "\n".join(rates.complaints)
    assert messages.complaints(exercise, rates.messages) == []


# Drawing all cases again takes a minute: one exercise in five among the quick tests, all of them in the suite.
@pytest.mark.parametrize("exercise", each(EXERCISES, keep=8), ids=lambda e: e.name)
def test_check_data_is_up_to_date_and_small(exercise):
    locked = re.search(r"^torch==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)[1]
    if torch.__version__.partition("+")[0] != locked:
        pytest.skip(f"check data is drawn with torch {locked}: another one rounds and draws otherwise")
    assert expected.same(hidden.build(exercise), fixtures.load(exercise)), "run make notebooks"
    assert fixtures.path_of(exercise).stat().st_size < 512 * 1024


@by_name
def test_arguments_of_a_case_stand_where_the_answer_takes_them(exercise):
    """They are handed over by place: without `mask=None` before it, a `memory_mask` would arrive as the `mask`."""
    taken = pkgutil.resolve_name(exercise.reference)
    places = list(inspect.signature(getattr(taken, "forward", taken)).parameters)
    places = places[places[0] == "self" :]
    for case in exercise.cases(Draw(0)):
        # else the check puts a model before them
        if places[0] in case.args and set(case.args) <= set(places):
            assert list(case.args) == places[: len(case.args)], case.name


@by_name
def test_banks_have_many_answers_in_many_styles(exercise):
    bank = answers.bank(exercise)
    assert len(bank.wrongs) >= report.LEAST_WRONG
    assert 1 + len(bank.rights) >= report.LEAST_RIGHT


def shape_of(text: str) -> str:
    """A text's syntax tree without docstrings, annotations and the writer's choice of names."""
    tree = ast.parse(text)
    nodes = list(ast.walk(tree))
    own = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    names: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = names.setdefault(node.arg, f"name {len(names)}"), None
        elif isinstance(node, ast.Name) and node.id in own:
            node.id = names.setdefault(node.id, f"name {len(names)}")
    return ast.dump(tree)


@by_name
@pytest.mark.slow
def test_no_answer_of_a_bank_is_another_one_renamed(exercise):
    reference, bank = answers.reference(exercise), answers.bank(exercise)
    seen = {shape_of(inspect.getsource(reference)): "the reference"}
    for answer in bank.rights + bank.wrongs:
        same = seen.setdefault(shape_of(textwrap.dedent(answer.text(reference))), answer.name)
        assert same == answer.name, f"{answer.name} is {same}"


@by_name
def test_cases_are_several(exercise):
    cases = fixtures.load(exercise).cases
    assert len(cases) >= 4
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("exercise", [e for e in EXERCISES if e.stand_in], ids=lambda e: e.name)
def test_stand_ins_are_right_answers(exercise):
    result = examine(exercise, stand_in(exercise))
    assert result.passed, [f for f in result.findings if f]


@pytest.mark.parametrize("name", ["pool", "window_partition", "FeedForward"])
@pytest.mark.slow
def test_right_answers_pass_with_other_threads_and_in_the_other_dtype(name):
    exercise = all_exercises()[name]
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    rights = [(right.name, right.build(reference, module)) for right in answers.bank(exercise).rights]
    others = list(report.in_other_dtype(exercise, reference))
    assert len(others) >= 3
    assert report.rejected_on(exercise, rights, [fixtures.load(exercise), *others], threads=(1, 2)) == []
    wrong = answers.bank(exercise).wrongs[0]
    assert report.rejected_on(exercise, [("wrong", wrong.build(reference, module))], others)


def test_prerequisites_exist_and_have_stand_ins():
    for exercise in EXERCISES:
        for name in exercise.uses:
            assert all_exercises()[name].stand_in, f"{exercise.name} uses {name}, which has no stand-in"


def test_sentences_are_sentences():
    for exercise in EXERCISES:
        bank = answers.bank(exercise)
        said = [wrong.sentence for wrong in bank.wrongs] + [prop.sentence for prop in exercise.properties]
        for sentence in said:
            assert (sentence[0].isupper() or sentence[0] == "`") and sentence.rstrip()[-1] in ".?!", (
                exercise.name,
                sentence,
            )
            assert len(sentence.split()) >= 4, (exercise.name, sentence)


def test_a_swin_block_on_the_librarys_kernel_passes_on_hidden_seeds(monkeypatch):
    """Its kernel rounds in another way where no graph is kept, which was taken for a pixel beyond the window."""
    from solutions import swin

    block, attention = all_exercises()["SwinBlock"], all_exercises()["WindowAttention"]
    reference = answers.reference(block)
    right = next(a for a in answers.bank(attention).rights if a.name == "PyTorch's kernel")
    prepared = [fixtures.prepare(block, reference, seed) for seed in (1056, 1102, 1111)]
    kernel = right.build(answers.reference(attention), answers.reference_module(attention))
    monkeypatch.setattr(swin, "WindowAttention", kernel)
    for fixture in prepared:
        result = examine(block, reference, fixture)
        assert result.passed, [finding for finding in result.findings if finding]
