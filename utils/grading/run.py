"""Grades a folder of submissions: finds them, spreads them over workers, records each as it is done, writes the reports at the end."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import json
import multiprocessing
import os
import secrets
import shutil
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from functools import cache, partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from utils.grading import launch, likeness, records, submissions
from utils.grading.isolation import ROOT, Limits, exposed, probe
from utils.grading.normalise import normalise
from utils.grading.policy import Policy
from utils.grading.reading import RELEASE, BadNotebook
from utils.grading.records import Records, alone, write_safely
from utils.grading.submissions import Delivery, Handed
from utils.grading.verdict import Examiner
from utils.grading.worker import Sandbox, grade
from utils.words import language, say, speaking

# So many workers share one process: the work is in their sandboxes, and a thread needs no torch of its own.
THREADS = launch.MOST_EARLY
SHIPPED = (
    "utils",
    "solutions",
    "notebooks",
    "locale",
    "data/expected",
)  # of the course, to workers elsewhere
MOST_ROWS = 200  # of a student's files that are no notebooks, in the summary
IN_HAND = 64  # submissions given out at a time: to workers elsewhere their content goes along, and memory must not grow with the class


def notebooks() -> list[str]:
    """Names of the released notebooks."""
    return sorted(path.stem for path in RELEASE.glob("[0-9][0-9]_*.ipynb"))


@cache
def _examiner(notebook: str, seed: int) -> Examiner:
    import torch

    torch.set_num_threads(1)
    return Examiner(notebook, seed)


_making = threading.Lock()


def examiner(notebook: str, seed: int) -> Examiner:
    """This process's examiner for a notebook: made once."""
    with _making:
        return _examiner(notebook, seed)


_idle: dict[Limits, list[Sandbox]] = {}
_taking = threading.Lock()


@contextlib.contextmanager
def sandbox(limits: Limits) -> Iterator[Sandbox]:
    """One of this process's sandboxes, for one thread at a time: an idle one, else a new one. They end with the process."""
    with _taking:
        idle = _idle.setdefault(limits, [])
        box = idle.pop() if idle else None
    if box is None:
        box = Sandbox(limits)
        atexit.register(box.stop)
    try:
        yield box
    finally:
        with _taking:
            idle.append(box)


def grade_one(
    content: bytes | str, notebook: str, seed: int, limits: Limits | None = None, allow_weak: bool = False
) -> dict[str, Any]:
    """Grades one file. Runs in a worker, on this machine or another.

    Args:
        content: the file's bytes, or its path where the worker shares the disk.
        notebook: its name.
        seed: the secret seed.
        limits: of the sandbox; default `Limits()`.
        allow_weak: go on where this machine cannot isolate fully.

    Returns:
        `verdicts`, `written`, `notes`, `problem` (why nothing could be graded, or ""), `isolation`.

    Raises:
        RuntimeError: no sandbox can be had here, or only a weak one and `allow_weak` is not set.
    """
    result = _nothing("")
    judge = examiner(notebook, seed)
    try:
        submission = _normalised(content, notebook)
    except BadNotebook as error:
        verdicts = [judge.missing(name, say("There is nothing to grade.")) for name in judge.exercises]
        return result | {"verdicts": [v.record() for v in verdicts], "problem": str(error)}
    with sandbox(limits or Limits()) as box:
        level = box.start()
        if not level.safe and not allow_weak:
            raise RuntimeError(level.sentence())
        with speaking(submission.language):
            verdicts = grade(box, judge, submission)
    result |= {
        "verdicts": [verdict.record() for verdict in verdicts],
        "written": submission.written,
        "notes": submission.notes,
        "skipped": submission.skipped,
        "answers": submission.answers,
        "prints": likeness.record(submission),
        "runs_a_text": likeness.runs_a_text(submission),
        "newer": submission.newer,
        "missing": submission.missing,
        "language": submission.language,
    }
    return result | {"isolation": level.sentence()}


def _normalised(content: bytes | str, notebook: str) -> Any:
    if isinstance(content, str):
        return normalise(Path(content), notebook)
    with tempfile.NamedTemporaryFile(suffix=".ipynb") as file:
        file.write(content)
        file.flush()
        return normalise(Path(file.name), notebook)


