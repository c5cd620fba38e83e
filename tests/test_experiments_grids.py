"""The declared experiments: honest by construction, and each of them runs at smoke size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.cost import macs
from utils.experiments import figures, image_data, live, models
from utils.experiments.declare import PRESETS, cell_id, find, names
from utils.experiments.image_training import Hardware
from utils.experiments.live import run_live
from utils.experiments.models import MODELS, MissingModel, build
from utils.experiments.results import load
from utils.experiments.runner import Runner
from utils.experiments.speed import images_per_second
from utils.experiments.verdicts import judge

pytestmark = pytest.mark.slow

IMAGE_MODELS = ("CNN", "ViT", "hybrid ViT", "Swin", "Mixer", "PoolFormer")


@pytest.mark.parametrize("name", names())
def test_a_grid_compares_models_on_the_same_images_and_seeds(name):
    experiment = find(name)
    assert experiment.name == name and experiment.predictions and experiment.question.endswith("?")
    for preset in experiment.presets:
        cells = experiment.main_cells(preset)
        assert len({cell_id(cell) for cell in cells}) == len(cells)
        assert all(cell["experiment"] == name and cell["preset"] == preset for cell in cells)
        places: dict[str, set] = {}
        columns = ["data", "size", "arm", "augment", "rule", "transform", "seed", "steps", "epochs"]
        if name == "crossing":  # trains each model until it has fitted its images, not for equally many steps
            columns.remove("steps")
        for cell in cells:
            place = tuple(str(cell.get(k)) for k in columns)
            places.setdefault(cell["model"], set()).add(place)
        first = places.get("CNN") or places.get("LSTM") or max(places.values(), key=len)
        for model, some in places.items():
            assert some <= first, f"{model} runs where its reference does not"
        if preset != "smoke":
            assert len({cell["seed"] for cell in cells}) >= 3


@pytest.mark.parametrize("name", [name for name in names() if any("cell" in row for row in load(name))])
def test_recorded_rows_are_found_again(name):
    """A cell whose id has changed, say because a module was renamed, would be trained and recorded a second time."""
    experiment, rows = find(name), load(name)
    declared = {
        cell_id({"precision": precision, "device": "cpu"} | cell)
        for precision in {row["precision"] for row in rows}
        for preset in experiment.presets
        for cell in [
            *experiment.main_cells(preset),
            *(experiment.tuning_cells(preset) if experiment.tuning else ()),
        ]
    }
    assert {row["cell"] for row in rows} <= declared


@pytest.mark.parametrize("name", ["data-scaling", "label-rule", "token-mixers"])
def test_tuning_uses_other_seeds_and_equally_many_rates_for_every_model(name):
    experiment = find(name)
    for preset in PRESETS:
        tuning, cells = experiment.tuning(preset), experiment.cells(preset)
        assert not {c["seed"] for c in tuning} & {c["seed"] for c in cells}
        assert all(c["lr"] is None for c in cells)
        tried: dict[tuple, set] = {}
        for cell in tuning:
            tried.setdefault(tuple(cell[k] for k in experiment.tuned_by), set()).add(cell["lr"])
        assert set(tried) == {tuple(c[k] for k in experiment.tuned_by) for c in cells}
        assert len({frozenset(rates) for rates in tried.values()}) == 1


def test_data_scaling_has_both_arms_and_nested_sizes():
    for preset in PRESETS:
        cells = find("data-scaling").cells(preset)
        assert {c["arm"] for c in cells} == {"steps", "epochs"} and {c["augment"] for c in cells} == {
            True,
            False,
        }
        assert all(("steps" in c) == (c["arm"] == "steps") for c in cells)
    gpu = find("data-scaling").cells("gpu")
    assert {c["size"] for c in gpu if c["data"] == "cifar10"} == {500, 1_600, 5_000, 16_000, 50_000}
    assert {c["seed"] for c in gpu if c["size"] == 5_000} == {0, 1, 2, 3, 4}


def test_the_long_preset_goes_from_small_to_large_and_says_whether_it_was_long_enough():
    experiment = find("data-scaling")
    cells = experiment.main_cells("long")
    assert [c["size"] for c in cells] == sorted(c["size"] for c in cells)
    assert all(c["augment"] for c in [*cells, *experiment.tuning_cells("long")])
    for size in (1_000, 5_000, 50_000):
        for model in ("CNN", "ViT", "hybrid ViT"):
            some = [c for c in cells if (c["size"], c["model"]) == (size, model)]
            assert sorted((c["arm"], c["seed"]) for c in some) == [
                ("half", 0),
                *(("steps", n) for n in range(3)),
            ]
            steps = {c["arm"]: c["steps"] for c in some}
            assert steps["half"] * 2 == steps["steps"] and steps["steps"] * 64 >= 30 * size
    assert {c["lr"] for c in experiment.tuning("long")} == {1e-3, 3e-3, 1e-2, 3e-2, 1e-1}


def test_long_rows_are_drawn_and_judged_by_themselves():
    experiment = find("data-scaling")
    errors = {"CNN": (0.5, 0.3, 0.1), "ViT": (0.6, 0.45, 0.2), "hybrid ViT": (0.55, 0.38, 0.15)}
    rows = []
    for cell in experiment.main_cells("long"):
        of = dict(zip((1_000, 5_000, 50_000), errors[cell["model"]], strict=True))
        right = 1 - of[cell["size"]] + 0.001 * cell["seed"]
        rows.append(
            cell | {"test_accuracy": right, "train_accuracy": 0.9, "test_images": 10_000, "classes": 10}
        )
    assert set(experiment.figures(rows)) == {"accuracy", "gap"}
    assert judge(experiment, rows)[-1].outcome == "held"
    worse = [row | {"test_accuracy": 0.8 - 0.1 * (row["model"] == "CNN")} for row in rows]
    assert judge(experiment, worse)[-1].outcome in ("failed", "partly")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_wider_identity_has_as_many_parameters_as_the_token_mlp(preset):
    count = {
        name: sum(p.numel() for p in build(MODELS[preset][f"MetaFormer, {name}"], 10)[0].parameters())
        for name in ("token MLP", "identity", "wider identity")
    }
    assert abs(count["wider identity"] / count["token MLP"] - 1) < 0.01
    assert count["identity"] < 0.9 * count["token MLP"]


@pytest.mark.parametrize("preset", ["cpu", "gpu"])
def test_models_are_of_like_size(preset):
    found = {name: macs.profile(build(MODELS[preset][name], 10)[0], (1, 3, 32, 32)) for name in IMAGE_MODELS}
    middle = sorted(p.parameters for p in found.values())[2]
    for name, profile in found.items():
        assert abs(profile.parameters / middle - 1) < 0.16, f"{name}: {profile}, and the middle is {middle:,}"
        assert 0.4 < profile.macs / found["ViT"].macs < 1.1, f"{name}: {profile}"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One seed of every experiment at smoke size."""
    folder = tmp_path_factory.mktemp("results")
    import os

    os.environ["COURSE_CACHE"] = str(folder / "cache")
    try:
        for name in names():
            only = {"seed": ["0"]} | ({"augment": ["False"]} if name == "data-scaling" else {})
            only |= {"model": ["CNN", "ViT"]} if name in ("data-scaling", "label-rule") else {}
            only |= {"model": ["CNN, circular", "ViT"]} if name == "crossing" else {}
            outcome = Runner(
                find(name), "smoke", folder=folder, only=only, command="python -m x", say=lambda text: None
            ).run()
            assert outcome.ok, outcome.failures
    finally:
        del os.environ["COURSE_CACHE"]
    return folder


