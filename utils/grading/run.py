"""Grades a folder of submissions: finds them, spreads them over workers, records each as it is done, writes the reports at the end."""

from __future__ import annotations

import atexit
import datetime
import json
import multiprocessing
import os
import secrets
import tempfile
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from utils.grading import records, submissions
from utils.grading.isolation import Limits, probe
from utils.grading.normalise import RELEASE, BadNotebook, normalise
from utils.grading.records import Records
from utils.grading.submissions import Handed
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade


def notebooks() -> list[str]:
    """Names of the released notebooks."""
    return sorted(path.stem for path in RELEASE.glob("[0-9][0-9]_*.ipynb"))


@cache
def examiner(notebook: str, seed: int) -> Examiner:
    """This process's examiner for a notebook: made once."""
    import torch

    torch.set_num_threads(1)
    return Examiner(notebook, seed)


@cache
def sandbox() -> Sandbox:
    """This process's sandbox: started once, ended with the process."""
    box = Sandbox(Limits())
    atexit.register(box.stop)
    return box


def grade_one(content: bytes | str, notebook: str, seed: int) -> dict[str, Any]:
    """Grades one file. Runs in a worker, on this machine or another.

    Args:
        content: the file's bytes, or its path where the worker shares the disk.
        notebook: its name.
        seed: the secret seed.

    Returns:
        `verdicts`, `written`, `notes`, `problem` (why nothing could be graded, or ""), `isolation`.
    """
    result: dict[str, Any] = {"verdicts": [], "written": {}, "notes": [], "problem": "", "isolation": ""}
    judge = examiner(notebook, seed)
    try:
        submission = _normalised(content, notebook)
    except BadNotebook as error:
        verdicts = [judge.missing(name, "There is nothing to grade.") for name in judge.exercises]
        return result | {"verdicts": [v.record() for v in verdicts], "problem": str(error)}
    box = sandbox()
    verdicts = grade(box, judge, submission)
    result |= {
        "verdicts": [v.record() for v in verdicts],
        "written": submission.written,
        "notes": submission.notes,
    }
    return result | {"isolation": box.level.sentence()}


def _normalised(content: bytes | str, notebook: str) -> Any:
    if isinstance(content, str):
        return normalise(Path(content), notebook)
    with tempfile.NamedTemporaryFile(suffix=".ipynb") as file:
        file.write(content)
        file.flush()
        return normalise(Path(file.name), notebook)


def run(
    folder: Path,
    out: Path,
    *,
    seed: int | None = None,
    workers: int = 1,
    scheduler: str = "",
    allow_weak: bool = False,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Grades everything in `folder` and returns all entries, graded now or before.

    Args:
        folder: submissions, see `submissions.find`.
        out: where the gradebook and the reports go; a second run with the same folder resumes.
        seed: the secret seed; default the one in `out/seed.json`, else a new one, which is kept there for appeals.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler; then its workers grade.
        allow_weak: go on where the host cannot isolate fully.
        progress: show a progress bar with the time left.

    Raises:
        RuntimeError: isolation is weak and `allow_weak` is not set.
    """
    level = probe()
    if not level.safe and not allow_weak:
        raise RuntimeError(level.sentence() + " Say --allow-weak-isolation to grade all the same.")
    out.mkdir(parents=True, exist_ok=True)
    secret = _seed(out, seed)
    book = Records(out / "records.jsonl")
    with tempfile.TemporaryDirectory(prefix="grading-") as scratch:
        handed = submissions.find(folder, Path(scratch), notebooks())
        keys = {index: _key(one, secret) for index, one in enumerate(handed)}
        todo = [index for index in keys if keys[index] not in book]
        with (
            _executor(workers, scheduler) as pool,
            tqdm(total=len(todo), disable=not progress, unit="notebook", desc="grading") as bar,
        ):
            for index, entry in _results(pool, handed, todo, secret, bool(scheduler)):
                book.add(_entry(handed[index], entry, keys[index]))
                bar.update()
    return [book.lines[keys[index]] for index in keys]


def _results(pool: Executor, handed: list[Handed], todo: list[int], seed: int, remote: bool):  # noqa: ANN202
    """Yields (index, result) as they are done; a task whose worker died counts as a problem of its own only."""
    waiting: dict[Future[dict[str, Any]], int] = {}
    for index in todo:
        one = handed[index]
        if not one.notebook:
            names = ", ".join(notebooks())
            problem = f"the file's name ({Path(one.origin).name}) names no notebook of the course ({names})"
            yield index, {"verdicts": [], "written": {}, "notes": [], "problem": problem, "isolation": ""}
            continue
        content = _bytes(one.path) if remote else str(one.path)
        waiting[pool.submit(grade_one, content, one.notebook, seed)] = index
    for future in as_completed(waiting):
        yield waiting[future], future.result()


def _bytes(path: Path) -> bytes:
    from utils.grading.normalise import MAX_BYTES

    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _executor(workers: int, scheduler: str) -> Executor:
    if scheduler:
        from dask.distributed import Client

        return Client(scheduler).get_executor(retries=3, pure=False)
    if workers == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def _seed(out: Path, seed: int | None) -> int:
    path = out / "seed.json"
    if seed is None and path.exists():
        return int(json.loads(path.read_text())["seed"])
    secret = secrets.randbelow(2**31) if seed is None else seed
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        json.dump({"seed": secret, "date": datetime.date.today().isoformat()}, file)
    return secret


def _key(one: Handed, seed: int) -> str:
    return (
        records.key(one.digest, f"{one.student}\0{one.user}", one.notebook, seed)
        if one.notebook
        else f"unnamed {one.origin} {one.digest}"
    )


def _entry(one: Handed, result: dict[str, Any], key: str) -> dict[str, Any]:
    head = {
        "key": key,
        "student": one.student,
        "user": one.user,
        "notebook": one.notebook,
        "origin": one.origin,
        "sha256": one.digest,
    }
    return head | {"when": datetime.datetime.now().isoformat(timespec="seconds")} | result
