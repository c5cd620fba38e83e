"""Declared experiments: list them, run them, see how far they are, plot, judge and audit them.

python -m utils.experiments list --predictions
python -m utils.experiments run data-scaling --preset cpu --workers 2
python -m utils.experiments run data-scaling --preset gpu                 # the same grid, larger; resumes where it stopped
python -m utils.experiments run crossing data-scaling --preset t4         # a small version of both, in half an hour on Colab's GPU
python -m utils.experiments status
python -m utils.experiments plot data-scaling --preset cpu --out figures
python -m utils.experiments judge data-scaling --preset cpu               # which predictions held
python -m utils.experiments audit                                         # whether the recorded rows are what they say
python -m utils.experiments checkpoint --help                             # trains the small ViT that ships with the course
python -m utils.experiments models
python -m utils.experiments throughput
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from utils.budget import T4_STEP, usable_cores
from utils.experiments import results
from utils.experiments.declare import PRESETS, Experiment, find, names
from utils.storage import try_folder
from utils.training.precision import NAMES as PRECISIONS

SEEDS_AT_ONCE = 3  # processes that share one GPU: one small model alone does not fill it


def whole(least: int) -> Callable[[str], int]:
    """An argument's type: a whole number of at least `least`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")
        return value

    return read


def minutes(text: str) -> float:
    """An argument's type: a number of minutes."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes (0 or more)")
    return value


def condition(text: str) -> tuple[str, list[str]]:
    """An argument's type: COLUMN=A|B."""
    column, equals, values = text.partition("=")
    if not (column and equals and values):
        raise argparse.ArgumentTypeError(f"{text!r} should be COLUMN=VALUE or COLUMN=VALUE|VALUE")
    return column, values.split("|")


def _list(options: argparse.Namespace) -> int:
    for name in names():
        experiment = find(name)
        counts = ", ".join(f"{preset} {len(experiment.main_cells(preset))}" for preset in experiment.presets)
        print(f"{name}\n  {experiment.question}\n  cells: {counts}")
        if options.predictions:
            print(
                "  predicted before the first run:", *(f"\n  - {p}" for p in experiment.predictions), sep=""
            )
    return 0


def _preset(name: str, preset: str) -> Experiment:
    """An experiment that has a preset.

    Raises:
        ValueError: there is no such experiment, or it has no such preset.
    """
    experiment = find(name)
    if preset not in experiment.presets:
        raise ValueError(f"{name} has no preset {preset!r}; it has {', '.join(experiment.presets)}")
    return experiment


def _stop(number, frame) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _run(options: argparse.Namespace) -> int:
    experiments = [_preset(name, options.preset) for name in options.names]
    workers = options.workers
    if workers is None:
        import torch

        workers = min(SEEDS_AT_ONCE, usable_cores()) if torch.cuda.is_available() else usable_cores()
    if options.preset == "t4":
        _say_minutes(experiments)
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
    before = {which: signal.signal(which, _stop) for which in (signal.SIGTERM, getattr(signal, "SIGHUP", 15))}
    try:
        named = zip(options.names, experiments, strict=True)
        return max([_run_one(name, experiment, options, workers, executor) for name, experiment in named])
    except KeyboardInterrupt:
        return 130
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        if client is not None:
            client.close()


def _say_minutes(experiments: Sequence[Experiment]) -> None:
    """What the preset t4 will take there, before it starts; models that are not in this copy of the course will take nothing."""
    from utils.experiments.workload import here, loads, minutes_on_a_t4

    grids = {experiment.name: loads(experiment, "t4") for experiment in experiments}
    missing = dict.fromkeys(one.cell["model"] for grid in grids.values() for one in grid if not here(one))
    found = {name: minutes_on_a_t4(filter(here, grid)) for name, grid in grids.items()}
    parts = ", ".join(f"{name} {value:.0f} min" for name, value in found.items())
    total = f"; together {sum(found.values()):.0f} min" if len(found) > 1 else ""
    if missing:
        total += f", without {', '.join(missing)}, which this copy of the course does not have"
    print(
        f"On a free T4: {parts}{total} (estimated from multiply-adds at 20% of its 65 TFLOP/s, "
        f"{1000 * T4_STEP:g} ms a step at least; not measured there)",
        flush=True,
    )


