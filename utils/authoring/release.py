"""Makes the class repository: the course without anything that holds or needs an answer. `python -m utils.authoring.release OUT`

What goes in is listed, not what stays out, so a new file is no leak. Then all of it is searched for the lines that students are to write.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from functools import cache
from pathlib import Path

from utils.authoring.build import ROOT

WHOLE = (
    "README.md",
    "environment.yml",
    "pyproject.toml",
    "requirements.lock",
    ".gitignore",
    "LICENSE",
    "LICENSE-TEXT",
    "CITATION.cff",
)
FOLDERS = ("notebooks", "utils", "data/expected", "data/results", "data/checkpoints")
FILES = ("data/README.md", "data/lecture_tables.json", "docs/_static/positions.png")
# The instructor's side, and authors' commands: they hold no answer, and without `solutions/` they are of no use.
OURS = ("grading", "authoring")
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".ipynb_checkpoints", ".*_cache", ".cache", "*.resume", ".progress.jsonl"
)

SECTIONS = ("Instructors", "Self-learners", "Tests")  # of the README: not for students
SHORTEST = 40  # characters of an answer that is searched for
NOT_HERE = re.compile(r"solutions|CONTRIBUTING|tests/|make (?!lab)")


class Leak(RuntimeError):
    """The release would show an answer; nothing was written."""


def release(out: Path) -> list[str]:
    """Writes the class repository.

    Args:
        out: folder that does not exist yet, or is empty.

    Returns:
        the files written, relative to `out`.

    Raises:
        FileExistsError: the folder holds something.
        Leak: a file would show lines of an answer; it is named, and nothing is left in `out`.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    out.mkdir(parents=True, exist_ok=True)
    for name in (*WHOLE, *FILES):
        if (ROOT / name).exists():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, out / name)
    for name in FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, out / name, ignore=LEFT_OUT)
    for name in OURS:
        path = out / "utils" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (out / "Makefile").write_text(
        students_makefile((ROOT / "Makefile").read_text(encoding="utf-8")), encoding="utf-8"
    )
    (out / "README.md").write_text(
        students_page((ROOT / "README.md").read_text(encoding="utf-8")), encoding="utf-8"
    )
    leaks = [line for path in sorted(out.rglob("*")) if path.is_file() for line in shown(path, out)]
    if leaks:
        shutil.rmtree(out)
        raise Leak("these files would show an answer:\n" + "\n".join(leaks[:20]))
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def students_makefile(text: str) -> str:
    """Of the Makefile: its variables, and the targets that open JupyterLab, show progress, and install what that needs."""
    blocks = re.split(r"\n{2,}", text.strip())
    kept = [
        block
        for block in blocks
        if re.search(r"^[A-Z_]+ [:?]?= |^(lab|progress|\$\(VENV\)/\.installed):", block, re.M)
    ]
    return "\n\n".join([kept[0], ".PHONY: lab progress", *kept[1:]]) + "\n"


def students_page(text: str) -> str:
    """The README without the sections and paragraphs that speak of what a student does not have."""
    sections = re.split(r"^(?=## )", text, flags=re.M)
    kept = [part for part in sections if not part.startswith(tuple(f"## {name}" for name in SECTIONS))]
    paragraphs = re.split(r"\n{2,}", "".join(kept).strip())
    return "\n\n".join(part for part in paragraphs if not NOT_HERE.search(part)) + "\n"


def shown(path: Path, root: Path) -> list[str]:
    """Answers that a file shows, one line each: "file: exercise". Data files are searched as bytes."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":  # JSON hides line ends and quotes
            text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    except (UnicodeDecodeError, ValueError, KeyError):
        text = path.read_bytes().decode("latin-1")
    lines = (line.strip() for line in text.splitlines())
    flat = "\n".join(line for line in lines if line and not line.startswith("#"))
    found = [name for name, regions in bodies().items() if all(region in flat for region in regions)]
    if "### BEGIN SOLUTION" in text:
        found.append("the markers of a solution")
    return [f"{path.relative_to(root)}: {name}" for name in found]


@cache
def bodies() -> dict[str, tuple[str, ...]]:
    """What a student writes, by exercise: its marked regions as lines of code, without comments and indents.

    An exercise is shown where all its regions stand: one alone (`self.norm = nn.LayerNorm(dim)`) is everybody's. Answers of a few
    characters are left out, since they are found by accident.
    """
    from utils.authoring import stubs
    from utils.checks.registry import all_exercises

    found = {}
    for exercise in all_exercises().values():
        regions = tuple("\n".join(lines) for lines in _regions(stubs.answer(exercise).whole))
        if sum(map(len, regions)) >= SHORTEST:
            found[exercise.name] = regions
    return found


def _regions(whole: str) -> list[list[str]]:
    from utils.authoring.stubs import BEGIN, END

    regions: list[list[str]] = []
    inside = False
    for line in (line.strip() for line in whole.splitlines()):
        if line == BEGIN:
            regions.append([])
            inside = True
        elif line == END:
            inside = False
        elif inside and line and not line.startswith("#"):
            regions[-1].append(line)
    return regions


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.authoring.release", description="Makes the class repository."
    )
    parser.add_argument("out", type=Path, help="a folder that does not exist yet, or is empty")
    out = parser.parse_args().out
    try:
        files = release(out)
    except (FileExistsError, Leak) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{out}: {len(files)} files; searched for {len(bodies())} answers, found none.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
