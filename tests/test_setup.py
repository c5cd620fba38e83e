"""Set-up files agree with each other, and the lock satisfies what pyproject asks for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import start
from utils import setup
from utils.authoring import lowest

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"torch": "pytorch"}


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def lock(name="requirements.lock"):
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_conda_environment_agrees_with_pyproject():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = {Requirement(entry).name: str(Requirement(entry).specifier) for entry in conda}
    wanted = {
        CONDA_NAMES.get(r.name, r.name): str(r.specifier)
        for r in map(Requirement, pyproject()["dependencies"])
    }
    wanted["python"] = str(SpecifierSet(pyproject()["requires-python"]))
    assert found == wanted


def test_conda_environment_says_how_to_choose_cpu_or_gpu():
    text = (ROOT / "environment.yml").read_text()
    torch = next(r for r in map(Requirement, pyproject()["dependencies"]) if r.name == "torch")
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    for variant in ("pytorch-cpu", "pytorch-gpu"):
        assert f"- {variant}{torch.specifier}" in comments, "the notes ask for the same version as the list"
    name = yaml.safe_load(text)["name"]
    assert f"conda activate {name}" in comments


def test_lock_satisfies_pyproject_and_pins_everything():
    pinned = {}
    for requirement in lock():
        version = re.fullmatch(r"==(.+)", str(requirement.specifier))
        assert version, f"{requirement} is not pinned"
        pinned[requirement.name.lower().replace("_", "-")] = Version(version[1])
    for requirement in map(Requirement, pyproject()["dependencies"]):
        assert pinned[requirement.name] in requirement.specifier
        assert str(requirement.specifier).startswith(">="), "pyproject holds lower bounds only"


def test_the_locks_can_be_installed_on_the_first_release_of_the_lowest_python():
    """Debian 12 has Python 3.11.2, and a package that wants 3.11.5 made its installation fail. Told by what is installed here."""
    first = f"{setup.PYTHON[0]}.{setup.PYTHON[1]}.0"
    known = 0
    for requirement in lock() + lock("requirements-test.lock"):
        try:
            found = metadata.distribution(requirement.name)
        except metadata.PackageNotFoundError:
            continue
        if found.version in requirement.specifier:
            known += 1
            wanted = SpecifierSet(found.metadata.get("Requires-Python") or "")
            assert first in wanted, f"{requirement} needs Python {wanted}: lock an older one"
    assert known > 100


def test_torch_comes_first_in_the_lock():
    assert lock()[0].name == "torch"


def test_test_lock_leaves_torch_alone():
    names = {requirement.name for requirement in lock("requirements-test.lock")}
    assert not names & {"torch", "torchvision", "timm"}


def test_what_notebooks_install_is_what_pyproject_asks_for():
    wanted = {Requirement(r).name for r in pyproject()["dependencies"]}
    assert set(setup.NEEDED.values()) - {"ipython"} <= wanted


def test_every_place_says_the_same_versions():
    """pyproject, conda's environment, the start script, the set-up cell's check, both READMEs, the workflows, the container, the notebooks."""
    python = SpecifierSet(pyproject()["requires-python"])
    minors = [minor for minor in range(5, 20) if f"3.{minor}" in python]
    first, last = f"3.{minors[0]}", f"3.{minors[-1]}"
    assert ((3, minors[0]), (3, minors[-1])) == (start.LOWEST, start.HIGHEST)
    assert ((3, minors[0]), (3, minors[-1])) == (setup.PYTHON, setup.NEWEST)

    def text(name: str) -> str:
        return (ROOT / name).read_text(encoding="utf-8")

    assert f"`python3` ({first} to {last})" in text("README.md")
    assert f"`python3`({first}에서 {last}까지)" in text("README.ko.md")
    assert text("Makefile").startswith(f"# Needs python3 ({first} to {last})")
    conda = yaml.safe_load(text("environment.yml"))["dependencies"]
    assert (
        SpecifierSet(next(entry for entry in conda if entry.startswith("python>")).removeprefix("python"))
        == python
    )
    workflows = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")
    )
    assert set(re.findall(r'"(3\.\d+)"', workflows)) == {f"3.{minor}" for minor in minors}
    image = json.loads(text(".devcontainer/devcontainer.json"))["image"]
    assert re.search(r"python:(3\.\d+)", image)[1] in python
    assert tomllib.loads(text("pyproject.toml"))["tool"]["ruff"]["target-version"] == f"py3{minors[0]}"
    assert f"(Python {first} to {last}, " in text("requirements.lock").splitlines()[0]
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        said = (
            json.loads(path.read_text(encoding="utf-8"))["metadata"]
            .get("language_info", {})
            .get("version", first)
        )
        assert said.rpartition(".")[0] in python or said in python, path.name
    bounds = {r.name: str(r.specifier) for r in map(Requirement, pyproject()["dependencies"])}
    assert {
        name: f">={'.'.join(map(str, low))}" for name, low in setup.LOWEST.items()
    }.items() <= bounds.items()
    assert f"pytorch{bounds['torch']}" in conda and f"matplotlib{bounds['matplotlib']}" in conda


@pytest.mark.parametrize("which", ["lowest", "newest"])
def test_the_lowest_and_the_newest_versions_are_all_asked_for(tmp_path, monkeypatch, which):
    """`make test-lowest` and `make test-newest`, with what they run taken down instead of run."""
    newest = ["--newest"] if which == "newest" else []
    ran = []

    def run(command, **named):
        ran.append([str(part) for part in command])
        if "compile" in ran[-1]:
            (tmp_path / "found.txt").write_text("torch==2.5.0\n")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(lowest.subprocess, "run", run)
    monkeypatch.setattr(lowest.shutil, "which", lambda name: "/usr/bin/uv")
    assert lowest.main([*newest, "--folder", str(tmp_path), "tests/test_setup.py"]) == 0
    made, resolved, *installed, tested = ran
    assert made[:3] == ["/usr/bin/uv", "venv", "--quiet"] and "compile" in resolved
    assert ("lowest-direct" in resolved) == (which == "lowest"), "uv's own way is the newest"
    asked = {
        Requirement(line).name: Requirement(line)
        for line in (tmp_path / "asked.txt").read_text().splitlines()
    }
    for line in pyproject()["dependencies"] + pyproject()["optional-dependencies"]["test"]:
        assert str(asked[Requirement(line).name].specifier) == str(Requirement(line).specifier)
    assert str(tmp_path / "found.txt") in installed[0] and "torchvision" in installed[1]
    assert "--no-deps" in installed[2] and not any("torchvision" in part for part in installed[2])
    assert tested[1:3] == ["-m", "pytest"] and lowest.QUICK in tested and tested[-1] == "tests/test_setup.py"
    assert lowest.main([*newest, "--folder", str(tmp_path), "--torch", "2.13.0"]) == 0
    assert [
        line for line in (tmp_path / "asked.txt").read_text().splitlines() if line.startswith("torch=")
    ] == ["torch==2.13.0"]


def test_make_gives_each_end_an_environment_of_its_own(monkeypatch):
    folders = []
    monkeypatch.setattr(
        lowest, "install", lambda folder, torch, newest: folders.append((folder.name, newest))
    )
    monkeypatch.setattr(lowest.Path, "read_text", lambda path: "")
    monkeypatch.setattr(
        lowest.subprocess, "run", lambda command, **named: subprocess.CompletedProcess(command, 0)
    )
    makefile = (ROOT / "Makefile").open(encoding="utf-8").read()
    ignored = (ROOT / ".gitignore").open(encoding="utf-8").read().split()
    for which in ("lowest", "newest"):
        line = re.search(
            rf"^test-{which}: .*\n\t\$\(RUN\) -m utils\.authoring\.lowest (.*)\$\(ARGS\)$", makefile, re.M
        )
        assert lowest.main(line[1].split()) == 0
        assert folders[-1] == (f".venv-{which}", which == "newest") and f".venv-{which}/" in ignored


def test_the_ends_are_tested_every_week_and_by_hand():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    assert {"schedule", "workflow_dispatch"} <= workflow[True].keys(), (
        "YAML reads the word on as a truth value"
    )
    job = workflow["jobs"]["ends"]
    assert {one["end"] for one in job["strategy"]["matrix"]["include"]} == {"lowest", "newest"}
    assert any(step.get("run") == "make test-${{ matrix.end }}" for step in job["steps"])


def test_without_uv_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr(lowest.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        lowest.subprocess, "run", lambda command, **named: subprocess.CompletedProcess(command, 1)
    )
    assert lowest.main([]) == 2
    assert "-m pip install uv" in capsys.readouterr().err


def test_what_is_imported_is_asked_for():
    """A package that comes along with another one today may not tomorrow."""
    names = {"sklearn": "scikit-learn", "PIL": "pillow"}
    asked = {Requirement(line).name for line in pyproject()["dependencies"]}
    for name in (
        "numpy",
        "pyarrow",
        "PIL",
        "scipy",
        "sklearn",
        "matplotlib",
        "einops",
        "safetensors",
        "tqdm",
        "psutil",
    ):
        assert names.get(name, name) in asked, name


def test_a_version_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    with pytest.raises(RuntimeError, match=r"Python 3\.10, and the course needs 3\.11"):
        setup.install_missing()
    monkeypatch.undo()
    for name, version in (("torch", "2.4.1+cu121"), ("matplotlib", "3.9.4")):
        installed = dict.fromkeys(setup.LOWEST, "99.0") | {name: version}
        monkeypatch.setattr("importlib.metadata.version", installed.get)
        with pytest.raises(RuntimeError, match=rf"^{name} {re.escape(version)} is installed here"):
            setup.install_missing()


def test_a_python_newer_than_any_that_was_tried_is_said_and_no_obstacle(monkeypatch, capsys):
    setup.install_missing()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sys, "version_info", (3, setup.NEWEST[1] + 1, 0, "final", 0))
    setup.install_missing()
    assert "tried up to 3.13" in capsys.readouterr().out


def test_set_up_does_nothing_where_all_is_there(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("pip was called")

    monkeypatch.setattr(subprocess, "run", forbidden)
    assert setup.missing() == []
    setup.install_missing()


def test_utils_never_imports_solutions_by_statement():
    pattern = re.compile(r"^\s*(from|import) +solutions\b", re.M)
    guilty = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "utils").rglob("*.py")
        if pattern.search(path.read_text())
    ]
    assert guilty == []


def test_importing_checks_needs_no_solutions():
    code = (
        "import sys; sys.modules['solutions'] = None\n"
        "import utils.checks, utils.checks.registry as r; r.all_exercises(); import utils.training, utils.plotting, utils.data"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_ci_runs_what_make_test_leaves_out():
    """No test is left to a command that nobody runs."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"^(test|test-all|check): .*\n\t(.*)$", makefile, re.M))
    assert recipes["test-all"] == "$(PYTEST) $(ARGS)"
    assert "not thorough" in recipes["test"] and "not slow" not in recipes["test"]
    assert "make test-all" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    assert any(step.get("run") == ".ci/run" for step in workflow["jobs"]["all"]["steps"])
    assert "make test-all" in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