def _run_one(
    name: str, experiment: Experiment, options: argparse.Namespace, workers: int, executor: Any
) -> int:
    """One experiment of the command; its exit code.

    Raises:
        KeyboardInterrupt: it was stopped, and what was kept has been said.
    """
    from utils.experiments.precision_choice import Choice, choose
    from utils.experiments.runner import Outcome, Runner
    from utils.training.precision import precision_for

    said = ["run", name, "--preset", options.preset, "--workers", str(workers)]
    for option in ("device", "precision"):
        said += [f"--{option}", getattr(options, option)] if getattr(options, option) else []
    said += [word for column, values in options.only for word in ("--only", f"{column}={'|'.join(values)}")]
    outcome = Outcome()
    try:
        if options.precision:
            choice = Choice(precision_for(options.device, options.precision), {})
        else:
            try_folder(options.folder)
            choice = choose(experiment, options.preset, options.folder, device=options.device)
        runner = Runner(
            experiment,
            options.preset,
            workers=workers,
            threads=options.threads,
            folder=options.folder,
            command=f"python -m utils.experiments {shlex.join(said)}",
            only=dict(options.only),
            limit=options.limit,
            minutes=options.minutes,
            device=options.device,
            precision=choice.precision.name,
            measured=choice.measured,
            executor=executor,
        )
        print(choice, flush=True)
        outcome = runner.outcome
        runner.run()
    except KeyboardInterrupt as error:
        why = f" by {error}" if str(error) else ""
        print(f"\nstopped{why}: {outcome.recorded} recorded by this command; the same command goes on")
        for sentence in outcome.failures:
            print(f"  - {sentence}")
        raise
    parts = [f"{outcome.recorded} recorded now", f"{outcome.already} already there"]
    parts += [f"{outcome.elsewhere} at work in another command"] if outcome.elsewhere else []
    parts += [f"{outcome.postponed} left for the next call (--minutes)"] if outcome.postponed else []
    parts += [f"{outcome.waiting} waiting for a learning rate"] if outcome.waiting else []
    parts += [f"{len(outcome.failures)} FAILED"] if outcome.failures else []
    print(f"{name} ({options.preset}): {', '.join(parts)}")
    for sentence in outcome.failures:
        print(f"  - {sentence}")
    return 0 if outcome.ok else 1


def _status(options: argparse.Namespace) -> int:
    from utils.experiments.audit import Grid

    for name in names():
        experiment = find(name)
        rows = results.read(results.path_of(name, options.folder))
        grid = Grid(experiment, [])
        places = {preset: grid.places(preset, rows) for preset in experiment.presets}
        parts = [f"{preset} {done}/{of}" for preset, (done, of) in places.items()]
        hours = sum(row.get("seconds") or 0 for row in rows) / 3600
        print(f"{name:14} {', '.join(parts)}; {len(rows)} rows, {hours:.2f} process hours")
    return 0


def _record(options: argparse.Namespace) -> int:
    """Markdown lines for the README of the results: which command made which rows, on what, in how long."""
    print(
        "| file | rows | command | machine | process minutes | day |\n| --- | --- | --- | --- | --- | --- |"
    )
    for path in sorted(options.folder.glob("*.jsonl")):
        parts: dict[tuple[str, str], list[dict]] = {}
        for row in results.read(path):
            parts.setdefault((str(row.get("command")), str(row.get("machine"))), []).append(row)
        for (made, machine), rows in parts.items():
            spent = sum(row.get("seconds") or 0 for row in rows) / 60
            days = sorted({str(row.get("finished"))[:10] for row in rows})
            print(f"| `{path.name}` | {len(rows)} | `{made}` | {machine} | {spent:.1f} | {', '.join(days)} |")
    return 0


