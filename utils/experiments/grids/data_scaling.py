"""data-scaling: six models of like size on small to large training sets."""

from typing import Any

from utils.experiments.declare import Cell, Experiment, image_set, make_cell

NAME = "data-scaling"
MAIN: tuple[str, ...] = ("CNN", "ViT")
OTHERS: tuple[str, ...] = ("hybrid ViT", "Swin", "Mixer", "PoolFormer")
RATES = (1e-3, 3e-3, 1e-2)

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
}


def cells(preset: str) -> list[Cell]:
    """Arms of equal steps and of equal epochs, with and without augmentation; all models in the arm of equal steps.

    On a CPU the four further models take part at the smallest and the largest size, and CNN and ViT are augmented there only.
    """
    s, found = SETTINGS[preset], []
    ends_only = preset == "cpu"
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
                                NAME, preset, model, data=data, size=size, augment=augment, arm=arm, seed=seed
                            )
                            | length
                            | s["common"]
                            for model in names
                        ]
    return found


def tuning(preset: str) -> list[Cell]:
    """Three learning rates per model, one seed that no main cell has, equal steps, scored on held-out training images."""
    s = SETTINGS[preset]
    steps = s.get("tune_steps", s["arms"]["steps"]["steps"])
    rest = s["common"] | {"steps": steps} | {"validation": s["validation"], "augment": False, "arm": "steps"}
    return [
        make_cell(
            NAME, preset, model, stage="tune", data=image_set(preset), size=s["tune_size"], seed=100, lr=lr
        )
        | rest
        for lr in RATES
        for model in MAIN + OTHERS
    ]


EXPERIMENT = Experiment(
    name=NAME,
    question="How does accuracy grow with the number of training images, for models with much and with little inductive bias?",
    predictions=(
        "The CNN is ahead of the ViT at every size of the cpu preset, by 10 points or more at 500 images.",
        "In ln(error), the distance between CNN and ViT does not shrink from 500 to 8,000 images in so short a training: "
        "the ViT is then held back by steps, not only by images.",
        "The conv stem (hybrid ViT) makes up at least a third of the distance between ViT and CNN.",
        "Swin and PoolFormer, which mix locally, lie between ViT and CNN; Mixer is near the ViT.",
        "Augmentation lowers the training accuracy of both at 500 images, and helps the test accuracy of the CNN there; in so "
        "few steps it helps the ViT little.",
        "With equal epochs, 500 images give both models so few steps that both underfit: training accuracy below 60%.",
        "On a GPU (50,000 images, thousands of steps) the distance shrinks and is under 5 points for augmented training.",
    ),
    cells=cells,
    tuning=tuning,
)
