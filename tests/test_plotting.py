"""The pictures: colours that can be told apart, text that is neither cut off nor covered, alt text, small files."""

import base64
import io
import itertools
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text
from PIL import Image
from scipy import stats

from utils import plotting
from utils.plotting import display, numbers, theme
from utils.plotting.endlabels import EndLabel, spread

ROOT = Path(__file__).resolve().parents[1]
HANGUL = ["이", "영화", "는", "정말", "재미", "없다"]


def extents(fig):
    """Draws the figure; returns the renderer and the figure's box, in pixels."""
    renderer, page, _ = texts(fig)
    return renderer, page


def texts(fig, kind=Text):
    """Draws once, as `show` does: the renderer, the page, and the texts really drawn with their boxes, in pixels.

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
    return renderer, fig.bbox, [(t, t.get_window_extent(renderer)) for t in found if t.get_visible()]


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


# ----------------------------------------------------------------------------------------------- colours

# G. M. Machado et al., 2009, severity 1.0, on linear RGB
DICHROMACY = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def lab(linear_rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ np.clip(
        linear_rgb, 0, 1
    )
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in xyz / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", DICHROMACY)
def test_colours_can_be_told_apart(vision):
    seen = []
    for color in plotting.COLORS:
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        seen.append(lab(np.array(DICHROMACY[vision]) @ linear))
    for (i, first), (j, second) in itertools.combinations(enumerate(seen), 2):
        assert np.linalg.norm(first - second) > 22, (plotting.COLORS.names[i], plotting.COLORS.names[j])


def test_colours_stand_out_from_the_background():
    assert theme.contrast("#000000", "#ffffff") == pytest.approx(21)
    for color in plotting.COLORS:
        assert theme.contrast(color, theme.BACKGROUND) >= 3
        assert theme.contrast(theme.darker(color), theme.BACKGROUND) >= 4.5
    for shade in np.linspace(0, 1, 101):
        for cmap in (theme.SEQUENTIAL, theme.DIVERGING):
            color = cmap(shade)[:3]
            assert theme.contrast(theme.text_on(color), color) >= 4
    lightness = [theme.luminance(theme.SEQUENTIAL(v)[:3]) for v in np.linspace(0, 1, 50)]
    assert all(np.diff(lightness) < 0)  # reads in grey print too


def test_colors_by_name_number_and_in_loops():
    assert plotting.COLORS["blue"] == plotting.COLORS[0] == plotting.COLORS[len(plotting.COLORS)]
    assert list(plotting.COLORS) == [color for _, color in plotting.COLORS.items()] == plotting.palette(7)
    assert len(plotting.palette(9)) == 9 and plotting.COLORS[1:3] == tuple(plotting.palette(3)[1:])
    with pytest.raises(KeyError, match="no colour 'pink'"):
        plotting.COLORS["pink"]


# ----------------------------------------------------------------------------------------- figure and show


def test_figure_shapes():
    fig, ax = plotting.figure()
    assert fig.get_figwidth() == 7.2 and ax in fig.axes and not isinstance(ax, np.ndarray)
    assert plotting.figure(1, 3)[1].shape == plotting.figure(3, 1)[1].shape == (3,)
    fig, axes = plotting.figure(2, 3, width=5, height=4)
    assert axes.shape == (2, 3) and tuple(fig.get_size_inches()) == (5, 4)
    with pytest.raises(ValueError, match="0 x 2"):
        plotting.figure(0, 2)


def test_import_forces_no_backend_and_figures_do_not_pile_up():
    code = """
        import sys
        from utils import plotting
        for _ in range(30):
            fig, ax = plotting.figure()
        assert "matplotlib.pyplot" not in sys.modules
        import matplotlib
        assert dict.__getitem__(matplotlib.rcParams, "backend") is matplotlib.rcsetup._auto_backend_sentinel
    """
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "MPLCONFIGDIR": ""}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "alt",
    [
        "",
        "short",
        "figure",
        "A figure.",
        "This is a plot of the results",
        "the picture  shown below: Figure 3",
    ],
)
def test_alt_text_that_says_nothing_is_refused(alt):
    fig, _ = plotting.figure()
    with pytest.raises(ValueError, match="says what is to be seen"):
        plotting.show(fig, alt)


def test_outside_jupyter_the_alt_text_is_printed(capsys):
    fig, _ = plotting.figure()
    plotting.show(fig, alt="Accuracy rises from 0.2\n to 0.8.")
    plotting.show(plotting.tokens(["not", "good"], [0.75, 0.25]), alt="The weight lies on the word not.")
    out = capsys.readouterr().out
    assert (
        out == "[Accuracy rises from 0.2 to 0.8.]\nThe weight lies on the word not.\nnot (0.75) good (0.25)\n"
    )
    assert not fig.axes  # freed


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


def test_bundle_has_alt_text_and_a_small_opaque_picture():
    fig, ax = plotting.figure()
    plotting.lines(ax, np.arange(5), {"ViT": np.arange(5) ** 2}, xlabel="epoch", ylabel="accuracy")
    alt = 'Accuracy of the "ViT" <rises> & rises.'
    data, metadata = plotting.mimebundle(fig, alt)
    assert set(data) == {"text/html", "image/png", "text/plain"} and data["text/plain"] == alt
    assert metadata["image/png"]["alt"] == alt
    ((tag, attributes),) = Tags(data["text/html"]).tags
    assert tag == "img" and attributes["alt"] == alt and "max-width:100%" in attributes["style"]
    assert attributes["src"] == "data:image/png;base64," + data["image/png"]
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.mode == "P" and picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert "transparency" not in picture.info
    assert picture.width == pytest.approx(7.2 * display.DPI, abs=1)


def test_pictures_stay_under_forty_kilobytes():
    rng = np.random.default_rng(0)
    fig, axes = plotting.figure(2, 4)
    for ax in axes.flat:
        plotting.heatmap(ax, rng.random((16, 16)), title="head", colorbar=False)
    busy, ax = plotting.figure()
    curves = {f"model {i}": rng.random((5, 20)).cumsum(1) for i in range(7)}
    plotting.lines(ax, np.arange(20), curves, xlabel="epoch", ylabel="accuracy")
    noise = plotting.images(rng.integers(0, 256, (16, 3, 32, 32), dtype=np.uint8))
    for figure in (fig, busy, noise):
        assert len(display.png(figure)) < 40_000


def test_quantising_keeps_the_colours():
    fig, ax = plotting.figure()
    values = {name: np.full(40, i) for i, name in enumerate(plotting.COLORS.names)}
    plotting.lines(ax, np.arange(40), values, xlabel="x", ylabel="y", colors=dict(plotting.COLORS.items()))
    ax.text(20, 3.5, "some text", color="#808000", alpha=0.3)
    pixels = np.asarray(Image.open(io.BytesIO(display.png(fig))).convert("RGB")).reshape(-1, 3).astype(int)
    for color in plotting.COLORS:
        wanted = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
        assert np.abs(pixels - wanted).max(1).min() <= 4, color


def test_in_a_kernel_a_figure_is_shown_once_with_its_alt_text():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    code = f"""
        import sys
        sys.path[:0] = [{str(ROOT)!r}]
        from utils import plotting
        import matplotlib.pyplot as plt
        fig, ax = plotting.figure()
        plotting.show(fig, alt="Empty axes, to see what is stored.")
        plt.plot([1, 2])
        plotting.show(plt.gcf(), alt="A line made by pyplot, shown once.")
        plotting.show(plotting.tokens({HANGUL}, range(6)), alt="Six Korean words, the last ones darkest.")
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(textwrap.dedent(code))])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    outputs = notebook.cells[0].outputs
    assert [output.output_type for output in outputs] == ["display_data"] * 3
    assert [set(output.data) for output in outputs] == [{"text/html", "image/png", "text/plain"}] * 2 + [
        {"text/html", "text/plain"}
    ]
    assert 'alt="A line made by pyplot, shown once."' in outputs[1].data["text/html"]
    assert "재미" in outputs[2].data["text/html"] and "재미 (4.00)" in outputs[2].data["text/plain"]


