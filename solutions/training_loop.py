"""One epoch of training, and the evaluation of a classifier of sentences."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_norm: float = 1.0,
) -> float:
    """One pass over the training set, in training mode: a step of the optimizer per batch.

    Args:
        model: maps tokens (B, N) and lengths (B,) to logits (B, classes).
        batches: yields (tokens, lengths, labels) on the model's device.
        optimizer: over the model's parameters.
        scheduler: sets the learning rate; stepped once after every batch.
        max_norm: the gradient of all parameters together is shortened to this norm where it is
            longer.

    Returns:
        the mean cross-entropy per example over the epoch, each batch measured before its own
        step.
    """
    ### BEGIN SOLUTION
    model.train()
    total, seen = 0.0, 0
    for tokens, lengths, labels in batches:
        loss = F.cross_entropy(model(tokens, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total += loss.item() * len(labels)
        seen += len(labels)
    return total / seen
    ### END SOLUTION


def evaluate(
    model: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
) -> tuple[float, float]:
    """Loss and accuracy on a data set, without learning from it.

    The model is put into evaluation mode (no dropout), in which it may stay, and no gradient is
    recorded.

    Args:
        model: maps tokens (B, N) and lengths (B,) to logits (B, classes).
        batches: yields (tokens, lengths, labels) on the model's device; the last may be
            smaller.

    Returns:
        the mean cross-entropy per example and the fraction of examples whose largest logit is
        at the label.
    """
    ### BEGIN SOLUTION
    model.eval()
    total, correct, seen = 0.0, 0, 0
    with torch.no_grad():
        for tokens, lengths, labels in batches:
            logits = model(tokens, lengths)
            total += F.cross_entropy(logits, labels, reduction="sum").item()
            correct += (logits.argmax(dim=-1) == labels).sum().item()
            seen += len(labels)
    return total / seen, correct / seen
    ### END SOLUTION
