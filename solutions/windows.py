"""A map into windows that do not overlap, and back. Maps are (B, H, W, C), channels last.

References:
    1. Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo (2021). Swin Transformer: Hierarchical Vision Transformer using
       Shifted Windows. ICCV. https://arxiv.org/abs/2103.14030 (section 3.2).
"""

from __future__ import annotations

import torch
from einops import rearrange


def window_partition(x: torch.Tensor, window_size: int) -> torch.Tensor:
    """Cuts a map into windows that do not overlap.

    Args:
        x: (B, H, W, C); H and W are multiples of `window_size`.
        window_size: side M of a window.

    Returns:
        (B * nW, M, M, C) with nW = (H / M) * (W / M). Windows are in reading order (left to
        right, then down), and all windows of the first image come before those of the second.

    Raises:
        ValueError: if H or W is not a multiple of M.
    """
    _, height, width, _ = x.shape
    if height % window_size or width % window_size:
        raise ValueError(
            f"a {height} x {width} map cannot be cut into windows of {window_size} x "
            f"{window_size}"
        )
    ### BEGIN SOLUTION
    return rearrange(x, "b (rows m) (cols n) c -> (b rows cols) m n c", m=window_size, n=window_size)
    ### END SOLUTION


def window_reverse(
    windows: torch.Tensor, window_size: int, height: int, width: int
) -> torch.Tensor:
    """Puts windows back where `window_partition` took them from.

    Args:
        windows: (B * nW, M, M, C) in the order of `window_partition`.
        window_size: side M of a window.
        height, width: the map's H and W, multiples of M. (B follows from them.)

    Returns:
        (B, H, W, C)
    """
    ### BEGIN SOLUTION
    rows, cols = height // window_size, width // window_size
    return rearrange(windows, "(b rows cols) m n c -> b (rows m) (cols n) c", rows=rows, cols=cols)
    ### END SOLUTION
