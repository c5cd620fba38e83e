"""What several parity tests share: parameters away from their defaults, and comparisons that cannot pass on nothing."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def generator(seed: int = 0) -> torch.Generator:
    """A source of random numbers of one's own."""
    return torch.Generator().manual_seed(seed)


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Draws every parameter, none of them at its default, and sets eval mode."""
    source = generator(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            value = 0.3 * torch.randn(parameter.shape, generator=source)
            norm_weight = parameter.ndim == 1 and name.endswith("weight")
            parameter.copy_(value + 1.0 if norm_weight else value)
    return module.eval()


def assert_same(
    ours: dict[str, Tensor],
    theirs: dict[str, Tensor],
    tolerance: float = 1e-10,
    zero: tuple[str, ...] = (),
    dtype: torch.dtype = torch.float64,
) -> None:
    """Equal tensors of one dtype by name, none compared with itself, and none zero but those whose names end with one of `zero`."""
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        got = ours[name]
        assert got.shape == expected.shape and got.dtype == dtype, name
        assert got.data_ptr() != expected.data_ptr(), f"{name}: compared with itself"
        worst = (got - expected).abs().max().item()
        assert worst <= tolerance * max(1.0, expected.abs().max().item()), f"{name}: {worst:.1e} apart"
        assert name.endswith(zero) or expected.abs().max() > 1e-3, f"{name}: a zero tensor proves nothing"
