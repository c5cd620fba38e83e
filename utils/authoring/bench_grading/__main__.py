"""`python -m utils.authoring.bench_grading`: how much faster than nbval the grader is. Prints a table, writes `data/results/grading.json`.

One course with one short notebook (`course`), the same submissions for all. In each round, in turn: plain `pytest --nbval-lax`, the same
with a warm kernel, the trusted grader with one worker and with two. Each is the whole command, start-up and reports included.
nbval runs on a few of the submissions, twice (2 and, by default, 12 of them), which gives its start-up and its cost per
notebook; from these follows what all would take in one run. Nothing else is extrapolated.

`--against COMMIT` lets the grader of an earlier commit grade a class with the same answers in each round too, before or after this one's.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from utils.authoring.bench_grading import against, course, measure
from utils.authoring.bench_grading.measure import Taken
from utils.budget import describe_machine

FILE = course.ROOT / "data" / "results" / "grading.json"
NBVAL = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax"]
WARM = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "utils.grading.plugin", "--nbval-lax", "--warm"]
FAILED_CELLS = (0, 1)  # pytest's exit status: some submissions are wrong, on purpose
FEW = 2
TARGETS = {"trusted, 1 worker": 25.0, "trusted, 2 workers": 40.0, "warm kernel": 3.0}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.authoring.bench_grading", description="Times the grader against nbval."
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--submissions", type=int, default=100, help="that the trusted grader grades")
    parser.add_argument("--notebooks", type=int, default=12, help="of them, that nbval runs")
    parser.add_argument(
        "--large", type=int, default=2000, help="size of the class that shows flat cost (0: none)"
    )
    parser.add_argument("--against", default="", metavar="COMMIT", help="an earlier grader, to be raced")
    options = parser.parse_args()
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-grading-") as scratch:
        folder = course.make(Path(scratch) / "course")
        rounds, races = [], []
        with contextlib.ExitStack() as stack:
            before = None
            if options.against:
                version = against.earlier(options.against, Path(scratch), options.submissions)
                before = stack.enter_context(version)
            for number in range(options.rounds):
                rounds.append(one_round(folder, options.submissions, options.notebooks))
                if before:
                    races.append(against.race(folder, before, number))
                print(f"round {number + 1} of {options.rounds} is done", flush=True)
        rows = summarise(rounds, options.submissions)
        print(table(rows, options))
        raced = against.summarise(options.against, races) if races else None
        if raced:
            print(against.said_of(raced))
        flat = large(folder, options.large) if options.large else None
    if flat:
        print(said_of(flat))
    record = {
        "command": "python -m utils.authoring.bench_grading " + " ".join(sys.argv[1:]),
        "machine": describe_machine(),
        "date": datetime.date.today().isoformat(),
        "submissions": options.submissions,
        "notebooks_run_by_nbval": options.notebooks,
        "rounds": options.rounds,
        "rows": rows,
        "against": raced,
        "large": flat,
    }
    FILE.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {FILE.relative_to(course.ROOT)}")
    return 0


def one_round(folder: Path, submissions: int, notebooks: int) -> dict[str, Taken]:
    """What every way took, in seconds for `submissions` submissions, start-up included."""
    env = course.environment(folder) | {"COURSE_BUDGET": "smoke"}
    every = course.hand_in(folder, submissions)
    paths = sorted(str(path) for path in every.rglob("*.ipynb"))
    taken = {}
    for name, command in (("nbval", NBVAL), ("warm kernel", WARM)):
        few, more = (
            measure.run([*command, *paths[:n]], folder, env, FAILED_CELLS, rf"\b{course.wrong(n)} failed")
            for n in (FEW, notebooks)
        )
        taken[name] = Taken(
            *(
                line(FEW, getattr(few, part), notebooks, getattr(more, part), submissions)
                for part in ("wall", "cpu")
            )
        )
        taken[f"{name}, {notebooks} notebooks"] = more
        if name == "nbval":
            each = (
                line(FEW, getattr(few, part), notebooks, getattr(more, part), 1) for part in ("wall", "cpu")
            )
            taken["nbval, a run per submission"] = Taken(*(submissions * one for one in each))
    for name, workers in against.WAYS.items():
        taken[name] = against.graded(folder, every, workers)
        lines = (folder / "out" / "records.jsonl").read_text("utf-8").splitlines()
        graded = [json.loads(line) for line in lines]
        passed = {
            one["student"]: {v["exercise"]: v["state"] == "passed" for v in one["verdicts"]} for one in graded
        }
        wanted = {f"student-{n + 1:04d}": course.expected_points(n) for n in range(submissions)}
        if passed != wanted:
            raise RuntimeError(f"the grades of {submissions} submissions are not what they must be")
    return taken


def line(few: int, seconds_few: float, more: int, seconds_more: float, wanted: int) -> float:
    """Seconds for `wanted` notebooks on the straight line through two measurements."""
    return seconds_few + (wanted - few) * (seconds_more - seconds_few) / (more - few)


def summarise(rounds: list[dict[str, Taken]], submissions: int) -> list[dict[str, Any]]:
    """A row per way: medians, and the ratio nbval / way as the median of the rounds' own ratios."""
    rows: list[dict[str, Any]] = []
    for name in rounds[0]:
        if name.endswith("notebooks"):
            continue
        ratios = sorted(one["nbval"].wall / one[name].wall for one in rounds)
        by_cpu = [one["nbval"].cpu / one[name].cpu for one in rounds]
        single = [one["nbval, a run per submission"].wall / one[name].wall for one in rounds]
        rows.append(
            {
                "name": name,
                "seconds": round(statistics.median(one[name].wall for one in rounds), 2),
                "cpu_seconds": round(statistics.median(one[name].cpu for one in rounds), 2),
                "milliseconds_each": round(
                    1000 * statistics.median(one[name].wall for one in rounds) / submissions, 1
                ),
                "times_faster": round(statistics.median(ratios), 2),
                "range": [round(ratios[0], 2), round(ratios[-1], 2)],
                "times_faster_than_a_run_per_submission": round(statistics.median(single), 2),
                "times_less_cpu": round(statistics.median(by_cpu), 2),
                "target": TARGETS.get(name),
            }
        )
    subset = next(name for name in rounds[0] if name.startswith("warm kernel, "))
    cold = subset.replace("warm kernel", "nbval")
    measured = sorted(one[cold].wall / one[subset].wall for one in rounds)
    cpu = [one[cold].cpu / one[subset].cpu for one in rounds]
    rows.append(
        {
            "name": subset,
            "seconds": round(statistics.median(one[subset].wall for one in rounds), 2),
            "cpu_seconds": round(statistics.median(one[subset].cpu for one in rounds), 2),
            "times_faster": round(statistics.median(measured), 2),
            "range": [round(measured[0], 2), round(measured[-1], 2)],
            "times_less_cpu": round(statistics.median(cpu), 2),
            "target": TARGETS["warm kernel"],
        }
    )
    return rows


