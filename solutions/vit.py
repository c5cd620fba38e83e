"""The Vision Transformer: an image as a sentence of patches, read by a plain Transformer encoder.

Parameters are named and laid out as PyTorch does: a `ViTBlock` loads the weights of
`nn.TransformerEncoderLayer(norm_first=True, activation="gelu")` as they are, and the other way round.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929
2. Lucas Beyer, Xiaohua Zhai, Alexander Kolesnikov. "Better plain ViT baselines for ImageNet-1k". 2022.
   https://arxiv.org/abs/2205.01580 (mean pooling without a CLS token)
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils.layers.stochastic_depth import StochasticDepth, depth_rates


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cuts images into patches, and lays each patch out as one row of numbers.

    Args:
        images: (B, C, H, W).
        patch_size: side p of a square patch, in pixels; H and W must be divisible by it.

    Returns:
        (B, N, C * p * p) with N = (H / p) * (W / p). Patches come in reading order (left to right, then
        down). Within a patch the channel varies slowest, then the row, then the column: `(C p p)`, the order in which
        the weight of a convolution is stored.

    Raises:
        ValueError: if H or W is not divisible by `patch_size`.
    """
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"an image of {height} x {width} pixels cannot be cut into patches of {patch_size} x {patch_size}"
        )
    ### BEGIN SOLUTION
    return rearrange(images, "b c (i p) (j q) -> b (i j) (c p q)", p=patch_size, q=patch_size)
    ### END SOLUTION


def unpatchify(patches: Tensor, patch_size: int, height: int, width: int) -> Tensor:
    """Puts patches back together: the inverse of `patchify`.

    Args:
        patches: (B, N, C * p * p) in the order that `patchify` gives.
        patch_size: side p of a square patch, in pixels.
        height, width: size of the image in pixels, with N = (height / p) * (width / p).

    Returns:
        (B, C, height, width).

    Raises:
        ValueError: if N patches do not fill `height` x `width` pixels.
    """
    rows, columns = height // patch_size, width // patch_size
    if patches.shape[1] != rows * columns or height % patch_size or width % patch_size:
        raise ValueError(
            f"{patches.shape[1]} patches of {patch_size} x {patch_size} do not fill {height} x {width} pixels"
        )
    ### BEGIN SOLUTION
    return rearrange(
        patches, "b (i j) (c p q) -> b c (i p) (j q)", i=rows, j=columns, p=patch_size, q=patch_size
    )
    ### END SOLUTION


class PatchEmbedding(nn.Module):
    """One linear layer, shared by all patches: pixels of a patch -> a token of width D.

    Args:
        patch_size: side p of a square patch, in pixels.
        dim: width D of a token.
        in_channels: channels C of the image.
    """

    def __init__(self, patch_size: int, dim: int, in_channels: int = 3) -> None:
        super().__init__()
        self.patch_size = patch_size
        ### BEGIN SOLUTION
        self.projection = nn.Linear(in_channels * patch_size * patch_size, dim)
        ### END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D)."""
        ### BEGIN SOLUTION
        return self.projection(patchify(images, self.patch_size))  # (B, N, C p p) -> (B, N, D)
        ### END SOLUTION


def embed_by_convolution(images: Tensor, weight: Tensor, bias: Tensor, patch_size: int) -> Tensor:
    """The patch embedding, computed as a convolution whose stride is its kernel size.

    Args:
        images: (B, C, H, W).
        weight: (D, C * p * p), the weight of `PatchEmbedding`'s linear layer.
        bias: (D,), its bias.
        patch_size: side p of a square patch, in pixels.

    Returns:
        (B, N, D), equal to `PatchEmbedding` up to rounding.
    """
    ### BEGIN SOLUTION
    kernels = rearrange(weight, "d (c p q) -> d c p q", p=patch_size, q=patch_size)
    grid = F.conv2d(images, kernels, bias, stride=patch_size)  # (B, D, H/p, W/p)
    return rearrange(grid, "b d i j -> b (i j) d")
    ### END SOLUTION


