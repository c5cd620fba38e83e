"""Drawn architectures of notebook 01: the whole Transformer with its shapes, and the two places for the norm."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from utils.plotting.theme import COLORS, INK, figure

FILL = {"attention": "#fdeadb", "feed-forward": "#e3f0fa", "norm": "#efefef", "plain": "#e6f4ec"}
EDGE = {
    "attention": COLORS["orange"],
    "feed-forward": COLORS["blue"],
    "norm": "#7a7a7a",
    "plain": COLORS["green"],
}
SHAPE_FONT = {"family": "DejaVu Sans Mono", "size": 8}


class Canvas:
    """A figure without axes, measured in inches from the lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.fig, self.ax = figure(width=width, height=height)
        self.fig.set_layout_engine("none")
        self.ax.set_position([0, 0, 1, 1])
        self.ax.set(xlim=(0, width), ylim=(0, height))
        self.ax.set_axis_off()

    def box(self, x: float, y: float, text: str, kind: str, width: float = 1.7, height: float = 0.34) -> None:
        """A labelled box whose lower edge has its middle at (x, y)."""
        self.ax.add_patch(
            FancyBboxPatch(
                (x - width / 2, y),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=FILL[kind],
                edgecolor=EDGE[kind],
                linewidth=1.2,
                zorder=3,
            )
        )
        self.ax.text(x, y + height / 2, text, ha="center", va="center", fontsize=9, zorder=4)

    def frame(self, left: float, bottom: float, right: float, top: float) -> None:
        """The frame of what is repeated."""
        self.ax.add_patch(
            FancyBboxPatch(
                (left, bottom),
                right - left,
                top - bottom,
                boxstyle="round,pad=0,rounding_size=0.12",
                facecolor="none",
                edgecolor="#9a9a9a",
                linewidth=1.0,
                linestyle=(0, (4, 3)),
            )
        )

    def path(self, *points: tuple[float, float], color: str = INK) -> None:
        """A line through the points with an arrow head at its end."""
        if len(points) > 2:
            xs, ys = zip(*points[:-1], strict=True)
            self.ax.plot(xs, ys, color=color, linewidth=1.1, solid_joinstyle="round", zorder=2)
        style = {"arrowstyle": "-|>,head_width=0.18,head_length=0.35", "color": color, "linewidth": 1.1}
        self.ax.annotate(
            "", points[-1], points[-2], arrowprops=style | {"shrinkA": 0, "shrinkB": 0}, zorder=2
        )

    def shape(self, x: float, y: float, text: str, align: str = "left") -> None:
        """A tensor's shape, beside an arrow."""
        self.ax.text(x, y, text, ha=align, va="center", fontdict=SHAPE_FONT)

    def node(self, x: float, y: float, sign: str) -> None:
        """An operation on two tensors, number by number: a sign in a circle."""
        self.note(x, y, sign, fontsize=13, bbox={"boxstyle": "circle,pad=0.18", "fc": "white", "ec": INK})

    def note(self, x: float, y: float, text: str, **style: object) -> None:
        self.ax.text(x, y, text, **({"ha": "center", "va": "center", "fontsize": 9} | style))


