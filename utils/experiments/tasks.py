"""What a cell computes. A task is a function `(cell, context) -> dict` of measurements that go into the cell's row.

* `classify`: a subset of a data set, maybe permuted, maybe from pretrained weights; then accuracies and, if the cell asks for
  them, probes (shift robustness, patch shuffling, attention distance).
* `stream`: procedural images under one label rule, one pass, every image fresh.
* `text`: LSTM against Transformer encoder on sentences, through `utils.experiments.text_training`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from utils.cost.macs import profile
from utils.experiments import image_data, probes
from utils.experiments.image_data import fingerprint
from utils.experiments.image_training import (
    Hardware,
    Plan,
    hardware_for,
    normalizer,
    prepare,
    right,
    take,
    train,
)
from utils.experiments.models import build, resolve
from utils.experiments.pretraining import pretrain_and_load
from utils.training import count_parameters, seed_everything

Cell = Mapping[str, Any]
_macs: dict[str, int] = {}  # counting takes a second, and a grid has the same model many times
ROLLED = ", rolled"  # behind a label rule: its images are rolled over the edges
TRAIN_IMAGES = 2_000  # on so many training images the training accuracy is measured


@dataclass
class Context:
    """What the surroundings give: own model classes (live cells), hardware, whether stand-in data will do."""

    classes: Mapping[str, Callable[..., nn.Module]] = field(default_factory=dict)
    hardware: Hardware | None = None
    stand_ins: bool = False

    def on(self, cell: Cell) -> Hardware:
        return self.hardware or hardware_for(cell["preset"], cell.get("device"), cell.get("precision"))


def new_model(
    cell: Cell, context: Context, num_classes: int, side: int = 32
) -> tuple[nn.Module, dict[str, Any]]:
    """The cell's model, initialised from its seed, with its size for the record."""
    seed_everything(cell["seed"])
    model, source = build(cell["spec"], num_classes, context.classes, cell["model"])
    key = f"{source} {_key(cell, num_classes)}"
    if key not in _macs:
        _macs[key] = profile(model, (1, 3, side, side)).macs
    macs = _macs[key]
    return model, {"model_source": source, "parameters": count_parameters(model), "macs": macs}


def _key(cell: Cell, num_classes: int) -> str:
    return f"{cell['spec']} {num_classes}"


def share(answers: Tensor) -> float:
    """The share of right answers, (n,) bool."""
    return round(float(answers.float().mean()), 5)


def bitmap(answers: Tensor) -> str:
    """Which answers were right, (n,) bool, as base64 of packed bits; `statistics.right_answers` reads it."""
    return base64.b64encode(np.packbits(answers.cpu().numpy()).tobytes()).decode()


