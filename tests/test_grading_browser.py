"""The grader's pages in a real browser: on a phone, for a screen reader, and with script in every place where text can be."""

from __future__ import annotations

import pytest

from tests.browser import LAPTOP, PHONE, Console, overflow, violations
from utils.grading import reports
from utils.grading.isolation import Level
from utils.grading.verdict import Verdict

EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
LONG = "averyveryverylongidentifierwithoutanyplacetobreakit" * 4
NAME = "03_transformer_sentiment"


def entry(student, verdicts, **more):
    return {
        "key": student,
        "student": student,
        "user": "12",
        "notebook": NAME,
        "origin": f"{student}/{NAME}.ipynb",
        "problem": "",
        "notes": [],
        "written": {"assignment-2": f"My answer: {EVIL} {LONG}"},
        "verdicts": [v.record() for v in verdicts],
        "isolation": Level(3).sentence(),
    } | more


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Reports of a small class whose names and answers are full of markup."""
    passed = Verdict("padding_mask", 2, 2, 5, 5, "passed", substitutes=("split_heads",))
    failed = Verdict(
        "TransformerEncoder",
        1.6,
        4,
        2,
        5,
        "failed",
        "a padded batch",
        "`output` has the wrong shape.",
        "Your mask is the wrong way round: True must mean real.",
    )
    evil = Verdict(LONG, 0, 6, 0, 5, "failed", EVIL, EVIL + LONG, EVIL)
    rest = [
        Verdict("warmup_cosine", 0, 2, 0, 4, "not started"),
        Verdict("compare_models", 0, 4, 0, 4, "missing", sentence="No cell defines it."),
    ]
    entries = [
        entry(
            f"Kim Minsu \uae40\ubbfc\uc218 {EVIL}",
            [passed, failed, evil, *rest],
            notes=[EVIL, f"{LONG}.ipynb was not graded."],
            marks={"assignment-2": 7.5},
        ),
        entry("Ana Lima", [passed, failed, *rest]),
        entry(LONG, [], problem=f"the file is not a notebook {EVIL}"),
    ]
    out = tmp_path_factory.mktemp("pages")
    reports.write(entries, out, Level(1, ("macOS has no namespaces, seccomp or Landlock",)).sentence())
    feedback = sorted((out / "feedback").glob("Kim*.html"))
    written = sorted((out / "written").glob("*.html"))
    assert len(feedback) == 1 and written
    return {
        "feedback": feedback[0],
        "summary": out / "summary.html",
        "written": written[0],
        "unread": next((out / "feedback").glob("avery*.html")),
    }


@pytest.mark.parametrize("name", ["feedback", "summary", "written", "unread"])
@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_reads_well(browser, pages, name, size, scheme):
    context = browser.new_context(viewport=size, color_scheme=scheme)
    try:
        page = context.new_page()
        console = Console(page)
        page.goto(pages[name].as_uri())
        assert not console.errors
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], overflow(
            page, "body *"
        )
        assert not violations(page, ["html"])
        assert page.evaluate("window.hacked === undefined"), "a script of a student's has run"
        assert page.locator("script, img, iframe").count() == 0
        page.screenshot(path=pages[name].with_name(f"{name}-{size['width']}-{scheme}.png"), full_page=True)
    finally:
        context.close()


def test_script_is_shown_as_text(browser, pages):
    page = browser.new_page()
    page.goto(pages["feedback"].as_uri())
    shown = page.inner_text("body")
    assert shown.count("window.hacked") >= 4
    assert "NOT SAFE against hostile code" in shown, "the level is on the page"
    headings = page.locator("h1, h2, h3").evaluate_all("found => found.map(one => +one.tagName[1])")
    assert headings[0] == 1 and all(after - before <= 1 for before, after in zip(headings, headings[1:])), (
        headings
    )
    for word in ("Passed", "Not yet", "Not started", "Missing"):
        assert word in shown, "colour is not the only sign"
    page.close()
