"""Figures of recorded experiments. Every function gives `(figure, alt text)`, so that `plotting.show(*curves(rows))` shows it.

The rows come from `results.load`; choose one preset and arm first. Where several seeds were run, a line is their mean and the
shaded band (or the bar's whisker) the 95% t-interval. The alt text is made from the same numbers as the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from utils.experiments.statistics import Interval, column, group, mean_interval, paired_difference

Rows = Iterable[dict[str, Any]]

#: the order in which models are drawn, so that one model has one colour in all figures
ORDER = (
    "CNN",
    "ViT",
    "Swin",
    "hybrid ViT",
    "Mixer",
    "PoolFormer",
    "CNN, circular",
    "LSTM",
    "Transformer",
    "Transformer, no positions",
    "Transformer, dropout 0.1",
)
SHARES = ("test_accuracy", "train_accuracy")  # lie between 0 and 100%
LABELS = {
    "test_accuracy": "test accuracy (%)",
    "train_accuracy": "training accuracy (%)",
    "gap": "training minus test accuracy (points)",
    "log_error": "ln(test error)",
}


def in_order(names: Iterable[str]) -> list[str]:
    """Model names in the order of `ORDER`, unknown ones behind, by the alphabet."""
    return sorted(
        set(names), key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), str(name))
    )


def color_of(name: str, among: Iterable[str] = ()) -> str:
    """The colour that a model has in every figure; what is no model (a way of training) has one of its own among those of its figure."""
    from utils import plotting

    others = [one for one in in_order(among) if one not in ORDER]
    place = ORDER.index(name) if name in ORDER else others.index(name) if name in others else 4
    return plotting.COLORS[place % len(plotting.COLORS)]


def table(rows: Rows, x: str, value: str | Callable = "test_accuracy") -> tuple[list, np.ndarray]:
    """One model's rows as (values of `x`, matrix (seeds, len(x))), NaN where a seed was not run at some x."""
    read, rows = column(value), list(rows)
    xs, seeds = sorted({row[x] for row in rows}), sorted({row["seed"] for row in rows})
    matrix = np.full((len(seeds), len(xs)), math.nan)
    for row in rows:
        matrix[seeds.index(row["seed"]), xs.index(row[x])] = read(row)
    return xs, matrix


def _scale(value: str | Callable) -> float:
    return 1.0 if value == "log_error" or callable(value) else 100.0


def curves(
    rows: Rows,
    *,
    value: str = "test_accuracy",
    x: str = "size",
    xlabel: str = "training images",
    by: str = "model",
    title: str | None = None,
    ax=None,
):
    """A value against the number of training images, a line per model."""
    from utils import plotting

    rows = list(rows)
    fig, ax = plotting.figure(height=3.4) if ax is None else (ax.figure, ax)
    said = []
    names = in_order(row[by] for row in rows)
    for name in names:
        xs, matrix = table((row for row in rows if row[by] == name), x, value)
        matrix = matrix * _scale(value)
        found = [mean_interval(c) for c in matrix.T]
        how: dict[str, Any] = {
            "xlabel": xlabel,
            "ylabel": LABELS.get(value, str(value)),
            "logx": True,
            "colors": {name: color_of(name, names)},
        }
        plotting.lines(ax, xs, {name: [one.mean for one in found]}, **how)
        low, high = _reach(found, value)  # at the sizes that were run: between them nothing was measured
        ax.errorbar(
            xs,
            [one.mean for one in found],
            yerr=[low, high],
            color=color_of(name, names),
            fmt="none",
            capsize=3,
            linewidth=1.2,
        )
        means = [one.mean for one in found]
        said.append(f"{name} from {means[0]:.1f} at {xs[0]:,} to {means[-1]:.1f} at {xs[-1]:,}")
    _size_ticks(ax, {row[x] for row in rows})
    if title:
        ax.set_title(title, loc="left")
    return fig, f"{LABELS.get(value, value)} against {xlabel}: {'; '.join(said)}."