def steps_of(cell: Cell, n: int) -> int:
    """Number of steps: as declared (equal steps), or from the epochs (equal epochs)."""
    return cell["steps"] if cell.get("steps") else max(1, cell["epochs"] * (n // cell["batch"]))


def classify(cell: Cell, context: Context, keep: list | None = None) -> dict[str, Any]:
    """Trains on `size` images of `data`, and measures the last epoch's accuracies and the cell's probes.

    `keep`, if given, gets the trained model.
    """
    hardware = context.on(cell)
    tuning = cell["stage"] == "tune"
    data = image_data.part(
        cell["data"],
        cell["size"],
        cell["seed"],
        test_images=cell.get("test_images"),
        validation=cell["validation"] if tuning else 0,
        transform=cell.get("transform"),
        stand_ins=context.stand_ins,
    )
    model, result = new_model(cell, context, data.num_classes)
    if cell.get("pretraining"):
        result |= pretrain_and_load(model, cell, lambda source, trained: compute(source, context, trained))
    model, call = prepare(model, hardware, _key(cell, data.num_classes))
    normalize = normalizer(data.mean, data.std, hardware.device)
    images, labels = (v.to(hardware.device) for v in data.train)
    steps = steps_of(cell, len(labels))
    plan = Plan.draw(len(labels), steps, cell["batch"], cell["seed"], cell.get("augment", False))
    plan = plan.to(hardware.device)
    watch = probes.watchers(cell, data, normalize, hardware, steps)
    run = train(
        model,
        lambda step: (normalize(take(images, plan, step)), labels[plan.index[step]]),
        steps=steps,
        lr=cell["lr"],
        weight_decay=cell.get("weight_decay", 0.05),
        warmup=cell.get("warmup", 0.1),
        hardware=hardware,
        call=call,
        batch=cell["batch"],
        watch=watch,
    )
    if keep is not None:
        keep.append(model)
    held = right(model, *data.test, normalize, hardware)
    some = slice(0, min(TRAIN_IMAGES, 8 * len(data.test[1])))
    result |= {
        "validation_accuracy" if tuning else "test_accuracy": share(held),
        "right": bitmap(held),
        "train_accuracy": share(right(model, images[some], labels[some], normalize, hardware)),
        "test_images": len(data.test[1]),
        "steps_taken": steps,
        "epochs_taken": round(steps * cell["batch"] / len(labels), 2),
        "train_seconds": round(run.seconds, 2),
        "images_per_second": round(run.images_per_second, 1),
        "curve": run.curve,
        "data_used": data.name,
        "data_source": data.source,
        "data_note": data.note,
        "data_fingerprint": data.fingerprint,
        "classes": data.num_classes,
    }
    if run.watched:
        result["watched"] = run.watched
    return result | probes.after(cell, model, data, normalize, hardware)


def stream(cell: Cell, context: Context, keep: list | None = None) -> dict[str, Any]:
    """One pass over `size` procedural images under a label rule; no image is seen twice, so there is no training set to fit.

    The training accuracy is that on the last images of the stream, which were seen once. `keep`, if given, gets the model.
    """
    from utils.data import ProceduralImages
    from utils.data.shapes import TEST_START

    hardware = context.on(cell)
    rolled = cell["rule"].endswith(ROLLED)
    rule = cell["rule"].removesuffix(ROLLED)
    source = ProceduralImages(rule, seed=cell["seed"], device=hardware.device, rolled=rolled)
    tuning = cell["stage"] == "tune"
    # The validation images lie before the test images and behind all training streams.
    held_out = source.batch(TEST_START // 2 if tuning else TEST_START, cell["test_images"])
    model, result = new_model(cell, context, len(source.label_names))
    model, call = prepare(model, hardware, _key(cell, len(source.label_names)))
    sample = source.batch(0, 256)[0].float()
    normalize = normalizer(sample.mean(dim=(0, 2, 3)), sample.std(dim=(0, 2, 3)), hardware.device)
    batch, chunk = cell["batch"], 64
    steps = cell["size"] // batch
    held: dict[str, Any] = {"from": -1}

    def batches(step: int):
        if held["from"] < 0 or not held["from"] <= step < held["from"] + chunk:  # draw 64 batches at a time
            count = min(chunk, steps - step) * batch
            images, labels = source.batch(step * batch, count)
            held.update(
                {"from": step, "images": images.to(hardware.device), "labels": labels.to(hardware.device)}
            )
        at = slice((step - held["from"]) * batch, (step - held["from"] + 1) * batch)
        return normalize(held["images"][at]), held["labels"][at]

    run = train(
        model,
        batches,
        steps=steps,
        lr=cell["lr"],
        weight_decay=cell.get("weight_decay", 0.05),
        hardware=hardware,
        call=call,
        batch=batch,
    )
    if keep is not None:
        keep.append(model)
    seen = source.batch(max(0, cell["size"] - TRAIN_IMAGES), min(TRAIN_IMAGES, cell["size"]))
    answers = right(model, *held_out, normalize, hardware)
    return result | {
        "validation_accuracy" if tuning else "test_accuracy": share(answers),
        "right": bitmap(answers),
        "train_accuracy": share(right(model, *seen, normalize, hardware)),
        "test_images": cell["test_images"],
        "steps_taken": steps,
        "epochs_taken": 1,
        "train_seconds": round(run.seconds, 2),
        "images_per_second": round(run.images_per_second, 1),
        "curve": run.curve,
        "data_used": f"procedural ({cell['rule']})",
        "data_source": "procedural",
        "data_note": "",
        "data_fingerprint": fingerprint(*held_out),
    }


def text(cell: Cell, context: Context, keep: list | None = None) -> dict[str, Any]:
    """A sentiment classifier on the first `size` sentences of a seed's order."""
    from utils.data import load_text
    from utils.experiments.text_training import train_text

    data = load_text(cell["data"], limit=cell.get("limit"))
    if data.stands_in_for and not context.stand_ins:
        raise image_data.MissingData(
            f"the data set {cell['data']!r} is not here (no mirror in COURSE_DATA, no Hub)"
        )
    make = context.classes.get(cell["model"]) or resolve(cell["spec"]["where"])
    return train_text(make, data, cell, context.on(cell).precision)


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"classify": classify, "stream": stream, "text": text}


def compute(cell: Cell, context: Context | None = None, keep: list | None = None) -> dict[str, Any]:
    """Runs a cell's task; adds the seconds that all of it took. `keep`, if given, gets the trained model.

    Raises:
        whatever the task raises; `runner.explain` says it in a sentence.
    """
    began = time.perf_counter()
    task = TASKS.get(cell["task"]) or resolve(cell["task"])
    result = task(cell, context or Context(), *([] if keep is None else [keep]))
    return result | {"seconds": round(time.perf_counter() - began, 2)}
