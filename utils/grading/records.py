"""The gradebook: an append-only JSONL file, one line per graded submission, keyed so that a killed run resumes and a regrade redoes only what changed."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from utils import storage
from utils.paths import ROOT


class Records:
    """The lines of one gradebook file.

    Args:
        path: created if it is not there. A last line that was cut off by a kill is ignored, and overwritten by nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        for entry in storage.read(path):
            if "key" in entry:
                self.lines.setdefault(entry["key"], entry)

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def add(self, entry: dict[str, Any]) -> None:
        """Appends an entry (with its `key`) in one write and makes sure that it is on the disk.

        Raises:
            RuntimeError: the file is no longer there; a new one would lack what was recorded before, and the seed.
            OSError: it could not be written; the file is as it was.
        """
        if entry["key"] in self.lines:
            return
        if not self.path.exists():
            raise RuntimeError(f"{self.path} is gone, so grading has stopped. Is the folder mounted?")
        storage.append(self.path, entry, mode=0o600)
        self.lines[entry["key"]] = entry


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the block no other grader writes to `folder`.

    Raises:
        RuntimeError: another one does now.
    """
    if storage.fcntl is None:  # Windows: no locks, and no descriptors of folders
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if not storage.lock(descriptor, wait=False):
            raise RuntimeError(f"another grader is writing to {folder}")
        yield
    finally:
        os.close(descriptor)


def write_safely(path: Path, text: str) -> None:
    """Writes a file so that a kill at any moment leaves the old or the new one, never a part. Only its owner may read it."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


# what the grader writes into its folder; whatever else lies there keeps its modes
FOLDERS = ("feedback", "written", "moodle", "gradescope")
FILES = (
    *(
        "grades.csv",
        "overrides.csv",
        "roster.csv",
        "summary.html",
        "junit.xml",
        "grading.toml",
        "picked.toml",
    ),
    *("records.jsonl", "entries.json", "arrived.json", "columns.json", "seed.json"),
)


def keep_private(out: Path) -> list[Path]:
    """Takes from all others but the user the modes of a grader's folder and of the reports of an earlier run: a umask is for new paths only.

    Args:
        out: the folder; need not exist.

    Returns:
        what others can still reach: it is somebody else's, or its disk has no modes.
    """
    if not out.is_dir():
        return []
    below = [path for name in FOLDERS for path in (out / name, *(out / name).rglob("*"))]
    files = [out / name for name in FILES]
    still = []
    for path in (out, *below, *files):
        if path.is_symlink() or not path.exists():
            continue
        with contextlib.suppress(OSError):
            path.chmod(0o700 if path.is_dir() else 0o600)
        if path.stat().st_mode & 0o077:
            still.append(path)
    return still


def key(submission: str, student: str, notebook: str, seed: int) -> str:
    """What a grade depends on: the file, whose it is, the notebook's specification and answers, the seed, the grader's version."""
    text = "\0".join((submission, student, notebook, str(seed), specification(notebook), version()))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def specification(notebook: str) -> str:
    """sha256 over what defines the notebook's checks: public cases, expectations, known mistakes, points, the release."""
    from utils.checks.fixtures import path_of
    from utils.checks.registry import exercises_of

    digest = hashlib.sha256()
    for exercise in exercises_of(notebook):
        digest.update(f"{exercise.name} {exercise.points} {exercise.rtol} {exercise.atol}".encode())
        for path in (path_of(exercise), path_of(exercise).with_suffix(".json")):
            digest.update(path.read_bytes())
    digest.update((ROOT / "notebooks" / f"{notebook}.ipynb").read_bytes())
    return digest.hexdigest()


# What of the grader gives nobody a point: a change there makes no grade stale.
NO_GRADES = (
    "reports",
    "warm",
    "plugin.py",
    "marks.py",
    "policy.py",
    "roster.py",
    "gradescope.py",
    "report_run.py",
    "__main__.py",
)


@cache
def version() -> str:
    """sha256 over the source of what grades: checks, stand-ins, and the grader without its reports and commands."""
    digest = hashlib.sha256()
    for folder in ("checks", "stand_ins", "grading"):
        base = ROOT / "utils" / folder
        for path in sorted(base.rglob("*.py")):
            if folder != "grading" or path.relative_to(base).parts[0] not in NO_GRADES:
                digest.update(path.read_bytes())
    return digest.hexdigest()
