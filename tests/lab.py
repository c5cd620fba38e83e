"""JupyterLab for tests: a server on a copy of the course as students get it, and a student's hands on the keyboard."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
# No news from the network: on a machine without one they would be errors in the console that say nothing about the course.
OVERRIDES = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


def class_copy(folder: Path) -> Path:
    """The course as a class gets it (notebooks, utils, data; no solutions) in a new folder."""
    folder.mkdir(parents=True)
    shutil.copytree(
        ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints")
    )
    for name in ("utils", "data"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@contextmanager
def serve(folder: Path, scratch: Path, *, dark: bool = False) -> Iterator[str]:
    """JupyterLab on `folder`, on a free port of the loopback device, without a token; stopped at the end of the block.

    Args:
        folder: what it shows.
        scratch: for its settings and logs, so that nobody's own are read or changed.
        dark: start with the dark theme.

    Yields:
        its address, such as "http://127.0.0.1:34567".
    """
    settings = scratch / "settings"
    for plugin, values in {**OVERRIDES, **_theme(dark)}.items():
        extension, name = plugin.split(":")
        target = settings / extension / f"{name}.jupyterlab-settings"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(values))
    environment = {
        # With pytest's variables a check would take the student for a test, and raise.
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "HOME": str(scratch),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "COURSE_BUDGET": "smoke",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
    ]
    command += ["--ServerApp.port=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}"]
    with open(scratch / "server.log", "w+") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _address(server, scratch)
        finally:
            server.terminate()  # on SIGTERM the server stops its kernels
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _theme(dark: bool) -> dict[str, dict]:
    name = "JupyterLab Dark" if dark else "JupyterLab Light"
    return {"@jupyterlab/apputils-extension:themes": {"theme": name, "adaptive-theme": False}}


def _address(server: subprocess.Popen, scratch: Path, seconds: float = 600.0) -> str:
    """Waits until the server answers.

    Raises:
        RuntimeError: it ended, or did not answer in time; with the end of its log.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        for path in (scratch / "runtime").glob("jpserver-*.json"):
            found = re.search(r"http://127\.0\.0\.1:\d+", path.read_text())
            with contextlib.suppress(OSError):  # it writes the file before it listens
                if found and direct.open(f"{found[0]}/api/status", timeout=60).status == 200:
                    return found[0]
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{(scratch / 'server.log').read_text()[-2000:]}")