def _audit(options: argparse.Namespace) -> int:
    from utils.experiments.audit import audit

    reports = audit(options.folder, options.names)
    for report in reports:
        print(report)
    return 1 if any(report.findings for report in reports) else 0


def _plot(options: argparse.Namespace) -> int:
    from utils.experiments.figures import figures_of

    _preset(options.name, options.preset)
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


def _judge(options: argparse.Namespace) -> int:
    from utils.experiments.verdicts import judge

    experiment = _preset(options.name, options.preset)
    rows = results.load(experiment.name, options.folder, stage="main", preset=options.preset)
    verdicts = judge(experiment, rows)
    for verdict in verdicts:
        print(verdict)
    states = [verdict.outcome for verdict in verdicts]
    print(", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m utils.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable, text: str, *, folder: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if folder:
            command.add_argument("--folder", type=Path, default=results.RESULTS, help="of the results")
        return command

    command = add("list", _list, "what is declared", folder=False)
    command.add_argument("--predictions", action="store_true", help="with what was expected")
    command = add("run", _run, "compute and record the cells that are not recorded yet")
    command.add_argument(
        "names",
        nargs="+",
        metavar="NAME",
        help=f"{', '.join(names())}, or module:attribute; several in a row",
    )
    command.add_argument(
        "--preset", required=True, help=f"{', '.join(PRESETS)}, or another of the experiment"
    )
    command.add_argument(
        "--workers",
        type=whole(0),
        help="processes; 0 = in this one; default: one per core; on a GPU three that share it, where there are so many cores",
    )
    command.add_argument("--threads", type=whole(1), default=1, help="torch threads of each process")
    command.add_argument(
        "--only",
        action="append",
        default=[],
        type=condition,
        metavar="COLUMN=A|B",
        help="part of the grid, with the tuning that it needs; repeatable",
    )
    command.add_argument("--limit", type=whole(0), help="at most so many cells")
    command.add_argument("--minutes", type=minutes, help="start no cell that would end later than this")
    command.add_argument(
        "--device", choices=("cpu", "cuda", "mps"), help="part of a row's identity; default: the best here"
    )
    command.add_argument(
        "--precision",
        choices=tuple(PRECISIONS),
        help="part of a row's identity; default: that of the recorded rows, else on a CPU what is faster for this grid by a "
        "measurement at the start, on a GPU what it has in hardware",
    )
    command.add_argument("--scheduler", help="a Dask scheduler's address, or 'local'")
    add("status", _status, "how many places of each grid are recorded")
    add("record", _record, "a Markdown table of what is recorded and how it was made")
    command = add("audit", _audit, "whether recorded rows are whole, unique, declared, and rightly tuned")
    command.add_argument("names", nargs="*", help="experiments; default: every file of the folder")
    command = add("plot", _plot, "figures of what is recorded, as PNG")
    command.add_argument("name", help=", ".join(names()))
    command.add_argument("--preset", default="cpu")
    command.add_argument("--out", type=Path, default=Path("figures"))
    command = add("judge", _judge, "predicted against seen: which predictions held")
    command.add_argument("name", help=", ".join(names()))
    command.add_argument("--preset", default="cpu")
    commands.add_parser("checkpoint", help="train the small ViT that ships with the course", add_help=False)
    add("models", _models, "parameters and multiply-adds of every model", folder=False)
    command = add("throughput", _throughput, "training speed in images per second", folder=False)
    command.add_argument("--preset", choices=PRESETS, default="gpu")
    command.add_argument("--models", nargs="+", default=["CNN", "ViT"])
    command.add_argument("--batch", type=whole(1), default=256)
    command.add_argument("--steps", type=whole(1), default=50)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 1 if a cell failed or an audit found something, 2 if a command makes no sense."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments[:1] == ["checkpoint"]:
            from utils.experiments import checkpoint

            return checkpoint.main(arguments[1:])
        options = parser().parse_args(arguments)
        return options.run(options)
    except (ValueError, LookupError, OSError) as error:
        print(f"error: {error.args[0] if len(error.args) == 1 else error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
