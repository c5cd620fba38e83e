"""Stand-ins: images with their pixels in another order."""

from __future__ import annotations

from torch import Tensor


def permute_pixels(images: Tensor, permutation: Tensor) -> Tensor:
    """(B, C, H, W) -> the same shape; place n gets pixel permutation[n], in reading order."""
    if permutation.sort().values.tolist() != [*range(images[0, 0].numel())]:
        raise ValueError(f"each pixel once, got {permutation.numel()} numbers")
    return images.flatten(2).index_select(2, permutation).unflatten(2, images.shape[2:])
