"""A Gradescope autograder made of this grader: a zip with `setup.sh`, `run_autograder` and the course, for one notebook.

Gradescope's containers forbid the namespaces that full isolation needs, so a submission is graded at the level that the container allows;
every result says which.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from utils.grading import reports, run
from utils.grading.isolation import probe
from utils.grading.reading import RELEASE
from utils.grading.reports import tables
from utils.paths import ROOT

FOLDERS = ("utils", "solutions", "notebooks", "locale", "data/expected")
FILES = ("pyproject.toml", "requirements.lock")
SETUP = """\
#!/usr/bin/env bash
# Run once, when Gradescope builds the image. No GPU there: torch comes without CUDA, which saves gigabytes.
set -euo pipefail
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv
cd /autograder/source/course
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --extra-index-url https://download.pytorch.org/whl/cpu "{torch}+cpu" \\
    || .venv/bin/python -m pip install --quiet "{torch}"
.venv/bin/python -m pip install --quiet --requirement requirements.lock
"""
RUN = """\
#!/usr/bin/env bash
# Run for each submission. AUTOGRADER and PYTHON are for trying it elsewhere.
set -euo pipefail
AUTOGRADER=${{AUTOGRADER:-/autograder}}
cd "$AUTOGRADER/source/course"
exec "${{PYTHON:-.venv/bin/python}}" -m utils.grading gradescope-run "$AUTOGRADER/submission" "$AUTOGRADER/results/results.json" {notebook}
"""


def bundle(notebook: str, path: Path) -> Path:
    """Writes the autograder's zip file.

    Args:
        notebook: name, or its beginning ("01").
        path: of the zip file.

    Raises:
        ValueError: no notebook, or more than one, is called so.
    """
    found = [one.stem for one in sorted(RELEASE.glob("[0-9][0-9]_*.ipynb")) if one.stem.startswith(notebook)]
    if len(found) != 1:
        raise ValueError(
            f"{notebook!r} is {'no notebook' if not found else 'more than one notebook'} of the course"
        )
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    torch = re.search(r"^torch==[\d.]+", lock, re.M)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _script(archive, "setup.sh", SETUP.format(torch=torch[0] if torch else "torch"))
        _script(archive, "run_autograder", RUN.format(notebook=found[0]))
        for name in FILES:
            archive.write(ROOT / name, f"course/{name}")
        for folder in FOLDERS:
            for file in sorted((ROOT / folder).rglob("*")):
                place = file.relative_to(ROOT)
                solved = folder == "solutions" and file.suffix == ".ipynb"
                if file.is_file() and not solved and not {"__pycache__", "authoring"} & set(place.parts):
                    archive.write(file, f"course/{place.as_posix()}")
    return path


def _script(archive: zipfile.ZipFile, name: str, text: str) -> None:
    member = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    member.external_attr = 0o755 << 16  # Gradescope starts it
    archive.writestr(member, text)


def grade(submission: Path, results: Path, notebook: str) -> dict[str, Any]:
    """Grades what one student has uploaded and writes Gradescope's `results.json`.

    Raises:
        RuntimeError, FileNotFoundError: nothing could be graded. Gradescope then shows that the autograder failed, and no points.
    """
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        shutil.copytree(submission, place / "in" / "student", symlinks=True)
        entries = run.run(place / "in", place / "out", allow_weak=True, progress=False)
    ours = [entry for entry in entries if entry["notebook"] == notebook]
    if not ours:
        said = "; ".join(entry["problem"] or f"{entry['origin']} is {entry['notebook']}" for entry in entries)
        result: dict[str, Any] = {
            "score": 0,
            "output": f"There is no {notebook} in what you uploaded: {said}.",
        }
    else:
        result = tables.gradescope_result(ours[0], reports.isolation_of(ours, probe().sentence()))
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    return result
