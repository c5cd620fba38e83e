"""Command line: `python -m utils.checks report`."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.checks",
        description="Measures the checks on the bank of wrong and right answers.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="kill, diagnosis and false-reject rate per exercise")
    report.add_argument("--exercise", nargs="*", help="only these exercises")
    report.add_argument("--notebook", default="", help='only this notebook, such as "01"')
    report.add_argument("--verbose", action="store_true", help="every complaint, not the first six")
    options = parser.parse_args()

    import torch

    from utils.checks.report import main as run

    torch.set_num_threads(1)
    return run(options.exercise, options.notebook, options.verbose)


if __name__ == "__main__":
    sys.exit(main())
