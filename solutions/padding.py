"""Rows of different length in one batch: which positions are real, the real ones in reverse order, and a summary of them.

A batch is a rectangle, so short rows are filled up with padding. Everything here treats a padded position as if it
were not there.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reverse_padded(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Turn the real part of every row around and leave its padding where it is.

    Doing it twice gives the input back.

    Args:
        x: (B, N, D), any dtype.
        lengths: (B,) integers, 0 <= length <= N.

    Returns:
        (B, N, D): position t of a row holds what was at position length - 1 - t, for t <
        length; else x unchanged.
    """
    ### BEGIN SOLUTION
    steps = torch.arange(x.shape[1], device=x.device)  # (N,)
    mirrored = lengths[:, None] - 1 - steps  # (B, N), negative in the padding
    source = torch.where(mirrored >= 0, mirrored, steps)
    return x.gather(1, source[:, :, None].expand_as(x))  # (B, N, D)
    ### END SOLUTION


def pool(
    outputs: torch.Tensor, lengths: torch.Tensor, how: str, bidirectional: bool = False
) -> torch.Tensor:
    """One vector per sentence from one vector per step; padded steps count for nothing.

    Args:
        outputs: (B, N, D).
        lengths: (B,) integers, 0 <= length <= N.
        how: "last" (where the reading ended), "mean" or "max" (over the real steps, for each
            feature by itself).
        bidirectional: matters for "last" only. The first D/2 features then are the forward
            direction's, which ended at step length - 1, and the other D/2 the backward
            direction's, which ended at step 0.

    Returns:
        (B, D); zeros for a row of length zero.

    Raises:
        ValueError: `how` is none of the three.
    """
    if how not in ("last", "mean", "max"):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    real = (
        torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    )  # (B, N), True = a real step
    ### BEGIN SOLUTION
    if how == "last":
        rows = torch.arange(len(outputs), device=outputs.device)
        pooled = outputs[rows, (lengths - 1).clamp(min=0)]  # (B, D)
        if bidirectional:
            half = outputs.shape[-1] // 2
            pooled = torch.cat([pooled[:, :half], outputs[:, 0, half:]], dim=-1)
    elif how == "mean":
        total = outputs.masked_fill(~real[:, :, None], 0.0).sum(dim=1)
        pooled = total / lengths.clamp(min=1)[:, None]
    else:
        pooled = outputs.masked_fill(~real[:, :, None], float("-inf")).amax(dim=1)
    return pooled.masked_fill((lengths == 0)[:, None], 0.0)
    ### END SOLUTION


def padding_mask(lengths: Tensor, max_length: int | None = None) -> Tensor:
    """Tells the words of a padded batch from its padding.

    Args:
        lengths: (B,) integers, the number of real tokens of each row, which stand at its left.
        max_length: N, the width of the batch; None means the longest of the lengths.

    Returns:
        (B, N) bool on the device of `lengths`, True = a real token.
    """
    ### BEGIN SOLUTION
    if max_length is None:
        max_length = int(lengths.max())
    positions = torch.arange(max_length, device=lengths.device)  # (N,)
    return positions < lengths[:, None]  # (N,) against (B, 1) -> (B, N)
    ### END SOLUTION
