"""Training on images that are held on the device as uint8; no step waits for the device.

What a step needs is fixed before the first one: which images (one index tensor for the whole run), how each is flipped and
cropped, which learning rate. It is drawn on the CPU from the seed alone, so every model, and every machine, sees the same
images in the same order. Cropping, flipping and normalising are one gather on the device. Losses stay there until the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from utils.training import Precision, Steps, Watch, fit, precision_for
from utils.training.augmentation import flipped_and_moved

PAD = 4  # pixels of a random crop


class Diverged(FloatingPointError):
    """The loss became NaN or infinite."""


@dataclass(frozen=True)
class Hardware:
    """How to compute: nothing here changes what is computed, but for rounding.

    Attributes:
        precision: where and in which numbers, see `utils.training.precision`.
        compile: torch.compile, once per model and process.
    """

    precision: Precision = Precision(torch.device("cpu"))
    compile: bool = False

    @property
    def device(self) -> str:
        return self.precision.device.type


def hardware_for(preset: str, device: str | None = None, precision: str | None = None) -> Hardware:
    """The asked device and precision, else this machine's; models are compiled on a GPU for the gpu preset."""
    chosen = precision_for(device, precision)
    return Hardware(chosen, compile=preset == "gpu" and chosen.device.type == "cuda")


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
    return flipped_and_moved(images, plan.flip[step], plan.down[step], plan.right[step], index=index)


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
    optimizer: torch.optim.Optimizer | None = None,
    hardware: Hardware = Hardware(),
    call: Callable | None = None,
    batch: int = 0,
    watch: Mapping[int, Callable[[nn.Module], Any]] | None = None,
    points: int = 25,
) -> Run:
    """Trains a model in place by `utils.training.fit`, counted in steps.

    Args:
        model: on the device already (see `prepare`).
        batches: step -> (normalised images (B, C, H, W), labels (B,)), on the device.
        steps: number of steps.
        lr: highest learning rate.
        optimizer: in place of AdamW with one rate, such as one with a rate per layer; `lr` and `weight_decay` are then not used.
        call: what computes the logits in training (the compiled model); default the model.
        batch: images per step, for the speed.
        watch: step -> function of the model (in eval mode), called after so many steps; 0 = before the first.
        points: of the loss curve.

    Raises:
        Diverged: a loss was not finite (found at the end: looking sooner would wait for the device).
    """
    curve = Curve(watch or {})
    try:
        history = fit(
            model,
            Steps(steps, batches),
            epochs=1,
            lr=lr,
            weight_decay=weight_decay,
            warmup=warmup,
            optimizer=optimizer,
            precision=hardware.precision,
            device=hardware.device,
            seed=None,
            progress=False,
            forward=call,
            watch=curve,
        )
    except FloatingPointError as error:
        raise Diverged(f"the loss was not finite with learning rate {lr:g}") from error
    if history.stopped:  # the stop button of a notebook: half a training is no row
        raise KeyboardInterrupt
    seconds = history.seconds[0] - curve.paused
    return Run(seconds, steps * batch / seconds if batch else 0.0, curve.points(points), curve.watched)


class Curve(Watch):
    """Keeps the loss of every step on the device, and asks the functions of `looks` at their steps (in eval mode)."""

    def __init__(self, looks: Mapping[int, Callable[[nn.Module], Any]]) -> None:
        self.looks, self.paused = looks, 0.0
        self.losses: list[Tensor] = []
        self.watched: list[Any] = []

    def before(self, model: nn.Module) -> None:
        self._look(0, model)
        self.paused = 0.0  # it began before the clock

    def after_step(self, step: int, model: nn.Module, loss: Tensor) -> None:
        self.losses.append(loss)
        self._look(step, model)

    def _look(self, step: int, model: nn.Module) -> None:
        if step not in self.looks:
            return
        began = time.perf_counter()
        model.eval()
        with torch.no_grad():
            self.watched.append(self.looks[step](model))
        model.train()
        self.paused += time.perf_counter() - began

    def points(self, count: int) -> dict[str, list]:
        """Means of the loss since the last point, at about `count` steps."""
        values = torch.stack(self.losses).float().cpu()
        ends = sorted({round(len(values) * (k + 1) / count) for k in range(count)} - {0})
        starts = [0, *ends[:-1]]
        means = [round(values[a:b].mean().item(), 4) for a, b in zip(starts, ends, strict=True)]
        return {"step": ends, "train_loss": means}


def accuracy(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalize: Callable,
    hardware: Hardware,
    batch: int = 500,
) -> float:
    """Share of right answers over uint8 images, in eval mode."""
    return right(model, images, labels, normalize, hardware, batch).float().mean().item()


def right(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalize: Callable,
    hardware: Hardware,
    batch: int = 500,
) -> Tensor:
    """Which uint8 images are answered right, (n,) bool on the device; in eval mode."""
    return predictions(model, images, normalize, hardware, batch) == labels.to(hardware.device)


@torch.inference_mode()
def predictions(
    model: nn.Module, images: Tensor, normalize: Callable, hardware: Hardware, batch: int = 500
) -> Tensor:
    """The class that the model gives each uint8 image, (n,) int64 on the device; in eval mode."""
    was = model.training
    model.eval()
    found = []
    for some in images.split(batch):
        with hardware.precision.forward():
            found.append(model(normalize(some.to(hardware.device))).argmax(-1))
    model.train(was)
    return torch.cat(found)
