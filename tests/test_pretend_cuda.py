"""On a machine with a GPU no tensor meets one of the other side: experiments at smoke size, on a device that is pretended (notebooks: test_interrupts)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.kinds import each
from tests.pretend_cuda import OnCuda, pretend_cuda, pretend_mps
from tests.toys import network, toy
from utils.experiments.declare import find, names
from utils.experiments.results import load
from utils.experiments.runner import Runner
from utils.stand_ins.training_loop import evaluate, train_epoch
from utils.training import accuracy, default_device, fit, precision_for


@pytest.fixture
def gpu():
    with pretend_cuda():
        yield


def test_it_says_cuda_and_refuses_what_a_gpu_refuses(gpu):
    here, there = torch.ones(3), torch.ones(3, device="cuda")
    assert (str(there.device), there.is_cuda, there.is_cpu) == ("cuda:0", True, False)
    for mixed in (
        lambda: here + there,
        lambda: torch.cat([here, there]),
        lambda: nn.functional.linear(there, torch.ones(2, 3)),
        lambda: here[torch.zeros(2, dtype=torch.int64, device="cuda")],
        lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
    ):
        with pytest.raises(RuntimeError, match="device|cpu"):
            mixed()
    for array in (lambda: there.numpy(), lambda: np.asarray(there)):
        with pytest.raises(TypeError, match="to numpy"):
            array()


def test_it_allows_what_a_gpu_allows(gpu):
    there = torch.arange(6.0).to("cuda")
    assert (there + torch.tensor(1.0)).device.type == "cuda", "a number without dimensions goes along"
    assert there[torch.tensor([1, 2])].device.type == "cuda" and there.cpu().numpy().sum() == 15
    assert there.sum().item() == 15 and there.tolist()[1] == 1.0 and float(there[2]) == 2.0
    assert there.new_zeros(2).is_cuda and torch.zeros_like(there).is_cuda
    assert there.double().is_cuda and there.to(torch.float16).dtype == torch.float16
    assert not there.to("cpu").is_cuda and not torch.zeros_like(there, device="cpu").is_cuda
    copied = there.cpu()
    copied[0] = 9.0
    assert there[0].item() == 0.0, "a copy on the other side shares no memory"


def test_a_model_moves_with_its_optimizer_and_back(gpu):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    parameter, optimizer = model[0].weight, torch.optim.SGD(model.parameters(), lr=0.1)
    before = parameter.detach().clone()
    assert (
        model.to("cuda")[0].weight is parameter and parameter.is_cuda and isinstance(parameter, nn.Parameter)
    )
    with pytest.raises(RuntimeError, match="same device"):
        model(torch.ones(5, 3))
    model(torch.randn(5, 3, device="cuda")).square().sum().backward()
    assert parameter.grad.is_cuda and model[1].running_mean.is_cuda
    optimizer.step()
    assert not torch.equal(parameter.cpu(), before)
    assert copy.deepcopy(model)[0].weight.is_cuda
    assert not model.cpu()[0].weight.is_cuda and model(torch.ones(5, 3)).shape == (5, 2)


@pytest.mark.parametrize("capability", [(7, 5), (8, 0)])
def test_fit_moves_all_that_it_needs_and_goes_on_from_its_checkpoint(tmp_path, capability):
    with pretend_cuda(capability):
        assert default_device().type == "cuda"
        assert precision_for().name == ("float16" if capability < (8, 0) else "bfloat16")
        how = {"epochs": 2, "lr": 0.01, "progress": False, "checkpoint": tmp_path / "run.resume"}
        model = network()
        history = fit(model, [toy()], validation=[toy()], **how)
        assert all(isinstance(p, OnCuda) for p in model.parameters()) and len(history) == 2
        again = network()
        fit(again, [toy()], validation=[toy()], **how)
        assert torch.equal(next(again.parameters()).cpu(), next(model.parameters()).cpu())
        assert 0 <= accuracy(model, [toy()]) <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(3, device="mps").double(),
        lambda: torch.zeros(3, dtype=torch.float64, device="mps"),
        lambda: torch.zeros(3, dtype=torch.float64).to("mps"),
        lambda: nn.Linear(2, 2).double().to("mps"),
        lambda: torch.ones(3, device="mps").mean(dtype=torch.float64),
    ],
)
def test_a_mac_s_gpu_says_mps_and_has_no_float64(make):
    with pretend_mps():
        there = torch.ones(3).to("mps")
        assert (str(there.device), there.is_mps, there.is_cuda, there.is_cpu) == ("mps:0", True, False, False)
        with pytest.raises(RuntimeError, match="mps:0 and cpu"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="doesn't support float64"):
            make()
        assert there.cpu().double().dtype == torch.float64 and not there.cpu().is_mps


def test_fit_trains_on_a_mac_s_gpu_in_float32_and_goes_on_from_its_checkpoint(tmp_path):
    with pretend_mps():
        assert (default_device().type, precision_for().name) == ("mps", "float32")
        how = {"epochs": 2, "lr": 0.01, "progress": False, "checkpoint": tmp_path / "run.resume"}
        model, again = network(), network()
        history = fit(model, [toy()], validation=[toy()], **how)
        assert all(p.is_mps for p in model.parameters()) and history.precision == "float32"
        fit(again, [toy()], validation=[toy()], **how)
        assert torch.equal(next(again.parameters()).cpu(), next(model.parameters()).cpu())
        assert 0 <= accuracy(model, [toy()]) <= 1


def test_the_stand_in_of_the_training_loop_runs_on_a_mac_s_gpu():
    class Model(nn.Linear):
        def forward(self, tokens, lengths):
            return super().forward(tokens)

    with pretend_mps():
        model = Model(3, 2).to("mps")
        batches = [
            tuple(part.to("mps") for part in (torch.randn(4, 3), torch.ones(4), torch.tensor([0, 1, 0, 1])))
        ]
        assert train_epoch(model, batches, torch.optim.SGD(model.parameters(), lr=0.1)) > 0
        assert 0 <= evaluate(model, batches)[1] <= 1


# ------------------------------------------------------------------------------------------ all of it, at smoke size


def recorded(name, tmp_path, monkeypatch, pretended, wanted):
    """An experiment cut down to a training of each of its models gives rows of this device and precision."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    experiment = find(name)
    first = {cell["model"]: cell for cell in reversed(experiment.main_cells("smoke"))}
    rates = {"lr": 1e-3, "tuned_on": []}
    monkeypatch.setattr(
        type(experiment), "main_cells", lambda self, preset: [cell | rates for cell in first.values()]
    )
    with pretended():
        outcome = Runner(experiment, "smoke", folder=tmp_path, say=lambda text: None).run()
    assert outcome.ok, outcome.failures
    rows = load(name, tmp_path)
    assert {row["model"] for row in rows} == set(first)
    assert {(row["device"], row["precision"]) for row in rows} == {wanted}


@pytest.mark.slow
@pytest.mark.parametrize("name", each(names(), keep=lambda name: name == "crossing"))
def test_every_experiment_runs_on_a_gpu(name, tmp_path, monkeypatch):
    """With float16 and its scaled loss."""
    recorded(name, tmp_path, monkeypatch, pretend_cuda, ("cuda", "float16"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["distance", "text"])
def test_experiments_run_on_a_mac_s_gpu(name, tmp_path, monkeypatch):
    recorded(name, tmp_path, monkeypatch, pretend_mps, ("mps", "float32"))