def add_cls_and_positions(tokens: Tensor, cls_token: Tensor | None, positions: Tensor) -> Tensor:
    """Puts the CLS token in front of the patch tokens, then adds one learned vector per position.

    Args:
        tokens: (B, N, D) patch tokens.
        cls_token: (1, 1, D), the same for every image; None for a model without one.
        positions: (1, N + 1, D), the first for CLS; (1, N, D) without CLS.

    Returns:
        (B, N + 1, D), or (B, N, D) without CLS.
    """
    ### BEGIN SOLUTION
    if cls_token is not None:
        tokens = torch.cat([cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)  # (B, N + 1, D)
    return tokens + positions
    ### END SOLUTION


class SelfAttention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values together.

    The parameters are those of `nn.MultiheadAttention`: rows 0..D-1 of `in_proj_weight` make the queries, the next D
    the keys, the last D the values; head h owns rows h*d..(h+1)*d-1 of each third.

    Args:
        dim: width D of a token.
        num_heads: number of heads H; d = D / H.
        dropout: probability of dropping an attention weight in training.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"a width of {dim} cannot be split into {num_heads} heads")
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):  # each third as a layer of its own
            nn.init.xavier_uniform_(part)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, D) -> queries, keys and values, each (B, H, N, d)."""
        ### BEGIN SOLUTION
        thirds = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(
            3, dim=-1
        )  # (B, N, 3 D) -> 3 x (B, N, D)
        query, key, value = (rearrange(part, "b n (h d) -> b h n d", h=self.num_heads) for part in thirds)
        return query, key, value
        ### END SOLUTION

    def weights(self, x: Tensor) -> Tensor:
        """(B, N, D) -> attention weights (B, H, N, N); row = query, column = key. For looking at, not for speed."""
        ### BEGIN SOLUTION
        query, key, _ = self.split(x)
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5  # (B, H, N, N)
        return scores.softmax(dim=-1)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        dropout = self.dropout if self.training else 0.0
        ### BEGIN SOLUTION
        query, key, value = self.split(x)
        heads = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)  # (B, H, N, d)
        return self.out_proj(rearrange(heads, "b h n d -> b n (h d)"))
        ### END SOLUTION


class ViTBlock(nn.Module):
    """One pre-norm encoder layer: x + attention(norm(x)), then x + MLP(norm(x)).

    Args:
        dim: width D of a token.
        num_heads: number of heads.
        hidden_dim: hidden width of the MLP.
        dropout: after the attention's output, after GELU and after the MLP's output.
        attention_dropout: on the attention weights.
        drop_path: probability of leaving a whole residual branch out for an image (stochastic depth).
        norm_eps: epsilon of the layer norms.
    """

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
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.self_attn = SelfAttention(dim, num_heads, attention_dropout)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D). The MLP is linear1, exact GELU, linear2."""
        ### BEGIN SOLUTION
        attended = self.self_attn(self.norm1(x))
        x = x + self.drop_path(self.dropout(attended))
        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x))))  # (B, N, hidden_dim)
        return x + self.drop_path(self.dropout(self.linear2(hidden)))
        ### END SOLUTION


class ViT(nn.Module):
    """Vision Transformer for classification (Dosovitskiy et al. 2021).

    Args:
        image_size: side in pixels, or (height, width); divisible by `patch_size`.
        patch_size: side of a square patch, in pixels.
        dim: width D of a token.
        depth: number of encoder layers.
        num_heads: number of heads.
        mlp_ratio: hidden width of the MLPs over D.
        num_classes: number of classes; 0 leaves the head out, and `forward` returns the pooled features.
        pool: "cls" reads the CLS token; "mean" averages the patch tokens of a model that has no CLS token.
        in_channels: channels of the image.
        dropout: on the embedded tokens and in every block.
        attention_dropout: on the attention weights.
        drop_path: stochastic depth of the last block; it grows linearly from 0 at the first.
        norm_eps: epsilon of the layer norms (1e-6 in the authors' code, 1e-12 in Hugging Face's files).

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
                f"patches of {patch_size} x {patch_size} do not tile an image of {height} x {width} pixels"
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
            ViTBlock(dim, num_heads, int(dim * mlp_ratio), dropout, attention_dropout, rate, norm_eps)
            for rate in depth_rates(drop_path, depth)
        )
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        self.reset_parameters()

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> nn.Module:
        """A published size by its name: "vit_" + "ti", "s", "b" or "l" + "_16" or "_32", at 224 x 224 pixels, 1000 classes.

        Args:
            name: for example "vit_b_16"; "vit_cifar" is the course's small model for 32 x 32 pixels (2.7M parameters).
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
        """Xavier-uniform linear layers with zero biases, positions and CLS from N(0, 0.02^2), cut at two deviations."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for parameter in (self.cls_token, self.positions):
            if parameter is not None:
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)

    def check_images(self, images: Tensor) -> None:
        """Raises one clear sentence (TypeError or ValueError) for images that this model cannot read."""
        if not images.is_floating_point():
            raise TypeError(
                f"ViT reads normalised floating-point images, got {images.dtype}: divide by 255 first"
            )
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(f"this ViT reads images of shape (B, C, H, W) = (B, {', '.join(map(str, expected))}) "
                             f"with B > 0, got {tuple(images.shape)}")  # fmt: skip

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N + 1, D) tokens after all blocks and the final norm; (B, N, D) if pool="mean"."""
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
        """(B, C, H, W) -> attention weights of every layer, (depth, B, H, N, N); row = query, column = key."""
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
