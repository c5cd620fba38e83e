"""The course in JupyterLab in a real browser, by keyboard alone: run, fail, read, solve, pass, look.

Accessibility is asked of what is ours: rendered text, panels and pictures. JupyterLab's own frame (menus, tool bars,
editors) is not; it is the same for every notebook of the world.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import nbformat
import pytest

from tests.browser import LAPTOP, PATIENCE, TABLET, Console, overflow, violations
from tests.lab import ROOT, Student, class_copy, serve, soon
from utils.checks.registry import exercises_of

pytestmark = pytest.mark.slow

OURS = [
    ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output",
    ".jp-NotebookPanel:not(.lm-mod-hidden) .jp-RenderedMarkdown",
]
# What may be cut off without a scroll bar: the notebook as a whole, the text, the panels and pictures in it.
LAYOUT = ", ".join(["html", ".jp-WindowedPanel-outer", *OURS, ".jp-OutputArea-output > *"])
THEMES = ("JupyterLab Dark", "JupyterLab Light")
FIRST = "scaled_dot_product_attention"
# An answer as a student types it, with one thing forgotten; `FORGOTTEN` goes to the end of its first line.
ANSWER = [
    "scores = query @ key.transpose(-2, -1)",
    "if mask is not None: scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)",
    "weights = scores.softmax(dim=-1)",
    "if mask is not None: weights = weights.masked_fill(~mask, 0.0)",
    "return weights @ value, weights",
]
OLDER = f"This is about an older version of {FIRST}: the last run of the cell that defines it failed"
FORGOTTEN = " / math.sqrt(query.shape[-1])"
BADGE = '<svg xmlns="http://www.w3.org/2000/svg" width="117" height="20"></svg>'
SHOTS = os.environ.get("COURSE_SCREENSHOTS", "")  # a folder: keep pictures of the steps there


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """`(address, folder)` of JupyterLab on a class's copy of the course, where notebook 05 is already solved."""
    place = tmp_path_factory.mktemp("lab")
    folder = class_copy(place / "course")
    solved = ROOT / "solutions" / "05_vit.ipynb"
    if solved.exists():
        notebook = nbformat.read(solved, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, folder / "notebooks" / "05_vit.ipynb")
    scratch = place / "scratch"
    scratch.mkdir()
    with serve(folder, scratch) as url:
        yield url, folder


@pytest.fixture
def page(browser):
    """A page of a fresh profile; the badge's picture, the only thing from elsewhere, is served from here."""
    context = browser.new_context(viewport=LAPTOP)
    context.set_default_timeout(PATIENCE)
    context.route(
        "https://colab.research.google.com/**",
        lambda route: route.fulfill(body=BADGE, content_type="image/svg+xml"),
    )
    yield context.new_page()
    context.close()


