"""Stand-ins for notebook 08: MLP-Mixer and PoolFormer with their blocks.

The work is done by `F.conv1d` (a token MLP is a convolution whose channels are the tokens), `F.unfold`, `nn.AvgPool2d`,
`F.layer_norm` and `torch.addcmul`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.layers.stochastic_depth import StochasticDepth, depth_rates


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
        tokens = self.norm(self.blocks(self.embed(images)))
        return self.head(F.adaptive_avg_pool1d(tokens.transpose(1, 2), 1).flatten(1))


class Pooling(nn.AvgPool2d):
    """`nn.AvgPool2d` without its padding in the count, minus the input."""

    def __init__(self, pool_size: int = 3) -> None:
        if pool_size < 1 or pool_size % 2 == 0:
            raise ValueError(f"a neighbourhood with the token in its middle has an odd side, got {pool_size}")
        super().__init__(pool_size, stride=1, padding=pool_size // 2, count_include_pad=False)
        self.pool_size = pool_size

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return super().forward(x) - x


class MetaFormerBlock(nn.Module):
    """(B, C, H, W) -> (B, C, H, W) around any token mixer."""

    def __init__(
        self,
        dim: int,
        token_mixer: nn.Module,
        mlp_ratio: float = 4.0,
        layer_scale: float = 1e-5,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = int(mlp_ratio * dim)
        layers = {"fc1": nn.Conv2d(dim, hidden, 1), "act": nn.GELU(), "fc2": nn.Conv2d(hidden, dim, 1)}
        self.mlp = nn.Sequential(OrderedDict(layers))
        self.drop_path = StochasticDepth(drop_path)
        self.norm1 = nn.GroupNorm(1, dim)
        self.token_mixer = token_mixer
        self.norm2 = nn.GroupNorm(1, dim)
        self.layer_scale_1 = nn.Parameter(layer_scale * torch.ones(dim))
        self.layer_scale_2 = nn.Parameter(layer_scale * torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = torch.addcmul(
            x, self.drop_path(self.token_mixer(self.norm1(x))), self.layer_scale_1.view(-1, 1, 1)
        )
        return torch.addcmul(x, self.drop_path(self.mlp(self.norm2(x))), self.layer_scale_2.view(-1, 1, 1))


class PoolFormer(nn.Module):
    """(B, C, H, W) -> (B, num_classes)."""

    CONFIGS = {
        "poolformer_s12": ((2, 2, 6, 2), (64, 128, 320, 512), 1e-5),
        "poolformer_s24": ((4, 4, 12, 4), (64, 128, 320, 512), 1e-5),
        "poolformer_s36": ((6, 6, 18, 6), (64, 128, 320, 512), 1e-6),
        "poolformer_m36": ((6, 6, 18, 6), (96, 192, 384, 768), 1e-6),
        "poolformer_m48": ((8, 8, 24, 8), (96, 192, 384, 768), 1e-6),
    }

    def __init__(
        self,
        depths: tuple[int, ...],
        dims: tuple[int, ...],
        pool_size: int = 3,
        mlp_ratio: float = 4.0,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        stem: tuple[int, int, int] = (7, 4, 2),
        layer_scale: float = 1e-5,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if len(depths) != len(dims):
            raise ValueError(f"depths names {len(depths)} stages and dims {len(dims)}")
        self.in_channels = in_channels
        widths, geometry = (in_channels, *dims), (stem, *((3, 2, 1),) * (len(dims) - 1))
        self.patch_embeddings = nn.ModuleList(
            nn.Conv2d(old, new, *how) for old, new, how in zip(widths, dims, geometry, strict=False)
        )
        rates = depth_rates(drop_path, sum(depths))
        self.stages = nn.ModuleList()
        for depth, dim in zip(depths, dims, strict=True):
            stage = nn.Sequential()
            for _ in range(depth):
                stage.append(MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, rates.pop(0)))
            self.stages.append(stage)
        self.norm = nn.GroupNorm(1, dims[-1])
        self.head = nn.Linear(dims[-1], num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> PoolFormer:
        """ "poolformer_" + "s12", "s24", "s36", "m36", "m48" or "cifar"."""
        known: dict[str, dict[str, Any]] = {
            key: {"depths": depths, "dims": dims, "layer_scale": scale}
            for key, (depths, dims, scale) in cls.CONFIGS.items()
        }
        known["poolformer_cifar"] = {"depths": (2, 2, 2), "dims": (64, 128, 256), "num_classes": 10}
        known["poolformer_cifar"] |= {"stem": (3, 2, 1), "layer_scale": 0.1}
        if name not in known:
            raise ValueError(f"no PoolFormer is called {name!r}; there are {', '.join(known)}")
        return cls(**(known[name] | changes))

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, h, w)."""
        for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):
            images = blocks(embed(images))
        return images

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        return self.head(F.adaptive_avg_pool2d(self.norm(self.features(images)), 1).flatten(1))
