"""What a model does when the image moves: features that move along (equivariance), answers that stay (invariance).

1. Taco Cohen, Max Welling. "Group Equivariant Convolutional Networks". ICML 2016. https://arxiv.org/abs/1602.07576
2. Richard Zhang. "Making Convolutional Networks Shift-Invariant Again". ICML 2019. https://arxiv.org/abs/1904.11486
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


@torch.no_grad()
def translation_equivariance_error(
    layer: Callable[[Tensor], Tensor], x: Tensor, shift: tuple[int, int]
) -> Tensor:
    """How far a layer is from commuting with a shift of its input: 0 if moving before is the
    same as moving after.

    |layer(shift x) - shift layer(x)| / |layer(x)|, with the Euclidean norm over all numbers of
    the batch. Shifts are cyclic (`torch.roll`). A layer that makes the map smaller moves its
    output by fewer positions: with stride 2, a shift of x by 4 is a shift of the output by 2.

    Args:
        layer: (B, C, H, W) -> (B, C', H', W').
        x: (B, C, H, W).
        shift: (down, right) in pixels of x; negative = up, left.

    Returns:
        a number >= 0, as a tensor without axes.

    Raises:
        ValueError: if the output would have to move by a fraction of a position (an odd shift
            at stride 2).
    """
    moved_first = layer(x.roll(shift, dims=(2, 3)))
    output = layer(x)
    for name, s, before, after in zip(
        ("down", "right"), shift, x.shape[2:], output.shape[2:], strict=True
    ):
        if s * after % before:
            raise ValueError(
                f"a shift of {s} pixels {name} has no counterpart in the output: "
                f"{before} positions become {after}"
            )
    ### BEGIN SOLUTION
    steps = [
        s * after // before for s, before, after in zip(shift, x.shape[2:], output.shape[2:], strict=True)
    ]
    moved_after = output.roll(steps, dims=(2, 3))
    return (moved_first - moved_after).norm() / output.norm()
    ### END SOLUTION


@torch.no_grad()
def shift_consistency(model: nn.Module, images: Tensor, max_shift: int) -> Tensor:
    """How often a classifier gives the same answer when the image is moved.

    An image is moved cyclically (`torch.roll`: what leaves on one side comes back on the
    other), by s pixels up, down, left or right. Entry s of the result is the share of all 4 B
    moved images that are put into the class of the image in place. It asks for the same answer,
    not for the right one: no labels are needed.

    Args:
        model: classifier, (B, C, H, W) -> (B, K) logits; used in evaluation mode, and put back
            into the mode it was in.
        images: (B, C, H, W).
        max_shift: largest shift, in pixels.

    Returns:
        (max_shift + 1,) float32 in [0, 1]; entry 0 is 1.

    Raises:
        ValueError: if `max_shift` is negative, or not smaller than H and W.
    """
    if not 0 <= max_shift < min(images.shape[-2:]):
        raise ValueError(
            f"max_shift must be between 0 and {min(images.shape[-2:]) - 1} for images of "
            f"{images.shape[-2]} x {images.shape[-1]} pixels, got {max_shift}"
        )
    was_training = model.training
    model.eval()
    ### BEGIN SOLUTION
    in_place = model(images).argmax(-1)  # (B,)
    shares = []
    for s in range(max_shift + 1):
        same = [
            model(images.roll(step, dims=axis)).argmax(-1) == in_place for axis in (2, 3) for step in (s, -s)
        ]  # 4 x (B,)
        shares.append(torch.cat(same).float().mean())
    consistency = torch.stack(shares)
    ### END SOLUTION
    model.train(was_training)
    return consistency
