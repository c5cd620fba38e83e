"""The check's own session state: what a notebook has switched on or off changes no verdict, and is switched back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

MARK = "__dynamo_disable"  # where PyTorch keeps a method's version that is not to be compiled


@contextlib.contextmanager
def own_state(seed: int = 0) -> Iterator[None]:
    """Within the block: default device CPU, default dtype float32, gradients on, no inference mode, no autocast, no anomaly mode, a
    seeded generator, attention written out. Behind it, everything is as the student had it, whatever the code in the block has switched.

    Args:
        seed: of PyTorch's CPU generator.
    """
    gradients, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    generator, drawn = torch.default_generator, torch.default_generator.get_state()
    with contextlib.ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if torch.is_anomaly_enabled():
            stack.enter_context(torch.autograd.set_detect_anomaly(False))
        if torch.is_autocast_enabled("cpu"):
            stack.enter_context(torch.autocast("cpu", enabled=False))
        if where_tensors_are_made() != "cpu":  # else not: it slows every call down
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(no_compiler_for_optimizers())
        # The fused kernel of PyTorch 2.13 for the CPU takes M keys with another number of values, and reads or writes beyond the end of a
        # tensor: the process dies, or the numbers are anything. The one that is written out compares the shapes.
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        set_own(seed)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(gradients)
            generator.set_state(drawn)


def where_tensors_are_made() -> str:
    """The kind of device on which a new tensor lies, such as "cpu" (`utils.training.default_device` is where a training belongs)."""
    try:
        return torch.get_default_device().type
    except AttributeError:  # PyTorch 2.5, behind `torch.set_default_device(None)`
        return "cpu"


def set_own(seed: int = 0) -> None:
    """Sets what an answer can change for good: gradients on, float32, a seeded generator."""
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    # The CPU's generator alone: torch.manual_seed formats the stack too, once per absent accelerator.
    torch.default_generator.manual_seed(seed)


def left_behind() -> str:
    """What the code that just ran has changed of the state that `own_state` set: "gradients", "dtype" or ""."""
    if not torch.is_grad_enabled():
        return "gradients"
    return "" if torch.get_default_dtype() == torch.float32 else "dtype"


@contextlib.contextmanager
def no_compiler_for_optimizers() -> Iterator[None]:
    """Within the block, an optimizer is built without importing `torch._dynamo`, which takes seconds and is of no use here.

    PyTorch wraps these methods with "not to be compiled", and imports the compiler to say so, at the first call.
    """
    marked = []
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        plain = getattr(getattr(Optimizer, name, None), "__wrapped__", None)
        if plain is not None and not hasattr(plain, MARK):
            setattr(plain, MARK, plain)
            marked.append(plain)
    try:
        yield
    finally:
        for plain in marked:
            if getattr(plain, MARK, None) is plain:
                delattr(plain, MARK)
