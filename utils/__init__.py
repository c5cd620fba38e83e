"""The course's toolbox. Notebooks take `plotting` from here, and what they say about the budget and the machine."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("current_budget", "describe_machine"):  # late: not every reader of `utils` wants torch
        from utils import budget

        return getattr(budget, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
