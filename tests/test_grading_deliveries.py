"""Everything that is handed in is seen: whose it is, which notebook it is, and a reason for whatever cannot be read."""

from __future__ import annotations

import re

import pytest

from tests.deliveries import FILE, NAME, lay, right, script, tarred, zipped
from utils.grading import submissions
from utils.grading.arrivals import walk
from utils.grading.reading import RELEASE, BadNotebook, named, read_cells

NOTEBOOKS = sorted(path.stem for path in RELEASE.glob("[0-9][0-9]_*.ipynb"))
PDF = b"%PDF-1.7 and more"


def read(tmp_path, files):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    delivery = submissions.read(lay(tmp_path / "in", files), scratch, NOTEBOOKS)
    return submissions.chosen(delivery.handed), delivery.rows


def who(handed):
    return {one.student: one.notebook or one.problem for one in handed}


KINDS = {
    "script.py": script(right()),
    f"{FILE}.txt": right(),
    "01.ipynb.json": right(),
    "X.IPYNB": right(),
    "hw.ZIP": zipped({FILE: right()}),
    "bulk.zip": zipped({"inner.zip": zipped({f"deep/{FILE}": right()})}),
    "work.tar.gz": tarred({f"work/{FILE}": right()}),
    "Untitled.ipynb": right(),
    "01-transformer-recap.ipynb": right(),
    "1_transformer_recap.ipynb": right(),
    "HW_05_recap.ipynb": right(),
    "bom.ipynb": b"\xef\xbb\xbf" + right(),
}
UNREAD = {
    "hw.pdf": (PDF, "a PDF"),
    "page.html": (b"<!DOCTYPE html>\n<html>", "a web page"),
    "work.rar": (b"Rar!\x1a\x07", "a RAR archive"),
    "notes.docx": (
        zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}),
        "an Office document",
    ),
    "tools.py": (b"import os\n\ndef gcd(a, b):\n    return a\n", "without an exercise"),
    "data.csv": (b"a,b\n1,2\n", "no notebook (.csv)"),
    "empty.zip": (zipped({}), "an empty archive"),
    "broken.zip": (b"PK\x03\x04 and no more", "cannot be read"),
    "other.ipynb": (b'{"cells": [{"cell_type": "code", "source": "x = 1"}]}', "belongs to a notebook"),
}


@pytest.mark.parametrize("place", ["folders", "Canvas", "Moodle"])
def test_every_kind_of_file_has_a_row_and_what_is_a_notebook_is_read(place, tmp_path):
    """In a folder of its student, in Canvas' bulk download and in Moodle's."""
    everything = KINDS | {name: content for name, (content, _) in UNREAD.items()}
    pattern = {
        "folders": "s{n}/{name}",
        "Canvas": "s{n}_{n}_9{n}_{name}",
        "Moodle": "s{n}_{n}_assignsubmission_file_/{name}",
    }[place]
    files = {pattern.format(n=n, name=name): content for n, (name, content) in enumerate(everything.items())}
    handed, rows = read(tmp_path, files if place == "folders" else {"bulk.zip": zipped(files)})
    found = who(handed)
    assert len(found) == len(everything), "nobody vanishes"
    for n, name in enumerate(everything):
        if name in KINDS:
            assert found[f"s{n}"] == NAME, name
        else:
            assert UNREAD[name][1] in found[f"s{n}"], (name, found[f"s{n}"])
    assert {row.student for row in rows} == set(found) and all(row.made for row in rows)
    assert any("a notebook, though its name ends in .txt" in row.made for row in rows)


def test_an_empty_folder_is_a_student_and_an_empty_delivery_is_an_error(tmp_path):
    handed, _ = read(tmp_path, {"Ann": None, f"Ben/{FILE}": right()})
    assert "an empty folder" in who(handed)["Ann"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match="nothing was handed in"):
        submissions.find(tmp_path / "nothing", tmp_path, NOTEBOOKS)


@pytest.mark.parametrize(
    ("files", "students"),
    [
        ((f"hw1/Ann - {FILE}", f"hw1/Ben - {FILE}"), {"Ann", "Ben"}),
        ((f"hw1/Ann/{FILE}", f"hw1/Ben/{FILE}", f"hw2/Ann/{FILE}", f"hw2/Ben/{FILE}"), {"Ann", "Ben"}),
        ((f"hw1/Ann_1_2_{FILE}", f"hw1/Ben_3_4_{FILE}"), {"Ann", "Ben"}),
        ((f"hw1/Ann_1_assignsubmission_file_/{FILE}",), {"Ann"}),
        ((f"Zoe/{FILE}", f"late/Ann - {FILE}", f"late/Ben - {FILE}"), {"Zoe", "late: Ann", "late: Ben"}),
        ((f"Ann - {FILE}", f"Ben_{FILE}"), {"Ann", "Ben"}),
        (
            (f"Zoe/{FILE}", f"Zoe/{NAME} (1).ipynb", f"Zoe/old/{FILE}", f"Yan/{NAME}_final.ipynb"),
            {"Zoe", "Yan"},
        ),
        ((f"Zoe/Zoe Lin {FILE}", f"Zoe/Zoe Lin {NAME} v2.ipynb"), {"Zoe"}),
    ],
)
def test_a_class_does_not_become_one_student(files, students, tmp_path):
    handed, _ = read(tmp_path, dict.fromkeys(files, right()))
    assert {one.student for one in handed} == students
    assert all(one.notebook == NAME for one in handed)


