"""The budget: which level is in force, what it picks, what it says about the machine."""

import os

import pytest
import torch

from utils.budget import Budget, current_budget, describe_machine


@pytest.mark.parametrize("level", ["smoke", "cpu", "gpu"])
def test_environment_decides(monkeypatch, level):
    monkeypatch.setenv("COURSE_BUDGET", f" {level.upper()} ")
    budget = current_budget()
    assert budget.name == level
    assert budget.pick(smoke="smoke", cpu="cpu", gpu="gpu") == level


@pytest.mark.parametrize(("cuda", "level"), [(True, "gpu"), (False, "cpu")])
@pytest.mark.parametrize("unset", ["", None])
def test_machine_decides_without_setting(monkeypatch, cuda, level, unset):
    monkeypatch.delenv("COURSE_BUDGET", raising=False)
    if unset is not None:
        monkeypatch.setenv("COURSE_BUDGET", unset)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert current_budget().name == level


def test_unknown_level_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "huge")
    with pytest.raises(ValueError, match=r"'huge'.*smoke, cpu, gpu"):
        current_budget()
    with pytest.raises(ValueError, match="'tpu'"):
        Budget("tpu")


def test_gpu_falls_back_to_cpu_and_nothing_else_falls_back():
    assert Budget("gpu").pick(smoke=1, cpu=4) == 4
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
