"""The authoring build: stubs, markers, ids, metadata, kept outputs."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_output

from utils.authoring import build, solve, stubs
from utils.checks import engine, fixtures
from utils.checks.registry import all_exercises, find

SYLLABUS = [
    "01_transformer_recap",
    "02_lstm_sentiment",
    "03_transformer_sentiment",
    "04_attention_in_vision",
    "05_vit",
    "06_inductive_bias",
    "07_swin",
    "08_mixer_poolformer",
    "09_beyond_attention",
    "10_discussion",
]
SOURCE = '''
def double(x):
    """Doc."""
    if x is None:
        raise ValueError("x")
    ### BEGIN SOLUTION
    y = x + x
    return y
    ### END SOLUTION


class Pair:
    def __init__(self):
        self.kept = 1
        ### BEGIN SOLUTION
        self.secret = 2
        ### END SOLUTION

    def both(self):
        ### BEGIN SOLUTION
        return self.kept + self.secret
        ### END SOLUTION
'''


def test_a_stub_keeps_what_is_given_and_hides_the_rest():
    cut = stubs.cut(SOURCE, "double")
    assert "y = x + x" not in cut.stub and "self.secret" not in cut.stub
    assert 'raise ValueError("x")' in cut.stub and "self.kept = 1" in cut.stub
    assert cut.stub.count('raise NotImplementedError("not started yet")') == 3
    assert [line.strip() for line in cut.hidden] == [
        "y = x + x",
        "return y",
        "self.secret = 2",
        "return self.kept + self.secret",
    ]
    space = {}
    exec(cut.stub, space)
    with pytest.raises(NotImplementedError, match="not started yet"):
        space["double"](1)
    with pytest.raises(NotImplementedError):
        space["Pair"]()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def f():\n    return 1\n", "no solution"),
        ("def f():\n    ### BEGIN SOLUTION\n    return 1\n", "is missing"),
        ("def f():\n    ### END SOLUTION\n", "without a beginning"),
        ("def f():\n    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n", "inside a solution"),
    ],
)
def test_markers_must_pair(text, words):
    with pytest.raises(ValueError, match=words):
        stubs.cut(text, "f")


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A notebook source in a folder of its own, built into that folder."""

    def write(text):
        (tmp_path / "01_transformer_recap.py").write_text(text)
        return "01_transformer_recap"

    for folder in ("SOURCES", "STUDENT", "SOLVED"):
        monkeypatch.setattr(build, folder, tmp_path if folder != "STUDENT" else tmp_path / "student")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "all_exercises", lambda: {"causal_mask": find("causal_mask")})
    return write


TEXT = """# %% [markdown]
# # A title
# %%
import torch
# %% [markdown] predict="masks"
# What will happen?
# %% [markdown] exercise="causal_mask"
# Write it.
# %%
if ready("causal_mask"):
    print(causal_mask(3))
# %% [markdown] question="why" points=4
# ## Why?
# %% [markdown] answer="why"
# Because.
# %% [markdown] rubric="why"
# Four points for a reason.
"""


def test_build_makes_both_notebooks(source):
    student, solved = build.build(source(TEXT))
    nbformat.validate(student)
    nbformat.validate(solved)
    cells = {cell.id: cell for cell in student.cells}
    assert [cell.id for cell in student.cells][1:3] == ["badge", "set-up"]
    assert "not started yet" in cells["causal_mask"].source
    assert cells["causal_mask-check"].source == "check(causal_mask)"
    assert cells["causal_mask-check"].metadata.nbgrader.points == find("causal_mask").points
    assert "Exercise 1.1" in cells["causal_mask-task"].source
    assert "Because" not in nbformat.writes(student) and "Four points" not in nbformat.writes(student)
    assert "Because" in nbformat.writes(solved) and "Four points" in nbformat.writes(solved)
    assert cells["answer-why"].metadata.nbgrader.points == 4
    assert "Your prediction" in cells["prediction-masks"].source
    assert "BEGIN SOLUTION" in next(cell.source for cell in solved.cells if cell.id == "causal_mask")


def test_cell_ids_survive_an_edit(source):
    before = [cell.id for cell in build.build(source(TEXT))[0].cells]
    after = [cell.id for cell in build.build(source(TEXT.replace("Write it.", "Write it well.")))[0].cells]
    assert before == after


def test_outputs_are_kept_and_stale_ones_are_named(source):
    name = source(TEXT)
    build.write(name)
    path = build.SOLVED / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(c for c in notebook.cells if c.id == "a-title-code-1").outputs = [
        new_output("stream", name="stdout", text="kept")
    ]
    notebook.metadata["course"]["executed"] = {"code": build.code_hash(notebook), "budget": "cpu"}
    path.write_text(nbformat.writes(notebook) + "\n")
    assert build.stale(name) == []
    source(TEXT.replace("Write it.", "Write it well."))
    assert any("run make notebooks" in line for line in build.stale(name))
    build.write(name)
    assert build.stale(name) == []
    assert "kept" in path.read_text()
    source(TEXT.replace("print(causal_mask(3))", "print(causal_mask(4))"))
    build.write(name)
    assert any("run make solve" in line for line in build.stale(name))


