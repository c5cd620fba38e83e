"""The runner: resumes, runs nothing twice, survives SIGKILL, full disks, missing data and cells that run out of memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.experiment_toys import MANY, ME, cell, experiment, run, sizes, tune
from utils.experiments.__main__ import main
from utils.experiments.declare import Experiment, cell_id
from utils.experiments.results import load, path_of
from utils.experiments.tuning import tuning_of
from utils.experiments.workers import Clock, duration

ROOT = Path(__file__).parents[1]
HERE = {"precision": "float32", "device": "cpu"}
FAILING = experiment([cell(1), cell(2, kind="killed"), cell(3), cell(4, kind="memory"), cell(5), cell(6)])


def test_every_cell_is_recorded_once_with_its_provenance(tmp_path):
    outcome, said = run(MANY, tmp_path)
    assert outcome.recorded == 12 and outcome.ok and sizes(tmp_path) == list(range(12))
    row = load("toy", tmp_path)[0]
    for column in ("command", "machine", "versions", "seconds", "cell", "finished"):
        assert row[column], column
    assert row["cell"] == cell_id(HERE | cell(0, seconds_of_work=0.05))
    assert "[1/12]" in said[0] and "[12/12]" in said[-1] and "left: nothing" in said[-1]
    outcome, said = run(MANY, tmp_path)
    assert (outcome.recorded, outcome.already) == (0, 12) and not said


def test_only_and_limit_take_parts_of_the_grid(tmp_path):
    run(MANY, tmp_path, only={"size": ["3", "5"]})
    assert sizes(tmp_path) == [3, 5]
    run(MANY, tmp_path, limit=2)
    assert sizes(tmp_path) == [0, 1, 3, 5]
    outcome, _ = run(MANY, tmp_path, minutes=0)
    assert outcome.recorded == 0 and outcome.postponed == 8


def test_a_changed_declaration_is_another_cell():
    assert cell_id(cell(1)) == cell_id(dict(reversed(cell(1).items())))
    assert cell_id(cell(1)) != cell_id(cell(1, lr=0.2))
    assert cell_id(cell(1, args={"depths": (2, 2)})) == cell_id(cell(1, args={"depths": [2, 2]}))


@pytest.mark.slow
def test_cells_that_fail_cost_themselves_only(tmp_path):
    """One worker's process is killed by the system, one cell runs out of memory; all others are recorded."""
    outcome, said = run(FAILING, tmp_path, workers=2)
    assert sizes(tmp_path) == [1, 3, 5, 6]
    assert len(outcome.failures) == 2 and not outcome.ok
    text = "\n".join(outcome.failures)
    assert "2 images" in text and "its process was killed, most likely for taking too much memory" in text
    assert "4 images" in text and "out of memory (MemoryError)" in text
    assert sum("FAILED" in line for line in said) == 2


def test_a_missing_data_set_is_named_and_the_rest_goes_on(tmp_path):
    outcome, _ = run(experiment([cell(1, kind="missing"), cell(2)]), tmp_path)
    assert sizes(tmp_path) == [2]
    assert outcome.failures == ["toy, 1 images, seed 0: the data set 'x' is not here"]


