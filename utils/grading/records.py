"""The gradebook: an append-only JSONL file, one line per graded submission, keyed so that a killed run resumes and a regrade redoes only what changed."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Records:
    """The lines of one gradebook file.

    Args:
        path: created if it is not there. A last line that was cut off by a kill is ignored, and overwritten by nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            text = path.read_bytes()
            for line in text.split(b"\n"):
                try:
                    entry = json.loads(line)
                    self.lines.setdefault(entry["key"], entry)
                except (ValueError, KeyError, TypeError):
                    continue
            if text and not text.endswith(b"\n"):
                self._write(b"\n")

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def add(self, entry: dict[str, Any]) -> None:
        """Appends an entry (with its `key`) in one write and makes sure that it is on the disk."""
        if entry["key"] in self.lines:
            return
        self._write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self.lines[entry["key"]] = entry

    def _write(self, data: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def key(submission: str, student: str, notebook: str, seed: int) -> str:
    """What a grade depends on: the file, whose it is, the notebook's specification and answers, the seed, the grader's version."""
    text = "\0".join((submission, student, notebook, str(seed), specification(notebook), version()))
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def specification(notebook: str) -> str:
    """sha256 over what defines the notebook's checks: public cases, expectations, known mistakes, points, the release."""
    from utils.checks.fixtures import FOLDER
    from utils.checks.registry import exercises_of

    digest = hashlib.sha256()
    for exercise in exercises_of(notebook):
        digest.update(f"{exercise.name} {exercise.points} {exercise.rtol} {exercise.atol}".encode())
    files = [*sorted((FOLDER / notebook).glob("*.safetensors")), ROOT / "notebooks" / f"{notebook}.ipynb"]
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def version() -> str:
    """sha256 over the source of the checks and of the grader."""
    digest = hashlib.sha256()
    for folder in ("checks", "grading"):
        for path in sorted((ROOT / "utils" / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
