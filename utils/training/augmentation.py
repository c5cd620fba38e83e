"""Random flips and crops of images: one gather on the images' device."""

from __future__ import annotations

import torch
from torch import Tensor


def flipped_and_moved(
    images: Tensor,
    flip: Tensor,
    down: Tensor,
    right: Tensor,
    *,
    index: Tensor | None = None,
    border: str = "repeat",
) -> Tensor:
    """Each image flipped (or not) and moved by whole pixels: a random crop, if the numbers are drawn at random.

    Args:
        images: (n, C, H, W), any dtype.
        flip: (B,) bool.
        down, right: (B,) int64; pixel (y, x) of the result is pixel (y + down, x + right) of the (flipped) image.
        index: (B,) which images; default all, then B = n.
        border: what lies outside of an image: "repeat" the outermost pixels, or "zero".

    Returns:
        (B, C, H, W).
    """
    channels, height, width = images.shape[1:]
    device = images.device
    which = torch.arange(len(images), device=device) if index is None else index
    rows = torch.arange(height, device=device) + down[:, None]  # (B, H)
    columns = torch.arange(width, device=device) + right[:, None]  # (B, W)
    inside = ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[
        :, None, None, :
    ]
    columns = torch.where(flip[:, None], width - 1 - columns, columns)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    channel = torch.arange(channels, device=device)
    taken = images[
        which[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
    if border == "repeat":
        return taken
    if border == "zero":
        return taken * inside
    raise ValueError(f"border is 'repeat' or 'zero'; got {border!r}")


def flip_and_crop(
    images: Tensor, pad: int, generator: torch.Generator, border: str = "zero", mirror: bool = True
) -> Tensor:
    """Random horizontal flips and crops after padding, another one for every image.

    Args:
        images: (B, C, H, W); with border "zero" normalised, so that zero is the mean colour.
        pad: on each side, in pixels.
        generator: source of the random numbers.
        border: see `flipped_and_moved`.
        mirror: whether images are flipped at all.

    Returns:
        (B, C, H, W).
    """
    flip = torch.rand(len(images), generator=generator) < (0.5 if mirror else 0.0)
    down, right = torch.randint(0, 2 * pad + 1, (2, len(images)), generator=generator) - pad
    flip, down, right = (v.to(images.device) for v in (flip, down, right))
    return flipped_and_moved(images, flip, down, right, border=border)
