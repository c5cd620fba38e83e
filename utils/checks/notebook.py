"""What the check knows of the notebook around it: which version of an answer it judges, and what the answer prints."""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.checks.attempts import functions
from utils.checks.copies import copies
from utils.checks.journal import fingerprint
from utils.checks.registry import find
from utils.words import later, say

LINES, WIDTH = 20, 160
_when: dict[int, float] = {}  # place in IPython's list of inputs -> when that cell was run


class Capped(io.TextIOBase):
    """A stream that keeps the first lines of what is written and counts the others."""

    def __init__(self) -> None:
        self.kept: list[str] = [""]
        self.count = 0

    def write(self, text: str) -> int:
        self.count += text.count("\n")
        room = LINES * WIDTH - sum(map(len, self.kept))
        if room > 0 and len(self.kept) <= LINES:
            first, *others = text[:room].split("\n")
            self.kept[-1] += first
            self.kept += others
        return len(text)

    def said(self) -> str:
        """The first lines, and how many there were; "" if nothing was written."""
        shown = [line[:WIDTH] for line in self.kept[:LINES]]
        text = "\n".join(shown).rstrip()
        if not text:
            return ""
        if self.count > LINES:
            return say(
                "Your code printed this while it was checked (the first {shown} of {count} lines):\n{text}",
                shown=LINES,
                count=self.count,
                text=text,
            )
        return say("Your code printed this while it was checked:\n{text}", text=text)


@contextlib.contextmanager
def capped_output() -> Iterator[Capped]:
    """Within the block, what is printed goes into a capped stream."""
    stream = Capped()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield stream


def watch() -> None:
    """Notes from now on when each cell is run; nothing where there is no IPython."""
    shell = _shell()
    if shell is not None:
        shell.events.register("pre_run_cell", lambda _: _when.update({len(_inputs()): time.time()}))


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def _inputs() -> list[str]:
    return getattr(_shell(), "user_ns", {}).get("In", [])


def older_version(attempt: Any, name: str) -> str:
    """A sentence, if the cell that defines an answer was last run with another text than the one that is judged; else "".

    So it is when that run failed (the name still stands for what an earlier run defined), and when another text was saved since that
    run, and has not run (see `_saved_since`).
    """
    code = next((function.__code__ for function in functions(attempt)), None)
    if code is None:
        return ""
    judged = "".join(linecache.getlines(code.co_filename)).strip()
    ran = [text.strip() for text in _inputs()]
    defines = re.compile(rf"^(?:def|class)\s+{re.escape(name)}\b|^{re.escape(name)}\s*=[^=]", re.MULTILINE)
    if not judged or judged not in ran:
        return ""
    last = max((place for place, text in enumerate(ran) if defines.search(text)), default=ran.index(judged))
    if ran[last] == judged:
        return _saved_since(name, judged, _when.get(last, time.time()))
    return later(
        "This is about an older version of {name}: the last run of the cell that defines it failed, so its new text is not in use.",
        name=name,
    )


def _saved_since(name: str, judged: str, run: float) -> str:
    """A sentence, if the notebook was saved after a cell's run with another text of the answer, which has not run; else "".

    Where its folder holds several copies, the one counts that a Jupyter server says is open. What stands in the browser and is not
    saved, no kernel can see.
    """
    found = list(copies(find(name).notebook, [name], [Path.cwd()]))
    opened = Path(os.environ.get("JPY_SESSION_NAME", "")).name
    for copy in [copy for copy in found if copy.path.name == opened] or found:
        cells = [source for source, exercise in filter(None, copy.cells) if exercise == name]
        if copy.saved > run and any(fingerprint(cell) != fingerprint(judged) for cell in cells):
            return later(
                "This is about an older version of {name}: the saved notebook has another text in its cell, which was not run.",
                name=name,
            )
    return ""
