"""The law: what is green from top to bottom in the notebook has full points in the grader."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from copy import deepcopy

import nbformat
import pytest
from nbclient import NotebookClient

from tests.ways import NAMED, WAYS, Way
from utils.authoring.attacks.scene import code_cell
from utils.grading.isolation import Limits, probe
from utils.grading.normalise import normalise
from utils.grading.reading import RELEASE
from utils.grading.reports import pages, tables
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade_some
from utils.paths import ROOT

NAME = "01_transformer_recap"
needs_sandbox = pytest.mark.skipif(not probe().safe, reason=probe().sentence())


def notebooks() -> list[list[Way]]:
    """The ways, packed: each exercise once per notebook."""
    by_exercise = defaultdict(list)
    for way in WAYS:
        by_exercise[way.exercise].append(way)
    most = max(len(ways) for ways in by_exercise.values())
    return [[ways[n] for ways in by_exercise.values() if n < len(ways)] for n in range(most)]


def written(ways: list[Way]) -> dict:
    """A notebook with the release's set-up and imports, and the answers and checks of these ways alone, in the release's order."""
    released = json.loads((RELEASE / f"{NAME}.ipynb").read_text(encoding="utf-8"))
    by_name = {way.exercise: way for way in ways}
    code = [cell for cell in released["cells"] if cell["cell_type"] == "code"]
    cells = deepcopy(code[:2])
    for cell in code:
        if way := by_name.get(cell["id"]):
            own = [code_cell(source, f"{way.exercise}-own-{n}") for n, source in enumerate(way.cells)]
            own[-1] |= {"id": cell["id"], "metadata": cell["metadata"]}
            named = f', "{way.exercise}"' if way.name in NAMED else ""
            checking = code_cell(f"check({way.exercise}{named})", f"{way.exercise}-check")
            cells += [*own, checking]
            cells += [code_cell(source, f"{way.exercise}-after-{n}") for n, source in enumerate(way.after)]
    return {"cells": cells, "metadata": released["metadata"], "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture(scope="module")
def examiner():
    return Examiner(NAME, seed=7)


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(memory=1536 * 2**20)) as sandbox:
        yield sandbox


def test_there_are_more_than_forty_ways():
    assert len(WAYS) >= 40 and len({way.name for way in WAYS}) == len(WAYS)


@pytest.mark.thorough
def test_every_way_is_green_in_the_notebook(monkeypatch):
    """By nbclient, all in one kernel that forgets its names between notebooks. It raises where a cell does."""
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    packed = [written(ways) for ways in notebooks()]
    cells = [cell for one in packed for cell in (code_cell("%reset -f", "forget"), *one["cells"])]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    content = {"cells": cells, "metadata": packed[0]["metadata"], "nbformat": 4, "nbformat_minor": 5}
    notebook = nbformat.reads(json.dumps(content), as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    checks = sum(cell.source.startswith("check(") for cell in notebook.cells)
    assert checks == len(WAYS) and {*NAMED} <= {way.name for way in WAYS}


@needs_sandbox
@pytest.mark.parametrize("ways", notebooks(), ids=lambda ways: ways[0].name.replace(" ", "-"))
def test_what_is_green_has_full_points_in_the_grader(ways, box, examiner, tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(written(ways)), encoding="utf-8")
    submission = normalise(path, NAME)
    graded = grade_some(box, examiner, submission, [way.exercise for way in ways])
    wrong = {way.name: graded[way.exercise] for way in ways if graded[way.exercise].state != "passed"}
    assert not wrong, {name: v.said or v.sentence for name, v in wrong.items()}


@needs_sandbox
def test_an_answer_that_only_its_check_calls_by_the_exercises_name_has_full_points(box, examiner, tmp_path):
    """`check(mine, "merge_heads")` is green where nothing, or only the stub, is called merge_heads."""
    way = next(way for way in WAYS if way.name == "an answer that is bound to an own function")
    notebook = written([way])
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    stub = 'def merge_heads(x):\n    raise NotImplementedError("not started yet")\n'
    for own in ("", stub):
        cells["merge_heads"]["source"] = own
        for call in (
            'check(my_merge, "merge_heads")',
            'y = "\u00e9"; check(\n    name="merge_heads",\n    attempt=my_merge,\n); z = 1',
        ):
            cells["merge_heads-check"]["source"] = call
            path = tmp_path / "x.ipynb"
            path.write_text(json.dumps(notebook), encoding="utf-8")
            verdict = grade_some(box, examiner, normalise(path, NAME), ["merge_heads"])["merge_heads"]
            assert verdict.state == "passed", verdict


def test_what_is_not_run_is_said_by_cell_and_line(tmp_path):
    way = next(way for way in WAYS if way.name == "a large table made once, by a call of an own function")
    notebook = written([way])
    trial = "import time\nfor step in range(3):\n    time.sleep(1000)\ny = 1\nloss = train_for_hours(\n    3,\n)\n"
    place = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == "causal_mask")
    notebook["cells"].insert(place, code_cell(trial, "trial"))
    notebook["cells"].append(code_cell("!pip install x\nprint(causal_mask(3))", "behind"))
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    submission = normalise(path, NAME)
    number = place + 1
    assert submission.skipped == [
        f"cell {number}, lines 2 to 3: for step in range(3):",
        f"cell {number}, lines 5 to 7: loss = train_for_hours(",
        f"cell {len(notebook['cells'])}, lines 1 to 2: !pip install x",
    ]
    ran = "\n".join(part.source for part in submission.parts)
    assert "LARGE = make(512)" in ran and "sleep" not in ran and "train_for_hours" not in ran


def test_what_lies_beside_the_notebook_is_said_to_be_missing(tmp_path):
    """An answer that is green with a module and a table beside it: the page says that these were not there, and a person is told."""
    (tmp_path / "helpers_of_mine.py").write_text("def ones(n):\n    return n\n")
    notebook = written([next(way for way in WAYS if way.exercise == "causal_mask")])
    place = next(n for n, cell in enumerate(notebook["cells"]) if cell["id"] == "causal_mask")
    notebook["cells"][place]["source"] = (
        "import helpers_of_mine as own\nimport seaborn_of_mine\nfrom other_of_mine import *\nimport json, math, torch.nn, data, solutions\n"
        "TABLE = torch.load('data/table.pt')\nopen('log.txt', 'w')\nopen('/proc/x.json')\n"
        "def causal_mask(length):\n    json.dumps(math.pi)\n    return own.ones(length) + TABLE + data.x + solutions.y\n"
    )
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    submission = normalise(path, NAME)
    assert submission.missing == ["helpers_of_mine", "other_of_mine", "data", "solutions", "data/table.pt"]
    (note,) = [note for note in submission.notes if "helpers_of_mine" in note]
    assert "not read" in note
    failed = {"exercise": "causal_mask", "state": "failed", "layers": []}
    entry = {
        "student": "Ann",
        "user": "",
        "notebook": NAME,
        "missing": submission.missing,
        "verdicts": [failed],
    }
    assert [said for _, said in pages._marked([entry]) if "helpers_of_mine" in said]
    assert not [*pages._marked([entry | {"verdicts": [failed | {"state": "passed"}]}])]


def test_a_released_notebook_misses_nothing(tmp_path):
    for path in sorted(RELEASE.glob("[0-9]*.ipynb")):
        assert normalise(path, path.stem).missing == []


def test_python_of_a_later_version_is_no_zero(tmp_path):
    """What the grader's Python cannot read may be right in the student's: no grade, and a person is told."""
    way = next(way for way in WAYS if way.exercise == "causal_mask")
    notebook = written([way])
    cell = next(cell for cell in notebook["cells"] if cell["id"] == "causal_mask")
    cell["source"] = "def causal_mask(length):\n    return length ?? 3 in a later Python\n"
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert not normalise(path, NAME).newer, "the version of the kernel is not told: it is a mistake"
    notebook["metadata"]["language_info"] = {"name": "python", "version": "3.99.1"}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    assert not normalise(path, NAME).newer, (
        "no such Python exists: who says so shall not have a blank for a zero"
    )
    later = f"3.{sys.version_info.minor + 1}"
    notebook["metadata"]["language_info"]["version"] = f"{later}.1"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    submission = normalise(path, NAME)
    assert submission.newer and any(f"written with Python {later}" in note for note in submission.notes)
    entry = {"student": "Ann", "notebook": NAME, "verdicts": [], "written": {}, "problem": "", "newer": True}
    assert tables.grade(entry) is None and [*pages._marked([entry])]
