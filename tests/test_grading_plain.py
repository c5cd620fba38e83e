"""The plain path: nbval on submissions, points beside it, and kernels that are forked from a warm process and leave nothing."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from utils.authoring import build, stubs
from utils.authoring.bench_grading import course
from utils.checks.registry import exercises_of
from utils.grading import forking, plugin, warm

pytestmark = pytest.mark.slow

NAME = "04_attention_in_vision"
PYTEST = [
    sys.executable,
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "-p",
    "utils.grading.plugin",
    "--nbval-lax",
]
needs_fork = pytest.mark.skipif(not warm.available(), reason="a warm kernel needs fork and Unix sockets")


@pytest.fixture(scope="module")
def trivial(tmp_path_factory):
    """A course of one short notebook, with four submissions: right, one wrong, one not started, right in other words."""
    folder = course.make(tmp_path_factory.mktemp("trivial") / "course")
    course.hand_in(folder, 4)
    return folder


def run(folder, *arguments, **extra):
    env = (
        course.environment(folder)
        | {"COURSE_BUDGET": "smoke", "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
        | extra
    )
    env.pop("COURSE_DATA", None)
    done = subprocess.run(
        [*PYTEST, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr), done.returncode


def table(path):
    rows = list(csv.reader(path.open(encoding="utf-8-sig")))
    return {row[0]: row[5:] for row in rows[2:]}


def failed_cells(text):
    return re.findall(r"^FAILED (\S+?)::(Cell \d+)", text, re.M)


@pytest.mark.thorough
def test_one_wrong_exercise_fails_exactly_its_check_cell(tmp_path):
    """A real notebook, handed in elsewhere, twice: all right, and with one answer that is wrong."""
    wrong = "neighborhoods"
    release = nbformat.read(build.STUDENT / f"{NAME}.ipynb", as_version=4)
    for student in ("right", "wrong"):
        notebook = nbformat.from_dict(json.loads(json.dumps(release)))
        notebook.metadata["kernelspec"]["name"] = "a-kernel-that-is-not-here"
        for exercise in exercises_of(NAME):
            cell = next(cell for cell in notebook.cells if cell.id == exercise.name)
            cell.source = stubs.answer(exercise).whole
            if student == "wrong" and exercise.name == wrong:
                text = cell.source.splitlines()
                last = max(i for i, line in enumerate(text) if line.strip().startswith("return "))
                text[last] = re.sub(r"return (.*)$", r"return 2 * (\1)", text[last])
                cell.source = "\n".join(text)
        (tmp_path / student).mkdir()
        nbformat.write(notebook, tmp_path / student / f"{NAME}.ipynb")
    text, status = run(build.ROOT, "-q", "--warm", "--grades", str(tmp_path / "out"), str(tmp_path))
    code = [cell for cell in release.cells if cell.cell_type == "code"]
    place = next(i for i, cell in enumerate(code) if cell.id == f"{wrong}-check")
    cells = failed_cells(text)
    assert [cell for _, cell in cells] == [f"Cell {place}"], text[-3000:]
    assert "wrong" in cells[0][0] and status == 1
    most = sum(exercise.points for exercise in exercises_of(NAME))
    less = next(e.points for e in exercises_of(NAME) if e.name == wrong)
    assert f"right  {NAME}: {most} of {most} points" in text
    grades = table(tmp_path / "out" / "grades.csv")
    assert grades["right"] == [f"{most}"] and most - less <= float(grades["wrong"][0]) < most


@needs_fork
@pytest.mark.thorough
def test_points_are_the_same_warm_cold_and_in_two_processes(trivial, tmp_path):
    told = []
    for how in (["--warm"], ["--warm", "-n", "2", "--dist", "loadfile"], []):
        out = tmp_path / f"out{len(told)}"
        text, status = run(trivial, "-q", *how, "--grades", str(out), "submissions")
        assert status == 1, text[-2000:]
        points = re.findall(r"^(student-\d+)  90_trivial: (\S+) of 6 points", text, re.M)
        told.append((points, table(out / "grades.csv"), sorted(failed_cells(text))))
    assert told[0] == told[1] == told[2]
    wanted = {"add": 1, "double": 2, "row_sums": 3}
    for number, (_, points) in enumerate(told[0][0]):
        right = course.expected_points(number)
        assert float(points) == sum(most for name, most in wanted.items() if right[name])
    assert "You sum over the first axis" in text and "double: 0 of 2 · not started" in text
    assert leaked(trivial) == []


def test_a_file_that_is_no_notebook_costs_only_itself(trivial, tmp_path):
    folder = tmp_path / "in"
    (folder / "broken").mkdir(parents=True)
    (folder / "broken" / f"{course.NAME}.ipynb").write_text("{")
    (folder / "fine").mkdir()
    solved = (trivial / "solutions" / f"{course.NAME}.ipynb").read_text()
    (folder / "fine" / f"{course.NAME}.ipynb").write_text(solved)
    text, _ = run(trivial, "-q", "--grades", str(tmp_path / "out"), str(folder))
    assert table(tmp_path / "out" / "grades.csv") == {"broken": [""], "fine": ["6"]}, text[-2000:]
    assert "not a notebook" in text


def test_a_check_that_was_deleted_or_moved_earns_nothing():
    cells = [
        {"id": "other", "checks": ["add"], "passed": True, "said": ""},
        {
            "id": "add-check",
            "checks": ["add"],
            "passed": False,
            "said": "CheckFailed: add is not right yet: 3 of 4 cases are right. x",
        },
    ]
    assert plugin.verdict("add", 4, cells) | {"sentence": ""} == plugin.verdict("add", 4, []) | {
        "points": 3.0, "state": "failed", "right": 3, "cases": 4, "sentence": "",
    }  # fmt: skip
    assert plugin.verdict("add", 4, [])["points"] == 0
    assert plugin.checked("x = 1\ncheck(add)\n# check(no)\ncheck( double )") == ["add", "double"]
    for text in ("", "Traceback:\nNotStarted: add is not started yet."):
        error = type("E", (Exception,), {"inner_traceback": f"\x1b[31m{text}\x1b[0m"})()
        assert plugin.said(error) == text.split("\n")[-1]


def leaked(folder: Path) -> list[str]:
    """Commands of processes that belong to a warm kernel, or that work in this course's folder."""
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc/self").exists() else ():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = (entry / "cwd").resolve()
            except OSError:
                continue
            if where.is_relative_to(folder) and int(entry.name) != os.getpid():
                found.append(command)
    return found


