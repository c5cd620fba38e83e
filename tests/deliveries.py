"""Makes what students hand in: files of every kind, in the folders and archives of a platform."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import jupytext
import nbformat

from utils.authoring.attacks.handing import FILE as FILE
from utils.authoring.attacks.handing import right as right
from utils.authoring.attacks.handing import zipped as zipped
from utils.authoring.attacks.scene import NOTEBOOK, solved

NAME = NOTEBOOK
WRONG = "def causal_mask(length):\n    return torch.ones(length, length, dtype=torch.bool)\n"


def wrong() -> bytes:
    """The same with one mistake."""
    return json.dumps(solved(causal_mask=WRONG)).encode()


def script(content: bytes) -> bytes:
    """A notebook as Colab's "Download .py" has it: cells are paragraphs, texts are strings."""
    return jupytext.writes(nbformat.reads(content.decode(), as_version=4), "py:light").encode()


def tarred(files: dict[str, bytes]) -> bytes:
    """A .tar.gz file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def lay(folder: Path, files: dict[str, bytes | None]) -> Path:
    """Writes files (None: an empty folder) below a folder."""
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder
