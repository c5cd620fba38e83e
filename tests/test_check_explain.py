"""Causes that need no bank, mistakes beside a second fault, and messages: nothing is named that was not seen."""

from __future__ import annotations

import itertools
import linecache
import math
import os
import time
import warnings
from dataclasses import replace
from random import Random

import nbformat
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.test_check_engine import FUNCTION, MODULE, Affine, result, said, scale_rows
from utils.checks import engine, fixtures, journal, messages, notebook, words
from utils.checks.compare import Finding, compare
from utils.checks.registry import all_exercises
from utils.grading import answers
from utils.words import speaking

STATE = []


def unused(x, weights, bias=None):
    return x * weights[:, None]


def random(x, weights, bias=None):
    return F.dropout(scale_rows(x, weights, bias), 0.5)


def kept(x, weights, bias=None):
    STATE.append(1)
    return scale_rows(x, weights, bias) + len(STATE)


def no_influence(x, weights, bias=None):
    return (
        scale_rows(x, weights, bias) + 0.0 * weights.sum() if bias is None else x + bias + 0.0 * weights.sum()
    )


@pytest.mark.parametrize(
    ("attempt", "words_of_it"),
    [
        (unused, "Your code never uses `bias`."),
        (random, "Your result is random"),
        (kept, "keeps something of the first call"),
        (no_influence, "`weights` has no influence on your result"),
        (
            lambda x, weights, bias=None: scale_rows(x, weights, bias).detach() * 2,
            "Your result is cut from the graph",
        ),
        (lambda x, weights, bias=None: [scale_rows(x, weights, bias)], "must be a torch.Tensor"),
        (lambda x, weights, bias=None: (row for row in x), "returned a generator"),
    ],
)
def test_causes_that_need_no_bank(attempt, words_of_it):
    STATE.clear()
    assert words_of_it in said(attempt)


def test_what_holds_in_one_case_is_said_of_that_case():
    """Without a bias the weights do have an influence; with one they have none."""
    assert "In the case `with a bias`, `weights` has no influence on your result" in said(no_influence)

    def nowhere(x, weights, bias=None):
        return x + 0.0 * weights.sum() + (0 if bias is None else bias)

    text = said(nowhere)
    assert "\n`weights` has no influence on your result" in text

    def cut_with_a_bias(x, weights, bias=None):
        return scale_rows(x, weights) if bias is None else (x * 2 + weights[:, None] + bias).detach()

    assert "In the case `with a bias` your result is cut from the graph" in said(cut_with_a_bias)


def test_a_gradient_of_zero_is_not_called_a_missing_one():
    fixture_of = replace(FUNCTION, cases=lambda draw: FUNCTION.cases(draw)[:1])

    def alone(x, weights, bias=None):
        return 3 * x.softmax(-1).sum(-1, keepdim=True) * weights[:, None] + torch.zeros_like(x)

    assert "stays the same, up to rounding, with other values of `x`" in said(alone, exercise=fixture_of)


class Dead(Affine):
    def forward(self, x):
        return self.proj(x)


class Counting(Affine):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


class Drops(Affine):
    def forward(self, x):
        return F.dropout(super().forward(x), 0.3)


def test_a_parameter_without_influence_a_kept_state_and_a_dropout_that_never_ends():
    module = {"exercise": MODULE, "reference": Affine}
    assert "`weight` has no influence" in said(Dead, **module)
    assert "keeps something of the first call" in said(Counting, **module)
    assert "`F.dropout` needs `training=self.training`" in said(Drops, **module)


def test_numbers_of_numpy_are_numbers():
    import numpy as np

    exercise = replace(FUNCTION, gradients=False, properties=())
    fixture = fixtures.prepare(exercise, lambda x, weights, bias=None: int(x.numel()), 3)
    assert engine.examine(exercise, lambda x, weights, bias=None: np.prod(x.shape), fixture).passed


def test_the_type_that_the_first_line_promises_is_looked_at_before_it_is_turned_into_a_tensor():
    exercise = replace(FUNCTION, gradients=False, properties=())

    def as_list(x, weights, bias=None) -> torch.Tensor:
        return scale_rows(x, weights, bias).tolist()

    assert "returned a list, and its first line says `-> Tensor`" in said(as_list, exercise=exercise)

    def total(x, weights, bias=None) -> float:
        return x.sum().item()

    def total_tensor(x, weights, bias=None) -> float:
        return x.sum()

    assert result(total, exercise=exercise, reference=total).passed
    assert "returned a Tensor (`.item()` makes a number of it)" in said(
        total_tensor, exercise=exercise, reference=total
    )


