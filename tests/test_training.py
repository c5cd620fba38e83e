"""The training loop, held against a loop written out by hand, against torch's own schedulers, and against a kill."""

import json
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from utils import training
from utils.training import History, fit, tensor_batches
from utils.training.progress import Progress

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def toy(n: int = 96, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 6, generator=generator)
    return inputs, (inputs[:, 0] * inputs[:, 3] > 0).long()


def network(seed: int = 0, dropout: float = 0.2) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(dropout), nn.Linear(24, 2))


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [value.detach().clone() for value in model.state_dict().values()]


def same_bits(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def numbers(history: History) -> tuple:
    """All of a history but the times."""
    return (
        history.steps,
        history.train_loss,
        history.train_accuracy,
        history.validation_loss,
        history.validation_accuracy,
    )


# ------------------------------------------------------------------------------------------ the loop itself


def test_equals_a_loop_written_by_hand():
    inputs, targets = toy()
    batches = list(tensor_batches(inputs, targets, 20))
    ours, theirs = network(dropout=0.0), network(dropout=0.0)
    history = fit(
        ours, batches, epochs=3, lr=3e-2, weight_decay=0.3, warmup=4, clip=0.5, label_smoothing=0.1, progress=False
    )  # fmt: skip

    decayed = [theirs[0].weight, theirs[4].weight]
    kept = [theirs[0].bias, theirs[1].weight, theirs[1].bias, theirs[4].bias]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.3}, {"params": kept, "weight_decay": 0.0}],
        lr=3e-2,
        foreach=False,
    )
    total, losses = 3 * len(batches), []
    for step in range(total):
        x, y = batches[step % len(batches)]
        rate = 3e-2 * ((step + 1) / 5 if step < 4 else (1 + math.cos(math.pi * (step - 4) / (total - 4))) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(theirs(x), y, label_smoothing=0.1)
        theirs.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for p in theirs.parameters()))
        for p in theirs.parameters():
            p.grad *= min(1.0, 0.5 / (norm.item() + 1e-6))
        optimizer.step()
        losses.append(loss.item() * len(y))
    for a, b in zip(weights(ours), weights(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-6)
    per_epoch = np.array(losses).reshape(3, -1).sum(1) / len(targets)
    np.testing.assert_allclose(history.train_loss, per_epoch, rtol=1e-4)
    assert history.steps == total and len(history) == 3


def test_learns_and_says_so():
    inputs, targets = toy(400)
    held_out = toy(200, seed=1)
    model = network(dropout=0.0)
    before = training.accuracy(model, tensor_batches(*held_out))
    history = fit(
        model,
        tensor_batches(inputs, targets, 40, shuffle=True),
        epochs=30,
        lr=2e-2,
        validation=tensor_batches(*held_out),
        progress=False,
    )
    assert before < 0.7 < 0.9 < history.validation_accuracy[-1]
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]
    assert history.validation_accuracy[-1] == training.accuracy(model, [held_out])
    assert not model.training
    assert len(history.seconds) == 30 and all(s > 0 for s in history.seconds)
    assert history.total_seconds >= sum(history.seconds)


def test_trains_in_train_mode_and_validates_in_eval_mode():
    modes = []

    class Spy(nn.Linear):
        def forward(self, x):
            modes.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    batch = toy()
    fit(Spy(6, 2).eval(), [batch], epochs=2, lr=1e-2, validation=[batch], progress=False)
    assert modes == [(True, True), (False, False)] * 2


def test_same_seed_same_bits_and_another_seed_others():
    inputs, targets = toy()
    runs = []
    for seed in (3, 3, 4):
        model = network()
        fit(
            model,
            tensor_batches(inputs, targets, 16, shuffle=True),
            epochs=2,
            lr=1e-2,
            seed=seed,
            progress=False,
        )
        runs.append(weights(model))
    assert same_bits(runs[0], runs[1])
    assert not same_bits(runs[0], runs[2])  # dropout differs


