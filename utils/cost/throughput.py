"""Where a forward pass spends its time, by kind of layer, and how many FLOP/s each kind achieves.

    python -m utils.cost.throughput --model solutions.vit:ViT                                  # this machine's CPU
    python -m utils.cost.throughput --model solutions.vit:ViT --device cuda --batch 1024       # a GPU, in its own precision

Every operation that PyTorch executes is timed by itself (with CUDA events on a GPU), and its multiply-adds are counted by
PyTorch's own formulas. Ratios between kinds can be trusted; the sum is a little longer than an undisturbed pass.
"""

from __future__ import annotations

import argparse
import pkgutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from utils.stand_ins.resnet import ResNet
from utils.training.precision import NAMES, Precision, default_device, precision_for

KINDS = (
    ("attention", ("scaled_dot_product", "softmax")),
    ("convolution", ("convolution",)),
    ("matrix product", ("addmm", "mm", "bmm", "baddbmm", "linear")),
    ("norm", ("layer_norm", "batch_norm", "group_norm")),
    ("activation", ("gelu", "relu", "silu", "threshold")),
)
REST = "additions, copies"


@dataclass(frozen=True)
class Share:
    """One kind of layer in one forward pass.

    Args:
        kind: "matrix product", "convolution", "attention", "norm", "activation" or "additions, copies".
        macs: multiply-adds.
        seconds: time, median over the repeats.
        bytes: read and written, were every operand touched once.
    """

    kind: str
    macs: int
    seconds: float
    bytes: int

    @property
    def flops_per_second(self) -> float:
        """Achieved FLOP/s, two per multiply-add."""
        return 2 * self.macs / self.seconds if self.seconds else 0.0

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved: what decides whether arithmetic or memory is the limit."""
        return 2 * self.macs / self.bytes if self.bytes else 0.0


class _Clock(TorchDispatchMode):
    """Times every operation below autograd, and notes its multiply-adds and bytes."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.on_gpu = device.type == "cuda"
        self.records: list[tuple[str, int, int, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        began = self._now()
        result = func(*args, **kwargs)
        ended = self._now()
        if not func.is_view:
            tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, Tensor)]
            moved = sum(t.numel() * t.element_size() for t in tensors)
            self.records.append((kind_of(func), _macs(func, args, kwargs, result), moved, (began, ended)))
        return result

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, pair: tuple[Any, Any]) -> float:
        began, ended = pair
        return began.elapsed_time(ended) / 1e3 if self.on_gpu else ended - began


def kind_of(func: Any) -> str:
    """The kind of layer that an ATen operation belongs to."""
    name = func.overloadpacket.__name__
    return next((kind for kind, parts in KINDS if any(_has(name, part) for part in parts)), REST)


def _has(name: str, part: str) -> bool:
    return name == part if part in ("mm", "bmm", "linear") else part in name


def _macs(func: Any, args: tuple, kwargs: dict, result: Any) -> int:
    packet = func.overloadpacket
    if packet in flop_registry:
        return int(flop_registry[packet](*args, **kwargs, out_val=result)) // 2
    if "scaled_dot_product" in packet.__name__:  # the CPU's kernel, which PyTorch's table leaves out
        query, key, value = args[:3]
        *batch, n, d = query.shape
        return torch.Size(batch).numel() * n * key.shape[-2] * (d + value.shape[-1])
    return 0


@torch.no_grad()
def shares(
    model: nn.Module, images: Tensor, *, repeats: int = 5, precision: Precision | None = None
) -> list[Share]:
    """Time, multiply-adds and bytes of `model(images)` in eval mode, by kind of layer; the longest first.

    Args:
        model: on the images' device.
        images: one batch.
        repeats: passes that are measured, after two that are not.
        precision: default float32.
    """
    model.eval()
    device = images.device
    times: dict[str, list[float]] = defaultdict(list)
    with (precision or Precision(device)).forward():
        for _ in range(2):
            model(images)
        for _ in range(repeats):
            with _Clock(device) as clock:
                model(images)
            if clock.on_gpu:
                torch.cuda.synchronize()
            total: dict[str, float] = defaultdict(float)
            for kind, _, _, pair in clock.records:
                total[kind] += clock.seconds(pair)
            for kind, value in total.items():
                times[kind].append(value)
    macs: dict[str, int] = defaultdict(int)
    moved: dict[str, int] = defaultdict(int)
    for kind, count, size, _ in clock.records:
        macs[kind] += count
        moved[kind] += size
    found = [Share(kind, macs[kind], statistics.median(times[kind]), moved[kind]) for kind in times]
    return sorted(found, key=lambda share: -share.seconds)


def best_matmul(
    device: torch.device | str = "cpu", size: int = 1536, dtype: torch.dtype = torch.float32
) -> float:
    """FLOP/s of a square matrix product on this machine: what an operation can hope for."""
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / seconds_of(lambda: left @ right, torch.device(device))


def seconds_of(call: Callable[[], Any], device: torch.device, repeats: int = 5) -> float:
    """Median time of a call, after two that are not counted."""
    times = []
    for attempt in range(repeats + 2):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if attempt > 1:
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def residual_network(width: int = 40, num_classes: int = 10) -> ResNet:
    """ResNet-18's shape for small images, as notebook 06 builds it by hand. Width 32: 2.80M parameters."""
    return ResNet(width, num_classes)


def table(rows: dict[str, list[Share]], batch: int) -> str:
    """The measurements as text: one line per model and kind, one for each model's sum."""
    head = f"{'model':<10} {'kind':<18} {'GMACs':>8} {'ms':>9} {'GFLOP/s':>9} {'FLOP/byte':>10}"
    lines = [head, "-" * len(head)]
    for name, found in rows.items():
        for s in found:
            lines.append(
                f"{name:<10} {s.kind:<18} {s.macs / 1e9:8.2f} {s.seconds * 1e3:9.2f} "
                f"{s.flops_per_second / 1e9:9.1f} {s.intensity:10.1f}"
            )
        macs, seconds = sum(s.macs for s in found), sum(s.seconds for s in found)
        lines.append(
            f"{name:<10} {'all':<18} {macs / 1e9:8.2f} {seconds * 1e3:9.2f} {2 * macs / seconds / 1e9:9.1f}"
            f"   {batch / seconds:.0f} images/s"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """The command. See the module's docstring."""
    from utils.budget import describe_machine

    parser = argparse.ArgumentParser(prog="python -m utils.cost.throughput", description=__doc__)
    parser.add_argument(
        "--model", default="utils.stand_ins.vit:ViT", help='class with `from_config("vit_cifar")`'
    )
    parser.add_argument("--device", default=default_device().type)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--width", type=int, default=40, help="of the ResNet")
    parser.add_argument("--precision", default="auto", choices=["auto", *NAMES])
    options = parser.parse_args(arguments)
    vit = pkgutil.resolve_name(options.model).from_config("vit_cifar")
    images = torch.randn(options.batch, 3, 32, 32, device=options.device)
    models = {"ViT": vit.to(options.device), "ResNet": residual_network(options.width).to(options.device)}
    precision = precision_for(options.device, options.precision)
    found = {name: shares(model, images, precision=precision) for name, model in models.items()}
    print(describe_machine())
    print(precision)
    print(f"a large matrix product: {best_matmul(options.device, dtype=precision.dtype) / 1e9:.0f} GFLOP/s")
    print(table(found, options.batch))


if __name__ == "__main__":
    main()
