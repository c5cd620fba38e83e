"""How each prediction of each experiment is held against the rows: one rule per prediction, in the order of `Experiment.predictions`.

A rule takes the experiment's rows (one preset, stage "main") and those of other experiments, and gives the claims that
`utils.experiments.verdicts` judges. What it needs and does not find raises KeyError, IndexError or ValueError: "not recorded".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from utils.experiments.grids import label_rule
from utils.experiments.results import select
from utils.experiments.statistics import (
    Interval,
    column,
    crossings,
    group,
    log_error,
    mean_interval,
    paired_difference,
)
from utils.experiments.verdicts import Claim, Rows

CHANCE = 0.25  # four classes in every label rule


def by_seed(
    rows: Iterable[dict[str, Any]], value: str | Callable = "test_accuracy", **only: Any
) -> dict[Any, float]:
    """seed -> value of the one row that fits; KeyError if there is none."""
    read, found = column(value), {row["seed"]: row for row in select(rows, **only)}
    if not found:
        raise KeyError(f"no rows with {only}")
    return {seed: read(row) for seed, row in found.items()}


def over_seeds(function: Callable[..., float], *sides: dict[Any, float]) -> Interval:
    """Mean and interval of `function(side1[seed], side2[seed], ...)` over the seeds that all sides have."""
    seeds = set.intersection(*(set(side) for side in sides))
    return mean_interval(function(*(side[seed] for side in sides)) for seed in sorted(seeds))


def _ends(rows: Rows) -> tuple[int, int]:
    sizes = sorted({row["size"] for row in rows})
    return sizes[0], sizes[-1]


def _plain(rows: Rows) -> Rows:
    return select(rows, arm="steps", augment=False)


def _differences(
    rows: Rows, a: str, b: str, above: float = 0.0, sizes: Sequence[int] | None = None
) -> list[Claim]:
    found = paired_difference(rows, a, b, "size")
    return [
        Claim(f"{a} minus {b}, {s:,}", d, above=above)
        for s, d in found.items()
        if sizes is None or s in sizes
    ]


# ------------------------------------------------------------------------------------------ data-scaling


def _cnn_ahead(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    plain = _plain(rows)
    small = _ends(plain)[0]
    return _differences(plain, "CNN", "ViT", 0.10, [small]) + _differences(
        plain, "CNN", "ViT", sizes=[s for s in {r["size"] for r in plain} if s != small]
    )


def _log_distance_grows(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    plain = _plain(rows)
    parts = [
        by_seed(plain, log_error, model=model, size=size) for size in _ends(plain) for model in ("CNN", "ViT")
    ]
    change = over_seeds(lambda cs, vs, cl, vl: (vl - cl) - (vs - cs), *parts)
    return [Claim("ln(error) distance, largest minus smallest size", change, above=0, unit="in ln(error)")]


def _stem_share(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    """Where the CNN is not clearly ahead there is no distance of which the stem could make up a share: no claim at that size.

    Without any such size the premise itself, that there is a distance, is what is judged.
    """
    plain, claims = _plain(rows), []
    for size in _ends(plain):
        cnn, vit, hybrid = (by_seed(plain, model=m, size=size) for m in ("CNN", "ViT", "hybrid ViT"))
        if not over_seeds(lambda c, v: c - v, cnn, vit).low > 0:
            continue
        share = over_seeds(lambda c, v, h: (h - v) / (c - v), cnn, vit, hybrid)
        claims.append(Claim(f"share made up by the stem, {size:,}", share, above=1 / 3, unit="%"))
    return claims or _differences(plain, "CNN", "ViT", sizes=_ends(plain))


def _local_mixers_between(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    plain = _plain(rows)
    claims = []
    for model in ("Swin", "PoolFormer"):
        claims += _differences(plain, model, "ViT", sizes=_ends(plain))
        claims += _differences(plain, "CNN", model, sizes=_ends(plain))
    for size in _ends(plain):
        d = paired_difference(select(plain, size=size), "Mixer", "ViT")
        near = Interval(abs(d.mean), d.half, d.n)
        claims.append(Claim(f"Mixer from ViT, either way, {size:,}", near, below=0.03))
    return claims


def _augmentation(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    steps = select(rows, arm="steps", size=_ends(_plain(rows))[0])
    claims = []
    for model in ("CNN", "ViT"):
        d = paired_difference(select(steps, model=model), True, False, value="train_accuracy", of="augment")
        claims.append(Claim(f"{model}, training accuracy, augmented minus not", d, below=0))
    gains = [paired_difference(select(steps, model=m), True, False, of="augment") for m in ("CNN", "ViT")]
    claims.append(Claim("CNN, test accuracy, augmented minus not", gains[0], above=0))
    return [*claims, Claim("ViT, test accuracy, augmented minus not", gains[1], below=0.02)]


def _underfit(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    epochs = select(rows, arm="epochs", augment=False)
    small = _ends(epochs)[0]
    return [
        Claim(f"{m}, training accuracy", mean_interval(by_seed(epochs, "train_accuracy", model=m, size=small).values()),
              below=0.60, unit="%")
        for m in ("CNN", "ViT")
    ]  # fmt: skip


def _gpu_distance(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    large = select(rows, preset="gpu", arm="steps", augment=True, size=50_000, data="cifar10")
    return [Claim("CNN minus ViT, 50,000", paired_difference(large, "CNN", "ViT"), below=0.05)]


# ------------------------------------------------------------------------------------------ label-rule


def _local_rule(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    local = select(rows, rule="local")
    best = mean_interval(by_seed(local, model="CNN", size=_ends(local)[1]).values())
    return [
        *_differences(local, "CNN", "ViT", 0.10),
        Claim("CNN at the largest size", best, above=0.90, unit="%"),
    ]


def _position_rule(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    position = select(rows, rule="position")
    small, large = _ends(position)
    left = paired_difference(select(position, size=large), "ViT", "CNN")
    return [
        *_differences(position, "ViT", "CNN", sizes=[small]),
        Claim(f"ViT minus CNN, {large:,} (the CNN gets there too)", left, below=0.05),
    ]


def _circular_at_chance(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    found = mean_interval(by_seed(rows, rule="position", model="CNN, circular").values())
    return [Claim("CNN without borders", found, below=CHANCE + 0.03, unit="%")]


def _rolled_at_chance(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    zeros, blind = (
        mean_interval(by_seed(rows, rule=label_rule.WITHOUT_EDGES, model=m).values())
        for m in ("CNN", "CNN, circular")
    )
    return [
        Claim("CNN without borders, rolled images", blind, below=CHANCE + 0.03, unit="%"),
        Claim("CNN with zeros, rolled images", zeros, above=0.90, unit="%"),
    ]


def _relational_near_chance(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    some = select(rows, rule="relational")
    large = _ends(some)[1]
    found = [(m, mean_interval(by_seed(some, model=m, size=large).values())) for m in ("CNN", "ViT")]
    return [Claim(f"{m}, {large:,} images", d, below=CHANCE + 0.10, unit="%") for m, d in found]


def _no_crossing(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    claims = []
    for rule in label_rule.RULES:
        found = paired_difference(select(rows, rule=rule), "CNN", "ViT", "size")
        seen = crossings(list(found), list(found.values()))
        claims.append(Claim(f"crossings, {rule}", Interval(len(seen), 0.0, 1), below=0.5, unit="seen"))
    return claims


# ------------------------------------------------------------------------------------------ transfer


def _gain(rows: Rows, model: str, size: int) -> dict[Any, float]:
    arms = sorted(
        row["arm"] for row in select(rows, model=model, size=size) if row["arm"].startswith("from ")
    )
    before = by_seed(rows, model=model, size=size, arm="scratch")
    after = by_seed(rows, model=model, size=size, arm=arms[-1])  # "from tiny_imagenet" where it was run
    return {seed: after[seed] - before[seed] for seed in set(before) & set(after)}


def _gains(rows: Rows, least: float) -> tuple[list[Claim], Interval]:
    """Claims that both models gain more than `least` at the smallest size, and the ViT's gain minus the CNN's."""
    small = _ends(rows)[0]
    found = {model: _gain(rows, model, small) for model in ("CNN", "ViT")}
    claims = [
        Claim(f"{m}, gain at {small:,}", mean_interval(g.values()), above=least) for m, g in found.items()
    ]
    return claims, over_seeds(lambda v, c: v - c, found["ViT"], found["CNN"])


def _pretraining_helps(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    gains, more = _gains(rows, least=0)
    return [*gains, Claim("ViT's gain minus CNN's", more, above=0)]


def _longer_pretraining(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    gains, more = _gains(rows, least=0.03)
    return [*gains, Claim("ViT's gain minus CNN's", more, below=0)]


def _gain_shrinks(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    small, large = _ends(rows)
    change = over_seeds(lambda s, b: b - s, _gain(rows, "CNN", small), _gain(rows, "CNN", large))
    return [Claim(f"CNN, gain at {large:,} minus gain at {small:,}", change, below=0)]


def _cnn_still_ahead(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    small = _ends(rows)[0]
    tuned = [row for row in select(rows, size=small) if row["arm"].startswith("from ")]
    arm = max(row["arm"] for row in tuned)
    return [
        Claim(
            f"CNN minus ViT, pretrained, {small:,}",
            paired_difference(select(tuned, arm=arm), "CNN", "ViT"),
            above=0,
        )
    ]


# ------------------------------------------------------------------------------------------ symmetry


def _cost(rows: Rows, model: str, arm: str) -> Interval:
    return paired_difference(select(rows, model=model), "as they are", arm, of="arm")


def _patches_permuted(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    vit, cnn = (_cost(rows, model, "patches permuted") for model in ("ViT", "CNN"))
    # "nothing, within the interval": the interval of the ViT's cost reaches zero
    low = Interval(vit.low, 0.0, vit.n)
    return [Claim("ViT, lower end of its cost", low, below=0), Claim("CNN, cost", cnn, above=0.10)]


def _pixels_permuted(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    d = paired_difference(select(rows, arm="pixels permuted"), "CNN", "ViT")
    return [Claim("CNN minus ViT, pixels permuted", d, below=0.0)]


def _at(key: str, x: float) -> Callable[[dict[str, Any]], float]:
    return lambda row: row[key]["y"][row[key]["x"].index(x)]


def _shifts(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    some = select(rows, arm="as they are")
    claims = [
        Claim(
            f"CNN minus ViT, answers kept, {s} px",
            paired_difference(some, "CNN", "ViT", value=_at("consistency", s)),
            above=0,
        )
        for s in (1, 2, 3)
    ]
    three, four = (by_seed(some, _at("consistency", s), model="ViT") for s in (3, 4))
    return [
        *claims,
        Claim("ViT, answers kept, 4 px minus 3 px", over_seeds(lambda a, b: b - a, three, four), below=0),
    ]


def _shuffled(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    some, claims = select(rows, arm="as they are"), []
    for patch in (8, 4):
        lost = {
            m: by_seed(some, lambda row, p=patch: _at("shuffle", 32)(row) - _at("shuffle", p)(row), model=m)
            for m in ("CNN", "ViT")
        }
        d = over_seeds(lambda c, v: c - v, lost["CNN"], lost["ViT"])
        claims.append(Claim(f"CNN's loss minus ViT's, tiles of {patch} px", d, above=0))
    return claims


# ------------------------------------------------------------------------------------------ distance


def _heads(row: dict[str, Any], when: int, layers: slice = slice(None)) -> list[list[float]]:
    return row["watched"][when]["distance"][layers]


def _mean(values: Sequence[Sequence[float]]) -> float:
    flat = [v for part in values for v in part]
    return sum(flat) / len(flat)


def _spread(values: Sequence[Sequence[float]]) -> float:
    """Standard deviation of the heads of a layer, averaged over the layers."""
    return sum((sum((v - sum(h) / len(h)) ** 2 for v in h) / len(h)) ** 0.5 for h in values) / len(values)


FIRST = slice(0, 2)  # "the first layers"


def _uniform_before(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    far = [max(abs(v - row["uniform_distance"]) for h in _heads(row, 0) for v in h) for row in rows]
    return [
        Claim(
            "the head farthest from uniform, before training", mean_interval(far), below=0.25, unit="patches"
        )
    ]


def _near_after(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    large = select(rows, size=_ends(rows)[1])
    nearer = mean_interval(row["uniform_distance"] - _mean(_heads(row, -1, FIRST)) for row in large)
    wider = mean_interval(_spread(_heads(row, -1)) - _spread(_heads(row, 0)) for row in large)
    return [
        Claim("layers 1 and 2, nearer than uniform by", nearer, above=0.5, unit="patches"),
        Claim("spread of the heads, after minus before", wider, above=0, unit="patches"),
    ]


def _few_stay_uniform(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    few, many = (by_seed(rows, lambda row: _mean(_heads(row, -1, FIRST)), size=size) for size in _ends(rows))
    d = over_seeds(lambda f, m: f - m, few, many)
    return [Claim("layers 1 and 2, few images minus many", d, above=0, unit="patches")]


# ------------------------------------------------------------------------------------------ text, token-mixers


def _lstm_ahead(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    rows = select(rows, preset="gpu", arm="steps", size=(500, 1_600, 5_000, 16_000))
    found = paired_difference(rows, "LSTM", "Transformer", "size")
    low = [Claim(f"LSTM minus Transformer, {s:,}", d, above=0.01) for s, d in found.items()]
    return low + [Claim(f"the same, {s:,}", d, below=0.03) for s, d in found.items()]


def _close_on_everything(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    rows = select(rows, preset="gpu", arm="epochs")
    rows = select(rows, size=_ends(rows)[1])
    d = paired_difference(rows, "LSTM", "Transformer")
    return [Claim("LSTM from Transformer, either way", Interval(abs(d.mean), d.half, d.n), below=0.015)]


def _mixer(rows: Rows, name: str) -> dict[Any, float]:
    return by_seed(rows, mixer=name)


def _identity_half(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    found = {
        m: mean_interval(r["test_accuracy"] for r in some).mean for m, some in group(rows, "mixer").items()
    }
    best = max(found, key=lambda m: found[m])
    share = over_seeds(lambda i, b: (i - 0.1) / (b - 0.1), _mixer(rows, "identity"), _mixer(rows, best))
    return [Claim(f"identity's part of {best}'s lead over chance", share, above=0.5, unit="%")]


def _local_best(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    claims = []
    for local in ("pooling", "window attention"):
        for other in ("attention", "token MLP", "random", "identity"):
            claims.append(
                Claim(f"{local} minus {other}", paired_difference(rows, local, other, of="mixer"), above=0)
            )
    d = paired_difference(rows, "pooling", "window attention", of="mixer")
    low = Interval(abs(d.mean) - d.half, 0.0, d.n)
    return [*claims, Claim("pooling against window attention, beyond the interval", low, below=0)]


def _random_low(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    return [
        Claim("random minus identity", paired_difference(rows, "random", "identity", of="mixer"), below=0.0)
    ]


def _global_not_ahead(rows: Rows, others: dict[str, Rows]) -> list[Claim]:
    d = paired_difference(rows, "attention", "window attention", of="mixer")
    return [Claim("attention minus window attention", d, below=0.0)]


Rule = Callable[[Rows, dict[str, Rows]], list[Claim]]
#: experiment -> one rule per prediction, in the order of its `predictions`
RULES: dict[str, tuple[Rule, ...]] = {
    "data-scaling": (
        _cnn_ahead,
        _log_distance_grows,
        _stem_share,
        _local_mixers_between,
        _augmentation,
        _underfit,
        _gpu_distance,
    ),
    "label-rule": (
        _local_rule,
        _position_rule,
        _circular_at_chance,
        _relational_near_chance,
        _no_crossing,
        _rolled_at_chance,
    ),
    "transfer": (_pretraining_helps, _gain_shrinks, _cnn_still_ahead, _longer_pretraining),
    "symmetry": (_patches_permuted, _pixels_permuted, _shifts, _shuffled),
    "distance": (_uniform_before, _near_after, _few_stay_uniform),
    "text": (_lstm_ahead, _close_on_everything),
    "token-mixers": (_identity_half, _local_best, _random_low, _global_not_ahead),
}
