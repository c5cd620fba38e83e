"""Data and training of the image experiments: nested subsets, common seeds, augmentation, permutations, probes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from utils.experiments import image_data, probes
from utils.experiments.image_training import (
    PAD,
    Diverged,
    Hardware,
    Plan,
    normalizer,
    prepare,
    right,
    take,
    train,
)
from utils.training import Precision, seed_everything


def images(count=6, side=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator, dtype=torch.uint8)


def rows_of(part):
    return {bytes(image.numpy().tobytes()) for image in part.train[0]}


def test_subsets_are_nested_balanced_and_differ_between_seeds():
    small, large = (image_data.part("digits", size, seed=3) for size in (100, 400))
    assert torch.equal(large.train[0][:100], small.train[0]) and torch.equal(
        large.train[1][:100], small.train[1]
    )
    assert torch.bincount(small.train[1]).tolist() == [10] * 10
    other = image_data.part("digits", 100, seed=4)
    assert not torch.equal(other.train[0], small.train[0])
    assert torch.equal(other.test[0], small.test[0])


def test_validation_images_lie_in_no_subset_and_are_not_the_test_images():
    tuning = image_data.part("digits", 1_000, seed=0, validation=300)
    held = {image.numpy().tobytes() for image in tuning.test[0]}
    test = {image.numpy().tobytes() for image in image_data.part("digits", 100, seed=0).test[0]}
    assert len(tuning.test[1]) == 300
    assert len(held & rows_of(tuning)) <= 2  # the digits hold a few exact doubles
    assert len(held & test) <= 2
    with pytest.raises(ValueError, match="1,300 \\+ 300 are wanted"):
        image_data.part("digits", 1_300, seed=0, validation=300)


def test_fewer_test_images_are_always_the_same_and_balanced():
    one, two = (image_data.part("digits", 50, seed=s, test_images=60) for s in (0, 1))
    assert torch.equal(one.test[0], two.test[0]) and torch.bincount(one.test[1]).tolist() == [6] * 10


def test_a_fingerprint_changes_with_one_pixel_or_label():
    x, y = images(), torch.arange(6)
    first = image_data.fingerprint(x, y)
    assert first == image_data.fingerprint(x.clone(), y.clone())
    changed = x.clone()
    changed[3, 1, 2, 2] ^= 1
    assert image_data.fingerprint(changed, y) != first != image_data.fingerprint(x, y.flip(0))


def test_pixel_permutation_moves_pixels_of_all_images_alike():
    where = image_data.permutation("pixels", 8)
    x = images(3, 8)
    moved = image_data.permuted(x, where)
    for n in range(64):
        source = int(where[n])
        assert torch.equal(moved[:, :, n // 8, n % 8], x[:, :, source // 8, source % 8])


def test_patch_permutation_keeps_patches_whole():
    x = images(2, 16)
    moved = image_data.permuted(x, image_data.permutation("patches", 16))
    old = {(r, c): x[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4] for r in range(4) for c in range(4)}
    used = []
    for r in range(4):
        for c in range(4):
            patch = moved[:, :, 4 * r : 4 * r + 4, 4 * c : 4 * c + 4]
            used += [key for key, value in old.items() if torch.equal(value, patch)]
    assert sorted(used) == sorted(old) and used != sorted(old)
    with pytest.raises(ValueError, match="not of 'rows'"):
        image_data.permutation("rows", 16)


def test_a_plan_is_made_of_whole_shuffled_epochs_and_depends_on_the_seed_alone():
    plan = Plan.draw(10, steps=7, batch=3, seed=5, augment=True)
    assert plan.index.shape == plan.flip.shape == plan.down.shape == (7, 3)
    for epoch in (plan.index[:3], plan.index[3:6]):
        assert len(set(epoch.flatten().tolist())) == 9  # nine different of ten; the tenth is left out
    again = Plan.draw(10, steps=7, batch=3, seed=5, augment=True)
    assert torch.equal(plan.index, again.index) and torch.equal(plan.down, again.down)
    assert torch.equal(plan.index, Plan.draw(10, 7, 3, 5, augment=False).index)
    assert not torch.equal(plan.index, Plan.draw(10, 7, 3, 6, augment=False).index)
    assert plan.down.min() >= -PAD and plan.down.max() <= PAD
    with pytest.raises(ValueError, match="2 images do not fill one batch of 3"):
        Plan.draw(2, 1, 3, 0, augment=False)


def test_augmentation_is_a_flip_and_a_shift_with_repeated_border():
    x = images(6, 12)
    plan = Plan.draw(6, steps=4, batch=6, seed=1, augment=True)
    for step in range(4):
        made = take(x, plan, step)
        for i, index in enumerate(plan.index[step].tolist()):
            image = x[index].flip(-1) if plan.flip[step, i] else x[index]
            padded = nn.functional.pad(image[None].float(), (PAD,) * 4, mode="replicate")[0]
            top = PAD + int(plan.down[step, i])
            left = PAD + int(plan.right[step, i])
            assert torch.equal(made[i].float(), padded[:, top : top + 12, left : left + 12])
    assert not torch.equal(take(x, plan, 0), take(x, Plan(plan.index), 0))
    assert torch.equal(take(x, Plan(plan.index), 0), x[plan.index[0]])


def learner(classes=4):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, classes)
    )


def trained(seed=0, lr=1e-2, steps=30, augment=False):
    x, y = images(40), torch.arange(40) % 4
    seed_everything(seed)
    model, call = prepare(learner(), Hardware(), "learner")
    normalize = normalizer(torch.full((3,), 128.0), torch.full((3,), 64.0), "cpu")
    plan = Plan.draw(40, steps, 8, seed, augment)
    seen = []
    run = train(
        model,
        lambda step: (normalize(take(x, plan, step)), y[plan.index[step]]),
        steps=steps,
        lr=lr,
        call=call,
        batch=8,
        watch={0: lambda m: seen.append(m.training) or "before", steps: lambda m: "after"},
        points=10,
    )
    return model, run, right(model, x, y, normalize, Hardware(), batch=7).float().mean(), seen


def test_training_fits_the_images_and_reports_its_curve():
    model, run, score, seen = trained()
    assert score > 0.95 and not model.training
    assert run.curve["step"] == list(range(3, 31, 3)) and len(run.curve["train_loss"]) == 10
    assert run.curve["train_loss"][0] > 1 > run.curve["train_loss"][-1]
    assert run.watched == ["before", "after"] and seen == [False]
    assert run.images_per_second > 0


def test_training_is_repeatable_to_the_bit():
    first, second = trained()[0].state_dict(), trained()[0].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_stop_button_of_a_notebook_leaves_no_row_of_half_a_training(monkeypatch):
    from utils.training import loop

    monkeypatch.setattr(loop, "interrupted", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        trained()


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(Diverged, match="learning rate"):
        trained(lr=1e30, steps=8)


@pytest.mark.slow
def test_a_model_is_compiled_once_and_then_gets_the_next_seeds_weights(monkeypatch):
    """The tracer of torch.compile without its code generator, which a GPU has and this machine may lack."""
    from functools import partial

    from utils.experiments import image_training
    from utils.experiments.models import MODELS, build

    compiled = []
    real = partial(torch.compile, backend="eager")
    monkeypatch.setattr(image_training.torch, "compile", lambda model: compiled.append(1) or real(model))
    monkeypatch.setattr(image_training, "_compiled", {})
    hardware, x = (
        Hardware(Precision(torch.device("cpu"), "bfloat16"), compile=True),
        torch.randn(4, 3, 32, 32),
    )
    for seed in (0, 1):
        seed_everything(seed)
        fresh = build(MODELS["smoke"]["ViT"], 10)[0]
        expected = fresh(x)
        model, call = prepare(fresh, hardware, "smoke ViT")
        assert torch.allclose(call(x), expected, atol=1e-5) and next(model.parameters()).grad is None
        plan = Plan.draw(40, 2, 8, seed, True)
        batches = images(40, 32).float() / 255, torch.arange(40) % 10
        run = train(
            model,
            lambda step, plan=plan, b=batches: (b[0][plan.index[step]], b[1][plan.index[step]]),
            steps=2,
            lr=1e-3,
            hardware=hardware,
            call=call,
        )
        assert len(run.curve["train_loss"]) == 2 and not torch.allclose(model(x), expected, atol=1e-4)
    assert len(compiled) == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_the_gpu():
    hardware = Hardware(Precision(torch.device("cuda"), "bfloat16"))
    model, call = prepare(learner(), hardware, "learner")
    normalize = normalizer(torch.full((3,), 128.0), torch.full((3,), 64.0), "cuda")
    x, y = images(40).cuda(), (torch.arange(40) % 4).cuda()
    plan = Plan.draw(40, 20, 8, 0, True).to("cuda")
    at_end = []

    def batches(step):
        torch.cuda.set_sync_debug_mode("error" if 0 < step < 19 else "default")
        at_end.append(step)
        return normalize(take(x, plan, step)), y[plan.index[step]]

    train(model, batches, steps=20, lr=1e-3, hardware=hardware, call=call, batch=8)
    assert len(at_end) == 20


def test_shuffled_patches_are_the_images_patches_in_another_order():
    x = images(5, 16)
    mixed = probes.shuffle_patches(x, 8, seed=1)
    for before, after in zip(x, mixed, strict=True):
        old, new = (
            sorted(t[:, r : r + 8, c : c + 8].numpy().tobytes() for r in (0, 8) for c in (0, 8))
            for t in (before, after)
        )
        assert old == new
    assert not torch.equal(mixed, x)


class Brightness(nn.Module):
    """Answers by the brightness of the left column: a shift to the side changes the answer, one up or down does not."""

    def forward(self, x):
        bright = x[:, :, :, 0].mean(dim=(1, 2))
        return torch.stack([-bright, bright], dim=1)


def test_shift_probe_counts_right_and_unchanged_answers_over_four_directions():
    x = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    x[0, :, :, 0] = 255  # bright in the left column only
    normalize = normalizer(torch.full((3,), 10.0), torch.full((3,), 1.0), "cpu")
    found = probes.shifted(Brightness(), x, torch.tensor([1, 1]), (0, 2), normalize, Hardware())
    assert found["shift"] == {
        "x": [0, 2],
        "y": [0.5, 0.25],
    }  # image 1 is always dark, image 0 right when moved up or down
    assert found["consistency"] == {"x": [0, 2], "y": [1.0, 0.75]}


def test_attention_distance_agrees_with_the_course_s_own_and_with_a_hand_made_case():
    weights = torch.zeros(1, 1, 6, 6)
    weights[..., 0, 5] = 1.0  # from (0, 0) to (1, 2): sqrt(5)
    for n in range(1, 6):
        weights[..., n, n] = 1.0
    assert float(probes.mean_attention_distance(weights, (2, 3))) == pytest.approx(5**0.5 / 6)
    solutions = pytest.importorskip("solutions.attention_maps")
    for tokens in (12, 13):
        random = torch.rand(2, 3, tokens, tokens, generator=torch.Generator().manual_seed(0)).softmax(-1)
        expected = solutions.mean_attention_distance(random, (3, 4))
        assert torch.allclose(probes.mean_attention_distance(random, (3, 4)).float(), expected, atol=1e-5)
    uniform = torch.full((1, 12, 12), 1 / 12)
    assert float(probes.mean_attention_distance(uniform, (3, 4))) == pytest.approx(
        float(probes.distances((3, 4)).mean())
    )
