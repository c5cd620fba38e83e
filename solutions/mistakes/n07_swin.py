"""Wrong and alternative right answers to notebook 07, in the modules that are imported here."""

from __future__ import annotations

from solutions.mistakes.attention_07 import attention, flops, index, window_flops
from solutions.mistakes.model_07 import block, merging, model
from solutions.mistakes.shift_07 import mask, shift
from solutions.mistakes.windows_07 import partition, reverse

__all__ = [
    "attention",
    "block",
    "flops",
    "index",
    "mask",
    "merging",
    "model",
    "partition",
    "reverse",
    "shift",
    "window_flops",
]
