"""The clock that times each operation: its multiply-adds agree with the counter's, and its kinds with the model's layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from solutions.resnet import ResNet
from solutions.vit import ViT
from tests.peers import import_timm
from utils.cost.macs import count_macs, profile
from utils.cost.throughput import best_matmul, main, residual_network, shares


@pytest.mark.parametrize("make", [lambda: ViT(16, 4, 32, 2, 4, 2.0, 5), lambda: residual_network(8)])
def test_the_clock_counts_every_multiply_add(make) -> None:
    model, images = make().eval(), torch.randn(3, 3, 16, 16)
    found = shares(model, images, repeats=2)
    assert sum(share.macs for share in found) == count_macs(model, images)
    assert all(share.seconds > 0 for share in found)


def test_kinds_of_layers() -> None:
    images = torch.randn(2, 3, 16, 16)
    vit = {share.kind: share for share in shares(ViT(16, 4, 32, 2, 4, 2.0, 5), images, repeats=1)}
    n, d = 17, 32
    assert vit["attention"].macs == 2 * 2 * 2 * n * n * d
    assert vit["matrix product"].flops_per_second > 0 and vit["norm"].macs == 0
    resnet = {share.kind: share for share in shares(residual_network(8), images, repeats=1)}
    assert "attention" not in resnet and resnet["convolution"].macs > 100 * resnet["matrix product"].macs
    assert resnet["convolution"].intensity > 0


def test_residual_network_is_the_hand_written_resnet() -> None:
    ours, theirs = ResNet(width=8, num_classes=10), residual_network(8)
    shapes = sorted(tuple(p.shape) for p in ours.parameters())
    assert shapes == sorted(tuple(p.shape) for p in theirs.parameters())
    assert profile(ResNet(), (1, 3, 32, 32)).parameters == 2_797_610
    assert round(profile(ResNet(), (1, 3, 32, 32)).macs / 1e9, 3) == 0.139
    assert round(profile(ResNet(width=40), (1, 3, 32, 32)).macs / 1e9, 3) == 0.217


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.slow
def test_resnet_is_timms_up_to_the_stem(train: bool) -> None:
    timm = import_timm()
    theirs = timm.create_model("resnet18", num_classes=7).double()
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False).double()
    theirs.maxpool = nn.Identity()
    with torch.no_grad():
        for name, value in theirs.state_dict().items():
            if value.is_floating_point() and value.ndim == 1:
                value.copy_(torch.rand_like(value) + (0.5 if "var" in name or "weight" in name else -0.5))
    ours = ResNet(width=64, num_classes=7).double()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(3, 3, 16, 24, dtype=torch.float64)
    left, right = ours.train(train)(images), theirs.train(train)(images)
    assert left.std() > 1e-3
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)
    cotangent = torch.randn_like(left)
    (left * cotangent).sum().backward()
    (right * cotangent).sum().backward()
    torch.testing.assert_close(ours.conv1.weight.grad, theirs.conv1.weight.grad, rtol=1e-7, atol=1e-9)


@pytest.mark.slow
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", "solutions.vit:ViT", "--batch", "2", "--width", "8", "--device", "cpu"])
    printed = capsys.readouterr().out
    assert "ViT        attention" in printed and "ResNet     convolution" in printed
    assert best_matmul(size=128) > 0