# ------------------------------------------------------------------------------------------------- charts


def test_t_interval_against_scipy():
    rng = np.random.default_rng(0)
    samples = rng.normal(3, 2, (5, 4))
    mean, half = numbers.t_interval(samples)
    for column in range(4):
        low, high = stats.t.interval(
            0.95, 4, loc=samples[:, column].mean(), scale=stats.sem(samples[:, column])
        )
        np.testing.assert_allclose([mean[column] - half[column], mean[column] + half[column]], [low, high])
    samples[1:, 0] = np.nan
    samples[0, 1] = np.nan
    mean, half = numbers.t_interval(samples)
    assert mean[0] == samples[0, 0] and np.isnan(half[0])
    np.testing.assert_allclose(half[1], stats.sem(samples[1:, 1]) * stats.t.ppf(0.975, 3))


def test_lines_draw_means_and_intervals():
    rng = np.random.default_rng(1)
    seeds = torch.tensor(rng.normal(0, 1, (4, 6)), requires_grad=True)
    fig, ax = plotting.figure()
    plotting.lines(
        ax, torch.arange(6), {"seeds": seeds, "one": list(range(6))}, xlabel="epoch", ylabel="loss (nats)"
    )
    mean, half = numbers.t_interval(seeds.detach().numpy())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), mean)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), range(6))
    (band,) = ax.collections  # none for the single run
    corners = band.get_paths()[0].vertices
    for i in range(6):
        at = np.sort(corners[corners[:, 0] == i][:, 1])
        np.testing.assert_allclose([at[0], at[-1]], [mean[i] - half[i], mean[i] + half[i]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss (nats)")
    with pytest.raises(ValueError, match=r"'short'.*\(3,\).*6"):
        plotting.lines(ax, range(6), {"short": [1, 2, 3]}, xlabel="x", ylabel="y")


@pytest.mark.parametrize("log", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("crowd", [2, 7])
def test_labels_stay_apart_and_on_the_page(log, crowd):
    x = np.array([64, 256, 1024, 4096])
    fig, axes = plotting.figure(1, 2)
    for ax in axes:
        curves = {f"window attention {i}": x * (1.0 + i * 1e-3) for i in range(crowd)}
        plotting.lines(ax, x, curves, xlabel="tokens N", ylabel="time (ms)", logx=log[0], logy=log[1])
    renderer, page, labels = texts(fig, EndLabel)
    boxes = [box for _, box in labels]
    middles = [box.y0 + box.height / 2 for box in boxes[:crowd]]
    assert middles == sorted(middles)  # in the order of the lines
    assert all(overlap(first, second) < 4 for first, second in itertools.combinations(boxes, 2))
    assert all(box.x1 <= page.x1 + 1 for box in boxes)
    right_panel = axes[1].yaxis.label.get_window_extent(renderer)
    assert all(overlap(box, right_panel) == 0 for box in boxes)


def test_labels_follow_when_the_axes_change():
    fig, ax = plotting.figure()
    plotting.lines(ax, [1, 2], {"a": [0, 1.0], "b": [0, 1.01]}, xlabel="x", ylabel="y")
    plotting.lines(ax, [1, 2], {"c": [0, 1.005]}, xlabel="x", ylabel="y")  # shares the crowd
    for top in (2, 50, 1.1):
        ax.set_ylim(0, top)
        assert_nothing_cut_or_covered(fig, EndLabel)


def test_spread_moves_as_little_as_can_be():
    np.testing.assert_allclose(spread(np.array([0.0, 10.0, 30.0]), np.full(3, 5.0)), [0, 10, 30])
    np.testing.assert_allclose(spread(np.array([10.0, 10.0]), np.full(2, 4.0)), [8, 12])
    placed = spread(np.array([5.0, 1.0, 1.5, 40.0]), np.array([2.0, 2.0, 4.0, 2.0]))
    assert placed[3] == 40 and placed[1] < placed[2] < placed[0]
    assert placed[2] - placed[1] >= 3 - 1e-9 and placed[0] - placed[2] >= 3 - 1e-9


def test_missing_values_end_a_line_early():
    fig, ax = plotting.figure()
    plotting.lines(ax, [1, 2, 3], {"stopped": [1, 2, np.nan], "never": [np.nan] * 3}, xlabel="x", ylabel="y")
    (label,) = ax.findobj(EndLabel)
    assert label.get_text() == "stopped" and tuple(label.xy) == (2, 2)
    extents(fig)


def test_bars_write_their_values():
    fig, ax = plotting.figure()
    values = {
        "attention": (0.8123, 0.0112),
        "a random fixed mixing matrix": torch.tensor(0.71),
        "lost": (-0.2, 0.03),
    }
    plotting.bars(ax, values, xlabel="accuracy")
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.8123, 0.71, -0.2])
    written = [text.get_text() for text in ax.texts]
    assert written == ["0.812 ± 0.011", "0.710", "−0.200 ± 0.030"]
    assert [bar.get_y() for bar in ax.patches] == sorted((b.get_y() for b in ax.patches), reverse=True)
    assert_nothing_cut_or_covered(fig)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345, "12,345"), (0.123456, "0.123"), (1234.5, "1,234"), (-3.14159, "−3.14"), (2.5e9, "2.50e9"),
     (0.00012, "1.20e−4"), (-0.5, "−0.500"), (1e7, "1.00e7"), (float("nan"), "no value"), (float("-inf"), "−inf")],
)  # fmt: skip
def test_numbers_as_text(value, text):
    assert numbers.number(value) == text


