"""Dask workers that can do the course's work, however they were started: the code goes to each of them, and what one lacks is said.

`dask worker tcp://...` puts the folder it was started in on nobody's path. So the course's code travels with the run, to workers that
join later too. What cannot travel, the libraries, is asked for first.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import zipfile
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Any

from utils.paths import ROOT

CODE = ("utils", "solutions")
NEEDED = ("torch", "einops", "safetensors", "matplotlib", "tqdm")
LEFT_OUT = ("__pycache__", "authoring")


class WorkersLack(RuntimeError):
    """Workers cannot do this work; the message says which and why."""


def content_of(folders: Iterable[str] = CODE) -> str:
    """sha256 of what `packed` would send: two copies of the course that agree in it do the same work."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if not set(path.relative_to(ROOT).parts) & {*LEFT_OUT}:
                digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def packed(folders: Iterable[str]) -> bytes:
    """A zip of these folders of the course: code, text and data."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in folders:
            for path in sorted((ROOT / folder).rglob("*")):
                place = path.relative_to(ROOT)
                if path.is_file() and not set(place.parts) & {*LEFT_OUT} and path.suffix != ".pyc":
                    archive.write(path, place.as_posix())
    return buffer.getvalue()


def connect(address: str = "", folders: Iterable[str] = CODE) -> Any:
    """A client of a scheduler whose workers have the course's code.

    Args:
        address: of the scheduler; "": processes on this machine.
        folders: of the course that the work needs.

    Raises:
        WorkersLack: no worker is there, or one lacks a library or has another course imported.
    """
    import cloudpickle
    from distributed import Client

    client = Client(address) if address else Client()
    content = packed(folders)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # scheduler and workers have no such module
    client.register_plugin(_plugin(content, hashlib.sha256(content).hexdigest()[:16]))
    told = client.run(_lacks, NEEDED, content_of())
    if not told:
        client.close()
        raise WorkersLack(
            f"no worker has come to the scheduler at {address}: start some with `dask worker {address}`"
        )
    if lacking := {worker: what for worker, what in told.items() if what}:
        client.close()
        said = "; ".join(f"{worker} {what}" for worker, what in sorted(lacking.items()))
        raise WorkersLack(f"workers cannot do this work: {said}")
    return client


class Workers(Executor):
    """A client's workers as an executor. What is sent is bytes to the scheduler, which has no course and need not.

    Args:
        client: see `connect`.
        options: of `Client.get_executor`.
    """

    def __init__(self, client: Any, **options: Any) -> None:
        self.client, self.inner = client, client.get_executor(**options)

    def submit(self, function: Any, /, *given: Any, **named: Any) -> Any:
        return self.inner.submit(_call, pickle.dumps((function, given, named)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.inner.shutdown(wait=wait)


def _call(packed: bytes) -> Any:
    """On a worker: does what was packed."""
    function, given, named = pickle.loads(packed)
    return function(*given, **named)


# What belongs to no module that can be imported goes as code, so the scheduler can read it too.
_call.__module__ = "__main__"


def _plugin(content: bytes, mark: str) -> Any:
    from distributed import WorkerPlugin

    class Course(WorkerPlugin):
        """Puts the course on a worker's path when the worker starts."""

        name = f"course-{mark}"
        idempotent = True

        def setup(self, worker: Any) -> None:
            _install(content, mark, worker.local_directory)

    return Course()


def _install(content: bytes, mark: str, folder: str) -> None:
    """On a worker: unpacks the course, unless this process has it."""
    from pathlib import Path

    if (
        "utils.paths" in sys.modules
    ):  # started by hand from a copy of the course, or an earlier run: `_lacks` compares
        return
    place = Path(folder) / f"course-{mark}"
    if not place.exists():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(place)
    sys.path.insert(0, str(place))
    sys.modules.pop("utils", None)  # a stranger's package of this name


def _lacks(libraries: tuple[str, ...], version: str) -> str:
    """On a worker: what it lacks, in words, or ""."""
    import importlib.util
    import sys

    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        return f"lacks {', '.join(missing)} (Python {sys.version_info.major}.{sys.version_info.minor}, {sys.executable}): install requirements.lock there"
    try:
        from utils.experiments.cluster import content_of as theirs
        from utils.paths import ROOT as place
    except Exception as error:
        return f"cannot import the course ({type(error).__name__}: {error})"
    return "" if theirs() == version else f"has another version of the course imported ({place}): restart it"