@pytest.mark.parametrize(
    "claim",
    [
        {
            f"Eve/Ann_12_assignsubmission_file_/{FILE}": right(),
            f"Eve/Bo_13_assignsubmission_file_/{FILE}": right(),
        },
        {f"Eve/Ann_1_2_{FILE}": right()},
        {
            "Eve/work.zip": zipped(
                {f"Ann_12_assignsubmission_file_/{FILE}": right(), f"Ann_1_2_{FILE}": right()}
            )
        },
        {
            "Eve.zip": zipped({f"Ann_12_assignsubmission_file_/{FILE}": right()}),
            "Bo.zip": zipped({FILE: right()}),
        },
    ],
)
def test_no_name_inside_of_what_a_student_sent_is_an_identity(claim, tmp_path):
    handed, _ = read(tmp_path, {f"Ann/{FILE}": right(), **claim})
    assert [(one.student, one.user) for one in handed if one.student == "Ann"] == [("Ann", "")]
    assert all(one.origin == f"Ann/{FILE}" for one in handed if one.student == "Ann")
    assert {one.student for one in handed} <= {"Ann", "Bo", "Eve"} and "Eve" in {
        one.student for one in handed
    }


@pytest.mark.parametrize(
    "names", [("hw1/Ann/a.zip", "hw1/Ben/a.zip", "hw1/Zoe/a.zip"), ("Ann/1.zip", "Ann/2.zip", "Ann/3.zip")]
)
def test_no_archives_member_takes_the_place_of_anothers(names, tmp_path):
    """Each file that is read later must still be the one that arrived, whoever's archives lie in one folder."""
    made = {name: right() + f"<{name}>".encode() for name in names}  # as long as it is different
    files = {name: zipped({FILE: content, f"more/{FILE}": content}) for name, content in made.items()}
    (tmp_path / "scratch").mkdir()
    found = [*walk(lay(tmp_path / "in", files), tmp_path / "scratch")]
    assert len(found) == 6 and len({one.path for one in found}) == 6
    for one in found:
        archive = one.origin.partition(".zip")[0] + ".zip"
        assert one.path.read_bytes() == made[archive], one.origin


def test_the_one_on_time_counts_and_the_other_is_named(tmp_path):
    files = {
        f"kim_1_2_{FILE}": right(),
        f"kim_LATE_1_3_{NAME}-1.ipynb": right(),
        f"lee_LATE_4_5_{FILE}": right(),
    }
    handed, rows = read(tmp_path, {"bulk.zip": zipped(files)})
    kim, lee = handed
    assert kim.origin.endswith(f"_1_2_{FILE}") and not kim.late and "LATE" in kim.note
    assert lee.late and len(rows) == 3


@pytest.mark.parametrize(
    ("name", "notebook"),
    [
        (FILE, NAME),
        ("1-Transformer Recap (2).ipynb", NAME),
        ("HW_05_recap.ipynb", ""),
        ("05_vit.ipynb", "05_vit"),
        ("Untitled.ipynb", ""),
        ("2024_01_transformer.ipynb", NAME),
    ],
)
def test_what_a_name_names(name, notebook):
    assert named(name, NOTEBOOKS) == notebook


@pytest.mark.parametrize("form", ["py:percent", "py:light", "nbconvert"])
def test_scripts_are_cells(form, tmp_path):
    import jupytext
    import nbformat

    notebook = nbformat.reads(right().decode(), as_version=4)
    text = jupytext.writes(notebook, "py:percent" if form == "nbconvert" else form)
    if form == "nbconvert":
        text = re.sub(r"^# %%.*$", "# In[ ]:", text, flags=re.M)
    path = tmp_path / "x.py"
    path.write_text(text, encoding="utf-8")
    cells = read_cells(path)
    assert any(cell["source"].startswith("def causal_mask") for cell in cells if cell["cell_type"] == "code")
    assert len(cells) > 20


def test_format_3_is_read(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text('{"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}]}')
    assert [cell["source"] for cell in read_cells(path)] == ["x = 1"]
    path.write_text('{"worksheets": []}')
    with pytest.raises(BadNotebook):
        read_cells(path)
