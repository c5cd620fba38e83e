"""Archives and scripts on which Python's own readers raise what nobody expects, or take memory or time without end.

Each is one student's file: the run goes on, the neighbours are graded, and the grader's process neither grows nor waits.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
from typing import Any

from utils.authoring.attacks.handing import FILE, right, tarred, zipped
from utils.authoring.attacks.scene import FULL, NOTEBOOK, ZERO, Attack, Scene, one_class

GROUP = "broken archives and scripts"
MEMORY = 200  # MiB


def damaged(content: bytes) -> bytes:
    """A compressed file with a byte of its middle changed."""
    return content[:200] + bytes([content[200] ^ 255]) + content[201:]


def _long_name() -> bytes:
    """A name of 1 GiB, of which tarfile makes one text before anybody can ask how long it is. 1 MB on the disk."""
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 2**30
    zeros = gzip.compress(bytes(2**26), 1)
    return gzip.compress(head.tobuf(tarfile.GNU_FORMAT)) + zeros * 16 + gzip.compress(tarred(right()))


def _many_entries() -> bytes:
    """An archive in an archive, with a directory of 1,500,000 entries, all of one member."""
    data = zipped({"a": b""})
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry, tail = data[start:end], bytearray(data[end:])
    tail[8:12] = b"\xff\xff" * 2
    tail[12:16] = (len(entry) * 1_500_000).to_bytes(4, "little")
    return zipped({"inner.zip": data[:start] + entry * 1_500_000 + bytes(tail)})


# Seven lines of YAML, each nine times the one above: five million texts.
_YAML = "".join(f"#   a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(7))
HEADER = f"# ---\n# jupyter:\n#   a0: &a0 [x]\n{_YAML}# ---\n\n"


def _script(before: str = "", behind: str = "") -> bytes:
    import jupytext
    import nbformat

    return (
        before + jupytext.writes(nbformat.reads(right().decode(), as_version=4), "py:light") + behind
    ).encode()


def _file(name: str, content) -> Any:  # noqa: ANN001 - made when it is needed, for some are large
    return lambda scene: scene.write(content(), name)


def _both(scene: Scene) -> None:
    """The right notebook beside an archive that cannot be read."""
    scene.write(right())
    scene.write(damaged(lzma.compress(tarred(right()))), "work.tar.xz")


ARCHIVES = {
    "a tar file with a time that is none": (
        FULL,
        "work.tar",
        lambda: tarred(right(), pax_headers={"mtime": "inf"}),
    ),
    "a tar file with a name of 1 GiB": (ZERO, "work.tar.gz", _long_name),
    "a tar file with a number of 200,000 digits": (
        ZERO,
        "work.tar",
        lambda: tarred(right(), pax_headers={"comment": "1" * 200_000}),
    ),
    "a damaged .tar.xz": (ZERO, "work.tar.xz", lambda: damaged(lzma.compress(tarred(right())))),
    "a zip file with a damaged member in LZMA": (
        ZERO,
        "work.zip",
        lambda: damaged(zipped({FILE: right()}, zipfile.ZIP_LZMA)),
    ),
    "a zip file in a zip file, with 1,500,000 entries": (ZERO, "work.zip", _many_entries),
    "a script whose header stands for gigabytes": (FULL, f"{NOTEBOOK}.py", lambda: _script(HEADER)),
    "a script whose header stands for gigabytes, behind a line that hides it": (
        FULL,
        f"{NOTEBOOK}.py",
        lambda: _script("#!/usr/bin/env python\n# coding: utf-8\n" + HEADER),
    ),
    "a script that ends in 100,000 empty lines": (
        FULL,
        f"{NOTEBOOK}.py",
        lambda: _script(behind="\n" * 100_000),
    ),
    "a script of 40,000 short paragraphs": (
        ZERO,
        f"{NOTEBOOK}.py",
        lambda: _script(behind="\nx = 1\n" * 40_000),
    ),
}
ATTACKS = one_class(
    GROUP,
    (
        *(
            Attack(name, GROUP, expect, _file(file, content), memory=MEMORY)
            for name, (expect, file, content) in ARCHIVES.items()
        ),
        Attack("a damaged archive beside the right notebook", GROUP, FULL, _both, memory=MEMORY),
    ),
)
