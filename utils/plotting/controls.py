"""`explore`: a picture with controls where a kernel is running, and the same picture without them anywhere else.

    plotting.explore(draw, alt, head=range(4), patch=range(64), start={"patch": 27})

`draw(head=0, patch=27)` gives the figure, `alt(head=0, patch=27)` its alt text. One output holds both: a widget (ipywidgets), which a
notebook with a kernel prefers, and the picture of the starting values, which stored notebooks, web pages and printers show.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from utils.plotting.display import close, in_jupyter, mimebundle

WIDGET = "application/vnd.jupyter.widget-view+json"
# JupyterLab takes the arrow keys of a list as its own ("next cell"), unless the list says that it should not.
KEYS = """<style onload="for (const list of this.closest('.widget-vbox').querySelectorAll('select'))
list.setAttribute('data-lm-suppress-shortcuts', '')"></style>"""
HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"


def explore(
    draw: Callable[..., Any],
    alt: Callable[..., str],
    *,
    start: Mapping[str, Any] | None = None,
    **choices: Iterable[Any],
) -> Any:
    """Shows `draw(**values)` with one control per choice; without a kernel or ipywidgets the picture of the start alone.

    Args:
        draw: gives a matplotlib figure for one value of every choice; it is closed afterwards.
        alt: gives the alt text for the same values.
        start: the values to begin with; default the first of each choice.
        **choices: the values of each choice; each gets a list with its name as label, which keyboards and screen readers know.

    Returns:
        the widget, or None where there is none.

    Raises:
        ValueError: a choice without values, or a start that is not among them.
    """
    options = {name: list(values) for name, values in choices.items()}
    values = {name: some[0] for name, some in options.items() if some} | dict(start or {})
    for name in options.keys() | values.keys():
        if values.get(name, name) not in options.get(name, []):
            raise ValueError(
                f"{name} cannot start at {values.get(name)!r}: its values are {options.get(name, [])}"
            )
    fig = draw(**values)
    data, metadata = mimebundle(fig, alt(**values))
    close(fig)
    if not in_jupyter():
        print(f"[{data['text/plain']}]")
        return None
    from IPython.display import display

    widget = _widget(draw, alt, options, values, data["text/html"])
    names = ", ".join(name.replace("_", " ") for name in options)
    data["text/html"] += (
        f'<p class="course-live">In a running notebook this picture has controls: {html.escape(names)}.</p>'
    )
    if widget is not None:
        data |= {WIDGET: widget._repr_mimebundle_()[WIDGET]}
    display(data, raw=True, metadata=metadata)
    return widget


def _widget(draw: Callable, alt: Callable, options: dict[str, list], values: dict, picture: str) -> Any:
    """Controls above the picture, or None where ipywidgets is missing."""
    try:
        import ipywidgets as widgets
    except ImportError:
        return None
    controls = {name: _control(widgets, name, some, values[name]) for name, some in options.items()}
    shown = widgets.HTML(picture + KEYS)

    def redraw(_: Any) -> None:
        now = {name: control.value for name, control in controls.items()}
        fig = draw(**now)
        data, _metadata = mimebundle(fig, alt(**now))
        close(fig)
        said = html.escape(data["text/plain"])  # read aloud when the picture changes
        shown.value = f'{data["text/html"]}<div role="status" style="{HIDDEN}">{said}</div>'

    for control in controls.values():
        control.observe(redraw, names="value")
    row = widgets.Box(list(controls.values()), layout={"flex_flow": "row wrap", "display": "flex"})
    return widgets.VBox([row, shown])


def _control(widgets: Any, name: str, some: list, value: Any) -> Any:
    # Not a slider: those of ipywidgets have no name that a screen reader could say.
    named = [(str(one), one) for one in some]
    style = {"description_width": "initial"}
    return widgets.Dropdown(options=named, value=value, description=name.replace("_", " "), style=style)
