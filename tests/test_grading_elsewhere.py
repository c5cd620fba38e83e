"""Our exercises in other people's graders: Gradescope's container, nbgrader's course folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deliveries import FILE, NAME, right, wrong
from utils.authoring import nbgrader
from utils.checks.registry import exercises_of
from utils.grading import gradescope
from utils.paths import ROOT

POINTS = {exercise.name: exercise.points for exercise in exercises_of(NAME)}


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """`/autograder` as Gradescope makes it from the zip file."""
    place = tmp_path_factory.mktemp("autograder")
    archive = gradescope.bundle("01", place / "bundle.zip")
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(place / "source")
        modes = {name: zipped.getinfo(name).external_attr >> 16 for name in ("setup.sh", "run_autograder")}
    assert modes == {"setup.sh": 0o755, "run_autograder": 0o755}
    return place


def upload(autograder, name, content):
    """What Gradescope does with one upload, in an environment that has nothing but a path."""
    for path in (autograder / "submission").glob("*"):
        path.unlink()
    (autograder / "submission").mkdir(exist_ok=True)
    (autograder / "submission" / name).write_bytes(content)
    bare = {
        "PATH": os.defpath,
        "AUTOGRADER": str(autograder),
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }
    command = ["bash", str(autograder / "source" / "run_autograder")]
    done = subprocess.run(command, cwd="/", env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((autograder / "results" / "results.json").read_text(encoding="utf-8"))


@pytest.mark.thorough
def test_gradescopes_bundle_grades_in_an_empty_folder(autograder):
    result = upload(autograder, "solution.ipynb", right())
    assert result["score"] == sum(POINTS.values()) == sum(test["max_score"] for test in result["tests"])
    assert "Isolation: " in result["output"] and {test["status"] for test in result["tests"]} == {"passed"}
    mistaken = upload(autograder, FILE, wrong())
    failed = [test["name"] for test in mistaken["tests"] if test["status"] == "failed"]
    assert failed == ["causal_mask"] and mistaken["score"] < result["score"]
    nothing = upload(autograder, "essay.pdf", b"%PDF-1.7")
    assert nothing["score"] == 0 and "a PDF" in nothing["output"]


def test_its_scripts_are_bash_and_install_what_was_tested(autograder):
    for name in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", str(autograder / "source" / name)], check=True)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    torch = next(line for line in lock.splitlines() if line.startswith("torch=="))
    assert f'"{torch}+cpu"' in (autograder / "source" / "setup.sh").read_text(encoding="utf-8")
    assert not [*autograder.rglob("source/course/solutions/*.ipynb")], "no solved notebook goes along"


def test_an_unknown_notebook_is_named(tmp_path):
    with pytest.raises(ValueError, match="no notebook"):
        gradescope.bundle("77", tmp_path / "x.zip")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    out = tmp_path_factory.mktemp("nbgrader") / "course"
    nbgrader.write(out, [NAME])
    _nbgrader(out, "generate_assignment", NAME)
    return out


def _nbgrader(out, *words):
    command = [sys.executable, "-m", "nbgrader", *words]
    path = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic by its name
    )
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(out / ".ipython")}
    done = subprocess.run(command, cwd=out, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_nbgraders_release_keeps_the_stubs(course):
    """What nbgrader hands out is what we hand out."""
    released = json.loads((course / "release" / NAME / FILE).read_text(encoding="utf-8"))
    ours = json.loads((ROOT / "notebooks" / FILE).read_text(encoding="utf-8"))
    texts = {cell["id"]: "".join(cell["source"]).rstrip() for cell in ours["cells"]}
    for cell in released["cells"]:
        if cell["id"] in POINTS:
            assert "".join(cell["source"]).rstrip() == texts[cell["id"]]
    assert "SOLUTION" not in json.dumps(released)


def test_nbgrader_grades_right_and_wrong_and_writes_feedback(course):
    keep = {*POINTS, *(f"{name}-check" for name in POINTS), "set-up", f"{NAME.replace('_', '-')}"}
    for student, content in (("ann", right()), ("ben", wrong())):
        notebook = json.loads(content)
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        live = {cell["id"] for cell in code[2:]} - keep
        notebook["cells"] = [
            cell for cell in notebook["cells"] if cell["id"] not in live
        ]  # training takes its time
        place = course / "submitted" / student / NAME
        place.mkdir(parents=True)
        (place / FILE).write_text(json.dumps(notebook), encoding="utf-8")
    _nbgrader(course, "autograde", NAME)
    _nbgrader(course, "generate_feedback", NAME)
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        scores = {name: book.find_submission(NAME, name).score for name in ("ann", "ben")}
    assert scores == {"ann": sum(POINTS.values()), "ben": sum(POINTS.values()) - POINTS["causal_mask"]}
    for student in scores:
        assert (course / "feedback" / student / NAME / f"{NAME}.html").exists()
