"""Mutants of the answers: small changes by machine, which checks must see."""

from __future__ import annotations

import ast
import resource

import pytest

from utils.authoring import stubs
from utils.authoring.mutation import measure, reasons
from utils.authoring.mutation.inputs import describe, inputs
from utils.authoring.mutation.operators import Mutant, are_kin, mutants
from utils.authoring.mutation.reasons import why
from utils.checks import fixtures
from utils.checks.registry import all_exercises, find
from utils.grading import answers
from utils.paths import ROOT

SOURCE = """\
def f(x, flag=False, eps=1e-6):
    y = F.dropout(x, p=0.5, training=flag)
    if flag and x.sum() > 2:
        y += 1
    with no_grad():
        z = g(h(y.softmax(dim=-1)))
    return rearrange(z, "b n (h d) -> b h n d"), -x[1:] / eps
"""


def test_operators_do_what_a_slip_does():
    texts = [mutant.source for mutant in mutants(SOURCE)]
    assert len(texts) == len(set(texts))
    for wanted in (
        "F.dropout(x, p=0.5)",  # training= removed
        "softmax(dim=-2)",  # another axis
        "y.softmax()",  # an argument dropped
        "eps=1e-05",  # a default changed
        "if flag or x.sum() > 2",
        "x.sum() >= 2",
        "if True:",
        "y = 1",  # adds becomes replaces
        "h(g(y.softmax(dim=-1)))",  # order of calls
        "rearrange('b n (h d) -> b h n d', z)",  # arguments exchanged
        "'b n (d h) -> b h n d'",
        "-x[1:] * eps",
        "eps / -x[1:]",
        "(rearrange(z, 'b n (h d) -> b h n d'), x[1:] / eps)",  # without its operator
        "-x[:] / eps",  # a bound left out
        "return (-x[1:] / eps, rearrange(",  # parts exchanged
    ):
        assert any(wanted in text for text in texts), wanted
    deleted = ast.unparse(ast.parse(SOURCE.replace("        y += 1\n", "        pass\n")))
    assert deleted in texts


def test_changes_stay_where_a_student_writes():
    found = measure.mutants_of(find("MultiHeadAttention"))
    whole = answers.reference(find("MultiHeadAttention"))
    assert len(found) > 30 and all("xavier" not in mutant.what for mutant in found)
    assert isinstance(whole, type)


def test_inputs_are_legal_and_of_many_kinds():
    exercise = find("split_heads")
    found = [what for what, _ in inputs(exercise, answers.reference(exercise), seeds=1)]
    assert any(what.startswith("seed") for what in found)
    assert any("cut to" in what for what in found) and any("of another case" in what for what in found)
    assert all(len(what) < 300 for what in found)
    assert describe(fixtures.load(exercise).cases[0]) == "(x=<2x5x12>, num_heads=3)"


def test_a_mutant_that_passes_is_shown_by_an_input(monkeypatch):
    """With a single case left, the check is blind to much, and the search must say to what."""
    exercise = find("split_heads")
    whole = fixtures.load(exercise)
    blind = fixtures.Fixture(exercise, whole.cases[3:4], whole.expected[3:4])  # a single head
    monkeypatch.setattr(fixtures, "load", lambda asked: blind)
    row = measure.measure(exercise)
    assert row.differing and row.all == len(measure.mutants_of(exercise))
    mutant, shown = row.differing[0]
    assert "num_heads=" in shown
    page = measure.page([row])
    assert f"| split_heads | {row.all} | {row.killed} | {len(row.differing)} |" in page
    assert mutant.what in page


SAMPLE = [
    "split_heads",
    "causal_mask",
    "padding_mask",
    "patchify",
    "relative_position_index",
    "Pooling",
    "decay_matrix",
    "FeedForward",
    "EncoderLayer",  # with dropout, in train mode and in eval mode
]


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.slow
def test_no_mutant_that_differs_survives(name):
    row = measure.measure(find(name))
    assert not measure.unexplained([row]), measure.page([row])
    assert row.killed > 0