def test_heatmap():
    fig, axes = plotting.figure(1, 2)
    signed = torch.tensor([[1.0, -3.0, 0.5], [0.25, float("nan"), 2.0]], requires_grad=True)
    picture = plotting.heatmap(axes[0], signed, diverging=True, annotate=True, label="score", title="Scores")
    assert (picture.norm.vmin, picture.norm.vmax) == (-3, 3)
    assert [t.get_text() for t in axes[0].texts] == [
        "1.00",
        "−3.00",
        "0.50",
        "0.25",
        "2.00",
    ]  # NaN stays empty
    weights = plotting.heatmap(
        axes[1], [[0.1, 0.9]], xlabels=["a", "b"], ylabels=["q"], xlabel="key", ylabel="query"
    )
    assert weights.norm.vmin == 0 and [t.get_text() for t in axes[1].get_xticklabels()] == ["a", "b"]
    narrow = plotting.heatmap(plotting.figure()[1], [[0.8, 0.9]])
    assert narrow.norm.vmin == 0.8
    assert_nothing_cut_or_covered(fig)
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        plotting.heatmap(axes[0], torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="1 labels for 2 columns"):
        plotting.heatmap(axes[0], [[1, 2]], xlabels=["a"])


def test_heatmap_row_zero_is_on_top():
    fig, ax = plotting.figure()
    plotting.heatmap(ax, np.arange(12).reshape(3, 4))
    extents(fig)
    assert ax.transData.transform((0, 0))[1] > ax.transData.transform((0, 2))[1]


