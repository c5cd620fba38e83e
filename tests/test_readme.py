"""Every command of the READMEs is run, or is accounted for in words; every path and link in them leads somewhere.

`ACCOUNTS` has an entry for each command. Commands run from the repository's root as they stand, with this Python in place of
`.venv/bin/python` (the READMEs' `python`), with a folder of the test's in place of theirs, and offline.
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import pytest

from tests.lab import class_copy
from utils.authoring import stubs
from utils.checks import fixtures
from utils.checks.registry import all_exercises, exercises_of
from utils.data.catalog import IMAGES, TEXTS
from utils.grading.isolation import probe

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "README.ko.md",
    "CONTRIBUTING.md",
    "data/README.md",
    "data/results/README.md",
    "docs/measured.md",
    "docs/instructors.md",
    "docs/places.md",
    "docs/places.ko.md",
    "utils/grading/README.md",
)
NOTEBOOK = "01_transformer_recap"
WRITTEN = "10_discussion"  # has written questions
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
PROGRAMS = re.compile(
    r"(python3?|pytest|pip|make|git|docker|conda|jupyter|apt-get|uv|\.venv/bin/[\w-]+)\s+[^\s=]"
)
SUFFIXES = "md|py|ipynb|yml|lock|toml|json|jsonl|csv|html|xml|png|npz|parquet|safetensors|txt"
#: a path: something with a slash, or a file's name
PATH = re.compile(rf"[\w.<>*~$-]*/[\w.<>*/-]*|[\w<>*-][\w.<>*-]*\.({SUFFIXES})")


# What becomes of a command ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """The command runs and ends well.

    Args:
        says: pattern that what it prints must match.
        instead: what runs where it can't be as it stands: placeholders filled in, or a smaller size. `{desk}` is a folder of the
            test's; it holds `one/ada/01_transformer_recap.ipynb`, whose first exercise is solved, and `submissions/ada` with that
            and a notebook of written questions. `{graded}` is what `make grade` made of it.
        inside: folder to run in, relative to `{desk}`; by default the repository's root.
    """

    says: str
    instead: str = ""
    inside: str = ""


@dataclass(frozen=True)
class Slow:
    """The command would only take too long: its target, its module and its options are looked at, and a test runs what it runs.

    Args:
        why: the reason in words.
        test: "tests/file.py::function" that covers it.
        instead: the command with its placeholders filled in.
    """

    why: str
    test: str
    instead: str = ""


@dataclass(frozen=True)
class Left:
    """The command can't be run by a test at all.

    Args:
        why: the reason in words.
        test: "tests/file.py::function" that covers what it does, where there is one.
    """

    why: str
    test: str = ""


# `make test ARGS=...` sets these for what runs inside: a make in there would talk of folders, and hand ARGS on.
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "ARGS")
TRAINS = "trains for minutes to hours, and appends to what is recorded"
GRIDS = "tests/test_experiments_grids.py::test_every_experiment_runs_and_gives_figures"
BUILT = "tests/test_notebooks.py::test_built_notebooks_are_up_to_date"
RATES = "tests/test_checks.py::test_kill_diagnosis_and_false_reject_rates"
GRADE = "make grade SUBMISSIONS={desk}/submissions OUT={desk}/graded"

#: pattern of a command (it must match the whole of it) -> what becomes of it
ACCOUNTS: dict[str, Run | Slow | Left] = {
    # students
    r"git clone <this repository> course && cd course": Run(
        r"python3 start\.py",
        f"git clone --quiet --depth 1 {ROOT.as_uri()} course && cd course && make --dry-run lab",
    ),
    r"make lab( TORCH=cpu)?|py start\.py": Left(
        "opens a server that does not end",
        "tests/test_jupyterlab.py::test_a_student_fails_reads_solves_and_passes",
    ),
    r"python3 start\.py --only-install": Left(
        "installs a whole environment",
        "tests/test_start.py::test_an_environment_is_made_once_and_a_half_made_one_is_replaced",
    ),
    r"\.venv/bin/python -m ipykernel install --user --name transformers-for-vision": Run(
        r"(?s)Installed kernelspec transformers-for-vision .*transformers-for-vision +/\S+/share/jupyter",
        "python -m ipykernel install --prefix {desk}/hub --name transformers-for-vision"
        " && env JUPYTER_PATH={desk}/hub/share/jupyter " + sys.executable + " -m jupyter kernelspec list",
    ),
    r"git clone|pytest --nbval-lax": Left("the words name the program; the command itself stands elsewhere"),
    # instructors
    r"make release OUT=\S+ REPOSITORY=\S+": Run(
        r"searched for \d+ answers, found none",
        "make release OUT={desk}/class REPOSITORY=https://github.com/a-class/vision.git",
    ),
    r"make release": Left("the words name the target; the command itself stands elsewhere"),
    r"make grade SUBMISSIONS=\S+ OUT=\S+|make grade": Run(r"wrote \S+/grades\.csv", GRADE),
    r"\S*python -m utils\.grading grade dir dir": Run(
        r"wrote \S+/grades\.csv", "python -m utils.grading grade {desk}/submissions {graded}"
    ),
    r"\S*python -m utils\.grading marks \S+": Run(
        r"wrote \S+/summary\.html", "python -m utils.grading marks {graded}"
    ),
    r"python -m utils\.grading grade THE_ONE_SUBMISSION /tmp/appeal --seed N": Run(
        r"wrote \S+/grades\.csv",
        f"python -m utils.grading grade {{desk}}/submissions/ada/{NOTEBOOK}.ipynb {{desk}}/appeal --seed 5",
    ),
    r"(\S*python -m )?pytest --nbval-lax SUBMISSION\.ipynb": Run(
        r"\d+ passed", f"python -m pytest --nbval-lax {NOTEBOOK}.ipynb", inside="room"
    ),
    r"\S*python -m pytest -p utils\.grading\.plugin --nbval-lax --warm --grades OUT SUBMISSIONS": Run(
        rf"{NOTEBOOK}: [1-9]\d* of \d+ points",
        "python -m pytest -p utils.grading.plugin --nbval-lax --warm --grades {desk}/plain {desk}/one",
    ),
    r"make gradescope NOTEBOOK=\S+|make gradescope": Run(
        r"wrote \S+\.zip", "make gradescope NOTEBOOK=01_transformer_recap OUT={desk}/g.zip"
    ),
    r"make nbgrader OUT=\S+|make nbgrader": Run(r"wrote 10 assignments", "make nbgrader OUT={desk}/nbgrader"),
    r"python -m utils\.grading level": Run(r"^Isolation: "),
    r"python -m utils\.authoring attacks( \[WORD \.\.\.\])?": Slow(
        "grades every hostile submission",
        "tests/test_grading_attacks.py::test_attack",
        "python -m utils.authoring attacks pickle",
    ),
    r"python -m utils\.authoring attacks --workers 1 2 --rounds 2 --page \S+": Slow(
        "grades every hostile submission",
        "tests/test_grading_attacks.py::test_the_written_table_has_all_of_them_and_each_stands",
        "python -m utils.authoring attacks --workers 1 2 --rounds 2 --page {desk}/attacks.md",
    ),
    r"make bench-grading|python -m utils\.authoring\.bench_grading( --against COMMIT)?": Slow(
        "minutes, and it needs a quiet machine",
        "tests/test_grading_scale.py::test_workers_here_give_the_same_grades_and_a_bar_with_the_time_left",
    ),
    r"python -m utils\.authoring agreement": Slow(
        "grades every answer of the banks twice",
        "tests/test_grading_agreement.py::test_every_nth_honest_answer",
    ),
    r"python -m utils\.authoring blind FOLDER --page page\.md": Slow(
        "measures a folder of answers, which is made for the day",
        "tests/test_blind.py::test_each_cell_is_run_and_counted",
    ),
    r"python -m pytest -n0 tests/test_grading_wire\.py --hypothesis-profile long": Slow(
        "hours of made-up frames",
        "tests/test_grading_wire.py::test_no_exception_leaves_the_judge_for_mutated_answers",
    ),
    r"docker build -t grader - .*": Left("needs Docker and a network; the page says that it was not run"),
    r"docker run .*": Left("needs the image above; what runs in it is `make grade`"),
    # authors
    r"make report": Slow("measures every check on every answer of the banks", RATES),
    r"python -m utils\.authoring report": Run(
        r"causal_mask +\d+ +100% +100%", "python -m utils.authoring report --exercise causal_mask"
    ),
    r"python -m utils\.authoring claims": Slow(
        "writes to the folder of pages", "tests/test_claims.py::test_the_page_is_made_from_the_claims"
    ),
    r"make book": Slow("builds the site", "tests/test_site.py::test_every_internal_link_leads_somewhere"),
    r"make notebooks": Slow("writes to the notebooks' folders", BUILT),
    r"make messages( LANGUAGE=ja)?": Slow(
        "writes to the catalogues",
        "tests/test_languages.py::test_merging_keeps_translations_and_marks_what_changed",
    ),
    r"make translations": Slow(
        "prints whatever is not translated",
        "tests/test_languages.py::test_catalogues_hold_the_units_of_today",
    ),
    r"\S*python -m utils\.authoring\.languages count": Run(r"all +\d+ +\d+ +\d+"),
    r"make solve": Slow(
        "executes all notebooks", "tests/test_notebooks.py::test_solved_notebook_runs_in_the_classs_copy"
    ),
    r"make bench( ARGS=.*)?": Slow(
        "minutes, and it needs a quiet machine",
        "tests/test_bench.py::test_vision_suites_build_and_every_way_runs",
    ),
    r"python -m utils\.authoring\.bench parity": Run(r"met by all \d+"),
    r"make (test|test-all|check)( ARGS=.*)?": Slow(
        "runs this test: it would never end", "tests/test_readme.py::test_every_command_is_accounted_for"
    ),
    r"make PYTHON=python3\.13 \.venv/\.test-installed": Left(
        "fetches a torch of 5.2 GB; the table says what ran in it"
    ),
    r"make test-(lowest|newest)": Slow(
        "installs a whole environment",
        "tests/test_setup.py::test_the_lowest_and_the_newest_versions_are_all_asked_for",
    ),
    r"pytest tests/test_data_reviews\.py": Left(
        "a part of this test suite",
        "tests/test_data_reviews.py::test_a_bag_of_words_stays_clearly_below_a_sequence_model",
    ),
    r"python -m utils\.authoring\.first_minutes": Slow(
        "installs a whole environment",
        "tests/test_first_minutes.py::test_the_first_check_is_run_in_the_new_environment",
    ),
    r"python -m utils\.data mirror sst2 cifar10 --out DIR": Left(
        "fetches data sets from the Hub", "tests/test_data_mirror.py::test_one_command_makes_a_mirror"
    ),
    r"pip install (pre-commit|nbdime) && .*": Left("fetches a package, and changes how git works here"),
    r"apt-get install chromium": Left("changes the machine, and needs its administrator"),
    # experiments
    r"\S*python -m utils\.experiments list --predictions": Run(
        r"(?s)data-scaling.*predicted before the first run.*token-mixers"
    ),
    r"python -m utils\.experiments status": Run(r"data-scaling +smoke \d+/\d+, cpu \d+/\d+"),
    r"python -m utils\.experiments plot data-scaling --preset cpu --out figures": Run(
        r"figures/data-scaling-gap\.png",
        "python -m utils.experiments plot data-scaling --preset cpu --out {desk}/figures",
    ),
    r"python -m utils\.experiments models": Run(r"cpu +CNN .* parameters"),
    r"python -m utils\.experiments throughput": Slow(
        "needs a GPU", "tests/test_experiments_grids.py::test_throughput_is_measured"
    ),
    r"python -m utils\.experiments run NAME --preset (smoke|cpu)": Slow(
        TRAINS, GRIDS, "python -m utils.experiments run distance --preset smoke"
    ),
    r"\S*python -m utils\.experiments run [a-z-]+( data-scaling)? --preset (cpu|t4|gpu|long)( --workers \d| --minutes \d+| --only (\w+=[\d.a-z]+|'\w+=[\w, ]+')| --precision \w+)*": Slow(
        TRAINS, GRIDS
    ),
    r"python -m utils\.experiments judge data-scaling --preset cpu": Run(r"\[(held|open|partly|failed)\]"),
    r"python -m utils\.experiments audit": Run(r"data-scaling.jsonl: \d+ rows, cpu 72/72: clean"),
    r"python -m utils\.experiments (run|plot|judge|audit) warm-up.*": Slow(
        "needs the file that the page writes",
        "tests/test_experiments_new.py::test_the_experiment_of_contributing_runs_as_it_is_written",
    ),
    r"python -m utils\.experiments\.(sentiment|comparison) --model .*": Left(
        "older commands, named because rows were made by them; `run sentiment` makes these rows now"
    ),
}


def commands(text: str) -> list[str]:
    """The commands of a page: the lines of its fenced blocks without a language, and what is set as code in its text."""
    found = []
    for language, block in FENCE.findall(text):
        if not language:
            block = re.sub(r"<<'(\w+)'\n.*?^\1$", "<<", block, flags=re.S | re.M)  # what a command is fed
            block = re.sub(r"\\\n", " ", block)
            found += [re.sub(r"\s+#\s.*", "", line) for line in block.splitlines()]
    found += [span for span in spans(text) if PROGRAMS.match(span)]
    return list(dict.fromkeys(" ".join(command.split()) for command in found if command.strip()))


def spans(text: str) -> list[str]:
    """What a page sets as code outside its fenced blocks."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def everything() -> dict[str, str]:
    """All commands of all pages, with the first page that has each."""
    found: dict[str, str] = {}
    for page in PAGES:
        for command in commands(read(page)):
            found.setdefault(command, page)
    return found


