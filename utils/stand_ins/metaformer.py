"""Stand-ins: the MetaFormer block and PoolFormer."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.layers.stochastic_depth import StochasticDepth, depth_rates
from utils.stand_ins.pooling import Pooling


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
        if not images.is_floating_point():
            raise TypeError(f"PoolFormer reads floating-point images, got {images.dtype}")
        if images.ndim != 4 or images.shape[1] != self.in_channels or not len(images):
            raise ValueError(f"this PoolFormer reads {self.in_channels} channels, got {tuple(images.shape)}")
        return self.head(F.adaptive_avg_pool2d(self.norm(self.features(images)), 1).flatten(1))
