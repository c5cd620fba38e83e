"""The class repository: no answer in it, solvable where nothing else of the course is, accepted by nbgrader's validator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from tests.away import SMOKE
from tests.conftest import CLASS
from utils.authoring import build, release, settings, stubs
from utils.checks import fixtures
from utils.checks.registry import exercises_of

NAME = "01_transformer_recap"
PLACES_PAGES = ("docs/places.md", "docs/places.ko.md")


def python(folder, code):
    """Runs code as a student would, in the folder and without the environment of this test run."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "COURSE_DATA")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env | SMOKE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_it_holds_what_a_student_needs_and_nothing_of_the_instructors(classroom):
    files = {path.relative_to(classroom).as_posix() for path in classroom.rglob("*") if path.is_file()}
    assert {
        ".gitignore",
        ".devcontainer/devcontainer.json",
        "README.md",
        "Makefile",
        "environment.yml",
        "requirements.lock",
    } <= files
    released = {path.stem for path in (build.ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert {f"notebooks/{name}.ipynb" for name in released} <= files
    for name in released:
        for exercise in exercises_of(name):
            assert fixtures.path_of(exercise).relative_to(build.ROOT).as_posix() in files
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


def test_other_languages_go_without_the_catalogues_that_hold_model_answers(classroom):
    files = {path.relative_to(classroom).as_posix() for path in classroom.rglob("*") if path.is_file()}
    assert f"notebooks/ko/{NAME}.ipynb" in files
    assert [name for name in files if name.startswith("locale/")] == ["locale/ko/LC_MESSAGES/checks.po"]
    only = release.listed(editions=["ko"])
    assert f"notebooks/ko/{NAME}.ipynb" in only and f"notebooks/{NAME}.ipynb" not in only
    assert not [name for name in release.listed(editions=["en"]) if "/ko/" in name]


def test_data_and_pictures_go_byte_by_byte(classroom):
    """Small integers in check data read as text, and writing text back turns a 13 (carriage return) into a 10."""
    found = [p for p in classroom.rglob("*") if p.suffix in (".safetensors", ".png")]
    assert len(found) > 70
    for path in found:
        assert path.read_bytes() == (build.ROOT / path.relative_to(classroom)).read_bytes(), path


def test_answers_cannot_be_imported_and_checks_can(classroom):
    code = (
        "import importlib.util as u\n"
        "assert u.find_spec('solutions') is None and u.find_spec('utils.grading') is None\n"
        "import utils.checks, utils.checks.registry as r, utils.training, utils.data, utils.plotting\n"
        "print(utils.__file__, len(r.all_exercises()))\n"
    )
    where, count = python(classroom, code).rsplit(maxsplit=1)
    assert where.startswith(str(classroom)) and int(count) > 20


@pytest.mark.slow
def test_every_module_and_every_notebooks_imports_work_in_it(classroom):
    """So that nothing which is needed was forgotten in the list."""
    notebooks = sorted((classroom / "notebooks").glob("*.ipynb"))
    code = (
        "import pkgutil, importlib, utils\n"
        "for module in pkgutil.walk_packages(utils.__path__, 'utils.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
    )
    lines = {
        line.strip()
        for path in notebooks
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
        if line.strip().startswith(("from utils", "import utils")) and not line.rstrip().endswith("(")
    }
    assert len(lines) > 20
    python(classroom, code + "\n".join(sorted(lines)))


# What is not listed stays out ------------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path):
    """A copy of all that a release could take, outside git."""
    folder = tmp_path / "course"
    skip = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in (".devcontainer", "notebooks", "utils", "data", "docs", "locale"):
        shutil.copytree(build.ROOT / name, folder / name, ignore=skip)
    for path in build.ROOT.glob("*"):
        if (
            path.is_file() and path.name != ".git"
        ):  # in a work tree of git it is a file, which leads to that work tree
            shutil.copy(path, folder)
    return folder


KEY = 'KEY = "answer"\n'
PLACES = (
    "",
    "utils",
    "utils/checks",
    "utils/experiments/grids",
    "data",
    "data/expected",
    fixtures.path_of(exercises_of(NAME)[0]).parent.relative_to(build.ROOT).as_posix(),
    "data/results",
)
PLACES += ("notebooks", "notebooks/ko", "docs", "locale/ko/LC_MESSAGES")


def test_new_files_and_folders_stay_out(course, tmp_path):
    before = release.release(tmp_path / "before", CLASS, course)
    for place in PLACES:
        (course / place / "exams").mkdir()
        for name in ("key.py", "key.json", "key.ipynb", "key.safetensors"):
            (course / place / "exams" / name).write_text(KEY)
        for name in ("key.json", "key.ipynb", "key.safetensors", "key.jsonl", "key.md"):
            (course / place / name).write_text(KEY)
    for place in ("", "utils", "data"):
        (course / place / "key.py").write_text(KEY)
    assert release.release(tmp_path / "after", CLASS, course) == before
    assert not [
        path for path in (tmp_path / "after").rglob("*") if "key" in path.name or "exams" in path.name
    ]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_module_that_git_does_not_know_stays_out_and_is_named(course, tmp_path):
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "all"]):
        subprocess.run([*git, f"--git-dir={course}/.git", *command], cwd=course, check=True)
    before = release.release(tmp_path / "before", CLASS, course)
    (course / "utils" / "checks" / "key.py").write_text(KEY)
    with pytest.warns(release.Unknown, match=r"utils/checks/key\.py"):
        assert release.release(tmp_path / "after", CLASS, course) == before


