"""Stand-ins: a Transformer whose tokens are pixels."""

from __future__ import annotations

from torch import Tensor


def pixel_tokens(images: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C), pixels in reading order."""
    return images.permute(0, 2, 3, 1).flatten(1, 2)
