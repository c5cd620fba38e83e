"""Everything that lies in a delivery: files, folders, archives in archives. Nothing is extracted to where an archive says.

Members are read one at a time, up to a limit, and written under names that this module makes.
"""

from __future__ import annotations

import bz2
import contextlib
import copy
import datetime
import errno
import gzip
import lzma
import os
import re
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, cast

from utils.grading.reading import MAX_BYTES, as_script
from utils.words import say

STUDENTS_BYTES, ALL_BYTES = 256 * 2**20, 16 * 2**30  # unpacked: of one student's archive, of a platform's
DEPTH = 4  # archives in archives
MEMBERS, ALL_MEMBERS = (
    20_000,
    200_000,
)  # files: of one student's archive with all that lie in it, of a platform's
ENTRY = 256  # bytes of a zip file's directory for each of these, of which an object is made for each entry
HEADER, HEADERS = (
    256 * 2**10,
    4096,
)  # bytes that a tar file may say of one member (names, attributes), and of each on the average
FEED = 2 * 2**20  # bytes that a decompressor may read ahead of what it gives
# Moodle: First Last_12345_assignsubmission_file_/filename.ipynb; without folders: First Last_12345_assignsubmission_file_filename.ipynb
MOODLE = re.compile(
    r"^(?P<student>.+?)_(?P<user>\d+)_assignsubmission_(?:file|onlinetext)(?:_(?P<name>.*))?$", re.S
)
# where the name holds such an id twice
MOODLE_LAST = re.compile(MOODLE.pattern.replace(".+?", ".+", 1), re.S)
# Canvas: lastnamefirstname_LATE_12345_67890_filename-1.ipynb
CANVAS = re.compile(
    r"^(?P<student>.+?)(?P<late>_LATE)?_(?P<user>\d+)_(?:(?P<file>\d+)_(?P<name>.+\.\w{1,8})|(?:text|link)\.html)$",
    re.S,
)
# What an instructor's own table or note beside a download is called.
STRAY = (".csv", ".tsv", ".xlsx", ".ods", ".txt", ".md", ".toml", ".pdf", ".docx", ".html")
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


@dataclass(frozen=True)
class Arrival:
    """One thing that arrived.

    Args:
        parts: where it lies: names from the delivery's top, those of archives among them.
        path: the file on disk, or None where there is none to read.
        kind: "json", "python", or in words what else it is.
        problem: why it cannot be read, or "".
        when: last change, as the disk or the archive has it in which it lies; of an archive's content that lies in a folder or in another
            archive, the archive's: inside of it times are its owner's to choose.
        edited: last change of an archive's member as that archive says, which only tells one student's files apart.
        packed: when the archive at the top was last changed that its first part is, or None.
    """

    parts: tuple[str, ...]
    path: Path | None
    kind: str
    problem: str = ""
    when: datetime.datetime | None = None
    edited: datetime.datetime | None = None
    packed: datetime.datetime | None = None

    @property
    def origin(self) -> str:
        return "/".join(self.parts)


def tidy(name: str) -> tuple[str, ...]:
    """The parts of a name, without those that climb; macOS writes Hangul in pieces, which are put together.

    Bytes that are no UTF-8 stay apart ("M\\udcfcller"), so that two names that differ only there stay two.
    """
    parts = [part for part in re.split(r"[\\/]+", name[:1000]) if part not in ("", ".", "..")]
    readable = (part.encode("utf-8", "backslashreplace").decode("utf-8") for part in parts)
    return tuple(unicodedata.normalize("NFC", part) for part in readable) or ("unnamed",)


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
class Budget:
    """What may still be unpacked: of one student's archives, within what is left for all of a delivery.

    Args:
        left: bytes.
        above: of the delivery.
        files: how many more files, unpacked or not, archives in archives included.
        told: that there is no more has been said.
    """

    left: int
    above: Budget | None = None
    files: int = MEMBERS
    told: bool = False

    def room(self) -> int:
        """Bytes that may be unpacked now."""
        own = self.left if self.files > 0 else 0
        return min(own, self.above.room()) if self.above else own

    def take(self, size: int, files: int = 0) -> None:
        """Notes what has been unpacked."""
        self.left -= size
        self.files -= files
        if self.above:
            self.above.take(size, files)


