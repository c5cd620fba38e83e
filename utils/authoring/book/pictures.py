"""Pictures for the dark theme, made from the stored ones: what was black on white becomes light on dark, each hue stays what it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

BACKGROUND = 0x14 / 255  # of the theme's page, nearly


def flipped(pixels: np.ndarray) -> np.ndarray:
    """Lightness turned around, hue and chroma kept: every channel moves by the same amount, so blue stays blue.

    Args:
        pixels: (..., 3), from 0 to 1.
    """
    shift = 1 - pixels.max(axis=-1, keepdims=True) - pixels.min(axis=-1, keepdims=True)
    return BACKGROUND + (1 - BACKGROUND) * (pixels + shift)


def kept(file: Path) -> str | None:
    """What a picture's file says of itself: the boxes that `dark` is to keep, in a PNG's text "keep"; None if it says nothing."""
    with Image.open(file) as picture:
        return picture.info.get("keep")


def dark(content: bytes, keep: str | None) -> bytes:
    """A PNG for the dark theme.

    Args:
        content: the PNG for the light theme.
        keep: boxes that stay as they are (photographs, colour maps), "left,top,right,bottom left,...", per mille of width and height;
            None where the notebook does not say: the picture then stays as it is.
    """
    if keep is None:
        return content
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    before = np.asarray(picture, dtype=np.float32) / 255
    after = flipped(before)
    for box in keep.split():
        left, top, right, bottom = (int(edge) / 1000 for edge in box.split(","))
        height, width = before.shape[:2]
        place = np.s_[
            round(top * height) : round(bottom * height), round(left * width) : round(right * width)
        ]
        after[place] = before[place]
    made = Image.fromarray((after * 255).round().astype(np.uint8))
    out = io.BytesIO()
    made.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        out, format="png", optimize=True
    )
    return out.getvalue()
