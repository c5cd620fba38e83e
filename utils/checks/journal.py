"""What passed: a line per check in `.progress.jsonl`, in the working folder, which is the notebook's.

A line is appended whole, so two kernels may write to one file, and a line that was cut by a crash is skipped. It holds the exercise, the
hash of the answer's cell, and the time. Nothing is written by a grader, a test, or a run without a reader.
"""

from __future__ import annotations

import ast
import contextlib
import datetime
import hashlib
import inspect
import json
import linecache
import os
from pathlib import Path
from typing import Any

from utils.checks.copies import places, run_by_others, tree_of
from utils.checks.messages import in_jupyter
from utils.checks.spec import Exercise

NAME = ".progress.jsonl"
LARGEST = 100_000  # bytes


def serves_a_student() -> bool:
    """Whether somebody works in this kernel: not a script, not a test or grader, not the build of the course."""
    return in_jupyter() and not run_by_others()


def record(exercise: Exercise, attempt: Any) -> None:
    """Notes that an answer passed its check. Says nothing, and a folder that cannot be written to is no error."""
    if not serves_a_student():
        return
    line = {
        "exercise": exercise.name,
        "source": fingerprint(source_of(attempt)),
        "time": datetime.datetime.now().astimezone().isoformat(timespec="milliseconds"),
    }
    path = Path.cwd() / NAME
    with contextlib.suppress(OSError):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if path.stat().st_size > LARGEST:
            shorten(path)


def shorten(path: Path) -> None:
    """Keeps of a journal the last time of each answer."""
    kept = [
        json.dumps({"exercise": exercise, "source": source, "time": time})
        for exercise, passed in read([path.parent]).items()
        for source, time in passed.items()
    ]
    beside = path.with_name(f"{NAME}.{os.getpid()}")
    beside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    beside.replace(path)


def read(folders: list[Path] | None = None) -> dict[str, dict[str, str]]:
    """What passed: exercise -> {hash of the answer's cell: when it passed last}.

    Args:
        folders: where journals may lie; default all places that may hold notebooks.
    """
    found: dict[str, dict[str, str]] = {}
    for folder in places() if folders is None else folders:
        with contextlib.suppress(OSError):
            for text in (folder / NAME).read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    line = json.loads(text)
                    datetime.datetime.fromisoformat(line["time"])
                    found.setdefault(line["exercise"], {})[line["source"]] = line["time"]
    return found


def source_of(attempt: Any) -> str:
    """The whole cell (or file) that an answer was defined in; "" where Python does not know it."""
    function = attempt
    if inspect.isclass(attempt):  # a class keeps no file of its own in a notebook, its methods do
        methods = (getattr(value, "__func__", value) for value in vars(attempt).values())
        function = next((method for method in methods if inspect.isfunction(method)), None)
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return "".join(linecache.getlines(code.co_filename)) if code else ""


def fingerprint(source: str) -> str:
    """A hash of what a cell does: comments, blank lines and quotes do not count. "" for an empty source."""
    tree = tree_of(source)
    text = ast.unparse(tree) if tree else source.strip()
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""
