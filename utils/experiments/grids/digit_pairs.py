"""digit-pairs: can a small CNN compare two digits in different quarters of a picture, and what does it need for that?

The network and the layer are those of notebook 04: three convolutions, and between the second and the third nothing, self-attention
over the map, or the same layer with queries frozen at zero, which gives every pixel the plain average over the map.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows, by_seed
from utils.experiments.declare import Cell, Experiment, Figures, Prediction, make_cell
from utils.experiments.models import resolve
from utils.experiments.results import select
from utils.experiments.statistics import mean_interval, paired_difference

NONE, AVERAGE, ATTENTION = "no attention", "plain average", "attention"
KINDS = (NONE, AVERAGE, ATTENTION)
TWICE = "twice the steps"
LAYER = "solutions.self_attention_2d:SelfAttention2d"
RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "size": 64,
        "seeds": (0, 1),
        "common": {"steps": 2, "batch": 32, "test_images": 60, "validation": 50},
    },
    "cpu": {
        "size": 16_000,
        "seeds": (0, 1, 2, 3, 4),
        "common": {"steps": 2_500, "batch": 64, "test_images": None, "validation": 2_000},
    },
}


def _conv_block(inputs: int, outputs: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Network(nn.Module):
    """Notebook 04's `SmallCNN` with what stands in its middle.

    Args:
        kind: one of `KINDS`.
        num_classes: of the head.
        width: channels C of the map in the middle.
    """

    def __init__(self, kind: str, num_classes: int, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv_block(3, width // 2, 2), _conv_block(width // 2, width, 2))
        self.middle = nn.Identity() if kind == NONE else resolve(LAYER)(width)
        if kind == AVERAGE:
            for name, parameter in self.middle.named_parameters():
                if name.startswith("query."):
                    nn.init.zeros_(parameter).requires_grad_(False)
        self.tail = _conv_block(width, width, 1)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, classes)."""
        return self.head(self.tail(self.middle(self.stem(images))).mean(dim=(2, 3)))


def _cell(preset: str, kind: str, seed: int, **more: Any) -> Cell:
    s = SETTINGS[preset]
    spec = {"where": f"{__name__}:Network", "args": {"kind": kind}}
    fixed = {"data": "digit pairs", "size": s["size"], "augment": False, "arm": "steps", "seed": seed}
    return make_cell(preset, kind, spec=spec, **fixed) | s["common"] | more


def cells(preset: str) -> list[Cell]:
    """The same network with each layer in its middle, on the same pictures in the same order, equal steps; then twice as many."""
    s = SETTINGS[preset]
    found = [_cell(preset, kind, seed) for seed in s["seeds"] for kind in KINDS]
    twice = {"arm": TWICE, "steps": 2 * s["common"]["steps"]}
    return found + [_cell(preset, kind, seed, **twice) for seed in s["seeds"] for kind in KINDS[1:]]


def tuning(preset: str) -> list[Cell]:
    """Five learning rates per layer, scored on held-out training pictures."""
    return [_cell(preset, kind, 100, stage="tune", lr=lr) for lr in RATES for kind in KINDS]


def _learns(rows: Rows) -> list[Claim]:
    rows = select(rows, arm="steps")
    found = mean_interval(by_seed(rows, model=ATTENTION).values())
    return [
        Claim("attention", found, above=0.8, unit="%"),
        Claim("attention minus no attention", paired_difference(rows, ATTENTION, NONE), above=0.2),
    ]


def _one_of_two(rows: Rows) -> list[Claim]:
    found = mean_interval(by_seed(rows, model=NONE).values())
    return [Claim("no attention", found, below=0.6, unit="%")]


def _selects(rows: Rows) -> list[Claim]:
    d = paired_difference(select(rows, arm="steps"), ATTENTION, AVERAGE)
    return [Claim("attention minus plain average", d, above=0.1)]


def _longer(rows: Rows) -> list[Claim]:
    rows = select(rows, arm=TWICE)
    return [
        Claim("attention", mean_interval(by_seed(rows, model=ATTENTION).values()), above=0.9, unit="%"),
        Claim("plain average", mean_interval(by_seed(rows, model=AVERAGE).values()), below=0.6, unit="%"),
    ]


def figures(rows: Rows) -> Figures:
    """A bar per layer and number of steps, test accuracy."""
    named = [row | {"model": row["model"] + f", {TWICE}" * (row["arm"] == TWICE)} for row in rows]
    order = [*KINDS, *(f"{kind}, {TWICE}" for kind in KINDS[1:])]
    return {"accuracy": plots.bars(named, order=[k for k in order if select(named, model=k)])}


EXPERIMENT = Experiment(
    "Can a small CNN say what two digits in different quarters of a picture have in common, and what does it need for that?",
    cells,
    figures,
    predictions=[
        Prediction(
            "(Informed by trials of three seeds at other rates, whose runs are no rows; so are the next two.) With attention the network "
            "learns the comparison: above 80% on average, and 20 points or more ahead of the network without.",
            judged_by=_learns,
        ),
        Prediction(
            "Without attention it tells one of two things, digit or colour, and not both: below 60%.",
            judged_by=_one_of_two,
        ),
        Prediction(
            "The plain average is not enough in so many steps: attention is ahead of it by 10 points or more.",
            judged_by=_selects,
        ),
        Prediction(
            "(Added when the rows of the first number of steps were there.) With twice the steps attention is above 90% on average, and the "
            "plain average still below 60%.",
            judged_by=_longer,
        ),
    ],
    tuning=tuning,
    presets=("smoke", "cpu"),
)