def test_seed_none_leaves_the_random_state():
    inputs, targets = toy()
    runs = []
    for start in (1, 2):
        model = network()
        torch.manual_seed(start)
        fit(model, tensor_batches(inputs, targets, 16), epochs=1, lr=1e-2, seed=None, progress=False)
        runs.append(weights(model))
    assert not same_bits(*runs)


def test_gradient_is_clipped():
    inputs, targets = toy()
    norms = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            grads = [p.grad for g in self.param_groups for p in g["params"]]
            norms.append(torch.cat([g.flatten() for g in grads]).norm().item())
            return super().step(closure)

    for clip in (1e-3, None):
        model = network()
        fit(
            model,
            [(inputs, targets)],
            epochs=2,
            lr=0.1,
            clip=clip,
            optimizer=Spy(model.parameters(), lr=0.1),
            progress=False,
        )
    assert all(norm <= 1.0001e-3 for norm in norms[:2])
    assert all(norm > 1e-2 for norm in norms[2:])


def test_own_optimizer_keeps_its_learning_rates_in_proportion():
    inputs, targets = toy()
    model, seen = network(), []

    def schedule(step, total):
        seen.append((step, total))
        return 0.5 if step < 2 else 0.25

    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[4].parameters(), "lr": 1.0}]
    )
    norm_before = model[1].weight.detach().clone()
    fit(
        model,
        [(inputs, targets)] * 2,
        epochs=2,
        lr=123.0,
        optimizer=optimizer,
        schedule=schedule,
        progress=False,
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.25]
    assert [step for step, _ in seen] == [0, 0, 1, 1, 2, 2, 3, 3] and {total for _, total in seen} == {4}
    assert torch.equal(model[1].weight, norm_before)  # not in the optimizer, so it stays


# ------------------------------------------------------------------------------- schedule and weight decay


@pytest.mark.parametrize(("warmup", "steps"), [(0.1, 50), (0.0, 20), (7, 30), (0.5, 11)])
def test_schedule_against_torch_schedulers(warmup, steps):
    warm = round(warmup * steps) if warmup < 1 else warmup
    parameter = nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warm)
    expected = [(i + 1) / (warm + 1) for i in range(warm)]
    for _ in range(steps - warm):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    ours = [training.learning_rate_factor(i, steps, name="cosine", warmup=warmup) for i in range(steps)]
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    linear = [training.learning_rate_factor(i, steps, name="linear", warmup=warmup) for i in range(steps)]
    np.testing.assert_allclose(linear[warm:], 1 - np.arange(steps - warm) / (steps - warm), atol=1e-12)
    constant = [training.learning_rate_factor(i, steps, name="constant", warmup=warmup) for i in range(steps)]
    assert set(constant[warm:]) == {1.0} and constant[:warm] == expected[:warm]


def test_schedule_of_one_step_trains():
    assert training.learning_rate_factor(0, 1, name="cosine", warmup=0.1) == 1.0
    with pytest.raises(ValueError, match="'step'"):
        training.learning_rate_factor(0, 9, name="step", warmup=0.0)