@pytest.mark.thorough
@pytest.mark.parametrize("name", names())
def test_every_experiment_runs_and_gives_figures(recorded, name):
    rows = load(name, recorded, stage="main", preset="smoke")
    assert rows
    for row in rows:
        assert 0 <= row["test_accuracy"] <= 1 and 0 <= row["train_accuracy"] <= 1 and row["parameters"] > 0
        assert row["data_fingerprint"] and row["curve"]["step"] and row["seconds"] > 0 and row["lr"]
    made = figures.figures_of(name, "smoke", recorded)
    assert made
    for figure, alt in made.values():
        figure.canvas.draw()
        assert len(alt) > 40 and "nan" not in alt.split("±")[0]


@pytest.mark.thorough
def test_rows_hold_what_each_experiment_is_about(recorded):
    shifts = [row for row in load("symmetry", recorded) if row.get("shift")]
    assert {row["arm"] for row in shifts} == {"as they are"} and shifts[0]["consistency"]["y"][0] == 1.0
    assert shifts[0]["shuffle"]["x"] == [32, 16, 8, 4]
    seen = load("distance", recorded, stage="main")[0]["watched"]
    assert seen[0]["step"] == 0 and len(seen[0]["distance"]) == 2 and len(seen[0]["distance"][0]) == 2
    transfer = load("transfer", recorded, stage="main")
    assert {row["arm"] for row in transfer} == {"scratch", "from procedural"}
    assert all(row["pretraining_seconds"] > 0 for row in transfer if row.get("pretraining"))


