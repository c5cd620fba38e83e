"""What the data door hands out: plain data classes, so that a notebook can look inside."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from utils.data.subsets import subset_indices
from utils.words import say


class DataError(ValueError):
    """The data are there but not what they should be: wrong rows, classes, columns, or label names."""


@dataclass(frozen=True, repr=False)
class TextSplit:
    """Texts and their labels, in the same order.

    Attributes:
        texts: the sentences or reviews.
        labels: class of each, an index into the data set's `label_names`.
    """

    texts: list[str]
    labels: list[int]

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"TextSplit({len(self):,} texts, classes {dict(sorted(Counter(self.labels).items()))})"

    def take(self, indices: np.ndarray) -> "TextSplit":
        """The examples with these indices, in their order."""
        return TextSplit([self.texts[i] for i in indices], [self.labels[i] for i in indices])

    def subset(self, n: int, seed: int = 0) -> "TextSplit":
        """A class-balanced random subset of n that contains every smaller one of the same seed."""
        return self.take(subset_indices(len(self), n, seed, self.labels))


@dataclass(frozen=True, repr=False)
class ImageSplit:
    """Images and their labels.

    Attributes:
        images: (N, 3, H, W) uint8.
        labels: (N,) int64, indices into the data set's `label_names`.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSplit(images {tuple(self.images.shape)} uint8, {len(self.labels.unique())} classes)"

    def take(self, indices: np.ndarray) -> "ImageSplit":
        """The examples with these indices, in their order."""
        chosen = torch.from_numpy(np.ascontiguousarray(indices))
        return ImageSplit(self.images[chosen], self.labels[chosen])

    def subset(self, n: int, seed: int = 0) -> "ImageSplit":
        """A class-balanced random subset of n that contains every smaller one of the same seed."""
        return self.take(subset_indices(len(self), n, seed, self.labels.numpy()))


@dataclass(frozen=True, repr=False)
class _Data:
    """Fields that text and image data share.

    Attributes:
        name: what the data are ("sst2"; "reviews" where the bundled ones stand in for it).
        source: "mirror", "hub", "bundled" or "procedural".
        label_names: name of each class, in the order of the labels.
        splits: the splits by name.
        note: what differs from the published data set and must be said beside a figure; "" if nothing does.
        stands_in_for: the data set that was asked for and could not be had, else None.
    """

    name: str
    source: str
    label_names: tuple[str, ...]
    splits: Mapping[str, TextSplit | ImageSplit]
    note: str = ""
    stands_in_for: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)

    def _split(self, which: str):
        if which in self.splits:
            return self.splits[which]
        reason = self.missing.get(which) or say("the splits are {names}", names=", ".join(self.splits))
        raise DataError(
            say("{name} has no {which} split: {reason}", name=self.name, which=which, reason=reason)
        )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(split):,}" for name, split in self.splits.items())
        note = f" ({self.note})" if self.note else ""
        return f"{self.name} from {self.source}{note}: {sizes}; {len(self.label_names)} classes"

    def limited(self, limit: int | Mapping[str, int] | None, seed: int):
        """The same data with smaller splits; see `load_text` for the meaning of `limit`."""
        if limit is None:
            return self
        wanted = {"train": limit} if isinstance(limit, int) else dict(limit)
        for which in wanted:
            self._split(which)
        splits = {
            name: split.subset(min(wanted[name], len(split)), seed) if name in wanted else split
            for name, split in self.splits.items()
        }
        return replace(self, splits=splits)


@dataclass(frozen=True, repr=False)
class TextData(_Data):
    """A text classification data set: `data.train.texts`, `data.validation.labels`, `data.label_names`.

    Further attribute: `language`, "en" or "ko".
    """

    language: str = "en"

    @property
    def train(self) -> TextSplit:
        return self._split("train")

    @property
    def validation(self) -> TextSplit:
        return self._split("validation")

    @property
    def test(self) -> TextSplit:
        return self._split("test")


@dataclass(frozen=True, repr=False)
class ImageData(_Data):
    """An image classification data set: `data.train.images` (N, 3, H, W) uint8, `data.train.labels` (N,) int64."""

    @property
    def train(self) -> ImageSplit:
        return self._split("train")

    @property
    def test(self) -> ImageSplit:
        return self._split("test")
