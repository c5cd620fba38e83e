"""Stand-in: the ceiling from a table of counts, by scikit-learn."""

from __future__ import annotations

from torch import Tensor


def invariant_ceiling(orbits: Tensor, labels: Tensor) -> float:
    """(n,), (n,) -> accuracy of the most frequent label of each orbit."""
    from sklearn.metrics.cluster import contingency_matrix

    table = contingency_matrix(orbits.numpy(), labels.numpy())  # orbits x labels
    return float(table.max(axis=1).sum() / table.sum())
