"""Every notebook on a GPU, and the stop button in its trainings: one line, what was learned is kept, and all cells below run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.away import bundled_only
from tests.kinds import each
from utils.authoring import build
from utils.paths import ROOT

ONE_LINE = ("Training was interrupted", "Stopped: ", "Stopped before a training was done")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "device"),
    each(
        [
            ("02_lstm_sentiment", "mps"),
            ("03_transformer_sentiment", "cpu"),
            *((name, "cuda") for name in build.source_names()),
        ],
        keep=lambda case: case == ("02_lstm_sentiment", "cuda"),
    ),
)
@pytest.mark.thorough
def test_a_stopped_training_leaves_a_notebook_that_runs_on(name, device):
    """Pressed in the first epoch of each long cell's first training, and of its second; at smoke size, without a kernel.

    A long cell that steps no optimizer trains nothing: a press there is an ordinary interrupt. All of it happens on a GPU that is
    pretended (`pretend_cuda`; once on the CPU, too): so each cell of each notebook also shows that none of its tensors lies on the wrong side.
    """
    path = build.SOLVED / f"{name}.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "tests.interrupts", str(path), device],
        cwd=ROOT,
        env=bundled_only(),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["problem"] is None, "\n".join(map(str, found["problem"]))
    assert {cell for cell, which, _ in found["said"] if which == 1}, "no cell of it trained"
    for cell, _, text in found["said"]:
        assert sum(line.startswith(ONE_LINE) for line in text.splitlines()) == 1, f"{cell}: {text}"
