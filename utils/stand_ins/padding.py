"""Stand-ins: rows of different length in one batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import unpad_sequence


def reverse_padded(x: Tensor, lengths: Tensor) -> Tensor:
    """Row by row, with `flip`."""
    rows = [
        torch.cat([row[:length].flip(0), row[length:]])
        for row, length in zip(x, lengths.tolist(), strict=True)
    ]
    return torch.stack(rows)


def pool(outputs: Tensor, lengths: Tensor, how: str, bidirectional: bool = False) -> Tensor:
    """Row by row, on the unpadded steps."""
    if how not in ("last", "mean", "max"):
        raise ValueError(f"how should be 'last', 'mean' or 'max', not {how!r}")
    half = outputs.shape[-1] // 2
    pooled = []
    for row in unpad_sequence(outputs, lengths, batch_first=True):  # (length, D)
        if not len(row):
            pooled.append(outputs.new_zeros(outputs.shape[-1]))
        elif how == "last":
            pooled.append(torch.cat([row[-1, :half], row[0, half:]]) if bidirectional else row[-1])
        else:
            pooled.append(row.mean(0) if how == "mean" else row.amax(0))
    return torch.stack(pooled)


def padding_mask(lengths: Tensor, max_length: int | None = None) -> Tensor:
    """(B, N) bool, True = a real token."""
    rows = [torch.ones(length, dtype=torch.bool, device=lengths.device) for length in lengths.tolist()]
    mask = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    if max_length is None:
        return mask
    return nn.functional.pad(mask, (0, max_length - mask.shape[1]))
