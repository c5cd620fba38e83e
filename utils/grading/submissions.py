"""Finds submissions: `dir/<student>/<notebook>.ipynb`, and the bulk downloads of Canvas and Moodle as they come (folders or zip archives).

Nothing is extracted to where an archive says: members are read one at a time, up to a limit, and written under
names that this module makes.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from utils.grading.normalise import MAX_BYTES, clean

STUDENTS_BYTES, ALL_BYTES = 256 * 2**20, 16 * 2**30  # unpacked: of one student's archive, of a platform's
# Canvas: lastnamefirstname_LATE_12345_67890_filename-1.ipynb · Moodle: First Last_12345_assignsubmission_file_/filename.ipynb
_CANVAS = re.compile(
    r"^(?P<student>.+?)(?:_LATE)?_(?P<user>\d+)_(?P<file>\d+)_(?P<name>.+)\.(?:ipynb|zip)$", re.S
)
_MOODLE = re.compile(r"^(?P<student>.+)_(?P<user>\d+)_assignsubmission_file_?$", re.S)
_NOTEBOOK = re.compile(r"(?<!\d)(\d\d)_[a-z_]+")


@dataclass(frozen=True)
class Handed:
    """One file that was handed in.

    Args:
        student: as the folder or the platform names them.
        user: the platform's id, or "".
        notebook: "01_transformer_recap", or "" if the file's name tells none.
        path: the file on disk.
        origin: where it was found, for messages.
        problem: why it cannot be read, or "".
        note: what else of the same student and notebook was found and is not graded, or "".
    """

    student: str
    user: str
    notebook: str
    path: Path
    origin: str
    problem: str = ""
    note: str = ""

    @property
    def digest(self) -> str:
        """sha256 of the file's content ("" where there is none to read)."""
        if self.problem:
            return ""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find(folder: Path, scratch: Path, notebooks: list[str]) -> list[Handed]:
    """All submissions in a folder, in a stable order; of several by one student for one notebook, the last resubmission.

    Args:
        folder: what the instructor points at: folders per student, or a platform's archive or its content.
        scratch: where members of archives are put.
        notebooks: the names that exist.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.exists():
        raise FileNotFoundError(f"{folder} does not exist")
    found = [*_in_folders(folder, notebooks)]
    archives = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*.zip") if p.is_file())
    for archive in archives:
        found += _in_archive(archive, folder, scratch, notebooks)
    latest: dict[tuple[str, str, str], Handed] = {}
    for handed in sorted(
        found, key=lambda h: (h.student, h.user, h.notebook, not h.problem, _resubmission(h.origin), h.origin)
    ):
        place = (handed.student, handed.user, handed.notebook or handed.origin)
        if place in latest:
            handed = replace(handed, note=f"{latest[place].note} {latest[place].origin}".strip())
        latest[place] = handed
    return list(latest.values())


def _in_folders(folder: Path, notebooks: list[str]) -> Iterator[Handed]:
    if folder.is_file():
        return
    for path in sorted(folder.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts:
            continue
        problem = ""
        if path.is_symlink():
            problem = "the file is a link, and links are not followed"
        elif not path.is_file():
            problem = "it is no regular file"
        elif not os.access(path, os.R_OK):
            problem = "the file cannot be read (permissions)"
        yield _handed(path.relative_to(folder).as_posix(), path, notebooks, problem)


def _in_archive(archive: Path, folder: Path, scratch: Path, notebooks: list[str]) -> Iterator[Handed]:
    """The notebooks of a zip file. One that lies in a student's folder, or that a platform named, belongs to that student."""
    outside = "" if archive == folder else archive.relative_to(folder).as_posix()
    owned = "/" in outside or bool(_CANVAS.match(outside))
    left = STUDENTS_BYTES if owned else ALL_BYTES
    mark = hashlib.sha256(str(archive).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [
                member
                for member in zipped.infolist()
                if member.filename.endswith(".ipynb") and "__MACOSX" not in member.filename
            ]
            shared = "" if owned else _shared_folder([member.filename for member in members])
            for number, member in enumerate(members):
                origin = f"{outside}/{member.filename}" if owned else member.filename.removeprefix(shared)
                if not owned and "/" not in origin and not _CANVAS.match(origin):
                    origin = f"{archive.stem}/{origin}"  # alice.zip holds Alice's
                target = scratch / f"{mark}-{number}.ipynb"
                problem = _extract(zipped, member, target, min(MAX_BYTES + 1, left))
                left -= target.stat().st_size if target.exists() else 0
                yield _handed(origin, target, notebooks, problem)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        yield _handed(
            outside or archive.name,
            archive,
            notebooks,
            f"the archive cannot be read ({type(error).__name__})",
        )


def _extract(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most: int) -> str:
    """Writes at most `most` bytes of a member to `target`; returns what is wrong with it, or ""."""
    if most <= 0:
        return "the archive holds more than the limit for one archive"
    try:
        with zipped.open(member) as source, open(target, "wb") as file:
            while most > 0 and (part := source.read(min(most, 2**20))):
                file.write(part)
                most -= len(part)
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
        EOFError,
    ) as error:
        target.unlink(missing_ok=True)
        return f"it cannot be unpacked ({type(error).__name__})"
    return ""


def _shared_folder(names: list[str]) -> str:
    """ "class-3/" where an archive packs everything into one folder that is no student's, else ""."""
    first = {name.split("/", 1)[0] for name in names if "/" in name}
    deep = all(name.count("/") >= 2 for name in names)
    return f"{first.pop()}/" if names and deep and len(first) == 1 else ""


def _handed(origin: str, path: Path, notebooks: list[str], problem: str = "") -> Handed:
    """Reads student and notebook off a relative name. The name is only text here: nothing is opened by it."""
    origin = unicodedata.normalize("NFC", clean(origin))[:1000]  # macOS writes Hangul in parts
    parts = [part for part in re.split(r"[\\/]+", origin) if part not in ("", ".", "..")] or ["unnamed"]
    name = parts[-1]
    notebook = _notebook(name, notebooks)
    for part in parts:
        if moodle := _MOODLE.match(part):
            return Handed(moodle["student"], moodle["user"], notebook, path, origin, problem)
        if canvas := _CANVAS.match(part):
            return Handed(canvas["student"], canvas["user"], notebook, path, origin, problem)
    student = parts[0] if len(parts) > 1 else Path(name).stem
    return Handed(student, "", notebook, path, origin, problem)


def _notebook(name: str, notebooks: list[str]) -> str:
    exact = [n for n in notebooks if n in name]
    if exact:
        return exact[0]
    number = _NOTEBOOK.search(name)
    return next((n for n in notebooks if number and n.startswith(number[1])), "")


def _resubmission(origin: str) -> int:
    """Canvas marks the n-th resubmission by "-n" before the ending."""
    found = re.search(r"-(\d{1,3})\.ipynb$", origin)
    return int(found[1]) if found else 0
