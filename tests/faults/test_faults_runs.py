"""Faults of a run: unfinished tuning, interruptions, folders and disks, parts of a grid, identity. The table is in utils/experiments/README.md."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future

import pytest
import torch

from tests.experiment_toys import ME, RATES, TUNED, cell, experiment, run, sizes, tune
from utils.data import ImageSplit
from utils.experiments import checkpoint
from utils.experiments import runner as module
from utils.experiments.__main__ import main
from utils.experiments.audit import audit_file
from utils.experiments.declare import cell_id, find
from utils.experiments.results import Mixed, append, claim, load, path_of
from utils.experiments.runner import Runner
from utils.paths import ROOT

HERE = {"precision": "float32", "device": "cpu"}


def lrs(folder):
    return {(row["model"], row["size"]): row["lr"] for row in load("toy", folder, stage="main")}


# ------------------------------------------------------------------------------------------ unfinished tuning


@pytest.mark.slow
def test_two_commands_at_once_record_no_rate_of_unfinished_tuning(tmp_path):
    """The best rate is held by another command: its model waits, in a sentence; the other model goes on."""
    held = cell_id(HERE | tune(0.01, "a"))
    with claim("toy", held, tmp_path) as ours:
        assert ours
        outcome, said = run_elsewhere(tmp_path)
    assert set(lrs(tmp_path)) == {("b", 1), ("b", 2)}
    assert any("2 cells of a wait for a learning rate: 1 tuning cells" in line for line in said)
    assert outcome["ok"], said
    run(TUNED, tmp_path)
    assert set(lrs(tmp_path).values()) == {0.01} and len(lrs(tmp_path)) == 4


def run_elsewhere(folder):
    """A run in another process: a lock of this one does not hold against itself."""
    code = f"""
