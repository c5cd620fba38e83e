"""What the notebooks say is what their outputs and the recorded rows say."""

from __future__ import annotations

import os
import re
from collections import Counter

import nbformat
import pytest

from utils.authoring import build, claims

NAMES = build.source_names()


@pytest.mark.parametrize("name", NAMES)
def test_claims_stand_in_the_text_and_agree_with_what_carries_them(name):
    assert claims.problems(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_has_claims(name):
    assert len(claims.claims_of(name)) >= 3


def test_the_page_is_made_from_the_claims():
    assert claims.PAGE.read_text(encoding="utf-8") == claims.page()


@pytest.mark.parametrize(
    ("typed", "measured", "agree"),
    [
        ("84.3", 84.3, True),
        ("84.3", 84.26, True),
        ("84.3", 84.4, False),
        ("84", 84.3, True),
        ("13,840", 13840, True),
        ("13,840", 13841, False),
        ("\N{MINUS SIGN}0.4", -0.41, True),
    ],
)
def test_a_typed_number_is_the_measured_one_rounded(typed, measured, agree):
    assert claims.agrees(typed, measured) is agree


def test_wrong_claims_are_named(tmp_path, monkeypatch):
    """A number that the output contradicts, a text that is not there, a cell that is not there, rows that are not there."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    run = new_code_cell("...", id="run", outputs=[new_output("stream", text="accuracy 84.3%\n")])
    cells = [new_markdown_cell("It reaches 85.0 %, or  so.", id="text"), run]
    nbformat.write(new_notebook(cells=cells), tmp_path / "99_toy.ipynb")
    monkeypatch.setattr(claims, "FOLDER", tmp_path)

    def said(**changes) -> list[str]:
        claim = {
            "cell": "text",
            "says": "reaches [[85.0]] %, or so",
            "by": "output",
            "source": "run",
            "reads": [r"accuracy ([\d.]+)%"],
        }
        monkeypatch.setattr(claims, "claims_of", lambda name: [claim | changes])
        return claims.problems("99_toy", tmp_path)

    assert said() == ["99_toy, text: the text says 85.0, and run says 84.3"]
    assert "does not say" in said(says="reaches [[84.3]] %")[0]
    assert "no cell" in said(source="ran")[0]
    assert "no recorded rows" in said(by="rows", source="none.jsonl")[0]
    assert "1 marked numbers, 0 ways" in said(reads=[])[0]
    assert "none of" in said(by="faith")[0]
    assert "nothing like" in said(reads=["loss ([0-9]+)"])[0]
    run.outputs = []
    nbformat.write(new_notebook(cells=cells), tmp_path / "99_toy.ipynb")
    assert said() == [], "a cell that has to run again is named by `stale`, not here"


def test_recorded_rows_are_read_by_column_and_condition():
    where = {"arm": "3 epochs", "model": "LSTM"}
    assert claims.recorded("sentiment.jsonl", "seed", where, take="count") == 3
    mean = claims.recorded("sentiment.jsonl", "test_accuracy", where, times=100)
    assert 80 < mean < 90
    with pytest.raises(ValueError, match="no row"):
        claims.recorded("sentiment.jsonl", "test_accuracy", {"model": "GRU"})


@pytest.mark.parametrize("name", [name for name in NAMES if name[:2] not in ("06", "08", "10")])
def test_the_printed_time_is_that_of_the_exercises_and_the_reading(name):
    """Exercises, 150 words of text a minute, 3 minutes a prediction, 30 a written question: within half an hour of the promise."""
    cells = nbformat.read(build.STUDENT / f"{name}.ipynb", as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    minutes = sum(map(int, re.findall(r" about (\d+) minutes ·", prose)))
    minutes += 3 * sum(cell.id.startswith("predict-") for cell in cells)
    minutes += 30 * sum(cell.id.startswith("question-") for cell in cells)
    words = len(prose.partition("## Further reading")[0].split())
    half_hours = {
        "two": 4,
        "two and a half": 5,
        "three": 6,
        "three and a half": 7,
        "four": 8,
        "four and a half": 9,
    }
    promised = re.search(r"\*\*Time\.\*\* About ([a-z ]+) hours of reading", prose)
    assert promised, "no time is printed"
    assert abs(30 * half_hours[promised[1]] - (minutes + words / 150)) <= 30, (minutes, words)


@pytest.mark.parametrize("name", NAMES)
def test_a_numbered_reference_stands_in_the_notebooks_list(name):
    """A stub or a text that says "reference 2" has a list at the end with an item 2."""
    cells = nbformat.read(build.STUDENT / f"{name}.ipynb", as_version=4).cells
    said = {number for cell in cells for number in re.findall(r"\breference\s+(\d+)", cell.source)}
    listed = {number for cell in cells for number in re.findall(r"^(\d+)\. ", cell.source, flags=re.M)}
    assert said <= listed


@pytest.mark.skipif(
    not os.environ.get("COURSE_DATA"), reason="no mirror of the real data: COURSE_DATA is not set"
)
def test_what_notebook_02_says_about_its_texts():
    from utils.data import load_text, tokenize

    sst2 = load_text("sst2")
    assert not set(sst2.train.texts) & set(sst2.validation.texts), "a validation sentence is a training text"
    counts = Counter(word for text in load_text("rotten_tomatoes").train.texts for word in tokenize(text))
    once = sum(count == 1 for count in counts.values()) / len(counts)
    assert f"{once:.0%}" == "47%"
