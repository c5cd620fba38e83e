"""A comparison has one precision: measured at its start, recorded, and kept; and what the preset t4 is expected to take."""

from __future__ import annotations

import json
import re

import pytest
import torch

from tests import experiment_toys
from tests.experiment_toys import ME, cell, experiment, tune
from utils.budget import T4_FLOPS, T4_STEP, t4_minutes
from utils.experiments import checkpoint, precision_choice
from utils.experiments.__main__ import main
from utils.experiments.declare import PRESETS, cell_id, find
from utils.experiments.models import MODELS
from utils.experiments.precision_choice import choose, measure
from utils.experiments.results import Mixed, load, path_of
from utils.experiments.workload import loads, minutes_on_a_t4
from utils.training.precision import precision_for

SPEC = MODELS["smoke"]["CNN"]
GRID = experiment(
    [cell(n, preset="cpu", spec=SPEC, lr=None) for n in range(3)],
    lambda preset: [tune(lr, preset="cpu", spec=SPEC) for lr in (0.1, 0.01)],
    presets=("smoke", "cpu"),
)


@pytest.fixture
def processor(monkeypatch):
    """A CPU with native bfloat16 whose measurement gives what the test says; counts how often it was asked."""

    class Processor:
        ratio, asked = 1.5, 0

    def measured(found):
        Processor.asked += 1
        return {"float32": Processor.ratio, "bfloat16": 1.0, "ratio": Processor.ratio}

    monkeypatch.setattr(precision_choice, "has_native_bfloat16", lambda: True)
    monkeypatch.setattr(precision_choice, "measure", measured)
    monkeypatch.setattr("tests.experiment_toys.MANY", GRID)
    return Processor


def run(folder, *more):
    return main(
        [
            "run",
            f"{ME}:MANY",
            "--preset",
            "cpu",
            "--device",
            "cpu",
            "--workers",
            "0",
            "--folder",
            str(folder),
            *more,
        ]
    )


@pytest.mark.parametrize(("ratio", "name"), [(1.5, "bfloat16"), (1.05, "float32"), (0.5, "float32")])
def test_the_faster_precision_is_taken_said_and_stands_in_every_row(processor, tmp_path, capsys, ratio, name):
    processor.ratio = ratio
    assert run(tmp_path) == 0
    said = capsys.readouterr().out
    assert f"Computing on cpu in {name}: bfloat16 takes {1 / ratio:.2f} times as long" in said
    rows = load("toy", tmp_path)
    assert len(rows) == 5 and {row["precision"] for row in rows} == {name}
    assert all(row["precision_measured"]["ratio"] == ratio for row in rows)
    assert processor.asked == 1


def test_rows_that_are_there_decide_and_nothing_is_measured_again(processor, tmp_path, capsys):
    assert run(tmp_path, "--limit", "3") == 0
    processor.ratio = 0.5  # another day
    assert run(tmp_path) == 0
    rows = load("toy", tmp_path)  # would raise Mixed
    assert len(rows) == 5 and {row["precision"] for row in rows} == {"bfloat16"}
    assert all(row["precision_measured"]["ratio"] == 1.5 for row in rows) and processor.asked == 1
    assert "the recorded rows of this comparison are in it" in capsys.readouterr().out
    assert run(tmp_path, "--precision", "float32") == 0, "a person may still say otherwise, into other rows"
    with pytest.raises(Mixed, match="5 in bfloat16 on cpu .*; 5 in float32 on cpu"):
        load("toy", tmp_path)


def test_two_commands_that_begin_at_once_agree(processor, tmp_path):
    first = choose(GRID, "cpu", tmp_path, device="cpu")
    processor.ratio = 0.5
    second = choose(GRID, "cpu", tmp_path, device="cpu")
    assert first == second and first.precision.name == "bfloat16" and processor.asked == 1
    place = next((tmp_path / ".claims").iterdir())
    assert json.loads(place.read_text())["ratio"] == 1.5
    place.write_text('{"flo')  # a kill in the middle of writing
    assert choose(GRID, "cpu", tmp_path, device="cpu").precision.name == "float32"
    assert run(tmp_path) == 0 and not list((tmp_path / ".claims").iterdir()), "rows decide from now on"


