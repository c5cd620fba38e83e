"""Stand-ins: MLP-Mixer and its block."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


def _mlp(width: int, hidden: int) -> nn.Sequential:
    layers = {"fc1": nn.Linear(width, hidden), "act": nn.GELU(), "fc2": nn.Linear(hidden, width)}
    return nn.Sequential(OrderedDict(layers))


class MixerBlock(nn.Module):
    """(B, N, D) -> (B, N, D); the token MLP as two convolutions of kernel 1 over tokens as channels."""

    def __init__(self, num_tokens: int, dim: int, token_hidden: int, channel_hidden: int) -> None:
        super().__init__()
        self.num_tokens, self.dim = num_tokens, dim
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp_tokens = _mlp(num_tokens, token_hidden)
        self.mlp_channels = _mlp(dim, channel_hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        if x.shape[1:] != (self.num_tokens, self.dim):
            raise ValueError(
                f"this block mixes {self.num_tokens} tokens of width {self.dim}, got {tuple(x.shape[1:])}"
            )
        fc1, fc2 = self.mlp_tokens.fc1, self.mlp_tokens.fc2
        hidden = F.gelu(F.conv1d(self.norm1(x), fc1.weight.unsqueeze(-1), fc1.bias))  # (B, token_hidden, D)
        x = x + F.conv1d(hidden, fc2.weight.unsqueeze(-1), fc2.bias)
        return x + self.mlp_channels(self.norm2(x))


class MLPMixer(nn.Module):
    """(B, C, H, W) -> (B, num_classes)."""

    SIZES = {"s": (512, 8, 256, 2048), "b": (768, 12, 384, 3072), "l": (1024, 24, 512, 4096)}

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        dim: int,
        depth: int,
        token_hidden: int,
        channel_hidden: int,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(
                f"patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels"
            )
        self.image_size, self.in_channels, self.patch_size = (height, width), in_channels, patch_size
        self.grid = (height // patch_size, width // patch_size)
        embedding = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)
        self.stem = nn.Sequential(OrderedDict(proj=embedding))
        tokens = self.grid[0] * self.grid[1]
        blocks = [MixerBlock(tokens, dim, token_hidden, channel_hidden) for _ in range(depth)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        if num_classes:
            nn.init.zeros_(self.head.weight)

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> MLPMixer:
        """ "mixer_" + "s", "b" or "l" + "_16" or "_32", or "mixer_cifar"."""
        arguments = ("image_size", "patch_size", "dim", "depth", "token_hidden", "channel_hidden")
        known = {
            f"mixer_{size}_{p}": (224, p, *values) for size, values in cls.SIZES.items() for p in (16, 32)
        }
        known["mixer_cifar"] = (32, 4, 256, 8, 128, 512)
        if name not in known:
            raise ValueError(f"no Mixer is called {name!r}; there are {', '.join(known)}")
        chosen = dict(zip(arguments, known[name], strict=True)) | {
            "num_classes": 10 if "cifar" in name else 1000
        }
        return cls(**(chosen | changes))

    def embed(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D)."""
        patches = F.unfold(images, self.patch_size, stride=self.patch_size).transpose(1, 2)
        return F.linear(patches, self.stem.proj.weight.flatten(1), self.stem.proj.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        if not images.is_floating_point():
            raise TypeError(f"MLPMixer reads floating-point images, got {images.dtype}")
        if images.ndim != 4 or images.shape[1:] != (self.in_channels, *self.image_size) or not len(images):
            raise ValueError(
                f"this Mixer reads images of {self.image_size} pixels, got {tuple(images.shape)}"
            )
        tokens = self.norm(self.blocks(self.embed(images)))
        return self.head(F.adaptive_avg_pool1d(tokens.transpose(1, 2), 1).flatten(1))