Budgets = dict[tuple[str, ...], Budget]


def budget_of(parts: tuple[str, ...], budgets: Budgets, above: Budget | None = None) -> Budget:
    """The budget of a student's archive: its own; one for all that lie in a folder of Moodle's, which is one student's."""
    folders = (end for end, part in enumerate(parts[:-1], start=1) if MOODLE.match(part))
    return budgets.setdefault(parts[: next(folders, len(parts))], Budget(STUDENTS_BYTES, above))


class Bounded:
    """A file of which no more is read than is allowed, for readers of archives that read whatever length an archive states.

    Args:
        file: what is read.
        allowed: bytes that may still be read; None: all.
    """

    def __init__(self, file: IO[bytes], allowed: int | None) -> None:
        self.file, self.allowed = file, allowed
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        """As a file's.

        Raises:
            ValueError: more than is allowed.
        """
        if self.allowed is None:
            return self.file.read(size)
        data = self.file.read(self.allowed + 1 if size < 0 else min(size, self.allowed + 1))
        self.allowed -= len(data)
        if self.allowed < 0:
            raise ValueError("an archive's headers are larger than any that a program writes")
        return data


class Fed(Bounded):
    """The file below a decompressor, which may be fed so many bytes for each that comes out: millions of empty streams in a row give nothing.

    `given` is what has come out: what an archive says of a member's size is its owner's to say.
    """

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, None)
        self.given = self.fed = 0

    def read(self, size: int = -1) -> bytes:
        """As a file's.

        Raises:
            ValueError: it was fed far more than it gives.
        """
        data = self.file.read(size)
        self.fed += len(data)
        if self.fed > 2 * self.given + FEED:
            raise ValueError("next to nothing comes out of what is packed here")
        return data


class Headers(Bounded):
    """The same for a tar file, whose headers tarfile searches for numbers: in a long one each digit costs it a look at all that follow."""

    def __init__(self, file: IO[bytes], allowed: int | None, fed: Fed) -> None:
        super().__init__(file, allowed)
        self.fed = fed

    def skip(self, place: int) -> None:
        """Reads on to a place, piece by piece, so that what comes out is counted; a decompressor would go there in one."""
        while (left := place - self.tell()) > 0 and self.read(min(left, 2**16)):
            pass

    def read(self, size: int = -1) -> bytes:
        data = super().read(size)
        self.fed.given += len(data)
        if self.allowed is not None and re.search(rb"\d{100}", data):
            raise ValueError("no header holds such a number")
        return data


