"""A GPU where there is none: tensors that say cuda:0, refuse to meet CPU tensors, and refuse to become NumPy arrays.

    with pretend_cuda():
        fit(model, batches, ...)          # `default_device()` is cuda now
    with pretend_mps():
        fit(model, batches, ...)          # mps:0, which has no float64 either

The numbers are computed by the CPU, in float32. What is pretended is where they lie, which is what code gets wrong on a machine that its
author did not have: a model that `fit` has moved, asked about images that it has not; a mask made on the wrong side; a tensor
handed to matplotlib.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

PLACE = {"device": torch.device("cuda", 0)}  # the GPU that is pretended now
#: what takes tensors of two devices on a real GPU, too
CROSSING = {Tensor.copy_, Tensor.__getitem__, Tensor.__setitem__, Tensor.data.__set__, Tensor.grad.__set__, Tensor.index_put_, torch._has_compatible_shallow_copy_type}  # fmt: skip
HOST_ONLY = {Tensor.numpy, Tensor.__array__}
KINDS = {Tensor.is_cuda.__get__: "cuda", Tensor.is_mps.__get__: "mps", Tensor.is_cpu.__get__: "cpu"}
WIDE = (torch.float64, torch.complex128)  # what MPS has not


class OnCuda(Tensor):
    """A tensor of the pretended GPU, CUDA or MPS."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})

    def __reduce_ex__(self, protocol):
        return plain(self).__reduce_ex__(protocol)  # a file holds numbers, wherever they lay

    def __format__(self, spec):
        return format(plain(self), spec)  # torch asks for the very type Tensor there

    def __deepcopy__(self, memo):
        if id(self) not in memo:
            copied = copy.deepcopy(plain(self.detach()))
            if isinstance(self, nn.Parameter):
                copied = nn.Parameter(copied, self.requires_grad)
                copied.__class__ = OnCudaParameter
            memo[id(self)] = on_cuda(copied)
        return memo[id(self)]


class OnCudaParameter(OnCuda, nn.Parameter):
    """A parameter that `model.to("cuda")` has moved: the same object as before."""