def test_without_a_mirror_a_real_data_set_is_not_replaced_in_silence(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("utils.data.door.open_hub", _refuse)
    from utils.experiments import image_data

    image_data.whole.cache_clear()
    image_data._order.cache_clear()
    words = [
        "run",
        "symmetry",
        "--preset",
        "cpu",
        "--workers",
        "0",
        "--limit",
        "1",
        "--folder",
        str(tmp_path),
    ]
    monkeypatch.setattr("utils.experiments.grids.symmetry.EXPERIMENT", _untuned("symmetry"))
    assert main(words) == 1
    assert "the data set 'cifar10' is not here" in capsys.readouterr().out
    assert load("symmetry", tmp_path) == []


def _refuse(spec):
    from utils.data.readers import Unavailable

    raise Unavailable("no network in this test")


def _untuned(name):
    from utils.experiments.declare import find

    cells = [c | {"lr": 1e-3} for c in find(name).main_cells("cpu")]
    return Experiment("?", lambda preset: cells, lambda rows: {}, name=name)


def test_a_full_disk_is_reported_and_results_wait_in_memory(tmp_path, monkeypatch, capsys):
    from utils.experiments import runner

    real, calls = runner.append, []

    def full_for_a_while(path, row):
        calls.append(row["size"])
        if len(calls) <= 2:
            raise OSError(28, "No space left on device")
        real(path, row)

    monkeypatch.setattr(runner, "append", full_for_a_while)
    outcome, said = run(experiment([cell(n) for n in range(4)]), tmp_path)
    assert sizes(tmp_path) == [0, 1, 2, 3] and outcome.ok
    assert sum("No space left on device" in line for line in said) == 2

    monkeypatch.setattr(
        runner, "append", lambda path, row: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    outcome, said = run(experiment([cell(n) for n in (7, 8)]), tmp_path)
    assert len(outcome.failures) == 2 and "could not be written" in outcome.failures[0]
    printed = [json.loads(line)["size"] for line in capsys.readouterr().err.splitlines()]
    assert printed == [7, 8]  # nothing is lost: the lines can be pasted into the file


def test_learning_rates_come_from_the_tuning_cells(tmp_path):
    tuning = [cell(0, stage="tune", lr=lr, seed=9) for lr in (0.1, 0.01, 0.001)]
    outcome, _ = run(experiment([cell(1, lr=None), cell(2, lr=None)], lambda preset: tuning), tmp_path)
    assert outcome.recorded == 5
    assert [row["lr"] for row in load("toy", tmp_path, stage="main")] == [0.01, 0.01]
    assert all("test_accuracy" not in row for row in load("toy", tmp_path, stage="tune"))


def test_of_rates_that_are_equally_good_the_middle_one_is_taken():
    rates = (0.001, 0.003, 0.01, 0.03)
    plan = experiment([cell(1, lr=None)], lambda preset: [tune(lr) for lr in (0.3, *rates)])
    cells = [HERE | one for one in plan.tuning_cells("smoke")]
    for best, chosen in ((rates, 0.003), (rates[:3], 0.003), (rates[1:], 0.01), ((0.3,), 0.3)):
        rows = [
            one | {"cell": cell_id(one), "validation_accuracy": float(one["lr"] in best)} for one in cells
        ]
        (rate,) = tuning_of(plan, "smoke", rows, HERE).rates.values()
        assert rate.lr == chosen and len(rate.tuned_on) == 5


def test_tuning_that_was_cut_short_is_no_failure(tmp_path):
    tuning = [cell(0, stage="tune", lr=lr, seed=9) for lr in (0.1, 0.01, 0.001)]
    what = experiment([cell(1, lr=None)], lambda preset: tuning)
    outcome, _ = run(what, tmp_path, limit=2)
    assert outcome.recorded == 2 and outcome.ok, outcome.failures
    outcome, _ = run(what, tmp_path, minutes=0)
    assert outcome.recorded == 0 and outcome.ok, outcome.failures
    outcome, _ = run(what, tmp_path)
    assert outcome.recorded == 2 and outcome.ok


def test_failed_tuning_is_said(tmp_path):
    tuning = [cell(0, stage="tune", kind="memory")]
    outcome, _ = run(experiment([cell(1, lr=None)], lambda preset: tuning), tmp_path)
    assert "wait for a learning rate" in outcome.failures[-1]


def _start(folder, log, workers):
    words = ["run", f"{ME}:MANY", "--preset", "smoke", "--workers", str(workers), "--folder", str(folder)]
    environment = os.environ | {"TOY_LOG": str(log), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "utils.experiments", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_any_moment_nothing_is_lost_and_nothing_recorded_runs_again(tmp_path, workers):
    log = tmp_path / "log"
    log.touch()
    done_before: list[int] = []
    for wanted in (1, 5):  # killed once so many cells are recorded, wherever it is then
        process = _start(tmp_path, log, workers)
        until = time.monotonic() + 600
        while len(sizes(tmp_path)) < wanted and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        time.sleep(1.0 if workers else 0.0)  # orphans end by themselves
        done = sizes(tmp_path)
        assert set(done_before) <= set(done) and len(done) == len(set(done)) < 12
        done_before = done
        log.write_text("")
    assert _start(tmp_path, log, workers).wait(1200) == 0
    assert sizes(tmp_path) == list(range(12))
    started = [int(line.split()[1]) for line in log.read_text().splitlines()]
    assert not set(started) & set(done_before), "a recorded cell was computed again"
    assert len(started) == 12 - len(done_before)
    assert not list((tmp_path / ".claims").iterdir())


@pytest.mark.slow
def test_two_commands_at_once_share_the_grid(tmp_path):
    log = tmp_path / "log"
    first, second = _start(tmp_path, log, 0), _start(tmp_path, log, 0)
    assert first.wait(1200) == second.wait(1200) == 0
    started = [line for line in log.read_text().splitlines() if line.startswith("start")]
    assert sizes(tmp_path) == list(range(12)) and len(started) == 12


def test_dask_takes_the_place_of_own_processes(tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        outcome, _ = run(
            experiment([cell(n) for n in range(3)]),
            tmp_path,
            workers=1,
            executor=client.get_executor(pure=False),
        )
    assert outcome.recorded == 3 and sizes(tmp_path) == [0, 1, 2]


def test_time_left_comes_from_the_cells_that_are_done():
    clock = Clock(workers=2)
    assert clock.left([cell(1)]) is None
    clock.add(cell(1, steps=10, batch=10), 5.0)
    clock.add(cell(1, model="slow", steps=10, batch=10), 20.0)
    waiting = [
        cell(1, steps=20, batch=10),
        cell(1, model="slow", steps=10, batch=10),
        cell(1, model="new", steps=10, batch=10),
    ]
    assert clock.left(waiting) == pytest.approx((10 + 20 + 12.5) / 2)
    assert (duration(45), duration(600), duration(7200), duration(None)) == (
        "45 s",
        "10 min",
        "2.0 h",
        "unknown",
    )


def test_commands_explain_themselves(capsys, tmp_path):
    assert main(["list", "--predictions"]) == 0
    assert "predicted before the first run" in capsys.readouterr().out
    assert main(["status", "--folder", str(tmp_path)]) == 0
    assert "label-rule     smoke 0/" in capsys.readouterr().out
    assert main(["run", "nonsense", "--preset", "smoke"]) == 2
    assert "no experiment 'nonsense'; there are" in capsys.readouterr().err
    assert path_of("x", tmp_path).parent == tmp_path