def test_what_is_decayed():
    class Everything(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(9, 4)
            self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
            self.positions = nn.Parameter(torch.zeros(1, 5, 4))
            self.relative_position_bias_table = nn.Parameter(torch.zeros(9, 2))
            self.conv = nn.Conv2d(3, 4, 2)
            self.norm = nn.LayerNorm(4)
            self.lstm = nn.LSTM(4, 4)
            self.attention = nn.MultiheadAttention(4, 2)
            self.frozen = nn.Linear(4, 4).requires_grad_(False)

    model = Everything()
    names = {id(p): n for n, p in model.named_parameters()}
    groups = training.make_optimizer(model, 1e-3, 0.1).param_groups
    decayed = {names[id(p)] for g in groups if g["weight_decay"] == 0.1 for p in g["params"]}
    kept = {names[id(p)] for g in groups if g["weight_decay"] == 0 for p in g["params"]}
    assert decayed == {
        "conv.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "attention.in_proj_weight", "attention.out_proj.weight"
    }  # fmt: skip
    assert kept == set(names.values()) - decayed - {"frozen.weight", "frozen.bias"}
    with pytest.raises(ValueError, match="no parameter"):
        training.make_optimizer(model.requires_grad_(False), 1e-3, 0.1)


# ------------------------------------------------------------------------------------------------ resuming


def noisy_batches(epoch: int):
    """Batches that use all three global random states, as augmentations do."""
    inputs, targets = toy()
    for start in range(0, len(targets), 32):
        noise = random.gauss(0, 0.1) + np.random.normal(0, 0.1)
        x = inputs[start : start + 32]
        yield x + noise + 0.1 * torch.randn_like(x), targets[start : start + 32]


RUN = {"epochs": 5, "lr": 1e-2, "seed": 11, "progress": False, "device": "cpu"}


def uninterrupted():
    model = network()
    return model, fit(model, noisy_batches, validation=[toy(50, seed=2)], **RUN)


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


def test_run_killed_by_the_system_resumes_bit_for_bit(tmp_path):
    """SIGKILL in the middle of epoch 2, in a process of its own: nothing can be tidied up."""
    path = tmp_path / "run.pt"
    code = f"""
        import os, signal, sys, torch
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        torch.set_num_threads(1)
        import test_training as t

        def batches(epoch):
            for index, batch in enumerate(t.noisy_batches(epoch)):
                if epoch == 2 and index == 1:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield batch

        t.fit(t.network(), batches, validation=[t.toy(50, seed=2)], checkpoint={str(path)!r}, **t.RUN)
    """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, timeout=120, check=False
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
    with pytest.raises(pickle.UnpicklingError):
        fit(network(), noisy_batches, checkpoint=tmp_path / "run.pt", **RUN)
    assert not (tmp_path / "trapped.txt").exists()


# ------------------------------------------------------------------------------- stopping, errors, inputs


def test_max_seconds_stops_inside_an_epoch_and_the_checkpoint_stays_whole(tmp_path, monkeypatch):
    from utils.training import loop

    clock = iter(range(10_000))  # every look at the clock costs a second
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock))
    model, path = network(), tmp_path / "run.pt"
    history = fit(model, noisy_batches, validation=[toy(50, seed=2)], checkpoint=path, max_seconds=12, **RUN)
    monkeypatch.undo()
    assert 0 < len(history) < 5 and history.steps % 3 != 0
    assert len(history.validation_loss) == len(history)
    assert "max_seconds=12" in history.stopped and history.stopped in str(history)
    kept = torch.load(path, weights_only=True)["history"]
    assert len(kept["train_loss"]) == len(history) - 1 and not kept["stopped"]
    resumed = network(seed=3)
    fit(resumed, noisy_batches, validation=[toy(50, seed=2)], checkpoint=path, **RUN)
    assert same_bits(weights(uninterrupted()[0]), weights(resumed))


def test_nan_loss_stops_with_advice():
    inputs, targets = toy()
    inputs[5] = math.nan
    with pytest.raises(FloatingPointError, match="epoch 1.*smaller lr"):
        fit(network(), [(inputs, targets)], epochs=2, lr=0.1, progress=False)


def test_generator_for_several_epochs_is_refused():
    inputs, targets = toy()
    with pytest.raises(ValueError, match="read once"):
        fit(network(), iter([(inputs, targets)]), epochs=2, lr=0.1, progress=False)
    with pytest.raises(ValueError, match="nothing"):
        fit(network(), [], epochs=1, lr=0.1, progress=False)
    with pytest.raises(ValueError, match="label_smoothing"):
        fit(
            network(), [toy()], epochs=1, lr=0.1, label_smoothing=0.1, loss_fn=F.cross_entropy, progress=False
        )
    with pytest.raises(ValueError, match="epochs is 0"):
        fit(network(), [toy()], epochs=0, lr=0.1, progress=False)


