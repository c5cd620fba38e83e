"""How long a student waits: a check's answer, and the start of a notebook."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def check_seconds() -> dict[str, float]:
    """Seconds of one check per exercise, on the reference: file read included."""
    from utils.authoring import answers
    from utils.checks import fixtures
    from utils.checks.engine import examine

    taken = {}
    for exercise in answers.select():
        attempt = answers.reference(exercise)
        fixtures.load.cache_clear()
        began = time.perf_counter()
        examine(exercise, attempt)
        taken[exercise.name] = time.perf_counter() - began
    return taken


def start_seconds(rounds: int = 5) -> tuple[float, float]:
    """Median seconds, in fresh interpreters in turn: `import torch` alone; the same, then `utils.checks` and a first check."""
    alone = "import torch"
    checked = (
        "import torch; from torch import Tensor; from utils.checks import check\n"
        "from utils.stand_ins import causal_mask; check(causal_mask)"
    )
    times: dict[str, list[float]] = {alone: [], checked: []}
    for _ in range(rounds):
        for code, taken in times.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
            taken.append(time.perf_counter() - began)
    return statistics.median(times[alone]), statistics.median(times[checked])
