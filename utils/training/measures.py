"""Loss, accuracy, model calls, devices and seeds."""

import math
import random
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from utils.training.precision import Precision, precision_for

IGNORED = -100  # a target with this value is no target (padding)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """Mean cross-entropy, in nats.

    Args:
        logits: (..., classes), the classes last, also for sequences.
        targets: (...) class indices, -100 = padding, not counted; or (..., classes) probabilities (mixup).
    """
    classes = logits.shape[-1]
    if not targets.is_floating_point() and targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"For logits of shape {tuple(logits.shape)} class indices of shape {tuple(logits.shape[:-1])} are needed; "
            f"got {tuple(targets.shape)}."
        )
    flat = targets.reshape(-1, classes) if targets.is_floating_point() else targets.reshape(-1)
    return F.cross_entropy(logits.reshape(-1, classes), flat, label_smoothing=label_smoothing)


def right_answers(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number of right answers and of targets; NaN right answers where targets are no class indices."""
    if targets.is_floating_point() or logits.shape[:-1] != targets.shape:
        return logits.new_tensor(math.nan, dtype=torch.float32), logits.new_tensor(
            len(targets), dtype=torch.float32
        )
    counted = targets != IGNORED
    right = logits.detach().argmax(dim=-1) == targets  # never at padding: no class is -100
    return right.sum().float(), counted.sum().float()


@torch.no_grad()
def evaluate(
    model, batches, *, loss_fn=None, device=None, precision: str | Precision | None = None
) -> tuple[float, float]:
    """Mean loss and accuracy over batches, in eval mode (the model's mode is put back afterwards).

    Returns:
        `(loss, accuracy)`; the accuracy is NaN where the targets are no class indices.
    """
    device = torch.device(device or next(model.parameters(), torch.empty(0)).device)
    if not isinstance(precision, Precision):
        precision = precision_for(device, precision)
    was_training = model.training
    sums = torch.zeros(3, device=device, dtype=torch.float64 if device.type != "mps" else torch.float32)
    model.eval()
    try:
        for inputs, targets in batches(0) if callable(batches) else batches:
            inputs, targets = to_device(inputs, device), to_device(targets, device)
            with precision.forward():
                logits = predict(model, inputs)
            right, counted = right_answers(logits, targets)
            sums += torch.stack(
                [(loss_fn or cross_entropy)(logits.float(), targets) * counted, right, counted]
            )
    finally:
        model.train(was_training)
    loss, right, counted = sums.tolist()
    if not counted:
        raise ValueError(
            "There is nothing to evaluate: the batches are empty (or a generator that was used up)."
        )
    return loss / counted, right / counted


def accuracy(model: nn.Module, batches, device=None) -> float:
    """Fraction of right answers, 0 to 1, over an iterable of `(inputs, targets)`, in eval mode."""
    return evaluate(model, batches, device=device)[1]


def predict(model: Callable, inputs) -> torch.Tensor:
    """The model's logits for inputs that are a tensor, a tuple (arguments) or a dict (keyword arguments)."""
    if isinstance(inputs, dict):
        output = model(**inputs)
    elif isinstance(inputs, (tuple, list)):
        output = model(*inputs)
    else:
        output = model(inputs)
    if isinstance(output, (tuple, list)):
        return output[0]
    return getattr(output, "logits", output)


def count_parameters(model: nn.Module, trainable: bool = True) -> int:
    """Number of parameters (shared ones once); with `trainable=False` frozen ones too."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable)


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch (all devices)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def to_device(value, device):
    """A tensor, or a tuple, list or dict of them, on the device; anything else as it is."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(to_device(item, device) for item in value)
    return value
