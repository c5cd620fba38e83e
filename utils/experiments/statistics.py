"""Means, paired differences and their t-intervals over seeds.

With n seeds the 95% interval of a mean is mean ± t(0.975, n - 1) · s / sqrt(n), where s is the sample deviation (Student 1908,
"The probable error of a mean", Biometrika 6). With three seeds t is 4.30, so intervals are wide; that is the truth about three
seeds. Two models are compared on *pairs*: same seed, same images, same order; what the pair shares cancels out.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with its 95% t-interval; `half` is NaN where there are fewer than two values."""

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ± {self.half:.4f} (n = {self.n})"


def mean_interval(values: Iterable[float | None], confidence: float = 0.95) -> Interval:
    """Mean and half-width of its t-interval; values that are None or NaN are left out."""
    from utils.plotting.numbers import t_interval

    kept = np.array([v for v in values if v is not None and not math.isnan(v)], dtype=float)
    if not len(kept):
        return Interval(math.nan, math.nan, 0)
    mean, half = t_interval(kept, confidence)
    return Interval(float(mean), float(half), len(kept))


def log_error(row: dict[str, Any], column: str = "test_accuracy") -> float:
    """Natural logarithm of the error rate. A difference of -0.69 between two models is half as many errors.

    Perfect accuracy has no logarithm; it is counted as half an error among `test_images` (1000 if the row doesn't say).
    """
    error = 1 - row[column]
    return math.log(max(error, 0.5 / row.get("test_images", 1000)))


def right_answers(row: dict[str, Any]) -> np.ndarray:
    """Which of the test images (or sentences) a row's model answered right, (test_images,) bool.

    Raises:
        KeyError: the row was recorded before rows kept that.
    """
    bits = np.frombuffer(base64.b64decode(row["right"]), dtype=np.uint8)
    return np.unpackbits(bits, count=row["test_images"]).astype(bool)


def column(name: str | Callable[[dict[str, Any]], float]) -> Callable[[dict[str, Any]], float]:
    """What is read from a row: a column's name, "log_error", "gap" (train minus test accuracy), or a function."""
    if callable(name):
        return name
    if name == "log_error":
        return log_error
    if name == "gap":
        return lambda row: row["train_accuracy"] - row["test_accuracy"]
    return lambda row: row[name]


