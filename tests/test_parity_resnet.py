"""The residual network against timm's, in float64: outputs, every gradient, and the running statistics after a training step.

All parameters and statistics are drawn (norm weights away from 1, biases and means away from 0); maps are not square.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from solutions.resnet import BasicBlock, ResNet
from tests.peers import import_timm
from utils.cost.macs import profile
from utils.stand_ins import resnet as stand_ins

timm = import_timm()
from timm.models.resnet import BasicBlock as TheirBlock  # noqa: E402 - timm can be imported only now
from timm.models.resnet import ResNet as TheirResNet  # noqa: E402


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def drawn_state(module: nn.Module) -> dict[str, Tensor]:
    """Values for all parameters and statistics, none at its default."""
    state = {}
    for i, (name, value) in enumerate(module.state_dict().items()):
        if not value.is_floating_point():
            state[name] = value
        elif name.endswith("running_var"):
            state[name] = draw(*value.shape, seed=i).abs() + 0.5
        else:
            shift = 1.0 if value.ndim == 1 and name.endswith("weight") else 0.0
            scale = 0.4 if value.ndim == 1 else max(value[0].numel(), 1) ** -0.5
            state[name] = draw(*value.shape, seed=i) * scale + shift
    return state


def seen(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Output, gradients of the input and all parameters for a drawn cotangent, and the buffers afterwards."""
    x = x.clone().requires_grad_()
    output = module(x)
    leaves = {"x": x, **dict(module.named_parameters())}
    cotangent = draw(*output.shape, seed=77)
    grads = torch.autograd.grad((output * cotangent).sum(), list(leaves.values()))
    found = {"output": output, **{f"grad {name}": g for name, g in zip(leaves, grads, strict=True)}}
    return found | {f"buffer {name}": b for name, b in module.named_buffers()}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert ours[name].data_ptr() != expected.data_ptr(), f"{name}: compared with itself"
        counts = not expected.is_floating_point()  # batches seen: 0 in evaluation mode
        assert counts or expected.abs().max() > 1e-6, f"{name}: a zero tensor proves nothing"
        torch.testing.assert_close(
            ours[name], expected, rtol=1e-8, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
        )


def their_block(inputs: int, channels: int, stride: int) -> nn.Module:
    downsample = None
    if stride != 1 or inputs != channels:
        downsample = nn.Sequential(
            nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )
    return TheirBlock(inputs, channels, stride, downsample)


@pytest.mark.parametrize("make", [BasicBlock, stand_ins.BasicBlock])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("inputs", "channels", "stride"), [(4, 4, 1), (3, 5, 1), (4, 4, 2), (3, 6, 2), (6, 3, 2)]
)
def test_block_is_timms(make, inputs: int, channels: int, stride: int, train: bool) -> None:
    ours, theirs = make(inputs, channels, stride).double(), their_block(inputs, channels, stride).double()
    state = drawn_state(theirs)
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    x = draw(3, inputs, 7, 4, seed=5) * 2 + 0.3
    assert_same(seen(ours.train(train), x), seen(theirs.train(train), x))


def their_resnet(width: int, blocks: tuple[int, ...], classes: int, channels: int) -> nn.Module:
    """timm's with its channels scaled to `width` and the stem for small images."""
    theirs = TheirResNet(
        TheirBlock,
        blocks,
        num_classes=classes,
        in_chans=channels,
        stem_width=width,
        channels=[width * 2**s for s in range(4)],
    )
    theirs.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    theirs.bn1 = nn.BatchNorm2d(width)
    theirs.maxpool = nn.Identity()
    if width != 64:  # timm's first stage expects 64 channels from its stem
        stage = theirs.layer1[0]
        stage.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        stage.downsample = None
    return theirs.double()


@pytest.mark.parametrize("make", [ResNet, stand_ins.ResNet])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("width", "blocks", "channels"), [(4, (1, 2, 1, 1), 3), (6, (2, 1, 1, 2), 1)])
def test_resnet_is_timms(make, width: int, blocks: tuple[int, ...], channels: int, train: bool) -> None:
    theirs = their_resnet(width, blocks, 5, channels)
    ours = make(width, 5, blocks, channels).double()
    state = drawn_state(theirs)
    theirs.load_state_dict(state)
    ours.load_state_dict(state)
    images = draw(3, channels, 16, 24, seed=9) + 0.2
    assert_same(seen(ours.train(train), images), seen(theirs.train(train), images))


def test_sizes_are_those_of_the_references() -> None:
    for width, parameters, gmacs in ((32, 2.80, 0.139), (40, 4.37, 0.217)):
        found = profile(ResNet(width), (1, 3, 32, 32))
        assert round(found.parameters / 1e6, 2) == parameters
        assert round(found.macs / 1e9, 3) == gmacs


def test_without_a_head_the_features_come_out() -> None:
    model = ResNet(4, 0, (1, 1)).eval()
    images = torch.randn(2, 3, 8, 12)
    assert model.features(images).shape == (2, 8, 4, 6)
    torch.testing.assert_close(model(images), model.features(images).mean((2, 3)))
