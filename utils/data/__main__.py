"""`python -m utils.data mirror NAME ... --out DIR`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from utils.data.catalog import IMAGES, TEXTS
from utils.data.mirror import mirror
from utils.data.readers import Unavailable


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 if a data set could not be had."""
    parser = argparse.ArgumentParser(prog="python -m utils.data", description="The course's data sets.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("mirror", help="copy data sets into a folder that works without a network")
    command.add_argument("names", nargs="+", metavar="NAME", help=", ".join([*TEXTS, *IMAGES]))
    command.add_argument("--out", type=Path, required=True, help="the mirror's folder")
    options = parser.parse_args(arguments)
    try:
        sizes = mirror(options.names, options.out)
    except (ValueError, Unavailable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, size in sizes.items():
        print(f"{name}: {size / 1e6:.0f} MB, verified")
    print(f"To use it: export COURSE_DATA={options.out.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
