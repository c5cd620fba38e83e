"""Instruments for inductive bias: what a model assumes about images, measured on the model, and weights carried to a new task.

1. Taco Cohen, Max Welling. "Group Equivariant Convolutional Networks". ICML 2016. https://arxiv.org/abs/1602.07576
2. Richard Zhang. "Making Convolutional Networks Shift-Invariant Again". ICML 2019. https://arxiv.org/abs/1904.11486
3. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929 (attention distance: figure 7; zero head: section 3.2)
4. Maithra Raghu, Thomas Unterthiner, Simon Kornblith, Chiyuan Zhang, Alexey Dosovitskiy. "Do Vision Transformers See Like
   Convolutional Neural Networks?". NeurIPS 2021. https://arxiv.org/abs/2108.08810
5. Jeremy Howard, Sebastian Ruder. "Universal Language Model Fine-tuning for Text Classification". ACL 2018.
   https://arxiv.org/abs/1801.06146 (a learning rate per layer, "discriminative fine-tuning")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def shift_consistency(model: nn.Module, images: Tensor, max_shift: int) -> Tensor:
    """How often a classifier gives the same answer when the image is moved.

    An image is moved cyclically (`torch.roll`: what leaves on one side comes back on the other), by s pixels up, down, left or
    right. Entry s of the result is the share of all 4 B moved images that are put into the class of the image in place. It
    asks for the same answer, not for the right one: no labels are needed.

    Args:
        model: classifier, (B, C, H, W) -> (B, K) logits; used in evaluation mode, and put back into the mode it was in.
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


@torch.no_grad()
def translation_equivariance_error(
    layer: Callable[[Tensor], Tensor], x: Tensor, shift: tuple[int, int]
) -> Tensor:
    """How far a layer is from commuting with a shift of its input: 0 if moving before is the same as moving after.

    |layer(shift x) - shift layer(x)| / |layer(x)|, with the Euclidean norm over all numbers of the batch. Shifts are cyclic
    (`torch.roll`). A layer that makes the map smaller moves its output by fewer positions: with stride 2, a shift of x by 4
    is a shift of the output by 2.

    Args:
        layer: (B, C, H, W) -> (B, C', H', W').
        x: (B, C, H, W).
        shift: (down, right) in pixels of x; negative = up, left.

    Returns:
        a number >= 0, as a tensor without axes.

    Raises:
        ValueError: if the output would have to move by a fraction of a position (an odd shift at stride 2).
    """
    moved_first = layer(x.roll(shift, dims=(2, 3)))
    output = layer(x)
    for name, s, before, after in zip(("down", "right"), shift, x.shape[2:], output.shape[2:], strict=True):
        if s * after % before:
            raise ValueError(
                f"a shift of {s} pixels {name} has no counterpart in the output: {before} positions become {after}"
            )
    ### BEGIN SOLUTION
    steps = [
        s * after // before for s, before, after in zip(shift, x.shape[2:], output.shape[2:], strict=True)
    ]
    moved_after = output.roll(steps, dims=(2, 3))
    return (moved_first - moved_after).norm() / output.norm()
    ### END SOLUTION


def permute_pixels(images: Tensor, permutation: Tensor) -> Tensor:
    """Puts the pixels of every image into another order, the same for all images and channels.

    Pixels are counted in reading order: pixel n of an H x W image lies in row n // W and column n % W.

    Args:
        images: (B, C, H, W).
        permutation: (H * W,) int64, each of 0 .. H * W - 1 once. Place n of the result gets pixel `permutation[n]`.

    Returns:
        (B, C, H, W), a new tensor.

    Raises:
        ValueError: if `permutation` is not a permutation of the image's pixels.
    """
    pixels = images.shape[-2] * images.shape[-1]
    if not torch.equal(permutation.sort().values, torch.arange(pixels, device=permutation.device)):
        raise ValueError(
            f"an image of {images.shape[-2]} x {images.shape[-1]} pixels needs each of 0 .. {pixels - 1} once, "
            f"got {permutation.numel()} numbers that are not these"
        )
    ### BEGIN SOLUTION
    flat = images.flatten(2)  # (B, C, H, W) -> (B, C, H * W)
    return flat[:, :, permutation].view_as(images)
    ### END SOLUTION


