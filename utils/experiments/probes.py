"""What is measured on a trained model beside its accuracy: shifts, shuffled patches, attention distance.

A cell asks for probes by name: `"probes": ("shift", "shuffle", "distance")`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from utils.experiments.image_data import Images
from utils.experiments.image_training import Hardware, predictions

SHIFTS = {"smoke": (0, 4), "cpu": (0, 1, 2, 3, 4, 6, 8), "gpu": tuple(range(9))}
SHIFTED_IMAGES = {"smoke": 20, "cpu": 400, "gpu": 2_000}
SHUFFLED_IMAGES = {"smoke": 20, "cpu": 1_000, "gpu": 10_000}
DISTANCE_IMAGES = 64


def shifted(
    model: nn.Module, images: Tensor, labels: Tensor, shifts, normalize, hardware: Hardware
) -> dict[str, Any]:
    """Accuracy and consistency of images moved cyclically by s pixels up, down, left and right.

    Returns:
        {"shift": {"x": shifts, "y": accuracies}, "consistency": the same with shares of unchanged answers}.
    """
    labels = labels.to(hardware.device)
    in_place = predictions(model, images, normalize, hardware)
    right, same = [], []
    for s in shifts:
        steps = [(s, 2), (-s, 2), (s, 3), (-s, 3)] if s else [(0, 2)]
        moved = [predictions(model, images.roll(by, dims=axis), normalize, hardware) for by, axis in steps]
        right.append(sum(float((m == labels).float().mean()) for m in moved) / len(moved))
        same.append(sum(float((m == in_place).float().mean()) for m in moved) / len(moved))
    x = list(shifts)
    return {
        "shift": {"x": x, "y": [round(v, 5) for v in right]},
        "consistency": {"x": x, "y": [round(v, 5) for v in same]},
    }


def shuffle_patches(images: Tensor, patch: int, seed: int = 0) -> Tensor:
    """(B, C, H, W) -> the same, each image's patches in another random order; the pixels in a patch stay as they are."""
    count, channels, height, width = images.shape
    rows, columns = height // patch, width // patch
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(count, rows * columns, generator=generator).argsort(dim=1)
    cut = images.view(count, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
    cut = cut.reshape(count, rows * columns, channels, patch, patch)
    mixed = cut[torch.arange(count)[:, None], order].view(count, rows, columns, channels, patch, patch)
    return mixed.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, height, width)


def distances(grid: tuple[int, int]) -> Tensor:
    """(N, N) Euclidean distance between the patches of a grid, in patches."""
    rows, columns = grid
    n = torch.arange(rows * columns)
    places = torch.stack([n // columns, n % columns], dim=-1).double()
    return torch.cdist(places, places)


def mean_attention_distance(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """(..., N, N) attention weights -> (...): distance of query and key averaged with the weights, in patches; CLS left out."""
    n = grid[0] * grid[1]
    weights = weights[..., -n:, -n:].double()
    weights = weights / weights.sum(-1, keepdim=True)
    return (weights * distances(grid).to(weights.device)).sum(-1).mean(-1)


def attention_distance(model: nn.Module, images: Tensor) -> list[list[float]]:
    """Mean attention distance of every layer and head over the images, in patches: [layer][head]."""
    vit: Any = model  # to the type checker any attribute of an nn.Module may be a tensor or a module
    with torch.no_grad():
        maps = vit.attention_maps(images).float().cpu()  # (layers, B, H, N, N); a Mac's GPU has no float64
    found = mean_attention_distance(maps, vit.grid).mean(dim=1)  # (layers, H)
    return [[round(v, 4) for v in layer] for layer in found.tolist()]


def watchers(
    cell: Mapping[str, Any], data: Images, normalize: Callable, hardware: Hardware, steps: int
) -> dict[int, Callable[[nn.Module], Any]]:
    """What is looked at during training: attention distance at 0, 1/16, 1/8, 1/4, 1/2 and all of the steps."""
    if "distance" not in cell.get("probes", ()):
        return {}
    images = normalize(data.test[0][:DISTANCE_IMAGES].to(hardware.device))
    at = sorted({0, *(max(1, steps // part) for part in (16, 8, 4, 2, 1))})

    def look(step: int, model: nn.Module) -> dict[str, Any]:
        return {"step": step, "distance": attention_distance(model, images)}

    return {step: partial(look, step) for step in at}


def after(
    cell: Mapping[str, Any], model: nn.Module, data: Images, normalize: Callable, hardware: Hardware
) -> dict[str, Any]:
    """The probes of a trained model, for its row."""
    wanted, preset = cell.get("probes", ()), cell["preset"]
    found: dict[str, Any] = {}
    images, labels = data.test
    if "shift" in wanted:
        some = slice(0, SHIFTED_IMAGES[preset])
        found |= shifted(model, images[some], labels[some], SHIFTS[preset], normalize, hardware)
    if "shuffle" in wanted:
        some = slice(0, SHUFFLED_IMAGES[preset])
        wants = labels[some].to(hardware.device)
        scores = []
        for patch in (32, 16, 8, 4):
            mixed = shuffle_patches(images[some], patch) if patch < 32 else images[some]
            scores.append(
                round(float((predictions(model, mixed, normalize, hardware) == wants).float().mean()), 5)
            )
        found["shuffle"] = {"x": [32, 16, 8, 4], "y": scores}
    if "distance" in wanted:
        vit: Any = model  # as in `attention_distance`
        found["uniform_distance"] = round(float(distances(vit.grid).mean()), 4)
        found["grid"] = list(vit.grid)
    return found
