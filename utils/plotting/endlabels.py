"""Names at the ends of lines that keep clear of each other."""

import numpy as np
from matplotlib.text import Annotation
from matplotlib.transforms import IdentityTransform


class EndLabel(Annotation):
    """A line's name at its end. All labels of one plot keep clear of each other, whatever its final size."""

    def __init__(self, group: list, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.set_transform(IdentityTransform())  # as Axes.annotate does; its offset is no data coordinate
        self.set_clip_on(False)
        self.group = group
        group.append(self)

    def update_positions(self, renderer) -> None:
        _ = self.axes and self.axes.viewLim  # settles a pending autoscale, on which the position depends
        self._spread()
        super().update_positions(renderer)

    def _spread(self) -> None:
        labels = [label for label in self.group if label.axes is not None]
        root = self.get_figure(root=True)
        assert root is not None, "labels are drawn, so they are in a figure"
        points_per_pixel = 72 / root.dpi
        anchors = (
            np.array([label.axes.transData.transform(label.xy)[1] for label in labels]) * points_per_pixel
        )
        heights = np.array(
            [label.get_fontsize() * 1.2 * (label.get_text().count("\n") + 1) for label in labels]
        )
        for label, old, new in zip(labels, anchors, spread(anchors, heights), strict=True):
            label.set_position((7, new - old))


def spread(centers: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Positions as near as can be to `centers`, in their order, with intervals of these heights apart."""
    order = np.argsort(centers, kind="stable")
    blocks = []  # [members, wanted position of the block's lower edge, total height]
    for i in order:
        blocks.append([[i], centers[i] - heights[i] / 2, heights[i]])
        while len(blocks) > 1 and blocks[-2][1] + blocks[-2][2] > blocks[-1][1]:
            upper, lower = blocks.pop(), blocks[-1]
            n, m = len(lower[0]), len(upper[0])
            # Least squares: the merged block sits at the mean of what its members want.
            lower[1] = (n * lower[1] + m * (upper[1] - lower[2])) / (n + m)
            lower[0], lower[2] = lower[0] + upper[0], lower[2] + upper[2]
    placed = np.array(centers, dtype=float)
    for members, edge, _ in blocks:
        for i in members:
            placed[i] = edge + heights[i] / 2
            edge += heights[i]
    return placed