@dataclass
class Opener:
    """Opens archives of one depth.

    Args:
        scratch: where members are put.
        budget: what may be unpacked.
        when: last change of all that lies in them; None: members have their own times.
        depth: 1, and one more for each archive around.
        budgets: of the students whose archives lie in them; None: they are one student's.
    """

    scratch: Path
    budget: Budget
    when: datetime.datetime | None = None
    depth: int = 1
    budgets: Budgets | None = None

    def open(self, archive: Path, kind: str, parts: tuple[str, ...]) -> Iterator[Arrival]:
        """What an archive holds, archives in it included; one row with the reason where it cannot be read."""
        try:
            yield from (self._zip if kind == "zip" else self._tar)(archive, parts)
        except Exception as error:  # of Python's readers, which raise whatever they meet
            not_the_hosts(error)
            said = say("the archive cannot be read ({error})", error=type(error).__name__)
            yield Arrival(parts, None, "an archive", said)

    def _zip(self, archive: Path, parts: tuple[str, ...]) -> Iterator[Arrival]:
        directory = max(ENTRY * self.budget.files, 2**17)
        with contextlib.closing(Bounded(open(archive, "rb"), directory)) as file:  # noqa: SIM115 - it is closed
            zipped = zipfile.ZipFile(cast(IO[bytes], file))
            file.allowed = None  # what a member unpacks to, `_member` limits
            members = [member for member in zipped.infolist() if not member.is_dir()]
            if any(member.filename == "[Content_Types].xml" for member in members):
                yield Arrival(parts, None, "an Office document")
                return
            if not members:
                yield Arrival(parts, None, "an empty archive")
            # of a whole project with its libraries the notebook is wanted, wherever it stands
            for member in sorted(members, key=lambda one: not one.filename.casefold().endswith(".ipynb")):
                when = None
                with contextlib.suppress(ValueError):
                    when = datetime.datetime(*member.date_time)
                name = (*parts, *tidy(member.filename))
                yield from self._member(partial(_opened, zipped, member), name, when)
                if self.budget.told:
                    return

    def _tar(self, archive: Path, parts: tuple[str, ...]) -> Iterator[Arrival]:
        with contextlib.closing(Fed(open(archive, "rb"))) as fed, _unpressed(fed) as plain:  # noqa: SIM115 - it is closed
            file = Headers(plain, HEADER, fed)
            tape = tarfile.TarFile(fileobj=cast(IO[bytes], file))
            skimmed, headers = 0, HEADERS * self.budget.files
            while not self.budget.told:
                before = file.allowed = min(HEADER, headers)
                member = tape.next()
                headers -= before - (file.allowed or 0)
                if member is None:
                    return
                file.allowed = None
                skimmed += max(member.size, 0)
                if skimmed > self.budget.room() + MAX_BYTES:
                    yield from self._full(self.budget, parts)
                elif member.isfile():
                    name = (*parts, *tidy(member.name))
                    yield from self._member(partial(tape.extractfile, member), name, _time(member.mtime))
                vars(tape).update(members=[], pax_headers={})  # it keeps all that it has read
                if plain is not fed.file and not self.budget.told:
                    file.skip(tape.offset - 1)  # to where tarfile would seek

    def _member(
        self,
        opened: Callable[[], IO[bytes] | None],
        parts: tuple[str, ...],
        edited: datetime.datetime | None,
    ) -> Iterator[Arrival]:
        budget = self._budget(parts)
        if (room := budget.room()) <= 0:
            yield from self._full(budget, parts)
            return
        budget.take(0, files=1)
        if is_system(parts):
            yield Arrival(parts, None, "a system file")
            return
        when = self.when or edited
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
                target = self._put(head, source, min(room, STUDENTS_BYTES if archive else MAX_BYTES + 1))
        except Exception as error:  # as in `open`
            not_the_hosts(error)
            said = say("it cannot be unpacked ({error})", error=type(error).__name__)
            yield Arrival(parts, None, kind, said, when)
            return
        budget.take(target.stat().st_size)
        if not archive:
            yield Arrival(parts, target, kind, when=when, edited=edited)
        elif self.depth >= DEPTH:
            yield Arrival(parts, None, "an archive", say("archives in archives are opened three deep"), when)
        else:
            if self.budgets is not None:
                budget = budget_of(parts, self.budgets, self.budget)
            yield from Opener(self.scratch, budget, when, self.depth + 1).open(target, kind, parts)
            target.unlink()

    def _budget(self, parts: tuple[str, ...]) -> Budget:
        """Who pays for a member: of a platform's archive the student whose folder of Moodle's it lies in."""
        if self.budgets is None or not any(map(MOODLE.match, parts[:-1])):
            return self.budget
        return budget_of(parts, self.budgets, self.budget)

    def _full(self, budget: Budget, parts: tuple[str, ...]) -> Iterator[Arrival]:
        """One row for all that is not opened any more."""
        if not budget.told:
            budget.told = True
            said = say("the archive holds more than the limit for one archive")
            yield Arrival(parts, None, "an archive", said, self.when)

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


def _opened(zipped: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A member's content. Python unpacks 4 KiB of bzip2 at once, which can stand for gigabytes; so that is done here, as much as is read."""
    if member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
        zipfile.ZIP_BZIP2,
        zipfile.ZIP_LZMA,
    ):
        raise NotImplementedError("another compression")
    if member.compress_type != zipfile.ZIP_BZIP2:
        return zipped.open(member)
    packed = copy.copy(member)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, member.compress_size
    packed.CRC = None  # type: ignore[assignment] # is of what is unpacked; bzip2 has one of its own
    return cast(IO[bytes], bz2.open(zipped.open(packed)))


