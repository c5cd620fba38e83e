"""Handwritten digits that come with scikit-learn, and pictures of two of them that have to be compared.

A pair holds two digits (a 0, 1 or 2 each, in red, green or blue), each somewhere in a quarter of the picture of its own. The label says
what they have in common: the digit, the colour, both, nothing. One of the two alone says nothing about it. No scan of
a digit is in both a training and a test picture (a writer may be), and every label is equally frequent. In 3 % of the pairs of one digit
both are the same scan.

Pair i of a split and a seed is a function of (split, seed, i), as in `shapes.py`.

Reference: E. Alpaydin and C. Kaynak (1998): Optical Recognition of Handwritten Digits. UCI Machine Learning Repository. (The digits.)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from utils.data.containers import ImageData, ImageSplit
from utils.data.glyphs import hash64
from utils.data.subsets import HELD_OUT_SEED, subset_indices

SHARED = ("same digit and colour", "same digit", "same colour", "nothing in common")
COLOURS = ((240, 76, 76), (76, 217, 90), (90, 128, 255))  # red, green, blue: 0..255
KINDS = 3  # of digits, and of colours
SIDE, DIGIT = 32, 12  # pixels: of the picture, of a digit in it


def bundled_digits(size: int = 32) -> ImageData:
    """scikit-learn's 1,797 handwritten digits, 8 x 8 pixels, enlarged: 1,437 for training and 360 for testing."""
    from PIL import Image
    from sklearn.datasets import load_digits

    raw = load_digits()
    grey = np.round(raw.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8), values 0..16
    if size != 8:
        resample = Image.Resampling.BICUBIC
        grey = np.stack([np.asarray(Image.fromarray(digit).resize((size, size), resample)) for digit in grey])
    images = torch.from_numpy(grey)[:, None].repeat(1, 3, 1, 1)  # (N, H, W) -> (N, 3, H, W)
    labels = torch.from_numpy(raw.target.astype(np.int64))
    whole = ImageSplit(images, labels)
    chosen = subset_indices(len(whole), 360, HELD_OUT_SEED, labels.numpy())
    rest = np.setdiff1d(np.arange(len(whole)), chosen)
    names = tuple(str(name) for name in raw.target_names)
    splits = {"train": whole.take(rest), "test": whole.take(np.sort(chosen))}
    return ImageData("digits", "bundled", names, splits)


class DigitPairs:
    """The stream of pairs of one split.

    Args:
        split: "train" or "test": whose digits.
        seed: another seed gives other pairs.

    Raises:
        ValueError: for another split.
    """

    def __init__(self, split: str = "train", seed: int = 0) -> None:
        if split not in ("train", "test"):
            raise ValueError(f'there are pairs for "train" and for "test", not for {split!r}')
        both = bundled_digits(DIGIT)
        digits = both.train if split == "train" else both.test
        grey = digits.images[:, 0].float() / 255  # (N, DIGIT, DIGIT)
        pools = [grey[digits.labels == kind] for kind in range(KINDS)]
        self._scans, self._sizes = torch.cat(pools), torch.tensor([len(pool) for pool in pools])
        self._starts = self._sizes.cumsum(0) - self._sizes  # where the scans of a kind begin
        self._key = int(hash64(torch.tensor([2 * seed + (split == "test")]), 0xD161).item())

    def parts(self, start: int, count: int) -> dict[str, Tensor]:
        """What is in pairs start .. start + count - 1, without drawing them.

        Returns:
            digit, colour, quarter: (count, 2) int64, for each of the two; label: (count,) int64.

        Raises:
            ValueError: start or count is negative.
        """
        if start < 0 or count < 0:
            raise ValueError(f"start and count can't be negative, got start={start} and count={count}")
        index = torch.arange(start, start + count)
        label = index % len(SHARED)
        same = {"digit": label <= 1, "colour": label % 2 == 0}
        bits = hash64(index, self._key)
        found = {"label": label}
        for name, shift in (("digit", 0), ("colour", 20)):
            first = (bits >> shift & 0x3FF) % KINDS
            step = 1 + (bits >> shift + 10 & 0x3FF) % (KINDS - 1)  # to one of the others
            found[name] = torch.stack([first, (first + step * ~same[name]) % KINDS], dim=1)
        first = bits >> 40 & 3
        found["quarter"] = torch.stack([first, (first + 1 + (bits >> 42 & 0x3FF) % 3) % 4], dim=1)
        return found

    def batch(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Pairs start .. start + count - 1.

        Returns:
            images (count, 3, SIDE, SIDE) uint8, labels (count,) int64.
        """
        found, axis = self.parts(start, count), torch.arange(SIDE)
        images = torch.zeros(count, 3, SIDE, SIDE)
        for which in range(2):
            bits = hash64(torch.arange(start, start + count), self._key ^ (which + 1) << 8)
            kind, quarter = found["digit"][:, which], found["quarter"][:, which]
            grey = self._scans[self._starts[kind] + (bits & 0xFFFFFF) % self._sizes[kind]]
            room = SIDE // 2 - DIGIT + 1
            rows = axis - (quarter // 2 * (SIDE // 2) + (bits >> 24 & 0x3FF) % room)[:, None]
            columns = axis - (quarter % 2 * (SIDE // 2) + (bits >> 40 & 0x3FF) % room)[:, None]
            inside = [(at >= 0) & (at < DIGIT) for at in (rows, columns)]  # (count, SIDE) each
            rows, columns = (at.clamp(0, DIGIT - 1) for at in (rows, columns))
            drawn = grey[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
            drawn = drawn * (inside[0][:, :, None] & inside[1][:, None, :])
            tint = torch.tensor(COLOURS, dtype=torch.float32)[found["colour"][:, which]]  # (count, 3)
            images = images + drawn[:, None] * tint[:, :, None, None]
        return images.round().to(torch.uint8), found["label"]


def digit_pairs(seed: int, train: int, test: int) -> ImageData:
    """Pairs for training and, of digits that are in none of these, for testing."""
    splits = {
        which: ImageSplit(*DigitPairs(which, seed).batch(0, count))
        for which, count in (("train", train), ("test", test))
    }
    return ImageData("digit pairs", "bundled", SHARED, splits)
