"""data-scaling: six models of like size on small to large training sets."""

from __future__ import annotations

from typing import Any

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows, by_seed, differences, ends, over_seeds, plain
from utils.experiments.declare import (
    PRESETS,
    Cell,
    Experiment,
    Figures,
    Prediction,
    image_set,
    make_cell,
)
from utils.experiments.results import select
from utils.experiments.statistics import Interval, log_error, mean_interval, paired_difference

MAIN: tuple[str, ...] = ("CNN", "ViT")
OTHERS: tuple[str, ...] = ("hybrid ViT", "Swin", "Mixer", "PoolFormer")
RATES = (1e-3, 3e-3, 1e-2)
#: of preset "long": training images -> steps of 64; a seed of each runs for half as many, too, which tells whether that was enough
LONG_STEPS = {1_000: 3_000, 5_000: 8_000, 50_000: 25_000}
LONG_MODELS = (*MAIN, "hybrid ViT")

#: what the presets are made of: sizes, seeds per size, steps and epochs of the two arms, batch, test images
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "data": {"digits": (64, 128)},
        "seeds": lambda size: (0, 1),
        "arms": {"steps": {"steps": 2}, "epochs": {"epochs": 1}},
        "common": {"batch": 32, "test_images": 60},
        "validation": 50,
        "tune_size": 64,
    },
    "cpu": {
        "data": {"cifar10": (500, 2_000, 8_000)},
        "seeds": lambda size: (0, 1, 2),
        "arms": {"steps": {"steps": 240}, "epochs": {"epochs": 4}},
        "common": {"batch": 64, "test_images": 3_000},
        "validation": 2_000,
        "tune_size": 2_000,
        "tune_steps": 150,
        "tune_rates": (3e-4, *RATES, 3e-2),  # of three, the best was at an end for three models
    },
    "gpu": {
        "data": {
            "cifar10": (500, 1_600, 5_000, 16_000, 50_000),
            "tiny_imagenet": (2_000, 6_400, 20_000, 100_000),
        },
        "seeds": lambda size: tuple(range(5 if size <= 5_000 else 3)),
        "arms": {"steps": {"steps": 4_000}, "epochs": {"epochs": 60}},
        "common": {"batch": 256, "test_images": None},
        "validation": 5_000,
        "tune_size": 5_000,
    },
    "t4": {
        "data": {"cifar10": (500, 5_000, 25_000)},
        "seeds": lambda size: (0, 1, 2),
        "arms": {"steps": {"steps": 240}, "epochs": {"epochs": 3}},
        "common": {"batch": 256, "test_images": 10_000},
        "validation": 5_000,
        "tune_size": 5_000,
        "tune_steps": 150,
    },
    "long": {
        "seeds": lambda size: (0, 1, 2),
        "common": {"batch": 64, "test_images": None},
        "validation": 5_000,
        "tune_size": 5_000,
        "tune_steps": 1_500,
        "tune_rates": (*RATES, 3e-2, 1e-1),  # 0.01 was the CNN's best of three, 0.03 of four
    },
}


def cells(preset: str) -> list[Cell]:
    """As the preset says: see `_long_cells` and `_cells`."""
    return _long_cells(preset) if preset == "long" else _cells(preset)


