"""Images with their pixels in another order: what is left for a model that assumes neighbours to belong together."""

from __future__ import annotations

import torch
from torch import Tensor


def permute_pixels(images: Tensor, permutation: Tensor) -> Tensor:
    """Puts the pixels of every image into another order, the same for all images and channels.

    Pixels are counted in reading order: pixel n of an H x W image lies in row n // W and column
    n % W.

    Args:
        images: (B, C, H, W).
        permutation: (H * W,) int64, each of 0 .. H * W - 1 once. Place n of the result gets
            pixel `permutation[n]`.

    Returns:
        (B, C, H, W), a new tensor.

    Raises:
        ValueError: if `permutation` is not a permutation of the image's pixels.
    """
    pixels = images.shape[-2] * images.shape[-1]
    if not torch.equal(
        permutation.sort().values, torch.arange(pixels, device=permutation.device)
    ):
        raise ValueError(
            f"an image of {images.shape[-2]} x {images.shape[-1]} pixels needs each of "
            f"0 .. {pixels - 1} once, "
            f"got {permutation.numel()} numbers that are not these"
        )
    ### BEGIN SOLUTION
    flat = images.flatten(2)  # (B, C, H, W) -> (B, C, H * W)
    return flat[:, :, permutation].view_as(images)
    ### END SOLUTION
