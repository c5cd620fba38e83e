"""What a test that repeats itself gives to `make test`, and what to `make test-all`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def each(values: Iterable, keep: Callable[[Any], bool] | int = 1) -> list:
    """All `values` as parameters of a test; `make test` runs those to `keep` (the first ones, or by a rule), `make test-all` every one.

    For tests that show the same of every notebook, bank or attack, and take seconds for each.
    """
    chosen = list(values)
    kept = [keep(value) if callable(keep) else number < keep for number, value in enumerate(chosen)]
    assert any(kept), "nothing of this test is left in `make test`"
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)), marks=() if stays else pytest.mark.thorough
        )
        for value, stays in zip(chosen, kept, strict=True)
    ]
