"""The check engine on a small exercise of its own: what a student does wrong by accident is said in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from utils.checks import engine, fixtures, messages
from utils.checks.fixtures import Mistake, fingerprint, looks_like
from utils.checks.observe import observe
from utils.checks.spec import Case, Draw, Exercise, Property
from utils.grading.bank import Bank


def scale_rows(x, weights, bias=None):
    total = x * weights[:, None]
    return total if bias is None else total + bias


class Affine(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.proj = nn.Linear(dim, dim + 1)

    def forward(self, x):
        return self.proj(x * self.weight)


def _function_cases(draw: Draw) -> list[Case]:
    return [
        Case("no bias", args={"x": draw.normal(3, 4), "weights": draw.normal(3)}),
        Case(
            "with a bias",
            args={"x": draw.normal(2, 5), "weights": draw.normal(2)},
            kwargs={"bias": draw.normal(5)},
        ),
        Case(
            "double precision",
            args={
                "x": draw.normal(2, 5, dtype=torch.float64),
                "weights": draw.normal(2, dtype=torch.float64),
            },
        ),
    ]


FUNCTION = Exercise(
    name="scale_rows",
    notebook="00_test",
    points=2,
    stars=1,
    minutes=5,
    reference="tests.test_check_engine:scale_rows",
    cases=_function_cases,
    seconds=1.0,
    properties=(
        Property(
            "zero in, zero out",
            "Zero weights must give the bias.",
            lambda case, seen: seen["output"].isfinite().all(),
        ),
    ),
)
MODULE = Exercise(
    name="Affine",
    notebook="00_test",
    points=2,
    stars=1,
    minutes=5,
    reference="tests.test_check_engine:Affine",
    kind="module",
    cases=lambda draw: [
        Case("a batch", init={"dim": 3}, args={"x": draw.normal(2, 3)}),
        Case("train mode", init={"dim": 4}, args={"x": draw.normal(5, 4)}, mode="train"),
    ],
)


def result(attempt, exercise=FUNCTION, reference=scale_rows, mistakes=()):
    fixture = fixtures.prepare(exercise, reference, seed=5)
    looks = [
        Mistake(name, sentence, [fingerprint(observe(wrong, case)) for case in fixture.cases])
        for name, sentence, wrong in mistakes
    ]
    return engine.examine(exercise, attempt, replace(fixture, mistakes=looks))


def said(attempt, **kwargs):
    found = result(attempt, **kwargs)
    assert not found.passed
    return messages.text(found)


def test_the_reference_and_another_order_of_operations_pass():
    assert result(scale_rows).passed

    def scale_rows_by_loop(x, weights, bias=None):
        rows = [row * w for row, w in zip(x, weights, strict=True)]
        return torch.stack(rows) + (0 if bias is None else bias)

    assert result(scale_rows_by_loop).passed


def test_wrong_values_are_located():
    def attempt(x, weights, bias=None):
        return scale_rows(x, weights) if bias is None else scale_rows(x, weights) - bias

    text = said(attempt)
    assert "2 of 3 cases are right" in text
    assert "First wrong case: with a bias." in text
    assert "largest difference at [" in text


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda x, weights, bias=None: None, "returned None"),
        (lambda x, weights, bias=None: scale_rows(x, weights, bias).detach().numpy(), "NumPy ndarray"),
        (lambda x, weights, bias=None: scale_rows(x, weights, bias).T, "axes have changed places"),
        (
            lambda x, weights, bias=None: scale_rows(x, weights, bias).half(),
            "dtype float16, expected float32",
        ),
        (lambda x, weights, bias=None: scale_rows(x, weights, bias).detach(), "No gradient reaches `x`"),
        (lambda x, weights, bias=None: scale_rows(x.detach(), weights, bias), "No gradient reaches `x`"),
        (lambda x, weights, bias=None: scale_rows(x, weights, bias) * float("nan"), "contains NaN"),
        (
            lambda x, weights, bias=None: x.mul_(weights[:, None]) + (0 if bias is None else bias),
            "changes its input `x`",
        ),
        (lambda x: x, "is called with (x, weights), and yours takes (x)"),
        (lambda x, weights, bias=None: undefined_name, "NameError: name 'undefined_name'"),  # noqa: F821
        (lambda x, weights, bias=None: "a string", "dtype uint8"),
        (lambda x, weights, bias=None: {"a": 1}, "must be a torch.Tensor"),
    ],
)
def test_bad_answers_are_named_in_words(attempt, words):
    if words == "dtype uint8":
        assert "wrong shape" in said(attempt)
    else:
        assert words in said(attempt)


def test_a_gradient_that_is_wrong_while_values_are_right():
    def attempt(x, weights, bias=None):
        out = scale_rows(x, weights, bias)
        return out + out - out.detach()

    assert "what backward() gives is not" in said(attempt)


def test_an_attempt_that_raises_shows_its_own_line():
    def attempt(x, weights, bias=None):
        y = x @ weights[:, None].T
        return y

    text = said(attempt)
    assert "RuntimeError" in text
    assert "y = x @ weights[:, None].T" in text


def test_an_endless_loop_is_stopped():
    def attempt(x, weights, bias=None):
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: SIM105 - students write this
                pass

    assert "computed for 1 s and was stopped" in said(attempt)


def test_not_started_is_calm():
    def attempt(x, weights, bias=None):
        raise NotImplementedError("not started yet")

    found = result(attempt)
    assert not found.started
    assert "is not started yet" in messages.text(found)
    assert messages.state(found) == "waiting"


class Misnamed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        return self.proj(x * self.scale)


class NotAModule:
    def __init__(self, dim):
        self.dim = dim


class Frozen(Affine):
    def forward(self, x):
        return self.proj(x * self.weight.data)


def test_modules_parameters_are_listed():
    assert result(Affine, exercise=MODULE, reference=Affine).passed
    text = said(Misnamed, exercise=MODULE, reference=Affine)
    assert "missing: weight" in text
    assert "unexpected: scale" in text
    assert "proj.weight is (3, 3), expected (4, 3)" in text
    assert "must be an nn.Module" in said(NotAModule, exercise=MODULE, reference=Affine)
    assert "No gradient reaches `weight`" in said(Frozen, exercise=MODULE, reference=Affine)
    assert "check(Affine), without calling it" in said(Affine(3), exercise=MODULE, reference=Affine)


def test_a_known_mistake_gets_its_sentence_and_an_unknown_one_gets_none():
    def subtracts(x, weights, bias=None):
        return scale_rows(x, weights) if bias is None else scale_rows(x, weights) - bias

    def crashes(x, weights, bias=None):
        raise ValueError("sizes")

    known = [("subtracts", "You subtract the bias.", subtracts), ("crashes", "It crashes.", crashes)]
    assert (
        result(lambda x, weights, bias=None: subtracts(x, weights, bias) * 1.0, mistakes=known).diagnosis
        == "You subtract the bias."
    )
    assert (
        result(lambda x, weights, bias=None: scale_rows(x, weights, bias) + x**2, mistakes=known).diagnosis
        == ""
    )

    def other_crash(x, weights, bias=None):
        raise ValueError("something else")

    assert result(other_crash, mistakes=known).diagnosis == ""


def test_fingerprints_tell_shapes_values_and_specials_apart():
    base = {"output": torch.arange(6.0).reshape(2, 3)}
    assert looks_like(fingerprint(base), fingerprint({"output": base["output"] + 1e-7}))
    assert not looks_like(fingerprint(base), fingerprint({"output": base["output"].reshape(3, 2)}))
    assert not looks_like(fingerprint(base), fingerprint({"output": base["output"].flip(0)}))
    assert not looks_like(
        fingerprint(base),
        fingerprint({"output": base["output"].masked_fill(base["output"] == 5, float("nan"))}),
    )


def test_fixtures_survive_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(fixtures, "FOLDER", tmp_path)
    exercise = replace(
        FUNCTION,
        cases=lambda draw: [
            Case(
                "odd things", args={"x": draw.normal(2, 2), "weights": draw.normal(2)}, kwargs={"bias": None}
            ),
            Case("more", args={"x": draw.normal(2, 2), "weights": draw.normal(2)}),
        ],
    )
    made = fixtures.prepare(exercise, scale_rows, 1)
    fixtures.save(made, fixtures.path_of(exercise))
    back = fixtures.load(exercise)
    assert [c.name for c in back.cases] == ["odd things", "more"]
    assert back.cases[0].kwargs == {"bias": None}
    assert all(torch.equal(a[k], b[k]) for a, b in zip(made.expected, back.expected, strict=True) for k in a)
    assert engine.examine(exercise, scale_rows, back).passed


def test_encoding_keeps_structure():
    tensors = {}
    value = {"a": (1, [torch.ones(2), "x"], None), "b": {3: True}}
    back = fixtures.decode(fixtures.encode(value, "v", tensors), tensors)
    assert back["a"][0] == 1 and back["a"][1][1] == "x" and back["b"] == {3: True}
    with pytest.raises(TypeError, match="not ndarray"):
        fixtures.encode(np.ones(2), "v", tensors)


def test_check_wants_the_function_itself():
    with pytest.raises(engine.CheckFailed, match="of type Tensor"):
        engine.check(torch.ones(2))
    with pytest.raises(engine.CheckFailed, match="No exercise is called 'helper'"):

        def helper():
            return 1

        engine.check(helper)


def test_a_bank_edit_must_match_once():
    bank = Bank("scale_rows")
    bank.wrong("no such text", "A sentence.", edits={"nowhere": ""})
    with pytest.raises(ValueError, match="found 0 times"):
        bank.wrongs[0].text(scale_rows)


def test_panel_escapes_and_says_more_than_a_colour():
    def attempt(x, weights, bias=None):
        raise ValueError("<script>alert(1)</script>")

    html = messages.panel(result(attempt))
    assert "<script>" not in html
    assert "Not yet." in html
    assert 'role="alert"' in html


def test_draw_is_seeded_and_masks_are_mixed():
    assert torch.equal(Draw(3).normal(4), Draw(3).normal(4))
    mask = Draw(3).mask(50, 2)
    assert mask.any(-1).all()
    assert not mask.all(-1).any()
    assert (Draw(1).normal(1000) < 0).any()


def test_ready_asks_for_what_the_answer_calls(monkeypatch, capsys):
    """A block whose check passed with a stand-in for the attention must not run with the student's own, wrong one."""
    monkeypatch.setattr(engine, "PASSED", {"ViTBlock": None})
    assert not engine.ready("ViTBlock")
    assert "needs SelfAttention: run the cells above" in capsys.readouterr().out
    space = {"ready": engine.ready, "SelfAttention": lambda dim, num_heads: nn.Identity()}
    assert not eval('ready("ViTBlock")', space)
    assert "waits for SelfAttention:" in capsys.readouterr().out
    monkeypatch.setattr(engine, "PASSED", {"ViTBlock": None, "SelfAttention": None})
    assert engine.ready("ViTBlock")
    monkeypatch.setattr(engine, "PASSED", {"TransformerEncoder": None})
    assert engine.ready("TransformerEncoder"), "what an earlier notebook built comes by reuse()"


