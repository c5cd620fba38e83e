"""The pictures: colours that can be told apart, figures that are shown once, alt text, small files."""

import base64
import io
import itertools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tests.pictures import HANGUL, Tags
from utils import plotting
from utils.plotting import display, theme

ROOT = Path(__file__).resolve().parents[1]


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


def test_an_alt_text_is_looked_up_by_name(capsys, tmp_path, monkeypatch):
    (tmp_path / "01_first.toml").write_text(
        'two-paths = "The fused path takes {:.1f} ms, the {!r} one {:,}."\n'
    )
    monkeypatch.setattr(display, "TEXTS", tmp_path)
    display._stored.cache_clear()
    fig, _ = plotting.figure()
    plotting.show(fig, "01/two-paths", 1.25, "slow", 4000)
    assert capsys.readouterr().out == "[The fused path takes 1.2 ms, the 'slow' one 4,000.]\n"
    with pytest.raises(KeyError, match="three-paths"):
        plotting.show(plotting.figure()[0], "01/three-paths")
    with pytest.raises(IndexError):
        plotting.described("01/two-paths", 1.0)
    display._stored.cache_clear()


def test_a_picture_says_where_its_colour_maps_lie():
    """So that a page in the dark theme can turn the rest dark and leave what is read by its colours."""
    chart, ax = plotting.figure()
    plotting.lines(ax, np.arange(5), {"a": np.arange(5)}, xlabel="x", ylabel="y")
    assert 'data-keep=""' in plotting.mimebundle(chart, "A straight line from 0 to 4.")[0]["text/html"]
    both, (left, right) = plotting.figure(1, 2)
    plotting.heatmap(right, np.eye(4), title="eye", colorbar=False)
    html = plotting.mimebundle(both, "Empty axes, and a diagonal of ones.")[0]["text/html"]
    ((_, attributes),) = Tags(html).tags
    (box,) = attributes["data-keep"].split()
    x0, y0, x1, y1 = (int(edge) for edge in box.split(","))
    assert 450 < x0 < x1 <= 1000 and 0 <= y0 < y1 <= 1000
    assert left.get_position().x1 * 1000 < x0


def test_bundle_has_alt_text_and_a_small_opaque_picture():
    fig, ax = plotting.figure()
    plotting.lines(ax, np.arange(5), {"ViT": np.arange(5) ** 2}, xlabel="epoch", ylabel="accuracy")
    alt = 'Accuracy of the "ViT" <rises> & rises.'
    data, metadata = plotting.mimebundle(fig, alt)
    assert set(data) == {"text/html", "text/plain"} and data["text/plain"] == alt and metadata == {}
    ((tag, attributes),) = Tags(data["text/html"]).tags
    assert tag == "img" and attributes["alt"] == alt and "max-width:100%" in attributes["style"]
    start, _, content = attributes["src"].partition(",")
    assert start == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
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
    nbclient.NotebookClient(notebook, timeout=1200).execute()
    outputs = notebook.cells[0].outputs
    assert [output.output_type for output in outputs] == ["display_data"] * 3
    assert [set(output.data) for output in outputs] == [{"text/html", "text/plain"}] * 3
    assert [output.data["text/html"].count("base64,") for output in outputs] == [1, 1, 0], "stored once"
    assert 'alt="A line made by pyplot, shown once."' in outputs[1].data["text/html"]
    assert "재미" in outputs[2].data["text/html"] and "재미 (4.00)" in outputs[2].data["text/plain"]