def test_generator_function_is_counted_for_the_schedule():
    seen = []

    def schedule(step, total):
        seen.append(total)
        return 1.0

    fit(network(), noisy_batches, epochs=2, lr=1e-2, schedule=schedule, progress=False)
    assert seen and set(seen) == {6}


def test_tuple_and_dict_inputs_and_rich_outputs():
    class Output:
        def __init__(self, logits):
            self.logits = logits

    class Two(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.linear, self.wrap = nn.Linear(6, 2), wrap

        def forward(self, x, scale):
            return self.wrap(self.linear(x) * scale[:, None])

    inputs, targets = toy()
    scale = torch.linspace(0.5, 2, len(targets))
    found = []
    for wrap in (lambda y: y, lambda y: (y, "weights"), Output):
        for batch in ((inputs, scale), {"x": inputs, "scale": scale}):
            torch.manual_seed(0)
            model = Two(wrap)
            fit(model, tensor_batches(batch, targets, 32), epochs=1, lr=1e-2, progress=False)
            found.append(weights(model))
    assert all(same_bits(found[0], other) for other in found[1:])


def test_sequence_targets_with_padding():
    torch.manual_seed(0)
    logits = torch.randn(3, 5, 7)
    targets = torch.randint(7, (3, 5))
    targets[0, 2:] = targets[2, 4:] = training.measures.IGNORED
    expected = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=-100)
    torch.testing.assert_close(training.cross_entropy(logits, targets), expected)
    kept = targets != -100
    share = (logits.argmax(-1)[kept] == targets[kept]).float().mean().item()
    loss, accuracy = training.evaluate(nn.Identity(), [(logits, targets)])
    assert accuracy == pytest.approx(share) and loss == pytest.approx(expected.item(), rel=1e-6)


def test_soft_targets_have_a_loss_and_no_accuracy():
    inputs, targets = toy()
    soft = F.one_hot(targets, 2).float() * 0.8 + 0.1
    logits = torch.randn(len(targets), 2)
    torch.testing.assert_close(training.cross_entropy(logits, soft), F.cross_entropy(logits, soft))
    history = fit(network(), [(inputs, soft)], epochs=2, lr=1e-2, progress=False)
    assert all(math.isnan(a) for a in history.train_accuracy)
    assert "accuracy" not in str(history).split("Machine")[0]
    assert len(history.plot().axes) == 1


def test_regression_with_own_loss():
    inputs, _ = toy(200)
    wanted = inputs @ torch.arange(6.0)[:, None]
    model = nn.Linear(6, 1)
    history = fit(
        model,
        [(inputs, wanted)] * 20,
        epochs=20,
        lr=0.3,
        loss_fn=F.mse_loss,
        weight_decay=0.0,
        progress=False,
    )
    assert history.train_loss[-1] < 1e-2 < history.train_loss[0]
    torch.testing.assert_close(model.weight[0], torch.arange(6.0), atol=0.05, rtol=0)


def test_evaluate_weights_batches_by_their_size_and_keeps_the_mode():
    inputs, targets = toy(50)
    model = network(dropout=0.5).train()
    whole = training.evaluate(model, [(inputs, targets)])
    parts = training.evaluate(model, tensor_batches(inputs, targets, 47))  # batches of 47 and 3
    assert parts == pytest.approx(whole, rel=1e-5)
    assert model.training and training.accuracy(model, lambda epoch: [(inputs, targets)]) == whole[1]
    model.eval()
    with torch.no_grad():
        assert whole[1] == pytest.approx((model(inputs).argmax(1) == targets).float().mean().item())
    with pytest.raises(ValueError, match="empty"):
        training.evaluate(model, [])
    assert not any(p.grad is not None for p in model.parameters())


