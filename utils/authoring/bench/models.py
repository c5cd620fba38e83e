"""What the suites share: calls that run a model forward, or forward and backward."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def answer(name: str) -> Any:
    """A reference answer by name, "solutions.vit:ViT"; benchmarks need `solutions/`."""
    return pkgutil.resolve_name(name)


def forward(model: nn.Module, *inputs: Any, **named: Any) -> Callable[[], object]:
    """A call that runs the model once, without gradients, in eval mode."""

    def call() -> object:
        model.eval()
        with torch.inference_mode():
            return model(*inputs, **named)

    return call


def training(
    model: nn.Module, *inputs: Any, pick: Callable[[Any], Tensor] = lambda out: out, **named: Any
) -> Callable[[], object]:
    """A call that runs the model forward and backward once, in train mode; gradients are freed before it."""

    def call() -> object:
        model.train()
        for parameter in model.parameters():
            parameter.grad = None
        pick(model(*inputs, **named)).sum().backward()
        return None

    return call