def table(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """The rows as text."""
    said = [
        f"{options.submissions} submissions of one notebook with three trivial exercises; seconds for all, start-up included.",
        f"nbval: from runs over {FEW} and {options.notebooks} of them, in one pytest process. The last row compares runs over "
        f"{options.notebooks} as they were measured.",
        f"{'':34s}{'s':>8s}{'CPU s':>8s}{'faster':>9s}{'(range)':>16s}{'less CPU':>10s}  target",
    ]
    for row in rows:
        low, high = row["range"]
        target = row["target"]
        verdict = "" if target is None else f"{target:g}x " + ("met" if float(str(row["times_faster"])) >= float(str(target)) else "missed")  # fmt: skip
        said.append(
            f"{row['name']:34s}{row['seconds']:8.1f}{row['cpu_seconds']:8.1f}{row['times_faster']:8.1f}x"
            f"{f'({low:.1f} to {high:.1f})':>16s}{row['times_less_cpu']:9.1f}x  {verdict}"
        )
    return "\n".join(said)


def large(folder: Path, count: int) -> dict[str, Any]:
    """Grades a large class once, and says whether the last submissions cost what the first did."""
    every = course.hand_in(folder, count, where="large")
    out = folder / "out-large"
    command = ["-m", "utils.grading", "grade", str(every), str(out)]
    looks = measure.watch(command, folder, course.environment(folder), out / "records.jsonl")
    tenth = max(count // 10, 1)
    begin, end = measure.slope(looks, 100, 100 + tenth), measure.slope(looks, count - tenth, count)
    memory = [measure.nearest(looks, at).memory for at in (100, count)]
    return {
        "submissions": count,
        "seconds": round(looks[-1].wall, 1),
        "cpu_milliseconds_each": [round(1000 * begin[1], 1), round(1000 * end[1], 1)],
        "milliseconds_each": [round(1000 * begin[0], 1), round(1000 * end[0], 1)],
        "between": [[100, 100 + tenth], [count - tenth, count]],
        "grader_memory_mib": [round(mib) for mib in memory],
    }


def said_of(flat: dict[str, Any]) -> str:
    """The large class in words."""
    (a, b), (c, d) = flat["milliseconds_each"], flat["cpu_milliseconds_each"]
    (i, j), (k, m) = flat["between"]
    x, y = flat["grader_memory_mib"]
    return (
        f"{flat['submissions']} submissions, 1 worker, {flat['seconds']} s. Per submission, {i} to {j} against {k} to {m}: "
        f"{a:.0f} and {b:.0f} ms, {c:.0f} and {d:.0f} ms of processor time. Memory of the grader: {x} and {y} MiB."
    )


if __name__ == "__main__":
    sys.exit(main())
