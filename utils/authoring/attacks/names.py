"""Names that mean something to a file system, a spreadsheet, a browser or an XML parser. The answers are right."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

from utils.authoring.attacks.handing import own, right
from utils.authoring.attacks.scene import FULL, NOTEBOOK, Attack, Scene, solved

GROUP = "names"


def _called(name: str | bytes) -> Callable[[Scene], object]:
    def make(scene: Scene) -> None:
        scene.who = os.fsdecode(name) if isinstance(name, bytes) else name
        scene.write(own(scene, right()))

    return make


def _in_zip(member: str, archive: str = "work.zip") -> Callable[[Scene], object]:
    def make(scene: Scene) -> None:
        path = scene.student / archive if archive == "work.zip" else scene.folder / archive
        with zipfile.ZipFile(path, "w") as zipped:
            zipped.writestr(member.format(token=scene.token, notebook=NOTEBOOK), own(scene, right()))
        if archive != "work.zip":
            scene.student.rmdir()

    return make


def _in_place(file: str) -> Callable[[Scene], object]:
    return lambda scene: scene.write(solved(), file)


FOLDERS: dict[str, str | bytes] = {
    "a formula": "=cmd|' -C calc'!A0",
    "a formula behind a plus": "+1+1",
    "a formula in full-width signs": "\uff1dSUM(1,1)",
    "a formula behind a semicolon": "a;=1+1",
    "HTML and a script": "<img src=x onerror=alert(1)><script>alert(1)<\u2215script>",
    "quotes and commas": 'O\'Brien, "Ann"',
    "a line break": "two\nlines",
    "control characters": "bell\x07 and \x1b[31m",
    "reversed writing": "a\u202etxt.exe",
    "Korean, as macOS writes it": unicodedata.normalize("NFD", "\uae40\ubbfc\uc218"),
    "Korean and emoji": "\ubc15\uc11c\uc900 \U0001f9d1\u200d\U0001f393",
    "bytes that are no UTF-8": b"caf\xe9",
    "an option": "-rf --help",
    "dots": "...",
    "250 characters": "x" * 250,
    "ends in .ipynb": "student.ipynb_folder",
}
ATTACKS = (
    *(Attack(f"called: {name}", GROUP, FULL, _called(text)) for name, text in FOLDERS.items()),
    Attack("a zip member that climbs out", GROUP, FULL, _in_zip("../../../{token}-climbed/{notebook}.ipynb")),
    Attack(
        "a zip member with an absolute path", GROUP, FULL, _in_zip("/tmp/{token}-absolute/{notebook}.ipynb")
    ),
    Attack("a zip member with backslashes", GROUP, FULL, _in_zip("..\\..\\{token}-back\\{notebook}.ipynb")),
    Attack("a zip member of 300 folders", GROUP, FULL, _in_zip("a/" * 300 + "{notebook}.ipynb")),
    Attack(
        "Canvas' download", GROUP, FULL, _in_zip("kimminsu_LATE_123_456_{notebook}-2.ipynb", "canvas.zip")
    ),
    Attack(
        "Moodle's download",
        GROUP,
        FULL,
        _in_zip("Ana Lima_77_assignsubmission_file_/{notebook}.ipynb", "moodle.zip"),
    ),
    Attack(
        "a Korean file name",
        GROUP,
        FULL,
        _in_place(f"{NOTEBOOK}_\uae40\ubbfc\uc218_\ucd5c\uc885 \U0001f600.ipynb"),
    ),
    Attack("a file name that is a formula", GROUP, FULL, _in_place(f"=1+1 {NOTEBOOK}.ipynb")),
    Attack("a file name that is HTML", GROUP, FULL, _in_place(f"<b onclick=x>{NOTEBOOK}.ipynb")),
)


def leaves(scene: Scene) -> list[Path]:
    """Files whose names carry the scene's word, in the places where a sandbox might have left them."""
    home = Path.home()
    from utils.paths import ROOT

    places = [
        scene.base,
        scene.base.parent,
        scene.out,
        ROOT,
        ROOT / "utils",
        home,
        *map(Path, ("/tmp", "/dev/shm", "/var/tmp", "/")),
    ]
    found = set()
    for place in places:
        if place.is_dir():
            found |= {entry for entry in place.iterdir() if scene.token in entry.name}
    return sorted(found)
