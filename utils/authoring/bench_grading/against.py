"""The grader against an earlier one: a class with the same answers, graded by both in turn."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from utils.authoring.bench_grading import course, measure
from utils.authoring.bench_grading.measure import Taken

WAYS = {"trusted, 1 worker": 1, "trusted, 2 workers": 2}
MAKE = (
    "import sys\nfrom pathlib import Path\nfrom utils.authoring.bench_grading import course\n"
    "course.hand_in(course.make(Path(sys.argv[1])), int(sys.argv[2]))\n"
)


@contextlib.contextmanager
def earlier(commit: str, folder: Path, submissions: int) -> Iterator[Path]:
    """The course of an earlier version, built by that version itself, with its class; for as long as the block lasts.

    Args:
        commit: of this repository.
        folder: exists; the version and its course are put below it.
        submissions: size of the class.

    Raises:
        RuntimeError: git knows no such commit, or its course cannot be built.
    """
    tree = folder / "earlier"
    _do(["git", "worktree", "add", "--detach", str(tree), commit], course.ROOT)
    try:
        made = folder / "earlier-course"
        _do(
            [sys.executable, "-c", MAKE, str(made), str(submissions)],
            tree,
            course.environment(tree),
        )
        yield made
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=course.ROOT, check=False)


def _do(command: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} ... failed: {done.stderr[-1000:]}")


def graded(folder: Path, every: Path, workers: int) -> Taken:
    """What the whole command of a course's own grader takes."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = ["-m", "utils.grading", "grade", str(every), str(out), "--workers", str(workers)]
    return measure.run(command, folder, course.environment(folder) | {"COURSE_BUDGET": "smoke"})


def race(now: Path, before: Path, number: int) -> dict[str, tuple[Taken, Taken]]:
    """One round: way -> what this version and the earlier one took. Who begins changes from round to round.

    Args:
        now, before: their courses, each with its class in `submissions`.
        number: of the round.
    """
    taken = {}
    for name, workers in WAYS.items():
        order = (now, before) if number % 2 else (before, now)
        found = {one: graded(one, one / "submissions", workers) for one in order}
        taken[name] = (found[now], found[before])
    return taken


def summarise(commit: str, rounds: list[dict[str, tuple[Taken, Taken]]]) -> dict[str, Any]:
    """Per way the medians, and now / before as the median of the rounds' own ratios."""
    rows = []
    for name in rounds[0]:
        walls = sorted(one[name][0].wall / one[name][1].wall for one in rounds)
        processor = [one[name][0].cpu / one[name][1].cpu for one in rounds]
        rows.append(
            {
                "name": name,
                "seconds": round(statistics.median(one[name][0].wall for one in rounds), 2),
                "seconds_before": round(statistics.median(one[name][1].wall for one in rounds), 2),
                "ratio": round(statistics.median(walls), 3),
                "range": [round(walls[0], 3), round(walls[-1], 3)],
                "cpu_ratio": round(statistics.median(processor), 3),
            }
        )
    said = subprocess.run(
        ["git", "log", "-1", "--format=%H %s", commit],
        cwd=course.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    identity, _, subject = said.stdout.strip().partition(" ")
    return {"commit": identity, "subject": subject, "rows": rows}


def said_of(found: dict[str, Any]) -> str:
    """The same in words."""
    lines = [f"Against {found['commit'][:7]} ({found['subject']}):"]
    for row in found["rows"]:
        low, high = row["range"]
        lines.append(
            f"{row['name']:34s}{row['seconds']:8.1f} s, before {row['seconds_before']:.1f} s: {row['ratio']:.2f} "
            f"({low:.2f} to {high:.2f}) of its time, {row['cpu_ratio']:.2f} of its processor time"
        )
    return "\n".join(lines)
