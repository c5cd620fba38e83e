"""The course as web pages: built from stored outputs, all links valid, and usable in a real browser without a network."""

from __future__ import annotations

import base64
import colorsys
import functools
import io
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from tests.browser import DESK, LAPTOP, PATIENCE, PHONE, TABLET, Console, overflow, violations

pytest.importorskip(
    "myst_nb", reason="The site needs Sphinx and myst-nb: run `make test`, which installs them."
)

from utils.authoring import settings
from utils.authoring.book.__main__ import ROOT, notebook_names
from utils.authoring.book.mathml import to_mathml
from utils.authoring.book.texts import relinked
from utils.plotting.theme import contrast
from utils.words import say, speaking

pytestmark = pytest.mark.slow

NAMES = notebook_names()
FIRST = "01_transformer_recap"
SHOTS = os.environ.get("COURSE_SCREENSHOTS", "")  # a folder: keep pictures of the pages there


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Folder of the site, built once, by the command that `make book` runs."""
    out = tmp_path_factory.mktemp("book") / "site"
    command = [sys.executable, "-m", "utils.authoring.book", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def parsed(site):
    """Every page, parsed: file name -> soup."""
    return {path.name: BeautifulSoup(path.read_bytes(), "html.parser") for path in site.glob("*.html")}


@pytest.fixture(scope="session")
def address(site):
    """Where the site is served, on the loopback device."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def page(browser, address):
    """A page that can reach the site and nothing else; `page.outside` lists what it asked for elsewhere."""
    context = browser.new_context(viewport=LAPTOP)
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.outside = []

    def only_here(route):
        if route.request.url.startswith((address, "data:")):
            route.continue_()
        else:
            opened.outside.append(route.request.url)
            route.abort()

    context.route("**/*", only_here)
    yield opened
    context.close()


def shoot(page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"site-{name}.png"))


def stored_pictures(name: str) -> list[str]:
    """Alt texts of the pictures stored in a solved notebook, in order."""
    cells = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = [
        o.data["text/html"] for o in outputs if "data:image/png" in o.get("data", {}).get("text/html", "")
    ]
    return [BeautifulSoup(text, "html.parser").img["alt"] for text in texts]


# ---------------------------------------------------------------- what is on the pages


def test_every_internal_link_leads_somewhere(site, parsed):
    anchors = {name: {tag["id"] for tag in soup.find_all(id=True)} for name, soup in parsed.items()}
    broken = []
    for name, soup in parsed.items():
        for tag in soup.find_all(["a", "link", "script", "img"]):
            link = tag.get("href") or tag.get("src") or ""
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc or not link or link == "#":
                continue
            target = site / urllib.parse.unquote(parts.path) if parts.path else site / name
            if not target.is_file():
                broken.append(f"{name}: {link}")
            elif parts.fragment and target.suffix == ".html" and parts.fragment not in anchors[target.name]:
                broken.append(f"{name}: {link} (no such place on the page)")
    assert broken == []
    assert sum(len(soup.find_all("a", href=True)) for soup in parsed.values()) > 100


@pytest.mark.thorough
def test_every_page_leads_to_itself_in_every_language(site):
    for path in [*site.glob("*.html"), *(site / "ko").glob("*.html")]:
        soup = BeautifulSoup(path.read_bytes(), "html.parser")
        language = path.parent.name if path.parent != site else "en"
        assert soup.html["lang"] == language
        links = {link["lang"]: path.parent / link["href"] for link in soup.select(".course-languages a")}
        assert set(links) == {"en", "ko"}, path
        assert all(target.is_file() and target.name == path.name for target in links.values()), path
    english = BeautifulSoup((site / "ko" / "contributing.html").read_bytes(), "html.parser")
    assert english.select_one('article [lang="en"] h1').get_text() == "How this course is built#"
    korean = BeautifulSoup((site / "ko" / "places.html").read_bytes(), "html.parser")
    assert (
        not korean.select('article [lang="en"]') and "남습니까" in korean.select_one("article h1").get_text()
    )


@pytest.mark.parametrize("size", [PHONE, TABLET, LAPTOP, DESK], ids=lambda size: str(size["width"]))
def test_the_switch_of_languages_is_whole_within_the_bar(address, page, size):
    """In a second row of the bar at the top it was cut in two."""
    page.set_viewport_size(size)
    page.goto(f"{address}/ko/{FIRST}.html")
    bar, switch = (page.locator(name).bounding_box() for name in (".bd-header-article", ".course-languages"))
    assert bar["y"] <= switch["y"] and switch["y"] + switch["height"] <= bar["y"] + bar["height"]
    assert switch["x"] >= 0 and switch["x"] + switch["width"] <= size["width"]