@pytest.mark.thorough
def test_live_runs_take_a_notebooks_own_class_and_write_nothing(recorded, capsys):
    made = []

    class Mine(nn.Module):
        def __init__(self, width, num_classes):
            super().__init__()
            made.append(width)
            self.fc = nn.Linear(3 * 32 * 32, num_classes)

        def forward(self, x):
            return self.fc(x.flatten(1))

    before = sorted(p.name for p in recorded.iterdir())
    how = {
        "sizes": (64, 96),
        "seeds": (0, 7),
        "steps": 3,
        "lr": {"CNN": 1e-3},
        "only": {"arm": "steps", "augment": False},
    }
    rows = run_live("data-scaling", "smoke", models=("CNN",), classes={"ResNet": Mine}, **how)
    assert made == [4] * 4 and [(r["size"], r["seed"]) for r in rows] == [(64, 0), (96, 0), (64, 7), (96, 7)]
    assert rows[0]["model_source"] == "given (Mine)" and rows[0]["steps_taken"] == 3 and rows[0]["lr"] == 1e-3
    assert "[4/4] CNN, 96 images" in capsys.readouterr().out
    assert sorted(p.name for p in recorded.iterdir()) == before
    with pytest.raises(ValueError, match="its models are CNN, Mixer"):
        run_live("data-scaling", "smoke", models=("Perceptron",))


@pytest.mark.parametrize("before", [0, 2])
def test_the_stop_button_leaves_the_trainings_that_were_done(before, monkeypatch, capsys):
    def compute(cell, context):
        if len(done) == before:
            raise KeyboardInterrupt
        done.append(cell)
        return {"seconds": 1.0, "test_accuracy": 0.5, "train_accuracy": 0.5}

    done: list = []
    monkeypatch.setattr(live, "compute", compute)
    monkeypatch.setattr(live, "summary", lambda row: "a row")
    ask = {"models": ("CNN",), "sizes": (64,), "seeds": (0, 1, 2), "only": {"arm": "steps", "augment": False}}
    assert [row["seed"] for row in run_live("data-scaling", "smoke", **ask)] == [0, 1][:before]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == before + 1, "a line per training that is done, and one for the button"
    assert said[-1].startswith(
        "Stopped: 2 of 3 trainings are done" if before else "Stopped before a training was done"
    )


def test_without_the_solutions_a_stand_in_or_a_clear_sentence(monkeypatch):
    real = models.pkgutil.resolve_name

    def resolve_name(name):
        if name.startswith("solutions"):
            raise ModuleNotFoundError("No module named 'solutions'", name="solutions")
        return real(name)

    monkeypatch.setattr(models.pkgutil, "resolve_name", resolve_name)
    model, source = build(MODELS["smoke"]["ViT"], 10)
    assert source == "utils.stand_ins.vit:ViT" and model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(MissingModel, match="no 'solutions' folder.*run_live"):
        build(MODELS["smoke"]["Swin"] | {"stand_in": None}, 10)


def test_throughput_is_measured():
    assert images_per_second("smoke", "ViT", batch=8, steps=2) > 0


def double(name, preset="smoke"):
    torch.manual_seed(0)
    model = build(MODELS[preset][name], 10)[0].double().eval()
    for module in model.modules():  # norms and biases away from their start
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


IMAGES = torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_a_cnn_without_borders_does_not_see_a_shift_by_its_stride():
    """Total stride 8: cyclic shifts by 8 pixels leave the pooled features as they were, exactly; by 1 pixel they don't."""
    model = double("CNN, circular")
    answer = model(IMAGES)
    for shift in ((8, 0), (0, -16), (24, 8)):
        assert torch.allclose(model(IMAGES.roll(shift, (2, 3))), answer, atol=1e-12, rtol=0)
    assert (model(IMAGES.roll(1, 3)) - answer).abs().max() > 1e-6
    zero_padded = double("CNN")
    assert (zero_padded(IMAGES.roll(8, 3)) - zero_padded(IMAGES)).abs().max() > 1e-6


@torch.no_grad()
def test_a_vit_without_positions_does_not_see_the_order_of_patches():
    model = double("ViT")
    moved = image_data.permuted(IMAGES, image_data.permutation("patches", 32))
    assert (model(moved) - model(IMAGES)).abs().max() > 1e-6
    model.positions.zero_()
    assert torch.allclose(model(moved), model(IMAGES), atol=1e-12, rtol=0)
    pixels = image_data.permuted(IMAGES, image_data.permutation("pixels", 32))
    assert (model(pixels) - model(IMAGES)).abs().max() > 1e-6


@torch.no_grad()
def test_permuted_positions_undo_permuted_patches():
    """Why a fixed permutation of the patches costs a ViT nothing: it is only a renaming of its positions."""
    model = double("ViT")
    where = image_data.permutation("patches", 32)
    answer = model(IMAGES)
    sources = where.view(8, 4, 8, 4)[:, 0, :, 0]  # which pixel comes to each patch's corner
    patch = (sources // 32 // 4) * 8 + (sources % 32) // 4
    model.positions.copy_(model.positions[:, patch.flatten()])
    assert torch.allclose(model(image_data.permuted(IMAGES, where)), answer, atol=1e-12, rtol=0)


def test_hardware_changes_rounding_only():
    assert Hardware().precision.name == "float32" and not Hardware().compile
