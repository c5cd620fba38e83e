"""A newcomer's first minute: the version first, an environment that is half made, root, no display, odd paths, Windows."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

import start

ROOT = Path(__file__).resolve().parents[1]


def old_pythons() -> list[str]:
    """Interpreters of this machine that the course does not work with."""
    places = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.*/bin/python")
    names = [shutil.which(f"python3.{minor}") for minor in range(6, 11)] + [str(path) for path in places]
    found = []
    for name in filter(None, names):
        done = subprocess.run(
            [name, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True
        )
        if done.returncode == 0 and 6 <= int(done.stdout) < start.LOWEST[1]:
            found.append(name)
    return found


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of the script in a folder with a space and Hangul in its name, with nothing to install."""
    folder = tmp_path / "\ud55c\uae00 folder"
    folder.mkdir()
    shutil.copy(ROOT / "start.py", folder)
    (folder / "requirements.lock").write_text("# nothing: no network is needed\n")
    monkeypatch.setattr(start, "HERE", folder)
    return folder


def test_every_python_from_3_6_on_can_read_the_script():
    ast.parse((ROOT / "start.py").read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.slow
def test_an_old_python_gets_a_sentence_and_leaves_nothing_behind(course):
    old = old_pythons()
    if not old:
        pytest.skip("no Python from 3.6 to 3.10 is installed here")
    for name in old:
        done = subprocess.run([name, "start.py"], cwd=course, capture_output=True, text=True)
        assert done.returncode == 1
        assert "the course needs Python 3.11 to 3.13" in done.stderr and "Traceback" not in done.stderr
        assert sorted(path.name for path in course.iterdir()) == ["requirements.lock", "start.py"]


def test_make_says_the_same(course):
    old = old_pythons()
    if not old or shutil.which("make") is None:
        pytest.skip("needs make and a Python from 3.6 to 3.10")
    shutil.copy(ROOT / "Makefile", course)
    for target in ("lab", ".venv/.installed"):
        done = subprocess.run(
            ["make", f"PYTHON={old[0]}", target], cwd=course, capture_output=True, text=True
        )
        assert done.returncode and "the course needs Python 3.11" in done.stderr
        assert not (course / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 14), (2, 7), (4, 0)])
def test_what_to_do_is_said_for_each_system(monkeypatch, version):
    assert "make PYTHON=python3.12 lab" in start.wrong_version(version, ["python3.12", "python3.11"])
    for system, words in {
        "Linux": "apt-get",
        "Darwin": "brew install",
        "Windows": "py -3.12 start.py",
    }.items():
        monkeypatch.setattr(start.platform, "system", lambda system=system: system)
        assert words in start.wrong_version(version, [])


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_a_version_that_works_is_let_through(version):
    assert start.wrong_version(version, []) == ""


