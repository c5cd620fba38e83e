"""Subsets for data-scaling curves: nested, balanced, and the same on every machine."""

import numpy as np
import pytest

from utils.data import subset_indices
from utils.data.containers import DataError, TextData, TextSplit

LABELS = np.array([0] * 500 + [1] * 300 + [2] * 200)  # sorted and unbalanced, as raw data often are


@pytest.mark.parametrize("labels", [None, LABELS])
def test_a_larger_subset_contains_the_smaller_one(labels):
    sizes = [0, 1, 7, 100, 600, 999, 1000]
    subsets = [subset_indices(1000, n, seed=3, labels=labels) for n in sizes]
    for size, subset in zip(sizes, subsets, strict=True):
        assert len(subset) == size == len(set(subset.tolist()))
    for small, large in zip(subsets, subsets[1:], strict=False):
        assert set(small) <= set(large)
    assert sorted(subsets[-1]) == list(range(1000))


@pytest.mark.parametrize("n", [3, 10, 100, 599])
def test_classes_are_balanced_to_one_while_they_last(n):
    counts = np.bincount(LABELS[subset_indices(1000, n, seed=0, labels=LABELS)], minlength=3)
    assert counts.max() - counts.min() <= 1


def test_an_exhausted_class_lets_the_others_go_on():
    counts = np.bincount(LABELS[subset_indices(1000, 900, seed=0, labels=LABELS)])
    assert counts.tolist() == [400, 300, 200]


def test_seeds_matter_and_nothing_else_does():
    first = subset_indices(1000, 50, seed=1, labels=LABELS)
    state = np.random.get_state()[1].copy()
    assert np.array_equal(first, subset_indices(1000, 50, seed=1, labels=LABELS.tolist()))
    assert not np.array_equal(np.sort(first), np.sort(subset_indices(1000, 50, seed=2, labels=LABELS)))
    assert np.array_equal(state, np.random.get_state()[1])
    # Written down once: a change of the order would silently change every recorded experiment.
    assert subset_indices(1000, 6, seed=0, labels=LABELS).tolist() == PINNED


PINNED = [269, 600, 855, 921, 608, 11]


@pytest.mark.parametrize("n", [-1, 1001])
def test_an_impossible_size_is_refused(n):
    with pytest.raises(ValueError, match=f"subset of {n} can't be taken from 1000"):
        subset_indices(1000, n, seed=0)


def test_labels_must_fit():
    with pytest.raises(ValueError, match="1000 examples"):
        subset_indices(1000, 10, seed=0, labels=LABELS[:10])


def _data() -> TextData:
    split = TextSplit([f"text {i}" for i in range(100)], [i % 2 for i in range(100)])
    splits = {"train": split, "validation": split}
    return TextData("toy", "bundled", ("no", "yes"), splits, missing={"test": "its labels are secret"})


def test_limit_as_a_number_leaves_the_evaluation_splits_whole():
    data = _data().limited(10, seed=0)
    assert len(data.train) == 10 and len(data.validation) == 100
    assert sum(data.train.labels) == 5
    assert all(data.train.texts[i] in _data().limited(40, seed=0).train.texts for i in range(10))


def test_limit_per_split_and_beyond_the_end():
    data = _data().limited({"train": 1_000, "validation": 4}, seed=0)
    assert len(data.train) == 100 and len(data.validation) == 4


def test_a_missing_split_says_why():
    with pytest.raises(DataError, match="toy has no test split: its labels are secret"):
        _ = _data().test
