"""Training speed of the image models, in images per second: `python -m utils.experiments throughput`."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.budget import describe_machine
from utils.experiments.image_training import Plan, hardware_for, normalizer, prepare, take, train
from utils.experiments.models import MODELS, build
from utils.training import seed_everything

IMAGES = 4_096  # random ones: the speed does not depend on what they show


def images_per_second(preset: str, name: str, batch: int, steps: int, augment: bool = True) -> float:
    """Forward, backward and optimizer step with augmentation, after a warm-up of five steps (which compiles)."""
    hardware = hardware_for(preset)
    seed_everything(0)
    images = torch.randint(0, 256, (max(IMAGES, batch), 3, 32, 32), dtype=torch.uint8).to(hardware.device)
    labels = torch.randint(0, 10, (len(images),)).to(hardware.device)
    model, call = prepare(build(MODELS[preset][name], 10, name=name)[0], hardware, f"{preset} {name}")
    normalize = normalizer(torch.full((3,), 128.0), torch.full((3,), 64.0), hardware.device)
    speed = 0.0
    for count in (5, steps):
        plan = Plan.draw(len(images), count, batch, 0, augment).to(hardware.device)

        def batches(step: int, plan: Plan = plan) -> tuple[Tensor, Tensor]:
            return normalize(take(images, plan, step)), labels[plan.index[step]]

        speed = train(
            model,
            batches,
            steps=count,
            lr=1e-4,
            hardware=hardware,
            call=call,
            batch=batch,
        ).images_per_second
    return speed


def main(preset: str, names: list[str], batch: int, steps: int) -> int:
    """Prints a line per model."""
    hardware = hardware_for(preset)
    how = f"{hardware.precision.name}{', compiled' if hardware.compile else ''}, batch {batch}"
    print(f"{describe_machine()}; {preset} sizes, {how}, augmentation on the device")
    for name in names:
        if name not in MODELS[preset]:
            raise ValueError(f"no model {name!r}; there are {', '.join(MODELS[preset])}")
        print(
            f"{name:20} {images_per_second(preset, name, batch, steps):10,.0f} images/s of training",
            flush=True,
        )
    return 0
