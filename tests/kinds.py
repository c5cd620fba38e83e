"""What a test that repeats itself gives to `make check`, to `make test` and to `make test-all`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def each(values: Iterable, keep: Callable[[Any], bool] | int = 1, others: str = "thorough") -> list:
    """All `values` as parameters of a test; those not to `keep` (the first ones, or by a rule) are marked as `others`.

    For tests that show the same of every notebook, bank or attack, and take long for each: `make test-all` runs every one, `make test`
    leaves out what is "thorough", `make check` what is "slow" as well.
    """
    mark = getattr(pytest.mark, others)
    chosen = list(values)
    kept = [keep(value) if callable(keep) else number < keep for number, value in enumerate(chosen)]
    assert any(kept), "nothing of this test is left"
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=() if stays else mark)
        for value, stays in zip(chosen, kept, strict=True)
    ]
