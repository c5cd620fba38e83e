"""fine-tuning: the course's checkpoint on a new task with few images. Which layers should learn, and how fast?

The checkpoint was trained on the ten classes of CIFAR-10; the new task is twenty classes of Tiny-ImageNet. The same model from scratch,
with a new head alone, with one rate for all layers, and with rates that fall towards the input, each at a rate of its own tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows
from utils.experiments.declare import Cell, Experiment, Figures, Prediction, make_cell
from utils.experiments.results import select
from utils.experiments.statistics import paired_difference

CLASSES = 20
CLASSES_SEED = 20  # which classes; the same for all
#: arm -> the factor from a layer's rate to that of the layer below; None: no pretrained weights
ARMS: dict[str, float | None] = {"scratch": None, "head only": 0.0, "decayed": 0.65, "all alike": 1.0}
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
VALIDATION = 1_000  # images of the training set that only the tuning sees
HERE = "utils.experiments.grids.fine_tuning"
#: the checkpoint's, but for its classes (`checkpoint.MODEL`; a test compares them)
MODEL = {"image_size": 32, "patch_size": 4, "dim": 128, "depth": 6, "num_heads": 4, "mlp_ratio": 2.0}
SPEC = {"where": "solutions.vit:ViT", "stand_in": "utils.stand_ins.vit:ViT"}

SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {"sizes": (40,), "seeds": (0, 1), "steps": 2, "batch": 16, "data": "digits"},
    "cpu": {"sizes": (100, 500, 2_000), "seeds": (0, 1, 2), "steps": 150, "batch": 64},
    "gpu": {"sizes": (100, 500, 2_000, 9_000), "seeds": tuple(range(10)), "steps": 1_000, "batch": 128},
}


def _cell(preset: str, arm: str, size: int, seed: int, **more: Any) -> Cell:
    s = SETTINGS[preset]
    fixed = {"task": f"{HERE}:train", "data": s.get("data", "tiny_imagenet"), "augment": False, "arm": arm}
    where = {"size": size, "seed": seed, "steps": s["steps"], "batch": s["batch"], "decay": ARMS[arm]}
    return make_cell(preset, "ViT", spec=SPEC | {"args": MODEL}, **fixed, **where) | more


def cells(preset: str) -> list[Cell]:
    """Every arm at every size."""
    s = SETTINGS[preset]
    return [_cell(preset, arm, size, seed) for seed in s["seeds"] for size in s["sizes"] for arm in ARMS]


def tuning(preset: str) -> list[Cell]:
    """Four rates of the head per arm, at the middle size."""
    sizes = SETTINGS[preset]["sizes"]
    middle = sizes[len(sizes) // 2]
    return [_cell(preset, arm, middle, 100, stage="tune", lr=lr) for lr in RATES for arm in ARMS]


def twenty_classes(
    name: str, stand_ins: bool = False
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor], Any]:
    """Twenty classes of a data set (all of them where it has fewer), numbered anew.

    Returns:
        (images (n, 3, H, W) uint8, labels (n,)) for training and for testing, and the whole set.
    """
    from utils.experiments.image_data import whole

    data = whole(name, stand_ins)
    drawn = torch.randperm(data.num_classes, generator=torch.Generator().manual_seed(CLASSES_SEED))
    number = torch.full((data.num_classes,), -1)
    number[drawn[:CLASSES].sort().values] = torch.arange(min(CLASSES, data.num_classes))

    def chosen(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        new = number[labels]
        return images[new >= 0], new[new >= 0]

    return chosen(*data.train), chosen(*data.test), data


def layers(depth: int) -> list[tuple[str, ...]]:
    """What makes up each layer of a ViT, from the input to the head."""
    return [
        ("patch_embedding", "cls_token", "positions"),
        *((f"blocks.{i}",) for i in range(depth)),
        ("norm",),
    ]


def train(cell: Mapping[str, Any], context: Any, keep: list | None = None) -> dict[str, Any]:
    """Fine-tunes the checkpoint (or trains from scratch) on `size` images of the new task."""
    from safetensors.torch import load_file

    from utils.experiments import image_training
    from utils.experiments.checkpoint import FOLDER
    from utils.experiments.image_data import fingerprint
    from utils.experiments.models import MissingModel, resolve
    from utils.experiments.pretraining import load_all_but_head
    from utils.experiments.tasks import bitmap, new_model, share

    hardware, tuned = context.on(cell), cell["stage"] == "tune"
    (images, labels), test, data = twenty_classes(cell["data"], context.stand_ins)
    held = min(VALIDATION, len(labels) // 4)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(CLASSES_SEED))
    if tuned:
        test = images[order[:held]], labels[order[:held]]
    rest = order[held:]
    mine = rest[
        torch.randperm(len(rest), generator=torch.Generator().manual_seed(cell["seed"]))[: cell["size"]]
    ]
    images, labels = images[mine].to(hardware.device), labels[mine].to(hardware.device)

    classes = int(test[1].max()) + 1
    model, found = new_model(cell, context, classes)
    optimizer = None
    if cell["decay"] is not None:
        state = load_file(FOLDER / "cifar10_vit.safetensors")
        load_all_but_head(model, {name: value.float() for name, value in state.items()})
        try:
            prepare = resolve("solutions.fine_tuning:fine_tune")
        except MissingModel:
            prepare = resolve("utils.stand_ins.fine_tuning:fine_tune")
        groups = prepare(model, layers(cell["spec"]["args"]["depth"]), classes, cell["lr"], cell["decay"])
        model.to(hardware.device)
        optimizer = torch.optim.AdamW(groups, weight_decay=0.05)
    model, call = image_training.prepare(model, hardware, f"fine-tuning {cell['preset']} {cell['arm']}")
    normalize = image_training.normalizer(data.mean, data.std, hardware.device)
    plan = image_training.Plan.draw(len(labels), cell["steps"], cell["batch"], cell["seed"], augment=False)
    plan = plan.to(hardware.device)
    run = image_training.train(
        model,
        lambda step: (normalize(images[plan.index[step]]), labels[plan.index[step]]),
        steps=cell["steps"],
        lr=cell["lr"],
        optimizer=optimizer,
        hardware=hardware,
        call=call,
        batch=cell["batch"],
    )
    if keep is not None:
        keep.append(model)
    shown, answers = (v.to(hardware.device) for v in test)
    right = image_training.right(model, shown, answers, normalize, hardware)
    return found | {
        "validation_accuracy" if tuned else "test_accuracy": share(right),
        "right": bitmap(right),
        "train_accuracy": share(image_training.right(model, images, labels, normalize, hardware)),
        "test_images": len(test[1]),
        "steps_taken": cell["steps"],
        "epochs_taken": round(cell["steps"] * cell["batch"] / len(labels), 2),
        "train_seconds": round(run.seconds, 2),
        "images_per_second": round(run.images_per_second, 1),
        "curve": run.curve,
        "data_used": f"{data.name}, {classes} classes",
        "data_source": data.source,
        "data_note": data.note,
        "data_fingerprint": fingerprint(*test),
    }


def _against(rows: Rows, a: str, b: str, size: int) -> Any:
    return paired_difference(select(rows, size=size), a, b, of="arm")


def _pretrained_ahead(rows: Rows) -> list[Claim]:
    return [
        Claim(f"{arm} minus scratch, {size:,}", _against(rows, arm, "scratch", size), above=0)
        for size in sorted({row["size"] for row in rows})
        for arm in ("head only", "decayed", "all alike")
    ]


def _decay_helps_few(rows: Rows) -> list[Claim]:
    small = min(row["size"] for row in rows)
    return [
        Claim(f"decayed minus all alike, {small:,}", _against(rows, "decayed", "all alike", small), above=0)
    ]


def _head_stays_behind(rows: Rows) -> list[Claim]:
    large = max(row["size"] for row in rows)
    return [
        Claim(f"decayed minus head only, {large:,}", _against(rows, "decayed", "head only", large), above=0)
    ]


def figures(rows: Rows) -> Figures:
    """Accuracy against the number of images, a curve per arm; and each arm minus "all alike"."""
    named = [row | {"model": row["arm"]} for row in rows]
    pairs = [(arm, "all alike") for arm in ("decayed", "head only")]
    return {
        "accuracy": plots.curves(named, xlabel="images of the new task"),
        "difference": plots.differences(named, pairs, title="minus one rate for all layers"),
    }


EXPERIMENT = Experiment(
    "Which layers of a pretrained model should learn a new task from few images, and how fast?",
    cells,
    figures,
    predictions=[
        Prediction(
            "At every size each way of using the checkpoint is ahead of the same model from scratch.",
            judged_by=_pretrained_ahead,
        ),
        Prediction(
            "With 100 images, rates that fall towards the input are ahead of one rate for all layers.",
            judged_by=_decay_helps_few,
        ),
        Prediction(
            "With 2,000 images, rates that fall towards the input are ahead of a new head alone.",
            judged_by=_head_stays_behind,
        ),
    ],
    tuning=tuning,
    tuned_by=("arm",),
)