def group(rows: Iterable[dict[str, Any]], by: str | Sequence[str]) -> dict[Any, list[dict[str, Any]]]:
    """Rows by the values of one column (the key is the value) or of several (the key is a tuple), sorted by key."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        key = row.get(by) if isinstance(by, str) else tuple(row.get(b) for b in by)
        found.setdefault(key, []).append(row)
    try:
        return dict(sorted(found.items()))
    except TypeError:  # None among numbers
        return dict(sorted(found.items(), key=lambda item: str(item[0])))


def means(
    rows: Iterable[dict[str, Any]], by: str | Sequence[str], value: str | Callable = "test_accuracy"
) -> dict[Any, Interval]:
    """The mean over seeds, with its interval, of each group of rows: `means(rows, by=("model", "size"))`."""
    read = column(value)
    return {key: mean_interval(read(row) for row in some) for key, some in group(rows, by).items()}


def paired_difference(
    rows: Iterable[dict[str, Any]],
    a: Any,
    b: Any,
    by: str | Sequence[str] | None = None,
    *,
    value: str | Callable = "test_accuracy",
    of: str = "model",
    pair: str | Sequence[str] = "seed",
) -> Any:
    """a minus b over pairs of runs that share everything but one column.

    Args:
        rows: from `load`, selected to one preset, arm and so on.
        a, b: two values of the column `of`, e.g. "CNN" and "ViT".
        by: None for one interval over all pairs; a column ("size") or several for one interval each.
        value: "test_accuracy", "log_error", "gap" or another column, or a function of a row.
        of: the column in which a pair differs.
        pair: the column or columns that tell pairs apart within a group.

    Returns:
        an `Interval`, or with `by` a dictionary {value of `by`: Interval}. Runs without a partner are left out.

    Raises:
        ValueError: two rows claim the same place in a pair: the rows mix arms or presets that should be separated.
    """
    if by is not None:
        chosen = [row for row in rows if row.get(of) in (a, b)]
        return {
            key: paired_difference(some, a, b, value=value, of=of, pair=pair)
            for key, some in group(chosen, by).items()
        }
    read, keys = column(value), (pair,) if isinstance(pair, str) else tuple(pair)
    sides: dict[Any, dict[Any, float]] = {a: {}, b: {}}
    for row in rows:
        if row.get(of) not in sides:
            continue
        key = tuple(row.get(k) for k in keys)
        if key in sides[row[of]]:
            raise ValueError(
                f"two rows have {of} {row[of]!r} and {', '.join(f'{k} {v}' for k, v in zip(keys, key, strict=True))}: "
                "select one arm, size and preset first, or give more columns in `by`"
            )
        sides[row[of]][key] = read(row)
    shared = sorted(set(sides[a]) & set(sides[b]), key=str)
    return mean_interval(sides[a][key] - sides[b][key] for key in shared)


def two_way_interval(table: np.ndarray, confidence: float = 0.95) -> Interval:
    """The mean of a table whose rows (seeds) and columns (test images) are both samples, with its interval.

    What seeds share moves whole rows, what an image has of its own moves whole columns. The variance of the mean is estimated from
    the mean squares of the two-way layout without repeats, components below zero set to zero; its degrees of freedom are those of
    Satterthwaite (1946, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2).

    Args:
        table: (seeds, images), such as differences of two models' right (1) and wrong (0) answers.
        confidence: of the interval.

    Returns:
        mean and half-width, with the number of seeds; the half-width is NaN where there are fewer than two rows or columns.
    """
    from scipy import stats

    table = np.asarray(table, dtype=float)
    seeds, images = table.shape
    mean = float(table.mean())
    if min(seeds, images) < 2:
        return Interval(mean, math.nan, seeds)
    of_seeds, of_images = table.mean(1) - mean, table.mean(0) - mean
    left = table - of_seeds[:, None] - of_images - mean
    degrees = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)])
    squares = np.array([images * (of_seeds**2).sum(), seeds * (of_images**2).sum(), (left**2).sum()])
    a, b, rest = squares / degrees
    parts = np.array([max(a, rest), max(b, rest), -rest])
    if not parts.any():
        return Interval(mean, 0.0, seeds)
    freedom = parts.sum() ** 2 / (parts**2 / degrees).sum()
    half = stats.t.ppf((1 + confidence) / 2, freedom) * math.sqrt(parts.sum() / (seeds * images))
    return Interval(mean, float(half), seeds)


def over_seeds_and_images(rows: Iterable[dict[str, Any]], a: Any, b: Any, of: str = "model") -> Interval:
    """a minus b, in the share of right answers on the same test images, over pairs of the same seed: uncertain by both.

    Args:
        rows: of one arm, size and preset, that keep which test images were right.
        a, b: two values of the column `of`.
        of: the column in which a pair differs.
    """
    sides: dict[Any, dict[Any, np.ndarray]] = {a: {}, b: {}}
    for row in rows:
        if row.get(of) in sides:
            sides[row[of]][row["seed"]] = right_answers(row).astype(float)
    shared = sorted(set(sides[a]) & set(sides[b]))
    return two_way_interval(np.array([sides[a][seed] - sides[b][seed] for seed in shared]))


def crossings(x: Sequence[float], difference: Sequence[Interval]) -> list[tuple[float, float]]:
    """Where one model overtakes the other: pairs of neighbouring x between which the difference changes its sign.

    Only changes between two intervals that both exclude zero count: a crossing is reported where it is seen.
    """
    sure = [(at, d.mean) for at, d in zip(x, difference, strict=True) if d.excludes_zero]
    return [(at, then) for (at, d), (then, e) in zip(sure, sure[1:], strict=False) if d * e < 0]
