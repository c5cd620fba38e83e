"""Pictures with controls: the same picture without a kernel, another one when a control moves, one output for both."""

from __future__ import annotations

import builtins

import nbformat
import pytest

from utils import plotting
from utils.authoring.solve import execute, tidy
from utils.plotting import controls as module

CELL = """
from utils import plotting

def draw(power, colour):
    fig, ax = plotting.figure(height=1.5)
    ax.plot([x**power for x in range(5)], color=plotting.COLORS[colour])
    return fig

def alt(power, colour):
    return f"A {colour} curve: x to the power of {power} for x from 0 to 4."

widget = plotting.explore(draw, alt, power=[1, 2, 3], colour=["blue", "orange"], start={"power": 2})
"""


def namespace(monkeypatch, jupyter: bool) -> dict:
    monkeypatch.setattr(module, "in_jupyter", lambda: jupyter)
    made: dict = {}
    exec(CELL, made)
    return made


def test_without_a_kernel_the_alt_text_is_printed(monkeypatch, capsys):
    assert namespace(monkeypatch, jupyter=False)["widget"] is None
    assert capsys.readouterr().out == "[A blue curve: x to the power of 2 for x from 0 to 4.]\n"


def test_a_control_that_moves_draws_again(monkeypatch):
    widget = namespace(monkeypatch, jupyter=True)["widget"]
    row, shown = widget.children
    power, colour = row.children
    assert (power.description, power.value, colour.value) == ("power", 2, "blue")
    assert "In a running notebook" not in shown.value, "the live one need not say so"
    before = shown.value
    power.value = 3
    assert shown.value != before and 'alt="A blue curve: x to the power of 3' in shown.value
    assert 'role="status"' in shown.value
    colour.value = "orange"
    assert 'alt="A orange curve' in shown.value


def test_without_ipywidgets_the_picture_is_shown(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert namespace(monkeypatch, jupyter=True)["widget"] is None


@pytest.mark.parametrize(
    ("choices", "start"), [({"power": []}, {}), ({"power": [1]}, {"power": 7}), ({}, {"hue": 1})]
)
def test_a_start_that_is_no_choice_is_refused(choices, start):
    with pytest.raises(ValueError, match="cannot start"):
        plotting.explore(lambda **_: None, lambda **_: "", start=start, **choices)


def test_a_stored_notebook_keeps_the_picture_and_drops_the_widget(tmp_path):
    cell = f"import sys; sys.path.insert(0, {str(course_folder())!r})\n{CELL}"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    execute(notebook, tmp_path, budget="smoke")
    (live,) = [o for o in notebook.cells[0].outputs if o.output_type == "display_data"]
    assert module.WIDGET in live.data and "<img " in live.data["text/html"]
    tidy(notebook)
    (stored,) = [o for o in notebook.cells[0].outputs if o.output_type == "display_data"]
    assert set(stored.data) == {"text/html", "text/plain"}
    assert "In a running notebook this picture has controls: power, colour." in stored.data["text/html"]
    assert 'alt="A blue curve' in stored.data["text/html"]


def course_folder():
    from utils.authoring.build import ROOT

    return ROOT
