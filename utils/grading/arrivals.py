"""Everything that lies in a delivery: files, folders, archives in archives. Nothing is extracted to where an archive says.

Members are read one at a time, up to a limit, and written under names that this module makes.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import re
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from utils.grading.reading import MAX_BYTES, as_script, clean
from utils.words import say

STUDENTS_BYTES, ALL_BYTES = 256 * 2**20, 16 * 2**30  # unpacked: of one student's archive, of a platform's
DEPTH, MEMBERS = 4, 20_000  # archives in archives; files of one archive
_SYSTEM = re.compile(
    r"^(?:__MACOSX|\.DS_Store|\._.*|\.ipynb_checkpoints|Thumbs\.db|desktop\.ini|__pycache__|\.git)$"
)
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "tar",
    b"BZh": "tar",
    b"\xfd7zXZ": "tar",
    b"Rar!": "a RAR archive, which is not opened here: ask for a zip file",
    b"7z\xbc\xaf": "a 7z archive, which is not opened here: ask for a zip file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
_HOSTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.EACCES}
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    EOFError,
)


@dataclass(frozen=True)
class Arrival:
    """One thing that arrived.

    Args:
        parts: where it lies: names from the delivery's top, those of archives among them.
        path: the file on disk, or None where there is none to read.
        kind: "json", "python", or in words what else it is.
        problem: why it cannot be read, or "".
        when: last change, as the outermost archive or the disk has it.
        packed: its first part is an archive at the top.
    """

    parts: tuple[str, ...]
    path: Path | None
    kind: str
    problem: str = ""
    when: datetime.datetime | None = None
    packed: bool = False

    @property
    def origin(self) -> str:
        return "/".join(self.parts)


def tidy(name: str) -> tuple[str, ...]:
    """The parts of a name, without those that climb; macOS writes Hangul in pieces, which are put together."""
    text = unicodedata.normalize("NFC", clean(name))[:1000]
    return tuple(part for part in re.split(r"[\\/]+", text) if part not in ("", ".", "..")) or ("unnamed",)


def is_system(parts: tuple[str, ...]) -> bool:
    """Whether it is an operating system's or an editor's own file."""
    return any(_SYSTEM.match(part) for part in parts)


def kind_of(head: bytes, name: str) -> str:
    """What a file is, from its first bytes; the name only where these tell nothing."""
    if not head:
        return "an empty file"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "tar"
    if (
        head.startswith((b"\xff\xfe{\0", b"\xfe\xff\0{", b"{\0"))
        or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    ):
        return "json"
    if re.match(rb"\s*<(?:!doctype html|html)", head.removeprefix(b"\xef\xbb\xbf"), re.I):
        return "a web page"
    if name.casefold().endswith((".py", ".py.txt")) or as_script(head):
        return "python"
    return f"no notebook ({Path(name).suffix or 'no ending'})"


@dataclass
class Opener:
    """Opens archives.

    Args:
        scratch: where members are put.
        left: bytes that may still be unpacked.
    """

    scratch: Path
    left: int

    def open(self, archive: Path, kind: str, parts: tuple[str, ...], depth: int = 1) -> Iterator[Arrival]:
        """What an archive holds, archives in it included; one row with the reason where it cannot be read."""
        try:
            yield from (self._zip if kind == "zip" else self._tar)(archive, parts, depth)
        except _BROKEN as error:
            _not_the_hosts(error)
            yield Arrival(
                parts,
                None,
                "an archive",
                say("the archive cannot be read ({error})", error=type(error).__name__),
            )

    def _zip(self, archive: Path, parts: tuple[str, ...], depth: int) -> Iterator[Arrival]:
        with zipfile.ZipFile(archive) as zipped:
            members = [member for member in zipped.infolist() if not member.is_dir()]
            if any(member.filename == "[Content_Types].xml" for member in members):
                yield Arrival(parts, None, "an Office document")
                return
            if not members:
                yield Arrival(parts, None, "an empty archive")
            for member in members[:MEMBERS]:
                when = None
                with contextlib.suppress(ValueError):
                    when = datetime.datetime(*member.date_time)
                name = (*parts, *tidy(member.filename))
                yield from self._member(partial(zipped.open, member), name, when, depth)

    def _tar(self, archive: Path, parts: tuple[str, ...], depth: int) -> Iterator[Arrival]:
        with tarfile.open(archive, "r:*") as tape:
            skimmed = 0
            for number, member in enumerate(tape):
                skimmed += member.size
                if number >= MEMBERS or skimmed > self.left + MAX_BYTES:
                    yield Arrival(
                        parts,
                        None,
                        "an archive",
                        say("the archive holds more than the limit for one archive"),
                    )
                    return
                if member.isfile():
                    when = datetime.datetime.fromtimestamp(max(member.mtime, 0))
                    name = (*parts, *tidy(member.name))
                    yield from self._member(partial(tape.extractfile, member), name, when, depth)

    def _member(
        self,
        opened: Callable[[], IO[bytes] | None],
        parts: tuple[str, ...],
        when: datetime.datetime | None,
        depth: int,
    ) -> Iterator[Arrival]:
        if is_system(parts):
            yield Arrival(parts, None, "a system file")
            return
        if self.left <= 0:
            yield Arrival(parts, None, "", say("the archive holds more than the limit for one archive"), when)
            return
        kind = ""
        try:
            source = opened()
            if source is None:
                return
            with source:
                head = source.read(4096)
                kind = kind_of(head, parts[-1])
                archive = kind in ("zip", "tar")
                if not (archive or _may_be_notebook(kind, parts[-1])):
                    yield Arrival(parts, None, kind, when=when)
                    return
                most = min(self.left, STUDENTS_BYTES if archive else MAX_BYTES + 1)
                target = self._put(head, source, most)
        except _BROKEN as error:
            _not_the_hosts(error)
            yield Arrival(
                parts, None, kind, say("it cannot be unpacked ({error})", error=type(error).__name__), when
            )
            return
        self.left -= target.stat().st_size
        if not archive:
            yield Arrival(parts, target, kind, when=when)
        elif depth >= DEPTH:
            yield Arrival(parts, None, "an archive", say("archives in archives are opened three deep"), when)
        else:
            yield from self.open(target, kind, parts, depth + 1)
            target.unlink()

    def _put(self, head: bytes, source: IO[bytes], most: int) -> Path:
        """Writes what was read of a member and what follows, up to `most` bytes, to a file that no other member has or gets."""
        descriptor, name = tempfile.mkstemp(".ipynb", dir=self.scratch)
        try:
            with open(descriptor, "wb") as file:
                while head and most > 0:
                    file.write(head[:most])
                    most -= len(head)
                    head = source.read(2**20)
        except BaseException:
            Path(name).unlink()
            raise
        return Path(name)


def _not_the_hosts(error: Exception) -> None:
    """Raises what is no archive's fault: a full disk makes no student's file unreadable."""
    if isinstance(error, OSError) and error.errno in _HOSTS:
        raise error


def _may_be_notebook(kind: str, name: str) -> bool:
    return kind in ("json", "python") or name.casefold().endswith(".ipynb")


def walk(folder: Path, scratch: Path) -> Iterator[Arrival]:
    """All that lies in a folder (or one archive), a row per file and per empty folder. Archives at the top and in folders are opened.

    An archive's content lies below the archive's own name.
    """
    if folder.is_file():
        yield from _file(folder, tidy(folder.name), scratch, ALL_BYTES)
        return
    for place, folders, files in os.walk(folder):
        folders.sort()
        here = Path(place)
        inside = here.relative_to(folder).parts
        if not folders and not files and inside:
            yield Arrival(tuple(tidy("/".join(inside))), None, "an empty folder")
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *links]):
            parts = tidy("/".join((*inside, name)))
            budget = ALL_BYTES if not inside else STUDENTS_BYTES
            yield from _file(here / name, parts, scratch, budget)


def _file(path: Path, parts: tuple[str, ...], scratch: Path, budget: int) -> Iterator[Arrival]:
    if is_system(parts):
        yield Arrival(parts, None, "a system file")
        return
    problem = ""
    if path.is_symlink():
        problem = say("the file is a link, and links are not followed")
    elif not path.is_file():
        problem = say("it is no regular file")
    elif not os.access(path, os.R_OK):
        problem = say("the file cannot be read (permissions)")
    if problem:
        yield Arrival(parts, None, "", problem)
        return
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    with open(path, "rb") as file:
        kind = kind_of(file.read(4096), path.name)
    if kind in ("zip", "tar"):
        for one in Opener(scratch, budget).open(path, kind, parts):
            yield replace(one, packed=len(parts) == 1)
    elif _may_be_notebook(kind, path.name):
        yield Arrival(parts, path, kind, when=when)
    else:
        yield Arrival(parts, None, kind, when=when)
