"""MLP-Mixer against `timm`: the same random weights, the same images, equal outputs and equal gradients.

Configurations are tiny and nothing is downloaded. Every parameter is drawn (norm weights away from 1, biases away from 0), images have
both signs and are not square, and the number of tokens is not the width.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from solutions.mixer import MixerBlock, MLPMixer
from tests.parity import generator, randomise
from tests.peers import import_timm
from utils.cost.macs import profile
from utils.stand_ins.mixer import MixerBlock as StandInBlock
from utils.stand_ins.mixer import MLPMixer as StandIn

DIM, CLASSES = 8, 5
#: adds one number to all channels of a token, which every later layer norm takes away again: no gradient, in either library
SILENT = "mlp_tokens.fc2.bias"


@pytest.fixture(scope="module")
def timm_mixer():
    """timm's module of MLP-Mixer."""
    import_timm()
    from timm.models import mlp_mixer

    return mlp_mixer


def gradients(module: nn.Module, output: torch.Tensor, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of a random projection of `output` for the input and every parameter, by name."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    cotangent = torch.randn(output.shape, generator=generator(2), dtype=output.dtype)
    found = torch.autograd.grad((output * cotangent).sum(), (x, *parameters))
    return dict(zip(("input", *names), found, strict=True))


def assert_equal_gradients(
    found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor], silent: str = ""
) -> None:
    """Equal keys and values; no gradient is zero (that would compare nothing) but those whose names end with `silent`."""
    assert found.keys() == wanted.keys()
    largest = max(value.abs().max().item() for value in wanted.values())
    for name, value in wanted.items():
        own = value.abs().max().item()
        assert (own < 1e-5 * largest) == bool(silent and name.endswith(silent)), name
        torch.testing.assert_close(
            found[name], value, rtol=2e-4, atol=2e-5 * own + 1e-6 * largest, msg=lambda m, n=name: f"{n}: {m}"
        )


def assert_same(ours: nn.Module, theirs: nn.Module, x: torch.Tensor, silent: str = "") -> None:
    """After loading the peer's weights into ours: equal outputs and gradients."""
    ours.load_state_dict(theirs.state_dict())  # strict: the same names and shapes
    x = x.requires_grad_()
    seen, expected = ours(x), theirs(x)
    torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-5)
    assert_equal_gradients(gradients(ours, seen, x), gradients(theirs, expected, x), silent)


def tiny(size, cls=MLPMixer, **changes):
    """A Mixer with timm's two ratios, both of which multiply the width: 0.5 and 4 of 8."""
    sizes = {"patch_size": 4, "dim": DIM, "depth": 3, "token_hidden": 4, "channel_hidden": 32}
    return cls(**{"image_size": size, **sizes, "num_classes": CLASSES, **changes}).eval()


def tiny_timm(timm_mixer, size, **changes):
    sizes = {"patch_size": 4, "embed_dim": DIM, "num_blocks": 3, "mlp_ratio": (0.5, 4.0)}
    return randomise(timm_mixer.MlpMixer(**{"img_size": size, **sizes, "num_classes": CLASSES, **changes}))


@pytest.mark.parametrize("tokens", [3, 12])
def test_block_equals_timm(timm_mixer, tokens):
    theirs = randomise(timm_mixer.MixerBlock(DIM, tokens, mlp_ratio=(0.75, 2.5)))
    assert_same(
        MixerBlock(tokens, DIM, 6, 20).eval(), theirs, torch.randn(3, tokens, DIM, generator=generator(1))
    )


@pytest.mark.parametrize("size", [(16, 16), (8, 20), (28, 12)])
def test_model_equals_timm(timm_mixer, size):
    images = torch.randn(2, 3, *size, generator=generator(1))
    assert_same(tiny(size), tiny_timm(timm_mixer, size), images, SILENT)


def test_one_channel_without_a_head_equals_timm(timm_mixer):
    theirs = tiny_timm(timm_mixer, (8, 12), in_chans=1, num_classes=0)
    images = torch.randn(2, 1, 8, 12, generator=generator(1))
    assert_same(tiny((8, 12), in_channels=1, num_classes=0), theirs, images, SILENT)


def test_float64_equals_timm_to_rounding(timm_mixer):
    theirs = tiny_timm(timm_mixer, (8, 20)).double()
    ours = tiny((8, 20)).double()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 8, 20, generator=generator(1), dtype=torch.float64)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-12, atol=1e-12)


def test_channels_last_and_training_mode_change_nothing():
    ours = randomise(tiny((8, 20)))
    images = torch.randn(2, 3, 8, 20, generator=generator(1))
    expected = ours(images)
    torch.testing.assert_close(ours.train()(images), expected, rtol=0, atol=0)
    last = ours.to(memory_format=torch.channels_last)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-4, atol=1e-5)


def test_stand_ins_equal_the_answers():
    block = randomise(MixerBlock(6, DIM, 5, 20))
    assert_same(StandInBlock(6, DIM, 5, 20), block, torch.randn(2, 6, DIM, generator=generator(1)))
    images = torch.randn(2, 3, 8, 20, generator=generator(1))
    assert_same(tiny((8, 20), StandIn), randomise(tiny((8, 20))), images, SILENT)
    assert (
        StandIn.from_config("mixer_cifar").state_dict().keys()
        == MLPMixer.from_config("mixer_cifar").state_dict().keys()
    )


@pytest.mark.parametrize(
    ("name", "theirs", "millions", "gmacs"),
    [
        ("mixer_s_16", "mixer_s16_224", 18.53, 3.777),
        ("mixer_b_16", "mixer_b16_224", 59.88, 12.602),
        ("mixer_l_16", "mixer_l16_224", 208.20, 44.548),
    ],
)
def test_named_sizes(timm_mixer, name, theirs, millions, gmacs):
    """Names, shapes and cost of the published sizes, on tensors without data; timm's has the same parameters."""
    with torch.device("meta"):
        ours = MLPMixer.from_config(name)
        peer = getattr(timm_mixer, theirs)()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in peer.state_dict().items()
    }
    cost = profile(ours, (1, 3, 224, 224))
    assert cost.parameters / 1e6 == pytest.approx(millions, abs=0.005)
    assert cost.macs / 1e9 == pytest.approx(gmacs, abs=0.0005)


def test_token_mixing_is_not_shift_equivariant_and_channel_mixing_is_blind_to_positions():
    """What the notebook says about Mixer's inductive bias, on random weights."""
    block = randomise(MixerBlock(6, DIM, 5, 20))
    x = torch.randn(2, 6, DIM, generator=generator(1))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    assert (block(x[:, order]) - block(x)[:, order]).abs().max() > 0.1
    with torch.no_grad():
        for parameter in block.mlp_tokens.fc2.parameters():
            parameter.zero_()
    torch.testing.assert_close(block(x[:, order]), block(x)[:, order], rtol=1e-5, atol=1e-6)


def test_a_bias_without_any_effect():
    """The notebook's aside: the second bias of a token MLP cancels in every layer norm behind it."""
    ours = randomise(tiny((8, 20)))
    images = torch.randn(2, 3, 8, 20, generator=generator(1))
    expected = ours(images)
    with torch.no_grad():
        for block in ours.blocks:
            block.mlp_tokens.fc2.bias.add_(torch.randn(10, generator=generator(4)))
    torch.testing.assert_close(ours(images), expected, rtol=1e-3, atol=1e-4)