def account(command: str) -> list[str]:
    """Patterns of the entries that speak of a command."""
    return [pattern for pattern in ACCOUNTS if re.fullmatch(pattern, command)]


# The books balance -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_accounted_for(page):
    found = commands(read(page))
    assert found, "a page without commands need not be in PAGES"
    for command in found:
        patterns = account(command)
        assert patterns, (
            f"{page} has a command that nobody tries: `{command}`. Run it as it stands; then give it an entry in ACCOUNTS "
            "(tests/test_readme.py): Run where a test can run it in seconds, Slow where only its size is against it, "
            "Left with the reason where it can't be run."
        )
        assert len(patterns) == 1, f"`{command}` has several entries in ACCOUNTS: {patterns}"


def test_the_readme_says_which_python_is_meant():
    """Commands in the text say `python`; without an activated environment that is another one, or none."""
    assert re.search(r"`python`[^.`]*`\.venv/bin/python`", " ".join(read("README.md").split()))


def test_the_korean_page_gives_each_reader_the_same_commands():
    def by_reader(page: str) -> list[list[str]]:
        """The commands of the first block of each reader's section."""
        sections = re.split(r"^## ", read(page), flags=re.M)[1:4]
        return [commands(FENCE.search(section)[0]) for section in sections]

    english, korean = by_reader("README.md"), by_reader("README.ko.md")
    assert english == korean and english[0]