def test_a_survivor_that_is_left_has_its_reason():
    assert "same distribution" in why("", "self.drop_path(self.dropout(x)): the two calls in the other order")
    assert "same axis" in why("", "2 becomes -2") and why("", "2 becomes 3") == ""
    assert (
        why("retention_parallel", "query: key in its place") and why("LSTM", "query: key in its place") == ""
    )
    given = Mutant(1, "128 becomes 129", "")
    assert measure.reason(find("LSTMClassifier"), given) == reasons.GIVEN
    assert why("pool", "x: behind y") == "" and "needs" in why("pool", "x: behind y", alike=True)


def page_rows():
    text = (ROOT / "utils/authoring/mutation/SURVIVORS.md").read_text(encoding="utf-8")
    return text, measure.read(text)


@pytest.mark.slow
def test_the_page_has_every_exercise_with_todays_number_of_mutants_or_says_that_it_has_not():
    text, rows = page_rows()
    left_out = next((line for line in text.splitlines() if line.startswith(measure.LEFT_OUT)), "")
    named = left_out.removeprefix(measure.LEFT_OUT).rstrip(".").split(", ") if left_out else []
    assert list(rows) == [name for name in all_exercises() if name not in named]
    assert [name for name, row in rows.items() if not measure.up_to_date(row)] == []


def test_every_survivor_has_a_reason_on_the_page():
    text, rows = page_rows()
    assert measure.unexplained(rows.values()) == []
    shown = [line for line in text.splitlines() if line.startswith("- line ")]
    assert len(shown) == sum(len(row.differing) + len(row.alike) for row in rows.values())
    assert all("; left because " in line for line in shown)
    assert measure.whole_page(rows) == text, "run make mutants"


def test_a_page_keeps_its_other_rows_and_the_command_fails_without_a_reason(tmp_path, monkeypatch):
    page = tmp_path / "page.md"

    def one_left(exercise):
        line = measure.solution_lines(stubs.answer(exercise).whole)[0]
        return measure.Survival(exercise, 11, [(Mutant(line, "something else", ""), "(x=<2>)")])

    monkeypatch.setattr(measure, "measure", one_left)
    monkeypatch.setattr(measure, "up_to_date", lambda row: True)
    before = resource.getrlimit(resource.RLIMIT_AS)
    assert measure.main(["split_heads"], "", str(page)) == 1
    assert resource.getrlimit(resource.RLIMIT_AS) == before, (
        "what this process starts later, such as a browser, needs more"
    )
    assert measure.main(["merge_heads"], "", str(page)) == 1
    assert list(measure.read(page.read_text())) == ["split_heads", "merge_heads"]
    assert measure.read(page.read_text())["split_heads"].differing[0][0].what == "something else"
    monkeypatch.setitem(reasons.ONE_BY_ONE, ("split_heads", "something else"), "it is nothing else")
    assert measure.main(["split_heads"], "", str(page)) == 0
    assert "; left because it is nothing else" in page.read_text()


TWO = """\
def f(x, weight, bias, norm1, norm2):
    y = norm1(x)
    z = y + 1
    z.add_(bias)
    return norm2(z) * weight
"""


def test_statements_and_names_of_a_kind_are_exchanged():
    texts = [mutant.source for mutant in mutants(TWO)]
    assert any("z = y + 1\n    y = norm1(x)" in text for text in texts)
    assert any("z.add_(bias)\n    z = y + 1" in text for text in texts)
    for wanted in ("norm2(x)", "norm1(z)", "norm2(z) * bias", "z.add_(weight)"):
        assert any(wanted in text for text in texts), wanted
    assert are_kin("weight_ih", "bias_ih") and are_kin("query", "key") and not are_kin("x", "z")


def test_a_default_of_a_signature_is_changed_though_a_student_is_given_it():
    found = measure.mutants_of(find("EncoderLayer"))
    assert any("norm_first: bool=True" in mutant.source for mutant in found)