def _reach(found: Sequence[Interval], value: str | Callable) -> tuple[list[float], list[float]]:
    """How far whiskers reach down and up: the half-width of the interval, and for a share no farther than 0 and 100."""
    halves = [0.0 if math.isnan(one.half) else one.half for one in found]
    if value not in SHARES:
        return halves, halves
    low = [min(half, max(0.0, one.mean)) for half, one in zip(halves, found, strict=True)]
    return low, [min(half, max(0.0, 100 - one.mean)) for half, one in zip(halves, found, strict=True)]


LETTER = 0.085  # inches: a digit of a tick's number


def _size_ticks(ax, sizes: Iterable[float]) -> None:
    """Ticks at the sizes that were run, and nowhere else; numbers where they do not touch: the first, the last, and what fits between."""
    sizes = sorted(sizes)
    labels = [f"{size:,}" for size in sizes]
    wide = (
        ax.get_position().width * ax.figure.get_size_inches()[0] / LETTER
    )  # letters that fit below the axis
    place = [wide * math.log(size / sizes[0]) / max(math.log(sizes[-1] / sizes[0]), 1e-9) for size in sizes]

    def touch(i: int, j: int) -> bool:
        return abs(place[i] - place[j]) < (len(labels[i]) + len(labels[j])) / 2 + 1

    kept = [0, len(sizes) - 1]
    for i in range(1, len(sizes) - 1):
        if not any(touch(i, j) for j in kept):
            kept.append(i)
    ax.set_xticks(sizes, [label if i in kept else "" for i, label in enumerate(labels)])
    ax.minorticks_off()
    if len(sizes) == 1:
        ax.set_xlim(sizes[0] / 2, sizes[0] * 2)


def differences(
    rows: Rows,
    pairs: Sequence[tuple[str, str]],
    *,
    value: str = "test_accuracy",
    by: str = "size",
    xlabel: str = "training images",
    of: str = "model",
    title: str | None = None,
    ax=None,
):
    """Paired differences a - b with their 95% t-intervals, against the number of training images."""
    from utils import plotting
    from utils.plotting.endlabels import EndLabel

    rows = list(rows)
    fig, ax = plotting.figure(height=3.2) if ax is None else (ax.figure, ax)
    ax.axhline(0, color="#6b6b6b", linewidth=0.9)
    said, scale = [], _scale(value)
    one_against_all = len(pairs) > 1 and len({a for a, _ in pairs}) == 1  # then the colour is the other's
    labels = ax.__dict__.setdefault("_end_labels", [])
    for index, (a, b) in enumerate(pairs):
        found = paired_difference(rows, a, b, by, value=value, of=of)
        found = {at: d for at, d in found.items() if d.n}
        if not found:
            continue
        xs = [at * 1.03**index for at in found]  # side by side
        color = color_of(b if one_against_all else a, (name for pair in pairs for name in pair))
        means = [scale * d.mean for d in found.values()]
        halves = [0 if math.isnan(d.half) else scale * d.half for d in found.values()]
        ax.errorbar(
            xs, means, yerr=halves, color=color, marker="o", capsize=3, linewidth=1.6, label=f"{a} − {b}"
        )
        right = list(found)[-1] * 1.03 ** (len(pairs) - 1)  # all names behind the last whisker
        where = {"xy": (right, means[-1]), "xytext": (9, 0), "textcoords": "offset points", "va": "center"}
        EndLabel(labels, f"{a} − {b}", **where, color=color, annotation_clip=False, fontsize=9)
        ax.add_artist(labels[-1]).set_clip_on(False)
        digits = 2 if value == "log_error" else 1
        parts = [
            f"{scale * d.mean:+.{digits}f} ± {scale * d.half:.{digits}f} at {at:,}" for at, d in found.items()
        ]
        said.append(f"{a} minus {b}: {', '.join(parts)}")
    ax.set_xscale("log")
    _size_ticks(ax, {row[by] for row in rows})
    ax.set_xlabel(xlabel)
    unit = "difference in ln(error)" if value == "log_error" else "difference (percentage points)"
    ax.set_ylabel(unit)
    ax.grid(True, axis="y")
    if title:
        ax.set_title(title, loc="left")
    return fig, f"{unit}, with 95% intervals. {'; '.join(said)}."