@pytest.mark.parametrize("pattern", ACCOUNTS)
def test_an_entry_speaks_of_a_command_that_is_there(pattern):
    assert any(re.fullmatch(pattern, command) for command in everything()), (
        f"no README has a command like {pattern!r} any more: delete the entry from ACCOUNTS"
    )


def test_a_command_is_seen_wherever_it_stands():
    text = (
        "Say `make nonsense` or `python -m utils.nothing --now`; `make`, `pip` and `x = make y` are no commands.\n"
        "```\nmake this THAT=../there   # and more\n.venv/bin/python -m a \\\n    --b c\n```\n"
        "```python\nmake = 'that'\n```\n| `pytest tests/x.py` |\n"
        "```\ncook - <<'EOF'\nmake soup\nEOF\n```\n"
    )
    assert commands(text) == [
        "make this THAT=../there",
        ".venv/bin/python -m a --b c",
        "cook - <<",
        "make nonsense",
        "python -m utils.nothing --now",
        "pytest tests/x.py",
    ]
    assert not account("make nonsense")


@pytest.mark.parametrize(
    "test", sorted({a.test for a in ACCOUNTS.values() if not isinstance(a, Run) and a.test})
)
def test_the_tests_that_stand_in_exist(test):
    file, name = test.split("::")
    defined = [node.name for node in ast.parse(read(file)).body if isinstance(node, ast.FunctionDef)]
    assert name in defined, f"{file} has no {name} any more: which test does its work now?"


