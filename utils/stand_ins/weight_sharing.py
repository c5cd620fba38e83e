"""Stand-ins: least squares by NumPy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def fit_convolution(inputs: Tensor, outputs: Tensor, kernel_size: int) -> Tensor:
    """(n, d), (n, d) -> (k,), the circular kernel with the smallest squared error."""
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= inputs.shape[1] or inputs.shape != outputs.shape:
        raise ValueError(
            f"no odd kernel of at most {inputs.shape[1]} entries for these signals, got {kernel_size}"
        )
    signals = inputs.numpy()
    places = np.arange(signals.shape[1])[:, None] + np.arange(kernel_size) - kernel_size // 2  # (d, k)
    rows = signals[:, places % signals.shape[1]].reshape(-1, kernel_size)
    return torch.from_numpy(np.linalg.lstsq(rows, outputs.numpy().reshape(-1), rcond=None)[0])


def fit_matrix(inputs: Tensor, outputs: Tensor) -> Tensor:
    """(n, d), (n, e) -> (e, d), the matrix with the smallest squared error and, among those, the smallest norm."""
    return torch.from_numpy(np.linalg.lstsq(inputs.numpy(), outputs.numpy(), rcond=None)[0].T.copy())
