"""Files that are no notebook, or not this one. Nothing in them can be graded, and the report says why."""

from __future__ import annotations

import json
import os
import zipfile

from utils.authoring.attacks.scene import FULL, NOTEBOOK, ZERO, Attack, Scene, code_cell, solved

GROUP = "broken files"


def _content(data: bytes):  # noqa: ANN202
    return lambda scene: scene.write(data)


def _large(scene: Scene) -> None:
    path = scene.write(b'{"cells": [')
    os.truncate(path, 200 * 10**6)  # a sparse file: 200 MB to whoever reads it, nothing on the disk


def _other_assignment(scene: Scene) -> None:
    scene.write(
        {"cells": [code_cell("def gcd(a, b):\n    return a if not b else gcd(b, a % b)\n")], "metadata": {}}
    )


def _cut_off(scene: Scene) -> None:
    scene.write(json.dumps(solved()).encode()[:20000])


def _too_many_cells(scene: Scene) -> None:
    scene.write({"cells": [code_cell("pass", f"c{n}") for n in range(6000)], "metadata": {}})


def _too_much_code(scene: Scene) -> None:
    scene.write({"cells": [code_cell("x = 1\n" * 30000, f"c{n}") for n in range(20)], "metadata": {}})


def _bomb(scene: Scene) -> None:
    with (
        zipfile.ZipFile(scene.student / "work.zip", "w", zipfile.ZIP_DEFLATED) as zipped,
        zipped.open(f"{NOTEBOOK}.ipynb", "w") as member,
    ):
        for _ in range(280):
            member.write(bytes(2**20))


def _damaged_member(scene: Scene) -> None:
    path = scene.student / "work.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr(f"{NOTEBOOK}.ipynb", json.dumps(solved()))
    data = bytearray(path.read_bytes())
    data[5000:5100] = bytes(100)
    path.write_bytes(data)


def _not_a_zip(scene: Scene) -> None:
    (scene.student / "work.zip").write_bytes(b"PK\x03\x04 and no more")


def _folder(scene: Scene) -> None:
    (scene.student / f"{NOTEBOOK}.ipynb").mkdir()


def _pipe(scene: Scene) -> None:
    os.mkfifo(scene.student / f"{NOTEBOOK}.ipynb")


def _link(target: str):  # noqa: ANN202
    def make(scene: Scene) -> None:
        goal = str(scene.neighbour) if target == "neighbour" else target
        (scene.student / f"{NOTEBOOK}.ipynb").symlink_to(goal)

    return make


def _nameless(scene: Scene) -> None:
    scene.write(solved(), "homework.ipynb")


ATTACKS = (
    Attack("empty file", GROUP, ZERO, _content(b"")),
    Attack("cut off in the middle", GROUP, ZERO, _cut_off),
    Attack("a PDF under the notebook's name", GROUP, ZERO, _content(b"%PDF-1.7\n" + bytes(range(256)) * 20)),
    Attack("200 MB", GROUP, ZERO, _large),
    Attack("another course's notebook under this name", GROUP, ZERO, _other_assignment),
    Attack("no cells", GROUP, ZERO, _content(b'{"cells": []}')),
    Attack("cells that are no list", GROUP, ZERO, _content(b'{"cells": {"a": 1}}')),
    Attack("cells that are numbers", GROUP, ZERO, _content(b'{"cells": [1, 2, 3]}')),
    Attack("JSON nested 200,000 deep", GROUP, ZERO, _content(b'{"cells": ' + b"[" * 200000)),
    Attack("6,000 cells", GROUP, ZERO, _too_many_cells),
    Attack("3.6 MB of code", GROUP, ZERO, _too_much_code),
    Attack("a folder under the notebook's name", GROUP, ZERO, _folder),
    Attack("a pipe that nobody writes to", GROUP, ZERO, _pipe),
    Attack("a link to a neighbour's file", GROUP, ZERO, _link("neighbour")),
    Attack("a link to a file of the system", GROUP, ZERO, _link("/etc/passwd")),
    Attack("a zip bomb", GROUP, ZERO, _bomb),
    Attack("a zip file with a damaged member", GROUP, ZERO, _damaged_member),
    Attack("a zip file that is none", GROUP, ZERO, _not_a_zip),
    Attack("a file name that names no notebook", GROUP, FULL, _nameless),
)
