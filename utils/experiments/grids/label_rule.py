"""label-rule: the same pictures under three rules; each rule suits another prior."""

from __future__ import annotations

from typing import Any

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows, by_seed, differences, ends
from utils.experiments.declare import Cell, Experiment, Figures, Prediction, make_cell
from utils.experiments.results import select
from utils.experiments.statistics import Interval, crossings, mean_interval, paired_difference

RULES = ("local", "relational", "position")
WITHOUT_EDGES = "position, rolled"  # the frame's edges lie anywhere in the picture
CHANCE = 0.25  # four classes in every rule
RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # of two, the larger was the best for all that learned
SETTINGS: dict[str, dict[str, Any]] = {
    "smoke": {
        "sizes": (64, 128),
        "seeds": (0, 1),
        "common": {"batch": 32, "test_images": 64},
        "tune_size": 128,
    },
    "cpu": {
        "sizes": (1_024, 4_096, 16_384),
        "seeds": (0, 1, 2, 3, 4),
        "tune_size": 16_384,  # chosen at 4,096 images, a rate made the ViT fail at 16,384
        "common": {"batch": 32, "test_images": 2_000},
    },
    "gpu": {
        "sizes": (8_192, 32_768, 131_072, 524_288, 2_097_152),
        "seeds": (0, 1, 2),
        "tune_size": 131_072,
        "common": {"batch": 256, "test_images": 10_000},
    },
}


def cells(preset: str) -> list[Cell]:
    """CNN and ViT at every size under every rule; the CNN without borders (circular padding) at the largest one.

    Both CNNs, at that size, also see images rolled over the edges.
    """
    s, found = SETTINGS[preset], []
    for seed in s["seeds"]:
        for size in s["sizes"]:
            for rule in RULES:
                names = ["CNN", "ViT"]
                if size == s["sizes"][-1] and (rule != "relational" or preset != "cpu"):
                    names.append("CNN, circular")
                found += [_cell(preset, model, rule, size, seed) for model in names]
        found += [
            _cell(preset, model, WITHOUT_EDGES, s["sizes"][-1], seed) for model in ("CNN", "CNN, circular")
        ]
    return found


def _cell(preset: str, model: str, rule: str, size: int, seed: int, **more) -> Cell:
    fixed = {
        "task": "stream",
        "data": "procedural",
        "rule": rule,
        "size": size,
        "seed": seed,
        "arm": "one pass",
    }
    return make_cell(preset, model, **fixed, augment=False, epochs=1) | SETTINGS[preset]["common"] | more


def tuning(preset: str) -> list[Cell]:
    """Six learning rates per model and rule on other images, at the largest size (gpu: the middle one)."""
    size = SETTINGS[preset]["tune_size"]
    return [
        _cell(preset, model, rule, size, 100, stage="tune", lr=lr)
        for lr in RATES
        for rule in (*RULES, WITHOUT_EDGES)
        for model in ("CNN", "ViT", "CNN, circular")
        if model != "CNN, circular" or rule != "relational" or preset != "cpu"
        if model != "ViT" or rule != WITHOUT_EDGES
    ]


def _local_rule(rows: Rows) -> list[Claim]:
    local = select(rows, rule="local")
    best = mean_interval(by_seed(local, model="CNN", size=ends(local)[1]).values())
    return [
        *differences(local, "CNN", "ViT", 0.10),
        Claim("CNN at the largest size", best, above=0.90, unit="%"),
    ]


def _position_rule(rows: Rows) -> list[Claim]:
    position = select(rows, rule="position")
    small, large = ends(position)
    left = paired_difference(select(position, size=large), "ViT", "CNN")
    return [
        *differences(position, "ViT", "CNN", sizes=[small]),
        Claim(f"ViT minus CNN, {large:,} (the CNN gets there too)", left, below=0.05),
    ]


def _circular_at_chance(rows: Rows) -> list[Claim]:
    found = mean_interval(by_seed(rows, rule="position", model="CNN, circular").values())
    return [Claim("CNN without borders", found, below=CHANCE + 0.03, unit="%")]


def _relational_near_chance(rows: Rows) -> list[Claim]:
    some = select(rows, rule="relational")
    large = ends(some)[1]
    found = [(m, mean_interval(by_seed(some, model=m, size=large).values())) for m in ("CNN", "ViT")]
    return [Claim(f"{m}, {large:,} images", d, below=CHANCE + 0.10, unit="%") for m, d in found]


