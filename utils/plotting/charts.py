"""Plots of numbers: lines with intervals, bars, heat maps, grids of images."""

import math
import textwrap
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import LogFormatterMathtext, MaxNLocator, NullLocator

from utils.plotting.endlabels import EndLabel
from utils.plotting.numbers import as_array, number, t_interval, with_error
from utils.plotting.theme import (
    BACKGROUND,
    COLORS,
    DIVERGING,
    INK,
    SEQUENTIAL,
    darker,
    figure,
    readable,
    text_on,
    text_width,
)

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def lines(ax, x, series: dict, *, xlabel: str, ylabel: str, logx=False, logy=False, colors=None) -> None:
    """Lines with their names at their ends.

    Args:
        x: (n,) shared by all series.
        series: name -> (n,) values, or (seeds, n): then the mean and its 95% t-interval are drawn (on a logarithmic axis down to
            the smallest value where the interval reaches below zero). A shorter one ends where its values do, as that of a
            training which was stopped.
        xlabel, ylabel: with units.
        logx, logy: logarithmic axes.
        colors: name -> colour, or a list in the order of the series.

    Raises:
        ValueError: a series is longer than x.
    """
    x = as_array(x)
    chosen = _colors(series, colors)
    if logx:
        ax.set_xscale("log")
    if logy:
        ax.set_yscale("log")
    group = ax.__dict__.setdefault("_end_labels", [])  # shared by several calls on the same axes
    for index, ((name, values), shown) in enumerate(zip(series.items(), readable(series), strict=True)):
        y = np.atleast_2d(as_array(values)).astype(float)
        if y.ndim != 2 or y.shape[1] > len(x):
            raise ValueError(
                f"Series {name!r} has shape {as_array(values).shape}, and x has {len(x)} values."
            )
        y = np.pad(y, ((0, 0), (0, len(x) - y.shape[1])), constant_values=np.nan)
        mean, half = t_interval(y)
        color = chosen[name]
        marker = MARKERS[index % len(MARKERS)] if len(x) <= 24 else None
        style = "-" if index < len(COLORS) else "--"
        ax.plot(x, mean, style, color=color, marker=marker, markersize=4.5, zorder=3)
        if y.shape[0] > 1:
            low = mean - half
            if logy:  # an interval that reaches below zero has no lower end on a logarithmic axis: the smallest value stands for it
                floor = np.nanmin(mean[mean > 0], initial=np.inf) * 1e-1
                low = np.where(low > 0, low, np.maximum(np.nanmin(y, axis=0, initial=np.inf), floor))
            ax.fill_between(x, low, mean + half, color=color, alpha=0.18, linewidth=0, zorder=2)
        there = np.flatnonzero(np.isfinite(mean))
        if shown and len(there):
            EndLabel(
                group,
                shown,
                xy=(x[there[-1]], mean[there[-1]]),
                xytext=(7, 0),
                textcoords="offset points",
                va="center",
                ha="left",
                color=darker(color),
                annotation_clip=False,
                fontsize=9,
            )
            ax.add_artist(group[-1]).set_clip_on(False)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(True, axis="y")
    if logx and 1 < len(x) <= 8 and np.all(x[1:] >= 1.5 * x[:-1]):  # few sizes: the ticks are these sizes
        ax.set_xticks(x, [number(value) for value in x])
        ax.minorticks_off()
        if logy:
            ax.yaxis.minorticks_on()
    elif logx:
        _plain_log(ax.xaxis, *ax.get_xlim())
    elif np.issubdtype(x.dtype, np.integer):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    if logy:
        _plain_log(ax.yaxis, *ax.get_ylim())


