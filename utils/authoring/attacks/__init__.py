"""Hostile, broken and merely odd submissions, each with what it must score. `python -m utils.authoring attacks` runs them and prints a table.

Every attack is bounded, so that a limit that fails harms no machine: at most 50 processes, 3 GiB of memory, 300 MB of disk, loopback only.
"""

from utils.authoring.attacks import (
    archives,
    codes,
    deliveries,
    exhausting,
    files,
    forging,
    honest,
    kinds,
    lateness,
    layers,
    names,
    reaching,
    texts,
)
from utils.authoring.attacks.scene import Attack

ALL: tuple[Attack, ...] = (
    *forging.ATTACKS,
    *reaching.ATTACKS,
    *exhausting.ATTACKS,
    *files.ATTACKS,
    *archives.ATTACKS,
    *codes.ATTACKS,
    *texts.ATTACKS,
    *honest.ATTACKS,
    *names.ATTACKS,
    *deliveries.ATTACKS,
    *lateness.ATTACKS,
    *layers.ATTACKS,
    *kinds.ATTACKS,
)
