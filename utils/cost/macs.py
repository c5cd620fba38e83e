"""Parameters and multiply-adds (MACs) of any model, without memory and without arithmetic.

The papers' "FLOPs" are multiply-adds: one multiplication with the addition that follows it. PyTorch's `FlopCounterMode`
counts both, so its figure is halved here. The model runs on *meta* tensors, which have a shape and no data: counting
ViT-L/16 takes a second and no memory. On real tensors that counter misses the fused kernels (0 for attention on a CPU); on meta
tensors they are seen. Recurrent layers, which it counts or not depending on PyTorch's version, get their formula.

Counted: matrix products, convolutions, attention. Not counted, as in the papers' figures: norms, activations, softmax,
pooling, additions.

    print(profile(model, (1, 3, 224, 224)))          # 22.05M parameters, 4.60 GMACs
    profile(model, (1, 3, 224, 224)).by_module       # {"": ..., "blocks.0.linear1": ..., ...}
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Profile:
    """What one forward pass costs.

    Args:
        parameters: number of parameters, shared ones once.
        macs: multiply-adds of the whole pass.
        by_module: multiply-adds under each module's name, "" = the whole model; only modules that have some.
    """

    parameters: int
    macs: int
    by_module: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.parameters / 1e6:.2f}M parameters, {self.macs / 1e9:.3f} GMACs"


def profile(model: nn.Module, *inputs: tuple[int, ...] | Tensor, **kwargs: Any) -> Profile:
    """Counts the parameters and the multiply-adds of `model(*inputs, **kwargs)` in eval mode.

    The model is neither moved nor changed: its parameters and buffers are replaced by meta tensors for the one call.

    Args:
        model: any module, on any device, meta included.
        inputs: shapes of float inputs, or tensors, of which only shape and dtype matter.
        kwargs: further arguments; tensors among them become meta tensors.

    Returns:
        a Profile.

    Raises:
        TypeError: if an input is neither a shape nor a tensor.
    """
    parameters = sum(p.numel() for p in model.parameters())
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    arguments = [_to_meta(value, dtype) for value in inputs]
    named = {
        name: _to_meta(value, dtype) if isinstance(value, Tensor) else value for name, value in kwargs.items()
    }
    state = dict(model.named_parameters(remove_duplicate=False)) | dict(
        model.named_buffers(remove_duplicate=False)
    )
    on_meta = {id(value): torch.empty_like(value, device="meta") for value in state.values()}
    state = {name: on_meta[id(value)] for name, value in state.items()}  # what was shared stays shared

    counter = FlopCounterMode(display=False, depth=None)  # type: ignore[arg-type]  # None: no limit
    with (
        _eval(model),
        _no_fast_path(),
        torch.no_grad(),
        _recurrent(model) as extra,
        torch.device("meta"),
        counter,
    ):
        torch.func.functional_call(model, state, tuple(arguments), named, tie_weights=False)

    root = type(model).__name__
    by_module: dict[str, int] = {}
    for name, operations in counter.get_flop_counts().items():
        path = "" if name in ("Global", root) else name.removeprefix(f"{root}.")
        by_module[path] = max(by_module.get(path, 0), sum(operations.values()) // 2)
    by_module = _merge(by_module, extra)
    return Profile(parameters, by_module.get("", 0), by_module)


def count_macs(model: nn.Module, *inputs: tuple[int, ...] | Tensor, **kwargs: Any) -> int:
    """Multiply-adds of `model(*inputs, **kwargs)`; see `profile`."""
    return profile(model, *inputs, **kwargs).macs


def _to_meta(value: Any, dtype: torch.dtype) -> Tensor:
    if isinstance(value, Tensor):
        return torch.empty_like(value, device="meta")
    if isinstance(value, tuple | list | torch.Size) and all(isinstance(n, int) for n in value):
        return torch.empty(tuple(value), dtype=dtype, device="meta")
    raise TypeError(f"an input is given by its shape or as a tensor, got {type(value).__name__}: {value!r}")


def _merge(counted: dict[str, int], extra: Mapping[str, int]) -> dict[str, int]:
    """Puts the recurrent layers' MACs in place of what was counted for them, there and in everything around them."""
    merged = dict(counted)
    for name, macs in extra.items():
        path, difference = name, macs - counted.get(name, 0)
        while True:
            merged[path] = merged.get(path, 0) + difference
            if not path:
                break
            path = path.rpartition(".")[0]
    return {name: macs for name, macs in merged.items() if macs}


@contextmanager
def _eval(model: nn.Module):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _no_fast_path():
    """nn.TransformerEncoder's fused inference kernel is one opaque operation: go the long way round."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


@contextmanager
def _recurrent(model: nn.Module):
    """Collects the MACs of nn.LSTM, nn.GRU and nn.RNN: gates x (inputs + hidden) x hidden per step, layer and direction."""
    found: dict[str, int] = {}
    hooks = []

    def watch(name: str):
        def hook(module: nn.RNNBase, args: tuple[Any, ...], output: Any) -> None:
            data = args[0].data if isinstance(args[0], nn.utils.rnn.PackedSequence) else args[0]
            steps = data.numel() // module.input_size  # batch times length
            per_step = sum(w.numel() for key, w in module.named_parameters() if key.startswith("weight"))
            found[name] = found.get(name, 0) + steps * per_step

        return hook

    for name, module in model.named_modules():
        if isinstance(module, nn.RNNBase):
            hooks.append(module.register_forward_hook(watch(name)))
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
