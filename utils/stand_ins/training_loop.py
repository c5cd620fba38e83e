"""Stand-ins: one epoch of training, and the evaluation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn


def train_epoch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_norm: float = 1.0,
) -> float:
    """One epoch; the mean loss per example."""
    losses, sizes = [], []
    for tokens, lengths, labels in batches:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model.train()(tokens, lengths), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(loss.item())
        sizes.append(len(labels))
    return float(np.average(losses, weights=sizes))


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[float, float]:
    """Mean loss per example, and accuracy."""
    model.eval()
    pairs = [(model(tokens, lengths), labels) for tokens, lengths, labels in batches]
    logits, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    accuracy = (logits.argmax(-1) == labels).float().mean().item()  # a Mac's GPU has no float64
    return nn.functional.cross_entropy(logits, labels).item(), accuracy