def _unpressed(archive: Fed) -> IO[bytes]:
    """The tar file in what may be a .tar.gz, .tar.bz2 or .tar.xz."""
    magic = archive.read(6)
    archive.seek(0)
    for start, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if magic.startswith(start):
            return cast(IO[bytes], opened(cast(IO[bytes], archive), "rb"))
    return archive.file


def _time(seconds: float) -> datetime.datetime:
    """A time of a tar file or a disk; what is none ("inf") is no way to be early."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.datetime.fromtimestamp(max(seconds, 0))
    return datetime.datetime.max


def not_the_hosts(error: Exception) -> None:
    """Raises what is no student's fault: a full disk makes no file unreadable."""
    if isinstance(error, OSError) and error.errno in _HOSTS:
        raise error


def _may_be_notebook(kind: str, name: str) -> bool:
    return kind in ("json", "python") or name.casefold().endswith(".ipynb")


def walk(folder: Path, scratch: Path) -> Iterator[Arrival]:
    """All that lies in a folder (or one archive), a row per file and per empty folder. Archives at the top and in folders are opened.

    An archive's content lies below the archive's own name.
    """
    if folder.is_file():
        yield from _file(folder, tidy(folder.name), scratch, {}, many=True)
        return
    budgets: Budgets = {}
    closed: list[OSError] = []
    many = True
    for here, folders, files in _folders(folder, closed):
        inside = here.relative_to(folder).parts
        if not folders and not files and inside:
            yield Arrival(tuple(tidy("/".join(inside))), None, "an empty folder")
        if not inside:
            many = not any(not is_system((name,)) for name in folders) and all(map(_may_hold_many, files))
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *links]):
            parts = tidy("/".join((*inside, name)))
            yield from _file(here / name, parts, scratch, budgets, many=many)
    for error in closed:
        if Path(error.filename) == folder:
            raise error
        parts = tidy(str(Path(error.filename).relative_to(folder)))
        yield Arrival(parts, None, "", say("the file cannot be read (permissions)"))


def _folders(top: Path, closed: list[OSError]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk`, sorted, folders nested however deep: Python 3.11's own calls itself for each level. What cannot be opened goes to `closed`."""
    todo = [top]
    while todo:
        place = todo.pop()
        folders, files, below = list[str](), list[str](), list[Path]()
        try:
            with os.scandir(place) as found:
                for entry in sorted(found, key=lambda one: one.name):
                    (folders if entry.is_dir() else files).append(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        below.append(place / entry.name)
        except OSError as error:
            error.filename = str(place)
            closed.append(error)
            continue
        todo += reversed(below)
        yield place, folders, files


def _may_hold_many(name: str) -> bool:
    """Whether a file at the top leaves it open that the archives beside it are whole downloads, of many students."""
    return (
        is_system((name,))
        or not CANVAS.match(name)
        and name.casefold().endswith((".zip", ".tar", ".gz", ".tgz", *STRAY))
    )


def _file(
    path: Path, parts: tuple[str, ...], scratch: Path, budgets: Budgets, *, many: bool
) -> Iterator[Arrival]:
    """What a file is or holds; `many`: an archive at the top may be a platform's download, else it is one student's."""
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
    when = _time(path.stat().st_mtime)
    with open(path, "rb") as file:
        kind = kind_of(file.read(4096), path.name)
    if kind in ("zip", "tar"):
        if len(parts) == 1:  # a student's or all that a platform has: `submissions` tells
            budget = Budget(ALL_BYTES, files=ALL_MEMBERS) if many else Budget(STUDENTS_BYTES)
            for one in Opener(scratch, budget, budgets={}).open(path, kind, parts):
                yield replace(one, packed=when)
        else:
            yield from Opener(scratch, budget_of(parts, budgets), when).open(path, kind, parts)
    elif _may_be_notebook(kind, path.name):
        yield Arrival(parts, path, kind, when=when)
    else:
        yield Arrival(parts, None, kind, when=when)
