"""The training loop's stops, errors, kinds of inputs and targets, and batches."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.toys import RUN, network, noisy_batches, same_bits, toy, uninterrupted, weights
from utils import training
from utils.training import fit, tensor_batches

pytestmark = pytest.mark.usefixtures("one_thread")


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


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("lr", 0.0), ("lr", -1.0), ("lr", math.nan), ("lr", math.inf), ("weight_decay", -1), ("warmup", -1), ("clip", 0),
     ("clip", -1), ("clip", math.nan), ("label_smoothing", 1.0), ("label_smoothing", -0.1)],
)  # fmt: skip
def test_numbers_that_no_training_means_are_refused(name, value):
    before = weights(model := network())
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        fit(model, [toy()], **{"epochs": 1, "lr": 0.1, name: value}, progress=False)
    assert same_bits(before, weights(model))


def test_class_indices_have_the_shape_of_the_logits():
    inputs, targets = toy()
    with pytest.raises(ValueError, match=r"shape \(96,\) are needed; got \(96, 1\)"):
        fit(network(), [(inputs, targets[:, None])], epochs=1, lr=0.1, progress=False)


def test_the_gradient_s_norm_does_not_depend_on_how_an_optimizer_groups():
    """Sums of floats depend on their order; a recorded row must not change with the grouping."""
    inputs, targets = toy()
    runs = []
    for reverse in (False, True):
        model = network(dropout=0.0)
        parameters = list(model.parameters())[:: -1 if reverse else 1]
        optimizer = torch.optim.SGD([{"params": [p]} for p in parameters], lr=0.5)
        fit(model, [(inputs, targets)] * 9, epochs=2, lr=1.0, clip=0.01, optimizer=optimizer, progress=False)
        runs.append(weights(model))
    assert same_bits(*runs)


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
    for precision in ("bfloat16", None, "float32"):
        model = Spy(6, 2)
        fit(model, [(inputs, targets)], epochs=1, lr=1e-2, precision=precision, device="cpu", progress=False)
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