def test_the_korean_site_speaks_korean_and_finds_it(address, page, site):
    console = Console(page)
    page.goto(f"{address}/{FIRST}.html")
    page.locator(".course-languages a", has_text="한국어").click()
    page.wait_for_url(f"**/ko/{FIRST}.html")
    assert "트랜스포머" in page.locator("article h1").first.inner_text()
    fold = page.locator("details", has_text="답 보기").first
    fold.locator("summary").click()
    assert fold.locator("pre").first.is_visible()
    page.goto(f"{address}/ko/search.html?q=등변성")
    found = page.locator("#section-results li")
    found.first.wait_for()
    assert "등변성" in found.first.inner_text()
    assert re.match(r"절 \d+개를 찾았습니다", page.locator("#section-count").inner_text())
    found.first.locator("a").click()
    page.wait_for_url("**/ko/*.html#*")
    assert console.errors == [] and page.outside == []


def test_pages_load_nothing_from_elsewhere(parsed):
    for name, soup in parsed.items():
        loaded = [tag["src"] for tag in soup.find_all(["script", "img"], src=True)]
        loaded += [tag["href"] for tag in soup.find_all("link", rel=["stylesheet", "preload", "icon"])]
        assert [link for link in loaded if urllib.parse.urlsplit(link).netloc] == [], name


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_the_stored_ones_with_their_alt_text(site, parsed, name):
    pictures = parsed[f"{name}.html"].select(".cell_output img")
    for theme in ("light", "dark"):  # the theme shows one of the two, and screen readers read one
        shown = [picture["alt"] for picture in pictures if f"only-{theme}" in picture["class"]]
        assert shown == stored_pictures(name), theme
    assert pictures or name != FIRST
    for picture in pictures:
        assert (site / picture["src"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_folded_and_their_stubs_are_not(parsed, name):
    soup = parsed[f"{name}.html"]
    folds = [fold for fold in soup.find_all("details") if "Show the answer" in fold.summary.get_text()]
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    stubs = [
        cell
        for cell in cells
        if cell.metadata.get("nbgrader", {}).get("solution") and cell.cell_type == "code"
    ]
    assert len(folds) == len(stubs)
    assert not any(fold.has_attr("open") for fold in soup.find_all("details"))
    for fold in folds:
        assert "NotImplementedError" not in fold.get_text()
        assert "BEGIN SOLUTION" not in fold.get_text()
        fold.extract()
    open_text = soup.find("article").get_text()
    assert open_text.count('raise NotImplementedError("not started yet")') >= len(stubs)


@pytest.mark.parametrize("name", NAMES)
def test_each_notebook_has_its_buttons(site, parsed, name):
    links = {a.get_text(): a["href"] for a in parsed[f"{name}.html"].select("a.course-button")}
    assert links["Open it in Colab"] == settings.colab(name)
    student = (site / links["Download the notebook"]).read_bytes()
    assert student == (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
    assert (site / links["Download it solved"]).read_bytes() == (
        ROOT / "solutions" / f"{name}.ipynb"
    ).read_bytes()


def test_formulas_are_mathml(parsed):
    assert sum(len(soup.find_all("math")) for soup in parsed.values()) > 50
    for name in NAMES:
        soup = parsed[f"{name}.html"]
        cells = nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4).cells
        written = sum(cell.source.count("$$") // 2 for cell in cells if cell.cell_type == "markdown")
        assert len(soup.find_all("math")) >= written, name
        assert "$$" not in "".join(p.get_text() for p in soup.select("article p")), name


def test_code_and_outputs_wrap_in_the_page(parsed):
    """The longest lines of code are 96 columns; what is printed can be longer, and wraps too."""
    css = (ROOT / "docs" / "_static" / "course.css").read_text(encoding="utf-8")
    assert ".bd-article pre { font-size: 0.8rem; white-space: pre-wrap;" in css


def test_dark_pictures_are_dark_and_keep_their_colours():
    from utils import plotting
    from utils.authoring.book.pictures import BACKGROUND, dark, flipped
    from utils.plotting import display, theme

    fig, (left, right) = plotting.figure(1, 2)
    plotting.lines(left, np.arange(5), {"a": np.arange(5)}, xlabel="x", ylabel="y")
    plotting.heatmap(right, np.eye(8), title="eye", colorbar=False)
    tag = display.mimebundle(fig, "A line, and a diagonal of ones.")[0]["text/html"]
    content = base64.b64decode(re.search(r'base64,([^"]+)"', tag)[1])
    boxes = re.search(r'data-keep="([^"]+)"', tag)[1]
    before, after = (
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float) / 255
        for data in (content, dark(content, boxes))
    )
    assert before[2, 2].min() > 0.95 and after[2, 2].max() < 0.15, "the margin turns dark"
    x0, y0, x1, y1 = (int(edge) / 1000 for edge in boxes.split()[0].split(","))
    height, width = before.shape[:2]
    inside = np.s_[int(y0 * height) + 4 : int(y1 * height) - 4, int(x0 * width) + 4 : int(x1 * width) - 4]
    assert np.abs(before[inside] - after[inside]).max() < 0.05, "the colour map stays"
    assert dark(content, None) == content
    page = "#" + f"{round(BACKGROUND * 255):02x}" * 3
    for color in plotting.COLORS:
        pixel = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        turned = flipped(pixel)
        assert abs(colorsys.rgb_to_hls(*pixel)[0] - colorsys.rgb_to_hls(*turned)[0]) < 0.02, color
        assert theme.contrast("#" + "".join(f"{round(255 * c):02x}" for c in turned), page) >= 3, color


# ---------------------------------------------------------------- in the browser


def test_search_finds_a_section(address, page):
    console = Console(page)
    page.goto(f"{address}/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("equivariance")
    page.keyboard.press("Enter")
    found = page.locator("#section-results li")
    found.first.wait_for()
    shoot(page, "search")
    titles = found.locator("a").all_inner_texts()
    assert any("rebuilt from its parts" in title and "›" in title for title in titles), titles
    assert all("equivarian" in item.lower() for item in found.all_inner_texts()[:10])
    assert page.locator("#section-results mark").count() > 3
    first = found.locator("a", has_text="rebuilt from its parts").first
    anchor = first.get_attribute("href").partition("#")[2]
    first.click()
    page.wait_for_url(f"**/{FIRST}.html#{anchor}")
    top = page.locator(f'[id="{anchor}"]').bounding_box()["y"]
    assert -LAPTOP["height"] < top < LAPTOP["height"], "the section is in view, not only its page"
    page.goto(f"{address}/search.html?q=nosuchword")
    assert page.locator("#section-count").inner_text() == "0 sections found."
    assert console.errors == []
    assert page.outside == []


@pytest.mark.parametrize("size", [PHONE, TABLET, DESK], ids=lambda size: str(size["width"]))
def test_menu_and_contents_open_at_a_tap(browser, address, size):
    """What a stranger's finger does: the menu leads to another notebook, the contents to a section."""
    context = browser.new_context(viewport=size, has_touch=True)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    console = Console(page)
    page.goto(f"{address}/{FIRST}.html")
    menu = page.locator(".bd-header-article .primary-toggle")
    link = page.locator(
        f'#pst-primary-sidebar-modal a[href="{NAMES[1]}.html"], #pst-primary-sidebar a[href="{NAMES[1]}.html"]'
    )
    if size["width"] < 992:
        assert not link.first.is_visible()
    else:  # the bar stands open: the button closes it, and opens it again
        menu.tap()
        link.first.wait_for(state="hidden")
    menu.tap()
    link.first.wait_for()
    shoot(page, f"menu-{size['width']}")
    link.first.tap()
    page.wait_for_url(f"**/{NAMES[1]}.html")
    if size["width"] < 1200:
        page.locator(".bd-header-article .secondary-toggle").tap()
    contents = page.locator('#pst-secondary-sidebar-modal a[href^="#"], #pst-secondary-sidebar a[href^="#"]')
    contents.nth(3).wait_for()
    shoot(page, f"contents-{size['width']}")
    anchor = contents.nth(3).get_attribute("href")
    contents.nth(3).tap()
    page.wait_for_url(f"**/{NAMES[1]}.html{anchor}")
    assert console.errors == []
    context.close()


@pytest.mark.thorough
def test_on_paper_nothing_is_folded_and_nothing_dark(address, page):
    page.add_init_script("localStorage.setItem('mode', 'dark'); localStorage.setItem('theme', 'dark')")
    page.goto(f"{address}/{FIRST}.html")
    folds = page.locator("details")
    assert folds.count() > 10 and not page.locator("details[open]").count()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details[open]").count() == folds.count()
    assert page.locator("html").get_attribute("data-theme") == "light"
    for part in (".bd-sidebar-primary", ".bd-header-article", ".course-actions"):
        assert not page.locator(part).first.is_visible(), part
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator("details[open]").count()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_an_index_stands_at_the_foot_and_rows_at_their_signs(address, page):
    """Drawn: `aligned` puts the relation signs of all rows above each other; an index is beside its letter, not under it."""
    page.goto(f"{address}/02_lstm_sentiment.html")
    signs = page.locator("mtable.ams-align > mtr > mtd:nth-child(2) > mo:first-child")
    edges = [sign.bounding_box()["x"] for sign in signs.all()]
    assert len(edges) >= 6 and max(edges) - min(edges) < 2, edges
    page.set_content(f"<p>{to_mathml(chr(92) + 'tilde{A}_l')}</p>")
    letter, accent, index = (page.locator(tag).first.bounding_box() for tag in ("mi", "mo", "msub > mi"))
    assert index["x"] >= letter["x"] + letter["width"] - 2 and index["y"] > letter["y"]
    assert accent["y"] <= letter["y"] + 2


def test_an_answer_unfolds_by_keyboard(address, page):
    console = Console(page)
    page.goto(f"{address}/{FIRST}.html")
    fold = page.locator("details", has_text="Show the answer").first
    code = fold.get_by_text("masked_fill").first
    assert not code.is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    code.wait_for()
    page.evaluate("scrollBy(0, 400)")
    shoot(page, "answer")
    assert console.errors == []


@pytest.mark.thorough
def test_every_page_fits_phone_and_laptop_and_its_menu_opens(address, page, site):
    """Every page of every language: nothing is cut off, code wraps, and on a phone a tap on the menu shows the notebooks."""
    console = Console(page)
    folders = (site, site / "ko")
    paths = sorted(path.relative_to(site) for folder in folders for path in folder.glob("*.html"))
    assert len(paths) > 2 * len(NAMES)
    text = "html, .bd-article, .bd-article section, .bd-search-container, .cell_output"
    menu, link = (
        page.locator(".bd-header-article .primary-toggle"),
        page.locator("#pst-primary-sidebar-modal a"),
    )
    for path in paths:
        page.set_viewport_size(LAPTOP)
        page.goto(f"{address}/{path}", wait_until="domcontentloaded")
        assert overflow(page, text) == [], f"{path} at {LAPTOP}"
        page.set_viewport_size(PHONE)
        shoot(page, f"{path.with_suffix('')}-390".replace("/", "-"))
        assert overflow(page, text) == [], f"{path} at {PHONE}"
        wide = page.locator(".bd-article pre").evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText.slice(0, 80))"
        )
        assert wide == [], f"code that does not wrap on {path}"
        menu.click()
        link.get_by_text(f"{int(NAMES[-1][:2])} · ").wait_for()
    assert console.errors == []
    assert page.outside == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation_in_the_content(address, page, theme):
    """On the start page, and where a notebook has one of each: text, formula, code, fold, panel, picture."""
    page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
    exercise = 'section:has(> section[id^="exercise-1-1"])'
    search = "search.html?q=attention"
    for name, part in (
        ("index.html", ".bd-article"),
        (f"{FIRST}.html", exercise),
        (search, ".bd-search-container"),
    ):
        page.goto(f"{address}/{name}")
        assert page.locator("html").get_attribute("data-theme") == theme
        for fold in page.locator(f"{part} details summary").all():
            fold.click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)  # what unfolds fades in, and half faded it has too little contrast
        shoot(page, f"{name}-{theme}")
        assert violations(page, [part]) == [], name


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("spoken", ["en", "ko"])
def test_the_page_without_a_kernel_draws_what_the_model_does(address, page, spoken, theme):
    """By keyboard: another block, another patch; what is said is what torch says of the checkpoint, in the page's language."""
    from utils.authoring.book import look

    page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
    with speaking(spoken):
        labels = {name: say(text) for name, text in look.TEXTS.items()}
    weights, images, names = look.attention()
    console = Console(page)
    page.goto(f"{address}/{'' if spoken == 'en' else spoken + '/'}look.html")
    said = page.locator("#look-attention [role=status]")
    said.wait_for()
    for label, key in (("block", "Home"), ("head", "End"), ("patch row", "Home"), ("column", "End")):
        page.locator("#look-attention").get_by_label(labels[label], exact=True).focus()
        page.keyboard.press(key)
    row = weights[0, 0, -1, 1 + 7, 1:]
    places = {"block": 1, "head": weights.shape[2], "row": 1, "column": 8}
    pattern = re.escape(labels["attends"]).replace(r"\{", "{").replace(r"\}", "}")
    told = re.fullmatch(
        pattern.format(**places, down=r"(?P<down>\d)", right=r"(?P<right>\d)", percent=r"(?P<percent>\d+)"),
        said.inner_text(),
    )
    assert told, said.inner_text()
    down, right, percent = (int(told[name]) for name in ("down", "right", "percent"))
    here = float(row[(down - 1) * 8 + right - 1])
    assert here**0.5 >= float(row.max()) ** 0.5 - 1 / 255, "the largest, but for the rounding to a byte"
    assert abs(percent - 100 * float(row.max())) < 1
    page.locator("#look-attention svg").first.click(position={"x": 5, "y": 60})
    chosen = [
        page.locator("#look-attention").get_by_label(labels[name], exact=True).input_value()
        for name in ("patch row", "column")
    ]
    assert chosen == ["1", "0"], "a click chooses the patch"
    page.get_by_label(labels["shift"], exact=True).select_option("1")
    count = int(look.seen(1)[6 * 8 + 1].sum())
    mask = labels["sees"].format(shift=1, row=7, column=2, count=count, all=64)
    assert page.locator("#look-mask [role=status]").inner_text() == mask
    assert page.locator("#look-mask svg").get_attribute("aria-label") == mask
    paper, ink, line = (
        page.locator(part).first.evaluate(f"e => getComputedStyle(e).{what}")
        for part, what in (
            (".look-board", "backgroundColor"),
            (".look-pixel.look-weight", "fill"),
            (".look-frame", "stroke"),
        )
    )
    assert (max(channels(paper)) < 64) == (theme == "dark"), paper
    for color in (ink, line):
        assert contrast(*(f"#{bytes(channels(one)).hex()}" for one in (color, paper))) >= 3, color
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        shoot(page, f"look-{spoken}-{theme}-{size['width']}")
        assert overflow(page, "html, .bd-article, .bd-article section") == []
    assert violations(page, [".bd-article"]) == []
    assert page.outside == []
    assert [
        error for error in console.errors if ".css" not in error and "404" not in error
    ] == []  # axe asks for imported sheets


