"""What a class hands in, and where: files, archives, a platform's download."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from utils.authoring.attacks.scene import NOTEBOOK, TARGET, WRONG, Scene, solved

FILE = f"{NOTEBOOK}.ipynb"
Make = Callable[[Scene], object]


def right() -> bytes:
    """A notebook with every answer right."""
    return json.dumps(solved()).encode()


def tarred(content: bytes, name: str = FILE, **more: Any) -> bytes:
    """A tar file with one member, of which the header says more."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tape:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for key, value in more.items():
            setattr(member, key, value)
        tape.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def wrong() -> bytes:
    """A notebook with one wrong answer."""
    return json.dumps(solved(**{TARGET: WRONG})).encode()


def own(scene: Scene, content: bytes) -> bytes:
    """A notebook that no other class has: a student of one name with one file is graded once."""
    return content[:-1] + f', "class": "{scene.base.name}"}}'.encode()


def put(scene: Scene, place: str, content: bytes) -> Path:
    """Writes a file into the delivery."""
    path = scene.folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def elsewhere(scene: Scene, number: int, place: str, student: str = "", user: str = "") -> None:
    """Lets a neighbour hand in at another place (an archive, if its name ends so), as this student."""
    old = scene.neighbours[number]
    content = old.read_bytes()
    old.unlink()
    old.parent.rmdir()
    archive = place.endswith(".zip")
    scene.neighbours[number] = put(scene, place, zipped({FILE: content}) if archive else content)
    scene.honest[number] = student or scene.honest[number][0], user


def clear(scene: Scene) -> None:
    """Takes the neighbours' files away, for an attack that packs them into one archive."""
    for path in scene.neighbours:
        path.unlink()
        path.parent.rmdir()


def by_canvas(scene: Scene) -> None:
    """The neighbours' files as Canvas' download has them."""
    for number, (student, _) in enumerate([*scene.honest]):
        elsewhere(scene, number, f"{student}_{11 + number}_21_{FILE}", user=str(11 + number))
