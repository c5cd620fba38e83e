"""Sketches: a sentence with shaded words, and the flow of a tensor through its steps."""

import html
import math
import textwrap

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch

from utils.plotting.numbers import as_array
from utils.plotting.theme import BACKGROUND, COLORS, DIVERGING, INK, SEQUENTIAL, figure, text_on, text_width


class TokenStrip:
    """Sentences with shaded words, as HTML: the reader's browser has the fonts that matplotlib may lack."""

    def __init__(self, words, weights, *, title=None, rows=None, limit=None):
        self.words = [str(word) for word in words]
        self.weights = np.atleast_2d(as_array(weights).astype(float))
        if self.weights.ndim != 2 or self.weights.shape[1] != len(self.words):
            raise ValueError(f"{len(self.words)} words, and weights of shape {as_array(weights).shape}.")
        self.title, self.limit = title, limit
        self.rows = None if rows is None else [str(row) for row in rows]
        if self.rows is not None and len(self.rows) != len(self.weights):
            raise ValueError(f"{len(self.rows)} row names for {len(self.weights)} rows of weights.")

    @property
    def signed(self) -> bool:
        """Whether weights are written with a sign and shaded in two-sided colours."""
        return self.limit is not None or bool((self.weights < 0).any())

    def to_html(self, alt: str | None = None) -> str:
        """The strip as HTML with its own (opaque, light) background; each weight stands below its word."""
        from matplotlib.colors import to_hex

        signed = self.signed
        reach = self.limit or np.nanmax(np.abs(self.weights)) or 1.0
        parts = []
        for index, row in enumerate(self.weights):
            if self.rows is not None:
                parts.append(
                    f'<div style="font-size:85%;margin-top:6px"><b>{html.escape(self.rows[index])}</b></div>'
                )
            spans = []
            for word, weight in zip(self.words, row, strict=True):
                shade = DIVERGING(0.5 + weight / reach / 2) if signed else SEQUENTIAL(weight / reach * 0.85)
                color = to_hex(shade)
                spans.append(
                    f'<span style="display:inline-block;text-align:center;margin:2px;padding:2px 5px;'
                    f'border-radius:3px;background-color:{color};color:{text_on(color)}">{html.escape(word)}'
                    f'<sub style="display:block;font-size:75%;line-height:1.3">{_weight(weight, signed)}</sub>'
                    "</span>"
                )
            parts.append(f"<div>{' '.join(spans)}</div>")
        heading = f"<div><b>{html.escape(self.title)}</b></div>" if self.title else ""
        label = f' role="figure" aria-label="{html.escape(alt, quote=True)}"' if alt else ""
        return (
            f'<div{label} style="background-color:{BACKGROUND};color:{INK};padding:8px;max-width:46em;'
            f'line-height:1.5">{heading}{"".join(parts)}</div>'
        )

    def to_text(self) -> str:
        """The strip as plain text: `word (0.12)`."""
        signed = self.signed
        out = [self.title] if self.title else []
        for index, row in enumerate(self.weights):
            line = " ".join(
                f"{word} ({_weight(weight, signed)})" for word, weight in zip(self.words, row, strict=True)
            )
            out.append(line if self.rows is None else f"{self.rows[index]}: {line}")
        return "\n".join(out)

    def _repr_html_(self) -> str:
        return self.to_html()

    def __repr__(self) -> str:
        return self.to_text()


def _weight(weight: float, signed: bool) -> str:
    return (f"{weight:+.2f}" if signed else f"{weight:.2f}").replace("-", "\N{MINUS SIGN}")


def tokens(words, weights, *, title: str | None = None, rows=None, limit: float | None = None) -> TokenStrip:
    """A sentence whose words are shaded by weight, each weight written below its word. Hangul-safe.

    Args:
        words: n words.
        weights: (n,) or (rows, n), e.g. one row per head. Negative weights get two-sided colours.
        title: a line above.
        rows: a name per row.
        limit: the colours run from -limit to limit, so that several strips can be compared; by default to the largest weight.

    Returns:
        An object for `show`, like a figure. It also shows itself as the last value of a cell.
    """
    return TokenStrip(words, weights, title=title, rows=rows, limit=limit)


_FONT = FontProperties(family="DejaVu Sans", size=9)
_MONO = FontProperties(family="DejaVu Sans Mono", size=8)
_TITLE = FontProperties(family="DejaVu Sans", size=10.5, weight="bold")


