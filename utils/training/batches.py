"""Batches from tensors in memory."""

import math
from collections.abc import Callable, Iterable, Iterator

import torch


class TensorBatches:
    """Batches of tensors in memory; see `tensor_batches`. Iterable, and callable with an epoch."""

    def __init__(self, inputs, targets, batch_size, shuffle, seed, drop_last, mean, std, augment):
        self.inputs, self.targets, self.batch_size = inputs, targets, batch_size
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.mean, self.std, self.augment = mean, std, augment

    def __len__(self) -> int:
        n = len(self.targets)
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)

    def __iter__(self) -> Iterator:
        return self(0)

    def __call__(self, epoch: int) -> Iterator:
        # Its own generator, from seed and epoch alone: a resumed run sees the same batches in the same order.
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        n = len(self.targets)
        order = torch.randperm(n, generator=generator) if self.shuffle else torch.arange(n)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            index = order[start : start + self.batch_size]
            inputs = self._take(self.inputs, index)
            if self.augment is not None:
                inputs = self.augment(inputs, generator)
            yield inputs, self.targets[index.to(self.targets.device)]

    def _take(self, value, index):
        if isinstance(value, dict):
            return {key: self._take(item, index) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            return tuple(self._take(item, index) for item in value)
        taken = value[index.to(value.device)]
        return normalize(taken, self.mean, self.std) if taken.dtype == torch.uint8 else taken


class Steps:
    """A training counted in steps: `count` batches as one epoch, each made when its step comes.

    Args:
        count: of batches.
        batch_of: step (from 0) -> (inputs, targets).
    """

    def __init__(self, count: int, batch_of: Callable[[int], tuple]) -> None:
        self.count, self.batch_of = count, batch_of

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator:
        return map(self.batch_of, range(self.count))


def tensor_batches(
    inputs,
    targets,
    batch_size=128,
    shuffle=False,
    seed=0,
    *,
    drop_last=False,
    mean=0.5,
    std=0.25,
    augment=None,
) -> TensorBatches:
    """Batches from tensors in memory, on whatever device they are.

    Args:
        inputs: (n, ...) tensor, or a tuple or dict of such; uint8 images (n, C, H, W) are normalised on the
            fly, `(x / 255 - mean) / std`, so that a data set takes a quarter of the memory.
        targets: (n, ...) tensor.
        shuffle: another order each epoch, drawn from `seed` and the epoch alone.
        drop_last: leave out a last batch that is not full.
        mean, std: a number, or one per channel.
        augment: `(inputs, generator) -> inputs`, applied to each normalised batch; draw from the generator to
            stay reproducible.

    Raises:
        ValueError: inputs and targets differ in length, or there are none.
    """
    tensors = (
        inputs.values()
        if isinstance(inputs, dict)
        else inputs
        if isinstance(inputs, (tuple, list))
        else [inputs]
    )
    lengths = {len(tensor) for tensor in tensors} | {len(targets)}
    if len(lengths) != 1 or not len(targets):
        raise ValueError(
            f"Inputs and targets should have one and the same length above 0; got {sorted(lengths)}."
        )
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; at least 1 is needed.")
    return TensorBatches(inputs, targets, batch_size, shuffle, seed, drop_last, mean, std, augment)


def normalize(images: torch.Tensor, mean=0.5, std=0.25) -> torch.Tensor:
    """uint8 images (B, C, H, W) as floats, `(x / 255 - mean) / std`; a number each, or one per channel."""
    mean, std = (torch.as_tensor(v, dtype=torch.float32, device=images.device) for v in (mean, std))
    if mean.ndim or std.ndim:
        mean, std = mean.reshape(-1, 1, 1), std.reshape(-1, 1, 1)  # (C, 1, 1)
    return (images.float() / 255 - mean) / std


def per_epoch(batches, epochs: int) -> Callable[[int], Iterable]:
    if callable(batches):
        return batches
    if iter(batches) is batches and epochs > 1:
        raise ValueError(
            f"train_batches is a generator, which can be read once, and there are {epochs} epochs. "
            "Give a list, a DataLoader, or a function epoch -> batches."
        )
    return lambda epoch: batches


def count_batches(batches, batches_of: Callable) -> int:
    for countable in (batches, None):
        countable = batches_of(0) if countable is None else countable
        if hasattr(countable, "__len__"):
            return max(1, len(countable))
    if countable is batches:
        raise ValueError(
            "train_batches has no length: give a list, a DataLoader, or a function epoch -> batches."
        )
    return max(1, sum(1 for _ in batches_of(0)))
