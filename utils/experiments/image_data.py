"""Images for experiments: loaded once per process, nested subsets, fixed permutations, a fingerprint."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from utils.data import load_images
from utils.data.subsets import subset_order

PERMUTATION_SEED = 20_231  # one permutation for all models, sizes and seeds
TEST_SEED = 0  # which test images are used where not all are


class MissingData(LookupError):
    """The data set of an experiment is not here, and a stand-in would be another experiment."""


@dataclass(frozen=True)
class Images:
    """What a cell trains and is tested on.

    Attributes:
        train, test: (images (n, 3, H, W) uint8, labels (n,) int64).
        mean, std: (3,) of the whole training set, on the scale 0..255.
        num_classes: number of classes.
        name, source, note, fingerprint: for the record.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]
    mean: Tensor
    std: Tensor
    num_classes: int
    name: str
    source: str
    note: str
    fingerprint: str


@functools.lru_cache(maxsize=2)
def whole(name: str, stand_ins: bool = False) -> Images:
    """A data set, all of it.

    Args:
        name: of `load_images`.
        stand_ins: whether other data may take its place (in a live cell of a notebook, never in a record).

    Raises:
        MissingData: it can't be had.
    """
    data = load_images(name)
    if data.stands_in_for and not stand_ins:
        raise MissingData(
            f"the data set {name!r} is not here (no mirror in COURSE_DATA, no Hub); nothing else is recorded in its place"
        )
    images = data.train.images
    flat = images[:: max(1, len(images) // 10_000)].float()
    return Images(
        (images, data.train.labels),
        (data.test.images, data.test.labels),
        flat.mean(dim=(0, 2, 3)),
        flat.std(dim=(0, 2, 3)),
        len(data.label_names),
        data.name,
        data.source,
        data.note,
        fingerprint(images, data.train.labels, data.test.images, data.test.labels),
    )


def fingerprint(*tensors: Tensor) -> str:
    """16 hexadecimal digits that change when any pixel or label does."""
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return digest.hexdigest()


@functools.lru_cache(maxsize=8)
def _order(name: str, seed: int, stand_ins: bool) -> np.ndarray:
    labels = whole(name, stand_ins).train[1].numpy()
    return subset_order(len(labels), seed, labels)


def part(
    name: str,
    size: int,
    seed: int,
    *,
    test_images: int | None = None,
    validation: int = 0,
    transform: str | None = None,
    stand_ins: bool = False,
) -> Images:
    """A nested subset of the training images with the test images, or with validation images in their place.

    Args:
        name: of `load_images`.
        size: number of training images, 0 = all (less the validation images).
        seed: of the order; the subset of 500 is a part of that of 5,000, and all models get the same.
        test_images: how many test images, balanced and always the same ones; None = all.
        validation: if not 0, test on that many *training* images, the last ones of the order, which lie in no subset.
        transform: "pixels" or "patches": one fixed permutation of all pixels, or of all 4 x 4 patches.
        stand_ins: see `whole`.

    Raises:
        ValueError: more images are wanted than there are.
        MissingData: see `whole`.
    """
    data = whole(name, stand_ins)
    images, labels = data.train
    order = _order(name, seed, stand_ins)
    room = len(order) - validation
    if size > room:
        raise ValueError(
            f"{name} has {len(order):,} training images, and {size:,} + {validation:,} are wanted"
        )
    chosen = torch.from_numpy(order[: size or room].copy())
    if validation:
        held = torch.from_numpy(order[-validation:].copy())
        test = images[held], labels[held]
    else:
        test = data.test
        if test_images is not None and test_images < len(test[1]):
            some = subset_order(len(test[1]), TEST_SEED, test[1].numpy())[:test_images]
            test = test[0][torch.from_numpy(some)], test[1][torch.from_numpy(some)]
    train = images[chosen], labels[chosen]
    if transform:
        where = permutation(transform, images.shape[-1])
        train, test = (permuted(train[0], where), train[1]), (permuted(test[0], where), test[1])
    return Images(
        train,
        test,
        data.mean,
        data.std,
        data.num_classes,
        data.name,
        data.source,
        data.note,
        data.fingerprint,
    )


def permutation(kind: str, side: int, patch: int = 4) -> Tensor:
    """One fixed order of the pixels of a side x side image, (side * side,) int64; entry n says which pixel goes to place n.

    Args:
        kind: "pixels": any pixel may go anywhere. "patches": whole patches move, their pixels stay as they are.
    """
    generator = torch.Generator().manual_seed(PERMUTATION_SEED)
    if kind == "pixels":
        return torch.randperm(side * side, generator=generator)
    if kind == "patches":
        grid = side // patch
        source = torch.randperm(grid * grid, generator=generator)
        places = torch.arange(side * side).view(grid, patch, grid, patch).permute(0, 2, 1, 3).flatten(2)
        places = places.flatten(0, 1)  # (grid * grid, patch * patch): the pixels of each patch
        where = torch.empty(side * side, dtype=torch.int64)
        where[places.flatten()] = places[source].flatten()
        return where
    raise ValueError(f"a permutation is of 'pixels' or 'patches', not of {kind!r}")


def permuted(images: Tensor, where: Tensor) -> Tensor:
    """(B, C, H, W) images whose pixel n (in reading order) is the old pixel `where[n]`."""
    return images.flatten(2)[:, :, where].view_as(images)
