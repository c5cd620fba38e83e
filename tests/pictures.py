"""What the tests of the pictures share: which texts are drawn and where, what covers what, and the tags of a bundle."""

import itertools
from html.parser import HTMLParser

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

HANGUL = ["이", "영화", "는", "정말", "재미", "없다"]


def extents(fig):
    """Draws the figure; returns the renderer and the figure's box, in pixels."""
    renderer, page, _ = texts(fig)
    return renderer, page


def texts(fig, kind=Text):
    """Draws once, as `show` does: the renderer, the page, and the texts really drawn with their boxes (of the words alone), in pixels.

    (matplotlib also keeps tick labels outside the axes, which it does not draw.)
    """
    drawn, real = [], Text.draw

    def draw(self, *args, **kwargs):
        drawn.append(self)
        return real(self, *args, **kwargs)

    canvas = FigureCanvasAgg(fig)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        canvas.draw()
    renderer = canvas.get_renderer()
    found = [text for text in dict.fromkeys(drawn) if isinstance(text, kind) and text.get_text().strip()]
    return renderer, fig.bbox, [(t, Text.get_window_extent(t, renderer)) for t in found if t.get_visible()]


def overlap(first, second) -> float:
    """Area shared by two boxes, in square pixels."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return max(width, 0) * max(height, 0)


def assert_nothing_cut_or_covered(fig, kind=Text, slack=1.0):
    _, page, boxes = texts(fig, kind)
    for text, box in boxes:
        assert page.x0 - slack <= box.x0 and box.x1 <= page.x1 + slack, f"{text.get_text()!r} is cut off"
        assert page.y0 - slack <= box.y0 and box.y1 <= page.y1 + slack, f"{text.get_text()!r} is cut off"
    for (text, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert overlap(box, other_box) < 4, f"{text.get_text()!r} covers {other.get_text()!r}"


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