def test_a_result_that_shares_memory_is_refused_only_where_a_new_tensor_is_promised():
    def turned(x, weights, bias=None):
        return x.T

    for promise in (False, True):
        exercise = replace(FUNCTION, fresh=promise, properties=())
        fixture = fixtures.prepare(exercise, lambda x, weights, bias=None: x.T.clone(), 3)
        found = engine.examine(exercise, turned, fixture)
        assert found.passed != promise
    assert found.findings[0].sentence == words.NOTES["new:output"]


def test_values_come_before_gradients_and_are_not_called_right():
    def attempt(x, weights, bias=None):  # first case: only the gradient is wrong; second: the values are
        out = scale_rows(x, weights, bias)
        return out + out - out.detach() if bias is None else out * 2

    text = said(attempt)
    assert "First wrong case: with a bias." in text and "values of this case are right" not in text


def doubled(x, weights, bias=None):
    return 2 * scale_rows(x, weights, bias)


def subtracts(x, weights, bias=None):
    return scale_rows(x, weights) if bias is None else scale_rows(x, weights) - bias


def both(x, weights, bias=None):
    return 2 * subtracts(x, weights, bias)


def test_a_known_mistake_is_recognised_beside_a_second_fault():
    known = [("doubled", "You double it.", doubled), ("subtracts", "You subtract the bias.", subtracts)]
    found = result(both, mistakes=known)
    assert found.diagnosis == "You double it."
    assert found.names[found.rest] == "with a bias"
    assert "In the case `with a bias` your result is not that of this mistake alone" in messages.text(found)


def test_a_mistake_with_right_outputs_is_not_told_by_outputs():
    """A detached path has the right values, so right values in a case are no evidence of it."""
    detached = [("detached", "You detach it.", lambda x, w, bias=None: scale_rows(x, w, bias).detach())]
    assert result(detached[0][2], mistakes=detached).diagnosis == "You detach it."

    def slightly_off(x, weights, bias=None):  # by more than the check allows, by less than a fingerprint did
        out = scale_rows(x, weights, bias)
        return out + 2.5e-4 * out.abs().mean() * (bias is None)

    assert result(slightly_off, mistakes=detached).diagnosis == ""


def test_no_mistake_is_named_where_another_case_speaks_against_it():
    known = [("doubled", "You double it.", doubled)]

    def only_once(x, weights, bias=None):  # right where the mistake would be wrong
        return (
            doubled(x, weights) if bias is None and x.dtype == torch.float32 else scale_rows(x, weights, bias)
        )

    assert (
        result(only_once, mistakes=known).diagnosis
        == "In the case `no bias`: Each of your values is 2 times the right one."
    )
    two = [
        *known,
        (
            "tripled in doubles",
            "You triple it.",
            lambda x, w, bias=None: doubled(x, w, bias) * (1 + (x.dtype == torch.float64)),
        ),
    ]

    def unlike_both(x, weights, bias=None):  # alike where the two are alike
        return doubled(x, weights, bias) + (bias is not None)

    assert result(unlike_both, mistakes=two).diagnosis in ("", "You double it.")


def two_faults(exercise, one, other):
    """The result of an answer with two known mistakes at once; None where both change the same text."""
    reference, module = answers.reference(exercise), answers.reference_module(exercise)
    if one.edits.keys() & other.edits.keys():
        return None
    try:
        together = replace(one, edits={**one.edits, **other.edits}).build(reference, module)
    except (ValueError, SyntaxError):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return engine.examine(exercise, together)


def third(exercise, one, other, found):
    """The name of a third mistake that a result is said to be, though it is not that in every case; else ""."""
    names = {wrong.sentence: wrong.name for wrong in answers.bank(exercise).wrongs}
    named = names.get(found.diagnosis, "")
    return "" if found.rest < 0 or named in (one.name, other.name) else named


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("shift_consistency", "channels moved along", "all four moves or nothing"),
        ("scaled_dot_product_attention", "nothing done for a query that sees no key", "scores not scaled"),
    ],
)
def test_two_faults_are_not_called_a_third(name, one, other):
    exercise = all_exercises()[name]
    both = [wrong for wrong in answers.bank(exercise).wrongs if wrong.name in (one, other)]
    found = two_faults(exercise, *both)
    assert not found.passed and third(exercise, *both, found) == ""
    if name == "scaled_dot_product_attention":
        assert found.diagnosis in {wrong.sentence for wrong in both}


