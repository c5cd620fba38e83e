"""From recorded entries to everything that goes out: marks, policy, changes by hand and roster are put on, then the reports are written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from utils.grading import likeness, marks, policy, reports, roster
from utils.grading.policy import Policy
from utils.grading.records import write_safely

KEPT = {"policy": "grading.toml", "roster": "roster.csv", "columns": "columns.json"}
PICKED = "picked.toml"  # the policy by which `grade` last chose the attempts that it graded


def keep(out: Path, given: dict[str, Path | None], columns: list[str]) -> tuple[Policy, dict[str, str]]:
    """Copies what holds for this class into `out`, where later commands find it, and reads it.

    Args:
        out: the run's folder.
        given: "policy" and "roster" -> file, or None: what `out` has from an earlier run.
        columns: `--canvas-column`, "Homework 1 (12345)" or "01=Homework 1 (12345)".

    Raises:
        BadPolicy, ValueError: in words.
        FileNotFoundError: a file is not there.
    """
    out.mkdir(parents=True, exist_ok=True)
    for kind, path in given.items():
        if path is None:
            continue
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist")
        _ = policy.read(path) if kind == "policy" else roster.read(path)  # nothing unreadable is kept
        if path.resolve() != (out / KEPT[kind]).resolve():
            shutil.copyfile(path, out / KEPT[kind])
    held = out / KEPT["policy"]
    if columns:
        write_safely(out / KEPT["columns"], json.dumps(_titles(columns), ensure_ascii=False))
    titles = out / KEPT["columns"]
    return policy.read(held) if held.exists() else Policy(), json.loads(
        titles.read_text(encoding="utf-8")
    ) if titles.exists() else {}


def note_picks(out: Path) -> None:
    """After grading: which policy chose the attempts."""
    held = out / KEPT["policy"]
    write_safely(out / PICKED, held.read_text(encoding="utf-8-sig") if held.exists() else "")


def other_picks(out: Path, rules: Policy) -> list[str]:
    """Whether a policy may let other attempts count than were graded, in words: deadlines and extensions decide which one is on time."""
    path = out / PICKED
    if not path.exists() or policy.picks_alike(policy.read(path), rules):
        return []
    return [
        "by this policy other attempts may count than those that were graded: run `grade` again, which grades only these"
    ]


def _titles(columns: list[str]) -> dict[str, str]:
    found = {}
    for text in columns:
        name, mark, title = text.partition("=")
        short = mark and name.strip()[:2].isdigit()
        found[policy._notebook(name.strip()) if short else ""] = title.strip() if short else text
    return found


def finish(
    entries: list[dict[str, Any]], out: Path, rules: Policy, columns: dict[str, str], here: str
) -> tuple[list[Path], list[str]]:
    """Writes all reports.

    Args:
        entries: as recorded.
        out: the run's folder.
        rules: the policy.
        columns: notebook -> Canvas' title; "" stands for the only notebook.
        here: this host's isolation, in words.

    Returns:
        the files written, and what an instructor should know, in words.
    """
    said = marks.merge(entries, out / "written")
    counted = policy.apply(entries, rules)
    people = roster.read(out / KEPT["roster"]) if (out / KEPT["roster"]).exists() else []
    missing, strangers = roster.join(counted, people) if people else ([], [])
    said += roster.override(counted, out / "overrides.csv")
    said += policy.unmet(rules, counted)
    for entry in counted:
        entry[reports.pages.NOTES] = [*likeness.looks(entry)]
    titles = dict(columns)
    if only := titles.pop("", ""):
        names = sorted({entry["notebook"] for entry in counted if entry["notebook"]})
        if len(names) == 1:
            titles[names[0]] = only
        else:
            said.append(
                f"--canvas-column {only!r} names no notebook, and there are {len(names)}: write 01={only}"
            )
    arrived = out / "arrived.json"
    rows = json.loads(arrived.read_text(encoding="utf-8")) if arrived.exists() else []
    written = reports.write(
        counted,
        out,
        reports.isolation_of(counted, here),
        people=people,
        missing=missing,
        strangers=strangers,
        rows=rows,
        columns=titles,
        copies=likeness.pairs(counted),
    )
    return written, [*said, *reports.tables.warnings_of(titles, counted), *_waiting(counted)]


def _waiting(entries: list[dict[str, Any]]) -> list[str]:
    waiting: dict[str, int] = {}
    for entry in entries:
        if not entry["problem"] and reports.tables.unmarked(entry):
            waiting[entry["notebook"]] = waiting.get(entry["notebook"], 0) + 1
    return [
        f'{name}: {count} grades are blank until their written answers are marked (written/{name}-*.csv), or written = "leave out" in the policy'
        for name, count in waiting.items()
    ]