def test_ready_asks_the_answers_that_are_there_after_a_restart(monkeypatch, capsys):
    monkeypatch.setattr(engine, "PASSED", {})
    space = {"ready": engine.ready, "causal_mask": engine.stand_in(engine.find("causal_mask"))}
    assert eval('ready("causal_mask")', space)
    assert capsys.readouterr().out == "" and "causal_mask" in engine.PASSED


def test_whether_an_answer_passes_is_known_at_its_first_wrong_case():
    fixture = fixtures.prepare(FUNCTION, scale_rows, seed=5)
    calls = []

    def wrong(x, weights, bias=None):
        calls.append(x)
        return 2 * scale_rows(x, weights, bias)

    assert engine.passes(FUNCTION, scale_rows, fixture)
    assert not engine.passes(FUNCTION, wrong, fixture)
    first = len(calls)
    assert not engine.examine(FUNCTION, wrong, fixture).passed
    assert len(calls) - first >= len(fixture.cases) * first > 0


def test_one_case_that_is_wrong_at_the_end_is_seen():
    fixture = fixtures.prepare(FUNCTION, scale_rows, seed=5)
    wrong = lambda x, weights, bias=None: scale_rows(x, weights, bias) + (x.dtype == torch.float64)  # noqa: E731
    assert not engine.passes(FUNCTION, wrong, fixture)
    assert [finding is None for finding in engine.examine(FUNCTION, wrong, fixture).findings] == [
        True,
        True,
        False,
    ]