import json, sys
from tests.experiment_toys import TUNED, run
outcome, said = run(TUNED, {str(folder)!r})
print(json.dumps([{{"ok": outcome.ok}}, said]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_expensive_tuning_cell_that_is_put_off_holds_its_main_cells_back(tmp_path, monkeypatch):
    """With --minutes, cheap main cells used to run while dear tuning cells were put off."""
    dear = cell_id(HERE | tune(0.01, "a"))
    real = module.Clock.cost
    monkeypatch.setattr(module.Clock, "cost", lambda self, c: 1e9 if cell_id(c) == dear else real(self, c))
    outcome, said = run(TUNED, tmp_path, minutes=60)
    assert outcome.ok and outcome.postponed == 1 and outcome.waiting == 2
    assert set(lrs(tmp_path)) == {("b", 1), ("b", 2)}, said
    monkeypatch.undo()
    run(TUNED, tmp_path)
    assert set(lrs(tmp_path).values()) == {0.01}


def test_a_tuning_cell_that_fails_once_is_no_choice_among_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_ONCE", str(tmp_path / "failed"))
    what = experiment(
        [cell(1, lr=None)], lambda preset: [tune(lr, kind="once" if lr == 0.01 else "") for lr in RATES]
    )
    outcome, _ = run(what, tmp_path)
    assert len(outcome.failures) == 2 and "because tuning failed" in outcome.failures[1]
    assert not load("toy", tmp_path, stage="main")
    outcome, _ = run(what, tmp_path)
    assert outcome.ok and lrs(tmp_path) == {("toy", 1): 0.01}


def test_a_row_names_the_tuning_rows_that_it_rests_on(tmp_path):
    run(TUNED, tmp_path)
    tuning = {row["cell"]: row for row in load("toy", tmp_path, stage="tune")}
    for row in load("toy", tmp_path, stage="main"):
        assert {tuning[name]["model"] for name in row["tuned_on"]} == {row["model"]}
        assert sorted(tuning[name]["lr"] for name in row["tuned_on"]) == sorted(RATES)


def test_a_second_row_of_one_place_is_refused_at_the_door(tmp_path):
    run(TUNED, tmp_path)
    path = path_of("toy", tmp_path)
    row = load("toy", tmp_path, stage="main")[0]
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"toy.jsonl has a row with cell {row['cell']} already"):
        append(path, row | {"lr": 0.5, "test_accuracy": 0.9})
    assert path.read_bytes() == before
    assert cell_id(HERE | cell(1, lr=None, model="a")) == row["cell"], (
        "a tuned rate is no part of the identity"
    )


def test_rates_that_changed_after_a_row_was_recorded_are_said_and_not_mixed(tmp_path):
    narrow = experiment([cell(1, lr=None)], lambda preset: [tune(lr) for lr in (0.1, 0.001)])
    wide = experiment([cell(1, lr=None), cell(2, lr=None)], lambda preset: [tune(lr) for lr in RATES])
    run(narrow, tmp_path)
    assert lrs(tmp_path) == {("toy", 1): 0.001}
    outcome, _ = run(wide, tmp_path)
    assert lrs(tmp_path) == {("toy", 1): 0.001, ("toy", 2): 0.01}
    assert len(outcome.failures) == 1
    assert "recorded with learning rate 0.001, and tuning says 0.01; take its line out" in outcome.failures[0]


# ------------------------------------------------------------------------------------------ interruptions, disks


class Half(Executor):
    """Computes the first cell, and is interrupted while a second is at work: the first one's result was not looked at yet."""

    def __init__(self):
        self.count = 0

    def submit(self, function, /, *arguments, **named):
        self.count += 1
        future: Future = Future()
        if self.count == 1:
            future.set_result(function(*arguments, **named))
        else:
            raise KeyboardInterrupt
        return future


def test_a_result_that_nobody_had_looked_at_is_recorded_when_the_run_is_stopped(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(experiment([cell(1), cell(2)]), tmp_path, workers=2, executor=Half())
    assert sizes(tmp_path) == [1]


def test_ctrl_c_on_a_disk_that_refuses_prints_the_finished_rows(tmp_path, monkeypatch, capsys):
    def full(path, row):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "append", full)
    what = experiment([cell(1), cell(2), cell(3, kind="interrupt")])
    runner = Runner(what, "smoke", folder=tmp_path, say=lambda text: None)
    with pytest.raises(KeyboardInterrupt):
        runner.run()
    printed = [json.loads(line)["size"] for line in capsys.readouterr().err.splitlines()]
    assert printed == [1, 2] and len(runner.outcome.failures) == 2 and runner.outcome.recorded == 0


def test_the_command_says_what_was_kept_when_it_is_stopped(tmp_path, monkeypatch, capsys):
    what = experiment([cell(1), cell(2, kind="interrupt")])
    monkeypatch.setattr("tests.experiment_toys.MANY", what)
    words = ["run", f"{ME}:MANY", "--preset", "smoke", "--workers", "0", "--folder", str(tmp_path)]
    assert main(words) == 130
    assert "stopped: 1 recorded by this command; the same command goes on" in capsys.readouterr().out
    assert sizes(tmp_path) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_run_and_keeps_what_is_finished(tmp_path, number):
    words = ["run", f"{ME}:SLOW", "--preset", "smoke", "--workers", "1", "--folder", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "utils.experiments", *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 240
    while not sizes(tmp_path) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=240)[0]
    assert process.returncode == 130 and "the same command goes on" in said
    assert 1 <= len(sizes(tmp_path)) < 40


def test_a_folder_that_cannot_be_written_is_found_before_the_first_cell(tmp_path, monkeypatch, capsys):
    log = tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        words = ["run", f"{ME}:MANY", "--preset", "smoke", "--workers", "0", "--folder", str(folder)]
        assert main(words) == 2
        error = capsys.readouterr().err
        assert str(folder) in error and "can't be written to" in error and "give another folder" in error
    assert not log.exists(), "a cell was computed"


def test_a_cell_that_calls_exit_costs_itself_only(tmp_path):
    outcome, _ = run(experiment([cell(1, kind="exit"), cell(2)]), tmp_path)
    assert sizes(tmp_path) == [2] and "SystemExit" in outcome.failures[0]


@pytest.mark.slow
def test_a_worker_that_is_killed_while_tuning_holds_its_model_back_only(tmp_path):
    what = experiment(
        [cell(1, lr=None, model=m) for m in ("a", "b")],
        lambda preset: [
            tune(lr, m, kind="killed" if (m, lr) == ("a", 0.1) else "") for m in ("a", "b") for lr in RATES
        ],
    )
    outcome, _ = run(what, tmp_path, workers=1)
    assert lrs(tmp_path) == {("b", 1): 0.01} and not outcome.ok


# ------------------------------------------------------------------------------------------ parts of a grid


def test_one_main_cell_tunes_its_own_model_only(tmp_path):
    outcome, said = run(TUNED, tmp_path, only={"model": ["a"], "size": ["1"]})
    assert lrs(tmp_path) == {("a", 1): 0.01} and outcome.recorded == 4
    assert {row["model"] for row in load("toy", tmp_path)} == {"a"}
    assert said[0].startswith("[1/3]") and said[-1].startswith("[1/1]")


def test_the_time_left_counts_what_will_run(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(module.Clock, "left", lambda self, cells: seen.append(len(list(cells))) or 0.0)
    run(TUNED, tmp_path, only={"model": ["a"], "size": ["1"]})
    assert seen == [3, 2, 1], "two tuning cells and one main cell after the first"
    seen.clear()
    run(experiment([cell(n) for n in range(18)]), tmp_path / "limited", limit=2)
    assert seen == [1]


def test_the_first_of_a_limited_run_is_numbered_one(tmp_path):
    _, said = run(experiment([cell(n) for n in range(18)]), tmp_path, limit=2)
    assert [line.split()[0] for line in said] == ["[1/2]", "[2/2]"]


# ------------------------------------------------------------------------------------------ identity


@pytest.mark.parametrize("change", [{"precision": "bfloat16"}, {"device": "cuda"}])
def test_precision_and_device_are_part_of_a_row_s_identity(change):
    assert cell_id(HERE | cell(1)) != cell_id(HERE | change | cell(1))


def test_a_module_s_path_is_no_part_of_a_row_s_identity():
    first = cell(1, spec={"where": "solutions.vit:ViT", "stand_in": "utils.x:ViT", "args": {"dim": 8}})
    assert cell_id(first) == cell_id(first | {"spec": {"where": "elsewhere:ViT", "args": {"dim": 8}}})
    assert cell_id(first) == cell_id(first | {"task": "moved.to.here:work"})
    assert cell_id(first) != cell_id(first | {"spec": {"where": "solutions.vit:ViT", "args": {"dim": 9}}})
    assert cell_id(first) != cell_id(first | {"model": "CNN"})


def test_rows_of_two_precisions_are_not_read_together_unless_told_to(tmp_path):
    what = experiment([cell(1), cell(2)])
    run(what, tmp_path)
    _, said = run(what, tmp_path, precision="bfloat16", only={"size": ["1"]})
    assert any("rows of this preset were made in float32 on cpu" in line for line in said)
    with pytest.raises(Mixed, match="2 in float32 on cpu .*; 1 in bfloat16 on cpu"):
        load("toy", tmp_path)
    assert (
        len(load("toy", tmp_path, precision="float32")) == 2 and len(load("toy", tmp_path, mixed=True)) == 3
    )


def test_rows_of_two_versions_of_torch_are_not_read_together(tmp_path):
    run(experiment([cell(1)]), tmp_path)
    row = load("toy", tmp_path)[0]
    append(path_of("toy", tmp_path), row | {"cell": "x", "versions": {"torch": "9.1.0+cu"}})
    with pytest.raises(Mixed, match="with torch 9.1"):
        load("toy", tmp_path)


def test_other_data_under_the_same_name_are_refused(tmp_path, monkeypatch):
    run(experiment([cell(1, data="photos")]), tmp_path)
    monkeypatch.setenv("TOY_DATA", "d1")
    outcome, _ = run(experiment([cell(1, data="photos"), cell(2, data="photos")]), tmp_path)
    assert sizes(tmp_path) == [1]
    assert "saw different data under the name photos (fingerprints d0, d1)" in outcome.failures[0]


def test_a_preset_says_when_the_machine_is_not_what_it_was_declared_for(tmp_path):
    what = experiment([cell(1)], presets=("gpu",))
    said: list[str] = []
    Runner(what, "gpu", folder=tmp_path, device="cpu", say=said.append).run()
    assert "preset gpu were chosen for cuda, and this run computes on cpu" in said[0]


def test_the_checkpoint_can_be_chosen_on_images_that_are_no_test_images(monkeypatch):
    def images(start, n):
        return ImageSplit(
            torch.arange(start, start + n).view(n, 1, 1, 1).expand(n, 3, 2, 2),
            torch.zeros(n, dtype=torch.int64),
        )

    class Data:
        stands_in_for, source, note = None, "here", ""
        train, test = images(0, 20), images(100, 5)

    monkeypatch.setattr(checkpoint, "load_images", lambda name, limit=None: Data)
    data, _ = checkpoint.load_data(None, 6)
    held, rest = (set(data[k][0][:, 0, 0, 0].tolist()) for k in ("validation", "train"))
    assert (
        set(data) == {"train", "validation"}
        and len(held) == 6
        and held | rest == set(range(20))
        and not held & rest
    )
    assert set(checkpoint.load_data(None, 0)[0]) == {"train", "test"}
    with pytest.raises(ValueError, match="--validation 20 leaves none"):
        checkpoint.load_data(None, 20)


def test_status_counts_places_and_not_lines(tmp_path, capsys):
    row = load("distance")[0]
    path = path_of("distance", tmp_path)
    path.write_text(3 * (json.dumps(row) + "\n"))
    assert main(["status", "--folder", str(tmp_path)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("distance"))
    assert "cpu 1/6" in line and "3 rows" in line
    assert "are rows of one and the same place" in str(audit_file(path))
    assert find("distance").presets == ("smoke", "cpu", "gpu")
