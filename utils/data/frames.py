"""Noisy frames without a border, with one glyph anywhere: the data of the experiment `crossing`.

The label is the glyph, except where its middle lies in the first columns of the frame, a given share of it: there the label is the *next*
glyph. Frames are cyclic: a glyph that leaves on one side goes on at the opposite one. So all shifts of a frame are equally likely, and a
classifier that is invariant to them has a ceiling of 1 - share, whatever its size (`invariant_ceiling`).

Frame i of a seed is a function of (seed, i), as in `shapes.py`: subsets are nested, any batch can be drawn again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from utils.data.glyphs import hash32, hash64

NAMES = ("plus", "cross", "T", "L")
PATTERNS = (  # nine pixels each, so that the brightness says nothing
    ("..#..", "..#..", "#####", "..#..", "..#.."),
    ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
    ("#####", "..#..", "..#..", "..#..", "..#.."),
    ("#....", "#....", "#....", "#....", "#####"),
)
TEST_START = 1 << 40  # test frames are drawn from here on, where no training stream arrives
NOISE = 0.4  # standard deviation; a glyph's pixels are 1, the ground is 0


class Frames:
    """The stream of frames.

    Args:
        share: of the frame's columns in which the label is the next glyph, 0 to 1/2; a multiple of 1 / side.
        side: height and width in pixels, at least 8.
        seed: another seed gives other frames.
        noise: standard deviation of each pixel's noise.

    Raises:
        ValueError: for a share that is no whole number of columns, or lies outside 0 to 1/2; for a frame that is too small.
    """

    def __init__(self, share: float = 0.0, side: int = 16, seed: int = 0, noise: float = NOISE) -> None:
        if side < 8:
            raise ValueError(f"a frame needs at least 8 pixels a side, got {side}")
        if not 0 <= share <= 0.5 or share * side != int(share * side):
            raise ValueError(f"share must be 0 to 1/2 and a multiple of 1/{side}, got {share}")
        self.columns, self.side, self.noise = int(share * side), side, noise
        self._key = int(hash64(torch.tensor([seed])).item())
        pictures = [[[float(c == "#") for c in row] for row in rows] for rows in PATTERNS]
        frame = torch.zeros(len(NAMES), side, side)
        frame[:, :5, :5] = torch.tensor(pictures)
        self._glyphs = frame.roll((-2, -2), (1, 2))  # the middle of each lies at row 0, column 0

    def parts(self, start: int, count: int) -> dict[str, Tensor]:
        """What is in frames start .. start + count - 1, without drawing them.

        Returns:
            glyph, row, column (of its middle), label: (count,) int64; exception: (count,) bool.
        """
        if start < 0 or count < 0:
            raise ValueError(f"start and count can't be negative, got start={start} and count={count}")
        bits = hash64(torch.arange(start, start + count), self._key)
        glyph, row, column = bits & 3, (bits >> 8 & 0xFFFF) % self.side, (bits >> 32 & 0xFFFF) % self.side
        exception = column < self.columns
        label = (glyph + exception.long()) % len(NAMES)
        return {"glyph": glyph, "row": row, "column": column, "exception": exception, "label": label}

    def batch(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Frames start .. start + count - 1.

        Returns:
            images (count, 1, side, side) float32, labels (count,) int64.
        """
        found, axis = self.parts(start, count), torch.arange(self.side)
        rows = (axis - found["row"][:, None]) % self.side  # (count, side): where to read in the glyph's frame
        columns = (axis - found["column"][:, None]) % self.side
        images = self._glyphs[found["glyph"][:, None, None], rows[:, :, None], columns[:, None, :]]
        return (images + self.noise * self._normal(start, count)).unsqueeze(1), found["label"]

    def _normal(self, start: int, count: int) -> Tensor:
        """(count, side, side) standard normal numbers, by Box and Muller (1958)."""
        frame = hash64(torch.arange(start, start + count), self._key ^ 0x5DEECE66D)
        pixel = torch.arange(self.side**2) * 0x9E3779B9
        counter = (frame[:, None] + pixel).to(torch.int32)
        first, second = ((hash32(counter ^ key) >> 8 & 0xFFFFFF).float() for key in (0x2545F491, 0x1B873593))
        radius = (-2 * ((first + 1) / 2**24).log()).sqrt()
        return (radius * (second * (2 * math.pi / 2**24)).cos()).view(count, self.side, self.side)