def mean_attention_distance(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """How far attention looks: the distance between query and key, averaged with the attention weights.

    A patch token stands at the (row, column) of its patch; distances are Euclidean and counted in patches. A CLS token
    (N = rows * columns + 1, CLS first) stands nowhere: it is left out as query and as key, and what remains of every row is
    scaled to sum to 1 again.

    Args:
        weights: (..., N, N) attention weights, row = query, column = key, rows sum to 1; patches in reading order.
        grid: (rows, columns) of patches.

    Returns:
        (...): the mean over all queries, in patches. For (B, H, N, N): one number per image and head.

    Raises:
        ValueError: if N is neither rows * columns nor one more.
    """
    rows, columns = grid
    if weights.shape[-1] - rows * columns not in (0, 1) or weights.shape[-2] != weights.shape[-1]:
        raise ValueError(
            f"weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x {columns} patches, "
            f"which gives {rows * columns} tokens, or {rows * columns + 1} with CLS"
        )
    ### BEGIN SOLUTION
    if weights.shape[-1] == rows * columns + 1:
        weights = weights[..., 1:, 1:]
        weights = weights / weights.sum(-1, keepdim=True)
    n = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([n // columns, n % columns], -1).to(weights.dtype)  # (N, 2)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)  # (N, N)
    return (weights * distance).sum(-1).mean(-1)  # (..., N, N) -> (..., N) -> (...)
    ### END SOLUTION


def fine_tune(
    model: nn.Module,
    layers: Sequence[Sequence[str]],
    num_classes: int,
    learning_rate: float,
    decay: float,
    head: str = "head",
) -> list[dict[str, Any]]:
    """Prepares a pretrained model for a new task: a new head, and a learning rate per layer.

    The head is replaced by a fresh `nn.Linear` to `num_classes`, with weight and bias zero (reference 3, section 3.2), so that
    the first steps do not send noise into the pretrained layers; it has the dtype and the device of the old one. It learns with
    `learning_rate`, the last entry of `layers` with `learning_rate * decay`, the one before with `learning_rate * decay**2`, and so on.

    Args:
        model: pretrained; its head is an `nn.Linear`. Changed in place; all else keeps its weights.
        layers: from the input to the head, the names of the modules and parameters that make up each layer, such as
            `[("patch_embedding", "positions"), ("blocks.0",), ("blocks.1",), ("norm",)]`. A name stands for the parameter of that
            name, or for all parameters of the module of that name.
        num_classes: classes of the new task.
        learning_rate: of the head.
        decay: factor from a layer to the one below it; 1 gives all the same rate, 0 trains the head only.
        head: name of the head.

    Returns:
        parameter groups for an optimiser, `[{"params": [...], "lr": ...}, ...]`; every parameter of the model is in exactly one.

    Raises:
        ValueError: if a parameter outside the head is in no layer, or in more than one.
    """
    ### BEGIN SOLUTION
    old_head = getattr(model, head)
    new_head = nn.Linear(old_head.in_features, num_classes).to(old_head.weight)  # dtype and device
    nn.init.zeros_(new_head.weight)
    nn.init.zeros_(new_head.bias)
    setattr(model, head, new_head)
    groups = [{"params": list(new_head.parameters()), "lr": learning_rate}]
    for steps, names in enumerate(reversed([*layers]), start=1):
        parameters = [
            parameter
            for key, parameter in model.named_parameters()
            if any(key == name or key.startswith(name + ".") for name in names)
        ]
        groups.append({"params": parameters, "lr": learning_rate * decay**steps})
    ### END SOLUTION
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    for name, parameter in model.named_parameters():
        if listed.count(id(parameter)) != 1:
            raise ValueError(
                f"{name} is in {listed.count(id(parameter))} parameter groups, must be in exactly one"
            )
    return groups
