"""The training loop, held against a loop written out by hand and against torch's own schedulers; what it says meanwhile."""

import json
import math
import random
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.toys import network, same_bits, toy, weights
from utils import training
from utils.training import History, fit, stop_button, tensor_batches
from utils.training.precision import announce, precision_for
from utils.training.progress import Progress
from utils.words import speaking

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.usefixtures("one_thread")


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
    announce(precision_for())
    capsys.readouterr()
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


def test_the_precision_is_said_once_by_the_first_training_that_shows_anything(capsys):
    announce.cache_clear()
    fit(network(), [toy()], epochs=1, lr=1e-3, progress=False)
    fit(network(), [toy()], epochs=1, lr=1e-3, progress="bar")
    assert capsys.readouterr().out == ""
    for wanted in (None, None, "bfloat16"):
        fit(network(), [toy()], epochs=1, lr=1e-3, precision=wanted, device="cpu")
    said = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("epoch")]
    assert said == [str(precision_for("cpu")), "Computing on cpu in bfloat16: asked for."]
    with speaking("ko"):
        assert str(precision_for("cpu")).startswith("cpu에서 float32")


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


@pytest.mark.slow
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
    nbclient.NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = notebook.cells[0].outputs
    pictures = [output for output in outputs if output.output_type == "display_data"]
    text = "".join(
        output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"
    )
    assert len(pictures) == 1 and not [o for o in outputs if o.get("name") == "stderr"]
    assert "Over 4 epochs" in pictures[0].data["text/html"]
    assert text.count("epoch ") == 4 and "Trained 4 epochs" in text
    assert len(json.dumps(notebook)) < 200_000


# ------------------------------------------------------------------------------------- seen and stopped

IN_A_KERNEL = """
    import os, signal, sys, threading, time
    sys.path[:0] = [{root!r}]
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    os.environ.pop("COURSE_PROGRESS", None)
    os.environ["COURSE_BUDGET"] = "cpu"
    import torch
    from torch import nn
    from utils.training import fit, stop_button

    model = nn.Linear(3, 2)

    def slow(epoch):
        for step in range(1000):
            if step == 8:
                for _ in range({presses}):
                    os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.02)
            yield torch.ones(4, 3), torch.tensor([0, 1, 0, 1])

    class Slow:
        def __len__(self):
            return 1000
        def __call__(self, epoch):
            return slow(epoch)

    history = fit(model, Slow(), epochs=3, lr=0.1, device="cpu", max_seconds=600)
    print(history.steps, history.stopped, model.training, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    steps = []
    with stop_button() as until_stopped:  # a loop of the notebook's own, as in 02 and 03
        for epoch in until_stopped(range(3)):
            steps.extend(until_stopped(slow(epoch)))
    print(len(steps), "steps in epoch", epoch + 1, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def in_a_kernel(presses):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = textwrap.dedent(IN_A_KERNEL).format(root=str(ROOT), presses=presses)
    cells = [nbformat.v4.new_code_cell(code), nbformat.v4.new_code_cell("print('went on', history.steps)")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, allow_errors=True).execute()
    return notebook


@pytest.mark.slow
def test_a_training_that_is_stopped_keeps_its_model():
    """One press of the stop button: the step ends, one line is printed, the cell and those below run on."""
    notebook = in_a_kernel(presses=1)
    outputs = notebook.cells[0].outputs
    assert not [o for o in outputs if o.output_type == "error"]
    said = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stdout")
    assert "Training was interrupted in epoch 1 of 3. The model is as far as it got" in said
    assert "9 interrupted in epoch 1 of 3 False True" in said, "and the kernel's own handler is back"
    assert "This takes about" in said and "The stop button ends it" in said
    assert "Training was interrupted. The model is as far as it got" in said
    assert "9 steps in epoch 1 True" in said
    assert notebook.cells[1].outputs[0].text == "went on 9\n"


def test_a_loop_until_the_stop_button_knows_its_length_and_goes_through_twice():
    with stop_button() as until_stopped:
        batches = until_stopped([1, 2, 3])
        assert len(batches) == 3 and list(batches) == list(batches) == [1, 2, 3]


@pytest.mark.slow
def test_a_second_press_stops_at_once():
    notebook = in_a_kernel(presses=2)
    (error,) = [o for o in notebook.cells[0].outputs if o.output_type == "error"]
    assert error.ename == "KeyboardInterrupt"


@pytest.mark.parametrize(("limit", "left"), [(None, 90.0), (60.0, 50.0), (5.0, 0.0)])
def test_the_time_left_knows_max_seconds(limit, left):
    history = History(epochs=1)
    watcher = Progress(history, 100, show=False, live=False, max_seconds=limit)
    watcher.began, watcher.first, history.steps = 100.0, (0, 100.0), 10
    assert watcher.left(110.0) == pytest.approx(left)  # ten steps took ten seconds, ninety are ahead


def test_a_training_in_a_row_of_many_says_nothing_without_a_screen(capsys):
    batches = [(torch.ones(4, 3), torch.tensor([0, 1, 0, 1]))]
    fit(torch.nn.Linear(3, 2), batches, epochs=2, lr=0.1, progress="bar", device="cpu")
    assert capsys.readouterr().out == ""
