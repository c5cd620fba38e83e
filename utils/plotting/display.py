"""`show`: a figure on the page, with alt text, as a small PNG."""

import base64
import html
import io
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from utils.words import say

DPI = 130
PHOTO_DPI = 100  # photographs compress badly, and their pixels are drawn large anyway
SHORTEST_ALT = 15
TEXTS = Path(__file__).parent / "alt"  # stored alt texts
NAME = re.compile(r"\d\d/[a-z0-9-]+")
_EMPTY_WORDS = {
    *(
        "a",
        "an",
        "the",
        "of",
        "this",
        "is",
        "with",
        "some",
        "see",
        "here",
        "my",
        "our",
        "below",
        "above",
        "shown",
    ),
    *("figure", "plot", "image", "picture", "chart", "graph", "diagram", "heatmap", "results", "result"),
}


def in_jupyter() -> bool:
    """Whether this process is a Jupyter kernel, so that rich output has somewhere to go."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def check_alt(alt: str) -> str:
    """The alt text, with single spaces.

    Raises:
        ValueError: it is too short to say anything, or only says that there is a picture.
    """
    text = " ".join(str(alt).split())
    if len(text) < SHORTEST_ALT:
        raise ValueError(
            f"Alt text says what is to be seen, in {SHORTEST_ALT} characters or more; got {text!r}."
        )
    words = [word.strip(".,:;!?()0123456789").lower() for word in text.split()]
    if not [word for word in words if word and word not in _EMPTY_WORDS]:
        raise ValueError(f"Alt text says what is to be seen, not that there is a picture; got {text!r}.")
    return text


def png(fig: Figure, *, dpi: int | None = None) -> bytes:
    """The figure as a PNG with at most 256 colours (about a third of the size of full colour)."""
    pictures = fig.findobj(AxesImage)
    photos = any(np.asarray(picture.get_array()).ndim == 3 for picture in pictures)
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi or (PHOTO_DPI if photos else DPI))
    picture = Image.open(buffer).convert("RGB")
    colors = 256 if pictures else 96
    small = picture.quantize(colors, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
    out = io.BytesIO()
    small.save(out, format="png", optimize=True)
    return out.getvalue()


def described(name: str, *values: Any) -> str:
    """A stored alt text with values put into it.

    The texts lie in `utils/plotting/alt/<notebook>.toml`, out of the sight of whoever is to predict what a picture shows.

    Args:
        name: "notebook/text", such as "01/two-paths".
        *values: for the fields `{}` of the text, in order, as in `str.format`.

    Raises:
        KeyError: there is no such text.
        IndexError: the text has more fields than there are values.
    """
    notebook, _, text = name.partition("/")
    return say(_stored(notebook)[text], *values)


@cache
def _stored(notebook: str) -> dict[str, str]:
    file = next(TEXTS.glob(f"{notebook}*.toml"), None)
    return tomllib.loads(file.read_text(encoding="utf-8")) if file else {}


def kept_boxes(fig: Figure) -> list[tuple[int, int, int, int]]:
    """Where pictures and colour maps lie in the figure, per mille of its width and height: left, top, right, bottom.

    A page in dark colours may turn the rest of the figure (text, lines, bars on white) dark, and leaves these as they are.
    """
    boxes = []
    for ax in fig.axes:
        if any(isinstance(drawn, (AxesImage, QuadMesh)) for drawn in ax.get_children()):
            box = ax.get_position()
            boxes.append(tuple(round(1000 * edge) for edge in (box.x0, 1 - box.y1, box.x1, 1 - box.y0)))
    return boxes


def mimebundle(fig, alt: str) -> tuple[dict, dict]:
    """What Jupyter stores for a figure: `(data, metadata)` with HTML and plain text.

    The PNG is in the HTML and nowhere else: a second one as "image/png" would double the size of notebooks, and JupyterLab and Colab
    show it without its alt text.
    """
    alt = check_alt(alt)
    if hasattr(fig, "to_html"):  # tokens(): text, not a picture
        return {"text/html": fig.to_html(alt), "text/plain": f"{alt}\n{fig.to_text()}"}, {}
    data = base64.b64encode(png(fig)).decode("ascii")
    boxes = " ".join(",".join(map(str, box)) for box in kept_boxes(fig))
    tag = (
        f'<img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}" '
        f'width="{round(fig.get_figwidth() * 100)}" data-keep="{boxes}" style="max-width:100%;height:auto">'
    )
    return {"text/html": tag, "text/plain": alt}, {}


def show(fig, alt: str, *values: Any) -> None:
    """Shows a figure (or `tokens(...)`) in Jupyter; anywhere else prints its alt text.

    Args:
        fig: from `figure`, `images`, `flow`, `tokens`, or any matplotlib figure. It is closed afterwards.
        alt: what is to be seen, for whoever does not see it; or the name of a stored text, such as "01/two-paths".
        *values: for the fields of a stored text, see `described`.

    Raises:
        ValueError: the alt text is shorter than 15 characters or says no more than "figure".
        KeyError: no text is stored under this name.
    """
    alt = check_alt(described(alt, *values) if NAME.fullmatch(alt) else alt)
    if in_jupyter():
        from IPython.display import display

        data, metadata = mimebundle(fig, alt)
        display(data, raw=True, metadata=metadata)
    elif hasattr(fig, "to_text"):
        print(f"{alt}\n{fig.to_text()}")
    else:
        print(f"[{alt}]")
    close(fig)


def close(fig) -> None:
    """Frees the figure; one made by pyplot is also taken off pyplot's list, so that it isn't shown twice."""
    if not isinstance(fig, Figure):
        return
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(fig)
    fig.clear()
