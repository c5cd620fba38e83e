"""Runs the submissions through the whole grader, one by one, and looks at what changed outside their sandboxes."""

from __future__ import annotations

import hashlib
import html
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from utils.authoring.attacks import ALL
from utils.authoring.attacks.kinds import KEPT
from utils.authoring.attacks.names import leaves
from utils.authoring.attacks.scene import (
    FULL,
    NOTEBOOK,
    ONE_LOST,
    TARGET,
    ZERO,
    Attack,
    Scene,
    answers,
    solved,
)
from utils.checks.registry import exercises_of
from utils.grading import run
from utils.grading.isolation import Limits, probe
from utils.grading.records import write_safely
from utils.paths import ROOT

LIMITS = Limits(memory=1024 * 2**20, seconds=60.0, check=3.0, cell=3.0, cpu=12.0)
SEED = 20250101


@dataclass
class Outcome:
    """What became of one attack.

    Args:
        attack: which.
        got: what it scored, in words.
        complaints: everything that is not as it must be; empty if the grader stood.
        processes, files: left behind.
        seconds: for grading it and its neighbour.
    """

    attack: Attack
    got: str = ""
    complaints: list[str] = field(default_factory=list)
    processes: int = 0
    files: int = 0
    seconds: float = 0.0
    entry: dict[str, Any] = field(default_factory=dict)


def attempt(attack: Attack, base: Path, out: Path, workers: int = 1) -> Outcome:
    """Grades one attack between two honest neighbours with the whole grader.

    Args:
        attack: which.
        base: a fresh folder.
        out: the grader's folder, shared by all attacks.
        workers: of the grader.
    """
    base.mkdir(parents=True)
    scene = Scene(base, out, f"attacker {base.name}", f"mark-{os.getpid()}{time.monotonic_ns() % 10**9}")
    try:
        kept = solved(**{TARGET: f"{answers()[TARGET]}\n{TARGET}.kept = {KEPT!r}\n"})
        for neighbour in scene.neighbours:
            neighbour.parent.mkdir(parents=True)
            neighbour.write_text(json.dumps(kept), encoding="utf-8")
        attack.make(scene)
        return _graded(attack, scene, workers)
    finally:
        scene.doors.close()


def _graded(attack: Attack, scene: Scene, workers: int) -> Outcome:
    outcome = Outcome(attack)
    book = scene.out / "records.jsonl"
    before = _outside(scene)
    lines = book.read_bytes() if book.exists() else b""
    began = time.perf_counter()
    entries = run.run(scene.folder, scene.out, seed=SEED, workers=workers, limits=LIMITS, progress=False)
    outcome.seconds = time.perf_counter() - began
    mine = [entry for entry in entries if " neighbour " not in entry["student"]]
    others = [entry for entry in entries if " neighbour " in entry["student"]]
    complain = outcome.complaints.append
    if len(mine) != 1 or len(others) != 2:
        complain(f"{len(mine)} entries for it and {len(others)} for its neighbours")
        return outcome
    outcome.entry = mine[0]
    outcome.got = _score(attack, mine[0], complain)
    if {v["state"] for entry in others for v in entry["verdicts"]} != {"passed"}:
        complain("a neighbour lost points")
    if _outside(scene) != before:
        complain("files outside its sandbox changed")
    after = book.read_bytes()
    if not after.startswith(lines) or after.count(b"\n") != lines.count(b"\n") + 3:
        complain("the gradebook holds something else than one more line for each")
    if _knocked(scene):
        complain("it reached the network")
    outcome.processes, outcome.files = left_behind(scene.token), len(leaves(scene))
    if outcome.processes or outcome.files:
        complain(f"left behind: {outcome.processes} processes, {outcome.files} files")
    return outcome