def test_the_bounds_are_those_of_pyproject():
    allowed = SpecifierSet(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"])
    for minor in range(5, 20):
        assert (f"3.{minor}" in allowed) == (start.LOWEST <= (3, minor) <= start.HIGHEST), minor


@pytest.mark.slow
def test_an_environment_is_made_once_and_a_half_made_one_is_replaced(course, capfd):
    venv = course / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")  # what an attempt with a wrong Python leaves
    (venv / "bin" / "python").chmod(0o755)
    (venv / "left over").touch()
    assert start.main(["--only-install", "--no-uv"]) == 0
    said = capfd.readouterr().out
    assert "Replacing .venv" in said and "Installing into .venv with pip: " in said and "GB on disk" in said
    assert not (venv / "left over").exists() and start.usable(venv)
    made = (venv / "pyvenv.cfg").stat().st_mtime_ns
    assert start.main(["--only-install"]) == 0
    assert capfd.readouterr().out == "", "the second time nothing is done"
    assert (venv / "pyvenv.cfg").stat().st_mtime_ns == made
    (course / "requirements.lock").write_text("# another\n")
    assert start.main(["--only-install", "--no-uv"]) == 0
    assert "Installing" in capfd.readouterr().out
    assert (venv / "pyvenv.cfg").stat().st_mtime_ns == made, (
        "a new lock is installed into the same environment"
    )


def test_a_folder_that_is_no_environment_is_not_deleted(course, capsys):
    (course / ".venv").mkdir()
    (course / ".venv" / "thesis.txt").write_text("three years")
    assert start.main(["--only-install"]) == 1
    assert "move it away" in capsys.readouterr().err
    assert (course / ".venv" / "thesis.txt").read_text() == "three years"


@pytest.mark.slow
def test_an_environment_of_another_python_is_not_taken(course, monkeypatch):
    start.create(course / ".venv")
    assert start.usable(course / ".venv")
    monkeypatch.setattr(sys, "version_info", (3, 12 if sys.version_info[1] != 12 else 13, 0))
    assert not start.usable(course / ".venv")


def test_torch_is_chosen_by_wish_then_by_pips_settings_then_by_the_machine(monkeypatch):
    monkeypatch.setattr(start.platform, "system", lambda: "Linux")
    monkeypatch.setattr(start.shutil, "which", lambda name: None)
    assert [start.choose("", False), start.choose("", True), start.choose("cuda", False)] == [
        "cpu",
        "",
        "cuda",
    ]
    monkeypatch.setattr(start.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert [start.choose("", False), start.choose("cpu", True)] == ["cuda", "cpu"]
    monkeypatch.setattr(start.platform, "system", lambda: "Darwin")
    assert start.choose("", False) == ""


def test_the_installers_options(monkeypatch):
    venv = Path("env")
    monkeypatch.setattr(start.platform, "system", lambda: "Linux")
    assert "https://download.pytorch.org/whl/cpu" in start.command(venv, "cpu", "")
    assert not any("whl" in part for part in start.command(venv, "cuda", "") + start.command(venv, "", ""))
    uv = start.command(venv, "cpu", "/bin/uv")
    assert uv[uv.index("--torch-backend") + 1] == "cpu"
    assert "auto" in start.command(venv, "cuda", "/bin/uv") and "--torch-backend" not in start.command(
        venv, "", "/bin/uv"
    )
    monkeypatch.setattr(start, "WINDOWS", True)
    assert f"https://download.pytorch.org/whl/{start.CUDA}" in start.command(venv, "cuda", "")
    assert start.command(venv, "cpu", "")[0].endswith("python.exe")


@pytest.mark.parametrize(
    ("variables", "root", "system", "options", "words"),
    [
        ({"DISPLAY": ":0"}, False, "Linux", [], ""),
        ({"WAYLAND_DISPLAY": "w"}, False, "Linux", [], ""),
        ({"WSL_DISTRO_NAME": "Ubuntu"}, False, "Linux", [], ""),
        ({}, False, "Linux", ["--no-browser"], "no display"),
        ({"SSH_CONNECTION": "1 2 3 4"}, False, "Linux", ["--no-browser"], "ssh -L 8888"),
        ({}, True, "Linux", ["--allow-root", "--no-browser"], "You are root"),
        ({}, False, "Darwin", [], ""),
        ({}, False, "Windows", [], ""),
    ],
)
def test_root_and_no_display(variables, root, system, options, words):
    found, said = start.lab_options(variables, root, system)
    assert found == options and words in " ".join(said)


@pytest.mark.slow
def test_a_busy_port_is_no_obstacle(course):
    """JupyterLab for real, in a folder with a space and Hangul, where its port is taken: the next free one, and its address is said."""
    (course / "notebooks").mkdir()
    (course / "opens.py").write_text(
        "import sys, start\nstart.python_of = lambda venv: sys.executable\nstart.open_lab(start.HERE)\n"
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {
            name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")
        }
        env |= {"JUPYTER_PORT": str(port), "JUPYTER_CONFIG_DIR": str(course), "JUPYTER_DATA_DIR": str(course)}
        process = subprocess.Popen(
            [sys.executable, "opens.py"], cwd=course, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"http://127\.0\.0\.1:(\d+)/lab", line):
                    break
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
    assert found and int(found[1]) != port, said
    assert f"port {port} is already in use, trying another port" in said
    assert "There is no display here" in said


def test_jupyterlab_is_started_as_a_module_on_the_notebooks(course, monkeypatch):
    calls = []
    monkeypatch.setattr(
        start.subprocess,
        "run",
        lambda command, **kwargs: calls.append(command) or subprocess.CompletedProcess(command, 3),
    )
    assert start.open_lab(course / ".venv") == 3, "its exit status is handed on"
    assert calls[0][1:3] == ["-m", "jupyterlab"] and calls[0][-1] == str(course / "notebooks")