PAIRS, NAMED = 3, 0.3  # of each exercise; share of them of which one of the two is named


@pytest.mark.slow
@pytest.mark.thorough
def test_with_two_faults_no_third_is_named_and_many_are_named_by_one():
    pairs = named = 0
    false = []
    for exercise in all_exercises().values():
        wrongs = [wrong for wrong in answers.bank(exercise).wrongs if wrong.edits]
        couples = list(itertools.combinations(wrongs, 2))
        Random(exercise.name).shuffle(couples)
        found = ((one, other, two_faults(exercise, one, other)) for one, other in couples)
        for one, other, seen in itertools.islice((some for some in found if some[2]), PAIRS):
            pairs += 1
            named += seen.diagnosis in (one.sentence, other.sentence)
            if what := third(exercise, one, other, seen):
                false.append(f"{exercise.name}: {one.name} and {other.name} are called {what}")
    assert not false
    assert pairs > 2 * len(all_exercises()) and named > NAMED * pairs, (named, pairs)


def test_a_result_of_another_shape_is_not_called_cut_from_the_graph():
    assert "graph" not in said(lambda x, weights, bias=None: scale_rows(x, weights, bias)[:1] * 2)


@pytest.mark.parametrize("exercise", list(all_exercises().values())[::15], ids=lambda e: e.name)
def test_messages_are_short_and_without_internal_names(exercise):
    fixture = fixtures.load(exercise)
    for case, expected in zip(fixture.cases, fixture.expected, strict=True):
        for key, value in expected.items():
            seen = dict(expected) | {key: ~value if value.dtype == torch.bool else value + 1}
            finding = compare(replace(exercise, properties=()), case, expected, seen)
            if finding is None:
                continue
            text = " ".join([finding.sentence, *finding.details])
            assert len(text) < 400
            if key not in exercise.outputs and not key.startswith(("after:", "same:", "buffer:", "grad:")):
                assert f"`{key}`" not in text
            if value.dtype == torch.bool and value.ndim == 0:
                assert (
                    "expected true, got false" in text.replace("      ", " ")
                    or "expected false" in text
                    or key in words.INNER
                )


def test_every_message_is_short():
    def attempt(x, weights, bias=None):
        raise ValueError("very long " * 200)

    assert len(said(attempt)) <= messages.MOST
    names = tuple(all_exercises())
    found = replace(
        result(lambda x, weights, bias=None: x), substitutes=names, reads=names, diagnosis="Look. " * 40
    )
    assert len(messages.text(found)) <= messages.MOST


