"""Nested, class-balanced subsets: the same few examples are the first of every larger subset.

A curve of accuracy against training-set size is only honest when the subset of 1,000 images is a part of the subset
of 10,000, and when every model sees the same ones. So a seed fixes one *order* of all examples, and the subset of
size n is its first n.
"""

from collections.abc import Sequence

import numpy as np

HELD_OUT_SEED = (
    0  # which rows become a validation split is part of the course, not a choice of the experiment
)


def subset_order(n_total: int, seed: int, labels: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """The order from which `subset_indices` takes its first n.

    Args:
        n_total: number of examples.
        seed: another seed gives another order.
        labels: (n_total,) class of each example. With labels, the classes take turns (in a new random order each
            round), so that every prefix holds equally many of each class, to one, as long as the classes last.

    Returns:
        (n_total,) int64, a permutation of 0 .. n_total - 1.
    """
    rng = np.random.default_rng(seed)
    keys = rng.random(n_total)  # sorted below: `Generator.permutation` may change between NumPy versions
    if labels is None:
        return np.argsort(keys, kind="stable")
    classes = np.asarray(labels)
    if classes.shape != (n_total,):
        raise ValueError(
            f"subset_order needs one label per example: {n_total} examples, labels {classes.shape}"
        )
    order = np.lexsort((keys, classes))  # class by class, random inside each
    sorted_classes = classes[order]
    starts = np.flatnonzero(np.r_[True, sorted_classes[1:] != sorted_classes[:-1]])
    sizes = np.diff(np.r_[starts, n_total])
    rounds = np.arange(n_total) - np.repeat(
        starts, sizes
    )  # 0 for the first of its class, 1 for the second, ...
    return order[np.lexsort((rng.random(n_total), rounds))]


def subset_indices(
    n_total: int, n: int, seed: int, labels: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """Indices of a random subset that contains every smaller subset of the same seed.

    Args:
        n_total: number of examples to choose from.
        n: size of the subset, 0 .. n_total.
        seed: the subset's seed; the training seed should be another matter.
        labels: (n_total,) class of each example, for subsets that are balanced to one example per class. Where a
            class is exhausted (SST-2 has fewer negatives than positives) the others go on.

    Returns:
        (n,) int64 indices.

    Raises:
        ValueError: n is negative or larger than n_total, or the labels don't fit.
    """
    if not 0 <= n <= n_total:
        raise ValueError(f"a subset of {n} can't be taken from {n_total} examples")
    return subset_order(n_total, seed, labels)[:n]
