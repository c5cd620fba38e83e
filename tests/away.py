"""Where a process of a test runs: away from the network and the mirror, at smoke size."""

from __future__ import annotations

import os

from utils.paths import ROOT

SMOKE = {"COURSE_BUDGET": "smoke", "HF_HUB_OFFLINE": "1"}


def bundled_only() -> dict[str, str]:
    """An environment in which the course has its bundled data alone, and prints lines instead of bars."""
    env = {
        key: value for key, value in os.environ.items() if key not in ("COURSE_DATA", "PYTEST_CURRENT_TEST")
    }
    return env | SMOKE | {"COURSE_PROGRESS": "plain", "PYTHONPATH": str(ROOT)}
