"""Late work that says it was on time: in archives whose times are their owner's to choose, or under a name that is somebody's id."""

from __future__ import annotations

import datetime
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from utils.authoring.attacks.handing import FILE, Make, by_canvas, clear, own, put, right, tarred
from utils.authoring.attacks.scene import LATE, NOTEBOOK, Attack, Scene, one_class
from utils.grading.policy import Policy

GROUP = "late all the same"
DUE = datetime.datetime(2025, 3, 1)
ON_TIME = Policy(deadlines={NOTEBOOK: DUE}, penalty=1.0, written="leave out")


def _come(scene: Scene, late: Path) -> None:
    """The neighbours' files come a day before they are due, and this one nine days behind."""
    for path, days in [*((path, -1) for path in scene.neighbours), (late, 9)]:
        when = (DUE + datetime.timedelta(days=days)).timestamp()
        os.utime(path, (when, when))


def _dated(content: bytes, file: str = FILE) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(file, (2020, 1, 1, 0, 0, 0)), content)
    return buffer.getvalue()


def _undated(content: bytes) -> bytes:
    data = bytearray(_dated(content))
    place = data.index(b"PK\x01\x02")
    data[place + 12 : place + 16] = bytes(4)
    return bytes(data)


def _late(name: str, content: Callable[[], bytes]) -> Make:
    return lambda scene: _come(scene, scene.write(content(), name))


LATER = {
    "a zip file dated years before": ("w.zip", lambda: _dated(right())),
    "a zip file without a date": ("w.zip", lambda: _undated(right())),
    "a tar file dated years before": ("w.tar", lambda: tarred(right(), mtime=1)),
    "a zip file in a zip file": ("w.zip", lambda: _dated(_dated(right()), "v.zip")),
}


def _late_on_a_platform(scene: Scene) -> None:
    """The platform's archive has times of its own, and in it lies the student's, dated five years before."""
    student, whole = scene.honest[0][0], scene.folder / "moodle.zip"
    first = zipfile.ZipInfo(f"{student}_1_assignsubmission_file_/{FILE}", (2025, 2, 1, 0, 0, 0))
    late = zipfile.ZipInfo(f"Mal {scene.base.name}_2_assignsubmission_file_/w.zip", (2025, 3, 10, 0, 0, 0))
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(first, scene.neighbours[0].read_bytes())
        archive.writestr(late, _dated(right()))
    clear(scene)
    scene.neighbours[:], scene.honest[:] = [whole], [(student, "1")]


def _called_like_an_id(scene: Scene) -> None:
    by_canvas(scene)
    _come(scene, put(scene, f"48213_7_8_{FILE}", own(scene, right())))


EXTENDED = Policy(
    deadlines={NOTEBOOK: DUE},
    penalty=1.0,
    written="leave out",
    extensions={("48213", NOTEBOOK): datetime.datetime(2099, 1, 1)},
)


ATTACKS = (
    *one_class(
        "late",
        (
            Attack(f"late, in {name}", GROUP, LATE, _late(file, content), policy=ON_TIME)
            for name, (file, content) in LATER.items()
        ),
    ),
    Attack("late, in a zip file in a platform's", GROUP, LATE, _late_on_a_platform, policy=ON_TIME),
    Attack(
        "late, and called like an id that has more time", GROUP, LATE, _called_like_an_id, policy=EXTENDED
    ),
)
