"""A course of one short notebook with trivial exercises, written into a folder of its own.

It is made of this repository's `utils` and of the few texts below, and then built by the ordinary authors' command. So both graders, the
plain and the trusted one, run in it exactly as they run in the real course, on one and the same notebook: what is measured is the grading,
not the work of a student's answer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from utils.paths import ROOT

NAME = "90_trivial"

SPEC = '''
"""Three exercises of one line each."""

from utils.checks.spec import Case, Draw, Exercise


def _pairs(draw: Draw) -> list[Case]:
    shapes = ((2, 3), (4, 1), (3, 2, 5), (1, 7))
    return [Case(f"{len(s)} axes, {s[-1]} last", args={"a": draw.normal(*s), "b": draw.normal(*s)}) for s in shapes]


def _rows(draw: Draw) -> list[Case]:
    return [Case(f"{len(s)} axes, {s[-1]} last", args={"x": draw.normal(*s)}) for s in ((2, 3), (4, 5), (3, 2, 5), (1, 7))]


COMMON = {"notebook": "90_trivial", "stars": 1, "minutes": 1}
ADD = Exercise(name="add", points=1, reference="solutions.trivial:add", cases=_pairs, **COMMON)
DOUBLE = Exercise(name="double", points=2, reference="solutions.trivial:double", cases=_rows, **COMMON)
ROW_SUMS = Exercise(name="row_sums", points=3, reference="solutions.trivial:row_sums", cases=_rows, **COMMON)
'''

ANSWERS = '''
"""The answers."""

from torch import Tensor


def add(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two tensors of one shape."""
    ### BEGIN SOLUTION
    return a + b
    ### END SOLUTION


def double(x: Tensor) -> Tensor:
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


def row_sums(x: Tensor) -> Tensor:
    """Sums over the last axis."""
    ### BEGIN SOLUTION
    return x.sum(dim=-1)
    ### END SOLUTION
'''

MISTAKES = '''
"""Wrong answers."""

from utils.grading.bank import Bank

plus = Bank("add")
plus.wrong("minus", "You subtract where you should add.", edits={"a + b": "a - b"})
twice = Bank("double")
twice.wrong("square", "You square x where you should double it.", edits={"2 * x": "x * x"})
sums = Bank("row_sums")
sums.wrong("first axis", "You sum over the first axis, not over the last.", edits={"dim=-1": "dim=0"})
'''

SOURCE = """
# %% [markdown]
# # 90 · Three trivial exercises

# %%
import torch
from torch import Tensor

from utils.checks import check, ready

# %% [markdown] exercise="add"
# Add.

# %% [markdown] exercise="double"
# Double.

# %% [markdown] exercise="row_sums"
# Sum.

# %%
if ready("add", "double", "row_sums"):
    print(row_sums(add(torch.ones(2, 3), double(torch.ones(2, 3)))))
"""


def make(folder: Path) -> Path:
    """Writes and builds the course.

    Args:
        folder: must not exist yet.

    Returns:
        the folder.
    """
    shutil.copytree(ROOT / "utils", folder / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (folder / "utils" / "checks" / "exercises").glob("[!_]*.py"):
        path.unlink()
    shutil.copy(ROOT / "pyproject.toml", folder)
    texts = {
        "utils/checks/exercises/trivial.py": SPEC,
        "solutions/__init__.py": "",
        "solutions/trivial.py": ANSWERS,
        "solutions/mistakes/__init__.py": "",
        "solutions/mistakes/trivial.py": MISTAKES,
        f"solutions/source/{NAME}.py": SOURCE,
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"), encoding="utf-8")
    command = [sys.executable, "-m", "utils.authoring", "build"]
    subprocess.run(command, cwd=folder, env=environment(folder), check=True, capture_output=True)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """The environment for commands in such a course: one computing thread, its own `utils`."""
    return os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}


def hand_in(folder: Path, count: int, where: str = "submissions", wrong: bool = True) -> Path:
    """Writes `count` submissions, no two alike: in turn all right, one wrong, one not started, a student's own helper.

    Args:
        folder: of the course.
        count: number of students.
        where: name of the folder below the course's.
        wrong: whether some are wrong; else all are right.

    Returns:
        the folder of submissions, `<where>/student-0001/90_trivial.ipynb` and on.
    """
    solved = json.loads((folder / "solutions" / f"{NAME}.ipynb").read_text(encoding="utf-8"))
    for number in range(count):
        notebook = json.loads(json.dumps(solved))
        kind = number % 4 if wrong else 0
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if cell["id"] == "row_sums" and kind == 1:
                cell["source"] = source.replace("dim=-1", "dim=0")
            elif cell["id"] == "double" and kind == 2:
                cell["source"] = source.replace(
                    "return 2 * x", 'raise NotImplementedError("not started yet")'
                )
            elif cell["id"] == "add" and kind == 3:
                cell["source"] = source.replace("return a + b", "parts = (a, b)\n    return sum(parts)")
            elif cell["id"] == "add":
                cell["source"] = source + f"\n# student {number}"
        path = folder / where / f"student-{number + 1:04d}" / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")
    return folder / where


def expected_points(number: int) -> dict[str, Any]:
    """What submission `number` (from 0) of :func:`hand_in` must get: exercise -> whether all its points."""
    kind = number % 4
    return {"add": True, "double": kind != 2, "row_sums": kind != 1}


def wrong(count: int) -> int:
    """How many answers of the first `count` submissions are wrong or not started."""
    return sum(not right for number in range(count) for right in expected_points(number).values())
