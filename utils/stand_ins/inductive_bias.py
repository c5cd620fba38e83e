"""Stand-ins for notebook 06: the residual network, and what it is compared by: shifts, permuted pixels, attention distances, fine-tuning.

The exercises' docstrings say what each does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Residual block of He et al. (2016): (B, in_channels, H, W) -> (B, channels, H / stride, W / stride)."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        projection = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
        )
        self.downsample = projection if stride > 1 or in_channels != channels else None

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (residual + (self.downsample or nn.Identity())(x)).relu()


class ResNet(nn.Module):
    """ResNet for small images: (B, in_channels, H, W) -> (B, num_classes)."""

    def __init__(
        self,
        width: int = 32,
        num_classes: int = 10,
        blocks: tuple[int, ...] = (2, 2, 2, 2),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages: list[str] = []
        for s, depth in enumerate(blocks):
            first = BasicBlock(width * 2 ** max(s - 1, 0), width * 2**s, 2 if s else 1)
            rest = [BasicBlock(width * 2**s, width * 2**s) for _ in range(depth - 1)]
            self.stages.append(f"layer{s + 1}")
            self.add_module(self.stages[-1], nn.Sequential(first, *rest))
        self.fc = nn.Linear(width * 2 ** (len(blocks) - 1), num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> the last stage's map."""
        body = [self.get_submodule(name) for name in self.stages]
        return nn.Sequential(self.conv1, self.bn1, nn.ReLU(), *body)(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).flatten(2).mean(-1))


@torch.no_grad()
def shift_consistency(model: nn.Module, images: Tensor, max_shift: int) -> Tensor:
    """Share of images moved by 0 .. max_shift pixels (cyclically, four directions) that keep their class: (max_shift + 1,)."""
    was_training = model.training
    model.eval()
    try:
        first, shares = model(images).argmax(1), []
        for s in range(max_shift + 1):
            moved = [torch.roll(images, by, (2, 3)) for by in ((s, 0), (-s, 0), (0, s), (0, -s))]
            shares.append(torch.stack([model(m).argmax(1) for m in moved]).eq(first).float().mean())
        return torch.stack(shares)
    finally:
        model.train(was_training)


def permute_pixels(images: Tensor, permutation: Tensor) -> Tensor:
    """(B, C, H, W) -> the same shape; place n gets pixel permutation[n], in reading order."""
    return images.flatten(2).index_select(2, permutation).unflatten(2, images.shape[2:])


def mean_attention_distance(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """(..., N, N) attention weights -> (...) mean distance of query and key in patches; a CLS token is left out."""
    rows, columns = grid
    cls = weights.shape[-1] - rows * columns
    patches = weights[..., cls:, cls:]
    patches = patches / patches.sum(-1, keepdim=True)
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).to(patches)
    return torch.einsum("...qk,qk->...q", patches, torch.cdist(places, places)).mean(-1)


def fine_tune(
    model: nn.Module,
    layers: Sequence[Sequence[str]],
    num_classes: int,
    learning_rate: float,
    decay: float,
    head: str = "head",
) -> list[dict[str, Any]]:
    """Replaces the head by one of zeros; parameter groups with rates that fall by `decay` per layer below the head."""
    old = model.get_submodule(head)
    new = nn.Linear(old.in_features, num_classes, device=old.weight.device, dtype=old.weight.dtype)
    for parameter in new.parameters():
        nn.init.zeros_(parameter)
    model.add_module(head, new)
    rates = [(head, learning_rate)]
    for i, part in enumerate(layers):
        rates += [(name, learning_rate * decay ** (len(layers) - i)) for name in part]
    groups: dict[float, list[nn.Parameter]] = {}
    for key, parameter in model.named_parameters():
        found = [rate for name, rate in rates if key == name or key.startswith(f"{name}.")]
        if len(found) != 1:
            raise ValueError(f"{key} is in {len(found)} layers, must be in exactly one")
        groups.setdefault(found[0], []).append(parameter)
    return [{"params": parameters, "lr": rate} for rate, parameters in groups.items()]
