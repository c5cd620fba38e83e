"""Command line for authors: `python -m utils.authoring build | solve | stale`."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m utils.authoring", description="Builds, executes and examines the course's notebooks."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("build", "fixtures, student and solved notebooks"),
        ("solve", "execute solved notebooks"),
        ("stale", "what is not up to date"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--notebook", default="", help='only this notebook, such as "01"')
        if name == "solve":
            command.add_argument("--budget", default="cpu", choices=("smoke", "cpu", "gpu"))
            command.add_argument("--all", action="store_true", help="also those whose outputs are up to date")
    options = parser.parse_args()
    return {"build": _build, "solve": _solve, "stale": _stale}[options.command](options)


def _build(options: argparse.Namespace) -> int:
    from utils.authoring import answers, build, expected

    for exercise in answers.select(notebook=options.notebook):
        if expected.write(exercise):
            print(f"wrote the check data of {exercise.name}")
    for name in build.source_names(options.notebook):
        for path in build.write(name):
            print(f"wrote {path.relative_to(build.ROOT)}")
    return 0


def _solve(options: argparse.Namespace) -> int:
    from utils.authoring import build, solve

    for name in build.source_names(options.notebook):
        build.write(name)
        if not options.all and not build.stale(name):
            print(f"{name}: outputs are up to date")
            continue
        print(f"{name}: executing ...", flush=True)
        print(f"{name}: {solve.solve(name, options.budget):.0f} s")
    return 0


def _stale(options: argparse.Namespace) -> int:
    from utils.authoring import build

    said = [line for name in build.source_names(options.notebook) for line in build.stale(name)]
    print("\n".join(said) or "All built notebooks are up to date.")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
