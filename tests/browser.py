"""A real browser for tests: the system's Chromium, driven by Playwright, and the questions we ask of a page.

Nothing is downloaded. Where there is no Playwright or no browser, tests that need them skip with one sentence that
says what to install.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
DESK, LAPTOP, TABLET, PHONE = (
    {"width": 1440, "height": 900},
    {"width": 1280, "height": 800},
    {"width": 820, "height": 1180},
    {"width": 390, "height": 844},
)
PATIENCE = 600_000  # milliseconds: a busy machine is slow, not wrong
SERIOUS = ("serious", "critical")


def find_browser() -> str | None:
    """Path of a Chromium: the environment's `COURSE_BROWSER`, else the first of the usual names on the PATH."""
    named = os.environ.get("COURSE_BROWSER")
    if named:
        return named if Path(named).exists() else None
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextmanager
def launch() -> Iterator:
    """A headless browser with a fresh profile, closed at the end of the block.

    Skips the test that asks for it where Playwright or a browser is missing.
    """
    sync_api = pytest.importorskip(
        "playwright.sync_api",
        reason="Browser tests need Playwright: run `make test`, which installs it (pip install playwright).",
    )
    path = find_browser()
    if path is None:
        pytest.skip(
            "Browser tests need Chromium or Chrome: install it (for example `apt install chromium`), "
            "or set COURSE_BROWSER to its path."
        )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Console:
    """Collects what a page complains of: errors in the console, uncaught exceptions, requests that failed.

    Args:
        page: a Playwright page; listen before the first `goto`.
        ignore: an error with one of these texts in it is not the course's (say at the call why).
    """

    def __init__(self, page, ignore: tuple[str, ...] = ()) -> None:
        self.errors: list[str] = []
        self._ignore = ignore
        page.on("console", lambda message: message.type == "error" and self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on(
            "response", lambda answer: answer.status >= 400 and self._note(f"{answer.status} {answer.url}")
        )

    def _note(self, text: str) -> None:
        if not any(part in text for part in self._ignore):
            self.errors.append(text)


def overflow(page, selector: str = "html") -> list[str]:
    """Which elements under `selector` hold content that is wider than they are and cannot be scrolled to.

    Returns:
        one description per element, with the two widths in pixels; empty if all fits.
    """
    return page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)]
            .filter(e => e.clientWidth > 0 && e.scrollWidth > e.clientWidth + 1)
            .filter(e => !["auto", "scroll"].includes(getComputedStyle(e).overflowX))
            .map(e => `${e.tagName.toLowerCase()}.${e.className}: ${e.scrollWidth} in ${e.clientWidth} px`)""",
        selector,
    )


def violations(
    page, include: list[str], *, exclude: tuple[str, ...] = (), rules: tuple[str, ...] = ()
) -> list[str]:
    """Serious accessibility violations that axe finds within some elements.

    Args:
        page: a Playwright page.
        include: CSS selectors; each must match something, or there would be nothing to find.
        exclude: CSS selectors of parts that are not ours.
        rules: only these of axe's rules, such as "color-contrast"; default the WCAG 2 A and AA rules.

    Returns:
        one line per violation: rule, what it says, the elements.
    """
    from axe_playwright_python.sync_playwright import Axe

    for selector in include:
        assert page.locator(selector).count(), f"{selector} matches nothing on this page"
    context = {"include": [[s] for s in include], "exclude": [[s] for s in exclude]}
    only = (
        {"type": "rule", "values": list(rules)}
        if rules
        else {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    )
    found = Axe().run(page, context=context, options={"runOnly": only, "resultTypes": ["violations"]})
    return [
        f"{v['id']}: {v['help']}: " + "; ".join(n["html"][:300] for n in v["nodes"][:5])
        for v in found.response["violations"]
        if v["impact"] in SERIOUS
    ]
