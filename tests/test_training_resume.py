"""A training that was killed goes on from its checkpoint, bit for bit; what a checkpoint refuses."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.toys import RUN, network, noisy_batches, numbers, same_bits, toy, uninterrupted, weights
from utils.training import Watch, fit

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("killed_in", [1, 4])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, killed_in):
    whole, whole_history = uninterrupted()
    path = tmp_path / "run.pt"

    def interrupted(epoch):
        for index, batch in enumerate(noisy_batches(epoch)):
            if epoch == killed_in and index == 1:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit(network(), interrupted, validation=[toy(50, seed=2)], checkpoint=path, **RUN)
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]

    torch.manual_seed(999)  # whatever happened in between
    random.seed(999)
    np.random.seed(999)
    resumed = network(seed=77)  # other weights: all must come from the checkpoint
    history = fit(resumed, noisy_batches, validation=[toy(50, seed=2)], checkpoint=path, **RUN)
    assert same_bits(weights(whole), weights(resumed))
    assert numbers(history) == numbers(whole_history)
    assert len(history.seconds) == 5


@pytest.mark.slow
def test_run_killed_by_the_system_resumes_bit_for_bit(tmp_path):
    """SIGKILL in the middle of epoch 2, in a process of its own: nothing can be tidied up."""
    path = tmp_path / "run.pt"
    code = f"""
        import os, signal, sys, torch
        sys.path.insert(0, {str(ROOT)!r})
        torch.set_num_threads(1)
        from tests import toys as t

        def batches(epoch):
            for index, batch in enumerate(t.noisy_batches(epoch)):
                if epoch == 2 and index == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        t.fit(t.network(), batches, validation=[t.toy(50, seed=2)], checkpoint={str(path)!r}, **t.RUN)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, timeout=1200, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    resumed = network(seed=5)
    history = fit(resumed, noisy_batches, validation=[toy(50, seed=2)], checkpoint=path, **RUN)
    whole, whole_history = uninterrupted()
    assert same_bits(weights(whole), weights(resumed))
    assert numbers(history) == numbers(whole_history)


def test_finished_run_is_loaded_not_repeated(tmp_path, capsys):
    path, calls = tmp_path / "deep" / "run.pt", []

    def counting(epoch):
        calls.append(epoch)
        return list(noisy_batches(epoch))

    model = network()
    first = fit(model, counting, checkpoint=path, **RUN)
    calls.clear()
    loaded = network(seed=8)
    second = fit(loaded, counting, checkpoint=path, **(RUN | {"progress": True}))
    assert capsys.readouterr().out == "Going on from the checkpoint: 5 of 5 epochs are done.\n"
    assert calls == [0]  # to count the steps
    assert same_bits(weights(model), weights(loaded))
    assert numbers(first) == numbers(second) and second.seconds == first.seconds


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"lr": 2e-2}, "lr"),
        ({"epochs": 6}, "epochs"),
        ({"seed": 1}, "seed"),
        ({"schedule": "linear"}, "schedule"),
    ],
)
def test_checkpoint_of_another_run_is_refused(tmp_path, change, word):
    path = tmp_path / "run.pt"
    fit(network(), noisy_batches, checkpoint=path, **RUN)
    with pytest.raises(ValueError, match=f"run.pt comes from a run with {word}="):
        fit(network(), noisy_batches, checkpoint=path, **(RUN | change))
    with pytest.raises(ValueError, match="steps_per_epoch=3"):
        fit(network(), [toy()] * 7, checkpoint=path, **RUN)


def test_kill_while_writing_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    real, saved = torch.save, []

    def save(state, file):
        saved.append(file)
        if len(saved) == 3:
            Path(file).write_bytes(b"half a file")
            raise OSError("no space left on device")
        real(state, file)

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="no space"):
        fit(network(), noisy_batches, checkpoint=path, **RUN)
    monkeypatch.undo()
    assert len(torch.load(path, weights_only=True)["history"]["train_loss"]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]
    resumed = network(seed=9)
    fit(resumed, noisy_batches, checkpoint=path, **RUN)
    assert same_bits(weights(uninterrupted()[0]), weights(resumed))


def test_a_reader_of_the_checkpoint_never_sees_half_of_it(tmp_path):
    """The new file takes the old one's name; it is not written over it."""
    path, opened = tmp_path / "run.pt", []

    def batches(epoch):
        if epoch == 2:
            opened.append(path.open("rb"))
        yield from noisy_batches(epoch)

    fit(network(), batches, checkpoint=path, **RUN)
    with opened[-1] as old:
        assert len(torch.load(old, weights_only=True)["history"]["train_loss"]) == 2
    assert len(torch.load(path, weights_only=True)["history"]["train_loss"]) == 5


class Trap:
    def __reduce__(self):
        return (os.system, ("echo trapped > trapped.txt",))


def test_checkpoint_with_code_in_it_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"settings": Trap()}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="no checkpoint of `fit`"):
        fit(network(), noisy_batches, checkpoint=tmp_path / "run.pt", **RUN)
    assert not (tmp_path / "trapped.txt").exists()


def test_a_checkpoint_of_another_model_or_a_foreign_file_is_named(tmp_path):
    """Torch's own errors advise to load unsafely."""
    path = tmp_path / "run.pt"
    fit(network(), noisy_batches, checkpoint=path, **RUN)
    other = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Linear(9, 2))
    with pytest.raises(ValueError, match=r"run\.pt comes from another model .*Delete the file"):
        fit(other, noisy_batches, checkpoint=path, **RUN)
    for content in (b"", b"not a checkpoint", path.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"run\.pt is no checkpoint of `fit`") as caught:
            fit(network(), noisy_batches, checkpoint=path, **RUN)
        assert "weights_only" not in str(caught.value)
    torch.save({"state": 1}, path)
    with pytest.raises(ValueError, match="is no checkpoint of `fit`"):
        fit(network(), noisy_batches, checkpoint=path, **RUN)


def test_a_scheduler_of_torch_and_a_watch_go_on_where_they_were(tmp_path):
    """One cycle of torch's, whose momentum moves too, killed and resumed, against the uninterrupted run."""

    class Count(Watch):
        def __init__(self):
            self.steps = 0

        def after_step(self, step, model, loss):
            self.steps += 1

        def state_dict(self):
            return {"steps": self.steps}

        def load_state_dict(self, state):
            self.steps = state["steps"]

    def run(model, batches, checkpoint=None):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=15)
        watch = Count()
        fit(
            model, batches, optimizer=optimizer, schedule=scheduler, watch=watch, checkpoint=checkpoint, **RUN
        )
        return watch.steps, scheduler.get_last_lr()

    def interrupted(epoch):
        if epoch == 3:
            raise KeyboardInterrupt
        return noisy_batches(epoch)

    whole, resumed = network(), network(seed=4)
    expected = run(whole, noisy_batches)
    with pytest.raises(KeyboardInterrupt):
        run(network(), interrupted, tmp_path / "run.pt")
    assert run(resumed, noisy_batches, tmp_path / "run.pt") == expected
    assert expected[0] == 15 and same_bits(weights(whole), weights(resumed))
