"""The budget: which level is in force, what it picks, what it says about the machine."""

import ast
import json
import os

import pytest
import torch

from utils.budget import Budget, current_budget, describe_machine, t4_minutes
from utils.paths import ROOT


@pytest.mark.parametrize("level", ["smoke", "cpu", "t4", "gpu"])
def test_environment_decides(monkeypatch, level):
    monkeypatch.setenv("COURSE_BUDGET", f" {level.upper()} ")
    budget = current_budget()
    assert budget.name == level
    assert budget.pick(smoke="smoke", cpu="cpu", t4="t4", gpu="gpu") == level


@pytest.mark.parametrize(
    ("cuda", "level"), [((9, 0), "gpu"), ((8, 0), "gpu"), ((7, 5), "t4"), ((6, 1), "t4"), (None, "cpu")]
)
@pytest.mark.parametrize("unset", ["", None])
def test_machine_decides_without_setting(monkeypatch, cuda, level, unset):
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    if unset is not None:
        monkeypatch.setenv("COURSE_BUDGET", unset)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: cuda)
    assert current_budget().name == level


def test_unknown_level_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "huge")
    with pytest.raises(ValueError, match=r"'huge'.*smoke, cpu, t4, gpu"):
        current_budget()
    with pytest.raises(ValueError, match="'tpu'"):
        Budget("tpu")


def test_gpu_falls_back_to_cpu_and_nothing_else_falls_back():
    assert Budget("gpu").pick(smoke=1, cpu=4, t4=5) == 4
    assert Budget("t4").pick(smoke=1, cpu=4, gpu=100) == 4, "a free GPU never gets the work of a large one"
    with pytest.raises(ValueError, match=r"'smoke'.*it has: cpu, gpu.*Add smoke="):
        Budget("smoke").pick(cpu=4, gpu=10)
    with pytest.raises(ValueError, match=r"'cpu'.*it has: smoke, gpu.*Add cpu="):
        Budget("cpu").pick(smoke=1, gpu=10)
    with pytest.raises(ValueError, match=r"'gpu'.*it has: smoke.*Add cpu="):
        Budget("gpu").pick(smoke=1)


def test_none_and_zero_are_values():
    assert Budget("cpu").pick(smoke=1, cpu=None) is None
    assert Budget("gpu").pick(smoke=1, cpu=5, gpu=0) == 0


def test_machine_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = describe_machine()
    assert "\n" not in line
    assert f"torch {torch.__version__}" in line
    assert f"{torch.get_num_threads()} torch thread" in line
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert f"{cores} core" in line
    assert line.endswith("GPU") or "MPS" in line


def test_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Example H100")
    assert describe_machine().endswith("Example H100 (1 of 4)")


def test_a_trainings_minutes_on_a_t4():
    """100 epochs of CIFAR-10 with a ViT of 0.188 GMAC are 5.6 PFLOP; a fifth of 65 TFLOP/s takes 7.2 minutes for them."""
    assert t4_minutes(0.188e9, 100 * 50_000) == pytest.approx(5.64e15 / 13e12 / 60)
    assert 7 < t4_minutes(0.188e9, 100 * 50_000) < 7.5


@pytest.mark.parametrize("level", ["smoke", "cpu", "t4", "gpu"])
def test_every_budget_has_a_preset_of_the_experiments(level):
    from utils.experiments.declare import PRESETS

    assert Budget(level).preset in PRESETS


def calls(name: str) -> list[ast.Call]:
    """The calls of `fit` in a notebook's source."""
    tree = ast.parse((ROOT / "solutions" / "source" / f"{name}.py").read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [node for node in found if isinstance(node.func, ast.Name) and node.func.id == "fit"]


def picked(node: ast.AST, level: str) -> object:
    """The plain value of `budget.pick(...)` inside an argument for a level; None where there is none."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "pick":
            for keyword in call.keywords:
                if keyword.arg == level and isinstance(keyword.value, ast.Constant):
                    return keyword.value.value
    return None


NOTEBOOKS = sorted(path.stem for path in (ROOT / "solutions" / "source").glob("[0-9]*.py"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_on_a_t4_a_notebook_trains_for_ten_minutes_at_most(name):
    """Either the sizes are the CPU's, with which all of the notebook took so long on two cores; or the training stops by itself and goes on later."""
    executed = json.loads((ROOT / "solutions" / f"{name}.ipynb").read_text(encoding="utf-8"))["metadata"][
        "course"
    ]["executed"]
    assert executed["budget"] == "cpu" and executed["seconds"] <= 600
    larger = 0
    for call in calls(name):
        arguments = {keyword.arg: keyword.value for keyword in call.keywords}
        if any(picked(value, "t4") is not None for value in arguments.values()):
            larger += 1
            assert picked(arguments["max_seconds"], "t4") <= 600
            assert str(picked(arguments["checkpoint"], "t4")).endswith(".resume")
    assert larger == (name == "05_vit")
