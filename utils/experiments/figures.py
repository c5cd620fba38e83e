"""The standard figures of an experiment's recorded rows, as its own file declares them, for `python -m utils.experiments plot`.

for name, (figure, alt) in figures_of("data-scaling", "cpu").items():
    plotting.show(figure, alt)
"""

from __future__ import annotations

from pathlib import Path

from utils.experiments.declare import Figures, find
from utils.experiments.results import load


def figures_of(name: str, preset: str, folder: Path | str | None = None) -> Figures:
    """All standard figures of an experiment, {} where nothing is recorded."""
    experiment = find(name)
    rows = load(experiment.name, folder, stage="main", preset=preset)
    return experiment.figures(rows) if rows else {}