@pytest.mark.parametrize("shape", [(9, 9), (6, 5), (4, 12)])
def test_heatmap_values_fit_their_cells(shape):
    fig, axes = plotting.figure(1, 2)
    for ax, values in zip(
        axes, (np.arange(np.prod(shape)) % 25, np.linspace(-2, 2, np.prod(shape))), strict=True
    ):
        plotting.heatmap(ax, values.reshape(shape), annotate=True, colorbar=False)
        renderer, _ = extents(fig)
        corners = ax.transData.transform([(0, 0), (1, 1)])
        cell = abs(corners[1] - corners[0])
        for text, box in ((t, t.get_window_extent(renderer)) for t in ax.texts):
            assert box.width <= cell[0], text.get_text()


def test_long_word_labels_do_not_collide():
    words = [f"unbelievable{i}" for i in range(14)]
    fig, ax = plotting.figure(width=5, height=4.4)
    plotting.heatmap(ax, np.eye(14), xlabels=words, ylabels=words, xlabel="key", ylabel="query")
    renderer, page = extents(fig)
    labels = [(t, t.get_window_extent(renderer)) for t in ax.get_xticklabels() + ax.get_yticklabels()]
    assert all(box.x0 >= page.x0 and box.y0 >= page.y0 for _, box in labels)
    rows = [box for _, box in labels[14:]]
    assert all(overlap(a, b) < 4 for a, b in itertools.combinations(rows, 2))


def test_images_are_the_images():
    batch = torch.randint(0, 256, (5, 3, 4, 6), dtype=torch.uint8)
    fig = plotting.images(batch, titles=["cat", "dog", "a very long class name", "ship", "frog"], cols=3)
    shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(fig.axes) == 6 and len(shown) == 5
    for image, pixels in zip(batch, shown, strict=True):
        np.testing.assert_allclose(pixels, image.permute(1, 2, 0).numpy() / 255)
    assert_nothing_cut_or_covered(fig)


def test_images_rescale():
    grey = torch.tensor([[[0.0, 2.0], [1.0, -2.0]], [[0.0, 0.5], [0.25, 0.0]]])
    together = [ax.images[0].get_array() for ax in plotting.images(grey).axes]
    np.testing.assert_allclose(together[1], [[0.5, 0.625], [0.5625, 0.5]])
    each = [ax.images[0].get_array() for ax in plotting.images(grey, rescale="each").axes]
    np.testing.assert_allclose(each[1], [[0, 1], [0.5, 0]])
    inside = [ax.images[0].get_array() for ax in plotting.images(grey[1:]).axes]
    np.testing.assert_allclose(inside[0], grey[1])  # floats in [0, 1] stay as they are
    listed = plotting.images([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)])
    assert listed.axes[1].images[0].get_array().min() == 1
    with pytest.raises(ValueError, match=r"\(2, 4, 3, 3\)"):
        plotting.images(torch.zeros(2, 4, 3, 3))
    with pytest.raises(ValueError, match="1 titles for 2"):
        plotting.images(torch.zeros(2, 3, 3), titles=["one"])


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
@pytest.mark.parametrize("count", range(1, 10))
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
