"""The cyclic shift of Swin, and the mask that keeps pixels apart which only the shift has brought together.

References:
    1. Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo (2021). Swin Transformer: Hierarchical Vision Transformer using
       Shifted Windows. ICCV. https://arxiv.org/abs/2103.14030 (section 3.2).
"""

from __future__ import annotations

import torch

from solutions.windows import window_partition


def cyclic_shift(x: torch.Tensor, shift_size: int) -> torch.Tensor:
    """Moves the map up and to the left; what leaves at one edge comes back at the opposite one.

    Args:
        x: (B, H, W, C)
        shift_size: s, in pixels. Position (s, s) moves to (0, 0). A negative s moves down and
            to the right, so `cyclic_shift(cyclic_shift(x, s), -s)` is x.

    Returns:
        (B, H, W, C), a new tensor.
    """
    ### BEGIN SOLUTION
    return torch.roll(x, shifts=(-shift_size, -shift_size), dims=(1, 2))
    ### END SOLUTION


def shifted_window_mask(
    height: int, width: int, window_size: int, shift_size: int
) -> torch.Tensor:
    """Who may attend to whom in the windows of a map that `cyclic_shift` has moved.

    After the shift, the last s rows and columns hold pixels that came from the opposite edge.
    In a window of the last row or column they sit beside pixels that are far from them in the
    image, and must not attend to those, nor be attended to by them.

    Args:
        height, width: the map's H and W, multiples of M.
        window_size: side M of a window.
        shift_size: s, 0 <= s < M. With s = 0 everyone may attend.

    Returns:
        (nW, M * M, M * M) bool, True = may attend; windows and positions in the order of
        `window_partition`.
    """
    ### BEGIN SOLUTION
    wrapped_row = torch.arange(height) >= height - shift_size  # (H,)
    wrapped_col = torch.arange(width) >= width - shift_size  # (W,)
    # four kinds of pixel: neither, column, row or both wrapped round
    kind = 2 * wrapped_row.long()[:, None] + wrapped_col.long()[None, :]  # (H, W)
    kind = window_partition(kind[None, :, :, None], window_size).flatten(1)  # (nW, M*M)
    return kind[:, :, None] == kind[:, None, :]
    ### END SOLUTION
