"""Colours, fonts and the empty figure.

The figure's background is opaque, so that a picture reads the same in a dark JupyterLab, on paper and on
GitHub. Figures are made without pyplot: nothing is drawn before `show`, nothing piles up in memory, and the
matplotlib backend stays whatever the user chose.

The palette started from Okabe and Ito's hues [1], with brown and grey for their yellow and black, and was
moved by a search until two things held, which the tests measure: every colour has a contrast of at least 3:1
on white (WCAG 2.2, criterion 1.4.11), and any two stay at least 22 apart in CIELAB (Delta E 1976), for normal
vision and for the three dichromacies as simulated by [2].

[1] M. Okabe, K. Ito, 2008, "Color Universal Design: How to make figures and presentations that are friendly
    to colorblind people".
[2] G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, 2009, "A Physiologically-based Model for Simulation of
    Color Vision Deficiency", IEEE Transactions on Visualization and Computer Graphics 15(6).
"""

from functools import lru_cache

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

BACKGROUND = "#ffffff"
INK = "#222222"
FAINT = "#d9d9d9"
HANGUL_FONTS = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "NanumGothic",
    "Nanum Gothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "UnDotum",
    "Baekmuk Gulim",
)


class Colors(tuple):
    """The palette: `COLORS[0]`, `COLORS["blue"]`, or a loop over the colours. Integers wrap around."""

    names = ("blue", "orange", "green", "purple", "sky", "brown", "grey")

    def __getitem__(self, key):
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"no colour {key!r}; there are {', '.join(self.names)}")
            return tuple.__getitem__(self, self.names.index(key))
        if isinstance(key, int):
            return tuple.__getitem__(self, key % len(self))
        return tuple.__getitem__(self, key)

    def get(self, key, default=None):
        return self[key] if key in self.names else default

    def keys(self):
        return self.names

    def items(self):
        return tuple(zip(self.names, self, strict=True))


COLORS = Colors(("#0249d7", "#e0620d", "#0e7e4c", "#ad4981", "#009af2", "#6e4408", "#3d3d3d"))

SEQUENTIAL = LinearSegmentedColormap.from_list(
    "course_sequential", ["#f7fbff", "#c6dcf0", "#7fb3d9", "#2f7fbd", "#0b4d8c", "#072a54"]
)
DIVERGING = LinearSegmentedColormap.from_list(
    "course_diverging", ["#8c3100", "#d55e00", "#f0b48a", "#f7f7f7", "#8fc1e3", "#0072b2", "#003a5c"]
)


def palette(n: int) -> list[str]:
    """The first n colours of the palette; past its end the colours come again, so add markers then."""
    return [COLORS[i] for i in range(n)]


@lru_cache(maxsize=1)
def hangul_font() -> str | None:
    """The name of an installed font with Hangul, or None."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in HANGUL_FONTS if name in installed), None)


@lru_cache(maxsize=8)
def _characters(family: str) -> frozenset:
    path = font_manager.findfont(family, fallback_to_default=True)
    return frozenset(font_manager.get_font(path).get_charmap())


def can_draw(text: str) -> bool:
    """Whether the fonts in use have a glyph for every character of the text (else boxes would appear)."""
    known = set(_characters("DejaVu Sans"))
    if hangul_font():
        known |= _characters(hangul_font())
    return all(ord(char) in known or char.isspace() for char in text)


def readable(labels, prefix: str = "w") -> list[str]:
    """Labels that this machine's fonts can draw.

    Labels with characters without a glyph (Korean, where no Hangul font is installed) are replaced by
    w1, w2, ..., and the legend is printed as text, where the browser's own fonts show it.
    """
    labels = [str(label) for label in labels]
    if all(can_draw(label) for label in labels):
        return labels
    short = [f"{prefix}{i}" for i in range(1, len(labels) + 1)]
    print(", ".join(f"{key} = {label}" for key, label in zip(short, labels, strict=True)))
    return short


def apply_theme() -> None:
    """Sets the course's matplotlib defaults (called when the package is imported)."""
    families = ["DejaVu Sans"] + ([hangul_font()] if hangul_font() else [])
    matplotlib.rcParams.update(
        {
            "figure.facecolor": BACKGROUND,
            "savefig.facecolor": BACKGROUND,
            "axes.facecolor": BACKGROUND,
            "figure.dpi": 100,
            "font.family": families,
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 9.5,
            "axes.edgecolor": "#6b6b6b",
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "text.color": INK,
            "xtick.color": "#6b6b6b",
            "ytick.color": "#6b6b6b",
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.8,
            "axes.axisbelow": True,
            "lines.linewidth": 1.9,
            "axes.prop_cycle": cycler(color=list(COLORS)),
            "axes.unicode_minus": False,
            "legend.frameon": False,
        }
    )


def figure(rows: int = 1, cols: int = 1, *, width: float = 7.2, height: float | None = None):
    """An empty figure.

    Args:
        rows, cols: the grid of axes.
        width, height: in inches; the height follows from the grid where it is not given.

    Returns:
        `(fig, axes)`: one Axes for 1 x 1, a 1-D array for one row or column, else a `(rows, cols)` array.
    """
    if rows < 1 or cols < 1:
        raise ValueError(f"A figure needs at least one row and one column; got {rows} x {cols}.")
    if height is None:
        height = rows * min(max(width / cols * 0.7, 2.1), 3.4)
    fig = Figure(figsize=(width, height))
    fig.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.06)
    return fig, fig.subplots(rows, cols)


def text_width(text: str, font: font_manager.FontProperties) -> float:
    """Width of the text's widest line, in inches."""
    lines = [line for line in text.split("\n") if line.strip()]
    return max((TextPath((0, 0), line, prop=font).get_extents().width for line in lines), default=0) / 72


def luminance(color) -> float:
    """Relative luminance of a colour, 0 (black) to 1 (white), as WCAG defines it."""
    rgb = np.asarray(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first, second) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG defines it."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def text_on(background) -> str:
    """Black or white, whichever reads better on this background (at least 4.5:1 on any)."""
    return max(("#000000", "#ffffff"), key=lambda ink: contrast(ink, background))


def darker(color, ratio: float = 4.5) -> str:
    """The colour, darkened until text in it has this contrast against the background."""
    rgb = np.asarray(to_rgb(color))
    while contrast(rgb, BACKGROUND) < ratio:
        rgb = rgb * 0.96
    return to_hex(tuple(rgb))


apply_theme()