def soon(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)


@needs_fork
@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_no_kernel_is_left_when_pytest_is_killed(trivial, tmp_path):
    """SIGKILL in the middle of a cell: the kernel, its children (one has left its session), the launcher and the server end."""
    notebook = nbformat.read(trivial / "solutions" / f"{course.NAME}.ipynb", as_version=4)
    flag = tmp_path / "running"
    busy = (
        "import os, time\n"
        "for escape in (False, True):\n"
        "    if os.fork() == 0:\n"
        "        escape and os.setsid()\n"
        "        time.sleep(300)\n"
        "        os._exit(0)\n"
        f"open({str(flag)!r}, 'w').close()\n"
        "while True: pass\n"
    )
    notebook.cells.insert(1, nbformat.v4.new_code_cell(busy))
    path = trivial / "killed" / "student" / f"{course.NAME}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    process = subprocess.Popen(
        [*PYTEST, "-q", "--warm", str(path)],
        cwd=trivial, env=course.environment(trivial), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        soon(flag.exists, 300)
        assert len(leaked(trivial)) >= 5, (
            "pytest, server, launcher, kernel and its children should be running"
        )
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    soon(lambda: leaked(trivial) == [], 60)


@needs_fork
def test_a_kernel_ends_with_its_client_and_the_server_serves_on(trivial, monkeypatch):
    from jupyter_client.manager import start_new_kernel

    with warm.start() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        assert warm.running() is not None
        before = None
        for how in ("shutdown", "kill the launcher", "interrupt"):
            manager, client = start_new_kernel(kernel_name=warm.KERNEL, cwd=str(trivial), startup_timeout=120)
            said = []
            code = (
                "import os, sys, random; print(os.getpid(), 'torch' in sys.modules, 'utils' in sys.modules, "
                "os.getcwd(), random.random(), flush=True)"
            )
            client.execute_interactive(
                code, timeout=60, output_hook=lambda m, said=said: said.append(m["content"].get("text", ""))
            )
            pid, torch_is_there, ours, where, number = "".join(said).split()
            assert torch_is_there == "True" and where == str(trivial) and number != before
            assert ours == "False", "another copy of the course must not get this one's modules"
            before = number
            if how == "interrupt":
                client.execute("while True: pass")
                time.sleep(0.5)
                manager.interrupt_kernel()
                client.execute_interactive("x = 1", timeout=60)
            if how == "kill the launcher":
                os.kill(manager.provisioner.pid, signal.SIGKILL)
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            soon(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 60)
    assert not server.folder.exists()


@needs_fork
def test_a_server_that_could_not_fork_safely_says_so():
    code = (
        "import threading, time\n"
        "from utils.grading import forking\n"
        "forking.prepare()\n"
        "threading.Thread(target=time.sleep, args=(5,), daemon=True).start()\n"
        "try:\n    forking.assert_safe()\nexcept forking.UnsafeFork as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=build.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "this process has 2 threads; a process forked from it could hang\n" if sys.platform == "linux" else ""
    )
    assert forking.threads() >= 1


def test_options_without_nbval_are_refused(trivial):
    env = course.environment(trivial)
    command = [sys.executable, "-m", "pytest", "-p", "utils.grading.plugin", "--warm", "submissions"]
    done = subprocess.run(command, cwd=trivial, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 4 and "--nbval-lax" in done.stderr


def test_pytest_itself_does_not_wait_for_torch():
    """The plugin reads names and points without it: a second per run that a warm kernel would not win back."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from utils.grading import plugin\n"
        "from utils.grading.reports import tables\n"
        f"assert plugin.whose(Path('/x/kim/{NAME}.ipynb'), []) == ('kim', '', '{NAME}')\n"
        f"assert plugin.points_of('{NAME}')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=build.ROOT, check=True)
