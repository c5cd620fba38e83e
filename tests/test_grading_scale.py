"""The trusted path on several workers and machines: every grade arrives, once, whatever dies; a regrade redoes what changed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pytest

from tests.deliveries import FILE, lay, right
from utils.authoring.bench_grading import course
from utils.experiments import cluster as experiments_cluster
from utils.grading import isolation, run

pytestmark = pytest.mark.skipif(not isolation.probe().safe, reason=isolation.probe().sentence())
COUNT = 200


@pytest.fixture(scope="module")
def trivial(tmp_path_factory):
    """A course of one short notebook, and a class that handed it in."""
    folder = course.make(tmp_path_factory.mktemp("trivial") / "course")
    course.hand_in(folder, COUNT)
    course.hand_in(folder, 6, where="few")
    return folder


def command(folder, where, out, *options):
    arguments = ["-m", "utils.grading", "grade", str(folder / where), str(out), "--seed", "11", *options]
    return {
        "args": [sys.executable, *arguments],
        "cwd": folder,
        "env": course.environment(folder),
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def grade(folder, where, out, *options):
    done = subprocess.run(**command(folder, where, out, *options), check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def lines(out):
    path = out / "records.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def points(out):
    return {
        e["student"]: {v["exercise"]: v["points"] == v["possible"] for v in e["verdicts"]} for e in lines(out)
    }


def wanted(count):
    return {f"student-{number + 1:04d}": course.expected_points(number) for number in range(count)}


def soon(condition, seconds=300.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)


@pytest.fixture
def cluster(tmp_path):
    """A Dask scheduler and two workers, started as Dask's pages say, in a folder that is not the course's. Gives the address and the workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bare = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    common = {
        "cwd": elsewhere,
        "env": bare,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    scheduler = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--no-dashboard",
    ]
    worker = [
        sys.executable,
        "-m",
        "distributed.cli.dask_worker",
        address,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--memory-limit",
        "0",
    ]
    processes = [subprocess.Popen(scheduler, **common)]
    try:
        processes += [subprocess.Popen(worker, **common) for _ in range(2)]
        yield address, processes[1:]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


@pytest.mark.thorough
def test_a_worker_is_killed_midway_and_all_grades_arrive_once(trivial, cluster, tmp_path):
    pytest.importorskip("distributed")
    address, workers = cluster
    out = tmp_path / "out"
    process = subprocess.Popen(**command(trivial, "submissions", out, "--scheduler", address))
    try:
        soon(lambda: len(lines(out)) >= 4 or process.poll() is not None)
        done_before = len(lines(out))
        assert process.poll() is None and done_before < COUNT - 4, "the kill must come midway"
        workers[0].send_signal(signal.SIGKILL)
        told, said = process.communicate(timeout=600)
    finally:
        process.kill()
    assert process.returncode == 0, said[-3000:]
    graded = Counter((entry["student"], entry["notebook"]) for entry in lines(out))
    assert len(graded) == COUNT and set(graded.values()) == {1}
    assert points(out) == wanted(COUNT)
    assert not [entry for entry in lines(out) if entry["problem"]]
    assert workers[0].poll() == -signal.SIGKILL and workers[1].poll() is None
    soon(lambda: zygotes_of(workers[0].pid) == [], 60)


def zygotes_of(pid):
    """Sandboxes that a grading process (named on their command line) has left."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if re.search(rf"utils\.grading\.zygote \d+ {pid}$", line)]


def test_workers_that_lack_something_are_named_and_no_gradebook_is_written(trivial, cluster, tmp_path):
    address, workers = cluster
    for worker in workers:
        worker.kill()
        worker.wait()
    done = subprocess.run(**command(trivial, "few", tmp_path / "out", "--scheduler", address), check=False)
    assert done.returncode == 2 and f"no worker has come to the scheduler at {address}" in done.stderr
    assert not (tmp_path / "out" / "grades.csv").exists()
    assert "lacks no_such_library (Python 3." in experiments_cluster._lacks(("torch", "no_such_library"), "")
    assert "another version of the course" in experiments_cluster._lacks(("torch",), "another")
    assert experiments_cluster._lacks(("torch",), experiments_cluster.content_of()) == ""


def test_where_nothing_could_be_graded_there_is_no_gradebook(tmp_path, monkeypatch):
    def lost(*given):
        raise OSError("no memory")

    folder = lay(tmp_path / "in", {f"Ann/{FILE}": right(), "Ben/hw.pdf": b"%PDF-1.7"})
    monkeypatch.setattr(run, "grade_one", lost)
    with pytest.raises(RuntimeError, match="no gradebook is written. OSError: no memory"):
        run.run(folder, tmp_path / "out", seed=1, progress=False, allow_weak=True)


def test_whatever_one_file_raises_is_that_file_s(tmp_path, monkeypatch):
    """A panic of a library in Rust is no `Exception`; the class goes on, and the file is tried again by the next run."""

    class Panic(BaseException):
        pass

    grade_one = run.grade_one

    def breaks(content, *given):
        if "Ann" in content:
            raise Panic("seen once")
        return grade_one(content, *given)

    folder = lay(tmp_path / "in", {f"Ann/{FILE}": right(), f"Ben/{FILE}": right()})
    monkeypatch.setattr(run, "grade_one", breaks)
    found = {e["student"]: e for e in run.run(folder, tmp_path / "out", seed=1, progress=False)}
    assert "Panic: seen once" in found["Ann"]["problem"] and not found["Ann"]["verdicts"]
    assert {v["state"] for v in found["Ben"]["verdicts"]} == {"passed"}
    assert len(lines(tmp_path / "out")) == 1


def test_workers_here_give_the_same_grades_and_a_bar_with_the_time_left(trivial, tmp_path):
    for workers in ("1", "2"):
        done = grade(trivial, "few", tmp_path / workers, "--workers", workers)
        assert points(tmp_path / workers) == wanted(6)
        assert re.search(r"6/6 \[\d+:\d+<\d+:\d+", done.stderr), "count, elapsed and remaining time"
    one, two = ((tmp_path / w / "grades.csv").read_text() for w in "12")
    assert one == two


@pytest.mark.thorough
def test_a_regrade_touches_only_what_changed(trivial, tmp_path):
    out = tmp_path / "out"
    grade(trivial, "few", out)
    before = lines(out)
    path = trivial / "few" / "student-0002" / f"{course.NAME}.ipynb"
    text = path.read_text()
    try:
        path.write_text(text.replace("x.sum(dim=0)", "x.sum(dim=-1)"))
        done = grade(trivial, "few", out)
    finally:
        path.write_text(text)
    after = lines(out)
    assert after[: len(before)] == before and [entry["student"] for entry in after[len(before) :]] == [
        "student-0002"
    ]
    assert "1/1" in done.stderr
    assert all(v["points"] == v["possible"] for v in after[-1]["verdicts"])
    os.utime(path)
    grade(trivial, "few", out)
    assert len(lines(out)) == len(after), "the first version was graded before, and a new date is no change"
    grade(trivial, "few", out, "--seed", "12")
    assert len(lines(out)) == len(after) + 6, "other hidden cases are"
