"""Command line of the benchmarks.

python -m utils.authoring.bench [SUITE ...] [--rounds 15] [--seconds 8]  [--out FILE]   ratios, recorded in `data/results/bench.json`
python -m utils.authoring.bench parity                                                  outputs and gradients against the libraries
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import pkgutil
import sys
import time
from pathlib import Path

import torch

from utils.authoring.bench import checks, parity, race, suites
from utils.authoring.bench.checks import ROOT
from utils.budget import describe_machine

FILE = ROOT / "data" / "results" / "bench.json"
SUITES = [info.name for info in pkgutil.iter_modules(suites.__path__)]


def main() -> int:
    known = [*SUITES, "checks", "parity"]
    parser = argparse.ArgumentParser(
        prog="python -m utils.authoring.bench", description="Compares the reference models with their peers."
    )
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(known)}; default all but parity")
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds per contest, at most")
    parser.add_argument(
        "--seconds", type=float, default=8, help=f"per contest; at least {race.FEWEST} rounds all the same"
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: computing time in one thread, which ranks the sides on a busy machine too",
    )
    parser.add_argument("--out", type=Path, default=FILE, help="JSON file that the results are added to")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(known):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    if options.clock == "cpu":
        torch.set_num_threads(1)

    print(describe_machine())
    for name in options.suites or known[:-1]:
        if name == "parity":
            found = list(parity.rows())
            print(parity.table(found))
            if any(max(row.output, row.gradient) > parity.TOLERANCE for row in found):
                return 1
            continue
        rows = _checks() if name == "checks" else _suite(name, options)
        results = json.loads(options.out.read_text()) if options.out.exists() else {}
        results[name] = {
            "command": f"python -m utils.authoring.bench {name} --rounds {options.rounds} --seconds {options.seconds:g}"
            + (" --clock cpu" if options.clock == "cpu" else ""),
            "machine": describe_machine(),
            "date": datetime.date.today().isoformat(),
            "rows": rows,
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def _suite(name: str, options: argparse.Namespace) -> list[dict[str, object]]:
    """Runs a suite and prints every contest as soon as it is over."""
    clock = time.process_time if options.clock == "cpu" else time.perf_counter
    rows = []
    for contest in importlib.import_module(f"utils.authoring.bench.suites.{name}").contests():
        outcome = race.run(contest, options.rounds, 1, options.seconds, clock)
        print(race.table([outcome]), flush=True)
        rows.append(outcome.record())
    return rows


def _checks() -> list[dict[str, object]]:
    taken = sorted(checks.check_seconds().values())
    late = taken[min(len(taken) - 1, int(0.95 * len(taken)))]
    start = checks.start_seconds()
    print(
        f"a check answers in {late * 1000:.0f} ms (95th percentile of {len(taken)} exercises; target 500 ms)"
    )
    print(f"import utils and a first check take {start:.2f} s beyond import torch (target 1 s)")
    return [
        {"name": "check, 95th percentile", "seconds": round(late, 4), "exercises": len(taken), "target": 0.5},
        {
            "name": "import utils and first check beyond import torch",
            "seconds": round(start, 3),
            "target": 1.0,
        },
    ]


if __name__ == "__main__":
    sys.exit(main())
