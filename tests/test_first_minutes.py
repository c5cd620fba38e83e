"""The measurement of a newcomer's first minutes, with this environment in place of a new one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from utils.authoring import first_minutes
from utils.paths import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "utils").symlink_to(ROOT / "utils")
    (tmp_path / "data").symlink_to(ROOT / "data")
    return tmp_path


def kernel(folder: Path, text: str) -> None:
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{text}\n")
    python.chmod(0o755)


def test_the_first_check_is_run_in_the_new_environment(folder, monkeypatch):
    monkeypatch.setenv("COURSE_BUDGET", "smoke")
    kernel(folder, f'touch "{folder}/used"; exec "{sys.executable}" "$@"')
    first_minutes.first_check(folder)
    assert (folder / "used").exists()
