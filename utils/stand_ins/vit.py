"""Stand-ins: the Vision Transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from utils.layers.stochastic_depth import depth_rates
from utils.stand_ins.patch_embedding import PatchEmbedding, add_cls_and_positions
from utils.stand_ins.vit_block import ViTBlock


class ViT(nn.Module):
    """Vision Transformer with the exercise's signature, names and values, on PyTorch's encoder layers."""

    WIDTHS = {"ti": (192, 12, 3), "s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        num_classes: int = 1000,
        pool: str = "cls",
        *,
        in_channels: int = 3,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(
                f"patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels"
            )
        if pool not in ("cls", "mean"):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = (height, width), in_channels, pool
        self.grid = (height // patch_size, width // patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == "cls" else None
        self.positions = nn.Parameter(torch.zeros(1, self.grid[0] * self.grid[1] + (pool == "cls"), dim))
        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps)
            for rate in depth_rates(drop_path, depth)
        )
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> ViT:
        """ "vit_" + "ti", "s", "b" or "l" + "_16" or "_32", or "vit_cifar"."""
        known = {
            f"vit_{size}_{patch}": {
                "image_size": 224,
                "patch_size": patch,
                "dim": dim,
                "depth": depth,
                "num_heads": heads,
            }
            for size, (dim, depth, heads) in cls.WIDTHS.items()
            for patch in (16, 32)
        }
        known["vit_cifar"] = {
            "image_size": 32,
            "patch_size": 4,
            "dim": 192,
            "depth": 9,
            "num_heads": 6,
            "mlp_ratio": 2.0,
            "num_classes": 10,
        }
        if name not in known:
            raise ValueError(f"no ViT is called {name!r}; there are {', '.join(known)}")
        return cls(**(known[name] | changes))

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N + 1, D) tokens after the final norm."""
        if not images.is_floating_point():
            raise TypeError(f"ViT reads floating-point images, got {images.dtype}")
        if images.ndim != 4 or images.shape[1:] != (self.in_channels, *self.image_size) or not len(images):
            raise ValueError(f"this ViT reads images of {self.image_size} pixels, got {tuple(images.shape)}")
        tokens = add_cls_and_positions(self.patch_embedding(images), self.cls_token, self.positions)
        tokens = self.dropout(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes)."""
        tokens = self.encode(images)
        return self.head(tokens[:, 0] if self.pool == "cls" else tokens.mean(dim=1))

    @torch.no_grad()
    def attention_maps(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (depth, B, H, N, N)."""
        maps: list[Tensor] = []
        hooks = [
            block.self_attn.register_forward_pre_hook(
                lambda module, args: maps.append(module.weights(args[0]))
            )
            for block in self.blocks
        ]
        try:
            self(images)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(maps)
