"""`hint("split_heads")`: an exercise's hints one by one, as they stand folded in the notebook's text."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from utils.checks.messages import in_jupyter
from utils.checks.registry import find
from utils.paths import ROOT

FOLDED = re.compile(r"<details>\s*<summary>(Hint.*?)</summary>(.*?)</details>", re.S)
_shown: Counter[str] = Counter()


def hints_of(name: str) -> list[tuple[str, str]]:
    """(title, Markdown) of every hint of an exercise, in order.

    Raises:
        KeyError: there is no such exercise; with the names that exist.
    """
    notebook = find(name).notebook
    content = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    text = next(
        ("".join(cell["source"]) for cell in content["cells"] if cell.get("id") == f"{name}-task"), ""
    )
    return [(title.strip(), body.strip()) for title, body in FOLDED.findall(text)]


def hint(exercise: Any) -> None:
    """Shows the next hint of an exercise; called again, the one after it.

    Args:
        exercise: its name, or your function or class.

    Raises:
        KeyError: there is no such exercise; with the names that exist.
    """
    name = exercise if isinstance(exercise, str) else exercise.__name__
    found = hints_of(name)
    if not found:
        print(f"{name} has no hint: its text and its check's message say all there is.")
        return
    if _shown[name] == len(found):
        print(f"That were all {len(found)} hints of {name}. Here is the first again.")
        _shown[name] = 0
    title, body = found[_shown[name]]
    _shown[name] += 1
    left = len(found) - _shown[name]
    more = f"{left} more: call hint again." if left else "This is the last one."
    said = f"**{title}** ({_shown[name]} of {len(found)})\n\n{body}\n\n{more}"
    if in_jupyter():
        from IPython.display import Markdown, display

        display(Markdown(said))
    else:
        print(said.replace("**", ""))
