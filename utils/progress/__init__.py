"""How far you are, the next hint, and your answers back after a restart. Works offline and sends nothing anywhere.

    progress("01")         # per notebook: passed, open, changed since, points, what is next; last, this notebook, with a link
    hint("split_heads")    # the next of the exercise's hints
    restore("01")          # after a restart of the kernel: the answers of this notebook that passed

In a terminal: `python -m utils.progress`. Every check that passes leaves a line in `.progress.jsonl` beside the notebook (see `utils.checks.journal`).
"""

from utils.progress.hints import hint
from utils.progress.overview import progress
from utils.progress.restoring import restore

__all__ = ["hint", "progress", "restore"]
