"""The course as web pages: built from stored outputs, all links valid, and usable in a real browser without a network."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
import urllib.parse
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from tests.browser import LAPTOP, PATIENCE, PHONE, Console, overflow, violations

pytest.importorskip(
    "myst_nb", reason="The site needs Sphinx and myst-nb: run `make test`, which installs them."
)

from utils.authoring import settings
from utils.authoring.book.__main__ import ROOT, notebook_names
from utils.authoring.book.mathml import to_mathml
from utils.authoring.book.texts import promoted, relinked, section

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
        o.data["text/html"] for o in outputs if "image/png" in o.get("data", {}) and "text/html" in o.data
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


def test_pages_load_nothing_from_elsewhere(parsed):
    for name, soup in parsed.items():
        loaded = [tag["src"] for tag in soup.find_all(["script", "img"], src=True)]
        loaded += [tag["href"] for tag in soup.find_all("link", rel=["stylesheet", "preload", "icon"])]
        assert [link for link in loaded if urllib.parse.urlsplit(link).netloc] == [], name


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_the_stored_ones_with_their_alt_text(site, parsed, name):
    pictures = parsed[f"{name}.html"].select(".cell_output img")
    assert [picture["alt"] for picture in pictures] == stored_pictures(name)
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


# ---------------------------------------------------------------- in the browser


def test_search_finds_a_word(address, page):
    console = Console(page)
    page.goto(f"{address}/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("equivariance")
    page.keyboard.press("Enter")
    found = page.locator("#search-results a", has_text="rebuilt from its parts")
    found.first.wait_for()
    shoot(page, "search")
    found.first.click()
    page.wait_for_url(f"**/{FIRST}.html*")
    assert console.errors == []
    assert page.outside == []


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


def test_every_page_fits_phone_and_laptop(address, page):
    console = Console(page)
    names = sorted([*NAMES, "index", "instructors", "contributing", "data"])
    for name in names:
        page.goto(f"{address}/{name}.html")
        for size in (PHONE, LAPTOP):
            page.set_viewport_size(size)
            shoot(page, f"{name}-{size['width']}")
            assert overflow(page, "html, .bd-article, .bd-article section, .cell_output") == [], (
                f"{name} at {size}"
            )
    assert console.errors == []
    assert page.outside == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_violation_in_the_content(address, page, theme):
    """On the start page, and where a notebook has one of each: text, formula, code, fold, panel, picture."""
    page.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
    exercise = 'section:has(> section[id^="exercise-1-1"])'
    for name, part in (("index", ".bd-article"), (FIRST, exercise)):
        page.goto(f"{address}/{name}.html")
        assert page.locator("html").get_attribute("data-theme") == theme
        for fold in page.locator(f"{part} details summary").all():
            fold.click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)  # what unfolds fades in, and half faded it has too little contrast
        shoot(page, f"{name}-{theme}")
        assert violations(page, [part]) == [], name


# ---------------------------------------------------------------- the small parts


def test_formulas_that_notebooks_write():
    assert "<msqrt>" in to_mathml(r"\text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V", block=True)
    assert 'display="block"' in to_mathml(r"\big[\, n < \text{length}_b \,\big], \dots", block=True)
    rows = to_mathml(r"\begin{cases} t / w & t < w \\[2pt] 0 & t > T \end{cases}")
    assert rows.count("<mtr>") == 2
    assert "2pt" not in rows
    with pytest.raises(ValueError, match=r"nosuchcommand.*In the formula"):
        to_mathml(r"\nosuchcommand x")


def test_sections_and_links(tmp_path):
    text = "# A\n\n## For instructors\n\n### Detail\n\n```\n## not a heading\n```\n\n## Rest\n"
    part = section(text, "nstructor")
    assert promoted(part) == "# For instructors\n\n## Detail\n\n```\n## not a heading\n```\n"
    with pytest.raises(ValueError, match="no heading"):
        section(text, "students")
    pages = {"CONTRIBUTING.md": "contributing.md"}
    (tmp_path / "utils").mkdir()
    link = functools.partial(relinked, base=tmp_path, root=tmp_path, pages=pages, assets=tmp_path / "assets")
    assert link("[how](CONTRIBUTING.md#data)") == "[how](contributing.md#data)"
    assert link("[there](utils)") == f"[there]({settings.on_the_web('utils', folder=True)})"
    assert link("[w](https://example.org/a)") == "[w](https://example.org/a)"
    (tmp_path / "p.png").write_bytes(b"x")
    assert link("![alt](p.png)") == "![alt](assets/p.png)"
    assert (tmp_path / "assets" / "p.png").exists()