def test_the_tuning_of_another_experiment_decides_too(processor, tmp_path, monkeypatch):
    assert run(tmp_path, "--limit", "2") == 0
    processor.ratio = 0.5
    monkeypatch.setattr("utils.experiments.declare.find", lambda name: GRID)
    borrower = experiment([cell(1, preset="cpu", spec=SPEC, lr=None)], rates_from="toy")
    other = type(borrower)(**(vars(borrower) | {"name": "other"}))
    assert choose(other, "cpu", tmp_path, device="cpu").precision.name == "bfloat16"


def test_nothing_is_measured_where_there_is_nothing_to_choose(processor, tmp_path, monkeypatch):
    assert choose(GRID, "smoke", tmp_path, device="cpu").precision.name == "float32"
    assert choose(GRID, "cpu", tmp_path, device="mps").precision.name == "float32"
    assert choose(experiment([cell(1)]), "cpu", tmp_path, device="cpu").precision.name == "float32"
    monkeypatch.setattr(precision_choice, "has_native_bfloat16", lambda: False)
    assert choose(GRID, "cpu", tmp_path, device="cpu").precision.name == "float32"
    assert processor.asked == 0


def test_a_model_that_takes_something_else_is_no_reason_to_stop(monkeypatch, tmp_path):
    monkeypatch.setattr(precision_choice, "has_native_bfloat16", lambda: True)
    odd = {"where": "torch.nn:Bilinear", "args": {"in1_features": 2, "in2_features": 2, "out_features": 2}}
    chosen = choose(experiment([cell(1, spec=odd)]), "cpu", tmp_path, device="cpu")
    assert chosen.precision.name == "float32" and "nothing was measured" in str(chosen)


def test_models_are_weighed_by_how_much_they_are_trained(monkeypatch):
    """One model is twice as fast in bfloat16, one half as fast: the one with more steps decides."""
    clock, cost = (
        [0.0],
        {"fast": {"float32": 2.0, "bfloat16": 1.0}, "slow": {"float32": 1.0, "bfloat16": 2.0}},
    )

    def training_step(load):
        def step(precision):
            clock[0] += cost[load.cell["model"]][precision.name]

        return step

    monkeypatch.setattr(precision_choice, "training_step", training_step)
    monkeypatch.setattr(precision_choice.time, "process_time", lambda: clock[0])
    for steps, ratio in (((30, 10), 70 / 50), ((10, 30), 50 / 70)):
        cells = [
            cell(1, model=name, steps=n, spec=SPEC) for name, n in zip(("fast", "slow"), steps, strict=True)
        ]
        assert measure(loads(experiment(cells), "cpu"))["ratio"] == pytest.approx(ratio, abs=1e-3)


@pytest.mark.parametrize("name", ["crossing", "data-scaling", "label-rule", "text", "token-mixers"])
def test_every_kind_of_model_can_be_measured(name):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    found = loads(find(name), "smoke")
    assert {one.cell["model"] for one in found} == {c["model"] for c in find(name).main_cells("smoke")}
    measured = measure(found[:1])
    assert measured["float32"] > 0 and measured["bfloat16"] > 0 and measured["ratio"] > 0
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("more", "name"), [([], "float32"), (["--precision", "bfloat16"], "bfloat16")])
def test_the_checkpoint_says_its_precision_before_it_trains(tmp_path, monkeypatch, capsys, more, name):
    def train(model, data, settings, path, command):
        assert capsys.readouterr().out == f"{precision_for('cpu', more[-1] if more else None)}\n"
        trained.append(settings["precision"])

    trained: list[str] = []
    monkeypatch.setattr(checkpoint, "make_model", lambda where: None)
    monkeypatch.setattr(checkpoint, "load_data", lambda limit, validation: ({}, "made up"))
    monkeypatch.setattr(checkpoint, "train", train)
    assert main(["checkpoint", "--device", "cpu", *more, "--out", str(tmp_path / "a.safetensors")]) == 0
    assert trained == [name]


