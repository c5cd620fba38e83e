"""The grader is killed at random moments and started again: same final grades, nothing graded twice, nothing lost, nobody left."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from utils.authoring.attacks.scene import TARGET, WRONG, solved
from utils.grading import run
from utils.grading.isolation import ROOT, probe
from utils.grading.records import Records, alone

pytestmark = pytest.mark.skipif(not probe().safe, reason=probe().sentence())
NAME = "01_transformer_recap"
STUDENTS = 12


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    """A class in which no two have the same grade, one file is broken and one answer never ends."""
    folder = tmp_path_factory.mktemp("resume") / "in"
    names = ["split_heads", "merge_heads", "FeedForward", "sinusoidal_positions"]
    for number in range(STUDENTS):
        edits = {name: f"def {name}(*a):\n    return None\n" for name in names[: number % 5]}
        if number % 2:
            edits[TARGET] = WRONG
        if number == 3:
            edits[TARGET] = "def causal_mask(length):\n    while True:\n        pass\n"
        place = folder / f"student-{number:02}"
        place.mkdir(parents=True)
        text = "{" if number == 7 else json.dumps(solved(**edits))
        (place / f"{NAME}.ipynb").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", autouse=True)
def own_sandboxes():
    """None that an earlier test has left idle: it may have been started while that test hid something, and an entry says how it was isolated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_idle", {})
        yield


@pytest.fixture(scope="module")
def whole(submissions, tmp_path_factory):
    """(folder, entries): graded once without a break. Tests copy the folder."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, run.run(submissions, out, seed=77, progress=False)


def differences(some, others):
    """(student, field, one value, the other) for all but the time at which an entry was written."""
    assert [e["key"] for e in some] == [e["key"] for e in others]
    return [
        (one["student"], name, one.get(name), other.get(name))
        for one, other in zip(some, others, strict=True)
        for name in one.keys() | other.keys()
        if name != "when" and one.get(name) != other.get(name)
    ]


def start(submissions, out, workers):
    command = [sys.executable, "-m", "utils.grading", "grade", str(submissions), str(out)]
    command += ["--seed", "77", "--workers", str(workers)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def lines(out):
    path = out / "records.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def family(pid):
    """Pids of a process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.thorough
def test_killed_at_random_moments_it_comes_to_the_same_grades(submissions, whole, tmp_path):
    chance = random.Random(os.getpid())
    out = tmp_path / "killed"
    moments = []
    for workers in (1, 2):
        process = start(submissions, out, workers)
        wanted = lines(out) + chance.randint(1, 4)
        while lines(out) < wanted and process.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.3)
        members = family(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        moments.append((workers, lines(out), len(members)))
        until = time.monotonic() + 30
        while any(alive(pid) for pid in members) and time.monotonic() < until:
            time.sleep(0.05)
        left = [pid for pid in members if alive(pid)]
        assert not left, f"{len(left)} processes outlive the grader"
    assert lines(out) < STUDENTS, f"it was done before it was killed: {moments}"
    final = run.run(submissions, out, progress=False)
    assert differences(final, whole[1]) == []
    keys = [
        json.loads(line)["key"] for line in (out / "records.jsonl").read_text().splitlines() if line.strip()
    ]
    assert len(keys) == len(set(keys)) == STUDENTS, "each is graded once"
    assert not (out / ".scratch").exists()
    print(f"killed at (workers, lines, processes): {moments}")


@pytest.mark.thorough
def test_a_cut_line_costs_one_regrade_and_no_more(submissions, whole, tmp_path):
    graded, entries = whole
    out = shutil.copytree(graded, tmp_path / "out")
    data = (out / "records.jsonl").read_bytes()
    (out / "records.jsonl").write_bytes(data[:-40])
    again = run.run(submissions, out, progress=False)
    assert differences(again, entries) == []
    assert sum(a["when"] == b["when"] for a, b in zip(entries, again)) >= STUDENTS - 1
    assert len(Records(out / "records.jsonl").lines) == STUDENTS


def test_two_graders_do_not_write_to_one_folder(submissions, tmp_path):
    (tmp_path / "out").mkdir()
    with alone(tmp_path / "out"), pytest.raises(RuntimeError, match="another grader"):
        run.run(submissions, tmp_path / "out", progress=False)


def test_the_seed_is_kept_for_appeals(submissions, tmp_path):
    out = tmp_path
    assert run._seed(out, None) == run._seed(out, None)
    first = run._seed(out, None)
    assert run._seed(out, 5) == 5 == run._seed(out, None)
    kept = json.loads((out / "seed.json").read_text())
    assert [one["seed"] for one in kept["earlier"]] == [first]
    assert (out / "seed.json").stat().st_mode & 0o077 == 0, "only its owner reads it"


@pytest.mark.thorough
def test_a_worker_that_dies_costs_no_other_its_grade(submissions, tmp_path, monkeypatch):
    """The pool breaks while one file is graded: the rest is graded by a new one, and the file is not graded at all rather than zero."""
    original = run._submit

    def deadly(handed, seed, limits, allow_weak, remote, pool, index):
        if handed[index].student == "student-05":
            return pool.submit(os._exit, 1)
        return original(handed, seed, limits, allow_weak, remote, pool, index)

    monkeypatch.setattr(run, "_submit", deadly)
    monkeypatch.setattr(run, "THREADS", 0)  # a pool of processes, as for many workers
    few = tmp_path / "in"
    for number in (4, 5, 6):
        place = few / f"student-{number:02}"
        place.mkdir(parents=True)
        (place / f"{NAME}.ipynb").write_bytes((submissions / place.name / f"{NAME}.ipynb").read_bytes())
    entries = {e["student"]: e for e in run.run(few, tmp_path / "out", seed=77, workers=2, progress=False)}
    assert "not graded" in entries["student-05"]["problem"] and not entries["student-05"]["verdicts"]
    assert all(
        entries[name]["verdicts"] and not entries[name]["problem"] for name in ("student-04", "student-06")
    )
    assert lines(tmp_path / "out") == 2, "what was not graded is tried again by the next run"
