"""The Vision Transformer: an image as a sentence of patches, read by a plain Transformer encoder.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929
2. Lucas Beyer, Xiaohua Zhai, Alexander Kolesnikov. "Better plain ViT baselines for ImageNet-1k". 2022.
   https://arxiv.org/abs/2205.01580 (mean pooling without a CLS token)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from solutions.patch_embedding import PatchEmbedding, add_cls_and_positions
from solutions.vit_block import ViTBlock
from utils.layers.stochastic_depth import depth_rates


class ViT(nn.Module):
    """Vision Transformer for classification (Dosovitskiy et al. 2021).

    Args:
        image_size: side in pixels, or (height, width); divisible by `patch_size`.
        patch_size: side of a square patch, in pixels.
        dim: width D of a token.
        depth: number of encoder layers.
        num_heads: number of heads.
        mlp_ratio: hidden width of the MLPs over D.
        num_classes: number of classes; 0 leaves the head out, and `forward` returns the pooled
            features.
        pool: "cls" reads the CLS token; "mean" averages the patch tokens of a model that has no
            CLS token.
        in_channels: channels of the image.
        dropout: on the embedded tokens and in every block.
        attention_dropout: on the attention weights.
        drop_path: stochastic depth of the last block; it grows linearly from 0 at the first.
        norm_eps: epsilon of the layer norms (1e-6 in the authors' code, 1e-12 in Hugging Face's
            files).

    Raises:
        ValueError: for sizes that do not fit together.
    """

    WIDTHS = {
        "ti": (192, 12, 3),
        "s": (384, 12, 6),
        "b": (768, 12, 12),
        "l": (1024, 24, 16),
    }  # D, depth, heads

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
                f"patches of {patch_size} x {patch_size} do not tile an image of "
                f"{height} x {width} pixels"
            )
        if pool not in ("cls", "mean"):
            raise ValueError(f"pool must be 'cls' or 'mean', got {pool!r}")
        self.image_size, self.in_channels, self.pool = (height, width), in_channels, pool
        self.grid = (height // patch_size, width // patch_size)  # patches down, patches across
        tokens = self.grid[0] * self.grid[1] + (pool == "cls")

        self.patch_embedding = PatchEmbedding(patch_size, dim, in_channels)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if pool == "cls" else None
        self.positions = nn.Parameter(torch.zeros(1, tokens, dim))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            ViTBlock(
                dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps
            )
            for rate in depth_rates(drop_path, depth)
        )
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> nn.Module:
        """A published size by its name: "vit_" + "ti", "s", "b" or "l" + "_16" or "_32", at 224
        x 224 pixels, 1000 classes.

        Args:
            name: for example "vit_b_16"; "vit_cifar" is the course's small model for 32 x 32
                pixels (2.7M parameters).
            changes: any argument of the constructor, for example `image_size=384`.

        Raises:
            ValueError: for an unknown name; it lists the known ones.
        """
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

    def reset_parameters(self) -> None:
        """Xavier-uniform linear layers with zero biases, positions and CLS from N(0, 0.02^2),
        cut at two deviations."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images: Tensor) -> None:
        """Raises one clear sentence (TypeError or ValueError) for images that this model cannot
        read."""
        if not images.is_floating_point():
            raise TypeError(
                f"ViT reads normalised floating-point images, got {images.dtype}: "
                "divide by 255 first"
            )
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(
                "this ViT reads images of shape (B, C, H, W) = (B, "
                f"{', '.join(map(str, expected))}) "
                f"with B > 0, got {tuple(images.shape)}"
            )

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N + 1, D) tokens after all blocks and the final norm; (B, N, D)
        if pool="mean"."""
        self.check_images(images)
        ### BEGIN SOLUTION
        tokens = self.patch_embedding(images)  # (B, N, D)
        tokens = self.dropout(add_cls_and_positions(tokens, self.cls_token, self.positions))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)
        ### END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes) logits."""
        ### BEGIN SOLUTION
        tokens = self.encode(images)
        pooled = tokens[:, 0] if self.pool == "cls" else tokens.mean(dim=1)  # (B, D)
        return self.head(pooled)
        ### END SOLUTION

    @torch.no_grad()
    def attention_maps(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> attention weights of every layer, (depth, B, H, N, N); row = query,
        column = key."""
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
