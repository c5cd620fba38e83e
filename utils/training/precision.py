"""In which numbers, and where, a model is computed: one answer for `fit`, experiments, checkpoints and throughput.

    precision = precision_for()          # of this machine's default device
    print(precision)                     # one line: what, where, why
    scaler = precision.scaler()          # does nothing, except in float16
    with precision.forward():
        loss = ...
    scaler.scale(loss).backward()
    row["precision"] = precision.name    # "float32", "bfloat16" or "float16": part of a row's identity

`torch.cuda.is_bf16_supported()` is not asked: it counts emulation, so a T4 says yes and is slow. Capability 8 (Ampere) is where
the hardware begins.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from utils.words import later, say

NAMES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
NATIVE_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # as /proc/cpuinfo calls them on x86 and on Arm
CPUINFO = Path("/proc/cpuinfo")


def default_device() -> torch.device:
    """CUDA if it is there, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


@dataclass(frozen=True)
class Precision:
    """How to compute. Weights, gradients and the optimizer stay in float32; only the forward pass is narrower.

    Attributes:
        device: where.
        name: "float32", "bfloat16" or "float16".
        why: the reason, as the end of a sentence.
    """

    device: torch.device
    name: str = "float32"
    why: str = later("asked for")

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"A precision is one of {', '.join(NAMES)}; got {self.name!r}.")

    @property
    def dtype(self) -> torch.dtype:
        return NAMES[self.name]

    @contextmanager
    def forward(self) -> Iterator[None]:
        """The context of a forward pass: autocast, and the attention kernel that is fastest in it."""
        if self.name == "float32":
            yield
            return
        with torch.autocast(self.device.type, dtype=self.dtype):
            if self.device.type == "cpu":  # the fused kernel is the slow one in bfloat16 there
                with sdpa_kernel(SDPBackend.MATH), WrittenOut():
                    yield
            else:
                yield

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss in float16, whose smallest number is 6e-8; hands everything through otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.name == "float16")

    def __str__(self) -> str:
        return say(
            "Computing on {device} in {name}: {why}.", device=self.device.type, name=self.name, why=self.why
        )


@functools.cache
def announce(precision: Precision) -> None:
    """Prints the line of a precision, once in a process: a notebook trains many models."""
    print(precision, flush=True)


class WrittenOut(TorchFunctionMode):
    """Attention without a mask as two products and a softmax: on a CPU the fastest way in bfloat16.

    PyTorch's plain kernel, which is left for all other calls, computes these products in float32 and looks for rows that are masked as a whole.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        given = {
            key: value for key, value in (kwargs or {}).items() if value is not None and value is not False
        }
        if (
            func is F.scaled_dot_product_attention
            and len(args) == 3
            and given.keys() <= {"dropout_p", "scale"}
        ):
            query, key, value = args
            scale = given.get("scale", query.shape[-1] ** -0.5)
            weights = (query * scale @ key.transpose(-2, -1)).softmax(-1)  # (..., N, M)
            return F.dropout(weights, given.get("dropout_p", 0.0)) @ value
        return func(*args, **(kwargs or {}))


def precision_for(device: torch.device | str | None = None, wanted: str | None = None) -> Precision:
    """The precision for a device.

    Args:
        device: default `default_device()`.
        wanted: "float32", "bfloat16" or "float16" to have just that; None or "auto" to let the device decide.

    Returns:
        bfloat16 on CUDA from capability 8 on, float16 (with a scaled loss) on older CUDA, float32 on MPS and on a CPU.
        (Which is faster on a CPU with native bfloat16 depends on the model: `utils.experiments.precision_choice` measures it.)

    Raises:
        ValueError: there is no such precision.
    """
    device = torch.device(device) if device is not None else default_device()
    if wanted not in (None, "auto"):
        return Precision(device, wanted)
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if major >= 8:
            why = later("capability {found} has it in hardware", found=f"{major}.{minor}")
            return Precision(device, "bfloat16", why)
        why = later("capability {found} only emulates bfloat16", found=f"{major}.{minor}")
        return Precision(device, "float16", why)
    reasons = {
        "mps": later("autocast there is young and gains little"),
        "cpu": later("narrower numbers are faster on some CPUs only"),
    }
    why = reasons.get(device.type, later("the device is unknown to the course"))
    return Precision(device, "float32", why)


@functools.lru_cache(maxsize=1)
def has_native_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware; False where the system does not tell (macOS, Windows)."""
    if not CPUINFO.exists():
        return False
    for line in CPUINFO.read_text(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in ("flags", "features"):
            return not NATIVE_FLAGS.isdisjoint(value.split())
    return False