# ------------------------------------------------------------------------------------------ the preset t4


def test_a_small_version_of_two_experiments_fits_into_half_an_hour_on_a_t4(monkeypatch, capsys, tmp_path):
    ran = []
    monkeypatch.setattr("utils.experiments.__main__._run_one", lambda name, *rest: ran.append(name) or 0)
    assert main(["run", "crossing", "data-scaling", "--preset", "t4", "--folder", str(tmp_path)]) == 0
    assert ran == ["crossing", "data-scaling"]
    said = capsys.readouterr().out
    assert "20% of its 65 TFLOP/s" in said and "not measured there" in said
    assert 10 < int(re.search(r"together (\d+) min", said)[1]) <= 25, "data are still to be fetched"


def test_the_estimate_is_printed_before_the_first_cell_starts(monkeypatch, capsys, tmp_path):
    """The real command, with cells that say when they are at work."""
    work = experiment_toys.work
    monkeypatch.setattr(experiment_toys, "work", lambda *given: print("at work") or work(*given))
    some = experiment([cell(n, preset="t4", spec=SPEC) for n in range(2)], presets=("smoke", "t4"))
    monkeypatch.setattr(experiment_toys, "MANY", some)
    how = ["--precision", "float32", "--workers", "0", "--folder", str(tmp_path)]
    assert main(["run", f"{ME}:MANY", "--preset", "t4", *how]) == 0
    said = capsys.readouterr().out
    assert said.startswith("On a free T4: toy 0 min (estimated") and said.count("at work") == 2
    absent = experiment(
        [cell(1, preset="t4", model="Gone", spec={"where": "nowhere:Gone", "args": {}})],
        presets=("smoke", "t4"),
    )
    monkeypatch.setattr(experiment_toys, "MANY", absent)
    assert main(["run", f"{ME}:MANY", "--preset", "t4", *how, "--limit", "0"]) == 0
    assert "toy 0 min, without Gone, which this copy of the course does not have" in capsys.readouterr().out


def test_the_estimate_counts_products_steps_and_starts():
    assert t4_minutes(1e9, 1e6) == pytest.approx(6e15 / T4_FLOPS / 60)
    assert t4_minutes(1.0, 10, steps=6_000) == pytest.approx(6_000 * T4_STEP / 60), (
        "small models wait for the processor"
    )
    one = loads(experiment([cell(1, spec=SPEC, steps=600, batch=64, test_images=100)]), "cpu")
    assert (one[0].steps, one[0].examples, one[0].tested, one[0].side) == (600, 38_400, 2_100, 32)
    assert minutes_on_a_t4(one) == pytest.approx((600 * T4_STEP + 3) / 60, rel=0.01)


@pytest.mark.parametrize("name", ["crossing", "data-scaling"])
def test_the_preset_t4_asks_the_same_question_with_fewer_images(name):
    small, large = find(name).main_cells("t4"), find(name).main_cells("gpu")
    assert {c["model"] for c in small} == {c["model"] for c in large}
    assert {c["arm"] for c in small} == {c["arm"] for c in large}
    assert len({c["seed"] for c in small}) >= 3 and len({c["size"] for c in small}) >= 3
    ids = {cell_id(c) for preset in PRESETS for c in find(name).main_cells(preset)}
    assert not ids & {cell_id(c) for c in small}


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (16, 3)])
def test_on_a_gpu_there_are_no_more_workers_than_cores(monkeypatch, tmp_path, cores, workers):
    seen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("utils.experiments.__main__.usable_cores", lambda: cores)
    monkeypatch.setattr(
        "utils.experiments.__main__._run_one",
        lambda name, experiment, options, workers, executor: seen.append(workers) or 0,
    )
    assert main(["run", f"{ME}:MANY", "--preset", "smoke", "--folder", str(tmp_path)]) == 0
    assert seen == [workers] and not path_of("toy", tmp_path).exists()
