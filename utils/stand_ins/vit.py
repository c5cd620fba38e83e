"""Stand-ins for notebook 05: patches, their embedding, self-attention, the block and the whole Vision Transformer.

The results come from `nn.TransformerEncoderLayer`, `nn.MultiheadAttention`, `F.conv2d`, `F.unfold` and `F.fold`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.layers.stochastic_depth import StochasticDepth, depth_rates


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """(B, C, H, W) -> (B, N, C p p)."""
    if images.shape[-2] % patch_size or images.shape[-1] % patch_size:
        raise ValueError(
            f"{tuple(images.shape[-2:])} pixels cannot be cut into patches of {patch_size} x {patch_size}"
        )
    return F.unfold(images, patch_size, stride=patch_size).transpose(1, 2)


def unpatchify(patches: Tensor, patch_size: int, height: int, width: int) -> Tensor:
    """(B, N, C p p) -> (B, C, H, W)."""
    return F.fold(patches.transpose(1, 2), (height, width), patch_size, stride=patch_size)


class PatchEmbedding(nn.Module):
    """(B, C, H, W) -> (B, N, D), as a strided convolution over the weight of a linear layer."""

    def __init__(self, patch_size: int, dim: int, in_channels: int = 3) -> None:
        super().__init__()
        self.patch_size, self.in_channels = patch_size, in_channels
        self.projection = nn.Linear(in_channels * patch_size * patch_size, dim)

    def forward(self, images: Tensor) -> Tensor:
        p = self.patch_size
        kernels = self.projection.weight.unflatten(1, (self.in_channels, p, p))
        return F.conv2d(images, kernels, self.projection.bias, stride=p).flatten(2).transpose(1, 2)


def add_cls_and_positions(tokens: Tensor, cls_token: Tensor | None, positions: Tensor) -> Tensor:
    """(B, N, D) -> (B, N + 1, D), CLS first; without CLS (B, N, D)."""
    if cls_token is None:
        return tokens + positions
    padded = F.pad(tokens, (0, 0, 1, 0))
    first = torch.zeros_like(positions)
    first[:, :1] = 1
    return padded + first * cls_token + positions


class SelfAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` behind the exercise's signature."""

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        if dim % num_heads:
            raise ValueError(f"a width of {dim} cannot be split into {num_heads} heads")
        super().__init__(dim, num_heads, dropout, batch_first=True)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, N, D) -> queries, keys, values, each (B, H, N, d)."""
        thirds = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        return tuple(part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in thirds)

    def weights(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, H, N, N)."""
        _, weights = super().forward(x, x, x, average_attn_weights=False)
        assert weights is not None
        return weights

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        return super().forward(x, x, x, need_weights=False)[0]


class ViTBlock(nn.TransformerEncoderLayer):
    """PyTorch's pre-norm encoder layer with GELU; with stochastic depth on its two branches."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        hidden_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        drop_path: float = 0.0,
        norm_eps: float = 1e-6,
    ) -> None:
        super().__init__(
            dim,
            num_heads,
            hidden_dim,
            dropout,
            "gelu",
            layer_norm_eps=norm_eps,
            batch_first=True,
            norm_first=True,
        )
        # parameters in the exercise's order: norm1, self_attn, norm2, linear1, linear2
        parts = {
            name: self._modules.pop(name) for name in ("norm1", "self_attn", "norm2", "linear1", "linear2")
        }
        rest = dict(self._modules)
        self._modules.clear()
        self._modules.update(parts | rest)
        self.self_attn = SelfAttention(dim, num_heads, attention_dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = x + self.drop_path(self.dropout1(self.self_attn(self.norm1(x))))
        return x + self.drop_path(self._ff_block(self.norm2(x)))


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
