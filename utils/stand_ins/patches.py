"""Stand-ins: images into patches, and back."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """(B, C, H, W) -> (B, N, C p p)."""
    if images.shape[-2] % patch_size or images.shape[-1] % patch_size:
        raise ValueError(
            f"{tuple(images.shape[-2:])} pixels cannot be cut into patches of {patch_size} x {patch_size}"
        )
    return F.unfold(images, patch_size, stride=patch_size).mT.contiguous()


def unpatchify(patches: Tensor, patch_size: int, height: int, width: int) -> Tensor:
    """(B, N, C p p) -> (B, C, H, W)."""
    if patches.shape[1] * patch_size**2 != height * width:
        raise ValueError(f"{patches.shape[1]} patches do not fill {height} x {width} pixels")
    return F.fold(patches.transpose(1, 2), (height, width), patch_size, stride=patch_size)