def channels(color: str) -> list[int]:
    """Red, green and blue of a computed color such as "rgb(0, 114, 178)"."""
    return [int(number) for number in re.findall(r"\d+", color)[:3]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_of_the_first_page_is_the_themes(address, page, theme):
    page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
    page.goto(f"{address}/index.html")
    (shown,) = [picture for picture in page.locator("article img[alt*='grid']").all() if picture.is_visible()]
    corner = shown.evaluate(
        """picture => {
            const canvas = document.createElement("canvas").getContext("2d");
            canvas.drawImage(picture, 0, 0);
            return [...canvas.getImageData(2, 2, 1, 1).data];
        }"""
    )
    assert (max(corner[:3]) < 64) == (theme == "dark"), corner
    shoot(page, f"index-{theme}")


# ---------------------------------------------------------------- the small parts


def test_formulas_that_notebooks_write():
    assert "<msqrt>" in to_mathml(r"\text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V", block=True)
    assert 'display="block"' in to_mathml(r"\big[\, n < \text{length}_b \,\big], \dots", block=True)
    rows = to_mathml(r"\begin{cases} t / w & t < w \\[2pt] 0 & t > T \end{cases}")
    assert rows.count("<mtr>") == 2
    assert "2pt" not in rows
    with pytest.raises(ValueError, match=r"nosuchcommand.*In the formula"):
        to_mathml(r"\nosuchcommand x")


def test_links(tmp_path):
    pages = {"CONTRIBUTING.md": "contributing.md"}
    (tmp_path / "utils").mkdir()
    link = functools.partial(relinked, base=tmp_path, root=tmp_path, pages=pages, assets=tmp_path / "assets")
    assert link("[how](CONTRIBUTING.md#data)") == "[how](contributing.md#data)"
    assert link("[there](utils)") == f"[there]({settings.on_the_web('utils', folder=True)})"
    assert link("[w](https://example.org/a)") == "[w](https://example.org/a)"
    Image.new("RGB", (4, 4), "white").save(tmp_path / "p.png")
    assert link("![alt](p.png)") == "![alt](assets/p.png)"
    assert (tmp_path / "assets" / "p.png").exists()