# Commands that run -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A class as students have it, with a submission in it and another copy of that elsewhere."""
    folder = tmp_path_factory.mktemp("desk")
    notebook = nbformat.read(ROOT / "notebooks" / f"{NOTEBOOK}.ipynb", as_version=4)
    first = exercises_of(NOTEBOOK)[0]
    place = next(i for i, cell in enumerate(notebook.cells) if cell.id == first.name)
    notebook.cells[place].source = stubs.answer(first).whole
    notebook.cells = notebook.cells[: place + 2]
    (folder / "submissions" / "ada").mkdir(parents=True)
    (folder / "one" / "ada").mkdir(parents=True)
    for target in (folder / "submissions" / "ada", folder / "one" / "ada", class_copy(folder / "room")):
        nbformat.write(notebook, target / f"{NOTEBOOK}.ipynb")
    shutil.copy(ROOT / "notebooks" / f"{WRITTEN}.ipynb", folder / "submissions" / "ada")
    return folder


@pytest.fixture(scope="module")
def graded(desk):
    """The folder that `make grade` writes for the submission."""
    if not probe().safe:
        pytest.skip(probe().sentence())
    execute(GRADE.format(desk=desk), ROOT)
    return desk / "graded"


def for_make() -> list[str]:
    """Options with which `make` uses this Python, and takes its environment as made."""
    return [f"RUN={sys.executable}", "--old-file=.venv/.installed", "--old-file=.venv/.test-installed"]


