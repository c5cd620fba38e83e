"""What the grader writes: readable by its user alone, whole when the disk is full, and one sentence when it fails."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys

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


def test_what_was_open_before_is_closed_and_nothing_else(tmp_path, capsys, monkeypatch):
    """A umask is for new paths. Files that are not the grader's keep their modes, and what cannot be closed is said."""
    mine = [tmp_path / name for name in ("summary.html", "feedback/a.html", "gradescope/01/kim/results.json")]
    other = tmp_path / "mine.html"
    for path in (*mine, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("7 of 9")
    (tmp_path / "junit.xml").symlink_to(other)
    tmp_path.chmod(0o755)
    commands._close(tmp_path)
    assert capsys.readouterr().err == "" and tmp_path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in mine} == {0o600}
    assert (tmp_path / "gradescope" / "01").stat().st_mode & 0o777 == 0o700
    assert other.stat().st_mode & 0o777 == 0o644
    commands._close(tmp_path / "not there yet")

    def refuse(path, mode, **more):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "chmod", refuse)
    commands._close(tmp_path)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{tmp_path} cannot be closed" in said


def test_every_command_keeps_private_what_it_writes(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["grading", "level"])
    masks = []
    monkeypatch.setattr(commands, "_level", lambda options: masks.append(os.umask(0o077)) or 7)
    assert commands.main() == 7 and masks == [0o077]


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


MOUNTED = r"""
import argparse, json, os, shutil, subprocess, sys
from pathlib import Path
from utils.grading import __main__ as commands
from utils.grading import report_run, run

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
graded = []

def results(workers, scheduler, handed, seed, limits, allow_weak, todo):  # a sandbox's, without a sandbox
    for index in todo:
        graded.append(handed[index].student)
        if len(graded) == stop:
            out.rename(out.with_name("elsewhere"))
        answers = {"split_heads": "x" * 20_000}
        yield index, run._nothing("") | {"answers": answers, "written": {"essay": "y" * 20_000}}

def grade(title):
    graded.clear()
    options = argparse.Namespace(submissions=folder, out=out, seed=None, workers=1, scheduler="lent", policy=None,
                                 roster=None, canvas_column=[], allow_weak_isolation=True)
    print("--", title, file=sys.stderr, flush=True)
    status = commands._kept_private(commands._grade, options)
    where = out / "records.jsonl"
    lines = where.read_bytes().split(b"\n") if where.exists() else [b""]
    kept = [json.loads(line)["student"] for line in lines[:-1]]
    written = sorted(path.name for path in out.iterdir()) if out.exists() else []
    print(json.dumps({"title": title, "status": status, "graded": graded, "kept": kept, "cut": lines[-1].decode(), "written": written}))

run._results, stop = results, 0
out.mkdir()
def mount(*words):
    subprocess.run(["mount", *words, str(out)], check=True)
mount("-t", "tmpfs", "-o", "size=220k", "none")
grade("full")
mount("-o", "remount,size=40m")
grade("larger")
finish = report_run.finish
def without_room(*given):  # for one byte of a report
    with open(out / "fill", "wb", buffering=0) as fill:
        while True:
            try:
                fill.write(bytes(4096))
            except OSError:
                break
    return finish(*given)
for name in ("feedback", "gradescope", "moodle", "written"):
    shutil.rmtree(out / name)
for name in ("grades.csv", "summary.html"):
    (out / name).unlink()
report_run.finish = without_room
grade("reports")
report_run.finish = finish
(out / "fill").unlink()
grade("once more")
mount("-o", "remount,ro")
(folder / "new").mkdir()
shutil.copy(next(folder.glob("*/*.ipynb")), folder / "new")
grade("read-only")
subprocess.run(["umount", str(out)], check=True)
stop = 3
grade("vanishes")
"""


@pytest.fixture(scope="module")
def mounted(tmp_path_factory):
    """A whole run on a disk that is full, then large enough, then read-only, and in a folder that is taken away: real file systems."""
    base = tmp_path_factory.mktemp("disk")
    for number in range(8):
        (base / "in" / f"student {number}").mkdir(parents=True)
        shutil.copy(ROOT / "notebooks" / "10_discussion.ipynb", base / "in" / f"student {number}")
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", MOUNTED]
    with contextlib.suppress(FileNotFoundError):
        trial = [*command[:4], "mount", "-t", "tmpfs", "none", str(base)]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            done = subprocess.run(
                [*command, str(base / "in"), str(base / "out")],
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=False,
            )
            assert "Traceback" not in done.stderr, done.stderr
            rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
            said = dict(part.split("\n", 1) for part in done.stderr.split("-- ")[1:])
            lines = {title: [one for one in text.splitlines() if "it/s" not in one] for title, text in said.items()}  # fmt: skip
            return {row["title"]: row | {"said": lines[row["title"]]} for row in rows}
    pytest.skip("no file system can be mounted here")


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("full", "No space left on device"),
        ("reports", "No space left on device"),
        ("read-only", "Read-only file system"),
        ("vanishes", "records.jsonl is gone"),
    ],
)
def test_what_a_disk_does_is_one_sentence(mounted, title, said):
    found = mounted[title]
    assert found["status"] == 2 and found["cut"] == ""
    assert len([line for line in found["said"] if line and "notebook" not in line]) == 1, found["said"]
    assert any(said in line for line in found["said"])


def test_what_was_graded_before_a_disk_was_full_is_kept_whole_and_not_graded_again(mounted):
    full, larger = mounted["full"], mounted["larger"]
    assert 0 < len(full["kept"]) < 8 and full["kept"] == full["graded"][:-1]
    assert larger["status"] == 0 and sorted(larger["kept"]) == sorted(full["kept"] + larger["graded"])
    assert len(larger["kept"]) == 8


def test_a_disk_that_is_full_when_reports_are_written_costs_no_grade(mounted):
    """What is graded stays; no table is there in part; the next run grades nothing and writes them."""
    reports, after = mounted["reports"], mounted["once more"]
    assert reports["graded"] == after["graded"] == [] and len(reports["kept"]) == len(after["kept"]) == 8
    assert not {"grades.csv", "summary.html"} & {*reports["written"]}
    assert after["status"] == 0 and {"grades.csv", "summary.html", "feedback"} <= {*after["written"]}


def test_a_full_disk_makes_no_students_archive_unreadable(tmp_path, monkeypatch):
    import zipfile

    from utils.grading import arrivals

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.write(ROOT / "notebooks" / "10_discussion.ipynb", "10_discussion.ipynb")

    class Full:
        def __init__(self, path, mode):
            self.file = open(path, mode)  # noqa: SIM115 - it is the file

        def __enter__(self):
            return self

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __exit__(self, *error):
            self.file.close()

    (tmp_path / "scratch").mkdir()
    really = open
    monkeypatch.setattr(
        arrivals,
        "open",
        lambda path, mode: Full(path, mode) if mode == "wb" else really(path, mode),
        raising=False,
    )
    with pytest.raises(OSError, match="No space"):
        list(arrivals.walk(tmp_path / "a.zip", tmp_path / "scratch"))
