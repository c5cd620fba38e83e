"""Shared against free weights by least squares: what "inductive bias" means, as arithmetic.

1. Trevor Hastie, Robert Tibshirani, Jerome Friedman. "The Elements of Statistical Learning", chapters 3 and 7. Springer, 2nd edition
   2009. (Least squares, bias and variance.)
2. Roger Penrose. "On Best Approximate Solutions of Linear Matrix Equations". Mathematical Proceedings of the Cambridge Philosophical
   Society 52, 1956. (The minimum-norm solution.)
3. Stéphane d'Ascoli, Levent Sagun, Joan Bruna, Giulio Biroli. "Finding the Needle in the Haystack with Convolutions: on the Benefits of
   Architectural Bias". NeurIPS 2019. https://arxiv.org/abs/1906.06766 (a convolution as a fully connected layer with shared weights)
"""

from __future__ import annotations

import torch
from torch import Tensor


def fit_convolution(inputs: Tensor, outputs: Tensor, kernel_size: int) -> Tensor:
    """The one circular kernel that fits all positions of all signals best, by least squares.

    The model is outputs[s, i] = sum over j of kernel[j] * inputs[s, (i + j - r) mod d] with r =
    kernel_size // 2: entry r of the kernel meets the input at the output's own place, smaller
    entries what lies before it. Beyond the end the signal goes on at its beginning. (The order
    is that of `torch.nn.functional.conv1d`, which does not flip the kernel.)

    Args:
        inputs: (n, d) signals.
        outputs: (n, d) what a map made of them.
        kernel_size: k, odd, at most d.

    Returns:
        (k,) the kernel with the smallest sum of squared errors; where several have it (too few
        numbers), the one of them with the smallest sum of squared entries.

    Raises:
        ValueError: if `kernel_size` is even, smaller than 1 or larger than d; if the shapes of
            inputs and outputs differ.
    """
    d = inputs.shape[-1]
    if kernel_size % 2 == 0 or not 1 <= kernel_size <= d:
        raise ValueError(f"kernel_size must be odd and between 1 and {d}, got {kernel_size}")
    if inputs.shape != outputs.shape:
        raise ValueError(
            f"inputs and outputs must have one shape, got {list(inputs.shape)} and "
            f"{list(outputs.shape)}"
        )
    ### BEGIN SOLUTION
    reach = kernel_size // 2
    shifted = [inputs.roll(reach - j, dims=-1) for j in range(kernel_size)]  # k x (n, d)
    columns = torch.stack(shifted, dim=-1).flatten(0, 1)  # (n, d, k) -> (n * d, k): a row per output
    return torch.linalg.pinv(columns) @ outputs.flatten()  # (k, n * d) (n * d) -> (k,)
    ### END SOLUTION


def fit_matrix(inputs: Tensor, outputs: Tensor) -> Tensor:
    """The matrix that fits best by least squares, with a weight of its own for every pair of
    positions.

    The model is outputs[s] = matrix @ inputs[s]. With fewer signals than positions many
    matrices fit without error; the one with the smallest sum of squared entries is returned
    (minimum norm, by the pseudo-inverse).

    Args:
        inputs: (n, d) signals.
        outputs: (n, e) what a map made of them.

    Returns:
        (e, d) the matrix.

    Raises:
        ValueError: if there are not as many outputs as inputs.
    """
    if len(inputs) != len(outputs):
        raise ValueError(
            f"there must be as many outputs as inputs, got {len(outputs)} and {len(inputs)}"
        )
    ### BEGIN SOLUTION
    transposed = torch.linalg.pinv(inputs) @ outputs  # (d, n) (n, e) -> (d, e)
    return transposed.mT
    ### END SOLUTION