def flow(steps, *, title: str | None = None, skip: tuple[int, int, str] | None = None):
    """Boxes for the steps of a computation, and the tensor's shape on the arrow that leaves each.

    Args:
        steps: `[("split into heads", "(B, H, N, d)"), ...]`, a name and the shape it gives; an empty shape or
            None draws a bare arrow, or no arrow after the last step.
        title: a line above.
        skip: an arrow past the steps, from one to another of the same row, and its label: `(0, 3, "shortcut")`.

    Returns:
        The figure; rows wrap at the course's width.
    """
    steps = [(str(name), str(shape or "")) for name, shape in steps]
    if not steps:
        raise ValueError("A flow needs at least one step.")
    names = [_balanced(name, 17) for name, _ in steps]
    box = max(0.9, max(text_width(name, _FONT) for name in names) + 0.26)
    tall = 0.22 + 0.165 * max(name.count("\n") + 1 for name in names)
    gap = max(0.45, max(text_width(shape, _MONO) for _, shape in steps) + 0.26)
    margin, between, top = 0.1, 0.66, 0.36 if title else 0.08
    fitting = max(1, int((7.2 - 2 * margin + gap) // (box + gap)))
    rows = math.ceil(len(steps) / fitting)
    per_row = math.ceil(len(steps) / rows)
    last = len(steps) - (rows - 1) * per_row  # boxes in the last row
    tail = bool(steps[-1][1])
    # The last arrow leaves to the right where there is room, else downwards.
    beside = tail and 2 * margin + last * (box + gap) <= 7.2
    width = 2 * margin + max(per_row * (box + gap) - gap, last * (box + gap) if beside else 0)
    if title:
        width = max(width, 2 * margin + text_width(title, _TITLE))
    height = top + rows * (tall + between) - between + (0.5 if (tail and not beside) or skip else 0.1)
    if skip and skip[0] // per_row != skip[1] // per_row:
        raise ValueError("The arrow past the steps needs both ends in one row: shorten names or shapes.")

    fig, ax = figure(width=width, height=height)
    fig.set_layout_engine("none")
    ax.set(position=[0, 0, 1, 1], xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    if title:
        ax.text(margin, 0.2, title, fontproperties=_TITLE, va="center")
    for i, (name, (_, shape)) in enumerate(zip(names, steps, strict=True)):
        row, col = divmod(i, per_row)
        x, y = margin + col * (box + gap), top + row * (tall + between)
        middle, center, below = y + tall / 2, x + box / 2, y + tall
        _box(ax, x, y, box, tall, name)
        ends = i + 1 == len(steps)
        if (ends and beside) or (not ends and col + 1 < per_row):
            _arrow(ax, [(x + box, middle), (x + box + gap, middle)])
            _shape(ax, x + box + gap / 2 - 0.03, middle - 0.05, shape, "center")
        elif ends and tail:
            _arrow(ax, [(center, below), (center, below + 0.42)])
            _shape(ax, center - 0.08, below + 0.27, shape, "right")
        elif not ends:  # on to the next row: down, back to the left, and down into its first box
            level, left = below + 0.4, margin + box / 2
            _arrow(ax, [(center, below), (center, level), (left, level), (left, below + between)])
            _shape(
                ax,
                (center + left) / 2 if per_row > 1 else left + 0.08,
                level - 0.05,
                shape,
                "center" if per_row > 1 else "left",
            )
    if skip:
        start, end = (margin + (i % per_row) * (box + gap) + box / 2 for i in skip[:2])
        below = top + (skip[0] // per_row) * (tall + between) + tall
        _arrow(ax, [(start, below), (start, below + 0.3), (end, below + 0.3), (end, below)])
        ax.text((start + end) / 2, below + 0.26, skip[2], ha="center", va="bottom", fontproperties=_FONT)
    return fig


def _box(ax, x: float, y: float, width: float, height: float, text: str) -> None:
    style = {
        "boxstyle": "round,pad=0,rounding_size=0.07",
        "facecolor": "#e6effb",
        "edgecolor": COLORS["blue"],
    }
    ax.add_patch(FancyBboxPatch((x, y), width, height, linewidth=1.1, **style))
    ax.text(
        x + width / 2, y + height / 2, text, ha="center", va="center", fontproperties=_FONT, linespacing=1.15
    )


def _arrow(ax, points: list[tuple[float, float]]) -> None:
    """A line through these points that ends in a head."""
    if len(points) > 2:
        ax.plot(*zip(*points[:-1], strict=True), color=INK, linewidth=1.2, solid_joinstyle="round")
    head = {"arrowstyle": "-|>,head_width=0.22,head_length=0.45", "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", points[-1], points[-2], arrowprops=head | {"color": INK, "linewidth": 1.2})


def _shape(ax, x: float, y: float, text: str, align: str) -> None:
    ax.text(x, y, text, ha=align, va="bottom", fontproperties=_MONO)


def _balanced(text: str, width: int) -> str:
    """The text in as few lines as this width allows, the lines as even as can be."""
    lines = textwrap.wrap(text, width) or [text]
    for narrower in range(width - 1, 3, -1):
        tried = textwrap.wrap(text, narrower, break_long_words=False)
        if len(tried) > len(lines) or max(map(len, tried)) > narrower:
            break
        lines = tried
    return "\n".join(lines)