FUNCTION = """
def double(x):
    '''Twice as much.'''
    # add it to itself
    return x + x  # twice
"""


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("Twice as much", "Two times x", True),
        ("    # add it to itself\n", "", True),
        ("# add it", "# to add it", True),
        ("\n    return", "\n\n    return", True),
        ("x + x", "x * 2", False),
        ("return x + x", "return '# add it to itself'", False),
        ("double(x)", "double(x=1)", False),
    ],
)
def test_outputs_hang_on_what_runs_and_not_on_docstrings_and_comments(before, after, same):
    assert before in FUNCTION
    assert (build.what_runs(FUNCTION) == build.what_runs(FUNCTION.replace(before, after))) is same


def test_what_is_no_plain_python_counts_as_it_stands():
    assert build.what_runs("%cd x\n# y") == "%cd x\n# y"
    assert build.what_runs("print('''\n# one\n''')") != build.what_runs("print('''\n# two\n''')")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('exercise="causal_mask"', 'exercise="nothing"'), "declared"),
        (('predict="masks"', 'guess="masks"'), "unknown cell marker guess"),
    ],
)
def test_wrong_markers_are_refused(source, change, words):
    with pytest.raises(ValueError, match=words):
        build.build(source(TEXT.replace(*change)))


def test_tidy_removes_noise():
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("x", metadata={"execution": {"iopub.execute_input": "2026-01-01"}})]
    )
    notebook.cells[0].outputs = [
        new_output("stream", name="stderr", text="bar"),
        new_output("stream", name="stdout", text=f"10%\r100%\ndone in {build.ROOT}/data\n"),
        new_output(
            "display_data",
            data={
                "application/vnd.jupyter.widget-view+json": {"model_id": "0"},
                "text/plain": "decoding: 0%|",
            },
        ),
    ]
    solve.tidy(notebook)
    assert [o.text for o in notebook.cells[0].outputs] == ["100%\ndone in ./data\n"]
    assert "execution" not in notebook.cells[0].metadata


def test_every_exercise_names_its_notebook_and_reference():
    for exercise in all_exercises().values():
        assert exercise.notebook in SYLLABUS, exercise.name
        assert exercise.reference.startswith("solutions.")
        assert fixtures.path_of(exercise).exists(), f"{exercise.name}: run make notebooks"


def test_a_wrong_prerequisite_does_not_cost_its_dependants(monkeypatch):
    """MultiHeadAttention calls split_heads; with a wrong split_heads it is checked with the library's."""
    from utils.grading import answers

    attempt = answers.reference(find("MultiHeadAttention"))
    space = attempt.forward.__globals__
    monkeypatch.setattr(engine, "PASSED", {})
    monkeypatch.setitem(space, "split_heads", lambda x, num_heads: x)
    result = engine.examine(find("MultiHeadAttention"), attempt)
    assert not result.passed
    again = engine._with_stand_ins(result, attempt)
    assert again.passed
    assert "split_heads" in again.substitutes
    assert space["split_heads"] is not engine.stand_in(find("split_heads"))


def test_ready_waits_for_a_pass(monkeypatch, capsys):
    monkeypatch.setattr(engine, "PASSED", {"causal_mask": object()})
    assert engine.ready("causal_mask")
    assert not engine.ready("causal_mask", "split_heads")
    assert "needs split_heads" in capsys.readouterr().out


def test_reuse_takes_the_students_own_answer_or_the_librarys(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exercise = find("causal_mask")
    monkeypatch.setattr("utils.checks.copies.ROOT", tmp_path)
    assert engine.reuse("causal_mask") is engine.stand_in(exercise)
    assert "library's version: no notebook 01 of yours was found in" in capsys.readouterr().out
    grade = {"nbgrader": {"solution": True, "grade_id": "causal_mask"}}
    for source, why in (
        (
            'def causal_mask(length):\n    raise NotImplementedError("not started yet")',
            "holds no answer that runs",
        ),
        ("def causal_mask(length):\n    return 1", "does not pass its check"),
    ):
        cell = nbformat.v4.new_code_cell(source, metadata=grade)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "01_transformer_recap.ipynb")
        assert engine.reuse("causal_mask") is engine.stand_in(exercise)
        assert why in capsys.readouterr().out
    own = "def causal_mask(length):\n    return torch.arange(length)[:, None] >= torch.arange(length)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(own, metadata=grade)])
    nbformat.write(notebook, tmp_path / f"{exercise.notebook}.ipynb")
    assert engine.reuse("causal_mask")(2).tolist() == [[True, False], [True, True]]
    assert "your own" in capsys.readouterr().out
    notebook.cells[0].source = own.replace(">=", ">")
    nbformat.write(notebook, tmp_path / f"{exercise.notebook}.ipynb")
    assert engine.reuse("causal_mask") is engine.stand_in(exercise)