def panels(rows: Rows, column_of_panels: str, names: Sequence[Any] | None = None, titles=None, **how: Any):
    """`curves` side by side, a panel per value of a column (label rule, arm, augmentation), with one y axis for all."""
    from utils import plotting

    parts = group(rows, column_of_panels)
    names = [name for name in (names or parts) if name in parts]
    fig, axes = plotting.figure(1, len(names), width=min(2.9 * len(names) + 1, 10.5), height=3.1)
    axes, said = np.ravel(axes), []
    for ax, name in zip(axes, names, strict=True):
        text = str((titles or {}).get(name, f"{column_of_panels}: {name}"))
        said.append(f"{text}. {curves(parts[name], ax=ax, title=text, **how)[1]}")
    low, high = min(ax.get_ylim()[0] for ax in axes), max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
    for ax in axes[1:]:
        ax.set_ylabel("")
    return fig, " ".join(said)


def bars(rows: Rows, *, by: str = "model", value: str = "test_accuracy", order=None, ax=None):
    """A bar per value of a column, with interval, largest first unless an order is given."""
    from utils import plotting

    read, scale = column(value), _scale(value)
    found = {name: mean_interval(scale * read(row) for row in some) for name, some in group(rows, by).items()}
    names = order or sorted(found, key=lambda name: -found[name].mean)
    fig, ax = plotting.figure(height=0.5 + 0.42 * len(names)) if ax is None else (ax.figure, ax)
    values = {str(name): (found[name].mean, found[name].half) for name in names if name in found}
    within = (0, 100) if value in SHARES else (-math.inf, math.inf)
    plotting.bars(ax, values, xlabel=LABELS.get(value, str(value)), within=within, decimals=1)
    said = ", ".join(f"{name} {mean:.1f} ± {half:.1f}" for name, (mean, half) in values.items())
    return fig, f"{LABELS.get(value, value)}, mean and 95% interval: {said}."


def profile(
    rows: Rows,
    key: str,
    *,
    xlabel: str,
    ylabel: str,
    by: str = "model",
    scale: float = 100.0,
    reference: tuple[str, Sequence[float]] | None = None,
    title: str | None = None,
    ax=None,
):
    """A measured profile (a list in every row, such as accuracy against shift) as a line per model.

    Args:
        key: column that holds {"x": [...], "y": [...]}.
        reference: a name and values, drawn as a grey line (chance, the uniform baseline).
    """
    from utils import plotting

    fig, ax = plotting.figure(height=3.2) if ax is None else (ax.figure, ax)
    said, xs = [], []
    for name, some in sorted(
        group(rows, by).items(), key=lambda item: in_order([item[0], *ORDER]).index(item[0])
    ):
        xs = some[0][key]["x"]
        matrix = scale * np.array([row[key]["y"] for row in some], dtype=float)
        colors = {str(name): color_of(name)} if name in ORDER else None
        plotting.lines(ax, xs, {str(name): matrix}, xlabel=xlabel, ylabel=ylabel, colors=colors)
        said.append(
            f"{name} from {matrix[:, 0].mean():.2f} at {xs[0]:g} to {matrix[:, -1].mean():.2f} at {xs[-1]:g}"
        )
    if reference is not None and len(xs):
        name, values = reference
        levels = np.broadcast_to(np.asarray(values, dtype=float), (len(xs),))
        ax.plot(xs, levels, "--", color="#6b6b6b", linewidth=1.2)
        ax.annotate(
            name, (xs[0], levels[0]), xytext=(2, 3), textcoords="offset points", color="#6b6b6b", fontsize=8.5
        )
    if title:
        ax.set_title(title, loc="left")
    return fig, f"{ylabel} against {xlabel}: {'; '.join(said)}."


def describe(interval: Interval, scale: float = 100.0) -> str:
    """An interval in words for prose and tables: "+4.1 ± 1.3 points (3 pairs)"."""
    return f"{scale * interval.mean:+.1f} ± {scale * interval.half:.1f} points ({interval.n} pairs)"
