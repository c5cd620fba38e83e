"""CONTRIBUTING followed to the letter: its experiment is written into a copy of the course, run, plotted, judged and audited."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from utils.paths import ROOT

SECTION = re.compile(r"^## An experiment.*?(?=^## )", re.S | re.M)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_experiment_of_contributing_runs_as_it_is_written(tmp_path):
    section = SECTION.search((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))[0]
    folder = re.match(r"## An experiment: `(.+)/<name>.py`", section)[1]
    name = re.search(r"a file named (\w+[.]py)", section)[1]
    blocks = dict(re.findall(r"^```(\w*)\n(.*?)^```", section, re.S | re.M))  # by language
    code, commands = blocks["python"], blocks[""].strip().splitlines()
    for part in ("utils", "solutions", "data"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "*.ipynb"))
    (tmp_path / folder / name).write_text(code, encoding="utf-8")
    said = []
    for command in commands:
        words = shlex.split(command)
        assert words[0] == "python"
        done = subprocess.run(
            [sys.executable, *words[1:]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=600,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    run, plot, judge, audit = said
    assert "[6/6] ViT, 64 images" in run and "6 recorded now" in run  # in which order, the clock says
    assert (tmp_path / "figures" / "warm-up-accuracy.png").stat().st_size > 1000 and "test accuracy" in plot
    assert re.search(r"^\[(held|open|failed)\] It does, by more than 2 points\.", judge)
    assert "with minus without" in judge
    assert audit == "warm-up.jsonl: 6 rows, smoke 6/6: clean\n"
    assert len((tmp_path / "data" / "results" / "warm-up.jsonl").read_text().splitlines()) == 6