def shoot(page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def look(page, student: Student, cells: list[str], name: str) -> None:
    """At laptop and tablet width, in both themes: everything fits, and axe finds nothing serious in what is ours."""
    for number, cell in enumerate(cells):
        student.go_to(cell)  # the walk takes long: it is made once
        for theme in THEMES if number % 2 == 0 else THEMES[::-1]:
            student.command(f"Use Theme: {theme}")
            page.wait_for_function(
                "(light) => document.body.dataset.jpThemeLight === light", arg=str("Light" in theme).lower()
            )
            for size in (TABLET, LAPTOP):
                page.set_viewport_size(size)
                student.cell(cell).scroll_into_view_if_needed()
                shoot(page, f"{name}-{theme.split()[-1].lower()}-{size['width']}-{number}")
                assert overflow(page, LAYOUT) == [], f"{theme}, {size['width']} px, at {cell}"
            assert violations(page, student.content([cell])) == [], f"{theme}, at {cell}"


def test_a_student_fails_reads_solves_and_passes(lab, page):
    url, folder = lab
    console = Console(page)
    student = Student(page, url, folder / "notebooks" / "01_transformer_recap.ipynb", folder)
    imports, picture = student.ids[student.ids.index("set-up") + 1], "0-the-machine-as-a-whole-code-1"
    for cell in ("set-up", imports, picture):
        student.run(cell)
    assert student.text("set-up") == "", "the set-up has nothing to say where all is there"
    assert "encoder" in student.cell(picture).locator("img").get_attribute("alt")

    check = f"{FIRST}-check"
    student.run(FIRST)
    student.run(check)
    panel = student.cell(check).locator('[role="alert"], [role="status"]')
    assert panel.inner_text().startswith("○ Not started.")
    shoot(page, "1-not-started")

    student.type_last_line(FIRST, ANSWER)
    student.run(FIRST)
    student.run(check)
    assert panel.get_attribute("role") == "alert"
    assert "Not yet." in panel.inner_text()
    assert "Your scores are not divided by sqrt(d)" in panel.inner_text()
    assert student.text(check).count("Traceback") == 0
    shoot(page, "2-not-yet")
    look(page, student, [picture, FIRST, check], "failed")

    student.edit_line_from_the_end(FIRST, len(ANSWER), FORGOTTEN)
    student.run(FIRST)
    student.run(check)
    assert panel.get_attribute("role") == "status"
    assert "Passed." in panel.inner_text()
    after = student.ids[student.ids.index(check) + 2]  # the cell that waited for this exercise
    student.run(after)
    assert student.cell(after).locator("img").get_attribute("alt")
    look(page, student, [check, after], "passed")
    student.save()
    path = folder / "notebooks" / "01_transformer_recap.ipynb"
    saved(path, lambda cells: any(FORGOTTEN in cell.source for cell in cells))

    student.restart()
    for cell in ("set-up", imports, "restore"):
        student.run(cell)
    assert f"Back, and checked again: {FIRST}." in student.text("restore")
    student.run(after)
    assert student.cell(after).locator("img").get_attribute("alt"), "a cell that waits for the answer draws"
    assert console.errors == []


@pytest.mark.thorough
def test_a_student_fails_reads_solves_and_passes_in_korean(lab, page):
    url, folder = lab
    console = Console(page)
    student = Student(page, url, folder / "notebooks" / "ko" / "01_transformer_recap.ipynb", folder)
    picture, check = "0-the-machine-as-a-whole-code-1", f"{FIRST}-check"
    for cell in ("set-up", student.ids[student.ids.index("set-up") + 1], picture, FIRST, check):
        student.run(cell)
    assert "인코더" in student.cell(picture).locator("img").get_attribute("alt")
    panel = student.cell(check).locator('[role="alert"], [role="status"]')
    assert panel.inner_text().startswith("○ 아직 시작하지 않았습니다.")
    student.type_last_line(FIRST, ANSWER)
    student.run(FIRST)
    student.run(check)
    assert "✗ 아직 맞지 않습니다." in panel.inner_text()
    assert "점수를 sqrt(d)로 나누지 않았습니다" in panel.inner_text()
    shoot(page, "korean-not-yet")
    assert violations(page, student.content([FIRST, check])) == []
    student.edit_line_from_the_end(FIRST, len(ANSWER), FORGOTTEN)
    student.run(FIRST)
    student.run(check)
    assert panel.inner_text().startswith("✓ 통과.")
    assert console.errors == []


@pytest.mark.thorough
def test_notebook_with_pictures_runs_to_its_end(lab, page):
    url, folder = lab
    name = "05_vit" if (folder / "notebooks" / "05_vit.ipynb").exists() else "04_attention_in_vision"
    path = folder / "notebooks" / f"{name}.ipynb"
    console = Console(page)
    student = Student(page, url, path, folder)
    code = [
        cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code" and cell.source
    ]
    student.run_all()
    student.wait_for(code[-1].id, seconds=1800)
    shown = [cell.id for cell in code if "plotting.show(" in cell.source]
    assert len(shown) > 5
    missing = [cell for cell in shown if not student.cell(cell).locator("img, [role=img]").count()]
    assert name != "05_vit" or missing == [], (
        f"a solved notebook shows no picture in {missing}. {student.state()}"
    )
    pictures = [cell for cell in shown if cell not in missing]
    for cell in pictures:
        for image in student.cell(cell).locator("img").all():
            assert len(image.get_attribute("alt") or "") >= 15, cell
            assert image.evaluate("image => image.naturalWidth") > 100, cell
    look(
        page, student, [pictures[0], pictures[len(pictures) // 2], pictures[-1]], name
    )  # each look takes seconds
    assert console.errors == []


def run_all(student, path):
    """Runs all cells, and returns those with code: every one has run, in its order."""
    student.command("Run All Cells")
    student.wait_for("progress", seconds=1800)
    student.save()
    cells = saved(path, lambda cells: cells[-1].execution_count)
    code = [cell for cell in cells if cell.cell_type == "code" and cell.source]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    return code


@pytest.mark.thorough
def test_run_all_goes_to_the_last_cell_of_an_untouched_notebook(lab, page):
    """Open exercises stop nothing; the last cell says how far one is, and leads to the first open exercise."""
    url, folder = lab
    path = folder / "notebooks" / "04_attention_in_vision.ipynb"
    student = Student(page, url, path, folder)
    console = Console(page)
    code = run_all(student, path)
    assert [cell.id for cell in code for output in cell.outputs if output.output_type == "error"] == []
    checks = [cell.outputs for cell in code if cell.id.endswith("-check")]
    said = [output.data["text/plain"] for outputs in checks for output in outputs]
    assert len(said) == len(exercises_of(path.stem))
    assert all("is not started yet" in text for text in said)
    shoot(page, "run-all")
    student.go_to("progress")
    assert f"0 of {len(said)} solved; first open: 4.1." in student.text("progress")
    link = student.cell("progress").locator("a")
    first, where = student.cell("SelfAttention2d-task"), link.get_attribute("href")
    assert not in_view(first)
    link.click()
    assert soon(lambda: in_view(first), seconds=60), f"{where} leads to the exercise"
    assert console.errors == []


LOUD = """
def collate(batch, pad=0):
    for number in range(20_000):
        print("item", number)
    return batch
"""


@pytest.mark.thorough
def test_run_all_goes_past_a_wrong_answer_that_prints_much_and_a_save_without_a_run_is_told(lab, page):
    """02 with a wrong answer: the verdict stands first, at most 21 lines below it, and the last cell runs."""
    url, folder = lab
    path, check = folder / "notebooks" / "loud.ipynb", "collate-check"
    notebook = nbformat.read(folder / "notebooks" / "02_lstm_sentiment.ipynb", as_version=4)
    next(cell for cell in notebook.cells if cell.id == "collate").source = LOUD.strip()
    nbformat.write(notebook, path)
    student = Student(page, url, path, folder)
    console = Console(page)
    run_all(student, path)
    assert "CheckFailed" not in path.read_text(encoding="utf-8")
    student.go_to(check)
    outputs = student.cell(check).locator(".jp-OutputArea-output")
    verdict, printed = outputs.all_inner_texts()
    assert verdict.startswith("✗ Not yet.") and "collate" in verdict
    lines = printed.strip().splitlines()
    assert len(lines) == 21 and re.search(r"the first 20 of [\d,]{5,} lines", lines[0]), lines[0]
    assert "CheckFailed" not in page.locator("body").inner_text()
    shoot(page, "loud")

    student.edit_line_from_the_end("collate", 1, " + []")
    student.save()
    saved(path, lambda cells: any(cell.source.endswith(" + []") for cell in cells))
    student.run(check)
    panel = outputs.first.inner_text()
    assert "This is about an older version of collate: the saved notebook has another text" in panel, panel
    assert console.errors == []


@pytest.mark.thorough
def test_the_controls_of_a_picture_have_names_and_change_its_text_by_keyboard(lab, page):
    """The explorer of 06, with the cells that it needs: labels, arrow keys, and what a screen reader is told."""
    url, folder = lab
    path = folder / "notebooks" / "explorer.ipynb"
    notebook = nbformat.read(folder / "notebooks" / "06_inductive_bias.ipynb", as_version=4)
    wanted = ("import torch\n", 'recorded("data-scaling")', "plotting.explore(learning.draw")
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.id == "set-up" or (cell.cell_type == "code" and any(part in cell.source for part in wanted))
    ]
    nbformat.write(notebook, path)
    student = Student(page, url, path, folder)
    console = Console(page)
    for cell in student.ids:
        student.run(cell)
    shown = student.cell(student.ids[-1])
    picture = shown.locator("img")
    for label in ("images", "models", "training"):
        before = picture.get_attribute("alt")
        shown.get_by_label(label, exact=True).focus()
        page.keyboard.press("ArrowDown")
        assert soon(lambda before=before: picture.get_attribute("alt") != before, seconds=120), label
        assert shown.get_by_role("status").inner_text() == picture.get_attribute("alt")
    shoot(page, "explorer")
    assert violations(page, student.content(student.ids[-1:])) == []
    assert console.errors == []


@pytest.mark.thorough
def test_a_check_says_that_it_judges_an_older_version(lab, page):
    """An answer passes, then its cell is broken, run, and checked: green alone would be a verdict on code that is not there."""
    url, folder = lab
    path = folder / "notebooks" / "broken.ipynb"
    nbformat.write(nbformat.read(folder / "notebooks" / "01_transformer_recap.ipynb", as_version=4), path)
    student = Student(page, url, path, folder)
    check = f"{FIRST}-check"
    for cell in ("set-up", student.ids[student.ids.index("set-up") + 1]):
        student.run(cell)
    if FORGOTTEN not in student.cell(FIRST).inner_text():  # the test above has solved and saved it
        student.type_last_line(FIRST, [ANSWER[0] + FORGOTTEN, *ANSWER[1:]])
    for cell in (FIRST, check):
        student.run(cell)
    panel = student.cell(check).locator('[role="alert"], [role="status"]')
    assert "Passed." in panel.inner_text()
    student.edit_line_from_the_end(FIRST, 1, " )")
    student.run(FIRST)
    assert "SyntaxError" in student.text(FIRST)
    student.run(check)
    said = panel.inner_text()
    assert OLDER in said, said
    shoot(page, "older-version")


TRAINING = """
import torch
from torch import nn
from utils.training import fit, tensor_batches

model = nn.Linear(4, 2)
batches = tensor_batches(torch.randn(64, 4), torch.zeros(64, dtype=torch.long), 8)
history = fit(model, batches, epochs=1_000_000, lr=1e-3)
"""


def test_the_stop_button_keeps_what_was_trained(lab, page):
    """I, I while the bar runs: one line, no traceback, and the cell below works with the model."""
    url, folder = lab
    path = folder / "notebooks" / "stopped.ipynb"
    # The chapter's set-up finds `utils`; its metadata name the kernel (without, JupyterLab asks for one and is never idle).
    notebook = nbformat.read(folder / "notebooks" / "01_transformer_recap.ipynb", as_version=4)
    after = "print(len(history) >= 1, model.weight.isfinite().all().item())"
    notebook.cells = [cell for cell in notebook.cells if cell.id == "set-up"] + [
        nbformat.v4.new_code_cell(source, id=name)
        for name, source in (("train", TRAINING.strip()), ("after", after))
    ]
    nbformat.write(notebook, path)
    student = Student(page, url, path, folder)
    student.run("set-up")
    student.go_to("train")
    page.keyboard.press("Shift+Enter")
    bar = student.cell("train").locator(".jp-OutputArea-output")
    bar.first.wait_for()
    student.go_to("train")
    page.keyboard.press("i")
    page.keyboard.press("i")
    student.wait_for("train")
    said = student.text("train")
    assert "interrupted in epoch" in said and "the cells below can use it" in said
    assert "Traceback" not in said
    student.run("after")
    assert student.text("after") == "True True"


def in_view(cell) -> bool:
    """Whether a part of a cell lies within the window."""
    return cell.evaluate(
        "cell => { const box = cell.getBoundingClientRect(); return box.height > 0 && box.bottom > 0 && box.top < innerHeight }"
    )


def saved(path: Path, holds, seconds: float = 300.0) -> list:
    """The cells of a notebook, once JupyterLab has saved it in a state that `holds`."""
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(nbformat.reader.NotJSONError):  # while it is written
            cells = nbformat.read(path, as_version=4).cells
            if holds(cells):
                return cells
        assert time.monotonic() < until, f"{path.name} is not saved as it should be"
        time.sleep(0.2)