def soon(happened: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something happens within some seconds."""
    until = time.monotonic() + seconds
    while not (now := happened()) and time.monotonic() < until:
        time.sleep(0.02)
    return now


class Student:
    """Works in an open notebook with the keyboard alone.

    Args:
        page: a Playwright page.
        url: the server's address.
        path: the notebook on disk; it lies in the folder that the server shows.
        folder: that folder.
    """

    def __init__(self, page, url: str, path: Path, folder: Path) -> None:
        self.page = page
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        self.ids = [cell["id"] for cell in cells]
        self.folded = {c["id"] for c in cells if c["metadata"].get("jupyter", {}).get("source_hidden")}
        # A workspace of its own: the default one would open the notebook of an earlier test as well, and keys could go there.
        page.goto(f"{url}/lab/workspaces/{path.parent.name}-{path.stem}/tree/{path.relative_to(folder)}")
        self.notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")
        self.notebook.locator(".jp-Cell.jp-mod-active").wait_for()
        page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(
            timeout=180_000
        )  # the kernel is there

    @property
    def here(self) -> int:
        """Index of the active cell."""
        active = self.notebook.locator(".jp-Cell.jp-mod-active")
        return int(active.get_attribute("data-windowed-list-index"))

    def cell(self, name: str):
        """The cell with this id, as a locator."""
        return self.notebook.locator(f'.jp-Cell[data-windowed-list-index="{self.ids.index(name)}"]')

    def content(self, names: list[str]) -> list[str]:
        """Selectors for what the course shows in these cells: their outputs, and the text above them."""
        indices = [self.ids.index(name) for name in names]
        numbers = sorted({*indices, *(index - 1 for index in indices)})
        cells = [
            f'.jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell[data-windowed-list-index="{n}"]' for n in numbers
        ]
        shown = [
            f"{cell} {part}" for cell in cells for part in (".jp-OutputArea-output", ".jp-RenderedMarkdown")
        ]
        return [selector for selector in shown if self.page.locator(selector).count()]

    def go_to(self, name: str) -> None:
        """Walks to a cell with the arrow keys (in command mode)."""
        target = self.ids.index(name)
        if name in self.folded:  # JupyterLab's arrow keys pass over a folded cell: it is opened by a click
            self.go_to(self.ids[target - 1])
            self.cell(name).locator(".jp-Placeholder").first.click()
            self.page.keyboard.press("Escape")
            self.folded.remove(name)
        self._listen()
        until = time.monotonic() + PATIENCE / 1000
        while (before := self.here) != target:
            if time.monotonic() > until:
                said = f"the arrow keys do not reach {name}; they stop at {self.ids[before]}"
                raise AssertionError(f"{said}; the keys go to {self._focus()!r}")
            self.page.keyboard.press("ArrowDown" if target > before else "ArrowUp")
            if not soon(
                lambda before=before: self.here != before
            ):  # a busy page has just given the focus away
                self._listen()

    def _focus(self) -> str:
        """What has the focus: "command" or "edit" is the open notebook in that mode, all else is not the notebook."""
        return self.notebook.evaluate(
            """(notebook) => {
                const has = document.activeElement;
                if (!notebook.contains(has)) return `${has.tagName}.${has.className}`;
                return notebook.classList.contains("jp-mod-editMode") ? "edit" : "command";
            }"""
        )

    def _listen(self) -> None:
        """Has the notebook listen to keys, in command mode; after a theme change or a resize, the focus may be elsewhere."""
        if self._focus() == "edit":
            self.page.keyboard.press("Escape")
        elif self._focus() != "command":
            self.notebook.focus()

    def run(self, name: str, seconds: float = 600.0) -> None:
        """Goes to a code cell, runs it with Shift+Enter, and waits until it has run."""
        self.go_to(name)
        before = self.prompt(name)
        self.page.keyboard.press("Shift+Enter")
        if not soon(lambda: self.prompt(name) != before):  # the key was lost: see `go_to`
            self.go_to(name)
            self.page.keyboard.press("Shift+Enter")
        self.wait_for(name, seconds)

    def wait_for(self, name: str, seconds: float = 600.0) -> None:
        """Waits until a cell has a number instead of a star."""
        until = time.monotonic() + seconds
        while not re.search(r"\[\d+\]", self.prompt(name)):
            if time.monotonic() > until:
                said = f"{name} has not run after {seconds:.0f} s: {self.prompt(name)!r}"
                raise AssertionError(f"{said}. {self.state()}")
            time.sleep(0.05)

    def prompt(self, name: str) -> str:
        """What stands in front of a code cell: "[3]:", "[*]:" or "[ ]:"; "" for a folded one.

        JupyterLab draws a cell once it has come into view.
        """
        prompt = self.cell(name).locator(".jp-InputArea-prompt")
        if not prompt.count():
            self.cell(name).scroll_into_view_if_needed()
        return prompt.inner_text() if prompt.count() else ""

    def state(self) -> str:
        """Where the notebook stands, for a failed test: the first cell that raised, and the code cells that have not run."""
        raised, waiting = "no cell raised", []
        for index, name in enumerate(self.ids):
            cell = self.notebook.locator(f'.jp-CodeCell[data-windowed-list-index="{index}"]')
            if not cell.count():
                continue
            error = cell.locator("[data-mime-type='application/vnd.jupyter.error']")
            if error.count() and raised == "no cell raised":
                raised = f"{name} raised: {error.first.inner_text()[-300:]}"
            if re.search(r"\[[ *]\]", self.prompt(name)):
                waiting.append(name)
        return f"{raised}; {len(waiting)} code cells have not run, from {waiting[:1]} on; active is cell {self.here} of {len(self.ids)}"

    def text(self, name: str) -> str:
        """What a code cell has put out, as text."""
        return "\n".join(self.cell(name).locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def type_last_line(self, name: str, lines: list[str]) -> None:
        """Opens a cell, types lines over its last one, key by key, and leaves the editor."""
        self._open(name)
        self.page.keyboard.press("Shift+Home")
        for index, line in enumerate(lines):
            if index:
                self.page.keyboard.press("Enter")
            self.page.keyboard.type(line)
        self.page.keyboard.press("Escape")

    def edit_line_from_the_end(self, name: str, number: int, more: str) -> None:
        """Opens a cell, types more at the end of its last line but `number - 1`, and leaves the editor."""
        self._open(name)
        for _ in range(number - 1):
            self.page.keyboard.press("ArrowUp")
        self.page.keyboard.press("End")
        self.page.keyboard.type(more)
        self.page.keyboard.press("Escape")

    def _open(self, name: str) -> None:
        self.go_to(name)
        self.page.keyboard.press("Enter")
        soon(lambda: self._focus() == "edit")
        self.page.keyboard.press("Control+End")

    def command(self, words: str) -> None:
        """Runs a command from JupyterLab's palette."""
        self.page.keyboard.press("Control+Shift+C")
        entry = self.page.locator(".lm-CommandPalette-input")
        entry.fill(words)  # at once: keys that came before the focus would be commands to the notebook
        active = self.page.locator(".lm-CommandPalette-item.lm-mod-active .lm-CommandPalette-itemLabel")
        for _ in range(20):  # "Run All Cells" is in the names of other commands too
            active.first.wait_for()
            if (said := active.first.inner_text().strip()) == words:
                entry.press("Enter")
                return
            entry.press("ArrowDown")
        raise AssertionError(f"the palette has no command {words!r}; the last one looked at is {said!r}")

    def restart(self) -> None:
        """Restarts the kernel and clears all outputs, by the palette; waits until it is idle again."""
        self.command("Restart Kernel and Clear Outputs of All Cells…")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for(timeout=180_000)
        self.notebook.locator(".jp-OutputArea-output").first.wait_for(state="detached")

    def save(self) -> None:
        """Ctrl+S."""
        self._listen()
        self.page.keyboard.press("Control+S")

    def run_all(self) -> None:
        """Queues every cell, from the first on: Shift+Enter, again and again."""
        self.go_to(self.ids[0])
        for _ in range(
            3 * len(self.ids)
        ):  # a busy page can lose a key: what counts is where the notebook stands
            if self.here >= len(self.ids) - 1:
                break
            self.page.keyboard.press("Shift+Enter")
        self.page.keyboard.press("Shift+Enter")