def _plain_log(axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis as numbers that are read at once: 0.2, 50, 1,000, and never 6 x 10^-1.

    Less than two decades: ticks at 1, 2 and 5 (or more of them). Powers of ten are kept where the axis leaves 0.001 to 1,000,000.
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if high < 100 * low:
        for digits in ((1, 2, 5), (1, 2, 3, 4, 6, 8), (1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)):
            ticks = [d * 10.0**power for power in decades for d in digits if low <= d * 10.0**power <= high]
            if len(ticks) > 2:
                break
        axis.set_ticks(ticks, [f"{tick:,.6g}" for tick in ticks])
        axis.set_minor_locator(NullLocator())
    elif low >= 1e-4 and high <= 1e6:
        axis.set_major_formatter(lambda tick, _: f"{tick:,.6g}")
    else:
        axis.set_major_formatter(LogFormatterMathtext())


def chance(ax, value: float, name: str = "guessing") -> None:
    """A dotted line at what guessing reaches, named at its end; call it after `lines`.

    Args:
        value: in the y axis's unit.
    """
    ax.axhline(value, color="#6b6b6b", linewidth=0.9, linestyle=":", zorder=1)
    group = ax.__dict__.setdefault("_end_labels", [])
    where = {"xy": (ax.dataLim.x1, value), "xytext": (7, 0), "textcoords": "offset points"}
    style = {"va": "center", "ha": "left", "color": "#5a5a5a", "annotation_clip": False, "fontsize": 9}
    EndLabel(group, name, **where, **style)
    ax.add_artist(group[-1]).set_clip_on(False)


def name_points(ax, points: dict, *, color: str = INK, fontsize: float = 8) -> None:
    """Names beside points; names that would cover each other move apart, up and down.

    Args:
        points: name -> (x, y), in data coordinates.
    """
    group = ax.__dict__.setdefault(
        "_end_labels", []
    )  # the names at the ends of lines stay clear of these, too
    for shown, point in zip(readable(points), points.values(), strict=True):
        where = {"xy": point, "xytext": (7, 0), "textcoords": "offset points", "va": "center", "ha": "left"}
        EndLabel(group, shown, **where, color=darker(color), annotation_clip=False, fontsize=fontsize)
        ax.add_artist(group[-1]).set_clip_on(False)


def _colors(names, colors) -> dict:
    names = list(names)
    if colors is None:
        return {name: COLORS[i] for i, name in enumerate(names)}
    if isinstance(colors, str):
        return dict.fromkeys(names, colors)
    if isinstance(colors, Mapping):
        return {name: colors.get(name, COLORS[i]) for i, name in enumerate(names)}
    colors = list(colors)
    return {name: colors[i % len(colors)] for i, name in enumerate(names)}


def bars(
    ax, values: dict, *, xlabel: str | None = None, colors=None, within=(-math.inf, math.inf), decimals=None
) -> None:
    """Horizontal bars, first on top, each with its value written beside it.

    Args:
        values: name -> value, or name -> (value, error), the half-width of an interval.
        xlabel: with unit.
        colors: name -> colour, a list, or one colour for all; default: one colour for all.
        within: what the values can be (a share: 0 to 100); an interval is drawn no farther.
        decimals: of all numbers alike; default: by the largest error's size, or by each one's own where they differ by more than a factor of ten.
    """
    names = readable(values)
    given = [value if isinstance(value, (tuple, list)) else (value, math.nan) for value in values.values()]
    pairs = np.array(given, dtype=float).reshape(-1, 2)
    chosen = list(_colors(values, COLORS[0] if colors is None else colors).values())
    errors = pairs[np.isfinite(pairs[:, 1]) & (pairs[:, 1] > 0), 1]
    if decimals is None and len(errors) and errors.max() <= 10 * errors.min():  # 36.3 ± 0.9 beside 36.5 ± 1.2
        decimals = max(0, 1 - math.floor(math.log10(errors.max())))
    rows = np.arange(len(names))[::-1]
    ax.barh(rows, pairs[:, 0], color=chosen, height=0.66, zorder=2)
    for row, (value, error) in zip(rows, pairs, strict=True):
        text, reach, side = number(value), value, math.copysign(1, value)
        if math.isfinite(error):
            low, high = max(value - error, within[0]), min(value + error, within[1])
            ends = [[value - low], [high - value]]
            ax.errorbar(value, row, xerr=ends, color=INK, linewidth=1.2, capsize=3, zorder=4)
            text, reach = with_error(value, error, decimals), high if side > 0 else low
        ax.annotate(
            text,
            (reach if math.isfinite(reach) else 0, row),
            xytext=(5 * side, 0),
            textcoords="offset points",
            va="center",
            ha="left" if side > 0 else "right",
            fontsize=8.5,
            annotation_clip=False,
            bbox={"facecolor": BACKGROUND, "edgecolor": "none", "pad": 1},
        )
    _make_room(ax, pairs[:, 0])
    ax.set_yticks(rows, [textwrap.fill(name, 24) for name in names])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.axvline(0, color="#6b6b6b", linewidth=0.9, zorder=3)
    ax.grid(True, axis="x")
    if xlabel:
        ax.set_xlabel(xlabel)


def _make_room(ax, values: np.ndarray) -> None:
    """Widens the x axis until the values written beside the bars stand inside the axes."""
    inches = (
        0.8 * ax.get_position().width * ax.get_figure(root=True).get_figwidth()
    )  # about, after the layout
    left = right = 0.0
    for text, value in zip(ax.texts, values, strict=False):
        share = (text_width(text.get_text(), FontProperties(size=8.5)) + 0.15) / inches
        left, right = (max(left, share), right) if value < 0 else (left, max(right, share))
    low, high = ax.get_xlim()
    span = (high - low) / max(1 - left - right, 0.3)
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]  # none in the room for labels: no 120 %
    ax.set_xlim(low - left * span, high + right * span)
    ax.set_xticks(ticks)


