"""Fixtures for the whole suite."""

from __future__ import annotations

import pytest

from tests.browser import launch


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, for one test module; skips with one sentence where there is none.

    Not for the session: Playwright keeps an event loop running in the main thread while it lives.
    """
    with launch() as started:
        yield started


@pytest.fixture
def one_thread():
    """One thread of torch, so that sums are added in one order and runs can be compared bit for bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
