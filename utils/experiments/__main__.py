"""Declared experiments: list them, run them, see how far they are, plot them.

python -m utils.experiments list
python -m utils.experiments run data-scaling --preset cpu --workers 2
python -m utils.experiments run data-scaling --preset gpu                 # the same grid, larger; resumes where it stopped
python -m utils.experiments status
python -m utils.experiments plot data-scaling --preset cpu --out figures
python -m utils.experiments models | throughput
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from utils.experiments import results
from utils.experiments.declare import NAMES, PRESETS, cell_id, find, rates, with_rates

SEEDS_AT_ONCE = 3  # processes that share one GPU: one small model alone does not fill it


def _list(options: argparse.Namespace) -> int:
    for name in NAMES:
        experiment = find(name)
        counts = ", ".join(f"{preset} {len(experiment.cells(preset))}" for preset in PRESETS)
        print(f"{name}\n  {experiment.question}\n  cells: {counts}")
        if options.predictions:
            print(
                "  predicted before the first run:", *(f"\n  - {p}" for p in experiment.predictions), sep=""
            )
    return 0


def _run(options: argparse.Namespace) -> int:
    from utils.experiments.runner import Runner

    experiment = find(options.name)
    only: dict[str, list[str]] = {}
    for word in options.only:
        key, _, values = word.partition("=")
        only[key] = values.split("|")
    workers, threads = options.workers, options.threads
    if workers is None:
        import torch

        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = SEEDS_AT_ONCE if torch.cuda.is_available() else cores
    client = executor = None
    if options.scheduler:
        from utils.experiments import cluster

        try:
            client = cluster.connect("" if options.scheduler == "local" else options.scheduler)
        except cluster.WorkersLack as lacking:
            print(lacking, flush=True)
            return 2
        executor = cluster.Workers(client, pure=False)
        workers = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    said = ["run", options.name, "--preset", options.preset]
    said += ["--workers", str(workers)]
    said += [word for pair in options.only for word in ("--only", pair)]
    try:
        outcome = Runner(
            experiment,
            options.preset,
            workers=workers,
            threads=threads,
            folder=options.folder,
            command=f"python -m utils.experiments {shlex.join(said)}",
            only=only,
            limit=options.limit,
            minutes=options.minutes,
            executor=executor,
        ).run()
    except KeyboardInterrupt:
        print("\nstopped; finished cells are recorded, and the same command goes on", flush=True)
        return 130
    finally:
        if client is not None:
            client.close()
    parts = [f"{outcome.recorded} recorded now", f"{outcome.already} already there"]
    parts += [f"{outcome.elsewhere} at work in another command"] if outcome.elsewhere else []
    parts += [f"{outcome.postponed} left for the next call (--minutes)"] if outcome.postponed else []
    parts += [f"{len(outcome.failures)} FAILED"] if outcome.failures else []
    print(f"{options.name} ({options.preset}): {', '.join(parts)}")
    for sentence in outcome.failures:
        print(f"  - {sentence}")
    return 0 if outcome.ok else 1


def _status(options: argparse.Namespace) -> int:
    for name in NAMES:
        experiment = find(name)
        rows = results.read(results.path_of(name, options.folder))
        there = {row.get("cell") for row in rows}
        parts = []
        for preset in PRESETS:
            cells = experiment.cells(preset)
            owner = find(experiment.rates_from) if experiment.rates_from else experiment
            mine = results.read(results.path_of(owner.name, options.folder))
            found = rates(results.select(mine, preset=preset), owner.tuned_by) if owner.tuning else {}
            ready, _ = with_rates(cells, found, owner.tuned_by)
            done = sum(cell_id(cell) in there for cell in ready)
            parts.append(f"{preset} {done}/{len(cells)}")
        hours = sum(row.get("seconds") or 0 for row in rows) / 3600
        older = len(results.load(name, options.folder)) - len(rows)
        note = f", {older} rows of an older command" if older else ""
        print(f"{name:14} {', '.join(parts)}; {len(rows)} rows, {hours:.2f} process hours{note}")
    return 0


def _record(options: argparse.Namespace) -> int:
    """Markdown lines for the README of the results: which command made which rows, on what, in how long."""
    print(
        "| file | rows | command | machine | process minutes | day |\n| --- | --- | --- | --- | --- | --- |"
    )
    for path in sorted(options.folder.glob("*.jsonl")):
        parts: dict[tuple[str, str], list[dict]] = {}
        for row in results.read(path):
            parts.setdefault((row["command"], row["machine"]), []).append(row)
        for (made, machine), rows in parts.items():
            minutes = sum(row["seconds"] for row in rows) / 60
            days = sorted({(row.get("finished") or row.get("date") or "")[:10] for row in rows})
            print(
                f"| `{path.name}` | {len(rows)} | `{made}` | {machine} | {minutes:.1f} | {', '.join(days)} |"
            )
    return 0


def _plot(options: argparse.Namespace) -> int:
    from utils.experiments.figures import figures_of

    options.out.mkdir(parents=True, exist_ok=True)
    made = figures_of(options.name, options.preset, options.folder)
    if not made:
        print(f"nothing is recorded of {options.name} with preset {options.preset}")
        return 1
    for name, (figure, alt) in made.items():
        path = options.out / f"{options.name}-{name}.png"
        figure.savefig(path, dpi=120)
        print(f"{path}: {alt}")
    return 0


def _models(options: argparse.Namespace) -> int:
    from utils.cost.macs import profile
    from utils.experiments.models import MODELS, build

    for preset in PRESETS:
        for name, spec in MODELS[preset].items():
            model, source = build(spec, 10, name=name)
            print(f"{preset:6} {name:30} {profile(model, (1, 3, 32, 32))}  {source}")
    return 0


def _throughput(options: argparse.Namespace) -> int:
    from utils.experiments.speed import main

    return main(options.preset, options.models, options.batch, options.steps)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, or 1 if a cell failed."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("list", help="what is declared")
    command.add_argument("--predictions", action="store_true", help="with what was expected")
    command.set_defaults(run=_list)
    command = commands.add_parser("run", help="compute and record the cells that are not recorded yet")
    command.add_argument("name", help=f"{', '.join(NAMES)}, or module:attribute")
    command.add_argument("--preset", choices=PRESETS, required=True)
    command.add_argument(
        "--workers",
        type=int,
        help="processes; 0 = in this one; default: one per core, or three that share a GPU",
    )
    command.add_argument("--threads", type=int, default=1, help="torch threads of each process")
    command.add_argument(
        "--only", action="append", default=[], metavar="COLUMN=A|B", help="part of the grid; repeatable"
    )
    command.add_argument("--limit", type=int, help="at most so many cells")
    command.add_argument("--minutes", type=float, help="start no cell that would end later than this")
    command.add_argument("--scheduler", help="a Dask scheduler's address, or 'local'")
    command.add_argument("--folder", type=Path, default=results.RESULTS, help="of the results")
    command.set_defaults(run=_run)
    command = commands.add_parser("status", help="how many cells are recorded")
    command.add_argument("--folder", type=Path, default=results.RESULTS)
    command.set_defaults(run=_status)
    command = commands.add_parser("record", help="a Markdown table of what is recorded and how it was made")
    command.add_argument("--folder", type=Path, default=results.RESULTS)
    command.set_defaults(run=_record)
    command = commands.add_parser("plot", help="figures of what is recorded, as PNG")
    command.add_argument("name", choices=NAMES)
    command.add_argument("--preset", choices=PRESETS, default="cpu")
    command.add_argument("--folder", type=Path, default=results.RESULTS)
    command.add_argument("--out", type=Path, default=Path("figures"))
    command.set_defaults(run=_plot)
    command = commands.add_parser("models", help="parameters and multiply-adds of every model")
    command.set_defaults(run=_models)
    command = commands.add_parser("throughput", help="training speed in images per second")
    command.add_argument("--preset", choices=PRESETS, default="gpu")
    command.add_argument("--models", nargs="+", default=["CNN", "ViT"])
    command.add_argument("--batch", type=int, default=256)
    command.add_argument("--steps", type=int, default=50)
    command.set_defaults(run=_throughput)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, LookupError) as error:
        print(f"error: {error.args[0] if error.args else error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
