"""The grader reads an edition in another language as it reads the English one, and answers in that language."""

from __future__ import annotations

import ast
import json
import re

import nbformat
import pytest

from utils import words
from utils.authoring import build
from utils.authoring.attacks.scene import solved
from utils.authoring.languages import edition
from utils.checks.registry import exercises_of
from utils.grading import run, submissions, verdict, wire
from utils.grading.arrivals import Arrival
from utils.grading.normalise import normalise
from utils.grading.reading import BadNotebook
from utils.grading.reports import pages, tables

NAME, WRITTEN = "01_transformer_recap", "10_discussion"


@pytest.fixture
def korean(tmp_path, monkeypatch):
    """A catalogue of five sentences, and the released notebooks that are built from it."""
    folder = tmp_path / "locale" / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    said = {
        "{name}: no cell defines it.": "{name}을(를) 정의하는 셀이 없습니다.",
        "`{name}` has the wrong shape.": "`{name}`의 모양이 다릅니다.",
        "All hidden cases are right.": "숨은 사례가 모두 맞습니다.",
        "Feedback for {student}": "{student} 님의 피드백",
        "{passed} of {total} exercises passed.": "연습 문제 {total}개 가운데 {passed}개 통과.",
    }
    text = "".join(
        f"msgid {json.dumps(a)}\nmsgstr {json.dumps(b, ensure_ascii=False)}\n\n" for a, b in said.items()
    )
    (folder / "checks.po").write_text(text, encoding="utf-8")
    monkeypatch.setattr(words, "LOCALE", tmp_path / "locale")
    words.translations.cache_clear()
    yield
    words.translations.cache_clear()


def submission(path, language: str, change=lambda cells: cells):
    """A solved notebook in an edition's own cells, without the course's metadata, as some editors leave it."""
    content = nbformat.reads(json.dumps(solved()), as_version=4)
    if language != "en":
        release = nbformat.read(build.STUDENT / language / f"{NAME}.ipynb", as_version=4)
        english = {
            cell.id: cell for cell in nbformat.read(build.STUDENT / f"{NAME}.ipynb", as_version=4).cells
        }
        other = {cell.id: cell.source for cell in release.cells}
        for cell in content.cells:
            if cell.id in english and cell.source == english[cell.id].source:
                cell.source = other[cell.id]
    content.metadata.pop("course", None)
    content.cells = change(content.cells)
    path.write_text(nbformat.writes(content), encoding="utf-8")
    return path


