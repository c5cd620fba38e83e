"""Finds submissions: `dir/<student>/<notebook>.ipynb`, and the bulk downloads of Canvas and Moodle as they come (folders or zip archives).

Nothing is extracted to where an archive says: members are read into memory, one at a time, up to a limit, and written under
names that this module makes.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from utils.grading.normalise import MAX_BYTES

MAX_MEMBERS = 20_000
# Canvas: lastnamefirstname_LATE_12345_67890_filename-1.ipynb · Moodle: First Last_12345_assignsubmission_file_/filename.ipynb
_CANVAS = re.compile(r"^(?P<student>.+?)(?:_LATE)?_(?P<user>\d+)_(?P<file>\d+)_(?P<name>.+)\.ipynb$", re.S)
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
    """

    student: str
    user: str
    notebook: str
    path: Path
    origin: str

    @property
    def digest(self) -> str:
        """sha256 of the file's content."""
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
        found += _in_archive(archive, scratch, notebooks)
    latest: dict[tuple[str, str, str], Handed] = {}
    for handed in sorted(
        found, key=lambda h: (h.student, h.user, h.notebook, _resubmission(h.origin), h.origin)
    ):
        latest[handed.student, handed.user, handed.notebook or handed.origin] = handed
    return list(latest.values())


def _in_folders(folder: Path, notebooks: list[str]) -> Iterator[Handed]:
    if folder.is_file():
        return
    inside = folder.resolve()
    for path in sorted(folder.rglob("*.ipynb")):
        if ".ipynb_checkpoints" in path.parts or not path.resolve().is_relative_to(
            inside
        ):  # a link that leads out
            continue
        yield _handed(path.relative_to(folder).as_posix(), path, notebooks)


def _in_archive(archive: Path, scratch: Path, notebooks: list[str]) -> Iterator[Handed]:
    try:
        with zipfile.ZipFile(archive) as zipped:
            for number, member in enumerate(zipped.infolist()[:MAX_MEMBERS]):
                if member.is_dir() or not member.filename.endswith(".ipynb") or "__MACOSX" in member.filename:
                    continue
                target = scratch / f"{hashlib.sha256(str(archive).encode()).hexdigest()[:8]}-{number}.ipynb"
                with zipped.open(member) as source:  # one byte over the limit is enough to be refused later
                    target.write_bytes(source.read(MAX_BYTES + 1))
                yield _handed(member.filename, target, notebooks)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        broken = scratch / f"{archive.name}.broken.ipynb"
        broken.write_bytes(b"")
        yield Handed(archive.stem, "", "", broken, str(archive.name))


def _handed(origin: str, path: Path, notebooks: list[str]) -> Handed:
    """Reads student and notebook off a relative name. The name is only text here: nothing is opened by it."""
    parts = [part for part in re.split(r"[\\/]+", origin) if part not in ("", ".", "..")]
    name = parts[-1]
    for part in parts[:-1]:
        if moodle := _MOODLE.match(part):
            return Handed(moodle["student"], moodle["user"], _notebook(name, notebooks), path, origin)
    if canvas := _CANVAS.match(name):
        return Handed(canvas["student"], canvas["user"], _notebook(canvas["name"], notebooks), path, origin)
    student = parts[-2] if len(parts) > 1 else Path(name).stem
    return Handed(student, "", _notebook(name, notebooks), path, origin)


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