def heatmap(
    ax,
    matrix,
    *,
    xlabels=None,
    ylabels=None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    title: str | None = None,
    diverging: bool = False,
    label: str | None = None,
    annotate: bool = False,
    vmin: float | None = None,
    vmax: float | None = None,
    colorbar: bool = True,
):
    """A matrix as colours, row 0 on top; NaN (a masked entry) is grey.

    Args:
        matrix: (rows, columns).
        xlabels, ylabels: a name per column and row.
        diverging: two-sided colours around zero, for signed values.
        label: what the colour means, with unit, beside the colour bar.
        annotate: write each value into its cell (small matrices).
        vmin, vmax: the colours' range, to give several panels the same. By default the values' own, from zero
            where they are positive and come near it.

    Returns:
        The image, as matplotlib's `imshow` gives it.
    """
    values = as_array(matrix)
    if values.ndim != 2:
        raise ValueError(f"A heat map needs a matrix, (rows, columns); got shape {values.shape}.")
    values = values.astype(float)
    finite = values[np.isfinite(values)]
    if diverging:
        reach = max(abs(vmin or 0), abs(vmax or 0)) or (np.abs(finite).max() if finite.size else 1) or 1
        vmin, vmax = -reach, reach
    elif vmin is None and finite.size and 0 <= finite.min() < finite.max() / 3:
        vmin = 0  # weights and counts: pale means little, not just less than the rest
    cmap = (DIVERGING if diverging else SEQUENTIAL).with_extremes(bad="#bdbdbd")
    picture = ax.imshow(np.ma.masked_invalid(values), cmap=cmap, vmin=vmin, vmax=vmax, aspect="auto")
    rows, cols = values.shape
    if max(rows / cols, cols / rows) < 4:
        ax.set_aspect("equal")
    same = xlabels is not None and ylabels is not None and list(xlabels) == list(ylabels)
    shown_x = None if xlabels is None else readable(xlabels)
    shown_y = shown_x if same else (None if ylabels is None else readable(ylabels, "r"))
    _ticks(ax.xaxis, shown_x, cols, rotate=True)
    _ticks(ax.yaxis, shown_y, rows)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    if annotate:
        _annotate(ax, values, picture)
    if colorbar:
        bar = ax.figure.colorbar(picture, ax=ax, shrink=0.85, pad=0.02)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(MaxNLocator(5))
        if label:
            bar.set_label(label)
    ax.set(xlabel=xlabel or "", ylabel=ylabel or "", title=title or "")
    return picture


