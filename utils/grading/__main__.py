"""Command line for instructors: `python -m utils.grading grade SUBMISSIONS OUT`, `marks OUT`, `level`."""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.grading", description="Grades submissions outside the process that runs them."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "grade", help="grade a folder (or archive) of submissions; a second run resumes"
    )
    command.add_argument("submissions", type=Path)
    command.add_argument("out", type=Path)
    command.add_argument(
        "--seed",
        type=int,
        help="secret seed of the hidden cases; default a random one, kept in OUT/seed.json",
    )
    command.add_argument("--workers", type=int, default=1, help="processes on this machine")
    command.add_argument("--scheduler", default="", help="address of a Dask scheduler, tcp://...")
    command.add_argument(
        "--allow-weak-isolation",
        action="store_true",
        help="grade even where hostile code could not be contained",
    )
    marks = commands.add_parser(
        "marks", help="merge OUT/written/*.csv and OUT/overrides.csv, and write the reports again"
    )
    marks.add_argument("out", type=Path)
    for one in (command, marks):
        one.add_argument(
            "--policy",
            type=Path,
            help="what the class has agreed on (utils/grading/grading.toml is an example)",
        )
        one.add_argument(
            "--roster",
            type=Path,
            help="Canvas' gradebook export, Moodle's participants, or a table of names and ids",
        )
        one.add_argument(
            "--canvas-column",
            action="append",
            default=[],
            metavar="TITLE",
            help='the assignment\'s title in Canvas with its number, "Homework 1 (12345)"; of several notebooks "01=Homework 1 (12345)"',
        )
    bundle = commands.add_parser(
        "gradescope", help="write an autograder for Gradescope: a zip file for one notebook"
    )
    bundle.add_argument("notebook")
    bundle.add_argument("out", type=Path)
    one = commands.add_parser("gradescope-run", help="what that autograder runs")
    one.add_argument("submission", type=Path)
    one.add_argument("results", type=Path)
    one.add_argument("notebook")
    commands.add_parser("level", help="how well this host can isolate student code")
    options = parser.parse_args()
    if sys.platform == "win32":
        print(
            "The trusted grader needs Linux, since its sandbox forks: grade inside WSL 2 or a container (utils/grading/README.md).",
            file=sys.stderr,
        )
        return 2
    run = {"grade": _grade, "marks": _marks, "level": _level, "gradescope": _bundle, "gradescope-run": _one}
    return _kept_private(run[options.command], options)


def _kept_private(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Runs a command so that only the grader's user can read what it writes, and a disk that fails is one sentence."""
    os.umask(0o077)
    try:
        return command(options)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(
            f"{error.strerror or error}{where}. What has been graded is kept in records.jsonl: mend it and run the command again.",
            file=sys.stderr,
        )
        return 2


def _close(out: Path) -> None:
    """Closes what an earlier run has left open to others, and says what stays so."""
    from utils.grading.records import keep_private

    if still := keep_private(out):
        more = f", and {len(still) - 1} more" * (len(still) > 1)
        print(
            f"Others may read what is graded: {still[0]}{more} cannot be closed to them. Is it yours, on a disk that has modes?",
            file=sys.stderr,
        )


def _grade(options: argparse.Namespace) -> int:
    from utils.grading import launch
    from utils.grading.isolation import probe

    if not options.scheduler and options.submissions.exists():
        launch.early(min(options.workers, launch.MOST_EARLY))
    sentence = probe().sentence()
    print(sentence, flush=True)
    # torch comes with these; the sandboxes import theirs meanwhile
    gc.disable()
    from utils.grading import report_run, run
    from utils.grading.records import write_safely

    gc.freeze()  # what was imported stays: nothing for the collector to look through
    gc.enable()

    try:
        run.apart(options.submissions, options.out)
        _close(options.out)
        rules, columns = report_run.keep(
            options.out, {"policy": options.policy, "roster": options.roster}, options.canvas_column
        )
        entries = run.run(
            options.submissions,
            options.out,
            seed=options.seed,
            workers=options.workers,
            scheduler=options.scheduler,
            allow_weak=options.allow_weak_isolation,
            policy=rules,
        )
    except (RuntimeError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    write_safely(options.out / "entries.json", json.dumps(entries, ensure_ascii=False))
    report_run.note_picks(options.out)
    # marks that were entered before a second run stay
    _tell(*report_run.finish(entries, options.out, rules, columns, sentence))
    return 0


def _marks(options: argparse.Namespace) -> int:
    from utils.grading import marks, report_run
    from utils.grading.isolation import probe

    _close(options.out)
    try:
        rules, columns = report_run.keep(
            options.out, {"policy": options.policy, "roster": options.roster}, options.canvas_column
        )
        entries = marks.latest(options.out)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    written, said = report_run.finish(entries, options.out, rules, columns, probe().sentence())
    _tell(written, [*said, *report_run.other_picks(options.out, rules)])
    return 1 if any(".csv, line" in line for line in said) else 0


def _bundle(options: argparse.Namespace) -> int:
    from utils.grading import gradescope

    try:
        print(f"wrote {gradescope.bundle(options.notebook, options.out)}")
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _one(options: argparse.Namespace) -> int:
    from utils.grading import gradescope

    try:
        print(gradescope.grade(options.submission, options.results, options.notebook)["output"])
    except (RuntimeError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _tell(written: list[Path], said: list[str]) -> None:
    from utils.grading.reports.tables import shown

    for path in written:
        print(f"wrote {path}")
    for line in said:
        print(shown(line), file=sys.stderr)


def _level(options: argparse.Namespace) -> int:
    from utils.grading.isolation import probe

    print(probe().sentence())
    return 0


def _leave(status: int) -> None:
    """Ends this process without taking torch down piece by piece, which takes half a second."""
    atexit._run_exitfuncs()  # the sandboxes end here
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _leave(main())
