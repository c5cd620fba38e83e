"""The class repository: no answer in it, solvable where nothing else of the course is, accepted by nbgrader's validator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from utils.authoring import build, release, solve, stubs
from utils.checks.registry import exercises_of

NAME = "01_transformer_recap"
AWAY = {"COURSE_BUDGET": "smoke", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    """The release as a student has it: copied elsewhere, with nothing of the course on any path."""
    made = tmp_path_factory.mktemp("made") / "course"
    release.release(made)
    elsewhere = tmp_path_factory.mktemp("student") / "my course"
    shutil.move(made, elsewhere)
    return elsewhere


def python(folder, code):
    """Runs code as a student would, in the folder and without the environment of this test run."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COURSE_DATA")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env | AWAY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_holds_what_a_student_needs_and_nothing_of_the_instructors(classroom):
    files = {path.relative_to(classroom).as_posix() for path in classroom.rglob("*") if path.is_file()}
    assert {".gitignore", "README.md", "Makefile", "environment.yml", "requirements.lock"} <= files
    released = {path.stem for path in (build.ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert {f"notebooks/{name}.ipynb" for name in released} <= files
    for name in released:
        for exercise in exercises_of(name):
            assert f"data/expected/{name}/{exercise.name}.safetensors" in files
    folders = {path.split("/")[0] for path in files} | {"/".join(path.split("/")[:2]) for path in files}
    assert not folders & {
        "solutions",
        "tests",
        ".git",
        "utils/grading",
        "utils/authoring",
        "utils/authoring/bench",
    }
    assert not [path for path in files if path.endswith((".pyc", ".resume")) or "seed" in path]


def test_answers_cannot_be_imported_and_checks_can(classroom):
    code = (
        "import importlib.util as u\n"
        "assert u.find_spec('solutions') is None and u.find_spec('utils.grading') is None\n"
        "import utils.checks, utils.checks.registry as r, utils.training, utils.data, utils.plotting\n"
        "print(utils.__file__, len(r.all_exercises()))\n"
    )
    where, count = python(classroom, code).rsplit(maxsplit=1)
    assert where.startswith(str(classroom)) and int(count) > 20


def test_no_page_sends_a_student_to_what_is_not_there(classroom):
    page = (classroom / "README.md").read_text(encoding="utf-8")
    assert "make lab" in page and "01_transformer_recap" in page
    assert "solutions/" not in page and "## Instructors" not in page and "make test" not in page


@pytest.mark.parametrize("kind", ["module", "notebook", "indented", "bytes"])
def test_an_answer_in_any_file_is_found(kind, tmp_path):
    answer = stubs.answer(next(e for e in exercises_of(NAME) if e.name == "scaled_dot_product_attention"))
    body = "\n".join(answer.hidden)
    if kind == "module":
        path, text = "x.py", f"def other(query, key, value, mask):\n{body}\n"
    elif kind == "notebook":
        cell = nbformat.v4.new_code_cell(answer.whole)
        path, text = "x.ipynb", json.dumps(nbformat.v4.new_notebook(cells=[cell]))
    elif kind == "indented":
        path, text = "x.txt", "\n\n# why\n".join("        " + line for line in answer.hidden)
    else:
        path, text = "x.safetensors", f"\x00\x9f{body}\n\x00"
    (tmp_path / path).write_bytes(text.encode("latin-1" if kind == "bytes" else "utf-8"))
    found = release.shown(tmp_path / path, tmp_path)
    assert any("scaled_dot_product_attention" in line for line in found), found


def test_a_leak_stops_the_release(tmp_path, monkeypatch):
    monkeypatch.setattr(release, "FILES", (*release.FILES, "solutions/attention.py"))
    with pytest.raises(release.Leak, match="solutions/attention.py"):
        release.release(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_is_not_written_over_something(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError):
        release.release(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_every_notebook_has_metadata_that_nbgrader_accepts(classroom):
    """The checks with which nbgrader's validator begins: schema, unique grade ids, points where there is a grade."""
    from nbgrader import nbgraderformat
    from nbgrader.preprocessors import CheckCellMetadata

    paths = sorted((classroom / "notebooks").glob("*.ipynb"))
    assert paths
    for path in paths:
        notebook = nbgraderformat.read(str(path), as_version=4)
        CheckCellMetadata().preprocess(notebook, {})
        graded = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
        assert len(graded) >= len(exercises_of(path.stem))


def test_a_notebook_can_be_solved_in_it_and_nbgraders_validator_accepts_the_result(classroom, monkeypatch):
    from nbgrader.validator import Validator

    notebook = nbformat.read(classroom / "notebooks" / f"{NAME}.ipynb", as_version=4)
    for exercise in exercises_of(NAME):
        next(cell for cell in notebook.cells if cell.id == exercise.name).source = stubs.answer(
            exercise
        ).whole
    path = classroom / "notebooks" / "mine.ipynb"
    nbformat.write(notebook, path)
    for name in ("PYTHONPATH", "COURSE_DATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in AWAY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(path.parent)
    validator = Validator()
    executed = validator._preprocess(notebook)
    errors = [
        (cell.id, output.evalue)
        for cell in executed.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert errors == []
    assert validator._get_failed_cells(executed) == []
    said = "".join(
        output.get("data", {}).get("text/plain", "")
        for cell in executed.cells
        if cell.id.endswith("-check")
        for output in cell.outputs
    )
    assert said.count("cases are right") == len(exercises_of(NAME))


def test_an_unsolved_notebook_runs_to_its_end_and_waits_at_its_exercises(classroom):
    notebook = nbformat.read(classroom / "notebooks" / f"{NAME}.ipynb", as_version=4)
    solve.execute(notebook, classroom / "notebooks", budget="smoke", timeout=300, allow_errors=True)
    errors = {
        cell.id: output.ename
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }
    assert errors == {f"{exercise.name}-check": "NotStarted" for exercise in exercises_of(NAME)}
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source)