class Pretending(TorchFunctionMode):
    """Sees what no `OnCuda` is part of yet: `torch.zeros(3, device="cuda")`, `images.to("cuda")`."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return run(func, args, kwargs or {})


def plain(tensor: Tensor) -> Tensor:
    """The same numbers as a tensor of the CPU."""
    with torch._C.DisableTorchFunctionSubclass():
        return tensor.as_subclass(Tensor)


def on_cuda(tensor: Tensor) -> Tensor:
    """The same numbers as a tensor of the pretended GPU."""
    with torch._C.DisableTorchFunctionSubclass():
        return tensor if isinstance(tensor, OnCuda) else tensor.as_subclass(OnCuda)


def is_cuda(device: Any) -> bool:
    """Whether what was given for `device` is the GPU."""
    return isinstance(device, (str, torch.device)) and torch.device(device).type == PLACE["device"].type


def run(func: Any, args: tuple, kwargs: dict) -> Any:
    """What torch would do on a machine with a GPU.

    Raises:
        RuntimeError, TypeError: as torch raises there, for tensors on two devices and for NumPy.
    """
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [t for t in tensors if isinstance(t, OnCuda)]
    first = args[0] if args and isinstance(args[0], OnCuda) else None
    if first is not None and func == Tensor.device.__get__:
        return PLACE["device"]
    if first is not None and func in KINDS:
        return KINDS[func] == PLACE["device"].type
    if first is not None and func in HOST_ONLY:
        raise TypeError(
            f"can't convert {PLACE['device']} device type tensor to numpy. Use Tensor.cpu() first."
        )
    with torch._C.DisableTorchFunctionSubclass():
        if func in (Tensor.cpu, Tensor.cuda, Tensor.to):
            return moved(func, args, kwargs)
        if func == Tensor.data.__set__:
            return set_data(*args)
        wanted, generator = kwargs.get("device"), kwargs.get("generator")
        if is_cuda(wanted):
            kwargs = kwargs | {"device": "cpu"}
        goes_there = is_cuda(wanted) or (there and wanted is None)
        if goes_there and generator is not None and generator.device.type == "cpu":
            raise RuntimeError(
                f"Expected a '{PLACE['device'].type}' device type for generator but found 'cpu'"
            )
        if there and func not in CROSSING:
            for other in tensors:
                if not isinstance(other, OnCuda) and other.dim() > 0 and other.device.type == "cpu":
                    name = getattr(func, "__name__", str(func))
                    raise RuntimeError(
                        f"Expected all tensors to be on the same device, but found at least two devices, {PLACE['device']} and cpu! ({name})"
                    )
        if func == Tensor.__getitem__ and first is None and there:
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            )
        result = func(*args, **kwargs)
        return tree_map_only(Tensor, landed, result) if goes_there else result


def landed(tensor: Tensor) -> Tensor:
    """A result of the pretended GPU; a meta tensor has no place.

    Raises:
        TypeError: it is float64, and the GPU is a Mac's.
    """
    if PLACE["device"].type == "mps" and tensor.dtype in WIDE:
        raise TypeError(
            "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64. Please use float32 instead."
        )
    return on_cuda(tensor) if tensor.device.type == "cpu" else tensor


def moved(func: Any, args: tuple, kwargs: dict) -> Tensor:
    """`cpu()`, `cuda()` and `to(...)`."""
    tensor, *rest = args
    there = PLACE["device"].type
    target: Any = {Tensor.cpu: "cpu", Tensor.cuda: "cuda"}.get(func)
    if target is None:
        given = [*rest, kwargs.get("device"), kwargs.get("other")]
        like = next((one for one in given if isinstance(one, Tensor)), None)
        place = next((one for one in given if isinstance(one, (str, torch.device))), None)
        target = (there if isinstance(like, OnCuda) else "cpu") if like is not None else place
        rest = ["cpu" if is_cuda(one) else plain(one) if isinstance(one, OnCuda) else one for one in rest]
        kwargs = {key: "cpu" if is_cuda(one) else one for key, one in kwargs.items()}
        result = plain(tensor).to(*rest, **kwargs)
    else:
        result = plain(tensor)
    here = isinstance(tensor, OnCuda)
    goes = here if target is None else is_cuda(target)
    if goes != here and result.data_ptr() == tensor.data_ptr() and result.device.type == "cpu":
        result = result.clone()  # a copy between devices shares no memory
    if goes == here and result.dtype == tensor.dtype and result.data_ptr() == tensor.data_ptr():
        return tensor
    return landed(result) if goes else result


def set_data(owner: Tensor, value: Tensor) -> None:
    """`parameter.data = ...`, by which `model.to(device)` moves: the parameter stays the same object and is on another device."""
    Tensor.data.__set__(owner, plain(value))
    if isinstance(value, OnCuda) and not isinstance(owner, OnCuda):
        owner.__class__ = OnCudaParameter if isinstance(owner, nn.Parameter) else OnCuda
    elif isinstance(owner, OnCuda) and not isinstance(value, OnCuda):
        owner.__class__ = nn.Parameter if isinstance(owner, nn.Parameter) else Tensor


class Event:
    """torch.cuda.Event, without a clock."""

    def __init__(self, enable_timing: bool = False) -> None: ...

    def record(self) -> None: ...

    def elapsed_time(self, other: Event) -> float:
        return 1.0


@contextlib.contextmanager
def pretend_cuda(capability: tuple[int, int] = (7, 5)) -> Iterator[None]:
    """Within the block torch says that there is one GPU of this capability; a T4 has 7.5."""
    says: dict[str, Any] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_capability": lambda device=None: capability,
        "is_bf16_supported": lambda including_emulation=True: including_emulation or capability >= (8, 0),
        "get_device_name": lambda device=None: "pretended GPU",
        "synchronize": lambda device=None: None,
        "is_current_stream_capturing": lambda: False,
        "Event": Event,
        "get_rng_state_all": list,
        "set_rng_state_all": lambda states: None,
        "manual_seed_all": lambda seed: None,
    }
    says |= dict.fromkeys(("memory_allocated", "max_memory_allocated"), lambda device=None: 0)
    says |= dict.fromkeys(("reset_peak_memory_stats", "empty_cache"), lambda device=None: None)
    with pretend("cuda", {torch.cuda: says}):
        yield


@contextlib.contextmanager
def pretend_mps() -> Iterator[None]:
    """Within the block torch says that this is a Mac with a GPU."""
    available, absent = {"is_available": lambda: True}, {"is_available": lambda: False}
    with pretend("mps", {torch.backends.mps: available, torch.cuda: absent}):
        yield


@contextlib.contextmanager
def pretend(kind: str, says: dict[Any, dict[str, Any]]) -> Iterator[None]:
    """Within the block there is one GPU of this kind.

    Args:
        kind: "cuda" or "mps".
        says: module -> name -> what stands there meanwhile.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLACE, "device", torch.device(kind, 0))
        for module, names in says.items():
            for name, value in names.items():
                patch.setattr(module, name, value)
        if hasattr(
            torch, "accelerator"
        ):  # a torch that was built for CUDA would ask the driver for the current stream
            patch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)
        with Pretending():
            yield
