"""Images into patches, a row of numbers per patch, and back.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """Cuts images into patches, and lays each patch out as one row of numbers.

    Args:
        images: (B, C, H, W).
        patch_size: side p of a square patch, in pixels; H and W must be divisible by it.

    Returns:
        (B, N, C * p * p) with N = (H / p) * (W / p). Patches come in reading order (left to
        right, then down). Within a patch the channel varies slowest, then the row, then the
        column: `(C p p)`, the order in which the weight of a convolution is stored.

    Raises:
        ValueError: if H or W is not divisible by `patch_size`.
    """
    height, width = images.shape[-2:]
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"an image of {height} x {width} pixels cannot be cut into patches of "
            f"{patch_size} x {patch_size}"
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
            f"{patches.shape[1]} patches of {patch_size} x {patch_size} do not fill "
            f"{height} x {width} pixels"
        )
    ### BEGIN SOLUTION
    return rearrange(
        patches, "b (i j) (c p q) -> b c (i p) (j q)", i=rows, j=columns, p=patch_size, q=patch_size
    )
    ### END SOLUTION
