"""The course as nbgrader has it: a course folder with sources, releases and a configuration. `python -m utils.authoring nbgrader OUT`

In `OUT`, `nbgrader generate_assignment`, `autograde` and `generate_feedback` then run as nbgrader's own pages say. Stubs keep signature and
docstring, because what is cut out stands between markers.
"""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

from utils.authoring import stubs
from utils.authoring.build import source_names
from utils.authoring.release import listed
from utils.checks.registry import exercises_of
from utils.paths import ROOT

CONFIG = '''"""nbgrader's settings for this course. All commands are run in this folder."""

import os

os.environ.setdefault("COURSE_BUDGET", "smoke")  # live cells only show that they run

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "transformers-for-vision"
c.ClearSolutions.code_stub = {"python": '# YOUR CODE HERE\\nraise NotImplementedError("not started yet")'}
c.ExecutePreprocessor.timeout = 1200
c.ExecuteOptions.timeout = 1200
'''


def write(out: Path, notebooks: list[str] | None = None) -> list[Path]:
    """Writes the course folder.

    Args:
        out: a folder that does not exist yet, or is empty.
        notebooks: names; default all.

    Returns:
        the sources, one per assignment.

    Raises:
        FileExistsError: the folder holds something.
    """
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty")
    for name in listed():  # what set-up cells look for: the students' side of the course
        if name.startswith(("utils/", "data/")):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, out / name)
    (out / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    sources = []
    for name in notebooks or source_names():
        path = out / "source" / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(source(name), ensure_ascii=False, indent=1), encoding="utf-8")
        sources.append(path)
    return sources


def source(name: str) -> dict[str, Any]:
    """The student notebook with the answers in it, between nbgrader's markers."""
    notebook = deepcopy(json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")))
    answers = {exercise.name: stubs.answer(exercise).whole.rstrip() for exercise in exercises_of(name)}
    for cell in notebook["cells"]:
        if cell["id"] in answers:
            cell["source"] = answers[cell["id"]]
    return notebook
