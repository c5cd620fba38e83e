"""Answers written blind: the files are read, run and counted as they are labelled."""

from __future__ import annotations

import pytest
import torch

from utils.authoring import blind
from utils.checks.registry import find

FILE = '''# %% wrong: inverted | True means hidden.
def causal_mask(length):
    return torch.ones(length, length, dtype=torch.bool).triu(1)

# %% wrong: in fact right | A label of its writer that the check contradicts.
def causal_mask(length):
    return torch.ones(length, length, dtype=torch.bool).tril()

# %% wrong: does not run | A name that is not there.
causal_mask = nowhere

# %% right: compared | broadcasting
def causal_mask(length):
    """(N, N)."""
    return torch.arange(length)[:, None] >= torch.arange(length)

# %% right: in fact wrong | one step too far
def causal_mask(length):
    return torch.ones(length, length, dtype=torch.bool).tril(1)
'''


def test_each_cell_is_run_and_counted(tmp_path):
    (tmp_path / "causal_mask.py").write_text(FILE, encoding="utf-8")
    answers = list(blind.read(tmp_path))
    assert [(one.right, one.name) for one in answers][:2] == [(False, "inverted"), (False, "in fact right")]
    tally = blind.measure(find("causal_mask"), answers, {"torch": torch})
    assert (tally.wrong, tally.killed, tally.named, tally.right, tally.rejected) == (2, 1, 1, 2, 1)
    page = blind.page([tally])
    assert "**passes**, wrong: in fact right" in page and "True means hidden." in page
    assert "cannot be run (NameError" in page and "**rejected**, right: in fact wrong" in page


def test_a_file_without_cells_is_refused(tmp_path):
    (tmp_path / "causal_mask.py").write_text("def causal_mask(length): ...\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no cell begins"):
        list(blind.read(tmp_path))
