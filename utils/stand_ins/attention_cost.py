"""Stand-ins: what attention costs, in memory and in multiplications."""

from __future__ import annotations


def msa_flops(h: int, w: int, channels: int) -> int:
    """Multiply-adds of global attention: that of one window as large as the map."""
    return h * w * channels * (4 * channels + 2 * h * w)


def window_msa_flops(h: int, w: int, channels: int, window_size: int) -> int:
    """Multiply-adds of windowed attention."""
    return h * w * channels * (4 * channels + 2 * window_size**2)
