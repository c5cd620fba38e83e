"""What the tests of the training loop share: a toy problem, a small network, one run, and how two runs are compared."""

import random

import numpy as np
import torch
from torch import nn

from utils.training import History, fit


def toy(n: int = 96, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 6, generator=generator)
    return inputs, (inputs[:, 0] * inputs[:, 3] > 0).long()


def network(seed: int = 0, dropout: float = 0.2) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 24), nn.LayerNorm(24), nn.ReLU(), nn.Dropout(dropout), nn.Linear(24, 2))


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [value.detach().clone() for value in model.state_dict().values()]


def same_bits(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def numbers(history: History) -> tuple:
    """All of a history but the times."""
    return (
        history.steps,
        history.train_loss,
        history.train_accuracy,
        history.validation_loss,
        history.validation_accuracy,
    )


def noisy_batches(epoch: int):
    """Batches that use all three global random states, as augmentations do."""
    inputs, targets = toy()
    for start in range(0, len(targets), 32):
        noise = random.gauss(0, 0.1) + np.random.normal(0, 0.1)
        x = inputs[start : start + 32]
        yield x + noise + 0.1 * torch.randn_like(x), targets[start : start + 32]


RUN = {"epochs": 5, "lr": 1e-2, "seed": 11, "progress": False, "device": "cpu"}


def uninterrupted():
    model = network()
    return model, fit(model, noisy_batches, validation=[toy(50, seed=2)], **RUN)
