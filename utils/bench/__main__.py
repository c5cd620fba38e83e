"""Command line: `python -m utils.bench [SUITE ...] [--rounds 15]`. Prints ratios and writes `data/results/bench.json`."""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import pkgutil
import sys

from utils.bench import checks, race, suites
from utils.bench.checks import ROOT
from utils.budget import describe_machine

FILE = ROOT / "data" / "results" / "bench.json"


def main() -> int:
    known = [info.name for info in pkgutil.iter_modules(suites.__path__)] + ["checks"]
    parser = argparse.ArgumentParser(
        prog="python -m utils.bench", description="Times the reference models against their peers."
    )
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(known)}; default all")
    parser.add_argument("--rounds", type=int, default=15, help="counted rounds per contest")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(known):
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")

    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    print(describe_machine())
    for name in options.suites or known:
        if name == "checks":
            rows = _checks()
        else:
            outcomes = [
                race.run(contest, options.rounds)
                for contest in importlib.import_module(f"utils.bench.suites.{name}").contests()
            ]
            print(race.table(outcomes), flush=True)
            rows = [outcome.record() for outcome in outcomes]
        command = f"python -m utils.bench {name} --rounds {options.rounds}"
        results[name] = {
            "command": command,
            "machine": describe_machine(),
            "date": datetime.date.today().isoformat(),
            "rows": rows,
        }
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(json.dumps(results, indent=1) + "\n")
    return 0


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
