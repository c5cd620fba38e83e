"""What the grader writes: readable by its user alone, whole when the disk is full, and one sentence when it fails."""

from __future__ import annotations

import argparse
import errno
import os

import pytest

from utils.grading import __main__ as commands
from utils.grading import records
from utils.grading.records import Records
from utils.paths import ROOT


@pytest.fixture(autouse=True)
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_only_the_user_can_read_what_a_command_writes(tmp_path):
    def write(options):
        (tmp_path / "feedback").mkdir()
        (tmp_path / "feedback" / "a.html").write_text("7 of 9")
        return 0

    assert commands._kept_private(write, argparse.Namespace()) == 0
    assert (tmp_path / "feedback").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "feedback" / "a.html").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system", "/out"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/out/records.jsonl"),
    ],
)
def test_a_disk_that_fails_is_one_sentence(error, capsys):
    def fail(options):
        raise error

    assert commands._kept_private(fail, argparse.Namespace()) == 2
    said = capsys.readouterr().err
    assert error.strerror in said and said.count("\n") == 1 and "Traceback" not in said


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    book = Records(tmp_path / "records.jsonl")
    book.add({"key": "a", "points": 1})
    before = (tmp_path / "records.jsonl").read_bytes()
    write, calls = os.write, []

    def full(descriptor, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, bytes(data[:7]))

    monkeypatch.setattr(records.os, "write", full)
    with pytest.raises(OSError, match="No space"):
        book.add({"key": "b", "points": 2})
    monkeypatch.undo()
    assert len(calls) == 2 and (tmp_path / "records.jsonl").read_bytes() == before and "b" not in book
    book.add({"key": "b", "points": 2})
    assert set(Records(tmp_path / "records.jsonl").lines) == {"a", "b"}


def test_the_version_is_of_what_grades(tmp_path, monkeypatch):
    """A change of a report makes no grade stale; a change of the judge, of a check or of a stand-in does."""
    monkeypatch.setattr(records, "ROOT", tmp_path)
    places = [
        "grading/verdict.py",
        "checks/compare.py",
        "stand_ins/x.py",
        "grading/reports/pages.py",
        "grading/marks.py",
    ]
    for place in places:
        (tmp_path / "utils" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "utils" / place).write_text("1")
    versions = [records.version.__wrapped__()]
    for place in places:
        (tmp_path / "utils" / place).write_text("2")
        versions.append(records.version.__wrapped__())
    changed = [a != b for a, b in zip(versions, versions[1:], strict=False)]
    assert changed == [True, True, True, False, False]
    assert all((ROOT / "utils" / "grading" / name).exists() for name in records.NO_GRADES)