def test_autocast_runs_the_forward_pass_in_bfloat16():
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            seen.append(out.dtype)
            return out

    inputs, targets = toy()
    for autocast in (True, None, False):
        model = Spy(6, 2)
        fit(model, [(inputs, targets)], epochs=1, lr=1e-2, autocast=autocast, device="cpu", progress=False)
        assert model.weight.dtype == torch.float32
    assert seen == [torch.bfloat16, torch.float32, torch.float32]


# ----------------------------------------------------------------------------------------------- batches


def test_tensor_batches_cover_everything_once_in_an_order_of_the_epoch():
    targets = torch.arange(23)
    batches = tensor_batches(targets[:, None].float(), targets, 5, shuffle=True, seed=4)
    assert len(batches) == 5 and [len(y) for _, y in batches(0)] == [5, 5, 5, 5, 3]
    orders = [torch.cat([y for _, y in batches(epoch)]).tolist() for epoch in (0, 1, 0)]
    assert all(sorted(order) == list(range(23)) for order in orders)
    assert orders[0] == orders[2] != orders[1]
    assert orders[0] == torch.cat([y for _, y in batches]).tolist()
    assert all(torch.equal(x[:, 0].long(), y) for x, y in batches(1))
    other = tensor_batches(targets[:, None], targets, 5, shuffle=True, seed=5)
    assert torch.cat([y for _, y in other(0)]).tolist() != orders[0]
    plain = tensor_batches(targets[:, None], targets, 5, drop_last=True)
    assert len(plain) == 4 and torch.cat([y for _, y in plain]).tolist() == list(range(20))


def test_order_does_not_touch_the_global_random_state():
    batches = tensor_batches(torch.zeros(9, 1), torch.zeros(9), 2, shuffle=True)
    before = torch.get_rng_state()
    list(batches(0))
    assert torch.equal(before, torch.get_rng_state())


def test_uint8_images_are_normalised_on_the_fly():
    images = torch.randint(0, 256, (7, 3, 4, 5), dtype=torch.uint8)
    (first, _), _ = tensor_batches(images, torch.zeros(7), 4, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    assert first.dtype == torch.float32
    for channel, (mean, std) in enumerate(((0.4, 0.2), (0.5, 0.25), (0.6, 0.3))):
        torch.testing.assert_close(first[:, channel], (images[:4, channel].float() / 255 - mean) / std)
    (default, _), _ = tensor_batches(images, torch.zeros(7), 4)
    torch.testing.assert_close(default, images[:4].float() / 255 * 4 - 2)


def test_augmentation_is_reproducible_from_the_epoch():
    def flip(images, generator):
        return torch.where(torch.rand(len(images), 1, generator=generator) < 0.5, -images, images)

    batches = tensor_batches(torch.ones(40, 3), torch.arange(40), 8, shuffle=True, augment=flip)
    first, second, again = (torch.cat([x for x, _ in batches(epoch)]) for epoch in (0, 1, 0))
    assert torch.equal(first, again) and not torch.equal(first, second) and first.unique().tolist() == [-1, 1]


def test_lengths_are_compared():
    with pytest.raises(ValueError, match=r"\[4, 5\]"):
        tensor_batches(torch.zeros(5, 1), torch.zeros(4))
    with pytest.raises(ValueError, match=r"\[3, 5\]"):
        tensor_batches({"a": torch.zeros(5), "b": torch.zeros(3)}, torch.zeros(5))
    with pytest.raises(ValueError, match="batch_size is 0"):
        tensor_batches(torch.zeros(5), torch.zeros(5), 0)


# ------------------------------------------------------------------------------------------ small things


def test_seed_everything_seeds_all_three():
    draws = []
    for seed in (1, 1, 2):
        training.seed_everything(seed)
        draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws[0] == draws[1] and all(a != b for a, b in zip(draws[0], draws[2], strict=True))


def test_count_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 3))
    model[1].weight = nn.Parameter(model[0].weight.T)
    assert training.count_parameters(model) == 12 + 4 + 12 + 3
    model[0].requires_grad_(False)
    assert training.count_parameters(model) == 15 and training.count_parameters(model, trainable=False) == 31
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert training.count_parameters(tied) == 16 + 4 + 4


