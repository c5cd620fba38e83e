"""Names at the ends of lines that keep clear of each other, of the lines that go on, and of what lies below the axes."""

from functools import lru_cache

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.text import Annotation
from matplotlib.transforms import IdentityTransform

from utils.plotting.theme import text_width

LINE_HEIGHT = 1.2  # of a line of text, in font sizes
CLEAR = 2.5  # points between a name and a line: half a marker
REACH = 4  # how many heights a name may be moved away from a line that crosses it
LEADER = {"arrowstyle": "-", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)}


class EndLabel(Annotation):
    """A line's name at its end. All labels of one plot keep clear of each other, whatever its final size.

    A name that had to move by more than its own height is joined to its line by a thin stroke.
    """

    def __init__(self, group: list, *args, **kwargs):
        kwargs["arrowprops"] = LEADER | {"color": kwargs.get("color")}
        super().__init__(*args, **kwargs)
        self.set_transform(IdentityTransform())  # as Axes.annotate does; its offset is no data coordinate
        self.set_clip_on(False)
        self.group = group
        group.append(self)

    def update_positions(self, renderer) -> None:
        _ = self.axes and self.axes.viewLim  # settles a pending autoscale, on which the position depends
        self._spread()
        super().update_positions(renderer)
        height = _height(self)
        if self.arrow_patch is not None:
            self.arrow_patch.set_visible(abs(self.get_position()[1]) > height)

    def _spread(self) -> None:
        labels = [label for label in self.group if label.axes is not None]
        root = self.get_figure(root=True)
        assert root is not None and self.axes is not None, "labels are drawn, so they are in a figure"
        points = 72 / root.dpi  # per pixel
        anchors = np.array([label.axes.transData.transform(label.xy) for label in labels]) * points
        left = anchors[:, 0] + [label.get_position()[0] for label in labels]
        right = left + [_width(label.get_text(), label.get_fontsize()) for label in labels]
        heights = np.array([_height(label) for label in labels])
        low, high = self.axes.bbox.y0 * points, self.axes.bbox.y1 * points
        placed = anchors[:, 1].copy()
        for column in columns(left, right):  # names that lie beside each other need no room from each other
            placed[column] = spread(anchors[column, 1], heights[column], low, high)
        curves = [curve * points for curve in _curves(self.axes)]
        for i in np.argsort(
            -anchors[:, 1], kind="stable"
        ):  # the highest chooses first, so names keep the order of their lines
            crossed = [across(curve, left[i], right[i]) for curve in curves]
            others = np.flatnonzero((left < right[i]) & (right > left[i]) & (np.arange(len(labels)) != i))
            taken = [(placed[j] - heights[j] / 2, placed[j] + heights[j] / 2) for j in others]
            placed[i] = step_aside(
                placed[i], heights[i], [seen for seen in crossed if seen], taken, low, high
            )
        for label, old, new in zip(labels, anchors[:, 1], placed, strict=True):
            label.set_position((label.get_position()[0], new - old))


def _height(label: Annotation) -> float:
    """In points."""
    return float(label.get_fontsize()) * LINE_HEIGHT * (label.get_text().count("\n") + 1)


@lru_cache(maxsize=512)  # asked for every label whenever one of them is drawn
def _width(text: str, size: float) -> float:
    """In points."""
    return 72 * text_width(text, FontProperties(size=size))


def _curves(ax) -> list[np.ndarray]:
    """The lines of an axes that are made of data (not axhline and the like), each (n, 2) in pixels."""
    data = [line for line in ax.lines if all(line.get_transform().contains_branch_seperately(ax.transData))]
    curves = [line.get_transform().transform(line.get_xydata()) for line in data]
    curves = [curve[np.isfinite(curve).all(axis=1)] for curve in curves]
    return [curve for curve in curves if len(curve) > 1]


def across(curve: np.ndarray, left: float, right: float) -> tuple[float, float] | None:
    """The room that a curve, (n, 2), takes up between two x, from below it to above it; None if it does not come there."""
    x, y = curve[np.argsort(curve[:, 0], kind="stable")].T
    left, right = max(left, x[0]), min(right, x[-1])
    if left >= right:
        return None
    inside = y[(x > left) & (x < right)]
    seen = [*np.interp([left, right], x, y), *inside]
    return min(seen) - CLEAR, max(seen) + CLEAR


def columns(left: np.ndarray, right: np.ndarray) -> list[np.ndarray]:
    """The indices of intervals [left, right], in groups that are linked by overlaps."""
    groups: list[list[int]] = []
    reach = -np.inf
    for i in np.argsort(left, kind="stable"):
        if not groups or left[i] > reach:
            groups.append([])
        groups[-1].append(int(i))
        reach = max(reach, right[i])
    return [np.array(group) for group in groups]


def step_aside(
    center: float,
    height: float,
    crossed: list[tuple[float, float]],
    taken: list[tuple[float, float]],
    low: float,
    high: float,
) -> float:
    """The place nearest to `center` where a name of this height meets no curve and no other name; `center` if there is none.

    Args:
        crossed: lower and upper end of the room that each curve takes up along the name.
        taken: lower and upper edge of each other name beside it.
        low, high: of the axes; a place outside is none.
    """
    half, busy = height / 2, [*crossed, *taken]
    hits = [seen for seen in crossed if seen[0] < center + half and seen[1] > center - half]
    if not hits:  # names keep clear of each other already
        return center
    places = [edge for below, above in busy for edge in (below - half, above + half)]
    free = [
        place
        for place in places
        if low <= place - half and place + half <= high and abs(place - center) <= REACH * height
        if all(below >= place + half - 1e-6 or above <= place - half + 1e-6 for below, above in busy)
    ]
    return min(free, key=lambda place: abs(place - center), default=center)


def spread(
    centers: np.ndarray, heights: np.ndarray, low: float = -np.inf, high: float = np.inf
) -> np.ndarray:
    """Positions as near as can be to `centers`, in their order, with intervals of these heights apart.

    Where there is room for all of them, they stay between `low` and `high`.
    """
    from scipy.optimize import isotonic_regression  # late: it takes a while to import

    order = np.argsort(centers, kind="stable")
    below = np.cumsum(heights[order]) - heights[order] / 2  # from the lower edge of all to each middle
    total = np.sum(heights)
    # Apart by their heights is the same as in order, once each is moved down by what must lie below it.
    lowest = isotonic_regression(centers[order] - below).x
    if total <= high - low:
        lowest = np.clip(lowest, low, high - total)
    placed = np.empty(len(centers))
    placed[order] = lowest + below
    return placed
