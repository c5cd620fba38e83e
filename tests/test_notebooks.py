"""The built notebooks: fresh, free of answers, runnable unsolved and without `solutions/`, every image described."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from utils.authoring import build, solve, stubs
from utils.checks.registry import exercises_of

NAMES = build.source_names()
MAX_LINES = {"cell": 30, "answer": 25}


def read(folder, name):
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NAMES)
def test_built_notebooks_are_up_to_date(name):
    assert build.stale(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_outputs_come_from_the_cpu_budget_or_better(name):
    assert read(build.SOLVED, name).metadata["course"]["executed"]["budget"] in ("cpu", "gpu")


@pytest.mark.parametrize("name", NAMES)
def test_no_stub_leaks_a_line_of_its_solution(name):
    notebook = read(build.STUDENT, name)
    assert all(not cell.get("outputs") for cell in notebook.cells), "student notebooks carry no outputs"
    for exercise in exercises_of(name):
        answer = stubs.answer(exercise)
        given = {line.strip() for line in answer.stub.splitlines()}
        secret = [
            line.strip() for line in answer.hidden if len(line.strip()) >= 12 and line.strip() not in given
        ]
        own = next(cell.source for cell in notebook.cells if cell.id == exercise.name)
        task = next(cell.source for cell in notebook.cells if cell.id == f"{exercise.name}-task")
        starts = r"(?<![\w.])"  # `channels = ...` is not shown by `self.in_channels = ...`
        leaked = [line for line in secret if re.search(starts + re.escape(line), own + "\n" + task)]
        assert leaked == [], f"{exercise.name}: the stub or its task shows {leaked}"
        everywhere = "\n".join(cell.source for cell in notebook.cells)
        pairs = ["\n".join(pair) for pair in zip(secret, secret[1:], strict=False)]
        flat = "\n".join(line.strip() for line in everywhere.splitlines())
        assert [pair for pair in pairs if pair in flat] == [], (
            f"{exercise.name}: another cell holds lines of the answer"
        )


@pytest.mark.parametrize("name", NAMES)
def test_answers_and_cells_are_short(name):
    for exercise in exercises_of(name):
        lines = [
            line
            for line in stubs.answer(exercise).hidden
            if line.strip() and not line.strip().startswith("#")
        ]
        assert len(lines) <= MAX_LINES["answer"], f"{exercise.name}: {len(lines)} lines to write"
    answers = {exercise.name for exercise in exercises_of(name)}
    long = [
        (cell.id, cell.source.count("\n") + 1)
        for cell in read(build.STUDENT, name).cells
        if cell.cell_type == "code"
        and cell.id not in answers
        and cell.source.count("\n") + 1 > MAX_LINES["cell"]
    ]
    assert long == []


@pytest.mark.parametrize("name", NAMES)
def test_every_image_has_alt_text(name):
    for cell in read(build.SOLVED, name).cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"!\[\s*\]\(", cell.source), f"{cell.id}: an image without alt text"
            continue
        for output in cell.outputs:
            data = output.get("data", {})
            if any(kind.startswith("image/") for kind in data):
                alt = re.search(r'alt="([^"]{15,})"', data.get("text/html", ""))
                assert alt, (
                    f"{cell.id}: a picture without alt text; show it through plotting.show(fig, alt=...)"
                )
            for tag in re.findall(r"<img [^>]*>", data.get("text/html", "")):
                assert 'alt="' in tag, f"{cell.id}: an image without alt text"


PLACEHOLDER = re.compile(r"^#* ?TEXT-[A-Z]|^#* ?(TODO|FIXME|XXX)\b|@[A-Z]{2,}@|\b[A-Z_]+_HERE\b", re.M)


@pytest.mark.parametrize("name", NAMES)
def test_no_placeholder_is_left(name):
    left = [m[0] for cell in read(build.SOLVED, name).cells for m in PLACEHOLDER.finditer(cell.source)]
    assert left == []


def test_no_placeholder_is_left_in_the_pages():
    for page in ("README.md", "CONTRIBUTING.md", "data/README.md"):
        assert PLACEHOLDER.findall((build.ROOT / page).read_text(encoding="utf-8")) == [], page


def test_placeholders_would_be_seen():
    for text in ("TEXT-MAP", "a\n# TODO: write", "reaches @BOW@%", "PAIRS_HERE"):
        assert PLACEHOLDER.search(text), text


@pytest.mark.parametrize("name", NAMES)
def test_solved_notebooks_store_no_error(name):
    for cell in read(build.SOLVED, name).cells:
        assert all(output.output_type != "error" for output in cell.get("outputs", [])), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_unsolved_notebook_fails_only_at_its_exercises(name, class_copy):
    """In class mode (no solutions/), with this and every earlier notebook unsolved."""
    notebook = read(build.STUDENT, name)
    solve.execute(notebook, class_copy / "notebooks", budget="smoke", timeout=300, allow_errors=True)
    checks = {f"{exercise.name}-check" for exercise in exercises_of(name)}
    errors = {
        cell.id: output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    }
    assert set(errors) == checks
    for cell, output in errors.items():
        assert output.ename == "NotStarted", f"{cell}: {output.evalue}"
        assert "not started yet" in output.evalue


@pytest.mark.parametrize("name", NAMES)
def test_solved_in_class_mode_passes_nbval(name, class_copy):
    """A student's finished notebook, graded as an instructor does: no solutions/, no data mirror, no network, earlier notebooks unsolved."""
    student = read(build.STUDENT, name)
    for exercise in exercises_of(name):
        cell = next(cell for cell in student.cells if cell.id == exercise.name)
        cell.source = stubs.answer(exercise).whole
    path = class_copy / "notebooks" / f"solved_{name}.ipynb"
    nbformat.write(student, path)
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", str(path)]
    offline = {"COURSE_BUDGET": "smoke", "HF_HUB_OFFLINE": "1"}
    env = {key: value for key, value in os.environ.items() if key != "COURSE_DATA"} | offline
    done = subprocess.run(command, cwd=class_copy, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.fixture(scope="session")
def class_copy(tmp_path_factory):
    """The course as a class gets it: without solutions/ and without git."""
    folder = tmp_path_factory.mktemp("class") / "course"
    skip = shutil.ignore_patterns(
        "solutions", ".git", ".venv", "tests", "scratch", "__pycache__", ".*_cache", ".cache"
    )
    shutil.copytree(build.ROOT, folder, ignore=skip)
    return folder
