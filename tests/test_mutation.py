"""Mutants of the answers: small changes by machine, which checks must see."""

from __future__ import annotations

import ast

import pytest

from utils.authoring.mutation import measure
from utils.authoring.mutation.inputs import describe, inputs
from utils.authoring.mutation.operators import mutants
from utils.checks import fixtures
from utils.checks.registry import find
from utils.grading import answers

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
]


@pytest.mark.parametrize("name", SAMPLE)
def test_no_mutant_that_differs_survives(name):
    row = measure.measure(find(name))
    assert not row.differing, measure.page([row])
    assert row.killed > 0


def test_a_survivor_that_is_left_has_its_reason():
    from utils.authoring.mutation.measure import _why

    assert "same distribution" in _why("self.drop_path(self.dropout(x)): the two calls in the other order")
    assert _why("2 becomes 3") == ""
