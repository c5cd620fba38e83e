"""Lines of JSON that are whole or not there, locks, and files that are replaced as a whole.

Recorded experiments and the gradebook are files of JSON lines that several processes append to, and that any of them may be
killed at. A line is written with one `write` on a file opened for appending, under a lock, and forced to the disk; should a line
be cut off all the same (power, a foreign editor), readers leave it out and the next writer closes it. Lines end at "\\n" only:
a U+2028 inside a text is part of the text.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

fcntl: ModuleType | None
try:
    import fcntl
except ModuleNotFoundError:  # Windows: no locks, so one command at a time there
    fcntl = None


class Line(NamedTuple):
    """A line of a file: its number from 1, its object, and what is wrong with it (then the object is None)."""

    number: int
    row: dict[str, Any] | None
    problem: str


class Taken(ValueError):
    """A line of this key is in the file already."""


def lines(path: Path) -> Iterator[Line]:
    """Every line of a file that is not empty; a missing file has none."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield Line(number, None, f"byte {error.start + 1} of the line is no UTF-8")
            continue
        except ValueError as error:
            yield Line(number, None, f"no JSON ({error})")
            continue
        if isinstance(row, dict):
            yield Line(number, row, "")
        else:
            yield Line(number, None, f"a JSON {type(row).__name__}, where an object was expected")


def read(path: Path) -> list[dict[str, Any]]:
    """The objects of a file in the order they were written; lines that can't be read are left out."""
    return [line.row for line in lines(path) if line.row is not None]


def append(path: Path, row: dict[str, Any], *, key: str | None = None, mode: int = 0o644) -> None:
    """Adds one line: all of it, or (on a full disk) nothing.

    Args:
        path: of the file; it and its folder are made if need be.
        row: what JSON can hold.
        key: a column whose value no two lines of the file share.
        mode: of a new file.

    Raises:
        TypeError, ValueError: the row holds what JSON can't (a tensor, NaN).
        Taken: a line with the same `key` is there.
        OSError: it could not be written; the file is as it was.
    """
    line = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, mode)
    try:
        lock(handle, wait=True)
        if key is not None and any(old.get(key) == row[key] for old in read(path)):
            raise Taken(f"{path.name} has a row with {key} {row[key]} already")
        size = os.fstat(handle).st_size
        if size:
            os.lseek(handle, size - 1, os.SEEK_SET)
            if os.read(handle, 1) != b"\n":
                line = b"\n" + line  # close a line that was cut off
        try:
            while line:  # a full disk takes a part only, and the next try says so
                line = line[os.write(handle, line) :]
            os.fsync(handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, size)
            raise
    finally:
        os.close(handle)  # gives the lock back


def lock(handle: int, *, wait: bool) -> bool:
    """Locks an open file against other processes until it is closed; False if another one holds it and `wait` is false."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path`, which takes its name if all goes well: a kill leaves a whole file, old or new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def try_folder(folder: Path) -> None:
    """Makes a folder and writes a small file into it.

    Raises:
        OSError: that is not possible; the text names the folder and the reason.
    """
    trial = folder / f".trial.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"x" * 4096)
    except OSError as error:
        raise OSError(
            f"{folder} can't be written to ({error.strerror or error}); give another folder"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)
