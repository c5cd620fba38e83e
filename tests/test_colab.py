"""The set-up cell as Colab runs it: in an empty folder and a bare environment that has its own torch.

The cell is taken from a notebook of a class's release and run as it stands; git is told (by its own configuration) to find the
class's address on this disk. The environment sees every package of this one but einops, which pip finds as a wheel in
a folder: so nothing needs a network, and what pip would do to torch is seen.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
import types
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from tests.conftest import CLASS
from utils import setup
from utils.authoring import settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PACKAGE = "einops"  # pure Python and small; the cell has to install it
WHERE_TORCH = (  # without importing it, which takes seconds
    "from importlib import metadata, util; print(util.find_spec('torch').origin, metadata.version('torch'))"
)


def cells(path: Path) -> dict:
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_the_badge_and_the_set_up_cell(path):
    found = cells(path)
    assert settings.colab(path.stem) in found["badge"].source
    assert found["set-up"].source == cells(NOTEBOOKS[0])["set-up"].source
    assert list(found).index("badge") == 1
    assert list(found).index("set-up") == 2


def test_one_setting_holds_the_address(monkeypatch):
    monkeypatch.setattr(settings, "repository", lambda: "https://github.com/someone/else.git")
    assert settings.colab("05_vit") == (
        "https://colab.research.google.com/github/someone/else/blob/main/notebooks/05_vit.ipynb"
    )
    assert settings.on_the_web("data", folder=True) == "https://github.com/someone/else/tree/main/data"


@pytest.fixture(scope="module")
def colab(tmp_path_factory, classroom):
    """`(python, folder, environment)`: a bare Python with torch and all but one package, an empty folder, git redirected.

    What git finds at the class's address, and only there, is the class's repository.
    """
    if shutil.which("git") is None:
        pytest.skip("The set-up cell clones the course: install git.")
    place = tmp_path_factory.mktemp("colab")
    release = _release(classroom, place / "release")
    site = Path(sysconfig.get_paths()["purelib"])
    packages = place / "preinstalled"
    packages.mkdir()
    for entry in site.iterdir():
        if not entry.name.startswith((PACKAGE, "_virtualenv", "distutils-precedence", "__pycache__")):
            (packages / entry.name).symlink_to(entry)
    venv.create(place / "bare", symlinks=True)  # pip is among what it sees
    python = place / "bare" / "bin" / "python"
    bare_site = next((place / "bare" / "lib").glob("python*/site-packages"))
    (bare_site / "preinstalled.pth").write_text(f"{packages}\n")
    wheels = place / "wheels"
    wheels.mkdir()
    _wheel_from(site, wheels)
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "PYTHON", "GIT_"))
        },
        "HOME": str(place),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{release.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": CLASS,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "OMP_NUM_THREADS": "1",
    }
    (place / "content").mkdir()
    return python, place / "content", environment


def _release(classroom: Path, folder: Path) -> Path:
    """The class's repository, with one commit."""
    shutil.copytree(classroom, folder, ignore=shutil.ignore_patterns("__pycache__"))
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        [*author, "commit", "--quiet", "--message", "release"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def _wheel_from(site: Path, folder: Path, *, requires: str = "") -> Path:
    """A wheel of the installed `PACKAGE`, optionally with one more requirement in its metadata."""
    name = f"{PACKAGE}-{version(PACKAGE)}"
    path = folder / f"{name}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file in sorted((site / PACKAGE).rglob("*.py")):
            wheel.write(file, file.relative_to(site))
        text = (site / f"{name}.dist-info" / "METADATA").read_text(encoding="utf-8")
        head, _, body = text.partition("\n\n")
        more = f"\nRequires-Dist: {requires}" if requires else ""
        wheel.writestr(f"{name}.dist-info/METADATA", f"{head}{more}\n\n{body}")
        wheel.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    return path


def run(python: Path, folder: Path, environment: dict, code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(python), "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=1800
    )


def test_the_cell_fetches_and_installs_once_and_leaves_torch_alone(colab, classroom, tmp_path):
    python, folder, environment = colab
    notebook = cells(classroom / "notebooks" / NOTEBOOKS[0].name)
    set_up = notebook["set-up"].source
    after = list(notebook.values())[list(notebook).index("set-up") + 1].source  # the notebook's imports
    torch_before = run(python, folder, environment, WHERE_TORCH).stdout
    assert version("torch") in torch_before
    assert run(python, folder, environment, f"import {PACKAGE}").returncode != 0, "nothing to install"

    first = run(python, folder, environment, f"{set_up}\n{after}")
    assert first.returncode == 0, first.stderr
    assert f"Installing {PACKAGE} ..." in first.stdout
    assert "Budget:" in first.stdout
    assert [entry.name for entry in folder.iterdir()] == ["course"]
    assert (folder / "course" / "utils" / "checks").is_dir()
    origin = subprocess.run(
        ["git", "config", "remote.origin.url"],
        cwd=folder / "course",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert origin.stdout.strip() == CLASS and not (folder / "course" / "solutions").exists()
    assert run(python, folder, environment, WHERE_TORCH).stdout == torch_before
    where = run(python, folder, environment, f"import {PACKAGE}; print({PACKAGE}.__file__)").stdout
    assert str(python.parents[1]) in where, "installed into the environment itself"

    # The second run finds all in place: no git and no pip is called, nothing is printed, no file changes.
    log = tmp_path / "called"
    shims = tmp_path / "bin"
    shims.mkdir()
    (shims / "git").write_text(f"#!/bin/sh\necho git >> {log}\nexit 1\n")
    (shims / "git").chmod(0o755)
    no_pip = textwrap.dedent(
        """
        import subprocess
        def run(*args, **kwargs):
            raise AssertionError(f"called: {args}")
        subprocess.run = subprocess.Popen = run
        """
    )
    before = _state(folder), _state(python.parents[1] / "lib")
    environment = {
        **environment,
        "PATH": f"{shims}{os.pathsep}{environment['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    second = run(python, folder, environment, no_pip + set_up)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert not log.exists()
    assert (_state(folder), _state(python.parents[1] / "lib")) == before


def _state(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_cell_run_again_from_another_folder_fetches_nothing(colab, classroom):
    """As on Drive: the working folder is another one by then, and the course lies where it was fetched to."""
    python, folder, environment = colab
    set_up = cells(classroom / "notebooks" / NOTEBOOKS[0].name)["set-up"].source
    (folder.parent / "drive").mkdir()
    again = f"import os; os.chdir({str(folder.parent / 'drive')!r})\n"
    kept = set_up.replace("KEEP_ON_DRIVE = False", "KEEP_ON_DRIVE = True")
    done = run(
        python, folder, environment, f"{set_up}\n{again}\n{kept}\nprint(sys.path.count(str(root)), root)"
    )
    assert done.returncode == 0, done.stderr
    assert f"1 {folder / 'course'}" in done.stdout
    assert "This is not Colab" in done.stdout
    assert list((folder.parent / "drive").iterdir()) == []


def test_on_colab_drive_is_mounted_only_if_wanted_and_becomes_the_working_folder(
    monkeypatch, tmp_path, capsys
):
    mounted = []
    drive = types.ModuleType("google.colab.drive")
    drive.mount = mounted.append
    package = types.ModuleType("google.colab")
    package.drive = drive
    for name, module in (("google", types.ModuleType("google")), ("google.colab", package)):
        monkeypatch.setitem(sys.modules, name, module)
    folder = tmp_path / "drive" / "MyDrive" / "transformers-for-vision"
    monkeypatch.setattr(setup, "ON_DRIVE", folder)
    monkeypatch.chdir(tmp_path)
    setup.keep_on_drive()
    assert mounted == [str(tmp_path / "drive")]
    assert Path.cwd() == folder
    said = capsys.readouterr().out
    assert str(folder) in said and "Save a copy in Drive" in said
    setup.keep_on_drive()  # the second time nothing is in the way
    assert "if KEEP_ON_DRIVE:" in cells(NOTEBOOKS[0])["set-up"].source
    assert "KEEP_ON_DRIVE = False" in cells(NOTEBOOKS[0])["set-up"].source


def test_a_package_that_asks_for_another_torch_does_not_get_it(colab, tmp_path):
    """The pin holds: pip gives up, with torch as it was, rather than replace it."""
    python, _, environment = colab
    torch_before = run(python, tmp_path, environment, WHERE_TORCH).stdout
    for installed in (python.parents[1] / "lib").glob(f"*/site-packages/{PACKAGE}*"):  # by the test above
        shutil.rmtree(installed)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    _wheel_from(Path(sysconfig.get_paths()["purelib"]), wheels, requires="torch (>=99)")
    with zipfile.ZipFile(wheels / "torch-99.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("torch-99.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n")
        wheel.writestr(
            "torch-99.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("torch-99.0.dist-info/RECORD", "")
    environment = {**environment, "PIP_FIND_LINKS": str(wheels)}
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from utils.setup import install_missing; install_missing()"
    done = run(python, tmp_path, environment, code)
    assert done.returncode != 0
    assert "conflicting dependencies" in done.stderr
    assert f"RuntimeError: pip could not install {PACKAGE} beside torch" in done.stderr
    assert run(python, tmp_path, environment, WHERE_TORCH).stdout == torch_before


def test_without_torch_the_cell_says_what_to_do(tmp_path):
    code = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else real(name, *rest)\n"
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from utils.setup import install_missing; install_missing()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "RuntimeError: PyTorch is not installed" in done.stderr
    assert "make lab" in done.stderr