def undocumented(source: str) -> str:
    """Code without docstrings; comments the reading has left out already."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def test_both_editions_become_the_same_pieces(tmp_path):
    english, other = (
        normalise(submission(tmp_path / f"{language}.ipynb", language), NAME) for language in ("en", "ko")
    )
    assert (english.language, other.language) == ("en", "ko")
    ours, theirs = ([(p.kind, p.name, undocumented(p.source)) for p in one.parts] for one in (english, other))
    assert theirs == ours
    assert other.answers == english.answers and other.skipped == english.skipped


def test_an_untouched_place_for_an_answer_is_empty_in_each_language(tmp_path, monkeypatch):
    path = tmp_path / f"{WRITTEN}.ipynb"
    notebook = edition.edition(WRITTEN, "ko")
    own = next(cell for cell in notebook.cells if cell.id.startswith("answer-"))
    own.source = "제 생각은 이렇습니다."
    path.write_text(nbformat.writes(notebook), encoding="utf-8")
    found = normalise(path, WRITTEN)
    assert sorted(found.written.values())[-1] == own.source
    assert sum(bool(text) for text in found.written.values()) == 1


def test_notes_and_verdicts_are_in_the_language_of_the_notebook(tmp_path, korean):
    path = submission(
        tmp_path / "ko.ipynb", "ko", lambda cells: [c for c in cells if not c.id.startswith("split_heads")]
    )
    assert "split_heads를 정의하는 셀이 없습니다." in normalise(path, NAME).notes
    name = "causal_mask"
    examiner = verdict.Examiner(NAME, seed=3)
    outcomes = [{"seen": ["output"]} for _ in examiner.fixtures[name].cases]
    import torch

    tensors = {f"{i}/output": torch.ones(1, dtype=torch.bool) for i in range(len(outcomes))}
    payload = wire.pack({"exercise": name, "outcomes": outcomes}, tensors)
    with words.speaking("ko"):
        assert examiner.judge(name, payload).sentence == "`output`의 모양이 다릅니다."
    assert examiner.judge(name, payload).sentence == "`output` has the wrong shape."


def test_what_is_said_of_a_file_is_in_the_language_of_the_notebook_too(tmp_path):
    """The course's own catalogue: where it was found, how it was read, what of it was not run."""
    path = submission(
        tmp_path / "ko.txt",
        "ko",
        lambda cells: [*cells[:6], code("print(1)"), code("no python at all"), *cells[6:]],
    )
    found = normalise(path, NAME)
    assert len(found.skipped) == 2
    how = submissions._made_of(Arrival(("Ann", "ko.txt"), path, "json"), [NAME])[1]
    one = submissions.Handed("Ann", "", NAME, path, "Ann/ko.txt", note="Ann/older.txt", how=how)
    notes = run._entry(one, {"notes": [], "language": "ko"}, "k")["notes"]
    empty = submission(
        tmp_path / "none.ipynb", "ko", lambda cells: [c for c in cells if c.cell_type == "markdown"]
    )
    with pytest.raises(BadNotebook) as error:
        normalise(empty, NAME)
    for text in (*found.skipped, *notes, str(error.value)):
        assert re.search("[\uac00-\ud7a3]", text), text
    assert "read as" in how, "an instructor's table is in English"


def code(source):
    return nbformat.v4.new_code_cell(source)


def test_feedback_is_in_the_language_of_the_notebook(tmp_path, korean):
    exercise = exercises_of(NAME)[0]
    passed = verdict.Verdict(exercise.name, 4.0, 4, 3, 3, "passed").record() | {"library": ""}
    entry = {
        "student": "ada", "user": "1", "notebook": NAME, "origin": "a.ipynb", "verdicts": [passed], "written": {},
        "notes": [], "skipped": [], "answers": {}, "problem": "", "isolation": "", "language": "ko",
    }  # fmt: skip
    english = entry | {"student": "bob", "language": "en"}
    folder = pages.feedback([entry, english], tmp_path / "feedback", "")
    texts = {
        e["student"]: (folder / f"{tables.file_name(e)}.html").read_text("utf-8") for e in (entry, english)
    }
    assert 'lang="ko"' in texts["ada"] and "ada 님의 피드백" in texts["ada"]
    assert "숨은 사례가 모두 맞습니다." in texts["ada"]
    assert 'lang="en"' in texts["bob"] and "All hidden cases are right." in texts["bob"]
    assert tables.short(entry).startswith("연습 문제 1개 가운데 1개 통과.")


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "파일이 비어 있습니다"),
        (b"{}", "파일이 노트북이 아닙니다(KeyError)"),
        (b'{"cells": 3}', "파일이 노트북이 아닙니다(셀이 목록이 아님)"),
    ],
)
def test_why_a_file_cannot_be_read_is_said_in_the_language_of_the_class(tmp_path, monkeypatch, content, said):
    """Such a file has no language of its own: the grader's is asked."""
    path = tmp_path / "class" / "ada" / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv(words.VARIABLE, "ko")
    result = run.grade_one(str(path), NAME, 3)
    assert (result["problem"], result["language"]) == (said, "ko")
    entry = result | {"student": "ada", "user": "1", "notebook": NAME, "origin": path.name}
    monkeypatch.delenv(words.VARIABLE)
    assert tables.short(entry) == f"파일을 채점할 수 없었습니다: {said}."
    assert {v["sentence"] for v in result["verdicts"]} == {"채점할 것이 없습니다."}
