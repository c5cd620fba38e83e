"""Fixtures for the whole suite, and the kinds of its tests (`make check` leaves out all but the quick ones).

Tests run in several processes (pytest-xdist). What takes long to make and is asked for by many tests is made once for all of them:
see `once`.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock
from hypothesis import settings

from tests.browser import launch

# Property-based tests: the same examples in every run of the suite; `--hypothesis-profile long` looks for new ones, for minutes.
settings.register_profile("suite", max_examples=150, deadline=None, derandomize=True, database=None)
settings.register_profile("long", max_examples=50_000, deadline=None, database=None)
settings.load_profile("suite")

CLASS = "https://github.com/a-class/vision.git"


#: files whose tests need the sandbox, or look at what it needs of the kernel
SANDBOX = (
    "agreement",
    "attacks",
    "cgroup",
    "class",
    "elsewhere",
    "isolation",
    "law",
    "resume",
    "scale",
    "walls",
)
#: what runs first, so that the processes end at about the same time
FIRST = ("grading", "test_notebooks", "test_checks")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives tests their kind, and says which of them share a process.

    A file's tests do, so that its fixtures are made once. All that grades does as well: some of those tests count processes and
    control groups of the whole machine.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if item.path.stem == "test_grading" or item.path.stem.removeprefix("test_grading_") in SANDBOX:
            item.add_marker(pytest.mark.sandbox)
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(key=lambda item: FIRST.index(group(item)) if group(item) in FIRST else len(FIRST))


def group(item: pytest.Item) -> str:
    """What tests have in common that run in one process."""
    name = item.path.stem
    grades = name.startswith("test_grading") or name == "test_readme" or item.get_closest_marker("sandbox")
    return "grading" if grades else name


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`once(name, make)` gives a folder that `make(folder)` has filled, once for all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    if base.name.startswith("popen-"):  # of one xdist worker; the run's own is above it
        base = base.parent

    def get(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = base / "once" / name, base / "once" / f"{name}.done"
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return get


@pytest.fixture(scope="session")
def classroom(once) -> Path:
    """The course as a class gets it (`make release`), in a folder with nothing of the course on any path. Tests leave it as it is."""
    from utils.authoring import release

    def make(folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", release.Unknown)  # a new module: git add it
            release.release(folder / "my course", CLASS)

    return once("classroom", make) / "my course"


@pytest.fixture(scope="session")
def executed(once, classroom) -> Callable[[str, bool], nbformat.NotebookNode]:
    """`executed(name, solved)`: a notebook of the class as it stands after all its cells ran at smoke size, without a network.

    Solved: all its own exercises answered, those of earlier notebooks open. Else as students get it.
    """
    from utils.authoring import solve, stubs
    from utils.checks.registry import exercises_of

    def get(name: str, solved: bool) -> nbformat.NotebookNode:
        def make(folder: Path) -> None:
            notebook = nbformat.read(classroom / "notebooks" / f"{name}.ipynb", as_version=4)
            for exercise in exercises_of(name) if solved else ():
                cell = next(cell for cell in notebook.cells if cell.id == exercise.name)
                cell.source = stubs.answer(exercise).whole
            with pytest.MonkeyPatch.context() as away:
                for variable in ("COURSE_DATA", "PYTHONPATH"):
                    away.delenv(variable, raising=False)
                away.setenv("HF_HUB_OFFLINE", "1")
                where = classroom / "notebooks"
                solve.execute(notebook, where, budget="smoke", timeout=1800, allow_errors=True)
            nbformat.write(notebook, folder / "notebook.ipynb")

        kind = "solved" if solved else "unsolved"
        return nbformat.read(once(f"{kind}-{name}", make) / "notebook.ipynb", as_version=4)

    return get


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, for one test module; skips with one sentence where there is none.

    Not for the session: Playwright keeps an event loop running in the main thread while it lives.
    """
    with launch() as started:
        yield started


@pytest.fixture
def one_thread():
    """One thread of torch, so that sums are added in one order and runs can be compared bit for bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
