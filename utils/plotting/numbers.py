"""From tensors to arrays, from samples to intervals, from numbers to text."""

import math

import numpy as np


def as_array(values) -> np.ndarray:
    """A tensor (any device, with or without gradient), a list or an array, as an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if values.is_floating_point():
            values = values.float()  # NumPy has no bfloat16
        return values.numpy()
    if isinstance(values, (list, tuple)) and values and hasattr(values[0], "detach"):
        return np.stack([as_array(value) for value in values])
    return np.asarray(values)


def t_interval(samples: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half-width of the t-interval (of 95%, if not said otherwise) over the first axis.

    Args:
        samples: (n, ...) one row per seed; NaN marks a missing value. Fewer than two values: half-width NaN.
    """
    from scipy.stats import t

    samples = np.asarray(samples, dtype=float)
    n = (~np.isnan(samples)).sum(axis=0)
    total = np.nansum(samples, axis=0)
    mean = np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)
    squares = np.nansum((samples - mean) ** 2, axis=0)
    spread = np.sqrt(np.divide(squares, n - 1, out=np.full(total.shape, np.nan), where=n > 1))
    quantile = t.ppf(0.5 + confidence / 2, np.maximum(n - 1, 1))
    return mean, quantile * spread / np.sqrt(np.maximum(n, 1))


def number(value: float) -> str:
    """A number as a reader wants it: three significant digits, thousands separated."""
    if not math.isfinite(value):
        text = "no value" if math.isnan(value) else str(value)
    elif float(value).is_integer() and abs(value) < 1e7:
        text = f"{int(value):,}"
    elif abs(value) >= 1e6 or abs(value) < 1e-3:
        text = f"{value:.2e}".replace("e+0", "e").replace("e-0", "e-")
    else:
        text = f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def with_error(value: float, error: float, decimals: int | None = None) -> str:
    """`0.812 ± 0.011`: the error with two significant digits (or so many decimals), the value with as many decimals."""
    if decimals is not None:
        return f"{value:,.{decimals}f} ± {error:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    if not error or abs(error) >= 1e6 or abs(error) < 1e-5:
        return f"{number(value)} ± {number(error)}"
    digits = max(0, 1 - math.floor(math.log10(abs(error))))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}".replace("-", "\N{MINUS SIGN}")
