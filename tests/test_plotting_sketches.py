"""The sketches, and Hangul with and without a font; text that is neither cut off nor covered."""

import itertools
import re

import numpy as np
import pytest
import torch
from matplotlib.patches import FancyBboxPatch

from tests.kinds import each
from tests.pictures import HANGUL, Tags, assert_nothing_cut_or_covered, extents, overlap, texts
from utils import plotting
from utils.plotting import recurrent, theme, transformer

# ----------------------------------------------------------------------------------------------- sketches


def test_tokens_write_every_weight_below_its_word():
    strip = plotting.tokens(["not", "<b>", *HANGUL], torch.linspace(0, 0.7, 8), title="Layer 2 & 3")
    page = strip.to_html("The last words weigh most.")
    parsed = Tags(page)
    words = [word for word in parsed.words if word.strip()]
    assert words[0] == "Layer 2 & 3" and words[1:5] == ["not", "0.00", "<b>", "0.10"]
    assert words[-2:] == ["없다", "0.70"] and "<b>&" not in page
    assert parsed.tags[0][1]["aria-label"] == "The last words weigh most."
    assert strip.to_text().endswith("없다 (0.70)") and repr(strip) == strip.to_text()
    for tag, attributes in parsed.tags:
        style = dict(item.split(":") for item in attributes.get("style", "").split(";") if item)
        if tag == "span":
            assert theme.contrast(style["color"], style["background-color"]) >= 4.5


def test_tokens_with_signs_and_rows():
    strip = plotting.tokens(["a", "b"], [[0.5, -1.0], [0.0, 0.25]], rows=["head 1", "head 2"])
    assert strip.to_text() == "head 1: a (+0.50) b (−1.00)\nhead 2: a (+0.00) b (+0.25)"
    assert Tags(strip.to_html()).words.count("a") == 2
    zeros = plotting.tokens(["a"], [0.0])
    assert "0.00" in zeros.to_html()
    with pytest.raises(ValueError, match=r"2 words.*\(3,\)"):
        plotting.tokens(["a", "b"], [1, 2, 3])
    with pytest.raises(ValueError, match="1 row names for 2 rows"):
        plotting.tokens(["a"], [[1], [2]], rows=["one"])


STEPS = [
    ("image", "(B, 3, 224, 224)"), ("cut into patches", "(B, 196, 768)"), ("linear embedding", "(B, 196, 768)"),
    ("add class token", "(B, 197, 768)"), ("add positions", "(B, 197, 768)"), ("encoder layer × 12", "(B, 197, 768)"),
    ("layer norm", "(B, 197, 768)"), ("take the class token", "(B, 768)"), ("linear head", "(B, 1000)"),
]  # fmt: skip


@pytest.mark.parametrize("title", [None, "Vision Transformer"])
@pytest.mark.parametrize("count", each(range(1, 10), (1, 4, 9).__contains__, others="slow"))
def test_flow_fits_at_every_length(count, title):
    for steps in (
        STEPS[:count],
        [(name, "(B, N, D)") for name, _ in STEPS[:count]],
        [(n, None) for n, _ in STEPS[:count]],
    ):
        fig = plotting.flow(steps, title=title)
        assert fig.get_figwidth() <= 7.2
        assert_nothing_cut_or_covered(fig)
        renderer, _, written_texts = texts(fig)
        boxes = [patch.get_window_extent(renderer) for patch in fig.findobj(FancyBboxPatch)]
        assert len(boxes) == count
        assert all(overlap(a, b) == 0 for a, b in itertools.combinations(boxes, 2))
        written = {}
        for text, extent in written_texts:
            inside = [box for box in boxes if overlap(extent, box) > 0]
            if inside:  # a step's name: wholly in its box
                assert len(inside) == 1 and overlap(extent, inside[0]) > 0.99 * extent.width * extent.height
            written.setdefault(" ".join(text.get_text().split()), []).append(bool(inside))
        for name, shape in steps:
            assert written[name] == [True]
            assert not shape or written[shape] == [False] * sum(s == shape for _, s in steps)