def _ticks(axis, names, count: int, *, rotate: bool = False) -> None:
    if names is None:
        axis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        return
    if len(names) != count:
        raise ValueError(f"{len(names)} labels for {count} {'columns' if rotate else 'rows'}.")
    step = math.ceil(count / 40)
    axis.set_ticks(
        range(0, count, step), [name if len(name) <= 18 else name[:17] + "…" for name in names[::step]]
    )
    if rotate and (count > 10 or max(map(len, names), default=0) * count > 40):
        for text in axis.get_ticklabels():
            text.set(rotation=55, ha="right", rotation_mode="anchor")


def _annotate(ax, values: np.ndarray, picture: ScalarMappable) -> None:
    whole = np.all(~np.isfinite(values) | (values == np.round(values)))
    rows, cols = values.shape
    box = ax.get_position().bounds[2:] * ax.get_figure(root=True).get_size_inches() * 72
    cell = min(0.8 * box[0] / cols, 0.9 * box[1] / rows) if ax.get_aspect() != "auto" else 0.8 * box[0] / cols
    for digits in (0,) if whole else (2, 1):
        texts = {at: f"{v:.{digits}f}" for at, v in np.ndenumerate(values) if np.isfinite(v)}
        size = min(9.0, cell / (0.68 * max(map(len, texts.values()), default=1)))  # a digit is 0.64 em wide
        if size >= 5.5:
            break
    for (row, col), text in texts.items():
        ink = text_on(picture.cmap(picture.norm(values[row, col]))[:3])
        text = text.replace("-", "\N{MINUS SIGN}")
        ax.text(col, row, text, ha="center", va="center", color=ink, fontsize=max(size, 4))


def images(images, *, titles=None, cols: int = 8, rescale: str | None = None) -> matplotlib.figure.Figure:
    """A grid of images.

    Args:
        images: (B, 3, H, W), (B, 1, H, W) or (B, H, W), or a list of such images; uint8, or floats in [0, 1].
        titles: a line (or two) above each image.
        cols: images per row.
        rescale: "together" or "each" stretches the values to [0, 1] over all images or each by itself. By
            default floats outside [0, 1] (normalised images) are stretched together.

    Raises:
        ValueError: another shape, or the number of titles is not the number of images.
    """
    batch = as_array(images)
    if batch.ndim == 3:
        batch = batch[:, None]
    if batch.ndim != 4 or batch.shape[1] not in (1, 3):
        raise ValueError(f"Images are (B, 3, H, W), (B, 1, H, W) or (B, H, W); got shape {batch.shape}.")
    if titles is not None and len(titles) != len(batch):
        raise ValueError(f"{len(titles)} titles for {len(batch)} images.")
    batch = batch / 255 if batch.dtype == np.uint8 else batch.astype(float)
    if rescale is None and batch.size and (batch.min() < 0 or batch.max() > 1):
        rescale = "together"
    if rescale:
        axes = (1, 2, 3) if rescale == "each" else None
        low, high = batch.min(axis=axes, keepdims=True), batch.max(axis=axes, keepdims=True)
        batch = (batch - low) / np.maximum(high - low, 1e-12)
    cols = max(1, min(cols, len(batch)))
    rows = math.ceil(len(batch) / cols)
    cell = min(7.2 / cols, 2.2)
    shown = None if titles is None else [textwrap.fill(t, max(8, int(cell * 13))) for t in readable(titles)]
    depth = 0 if shown is None else max(t.count("\n") + 1 for t in shown)
    height, width = batch.shape[2:]
    fig, axes = figure(
        rows, cols, width=cell * cols, height=rows * (cell * height / width + 0.16 * depth) + 0.1
    )
    fig.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.02, hspace=0.02)
    for i, ax in enumerate(np.ravel(axes)):
        ax.set_axis_off()
        if i < len(batch):
            ax.imshow(
                batch[i].transpose(1, 2, 0).squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest"
            )
            if shown is not None:
                ax.set_title(shown[i], fontsize=8, fontweight="normal", loc="center", pad=3)
    return fig
