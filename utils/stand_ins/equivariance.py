"""Stand-ins: what a model does when the image moves."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def shift_consistency(model: nn.Module, images: Tensor, max_shift: int) -> Tensor:
    """Share of images moved by 0 .. max_shift pixels (cyclically, four directions) that keep their class: (max_shift + 1,)."""
    if not 0 <= max_shift < min(images.shape[-2:]):
        raise ValueError(f"max_shift must be between 0 and {min(images.shape[-2:]) - 1}, got {max_shift}")
    was_training = model.training
    model.eval()
    try:
        first, shares = model(images).argmax(1), []
        for s in range(max_shift + 1):
            moved = [torch.roll(images, by, (2, 3)) for by in ((s, 0), (-s, 0), (0, s), (0, -s))]
            shares.append(torch.stack([model(m).argmax(1) for m in moved]).eq(first).float().mean())
        return torch.stack(shares)
    finally:
        model.train(was_training)