def _score(attack: Attack, entry: dict[str, Any], complain) -> str:  # noqa: ANN001
    """Says what an entry scored, and complains if that is not what it must be."""
    verdicts = {v["exercise"]: v for v in entry["verdicts"]}
    order = [exercise.name for exercise in exercises_of(NOTEBOOK)]
    got = sum(v["points"] for v in verdicts.values())
    possible = sum(exercise.points for exercise in exercises_of(NOTEBOOK))
    if attack.expect == ZERO:
        if got or not entry["problem"]:
            complain(f"{got:g} points, reason: {entry['problem']!r}")
        return f"{got:g} of {possible}: {entry['problem']}"
    if attack.expect == FULL:
        if got != possible or entry["problem"]:
            wrong = [
                f"{name}: {v['sentence']} {v['said']}"
                for name, v in verdicts.items()
                if v["state"] != "passed"
            ]
            complain(f"{got:g} of {possible} points. {entry['problem']} {'; '.join(wrong)}")
        return f"{got:g} of {possible}"
    if not verdicts or verdicts[TARGET]["points"] != 0:
        complain(f"the wrong answer earned {verdicts.get(TARGET, {}).get('points', entry['problem'])}")
        return entry["problem"] or "points for a wrong answer"
    safe = order if attack.expect == ONE_LOST else order[: order.index(TARGET)]
    lost = [name for name in safe if name != TARGET and verdicts[name]["state"] != "passed"]
    if lost:
        complain(f"right answers lost points: {', '.join(lost)} ({verdicts[lost[0]]['sentence']})")
    return f"0 for it, {got:g} of {possible}"


def _outside(scene: Scene) -> dict[str, tuple[Any, ...]]:
    """Content, mode and owner of everything that a submission must not change."""
    found = {}
    for path in (*scene.neighbours, ROOT / "solutions" / "attention.py", ROOT / "solutions"):
        state = path.stat()
        content = (hashlib.sha256(path.read_bytes()).hexdigest(), state.st_mtime_ns) if path.is_file() else ()
        found[str(path)] = (*content, state.st_mode, state.st_uid, state.st_nlink, tuple(os.listxattr(path)))
    return found


def _knocked(scene: Scene) -> bool:
    scene.listener.setblocking(False)
    try:
        scene.listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def left_behind(token: str = "", seconds: float = 5.0) -> int:
    """`leftover_processes`, once the kernel has taken down what was killed: at most so many seconds after the last verdict."""
    until = time.monotonic() + seconds
    while (count := leftover_processes(token)) and time.monotonic() < until:
        time.sleep(0.02)
    return count


def leftover_processes(token: str = "") -> int:
    """Processes of this grader's sandboxes beside its zygotes and their mothers, whatever became of their parents; and any that carries the token."""
    parents, others = {}, 0
    for process in psutil.process_iter(["cmdline", "ppid"]):
        command = process.info["cmdline"] or []
        if "utils.grading.zygote" in command and command[-1] == str(os.getpid()):
            parents[process.pid] = process.info["ppid"]
        else:
            others += bool(token and any(token.removeprefix("mark-") in word for word in command))
    mothers = {pid for pid, parent in parents.items() if parent == os.getpid()}
    return others + sum(pid not in mothers and parent not in mothers for pid, parent in parents.items())


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
        f"Written by `{command}` on {describe_machine()}. {probe().sentence()} Each submission was graded between two honest neighbours; afterwards "
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


def main(names: list[str], page: str = "", workers: tuple[int, ...] = (1,), rounds: int = 1) -> int:
    """Runs all attacks, or those whose group or name contains one of `names`; prints the table, and writes it as a page.

    Args:
        names: words.
        page: where to write it.
        workers: numbers of workers, each tried with every attack.
        rounds: how often all of that is done. An attack's row holds the complaints of all.
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
        every = [(attack, count) for _ in range(rounds) for count in workers for attack in chosen]
        for number, (attack, count) in enumerate(tqdm(every, unit="attack")):
            found = attempt(attack, base / f"a{number}", base / "out", count)
            for complaint in found.complaints:
                tqdm.write(f"{attack.name}, {count} workers: {complaint}")
            if attack.name in outcomes:
                found.complaints = outcomes[attack.name].complaints + found.complaints
                found.seconds += outcomes[attack.name].seconds
            outcomes[attack.name] = found
    print(text([*outcomes.values()]))
    if page:
        counts = " ".join(map(str, workers))
        command = f"python -m utils.authoring attacks --workers {counts} --rounds {rounds} --page {page}"
        write_safely(Path(page), markdown([*outcomes.values()], command))
    return 0 if not any(one.complaints for one in outcomes.values()) else 1
