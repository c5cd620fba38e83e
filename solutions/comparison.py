"""A fair comparison of models: the same subsets, starts and steps for all, and a test set that is looked at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn


def compare_models(
    factories: Mapping[str, Callable[[], nn.Module]],
    fit: Callable[[nn.Module, Sequence[Any], int], float],
    score: Callable[[nn.Module, Sequence[Any]], float],
    train: Sequence[Any],
    test: Sequence[Any],
    sizes: Sequence[int],
    seeds: Sequence[int],
    steps: int,
) -> list[dict[str, Any]]:
    """Trains every kind of model on growing parts of one training set, and measures each on the
    same test set.

    What makes it fair: for one seed all models get the very same examples, a larger part
    contains the smaller ones, every training begins from the same random state (PyTorch's
    generator is set to the seed just before the model is built), takes the same number of
    steps, and never sees a test example.

    Args:
        factories: name -> function without arguments that builds a fresh model.
        fit: `fit(model, examples, steps)` trains the model in place and returns the seconds
            that it took.
        score: `score(model, examples)` returns the model's accuracy, 0 to 1.
        train: training examples.
        test: test examples.
        sizes: numbers of training examples to train on.
        seeds: each draws other parts and other initial weights.
        steps: of every training.

    Returns:
        A row for each seed, size and model, in any order: a dict with "model" (its name),
        "seed", "size", "parameters" (number of trained numbers), "seconds", "train" (accuracy
        on the part that it was trained on) and "test" (accuracy on the test set).
    """

    def shuffled(seed: int) -> list[Any]:
        """The training examples in the order of this seed; the part of size n is the first n of
        it."""
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        return [train[i] for i in order.tolist()]

    ### BEGIN SOLUTION
    rows = []
    for seed in seeds:
        examples = shuffled(seed)
        for size in sizes:
            part = examples[:size]
            for name, build in factories.items():
                torch.manual_seed(seed)
                model = build()
                row = {"model": name, "seed": seed, "size": size}
                row["seconds"] = fit(model, part, steps)
                row["parameters"] = sum(p.numel() for p in model.parameters() if p.requires_grad)
                row["train"] = score(model, part)
                row["test"] = score(model, test)
                rows.append(row)
    return rows
    ### END SOLUTION