def words(command: str) -> list[str]:
    """One command as a list of arguments, for this Python."""
    program, *rest = shlex.split(command)
    if program.removeprefix(".venv/bin/") == "python":
        return [sys.executable, *rest]
    if program == "pytest":
        return [sys.executable, "-m", "pytest", *rest]
    return [program, *(for_make() if program == "make" else ()), *rest]


def execute(command: str, folder: Path) -> str:
    """What a command (or several, joined by &&) prints; it must end well."""
    away = {"COURSE_BUDGET": "smoke", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    away |= {"PYTEST_ADDOPTS": "-p no:cacheprovider"}
    env = {
        key: value for key, value in os.environ.items() if key not in ("COURSE_DATA", "PYTHONPATH", *OF_MAKE)
    }
    said = ""
    for part in command.split(" && "):
        if part.startswith("cd "):
            folder = folder / part.removeprefix("cd ")
            continue
        done = subprocess.run(
            words(part), cwd=folder, env=env | away, capture_output=True, text=True, check=False, timeout=1800
        )
        said += re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        assert done.returncode == 0, f"{part}\n{said[-3000:]}"
    return said


@pytest.mark.slow
@pytest.mark.parametrize("pattern", [pattern for pattern, what in ACCOUNTS.items() if isinstance(what, Run)])
def test_commands_run(pattern, desk, request):
    what = ACCOUNTS[pattern]
    command = what.instead or next(command for command in everything() if re.fullmatch(pattern, command))
    if command.startswith("git") and not (ROOT / ".git").exists():
        pytest.skip("this copy of the course was not made by git, so it can't be cloned")
    if "utils.grading grade" in command or command == GRADE:
        request.getfixturevalue("graded")  # skips where the sandbox would refuse to grade
    if "{graded}" in command:
        command = command.replace("{graded}", str(request.getfixturevalue("graded")))
    folder = desk / what.inside if what.inside or command.startswith("git") else ROOT
    said = execute(command.replace("{desk}", str(desk)), folder)
    assert re.search(what.says, said, re.M), said[-2000:]


@pytest.mark.slow
def test_grading_writes_what_its_page_says(graded):
    """Also the pages' words on where things are: every row of "What comes out" names a file that is there."""
    table = read("utils/grading/README.md").partition("## What comes out")[2]
    rows = re.findall(r"^\| (`.+?) \|", table, re.M)
    assert len(rows) >= 8
    for name in (name for row in rows for name in re.findall(r"`([^`]+)`", row)):
        assert list(graded.glob(placeholders(name))), f"{name} was not written"


# Commands that are only too slow ---------------------------------------------------------------------------------------


class Accepted(Exception):
    """The options were understood; the command goes no further."""


@pytest.mark.parametrize("pattern", [pattern for pattern, what in ACCOUNTS.items() if isinstance(what, Slow)])
def test_slow_commands_are_understood(pattern, monkeypatch):
    what = ACCOUNTS[pattern]
    for command in [what.instead] if what.instead else [c for c in everything() if re.fullmatch(pattern, c)]:
        lines = dry_run(command) if command.startswith("make ") else [command]
        assert lines, f"`{command}` does nothing"
        for line in lines:
            understood(line, monkeypatch)


def dry_run(command: str) -> list[str]:
    """The commands that `make` would run for a target."""
    env = {key: value for key, value in os.environ.items() if key not in OF_MAKE}
    done = subprocess.run(
        [*words(command), "--dry-run", "RUN=python"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asserts that `python -m module options` names a module whose parser accepts the options; nothing runs."""
    python, dash, module, *options = shlex.split(line)
    assert Path(python).name == "python" and dash == "-m", line
    assert importlib.util.find_spec(module), f"{line}: no module {module}"
    if not module.startswith("utils."):  # pytest, ruff, mypy: theirs to test
        return
    if importlib.util.find_spec(module).submodule_search_locations:
        module += ".__main__"
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding="utf-8")
    assert ".parse_args(" in source, f"{module} would run: it has no argument parser to stop at"

    def stop(self, *arguments):
        raise Accepted(parse(self, *arguments))

    parse = argparse.ArgumentParser.parse_args
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", [module, *options])
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(Accepted):  # SystemExit: the parser refused
            importlib.import_module(module).main()


def test_options_that_are_not_there_are_refused(monkeypatch, capsys):
    understood("python -m utils.authoring attacks", monkeypatch)
    with pytest.raises(SystemExit):
        understood("python -m utils.authoring attacks --nonsense", monkeypatch)
    assert "--nonsense" in capsys.readouterr().err
    with pytest.raises(AssertionError, match="no module"):
        understood("python -m utils.nonsense", monkeypatch)


# Tables that lead to files ---------------------------------------------------------------------------------------------


def table(page: str, heading: str) -> dict[str, list[str]]:
    """Rows of the first table below a heading: first column -> what the second sets as code."""
    part = read(page).partition(f"## {heading}\n")[2]
    block = re.search(r"^\|.*\n\| --- .*\n((?:\|.*\n)+)", part, re.M)
    assert block, f"{page} has no table below {heading!r}"
    rows = [[cell.strip() for cell in line.strip("| \n").split(" | ")] for line in block[1].splitlines()]
    return {row[0]: re.findall(r"`([^`]+)`", row[1]) for row in rows}


def holders(pattern: str, text: str) -> list[str]:
    """Files like a pattern of a page in which a regular expression matches."""
    files = (path for path in ROOT.glob(placeholders(pattern)) if path.is_file())
    return [path.name for path in files if re.search(text, path.read_text(encoding="utf-8"), re.M)]


#: row of CONTRIBUTING's first table -> what a file must hold, for each exercise, to be the right one
HOLD = {
    "an answer": r"^(def|class) {}\b",
    "its wrong and alternative right answers": r'Bank\("{}"\)',
    "its check": r'name="{}"',
    "its stand-in, where it has one": r"\b{}\b",
}


@pytest.mark.parametrize("row", HOLD)
def test_the_table_leads_to_the_right_file_for_every_exercise(row):
    pattern = table("CONTRIBUTING.md", "Where things are")[row][0]
    for exercise in all_exercises().values():
        if "stand-in" in row and not exercise.stand_in:
            continue
        name = exercise.reference.rpartition(":")[2] if row == "an answer" else exercise.name
        assert holders(pattern, HOLD[row].format(name)), f"{pattern}: nothing there holds {name}"


def test_the_other_rows_lead_to_what_they_say():
    rows = table("CONTRIBUTING.md", "Where things are")
    for exercise in all_exercises().values():
        folders = ROOT.glob(placeholders(rows["its check data, built"][0]))
        assert fixtures.path_of(exercise).parent in folders
        source = placeholders(rows["a notebook's text and cells"][0])
        assert fnmatch.fnmatch(f"solutions/source/{exercise.notebook}.py", source)
    declared, recorded = rows["an experiment"]
    names = {path.stem.replace("_", "-") for path in ROOT.glob(placeholders(declared))} - {"--init--"}
    assert {"data-scaling", "token-mixers"} <= names
    assert {path.stem for path in ROOT.glob(placeholders(recorded))} & names


@pytest.mark.parametrize(
    ("page", "heading"),
    [("README.md", "The house"), ("CONTRIBUTING.md", "Where things are")],
)
def test_every_row_of_a_table_leads_somewhere(page, heading):
    for what, paths in table(page, heading).items():
        for path in [what.strip("`")] if page == "README.md" else [p for p in paths if "/" in p]:
            assert list(ROOT.glob(placeholders(path))), f"{page}, {what}: there is no {path}"


def test_the_readmes_house_has_every_room():
    shown = {row.strip("`/") for row in table("README.md", "The house")}
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    known = {"build", "dist", "scratch", "figures"}
    assert rooms - known <= shown


# Code and paths --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_are_python(page):
    """Those of CONTRIBUTING are excerpts; those on data are whole, and run."""
    for language, block in FENCE.findall(read(page)):
        if language == "python":
            ast.parse(block)
            if page.startswith("data/"):
                execute(f"python -c {shlex.quote(block)}", ROOT)


def placeholders(path: str) -> str:
    """A path of a page as a pattern for files: `<name>` and XX stand for anything."""
    return re.sub(r"<[^>]+>|XX(_name)?", "*", path).rstrip("/")


@cache
def known_names() -> frozenset[str]:
    """Names of all files that the course holds."""
    folders = ("docs", "notebooks", "solutions", "utils", "tests", "data")
    return frozenset(path.name for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_links_and_paths_lead_somewhere(page, desk, request):
    text = read(page)
    home = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if not re.match(r"\w+:|#", link):
            assert (home / link.partition("#")[0]).exists(), f"{page} links to {link}"
    hub = {name for spec in (*TEXTS.values(), *IMAGES.values()) for name in (spec.hub_id, spec.revision)}
    named = [span for span in spans(text) if PATH.fullmatch(span) and span not in hub]
    for path in named:
        if path.startswith(("~", "$", "/", "build/")):  # outside the course, or what a command makes
            continue
        pattern = placeholders(path)
        places = [home, ROOT, desk / "submissions"]
        if pattern.startswith("dir/"):  # a folder of submissions
            pattern = pattern.removeprefix("dir/")
        there = any(next(iter(place.glob(pattern)), None) for place in places)
        there = there or ("/" not in pattern and fnmatch.filter(known_names(), pattern) != [])
        if not there:  # then it is among what the grader writes
            out = request.getfixturevalue("graded")
            pattern = pattern.removeprefix("OUT/")
            there = next(out.rglob(pattern), None) is not None
        assert there, f"{page} speaks of `{path}`, which does not exist"


def test_the_instructors_plan_has_the_points_of_the_notebooks():
    text = (ROOT / "docs" / "instructors.md").read_text(encoding="utf-8")
    planned: dict[str, int] = {}
    for row in re.findall(r"^\| \d+ \| (.*?) \|$", text, re.MULTILINE):
        notebook, _, points = (cell.strip() for cell in row.split("|")[:3])
        planned[notebook[:2]] = sum(int(part) for part in points.split("+") if part.strip())
    assert len(planned) == 9, "01 to 08 and 10; 09 is for those who want more"
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        points = sum(cell["metadata"].get("nbgrader", {}).get("points") or 0 for cell in cells)
        if path.name[:2] in planned:
            assert planned[path.name[:2]] == points, path.stem
        else:
            assert f"{path.name[:2]} ({points} points" in text, path.stem