def test_whoever_adds_something_decides_whether_the_class_gets_it():
    """A recorded file, a checkpoint or a package is either listed, or is the instructor's or the authors'."""
    ours = {"data/results/grading.json"}
    listed = set(release.listed())
    tracked = release._known_to_git(build.ROOT)
    if tracked is None:
        pytest.skip("not a git checkout")
    data = {name for name in tracked if name.startswith(("data/results/", "data/checkpoints/"))}
    assert data - listed == ours
    modules = {name for name in tracked if re.match(r"utils/(?!grading/|authoring/).*\.py$", name)}
    assert modules <= listed, "name the folder in PACKAGES, or the module in MODULES, if notebooks need it"


# Its pages -------------------------------------------------------------------------------------------------------------


def test_its_pages_have_no_empty_section_and_lead_nowhere_that_is_not_there(classroom):
    page, korean = ((classroom / name).read_text(encoding="utf-8") for name in release.PAGES)
    assert all("make lab" in text and "01_transformer_recap" in text for text in (page, korean))
    for section in re.split(r"^(?=## )", page + korean, flags=re.M)[1:]:
        heading, _, body = section.partition("\n")
        assert len(body.split()) >= 10, f"{heading} is empty"
    for name in ("README.md", "README.ko.md", "data/README.md", "data/results/README.md", *PLACES_PAGES):
        text = (classroom / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s#]+)", text):
            if not re.match(r"\w+:", link):
                assert (classroom / name).parent.joinpath(link).exists(), f"{name} links to {link}"
    for command in re.findall(r"\bmake (\S+?)[`\s]", page + korean):
        done = subprocess.run(["make", "--dry-run", command], cwd=classroom, capture_output=True, text=True)
        assert done.returncode == 0, f"the class's Makefile cannot `make {command}`: {done.stderr}"
    page += korean
    assert "solutions/" not in page and "make grade" not in page and "make release" not in page


def test_it_installs_by_itself_in_codespaces(classroom):
    container = json.loads((classroom / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    command = container["postCreateCommand"].split()
    done = subprocess.run([*command, "--dry-run"], cwd=classroom, capture_output=True, text=True)
    assert done.returncode == 0 and "start.py" in done.stdout and "--only-install" in done.stdout, done.stderr
    assert all((classroom / name).exists() for name in container["customizations"]["codespaces"]["openFiles"])


@pytest.mark.slow
@pytest.mark.thorough
def test_what_the_page_of_places_says_works_there(classroom, tmp_path):
    """Its commands, in a copy that has no answers: options that `start.py` knows, and an estimate before anything is trained."""
    for name in PLACES_PAGES:
        text = (classroom / name).read_text(encoding="utf-8")
        for options in re.findall(r"start\.py (--[^`]+)`", text):
            assert all(
                option in python(classroom, "import start; print(start.main(['--help']))")
                for option in options.split()
            )
        (command,) = re.findall(r"`python -m (utils\.experiments run [^`]+)`", text)
        more = ["--limit", "0", "--precision", "float32", "--workers", "0", "--folder", str(tmp_path)]
        code = f"from utils.experiments.__main__ import main; raise SystemExit(main({[*command.split()[1:], *more]}))"
        assert python(classroom, code).startswith("On a free T4: crossing ")


def test_badges_and_set_up_cells_lead_to_the_class_and_nothing_to_the_answers(classroom):
    theirs, ours = CLASS.removesuffix(".git"), settings.repository().removesuffix(".git")
    for path in (classroom / "notebooks").glob("*.ipynb"):
        cells = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
        assert f"/github/a-class/vision/blob/main/notebooks/{path.name})" in cells["badge"]
        assert f'"{CLASS}"' in cells["set-up"]
    assert f"git clone {CLASS}" in (classroom / "README.md").read_text(encoding="utf-8")
    assert f'repository = "{CLASS}"' in (classroom / "pyproject.toml").read_text(encoding="utf-8")
    owner = ours.removeprefix("https://github.com/")
    for path in classroom.rglob("*"):
        if path.is_file() and path.suffix in (".md", ".py", ".toml", ".cff", ".yml", ".ipynb", ""):
            assert owner not in path.read_text(encoding="utf-8"), path
    assert theirs != ours


def test_a_class_elsewhere_has_no_badge(tmp_path):
    """Colab opens notebooks from GitHub only."""
    release.release(tmp_path / "out", "https://gitlab.example.org/group/vision")
    notebook = nbformat.read(tmp_path / "out" / "notebooks" / f"{NAME}.ipynb", as_version=4)
    cells = {cell.id: cell.source for cell in notebook.cells}
    assert "badge" not in cells and '"https://gitlab.example.org/group/vision.git"' in cells["set-up"]


@pytest.mark.parametrize(
    ("repository", "words"),
    [("", "is no address"), ("../class", "is no address"), (settings.repository(), "where the answers are")],
)
def test_an_address_that_would_not_do_is_refused(repository, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        release.release(tmp_path / "out", repository)
    assert not (tmp_path / "out").exists()


# No answer in it -------------------------------------------------------------------------------------------------------


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
        release.release(tmp_path / "out", CLASS)
    assert not (tmp_path / "out").exists()


def test_it_is_not_written_over_something(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError):
        release.release(tmp_path, CLASS)
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


@pytest.mark.slow
@pytest.mark.thorough
def test_nbgraders_validator_accepts_a_solved_notebook(executed):
    from nbgrader.validator import Validator

    assert Validator()._get_failed_cells(executed(NAME, True)) == []


@pytest.mark.slow
def test_nbgraders_validator_names_what_is_not_started(executed):
    """So that the test above can fail."""
    from nbgrader.validator import Validator

    failed = [
        cell.metadata.nbgrader.grade_id for cell in Validator()._get_failed_cells(executed(NAME, False))
    ]
    assert len(failed) == len(exercises_of(NAME))