def apart(folder: Path, out: Path) -> None:
    """Makes sure that what a run writes is none of what it reads.

    Raises:
        RuntimeError: `out` lies in `folder`, so that its files would be somebody's, and be graded.
    """
    if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        raise RuntimeError(
            f"{out} lies in {folder}, all of which is graded: give another folder for what comes out"
        )


def run(
    folder: Path,
    out: Path,
    *,
    seed: int | None = None,
    workers: int = 1,
    scheduler: str = "",
    allow_weak: bool = False,
    progress: bool = True,
    limits: Limits | None = None,
    policy: Policy | None = None,
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
        limits: for each submission.
        policy: which attempts are graded; default the last on time of each student.

    Raises:
        RuntimeError: nothing could be graded; isolation is weak and `allow_weak` is not set; answers lie where submissions can read; another grader
            writes to `out`.
    """
    apart(folder, out)
    level = probe()
    if not level.safe and not allow_weak:
        raise RuntimeError(level.sentence() + " Say --allow-weak-isolation to grade all the same.")
    open_to_all = exposed([ROOT / "solutions", folder, out])
    if open_to_all and not allow_weak:
        raise RuntimeError(
            f"Submissions can read {open_to_all[0]}, which lies under a folder that they need; put it elsewhere."
        )
    out.mkdir(parents=True, exist_ok=True)
    with alone(out):
        secret = _seed(out, seed)
        book = Records(out / "records.jsonl")
        scratch = out / ".scratch"  # of a killed run too
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            delivery = submissions.read(folder, scratch, notebooks())
            handed = (policy or Policy()).pick(delivery.handed)
            write_safely(out / "arrived.json", json.dumps(_arrived(delivery, handed), ensure_ascii=False))
            keys = {index: _key(one, secret) for index, one in enumerate(handed)}
            todo = [index for index in keys if keys[index] not in book]
            failed: dict[int, str] = {}
            with tqdm(total=len(todo), disable=not progress, unit="notebook", desc="grading") as bar:
                grader = partial(_results, workers, scheduler, handed, secret, limits, allow_weak)
                for index, result in grader(todo):
                    if not isinstance(result, str) and _has_changed(handed[index], secret, keys[index]):
                        result = "the file has changed since the run began"
                    if isinstance(result, str):
                        failed[index] = result
                        continue
                    book.add(_entry(handed[index], result, keys[index]))
                    bar.update()
            # what no worker could do is no grade: it stands in the reports and is tried again by the next run
            lost = {
                index: _nothing(f"not graded, run the command again: {why}") for index, why in failed.items()
            }
            extra = {
                index: _entry(handed[index], result, keys[index]) | {"lost": True}
                for index, result in lost.items()
            }
            readable = [index for index, one in enumerate(handed) if one.notebook and not one.problem]
            if readable and all(index in extra for index in readable):
                why = ", ".join(sorted(set(failed.values())))
                raise RuntimeError(f"Nothing could be graded, so no gradebook is written. {why}")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return [(extra.get(index) or book.lines[key]) | _now(handed[index]) for index, key in keys.items()]


def _nothing(problem: str) -> dict[str, Any]:
    return {
        "verdicts": [],
        "written": {},
        "notes": [],
        "skipped": [],
        "answers": {},
        "problem": problem,
        "language": language(),  # a file that cannot be read has none of its own
        "isolation": "",
    }


def _arrived(delivery: Delivery, handed: list[Handed]) -> list[dict[str, str]]:
    """What was made of everything that arrived, for the summary."""
    graded = {one.origin for one in handed if one.notebook and not one.problem}
    attempts = {one.origin for one in delivery.handed if one.notebook and not one.problem}
    idle: Counter[str] = Counter()
    found = []
    for row in delivery.rows:
        idle[row.student] += row.origin not in attempts
        if row.origin in attempts or idle[row.student] <= MOST_ROWS:
            made = row.made + ", and not graded: another attempt counts" * (row.origin in attempts - graded)
            found.append({"student": row.student, "origin": row.origin, "made": made})
    more = {student: count - MOST_ROWS for student, count in idle.items() if count > MOST_ROWS}
    return found + [
        {"student": student, "origin": f"{count} more files", "made": "nothing"}
        for student, count in more.items()
    ]


def _results(workers, scheduler, handed, seed, limits, allow_weak, todo):  # noqa: ANN001, ANN202
    """Yields (index, result) as they are done; in place of a result the reason, where there is none.

    A worker process that dies takes what its pool had in hand with it: that is given to a new pool, and at last, so that
    one file cannot take others with it, to a process of its own.
    """
    waiting = []
    for index in todo:
        one = handed[index]
        if one.problem:
            yield index, _nothing(one.problem)
        elif not one.notebook:
            names = ", ".join(notebooks())
            said = say(
                "neither the content nor the name ({name}) tells a notebook of the course ({names})",
                name=Path(one.origin).name,
                names=names,
            )
            yield index, _nothing(said)
        else:
            waiting.append(index)
    task = partial(_submit, handed, seed, limits, allow_weak, bool(scheduler))
    for attempt in range(3):
        again: list[int] = []
        groups = [waiting] if attempt < 2 else [[index] for index in waiting]
        for group in groups:
            with _executor(workers, scheduler) as pool:
                left = deque(group)
                futures: dict[Future[dict[str, Any]], int] = {}
                while left or futures:
                    try:
                        while left and len(futures) < IN_HAND:
                            futures[task(pool, left[0])] = left[0]
                            left.popleft()
                    except BrokenExecutor:
                        again += left
                        left.clear()
                    for future in wait(futures, return_when=FIRST_COMPLETED).done:
                        index = futures.pop(future)
                        try:
                            result: dict[str, Any] | str = future.result()
                        except BrokenExecutor:
                            again.append(index)
                            continue
                        except (KeyboardInterrupt, SystemExit):
                            raise
                        except (
                            BaseException
                        ) as error:  # a bug, or the host's memory: one file's, not the class's
                            result = f"{type(error).__name__}: {error}"
                        yield index, result
        waiting = again
        if not waiting:
            return
    for index in waiting:
        yield index, "the process that graded it died"


def _submit(handed, seed, limits, allow_weak, remote, pool: Executor, index: int):  # noqa: ANN001, ANN202
    one = handed[index]
    content = _bytes(one.path) if remote else str(one.path)
    return pool.submit(grade_one, content, one.notebook, seed, limits, allow_weak)


def _bytes(path: Path) -> bytes:
    from utils.grading.reading import MAX_BYTES

    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def _executor(workers: int, scheduler: str) -> Executor:
    if scheduler:
        from utils.experiments import cluster

        # `connect` raises where workers lack something; `WorkersLack` is a RuntimeError, and no gradebook is written
        return cluster.Workers(cluster.connect(scheduler, SHIPPED), retries=3, pure=False)
    if workers <= THREADS:
        return ThreadPoolExecutor(workers)
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Ends this worker when the grader is killed; the pool itself would leave it waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


def _seed(out: Path, seed: int | None) -> int:
    path = out / "seed.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    if before and seed in (None, before["seed"]):
        return int(before["seed"])
    secret = secrets.randbelow(2**31) if seed is None else seed
    earlier = [*before.pop("earlier", []), before] if before else []
    now = {"seed": secret, "date": datetime.date.today().isoformat(), "earlier": earlier}
    write_safely(path, json.dumps(now))
    return secret


def _key(one: Handed, seed: int) -> str:
    return (
        records.key(one.digest, f"{one.student}\0{one.user}", one.notebook, seed)
        if one.notebook and not one.problem
        else f"unread {one.origin} {one.digest} {one.problem}"
    )


def _has_changed(one: Handed, seed: int, key: str) -> bool:
    """Whether what was graded may be another file than the one of `key`: it is gone by now, or a link, or holds something else."""
    return bool(one.notebook and not one.problem) and (not one.digest or _key(one, seed) != key)


def _entry(one: Handed, result: dict[str, Any], key: str) -> dict[str, Any]:
    head = {
        "key": key,
        "student": one.student,
        "user": one.user,
        "notebook": one.notebook,
        "origin": one.origin,
        "sha256": one.digest,
    }
    with speaking(result.get("language") or language()):
        notes = (
            [say("Graded is {file}; also found, and not graded: {others}.", file=one.origin, others=one.note)]
            if one.note
            else []
        )
        how = say(one.how)
    notes += [f"{how[0].upper()}{how[1:]}."] if how else []
    when = {"when": datetime.datetime.now().isoformat(timespec="seconds")}
    return head | when | result | {"notes": notes + result["notes"]}


def _now(one: Handed) -> dict[str, Any]:
    """What of an entry is not recorded, because it is no part of what was graded: a copy may have other times."""
    return {"late_mark": one.late, "handed": one.when.isoformat(timespec="seconds") if one.when else ""}