def transformer(norm_first: bool = False) -> Figure:
    """Encoder and decoder of Vaswani et al. (2017), with the shape of what flows on the arrows.

    Args:
        norm_first: False: as in the paper, a norm behind each residual connection (post-LN); True: a norm before each
            move and one more behind each stack (pre-LN).
    """
    c = Canvas(7.2, 7.15 if norm_first else 5.45)
    left, right, step = 1.75, 5.35, 0.58
    attention, forward = "attention", "feed-forward"
    encoder = [("self-attention", attention), ("feed-forward", forward)]
    decoder = [
        ("masked self-attention", attention),
        ("cross-attention", attention),
        ("feed-forward", forward),
    ]
    bottom = 0.82
    tops, middles = {}, {}
    for x, moves, letter, side in ((left, encoder, "M", -1), (right, decoder, "N", 1)):
        c.note(x, 0.12, "source" if x == left else "target so far")
        c.path((x, 0.24), (x, 0.42))
        c.shape(x + 0.08, 0.32, f"(B, {letter})")
        c.box(x, 0.42, "embedding + positions", "plain", width=1.9, height=0.3)
        y = bottom
        c.path((x, 0.72), (x, y + 0.28))
        c.shape(x + 0.08, 0.8, f"(B, {letter}, D)")
        frame_bottom = y + 0.06
        for name, kind in moves:
            y += 0.28
            start, edge = y - 0.1, x + side * 1.02
            if norm_first:
                c.box(x, y, "layer norm", "norm", height=0.26)
                c.path((x, y + 0.26), (x, y + 0.44))
                y += 0.44
            c.box(x, y, name, kind)
            middles[name] = y + 0.17
            c.path((x, y + 0.34), (x, y + step))
            if norm_first:
                c.node(x, y + step + 0.11, "+")
                c.path(
                    (x, start),
                    (edge, start),
                    (edge, y + step + 0.11),
                    (x + side * 0.16, y + step + 0.11),
                    color="#6b6b6b",
                )
                y += step + 0.24
            else:
                c.box(x, y + step, "add, layer norm", "norm", height=0.28)
                end = y + step + 0.14
                c.path((x, start), (edge, start), (edge, end), (x + side * 0.85, end), color="#6b6b6b")
                y += step + 0.28
            if name != moves[-1][0]:
                c.path((x, y), (x, y + 0.28))
        c.frame(x - 1.2, frame_bottom, x + 1.2, y + 0.1)
        c.note(x - side * 1.32, frame_bottom + 0.16, "L ×", ha="right" if side > 0 else "left", fontsize=10)
        if norm_first:
            c.path((x, y), (x, y + 0.28))
            c.box(x, y + 0.28, "layer norm", "norm", height=0.26)
            y += 0.54
        tops[x] = y
    bend = (left + right) / 2 - 0.02
    cross = middles["cross-attention"]
    c.path(
        (left, tops[left]),
        (left, tops[left] + 0.34),
        (bend, tops[left] + 0.34),
        (bend, cross),
        (right - 0.85, cross),
    )
    c.note((left + bend) / 2, tops[left] + 0.62, "memory")
    c.shape((left + bend) / 2, tops[left] + 0.45, "(B, M, D)", "center")
    c.note(bend - 0.1, cross + 0.45, "keys,\nvalues", fontsize=8, ha="right")
    y = tops[right]
    c.path((right, y), (right, y + 0.34))
    c.shape(right + 0.08, y + 0.22, "(B, N, D)")
    c.box(right, y + 0.34, "linear", "plain", height=0.3)
    c.path((right, y + 0.64), (right, y + 0.86))
    c.shape(right + 0.08, y + 0.76, "(B, N, V)")
    c.note(right, y + 0.96, "scores of the next token")
    return c.fig


def norm_orders() -> Figure:
    """Post-LN and pre-LN side by side, for one move f (attention or feed-forward)."""
    c = Canvas(7.2, 2.75)
    for x, title, order in (
        (1.7, "post-LN: the norm sits on the residual path", ("move f", "+", "layer norm")),
        (5.2, "pre-LN: the residual path is free", ("layer norm", "move f", "+")),
    ):
        c.note(x, 2.6, title, fontweight="bold", fontsize=9.5)
        c.note(x, 0.14, "x")
        c.path((x, 0.24), (x, 0.62))
        y = 0.62
        for index, name in enumerate(order):
            if name == "+":
                c.node(x, y + 0.16, "+")
                c.path(
                    (x, 0.42),
                    (x + 1.15, 0.42),
                    (x + 1.15, y + 0.16),
                    (x + 0.17, y + 0.16),
                    color=COLORS["orange"],
                )
            else:
                c.box(x, y, name, "norm" if name == "layer norm" else "attention", width=1.3, height=0.32)
            if index < 2:
                c.path((x, y + 0.33), (x, y + 0.58))
            else:
                c.path((x, y + 0.33), (x, y + 0.62))
            y += 0.58
        c.note(x + 1.22, 1.0, "residual", fontsize=8, ha="left", color="#8a3d05")
        c.note(x + 0.16, 2.3, "x'")
    return c.fig
