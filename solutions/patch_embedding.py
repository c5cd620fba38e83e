"""From an image to ViT's tokens: patches through a matrix (or a convolution), a class token, and positions.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from solutions.patches import patchify


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


def embed_by_convolution(
    images: Tensor, weight: Tensor, bias: Tensor, patch_size: int
) -> Tensor:
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


def add_cls_and_positions(
    tokens: Tensor, cls_token: Tensor | None, positions: Tensor
) -> Tensor:
    """Puts the CLS token in front of the patch tokens, then adds one learned vector per
    position.

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
