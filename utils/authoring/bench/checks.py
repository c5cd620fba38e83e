"""How long a student waits: a check's answer, and the start of a notebook."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from utils.paths import ROOT


def check_seconds() -> dict[str, float]:
    """Seconds of one check per exercise, on the reference: file read included."""
    from utils.checks import fixtures
    from utils.checks.engine import examine
    from utils.grading import answers

    taken = {}
    for exercise in answers.select():
        attempt = answers.reference(exercise)
        fixtures.load.cache_clear()
        began = time.perf_counter()
        examine(exercise, attempt)
        taken[exercise.name] = time.perf_counter() - began
    return taken


def start_seconds(rounds: int = 5) -> float:
    """Median seconds, in fresh interpreters, of importing `utils.checks` and running a first check once torch is imported."""
    code = (
        "import time, torch\nbegan = time.perf_counter()\n"
        "from utils.checks import check\nfrom utils.stand_ins.scaled_dot_product import causal_mask\ncheck(causal_mask)\n"
        "print(time.perf_counter() - began)"
    )
    times = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        )
        times.append(float(done.stdout.split()[-1]))
    return statistics.median(times)