def _long_cells(preset: str) -> list[Cell]:
    """Small sets first, so that what is recorded in pieces is of use: three models, augmented, until more steps gain little.

    Arm "half": half the steps, one seed.
    """
    found, s = [], SETTINGS[preset]
    for size, steps in LONG_STEPS.items():
        places = [("steps", seed, steps) for seed in s["seeds"](size)] + [("half", 0, steps // 2)]
        for arm, seed, count in places:
            how = {"data": "cifar10", "size": size, "augment": True, "arm": arm, "seed": seed}
            found += [
                make_cell(preset, model, **how) | {"steps": count} | s["common"] for model in LONG_MODELS
            ]
    return found


def _cells(preset: str) -> list[Cell]:
    """Arms of equal steps and of equal epochs, with and without augmentation; all models in the arm of equal steps.

    On a CPU and a T4 the four further models take part at the smallest and the largest size, and CNN and ViT are augmented there only.
    """
    s, found = SETTINGS[preset], []
    ends_only = preset in ("cpu", "t4")
    for seed in range(5):
        for data, sizes in s["data"].items():
            for size in sizes:
                if seed not in s["seeds"](size):
                    continue
                at_end = size in (sizes[0], sizes[-1])
                for arm, length in s["arms"].items():
                    for augment in (False, True):
                        if augment and ends_only and (arm == "epochs" or not at_end):
                            continue
                        names = MAIN
                        if arm == "steps" and (not ends_only or (at_end and not augment)):
                            names = MAIN + OTHERS
                        found += [
                            make_cell(
                                preset, model, data=data, size=size, augment=augment, arm=arm, seed=seed
                            )
                            | length
                            | s["common"]
                            for model in names
                        ]
    return found


def tuning(preset: str) -> list[Cell]:
    """Three learning rates per model, or more where the best was at an end, one seed that no main cell has, equal steps, scored on held-out training images."""
    s = SETTINGS[preset]
    steps = s.get("tune_steps") or s["arms"]["steps"]["steps"]
    rest = s["common"] | {"steps": steps, "validation": s["validation"], "arm": "steps"}
    rest["augment"] = preset == "long"  # as its main cells are
    return [
        make_cell(preset, model, stage="tune", data=image_set(preset), size=s["tune_size"], seed=100, lr=lr)
        | rest
        for lr in s.get("tune_rates", RATES)
        for model in (LONG_MODELS if preset == "long" else MAIN + OTHERS)
    ]


def _cnn_ahead(rows: Rows) -> list[Claim]:
    steps = plain(rows)
    small = ends(steps)[0]
    return differences(steps, "CNN", "ViT", 0.10, [small]) + differences(
        steps, "CNN", "ViT", sizes=[s for s in {r["size"] for r in steps} if s != small]
    )


def _log_distance_grows(rows: Rows) -> list[Claim]:
    steps = plain(rows)
    parts = [
        by_seed(steps, log_error, model=model, size=size) for size in ends(steps) for model in ("CNN", "ViT")
    ]
    change = over_seeds(lambda cs, vs, cl, vl: (vl - cl) - (vs - cs), *parts)
    return [Claim("ln(error) distance, largest minus smallest size", change, above=0, unit="in ln(error)")]


def _stem_share(rows: Rows) -> list[Claim]:
    """Where the CNN is not clearly ahead there is no distance of which the stem could make up a share: no claim at that size.

    Without any such size the premise itself, that there is a distance, is what is judged.
    """
    steps, claims = plain(rows), []
    for size in ends(steps):
        cnn, vit, hybrid = (by_seed(steps, model=m, size=size) for m in ("CNN", "ViT", "hybrid ViT"))
        if not over_seeds(lambda c, v: c - v, cnn, vit).low > 0:
            continue
        share = over_seeds(lambda c, v, h: (h - v) / (c - v), cnn, vit, hybrid)
        claims.append(Claim(f"share made up by the stem, {size:,}", share, above=1 / 3, unit="%"))
    return claims or differences(steps, "CNN", "ViT", sizes=ends(steps))


def _local_mixers_between(rows: Rows) -> list[Claim]:
    steps = plain(rows)
    claims = []
    for model in ("Swin", "PoolFormer"):
        claims += differences(steps, model, "ViT", sizes=ends(steps))
        claims += differences(steps, "CNN", model, sizes=ends(steps))
    for size in ends(steps):
        d = paired_difference(select(steps, size=size), "Mixer", "ViT")
        near = Interval(abs(d.mean), d.half, d.n)
        claims.append(Claim(f"Mixer from ViT, either way, {size:,}", near, below=0.03))
    return claims


def _augmentation(rows: Rows) -> list[Claim]:
    steps = select(rows, arm="steps", size=ends(plain(rows))[0])
    claims = []
    for model in ("CNN", "ViT"):
        d = paired_difference(select(steps, model=model), True, False, value="train_accuracy", of="augment")
        claims.append(Claim(f"{model}, training accuracy, augmented minus not", d, below=0))
    gains = [paired_difference(select(steps, model=m), True, False, of="augment") for m in ("CNN", "ViT")]
    claims.append(Claim("CNN, test accuracy, augmented minus not", gains[0], above=0))
    return [*claims, Claim("ViT, test accuracy, augmented minus not", gains[1], below=0.02)]


def _underfit(rows: Rows) -> list[Claim]:
    epochs = select(rows, arm="epochs", augment=False)
    small = ends(epochs)[0]
    return [
        Claim(f"{m}, training accuracy", mean_interval(by_seed(epochs, "train_accuracy", model=m, size=small).values()),
              below=0.60, unit="%")
        for m in ("CNN", "ViT")
    ]  # fmt: skip


def _gpu_distance(rows: Rows) -> list[Claim]:
    large = select(rows, preset="gpu", arm="steps", augment=True, size=50_000, data="cifar10")
    return [Claim("CNN minus ViT, 50,000", paired_difference(large, "CNN", "ViT"), below=0.05)]


def _long_order(rows: Rows) -> list[Claim]:
    rows = select(rows, preset="long", arm="steps")
    d = paired_difference(rows, "CNN", "ViT", "size")
    claims = [Claim(f"CNN minus ViT, {size:,}", d[size], above=0) for size in LONG_STEPS]
    few, many = (
        [by_seed(rows, log_error, model=model, size=size) for model in MAIN] for size in (1_000, 50_000)
    )
    change = over_seeds(lambda cs, vs, cl, vl: (vl - cl) - (vs - cs), *few, *many)
    return [
        *claims,
        Claim("ln(error) distance, 50,000 minus 1,000", change, above=0, unit="in ln(error)"),
        Claim(
            "hybrid ViT minus ViT, 50,000",
            paired_difference(rows, "hybrid ViT", "ViT", "size")[50_000],
            above=0.02,
        ),
    ]


def figures(rows: Rows) -> Figures:
    """Accuracy curves per arm, paired differences in points and in ln(error), the train-test gap, augmentation."""
    found: Figures = {}
    if long := select(rows, preset="long", arm="steps"):
        found["accuracy"] = plots.curves(long, title="trained long, augmented")
        found["gap"] = plots.curves(long, value="gap", title="training minus test accuracy")
        return found
    for data in sorted({row["data"] for row in rows}):
        mine = select(rows, data=data)
        steps = select(mine, arm="steps", augment=False)
        tag = "" if len({row["data"] for row in rows}) == 1 else f"-{data}"
        found[f"accuracy{tag}"] = plots.curves(steps, title="equal steps, no augmentation")
        pairs = [("CNN", name) for name in plots.in_order(r["model"] for r in steps) if name != "CNN"]
        found[f"difference{tag}"] = plots.differences(
            steps, pairs, title="CNN minus another model, same seeds"
        )
        found[f"log-error{tag}"] = plots.differences(steps, pairs[:1], value="log_error")
        found[f"gap{tag}"] = plots.curves(steps, value="gap", title="training minus test accuracy")
        found[f"arms{tag}"] = plots.panels(
            select(mine, model=("CNN", "ViT"), augment=False),
            "arm",
            ("steps", "epochs"),
            {"steps": "equal steps", "epochs": "equal epochs"},
        )
        found[f"augmentation{tag}"] = plots.panels(
            select(mine, model=("CNN", "ViT"), arm="steps"),
            "augment",
            (False, True),
            {False: "as they are", True: "augmented"},
        )
    return found


EXPERIMENT = Experiment(
    question="How does accuracy grow with the number of training images, for models with much and with little inductive bias?",
    cells=cells,
    figures=figures,
    tuning=tuning,
    presets=(*PRESETS, "t4", "long"),
    predictions=[
        Prediction(
            "The CNN is ahead of the ViT at every size of the cpu preset, by 10 points or more at 500 images.",
            judged_by=_cnn_ahead,
        ),
        Prediction(
            "In ln(error), the distance between CNN and ViT does not shrink from 500 to 8,000 images in so short a training: "
            "the ViT is then held back by steps, not only by images.",
            judged_by=_log_distance_grows,
        ),
        Prediction(
            "The conv stem (hybrid ViT) makes up at least a third of the distance between ViT and CNN.",
            judged_by=_stem_share,
        ),
        Prediction(
            "Swin and PoolFormer, which mix locally, lie between ViT and CNN; Mixer is near the ViT.",
            judged_by=_local_mixers_between,
        ),
        Prediction(
            "Augmentation lowers the training accuracy of both at 500 images, and helps the test accuracy of the CNN there; in so "
            "few steps it helps the ViT little.",
            judged_by=_augmentation,
        ),
        Prediction(
            "With equal epochs, 500 images give both models so few steps that both underfit: training accuracy below 60%.",
            judged_by=_underfit,
        ),
        Prediction(
            "On a GPU (50,000 images, thousands of steps) the distance shrinks and is under 5 points for augmented training.",
            judged_by=_gpu_distance,
        ),
        Prediction(
            "(Preset long; written before its first row.) Trained for many epochs with augmentation, the CNN is ahead of the ViT at 1,000, 5,000 and "
            "50,000 images, and in ln(error) further at 50,000 than at 1,000; the stem gains the ViT more than 2 points at 50,000.",
            judged_by=_long_order,
        ),
    ],
)
