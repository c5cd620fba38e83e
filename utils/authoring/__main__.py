"""Command line for authors: `python -m utils.authoring --help` lists the commands."""

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
        if name == "build":
            command.add_argument(
                "--language", default="", help='also the solved notebooks in it, such as "ko"'
            )
        if name == "solve":
            command.add_argument("--budget", default="cpu", choices=("smoke", "cpu", "gpu"))
            command.add_argument("--all", action="store_true", help="also those whose outputs are up to date")
    command = commands.add_parser("report", help="kill, diagnosis and false-reject rate per exercise")
    command.add_argument("--exercise", nargs="*", help="only these exercises")
    command.add_argument("--notebook", default="", help='only this notebook, such as "01"')
    command.add_argument("--verbose", action="store_true", help="every complaint, not the first six")
    command.add_argument(
        "--seeds", type=int, default=0, help="try right answers on so many hidden seeds more"
    )
    command.add_argument(
        "--threads", type=int, nargs="*", default=(), help="try right answers with these numbers, as 1 2"
    )
    command.add_argument(
        "--other-dtype", action="store_true", help="and with float64 for float32, and the other way round"
    )
    command = commands.add_parser("messages", help="everything that a check can say, as one page")
    command.add_argument("--exercise", nargs="*", help="only these exercises")
    command.add_argument("--notebook", default="", help='only this notebook, such as "01"')
    command.add_argument("--page", default="", help="write it to this Markdown file instead")
    command = commands.add_parser("mutants", help="which small changes of the answers pass their checks?")
    command.add_argument("--exercise", nargs="*", help="only these exercises")
    command.add_argument("--notebook", default="", help='only this notebook, such as "01"')
    command.add_argument("--page", default="", help="write the table to this Markdown file, too")
    command = commands.add_parser("blind", help="answers that somebody wrote from the notebook alone")
    command.add_argument("folder", help="with a file per exercise; CONTRIBUTING.md says how it is laid out")
    command.add_argument("--exercise", nargs="*", help="only these exercises")
    command.add_argument("--page", default="", help="write it to this Markdown file instead")
    command = commands.add_parser(
        "sessions", help="do right answers pass whatever a notebook has switched on?"
    )
    command.add_argument("--exercise", nargs="*", help="only these exercises")
    command.add_argument("--notebook", default="", help='only this notebook, such as "01"')
    command = commands.add_parser("attacks", help="table of hostile and broken submissions: expected, got")
    command.add_argument("names", nargs="*", help="only these")
    command.add_argument("--page", default="", help="write the table to this Markdown file, too")
    command.add_argument("--workers", nargs="*", type=int, default=[1], help="try each with so many workers")
    command.add_argument("--rounds", type=int, default=1, help="do all of it so often")
    command = commands.add_parser("agreement", help="do both graders agree on every honest answer?")
    command.add_argument("--every", type=int, default=1, help="every N-th answer of the banks only")
    command = commands.add_parser("nbgrader", help="a course folder for nbgrader: sources, configuration")
    command.add_argument("out")
    command.add_argument("--notebook", nargs="*", help="only these notebooks")
    commands.add_parser(
        "claims", help="writes docs/claims.md; says which numbers in the text are not those of the outputs"
    )
    options = parser.parse_args()
    run = {
        "build": _build,
        "solve": _solve,
        "stale": _stale,
        "report": _report,
        "messages": _messages,
        "mutants": _mutants,
        "blind": _blind,
        "sessions": _sessions,
        "attacks": _attacks,
        "agreement": _agreement,
        "nbgrader": _nbgrader,
        "claims": _claims,
    }
    return run[options.command](options)


def _nbgrader(options: argparse.Namespace) -> int:
    from pathlib import Path

    from utils.authoring import nbgrader

    try:
        sources = nbgrader.write(Path(options.out), options.notebook)
    except FileExistsError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        f"wrote {len(sources)} assignments to {options.out}; next, in it: nbgrader generate_assignment {sources[0].stem}"
    )
    return 0


def _claims(options: argparse.Namespace) -> int:
    from utils.authoring import build, claims

    claims.PAGE.write_text(claims.page(), encoding="utf-8")
    said = [line for name in build.source_names() for line in claims.problems(name)]
    print("\n".join(said) or "Every claim is carried.")
    return 1 if said else 0


def _build(options: argparse.Namespace) -> int:
    from utils.authoring import build, expected
    from utils.authoring.languages import edition
    from utils.grading import answers
    from utils.words import languages

    written = [build.fixtures.order_path()] if build.write_order() else []
    broken: list[str] = []
    for exercise in answers.select(notebook=options.notebook):
        bank = answers.bank(exercise)
        if not bank.wrongs:
            print(
                f"warning: {exercise.name} has no wrong answers in solutions/mistakes/{exercise.stem}.py yet"
            )
        if misfits := bank.broken(answers.reference(exercise)):
            broken += misfits
        else:
            written += expected.write(exercise)
    for name in build.source_names(options.notebook):
        written += build.write(name)
        for language in languages()[1:]:
            written += edition.write(name, language)
        if options.language:
            written += edition.write(name, options.language, solved=True)
    for path in written:
        print(f"wrote {path.relative_to(build.ROOT)}")
    for line in broken:
        print(f"the bank does not fit the answer: {line}", file=sys.stderr)
    return 1 if broken else 0


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
    from utils.authoring import build, expected
    from utils.authoring.languages import edition

    names = build.source_names(options.notebook)
    said = [line for name in names for line in [*build.stale(name), *edition.stale(name)]]
    said += [] if options.notebook else expected.stale_sentences()
    print("\n".join(said) or "All built notebooks are up to date.")
    return 1 if said else 0


def _report(options: argparse.Namespace) -> int:
    import torch

    from utils.authoring import report

    torch.set_num_threads(1)
    return report.main(
        options.exercise,
        options.notebook,
        options.verbose,
        options.seeds,
        options.threads,
        options.other_dtype,
    )


def _messages(options: argparse.Namespace) -> int:
    import torch

    from utils.authoring import messages

    torch.set_num_threads(1)
    return messages.main(options.exercise, options.notebook, options.page)


def _mutants(options: argparse.Namespace) -> int:
    import torch

    from utils.authoring.mutation import measure

    torch.set_num_threads(1)
    return measure.main(options.exercise, options.notebook, options.page)


def _blind(options: argparse.Namespace) -> int:
    import torch

    from utils.authoring import blind

    torch.set_num_threads(1)
    return blind.main(options.folder, options.exercise, options.page)


def _sessions(options: argparse.Namespace) -> int:
    from utils.authoring import sessions

    return sessions.main(options.exercise, options.notebook)


def _attacks(options: argparse.Namespace) -> int:
    from utils.authoring.attacks import table

    return table.main(options.names, options.page, tuple(options.workers), options.rounds)


def _agreement(options: argparse.Namespace) -> int:
    from utils.authoring import agreement

    return agreement.main(options.every)


if __name__ == "__main__":
    sys.exit(main())