def _no_crossing(rows: Rows) -> list[Claim]:
    claims = []
    for rule in RULES:
        found = paired_difference(select(rows, rule=rule), "CNN", "ViT", "size")
        seen = crossings(list(found), list(found.values()))
        claims.append(Claim(f"crossings, {rule}", Interval(len(seen), 0.0, 1), below=0.5, unit="seen"))
    return claims


def _rolled_at_chance(rows: Rows) -> list[Claim]:
    zeros, blind = (
        mean_interval(by_seed(rows, rule=WITHOUT_EDGES, model=m).values()) for m in ("CNN", "CNN, circular")
    )
    return [
        Claim("CNN without borders, rolled images", blind, below=CHANCE + 0.03, unit="%"),
        Claim("CNN with zeros, rolled images", zeros, above=0.90, unit="%"),
    ]


def figures(rows: Rows) -> Figures:
    """Accuracy against the number of fresh images, a panel per rule, and the paired differences; then the frame's edges."""
    pairs = [("CNN", "ViT")]
    found = {"accuracy": label_rule_curves(rows)}
    for rule in RULES:
        some = select(rows, rule=rule)
        if some:
            found[f"difference-{rule}"] = plots.differences(
                some, pairs, title=rule, xlabel="images seen, each once"
            )
    if select(rows, rule=WITHOUT_EDGES):
        found["edges"] = label_rule_edges(rows)
    return found


def label_rule_curves(rows: Rows) -> tuple[Any, str]:
    """A panel per rule, with chance as a dotted line."""
    fig, alt = plots.panels(
        rows, "rule", RULES, {rule: rule for rule in RULES}, xlabel="images seen, each once"
    )
    sizes = sorted({row["size"] for row in rows})
    for ax in fig.axes:
        ax.axhline(100 * CHANCE, color="#6b6b6b", linewidth=0.9, linestyle=":")
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
    return fig, f"{alt} Chance is {100 * CHANCE:.0f}%, a dotted line."


def label_rule_edges(rows: Rows) -> tuple[Any, str]:
    """Both CNNs under the position rule, at the largest number of images: on images as drawn, and rolled over the edges."""
    from utils import plotting

    size = max(row["size"] for row in rows)
    images = {"position": "images as drawn", WITHOUT_EDGES: "rolled over the edges"}
    padding = {"CNN": "zeros beyond the border", "CNN, circular": "circular padding"}
    fig, axes = plotting.figure(1, 2, width=8.6, height=1.9)
    said = []
    for ax, (rule, title) in zip(axes, images.items(), strict=True):
        some = select(rows, rule=rule, size=size, model=tuple(padding))
        named = [row | {"padding": padding[row["model"]]} for row in some]
        _, alt = plots.bars(named, by="padding", order=list(padding.values()), ax=ax)
        ax.axvline(100 * CHANCE, color="#6b6b6b", linewidth=0.9, linestyle=":")
        ax.set_title(title, loc="left")
        said.append(f"{title}: {alt}")
    return (
        fig,
        f"CNNs under the position rule after {size:,} images. {' '.join(said)} Chance is {100 * CHANCE:.0f}%.",
    )


EXPERIMENT = Experiment(
    question="When does a convolutional prior help, when does it hurt, and where do the curves cross?",
    cells=cells,
    figures=figures,
    tuning=tuning,
    tuned_by=("model", "rule"),
    predictions=[
        Prediction(
            "Local rule: the CNN is far ahead of the ViT at every number of images; at the largest it is above 90%.",
            judged_by=_local_rule,
        ),
        Prediction(
            "Position rule: the ViT, which has positions as an input, learns it from fewer images than the CNN; the CNN with zero "
            "padding gets there too, because borders tell it where it is.",
            judged_by=_position_rule,
        ),
        Prediction(
            "Position rule: the CNN with circular padding stays at chance (25%) however many images it sees; no curve crosses that.",
            judged_by=_circular_at_chance,
        ),
        Prediction(
            "Relational rule: neither model is much above chance at the sizes of the cpu preset.",
            judged_by=_relational_near_chance,
        ),
        Prediction(
            "A crossing of CNN and ViT is not expected within one rule at the cpu sizes: the rule decides the order, not the number.",
            judged_by=_no_crossing,
        ),
        Prediction(
            "(Added after the cpu preset had been recorded, in which the CNN with circular padding reached 78% under the position rule, and "
            "before this was run.) It reads the edges in the pictures themselves: the background jumps where the frame ends. On images that are "
            "rolled over the edges it is at chance, and the CNN with zeros as padding stays above 90%.",
            judged_by=_rolled_at_chance,
        ),
    ],
)
