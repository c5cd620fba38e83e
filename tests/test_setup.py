"""Set-up files agree with each other, and the lock satisfies what pyproject asks for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from utils import setup

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


def test_torch_comes_first_in_the_lock():
    assert lock()[0].name == "torch"


def test_test_lock_leaves_torch_alone():
    names = {requirement.name for requirement in lock("requirements-test.lock")}
    assert not names & {"torch", "torchvision", "timm"}


def test_what_notebooks_install_is_what_pyproject_asks_for():
    wanted = {Requirement(r).name for r in pyproject()["dependencies"]}
    assert set(setup.NEEDED.values()) - {"ipython"} <= wanted


def test_every_place_says_the_same_versions():
    """pyproject, the set-up cell's check, conda's environment, the README, the workflows."""
    python = SpecifierSet(pyproject()["requires-python"])
    assert [minor for minor in range(5, 20) if f"3.{minor}" in python][0] == setup.PYTHON[1]
    torch = next(r for r in map(Requirement, pyproject()["dependencies"]) if r.name == "torch")
    assert str(torch.specifier) == f">={'.'.join(map(str, setup.TORCH))}"


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
