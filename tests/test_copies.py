"""A student's own answers are found wherever they work and whatever the file is called."""

from __future__ import annotations

import json

import nbformat
import pytest

from utils.checks import copies, engine
from utils.checks.earlier import answers
from utils.checks.registry import find

OWN = "def causal_mask(length):\n    return torch.arange(length)[:, None] >= torch.arange(length)  # mine"
MARK = {"nbgrader": {"solution": True, "grade_id": "causal_mask"}}


@pytest.fixture
def away(tmp_path, monkeypatch):
    """A student's machine: a working folder, a Drive, a folder of COURSE_WORK, the course's own; all empty."""
    for name in ("PYTEST_VERSION", "COURSE_PROGRESS", "COURSE_WORK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("here", "drive/Colab Notebooks", "drive/course", "work", "course/notebooks"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(copies, "DRIVE", tmp_path / "drive")
    monkeypatch.setattr(copies, "ON_DRIVE", tmp_path / "drive" / "course")
    monkeypatch.setattr(copies, "ROOT", tmp_path / "course")
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "work"))
    monkeypatch.chdir(tmp_path / "here")
    copies._read.cache_clear()
    return tmp_path


def notebook(*sources: str, mark: bool = True, course: str = "01_transformer_recap") -> str:
    cells = [
        nbformat.v4.new_code_cell(s, metadata=MARK if mark and "causal_mask" in s else {}) for s in sources
    ]
    metadata = {"course": {"notebook": course}} if course else {}
    return nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("here", "01_transformer_recap.ipynb"),
        ("here", "01_transformer_recap (1).ipynb"),
        ("drive/Colab Notebooks", "Copy of 01_transformer_recap.ipynb"),
        ("drive/course", "kim.ipynb"),
        ("work", "\u1112\u1161\u11ab\u1100\u1173\u11af.ipynb"),
        ("course/notebooks", "01_transformer_recap.ipynb"),
    ],
)
@pytest.mark.parametrize(("mark", "course"), [(True, "01_transformer_recap"), (True, ""), (False, "")])
def test_an_answer_is_found_by_what_the_file_holds(away, capsys, place, name, mark, course):
    (away / place / name).write_text(notebook(OWN, mark=mark, course=course), encoding="utf-8")
    assert engine.reuse("causal_mask")(2).tolist() == [[True, False], [True, True]]
    assert capsys.readouterr().out == f"causal_mask: your own, from {name}.\n"


def test_where_it_looked_is_said(away, capsys):
    assert engine.reuse("causal_mask") is engine.stand_in(find("causal_mask"))
    said = capsys.readouterr().out
    for folder in ("drive/Colab Notebooks", "drive/course", "work", "course/notebooks"):
        assert str(away / folder) in said
    assert "this folder" in said and "COURSE_WORK" in said


def test_a_wrong_copy_does_not_hide_a_right_one(away, capsys):
    stub = 'def causal_mask(length):\n    raise NotImplementedError("not started yet")'
    (away / "here" / "01_transformer_recap.ipynb").write_text(notebook(stub), encoding="utf-8")
    (away / "here" / "wrong.ipynb").write_text(notebook(OWN.replace(">=", ">")), encoding="utf-8")
    (away / "work" / "right.ipynb").write_text(notebook(OWN), encoding="utf-8")
    engine.reuse("causal_mask")
    assert "your own, from right.ipynb" in capsys.readouterr().out


def test_files_that_are_no_notebook_are_passed_over(away):
    for name, content in {
        "empty.ipynb": b"",
        "list.ipynb": b"[]",
        "cells.ipynb": b'{"cells": [{}]}',
        "binary.ipynb": b"\xff\xfe\x00",
        "other.ipynb": notebook("def somebody_elses(): pass", course="").encode(),
        "nine.ipynb": notebook(
            "def causal_mask(n): return n", mark=False, course="09_beyond_attention"
        ).encode(),
    }.items():
        (away / "here" / name).write_bytes(content)
    (away / "here" / "folder.ipynb").mkdir()
    assert list(copies.copies("01_transformer_recap", ["causal_mask"])) == []


def test_an_answer_in_a_cell_of_ones_own_and_helpers_are_found(away):
    """The stub was left as it is; the answer stands below, and calls a function and a constant from cells of their own."""
    stub = 'def causal_mask(length):\n    raise NotImplementedError("not started yet")'
    cells = [
        "%matplotlib inline\nimport math as m\nONE = 1\ntrained = [1 / 0]",
        "def earlier(n):\n    return torch.arange(n)",
        stub,
        "def causal_mask(length):\n    return earlier(length)[:, None] * ONE >= earlier(length) + m.floor(0.5)",
    ]
    (away / "here" / "mine.ipynb").write_text(notebook(*cells), encoding="utf-8")
    ((found, path),) = answers(find("causal_mask"), engine.reuse)
    assert path.name == "mine.ipynb" and found(2).tolist() == [[True, False], [True, True]]


def test_an_answer_may_rest_on_a_reused_one(away, capsys):
    """Notebook 09 takes over notebook 01's function; two notebooks that take over from each other come to an end."""
    (away / "here" / "a.ipynb").write_text(
        notebook(
            'from utils.checks import reuse\nhelper = reuse("causal_mask")',
            "def causal_mask(length):\n    return helper(length)",
        ),
        encoding="utf-8",
    )
    found = [attempt for attempt, _ in answers(find("causal_mask"), engine.reuse)]
    assert found[0](2).tolist() == [[True, False], [True, True]], "the inner one is the library's"


def test_in_a_graders_folder_the_name_decides(away, monkeypatch):
    """A class's files lie side by side there: another student's answer is not one's own."""
    (away / "here" / "kim.ipynb").write_text(notebook(OWN), encoding="utf-8")
    assert len(list(copies.copies("01_transformer_recap", ["causal_mask"]))) == 1
    monkeypatch.setenv("PYTEST_VERSION", "9")
    assert list(copies.copies("01_transformer_recap", ["causal_mask"])) == []


def test_a_file_that_changed_is_read_again(away):
    path = away / "here" / "a.ipynb"
    path.write_text(notebook("def causal_mask(n): return 1"), encoding="utf-8")
    first = next(copies.copies("01_transformer_recap", ["causal_mask"]))
    path.write_text(json.dumps(json.loads(notebook("def causal_mask(n): return 22"))), encoding="utf-8")
    second = next(copies.copies("01_transformer_recap", ["causal_mask"]))
    assert first.source(0) != second.source(0)
