"""`hint("split_heads")`: an exercise's hints one by one, as they stand folded in the notebook's text."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from utils.checks.messages import in_jupyter
from utils.checks.registry import find
from utils.paths import ROOT
from utils.words import language, say

FOLDED = r"<details>\s*<summary>((?:Hint|{hint}).*?)</summary>(.*?)</details>"
_shown: Counter[str] = Counter()


def hints_of(name: str) -> list[tuple[str, str]]:
    """(title, Markdown) of every hint of an exercise, in order.

    Raises:
        KeyError: there is no such exercise; with the names that exist.
    """
    notebook = f"{find(name).notebook}.ipynb"
    path = ROOT / "notebooks" / language() / notebook
    content = json.loads(
        (path if path.exists() else ROOT / "notebooks" / notebook).read_text(encoding="utf-8")
    )
    text = next(
        ("".join(cell["source"]) for cell in content["cells"] if cell.get("id") == f"{name}-task"), ""
    )
    found = re.findall(FOLDED.format(hint=say("Hint")), text, re.S)
    return [(title.strip(), body.strip()) for title, body in found]


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
        print(say("{name} has no hint: its text and its check's message say all there is.", name=name))
        return
    if _shown[name] == len(found):
        print(
            say(
                "That were all {count} hints of {name}. Here is the first again.", count=len(found), name=name
            )
        )
        _shown[name] = 0
    title, body = found[_shown[name]]
    _shown[name] += 1
    left = len(found) - _shown[name]
    more = say("{left} more: call hint again.", left=left) if left else say("This is the last one.")
    place = say("{number} of {count}", number=_shown[name], count=len(found))
    said = f"**{title}** ({place})\n\n{body}\n\n{more}"
    if in_jupyter():
        from IPython.display import Markdown, display

        display(Markdown(said))
    else:
        print(said.replace("**", ""))