@pytest.mark.parametrize(
    ("cuda", "mps", "name"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_default_device(monkeypatch, cuda, mps, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert training.default_device() == torch.device(name)


def test_history_speaks(capsys):
    history = History(
        epochs=2, steps=1234, train_loss=[2.0, 1.0], train_accuracy=[0.25, 0.5], validation_loss=[1.9, 1.2],
        validation_accuracy=[0.3, 0.45], seconds=[1.0, 1.5], total_seconds=3.14,
    )  # fmt: skip
    history.summary()
    out = capsys.readouterr().out
    assert out.startswith(
        "Trained 2 epochs (1,234 steps) in 3.1 s: training loss 1.000, training accuracy 0.500,"
    )
    assert "validation accuracy 0.450" in out and "torch" in out and out.count("\n") == 1
    assert (
        "training loss from 2.00 to 1.00" in history.alt()
        and "validation accuracy from 0.30 to 0.45" in history.alt()
    )
    fig = history.plot("A title")
    assert [ax.get_ylabel() for ax in fig.axes] == ["loss (nats)", "accuracy"]
    assert [list(line.get_ydata()) for line in fig.axes[1].lines] == [[0.25, 0.5], [0.3, 0.45]]


def test_a_line_per_epoch_under_tests_and_no_more_than_about_twenty(capsys):
    inputs, targets = toy()
    fit(network(), [(inputs, targets)], epochs=3, lr=1e-2, validation=[(inputs, targets)])
    out = capsys.readouterr()
    assert out.err == "" and "\r" not in out.out
    lines = out.out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("epoch 1/3  loss 0.") and "validation loss" in lines[0]
    fit(network(), [(inputs, targets)], epochs=90, lr=1e-3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 21 and lines[0].startswith("epoch  1/90") and lines[-1].startswith("epoch 90/90")
    fit(network(), [(inputs, targets)], epochs=2, lr=1e-3, progress=False)
    assert capsys.readouterr().out == ""


def test_bar_on_a_terminal_shows_loss_and_accuracy(monkeypatch, capsys):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setenv("COURSE_BUDGET", "cpu")
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    history = History(epochs=2)
    bar = Progress(history, 10, show=True, live=False)
    bar.after_step(0, torch.tensor([6.0, 3.0, 4.0]))
    bar.close()
    out = capsys.readouterr()
    assert (
        "epoch 1/2" in out.out and "loss=1.500" in out.out and "accuracy=0.750" in out.out and out.err == ""
    )
    for name, value in (("COURSE_PROGRESS", "plain"), ("COURSE_BUDGET", "smoke")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert Progress(history, 10, show=True, live=False).bar is None
    assert Progress(history, 10, show=False, live=False).bar is None


def test_live_plot_updates_one_output_in_jupyter(tmp_path):
    """In a real kernel: the cell ends with one picture, not one per epoch, and with lines that can be stored."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cell = f"""
        import os, sys, torch
        os.environ["COURSE_PROGRESS"] = "plain"
        sys.path[:0] = [{str(ROOT)!r}]
        torch.set_num_threads(1)
        from torch import nn
        from utils.training import fit
        x = torch.randn(64, 5)
        history = fit(nn.Linear(5, 2), [(x, (x[:, 0] > 0).long())], epochs=4, lr=0.1, live=True)
        history.summary()
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell))])
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = notebook.cells[0].outputs
    pictures = [output for output in outputs if output.output_type == "display_data"]
    text = "".join(
        output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"
    )
    assert len(pictures) == 1 and not [o for o in outputs if o.get("name") == "stderr"]
    assert "Over 4 epochs" in pictures[0].data["text/html"]
    assert text.count("epoch ") == 4 and "Trained 4 epochs" in text
    assert len(json.dumps(notebook)) < 200_000