@pytest.mark.parametrize("length", range(100, 900, 100))
def test_no_message_is_a_headline_and_a_case_alone(length):
    """What is wrong and the student's own line stay, however long they are; what is known beside them goes first."""
    found = result(lambda x, weights, bias=None: x)
    sentence = "Your answer " + "is wrong " * (length // 9)
    line = "line 7 of your cell, in forward:  y = " + "x + " * 20 + "x"
    finding = Finding("raised", sentence, (line, *["another detail"] * 30))
    for diagnosis in ("", "You double it. " * 20):
        text = messages.text(
            replace(found, findings=[finding] * 3, diagnosis=diagnosis, rest=1, reads=("d",))
        )
        assert len(text) <= messages.MOST
        assert text.splitlines()[1].startswith("You double it." if diagnosis else "First wrong case")
        assert ("Your answer is wrong is wrong" in text and "line 7 of your cell" in text) or diagnosis


def test_a_long_list_of_parameters_gets_shorter_and_is_not_dropped():
    class Deep(nn.Module):
        def __init__(self, dim):
            super().__init__()
            stage = "a_stage_with_a_name_as_long_as_they_are_in_deep_models"
            self.layers = nn.ModuleDict({f"{stage}_{i}": nn.Linear(2, 2) for i in range(9)})

    text = said(Deep, exercise=MODULE, reference=Affine)
    assert "missing: weight" in text and "unexpected: layers." in text and "more" in text
    assert len(text) <= messages.MOST


def test_an_in_place_change_that_autograd_refuses_is_explained():
    def attempt(x, weights, bias=None):
        y = x.exp()
        z = y * weights[:, None]
        y += 1
        return z

    assert "changed in place" in said(attempt)


def test_a_line_never_lists_twelve_names():
    assert words.some(list("abcdefghijkl")) == "a, b, c and 9 more"

    class Other(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.many = nn.ModuleList(nn.Linear(2, 2) for _ in range(9))

    assert len(said(Other, exercise=MODULE, reference=Affine)) <= messages.MOST


d = 3


def test_a_name_read_from_the_notebook_is_told():
    def attempt(x, weights, bias=None):
        return scale_rows(x, weights, bias) / d

    assert "Your answer reads `d` from the notebook" in said(attempt)


@pytest.mark.parametrize(
    ("name", "value", "scores"),
    [
        ("keys", torch.ones(3, 2), "query @ keys.transpose(-2, -1) / math.sqrt(query.shape[-1])"),
        ("keys", torch.ones(16, 1024), "query @ keys.transpose(-2, -1)"),
        ("d", 1024, "query @ key.transpose(-2, -1) / math.sqrt(d)"),
        ("D", 64, "query @ key.transpose(-2, -1) / math.sqrt(D)"),
        ("x", torch.ones(2, 4, 3), "x @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])"),
        ("y", torch.ones(4), "query @ key.transpose(-2, -1) + y"),
        ("n", 7, "query @ key.transpose(-2, -1) / math.sqrt(n)"),
        ("layer", nn.Linear(3, 3), "layer(query) @ key.transpose(-2, -1)"),
    ],
)
def test_a_leftover_of_another_cell_is_named_in_a_message_that_is_full(name, value, scores):
    """What the cells of 01 to 09 leave, read in exercise 1.1 by accident."""
    source = f"def attend(query, key, value, mask=None):\n    weights = ({scores}).softmax(-1)\n    return weights @ value, weights\n"
    linecache.cache["<cell leftover>"] = (
        len(source),
        None,
        source.splitlines(keepends=True),
        "<cell leftover>",
    )
    space = {"math": math, name: value}
    exec(compile(source, "<cell leftover>", "exec"), space)
    found = engine.examine(all_exercises()["scaled_dot_product_attention"], space["attend"])
    for language, sentence in (
        ("en", f"Your answer reads `{name}` from the notebook"),
        ("ko", f"답이 `{name}`"),
    ):
        with speaking(language):
            text = messages.text(found)
        assert sentence in text, text
        assert len(text) <= messages.MOST


def test_output_of_an_answer_comes_after_the_verdict_and_is_capped(monkeypatch, capsys):
    right = answers.reference(all_exercises()["causal_mask"])

    def causal_mask(length):
        for i in range(1000):
            print("line", i, "x" * 1000)
        return right(length)

    engine.check(causal_mask)
    out = capsys.readouterr().out
    assert out.index("all ") < out.index("Your code printed this") and len(out) < 5000
    assert f"the first {notebook.LINES} of" in out


def test_a_failed_check_in_a_students_notebook_is_one_panel_and_no_exception(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(journal, "serves_a_student", lambda: True)
    monkeypatch.setattr(messages, "show", shown.append)
    engine.check(lambda length: None, "causal_mask")
    assert len(shown) == 1 and not shown[0].passed
    monkeypatch.setattr(journal, "serves_a_student", lambda: False)
    with pytest.raises(engine.CheckFailed):
        engine.check(lambda length: None, "causal_mask")


def test_an_older_version_is_told_apart(tmp_path, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    try:
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)
        shell.run_cell("def causal_mask(length):\n    return 1", store_history=True)
        assert notebook.older_version(shell.user_ns["causal_mask"], "causal_mask") == ""
        shell.run_cell("def causal_mask(length):\n    return 2 +", store_history=True, silent=False)
        assert "older version of causal_mask" in notebook.older_version(
            shell.user_ns["causal_mask"], "causal_mask"
        )
        shell.run_cell("def causal_mask(length):\n    return 3", store_history=True)
        assert notebook.older_version(shell.user_ns["causal_mask"], "causal_mask") == ""
    finally:
        shell.history_manager.end_session()


def test_a_text_that_was_saved_and_not_run_is_told(tmp_path, monkeypatch):
    """Check, edit, save, check again without running the cell: the kernel sees the file, not the browser."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    old, new = (f"def causal_mask(length):\n    return {number}" for number in (1, 2))
    notebook_file = tmp_path / "01_transformer_recap.ipynb"

    def save(source, after):
        cell = nbformat.v4.new_code_cell(
            source, metadata={"nbgrader": {"grade_id": "causal_mask", "solution": True}}
        )
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), notebook_file)
        os.utime(notebook_file, (time.time() + after, time.time() + after))

    def said():
        return notebook.older_version(shell.user_ns["causal_mask"], "causal_mask")

    try:
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)
        monkeypatch.setattr(notebook, "_when", {})
        notebook.watch()
        monkeypatch.delenv("PYTEST_VERSION", raising=False)
        monkeypatch.chdir(tmp_path)
        save(new, after=-60)  # saved long before: the student has undone it since, for all that is known
        shell.run_cell(old, store_history=True)
        save(new, after=5)
        assert "the saved notebook has another text" in said(), "also before the first check"
        save(old, after=5)
        assert said() == said() == ""
        save(old + "  # a remark", after=5)
        assert said() == "", "the same code"
        save(new, after=10)
        assert "the saved notebook has another text" in said()
        save(new + " +", after=15)
        assert "the saved notebook has another text" in said(), "also one that Python cannot read"
        save(new, after=20)
        shell.run_cell(new, store_history=True)
        assert said() == said() == ""
        save(new, after=20)
        nbformat.write(nbformat.read(notebook_file, as_version=4), tmp_path / "01-Copy1.ipynb")
        save(old, after=30)
        monkeypatch.setenv("JPY_SESSION_NAME", "notebooks/01-Copy1.ipynb")
        assert said() == "", "another copy was saved, not the one that is open"
        monkeypatch.delenv("JPY_SESSION_NAME")
        assert said(), "which one is open is not known"
    finally:
        shell.history_manager.end_session()


def test_a_pass_of_an_older_version_is_not_headed_passed():
    found = result(scale_rows)
    older = replace(found, older="This is about an older version of scale_rows: its cell failed.")
    panels = [messages.panel(one) for one in (found, older)]
    assert "Passed.</strong>" in panels[0] and "#1a7f37" in panels[0] and 'role="status"' in panels[0]
    assert "Passed by an older version, not by the text in its cell.</strong>" in panels[1]
    assert "#1a7f37" not in panels[1] and 'role="alert"' in panels[1]
    assert "This is about an older version" in panels[1]


def test_the_page_of_messages_finds_long_ones_and_internal_names():
    from utils.authoring import messages as page

    exercise = all_exercises()["evaluate"]
    assert page.complaints(exercise, {"fine": "`loss` is wrong."}) == []
    found = page.complaints(
        exercise, {"long": "x" * 401, "inner": "`in evaluation mode` has the wrong shape."}
    )
    assert found == ["evaluate, long: 401 characters", "evaluate, inner: shows `in evaluation mode`"]
    text = page.section(exercise, page.said(exercise))
    assert "## evaluate" in text and "*property, " in text and "PASSED" not in text
    assert words.INNER["starts"] in page.engine()


def test_a_module_that_remembers_its_first_inputs_is_told():
    from utils.checks.engine import examine
    from utils.checks.registry import find
    from utils.grading import answers

    exercise = find("FeedForward")
    reference = answers.reference(exercise)

    class FeedForward(reference):
        first = None

        def forward(self, x):
            self.first = x.clone() if self.first is None else self.first
            return super().forward(self.first)

    result = examine(exercise, FeedForward)
    assert "keeps something of the first call" in next(
        finding.sentence for finding in result.findings if finding
    )


def test_weights_that_nobody_needs_should_be_none():
    from utils.checks.engine import examine
    from utils.checks.registry import find
    from utils.grading import answers

    exercise = find("MultiHeadAttention")

    class MultiHeadAttention(answers.reference(exercise)):
        def forward(self, query, key=None, value=None, mask=None, need_weights=True):
            return super().forward(query, key, value, mask, need_weights=True)

    findings = [finding for finding in examine(exercise, MultiHeadAttention).findings if finding]
    assert [finding.sentence for finding in findings] == [
        "`weights` should be None here, and yours is a tensor."
    ]
