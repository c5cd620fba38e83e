"""Dropout and stochastic depth without chance, so that what is computed in training mode can be compared.

What falls out depends on where a number stands, not on a generator: generators differ between versions and machines, and an answer may
draw in another order. A mask differs from token to token and from feature to feature, so that it does not commute with pooling.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from utils.layers.stochastic_depth import StochasticDepth

_dropout, _attention = F.dropout, F.scaled_dot_product_attention


_acted: deque[tuple[int, ...]] = deque(
    maxlen=1000
)  # the shapes that numbers were dropped from, since `noted` began


@contextlib.contextmanager
def noted() -> Iterator[list[tuple[int, ...]]]:
    """The shapes from which numbers are dropped within the block; the list is full when the block has ended."""
    shapes: list[tuple[int, ...]] = []
    _acted.clear()
    try:
        yield shapes
    finally:
        shapes += _acted


def kept(count: int, rate: float, rows: int = 1) -> Tensor:
    """(rows, count) bool: a share of about 1 - rate, spread evenly (a golden-ratio sequence), never none unless the rate is 1."""
    places = torch.arange(count) * 0.6180339887 + torch.arange(rows)[:, None] * 0.7548776662
    return (places + 0.3) % 1.0 >= rate


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: A002
    """`F.dropout` with a mask that depends on the last two axes: token and feature; of a vector or a matrix, on the feature alone."""
    if not training or p == 0.0:
        return input
    _acted.append(tuple(input.shape))
    mask = kept(input.shape[-1], p, input.shape[-2]) if input.ndim > 2 else kept(input.shape[-1], p)[0]
    scaled = mask.to(input) / max(1.0 - p, 1e-6)
    return input.mul_(scaled) if inplace else input * scaled


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **more: Any,
) -> Tensor:
    """`F.scaled_dot_product_attention`, its dropout on the weights as above."""
    if dropout_p == 0.0:
        return _attention(query, key, value, attn_mask, 0.0, is_causal, **more)
    scale = more.get("scale") or 1 / math.sqrt(query.shape[-1])
    identity = torch.eye(key.shape[-2]).to(
        value
    )  # PyTorch's kernel returns its weights where the values are one-hot
    weights = _attention(
        query, key, identity.expand(*key.shape[:-1], -1), attn_mask, 0.0, is_causal, scale=scale
    )
    return dropout(weights, dropout_p) @ value


def _depth(layer: StochasticDepth, branch: Tensor) -> Tensor:
    if not layer.training or layer.rate == 0:
        return branch
    _acted.append(tuple(branch.shape))
    mask = kept(len(branch), layer.rate)[0].to(branch).view(-1, *[1] * (branch.ndim - 1))
    return branch * mask / (1 - layer.rate)


class _ByOtherNames(TorchFunctionMode):
    """Catches what was imported by its own name, and PyTorch's functions below."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _dropout:
            return dropout(*args, **kwargs)
        if func in (torch.dropout, torch.dropout_):
            given, rate, training = (*args, *(kwargs[name] for name in ("input", "p", "train")[len(args) :]))
            return dropout(given, rate, training, inplace=func is torch.dropout_)
        if func is _attention:
            return attention(*args, **kwargs)
        return func(*args, **kwargs)


@contextlib.contextmanager
def without_chance() -> Iterator[None]:
    """Within the block, dropout and stochastic depth leave out the same numbers and images every time."""
    with (
        patch.object(F, "dropout", dropout),
        patch.object(F, "scaled_dot_product_attention", attention),
        patch.object(StochasticDepth, "forward", _depth),
        _ByOtherNames(),
    ):
        yield
