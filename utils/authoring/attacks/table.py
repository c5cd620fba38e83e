"""The attacks as a table: run from the command line, printed, and written as a page."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from utils.authoring.attacks import ALL
from utils.authoring.attacks.scene import Attack
from utils.authoring.attacks.trial import Outcome, together
from utils.grading.isolation import probe
from utils.grading.records import write_safely


def text(outcomes: list[Outcome]) -> str:
    """The table, with the isolation level and the machine it was measured on."""
    from utils.budget import describe_machine

    rows, group = [], ""
    for one in outcomes:
        if one.attack.group != group:
            group = one.attack.group
            rows.append(f"\n{group}\n{'-' * len(group)}")
        rows.append(
            f"{'ok ' if not one.complaints else 'NO '} {one.attack.name:<58} {one.attack.expect:<24} {one.got[:90]}"
        )
        rows += [f"      {complaint}" for complaint in one.complaints]
    stood = sum(not one.complaints for one in outcomes)
    rows += [
        "",
        f"{stood} of {len(outcomes)} as they must be; left behind: {_left(outcomes)}; "
        f"{sum(one.seconds for one in outcomes):.0f} s with two honest neighbours each.",
        probe().sentence(),
        f"Machine: {describe_machine()}",
    ]
    head = f"    {'attack':<58} {'must score':<24} got"
    return "\n".join([head, *rows])


def _left(outcomes: list[Outcome]) -> str:
    return f"{sum(one.processes for one in outcomes)} processes, {sum(one.files for one in outcomes)} files"


def markdown(outcomes: list[Outcome], command: str) -> str:
    """The same as a page: a summary by group, then every attack.

    Args:
        outcomes: of all attacks.
        command: how they were run.
    """
    from utils.budget import describe_machine

    def cell(value: object) -> str:
        return html.escape(str(value), quote=False).replace("|", "\\|").replace("\n", " ")

    groups = list(dict.fromkeys(one.attack.group for one in outcomes))
    stood = {g: [not one.complaints for one in outcomes if one.attack.group == g] for g in groups}
    rows = [
        "# Attacks: what each must score, and what it got",
        "",
        f"Written by `{command}` on {describe_machine()}. {probe().sentence()} Each submission was graded between two honest neighbours (some share them); afterwards "
        f"neighbours, answers and gradebook were as before. Left behind: {_left(outcomes)}.",
        "",
        "| group | attacks | as they must be |",
        "| --- | --- | --- |",
        *(f"| {g} | {len(found)} | {sum(found)} |" for g, found in stood.items()),
        f"| all | {len(outcomes)} | {sum(map(sum, stood.values()))} |",
    ]
    for g in groups:
        rows += ["", f"## {g[0].upper()}{g[1:]}", "", "| attack | must score | got |", "| --- | --- | --- |"]
        rows += [
            f"| {cell(one.attack.name)} | {cell(one.attack.expect)} | {cell(one.got[:90])}{' (**not as it must be**)' * bool(one.complaints)} |"
            for one in outcomes
            if one.attack.group == g
        ]
    return "\n".join(rows) + "\n"


def classes(attacks: Iterable[Attack]) -> dict[str, list[Attack]]:
    """What is graded as one class, under its first one's or its common name: a third of the time would go into each neighbour."""
    found: dict[str, list[Attack]] = {}
    for attack in attacks:
        found.setdefault(attack.together or attack.name, []).append(attack)
    return found


def _both(before: Outcome, now: Outcome) -> Outcome:
    """An attack's later round, with what the earlier ones have found and taken."""
    return replace(
        now,
        complaints=before.complaints + now.complaints,
        processes=before.processes + now.processes,
        files=before.files + now.files,
        seconds=before.seconds + now.seconds,
        memory=max(before.memory, now.memory),
    )


def main(names: list[str], page: str = "", workers: tuple[int, ...] = (1,), rounds: int = 1) -> int:
    """Runs all attacks, or those whose group or name contains one of `names`; prints the table, and writes it as a page.

    Args:
        names: words.
        page: where to write it.
        workers: numbers of workers, each tried with every attack.
        rounds: how often all of that is done. An attack's row holds the complaints of all, and all that was left behind.
    """
    if not probe().safe:
        print(f"{probe().sentence()} The attacks are not run without full isolation.")
        return 2
    chosen = [
        attack
        for attack in ALL
        if not names or any(name in f"{attack.group}: {attack.name}" for name in names)
    ]
    if not chosen:
        groups = ", ".join(dict.fromkeys(attack.group for attack in ALL))
        print(f"No attack's group or name contains {' or '.join(map(repr, names))}. Groups: {groups}.")
        return 2
    outcomes: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        base = Path(folder)
        every = [
            (group, count) for _ in range(rounds) for count in workers for group in classes(chosen).values()
        ]
        for number, (group, count) in enumerate(tqdm(every, unit="class")):
            for found in together(group, base / f"a{number}", base / "out", count):
                name = found.attack.name
                for complaint in found.complaints:
                    tqdm.write(f"{name}, {count} workers: {complaint}")
                outcomes[name] = _both(outcomes[name], found) if name in outcomes else found
    print(text([*outcomes.values()]))
    if page:
        counts = " ".join(map(str, workers))
        command = f"python -m utils.authoring attacks --workers {counts} --rounds {rounds} --page {page}"
        write_safely(Path(page), markdown([*outcomes.values()], command))
    return 0 if not any(one.complaints for one in outcomes.values()) else 1