def test_flow_draws_an_arrow_per_shape():
    assert len(plotting.flow(STEPS).axes[0].texts) == 9 + 9 + 9  # names, shapes, arrow heads
    last_open = [*STEPS[:-1], ("linear head", None)]
    assert len(plotting.flow(last_open).axes[0].texts) == 9 + 8 + 8
    with pytest.raises(ValueError, match="at least one step"):
        plotting.flow([])


# ------------------------------------------------------------------------------------------------- Hangul


@pytest.fixture
def no_hangul_font(monkeypatch):
    monkeypatch.setattr(theme, "hangul_font", lambda: None)


def test_hangul_without_a_font_becomes_numbers_and_a_legend(no_hangul_font, capsys, recwarn):
    assert plotting.readable(["not", "gut", "schön"]) == ["not", "gut", "schön"]
    assert capsys.readouterr().out == ""
    assert plotting.readable(HANGUL) == ["w1", "w2", "w3", "w4", "w5", "w6"]
    assert capsys.readouterr().out == "w1 = 이, w2 = 영화, w3 = 는, w4 = 정말, w5 = 재미, w6 = 없다\n"
    fig, axes = plotting.figure(1, 2)
    plotting.heatmap(axes[0], np.eye(6), xlabels=HANGUL, ylabels=HANGUL)
    plotting.bars(axes[1], {"영화": 1.0, "film": 2.0})
    plotting.lines(axes[1], [0, 1], {"영화": [0, 1]}, xlabel="x", ylabel="y")
    extents(fig)
    assert capsys.readouterr().out.count("w2 = 영화") == 1  # the same labels on both axes: one legend
    assert not [warning for warning in recwarn if "missing from" in str(warning.message)]


def test_hangul_with_a_font_is_drawn(monkeypatch):
    monkeypatch.setattr(theme, "hangul_font", lambda: "Some Gothic")
    real = theme._characters
    hangul = frozenset(range(0xAC00, 0xD7A4))
    monkeypatch.setattr(
        theme, "_characters", lambda family: hangul if family == "Some Gothic" else real(family)
    )
    assert plotting.readable(HANGUL) == HANGUL


def test_hangul_font_is_looked_for_among_the_installed(monkeypatch):
    from types import SimpleNamespace

    theme.hangul_font.cache_clear()
    for names, expected in (
        (["DejaVu Sans", "NanumGothic", "Malgun Gothic"], "NanumGothic"),
        (["DejaVu Sans"], None),
    ):
        fonts = SimpleNamespace(ttflist=[SimpleNamespace(name=name) for name in names])
        monkeypatch.setattr(theme.font_manager, "fontManager", fonts)
        assert theme.hangul_font() == expected
        theme.hangul_font.cache_clear()


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_has_a_norm_and_an_addition_for_each_move(norm_first):
    fig = transformer.transformer(norm_first)
    said = [text.get_text() for text, _ in texts(fig)[2]]
    if norm_first:  # two moves and three, and a norm behind each stack
        assert said.count("layer norm") == 7 and said.count("+") == 5
    else:
        assert said.count("add, layer norm") == 5
    assert_nothing_cut_or_covered(fig)


def test_lstm_cell_shows_its_gates_and_states():
    fig = recurrent.lstm_cell()
    said = {text.get_text() for text, _ in texts(fig)[2]}
    assert {"f: sigmoid", "i: sigmoid", "g: tanh", "o: sigmoid", "cell $c_{t-1}$", "state $h_{t-1}$"} <= said
    assert_nothing_cut_or_covered(fig)


def test_strips_with_one_limit_can_be_compared():
    """Equal weights have equal colours in both, and every weight its sign."""

    def colours(weights, limit):
        page = plotting.tokens(["a", "b"], weights, limit=limit).to_html()
        return re.findall(r"background-color:(#\w+)", page)[-2:]  # the first is the strip's own

    strong, weak = colours([5.94, 1.5], 6.0), colours([1.5, -1.5], 6.0)
    assert strong[1] == weak[0] and weak[0] != weak[1]
    assert colours([1.5, -1.5], None)[0] != weak[0], "without a limit each strip has a scale of its own"
    assert "+1.50" in plotting.tokens(["a"], [1.5], limit=6.0).to_text()
