"""Training on images that are held on the device as uint8; no step waits for the device.

What a step needs is fixed before the first one: which images (one index tensor for the whole run), how each is flipped and
cropped, which learning rate. It is drawn on the CPU from the seed alone, so every model, and every machine, sees the same
images in the same order. Cropping, flipping and normalising are one gather on the device. Losses stay there until the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.training import learning_rate_factor, make_optimizer

PAD = 4  # pixels of a random crop


class Diverged(FloatingPointError):
    """The loss became NaN or infinite."""


@dataclass(frozen=True)
class Hardware:
    """How to compute: nothing here changes what is computed, but for rounding.

    Attributes:
        device: "cpu" or "cuda".
        bf16: bfloat16 autocast.
        compile: torch.compile, once per model and process.
    """

    device: str = "cpu"
    bf16: bool = False
    compile: bool = False

    def autocast(self):
        return torch.autocast(self.device, dtype=torch.bfloat16) if self.bf16 else nullcontext()


def hardware_for(preset: str) -> Hardware:
    """On a GPU bfloat16 and compiled models for the gpu preset; on a CPU plain float32."""
    if torch.cuda.is_available():
        return Hardware("cuda", bf16=torch.cuda.is_bf16_supported(), compile=preset == "gpu")
    return Hardware()


@dataclass
class Plan:
    """Everything random in a run: indices (steps, batch) and, with augmentation, flips and crops of the same shape."""

    index: Tensor
    flip: Tensor | None = None
    down: Tensor | None = None
    right: Tensor | None = None

    @classmethod
    def draw(cls, n: int, steps: int, batch: int, seed: int, augment: bool) -> Plan:
        """Shuffled epochs of n images, their last incomplete batch left out.

        Raises:
            ValueError: n is smaller than a batch.
        """
        if n < batch:
            raise ValueError(f"{n} images do not fill one batch of {batch}")
        generator = torch.Generator().manual_seed(1_000_003 * (seed + 1))
        per_epoch = n // batch
        epochs = -(-steps // per_epoch)
        orders = [torch.randperm(n, generator=generator)[: per_epoch * batch] for _ in range(epochs)]
        index = torch.cat(orders).view(-1, batch)[:steps]
        if not augment:
            return cls(index)
        generator.manual_seed(1_000_003 * (seed + 1) + 1)
        flip = torch.rand(index.shape, generator=generator) < 0.5
        down, right = torch.randint(-PAD, PAD + 1, (2, *index.shape), generator=generator)
        return cls(index, flip, down, right)

    def to(self, device: str) -> Plan:
        def moved(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.to(device, non_blocking=True)

        index = self.index.to(device, non_blocking=True)
        return Plan(index, moved(self.flip), moved(self.down), moved(self.right))


def take(images: Tensor, plan: Plan, step: int) -> Tensor:
    """The images of a step, (B, C, H, W) uint8, flipped and moved by up to 4 pixels; the border repeats the outermost pixels."""
    index = plan.index[step]
    if plan.flip is None or plan.down is None or plan.right is None:  # drawn together or not at all
        return images[index]
    channels, height, width = images.shape[1:]
    rows = torch.arange(height, device=images.device) + plan.down[step][:, None]  # (B, H)
    columns = torch.arange(width, device=images.device) + plan.right[step][:, None]  # (B, W)
    columns = torch.where(plan.flip[step][:, None], width - 1 - columns, columns)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    channel = torch.arange(channels, device=images.device)
    return images[
        index[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]


def normalizer(mean: Tensor, std: Tensor, device: str) -> Callable[[Tensor], Tensor]:
    """uint8 (B, C, H, W) -> normalised float32, in the layout that convolutions like."""
    mean, std = (v.to(device).view(-1, 1, 1) for v in (mean, std))
    return lambda images: ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)


@dataclass
class Run:
    """What a training leaves. `curve` holds "step" and "train_loss" (means over the steps since the last point)."""

    seconds: float
    images_per_second: float
    curve: dict[str, list]
    watched: list[Any] = field(default_factory=list)


_compiled: dict[str, tuple[nn.Module, Callable]] = {}


def prepare(model: nn.Module, hardware: Hardware, key: str) -> tuple[nn.Module, Callable]:
    """The model on its device, and what to call in training; a model with a known key is not compiled again."""
    move: Callable[..., nn.Module] = model.to  # torch's overloads leave memory_format out
    model = move(hardware.device, memory_format=torch.channels_last)
    if not hardware.compile:
        return model, model
    if key in _compiled:
        known, call = _compiled[key]
        known.load_state_dict(model.state_dict())
        for parameter in known.parameters():
            parameter.grad = None
        return known, call
    _compiled[key] = model, torch.compile(model)
    return _compiled[key]


def train(
    model: nn.Module,
    batches: Callable[[int], tuple[Tensor, Tensor]],
    *,
    steps: int,
    lr: float,
    weight_decay: float = 0.05,
    warmup: float = 0.1,
    hardware: Hardware = Hardware(),
    call: Callable | None = None,
    batch: int = 0,
    watch: Mapping[int, Callable[[nn.Module], Any]] | None = None,
    points: int = 25,
) -> Run:
    """Trains a model in place: AdamW, linear warm-up, cosine to zero, gradients clipped at norm 1.

    Args:
        model: on the device already (see `prepare`).
        batches: step -> (normalised images (B, C, H, W), labels (B,)), on the device.
        steps: number of steps.
        lr: highest learning rate.
        call: what computes the logits in training (the compiled model); default the model.
        batch: images per step, for the speed.
        watch: step -> function of the model (in eval mode), called after so many steps; 0 = before the first.
        points: of the loss curve.

    Raises:
        Diverged: a loss was not finite (found at the end: looking sooner would wait for the device).
    """
    call = model if call is None else call  # a compiled module has no truth value
    watch = watch or {}
    optimizer = make_optimizer(model, lr, weight_decay)
    parameters = list(model.parameters())
    losses, watched, paused = [], [], 0.0

    def look(step: int) -> float:
        if step not in watch:
            return 0.0
        began = time.perf_counter()
        model.eval()
        with torch.no_grad():
            watched.append(watch[step](model))
        model.train()
        return time.perf_counter() - began

    model.train()
    paused += look(0)
    began = time.perf_counter()
    paused = 0.0
    for step in range(steps):
        images, labels = batches(step)
        factor = learning_rate_factor(step, steps, name="cosine", warmup=warmup) if steps > 1 else 1.0
        for group in optimizer.param_groups:
            group["lr"] = lr * factor
        with hardware.autocast():
            logits = call(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(loss.detach())
        paused += look(step + 1)
    values = torch.stack(losses).float().cpu()  # waits for the device, so the time below is all of it
    seconds = time.perf_counter() - began - paused
    if not torch.isfinite(values).all():
        raise Diverged(
            f"the loss became {values[~torch.isfinite(values)][0].item()} with learning rate {lr:g}"
        )
    model.eval()
    ends = sorted({round(steps * (k + 1) / points) for k in range(points)} - {0})
    starts = [0, *ends[:-1]]
    curve: dict[str, list] = {
        "step": ends,
        "train_loss": [round(values[a:b].mean().item(), 4) for a, b in zip(starts, ends, strict=True)],
    }
    return Run(seconds, steps * batch / seconds if batch else 0.0, curve, watched)


@torch.inference_mode()
def accuracy(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalize: Callable,
    hardware: Hardware,
    batch: int = 500,
) -> float:
    """Share of right answers over uint8 images, in eval mode."""
    return float(
        (predictions(model, images, normalize, hardware, batch) == labels.to(hardware.device)).float().mean()
    )


@torch.inference_mode()
def predictions(
    model: nn.Module, images: Tensor, normalize: Callable, hardware: Hardware, batch: int = 500
) -> Tensor:
    """The class that the model gives each uint8 image, (n,) int64 on the device; in eval mode."""
    was = model.training
    model.eval()
    found = []
    for some in images.split(batch):
        with hardware.autocast():
            found.append(model(normalize(some.to(hardware.device))).argmax(-1))
    model.train(was)
    return torch.cat(found)
