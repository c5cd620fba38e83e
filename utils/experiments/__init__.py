"""Experiments: declared (`declare`, `grids`), run and resumed (`runner`), recorded (`results`), compared (`statistics`), drawn
(`plots`, `figures`); in a notebook `run_live`. The command is `python -m utils.experiments`."""


def __getattr__(name: str):
    if name == "run_live":  # late, so that reading results does not load torch
        from utils.experiments.live import run_live

        return run_live
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
