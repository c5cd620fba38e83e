"""Grades hostile submissions with the whole grader, and looks at what changed outside their sandboxes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from utils.authoring.attacks.kinds import KEPT
from utils.authoring.attacks.names import leaves
from utils.authoring.attacks.scene import (
    FULL,
    LATE,
    NOTEBOOK,
    NOTHING,
    ONE_LOST,
    TARGET,
    ZERO,
    Attack,
    Entry,
    Scene,
    answers,
    solved,
)
from utils.checks.registry import exercises_of
from utils.grading import policy, run
from utils.grading.isolation import Limits
from utils.grading.reports import tables
from utils.paths import ROOT

LIMITS = Limits(memory=1024 * 2**20, seconds=60.0, check=3.0, cell=3.0, cpu=12.0)
SEED = 20250101
SECONDS = 30.0  # of the processor, that the grader's own process may need for a class; an honest notebook costs it 0.1


@dataclass
class Outcome:
    """What became of one attack.

    Args:
        attack: which.
        got: what it scored, in words.
        complaints: everything that is not as it must be; empty if the grader stood.
        processes, files: left behind.
        seconds: for grading it and its neighbours.
        memory: MiB that the grader's process had at most meanwhile.
        entry: of the gradebook, with the class's policy applied.
    """

    attack: Attack
    got: str = ""
    complaints: list[str] = field(default_factory=list)
    processes: int = 0
    files: int = 0
    seconds: float = 0.0
    memory: float = 0.0
    entry: Entry = field(default_factory=dict)


def together(attacks: list[Attack], base: Path, out: Path, workers: int = 1) -> list[Outcome]:
    """Grades attacks as one class, between two honest neighbours, with the whole grader. Their policy is that of the first.

    Args:
        attacks: which.
        base: a fresh folder.
        out: the grader's folder, shared by all attacks.
        workers: of the grader.
    """
    base.mkdir(parents=True)
    run.examiner(NOTEBOOK, SEED)  # what it needs once is no attack's
    scenes: list[Scene] = []
    with contextlib.ExitStack() as doors:
        for number, attack in enumerate(attacks):
            who = f"attacker {base.name}" + (f" {number}" if number else "")
            token = f"mark-{os.getpid()}{number}{time.monotonic_ns() % 10**9}"
            scene = Scene(base, out, who, token)
            doors.enter_context(scene.doors)
            if number == 0:
                _neighbours(scene)
            else:
                scene.neighbours, scene.honest = scenes[0].neighbours, scenes[0].honest
            scenes.append(scene)
            attack.make(scene)
        return _graded(attacks, scenes, workers)


def _neighbours(scene: Scene) -> None:
    kept = solved(**{TARGET: f"{answers()[TARGET]}\n{TARGET}.kept = {KEPT!r}\n"})
    kept["metadata"]["class"] = scene.base.name  # so that none has been graded before
    for neighbour in scene.neighbours:
        neighbour.parent.mkdir(parents=True)
        neighbour.write_text(json.dumps(kept), encoding="utf-8")


@dataclass
class Before:
    """What things were like before a class was graded, to be compared with afterwards.

    Args:
        scene: of the first attack.
    """

    scene: Scene

    def __post_init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of memory (man 5 proc)
        self.book = self.scene.out / "records.jsonl"
        self.lines = self.book.read_bytes() if self.book.exists() else b""
        self.outside = _outside(self.scene)
        self.memory, self.cpu, self.clock = memory("VmRSS"), time.process_time(), time.perf_counter()

    def complaints(self, graded: int, most: int) -> list[str]:
        """What has changed and must not.

        Args:
            graded: files.
            most: MiB by which this process may have grown.
        """
        found = []
        if _outside(self.scene) != self.outside:
            found.append("files outside its sandbox changed")
        after = self.book.read_bytes()
        if not after.startswith(self.lines) or after.count(b"\n") != self.lines.count(b"\n") + graded:
            found.append("the gradebook holds something else than one more line for each")
        if (used := time.process_time() - self.cpu) > SECONDS:
            found.append(f"it cost the grader {used:.0f} s of the processor")
        if (grown := memory("VmHWM") - self.memory) > most:
            found.append(f"it cost the grader {grown:.0f} MiB")
        return found


def memory(what: str) -> float:
    """MiB of this process: "VmRSS" now, "VmHWM" the most since the peak was last reset."""
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _graded(attacks: list[Attack], scenes: list[Scene], workers: int) -> list[Outcome]:
    first, rules = scenes[0], attacks[0].policy
    outcomes = [Outcome(attack) for attack in attacks]
    before = Before(first)
    try:
        entries = run.run(
            first.folder,
            first.out,
            seed=SEED,
            workers=workers,
            limits=LIMITS,
            policy=rules,
            progress=False,
        )
    except Exception as error:  # one submission must not stop the others'
        for outcome in outcomes:
            outcome.complaints.append(f"the run stopped: {type(error).__name__}: {error}")
        return outcomes
    counted = policy.apply(entries, rules)
    others = [entry for entry in counted if (entry["student"], entry["user"]) in first.honest]
    complaints = before.complaints(len(entries), min(attack.memory for attack in attacks))
    if len(others) != len(first.honest) or len(counted) != len(others) + sum(s.students for s in scenes):
        complaints.append(f"{len(counted)} entries, {len(others)} of them of neighbours")
    if not all(_is_right(entry) for entry in others):
        complaints.append("a neighbour lost points")
    if any(entry["late"] for entry in others):
        complaints.append("a neighbour is late")
    for outcome, scene in zip(outcomes, scenes, strict=True):
        outcome.seconds = (time.perf_counter() - before.clock) / len(attacks)
        outcome.memory = memory("VmHWM")
        outcome.complaints += complaints
        _look(outcome, scene, counted, alone=len(attacks) == 1)
    return outcomes


def _is_right(entry: Entry) -> bool:
    states = {verdict["exercise"]: verdict["state"] for verdict in entry["verdicts"]}
    return not entry["problem"] and states == dict.fromkeys(answers(), "passed")


def _look(outcome: Outcome, scene: Scene, entries: list[Entry], *, alone: bool) -> None:
    """What one attack scored, and what it left behind."""
    attack, complain = outcome.attack, outcome.complaints.append
    mine = [entry for entry in entries if (entry["student"], entry["user"]) not in scene.honest]
    if not alone:
        mine = [entry for entry in mine if entry["student"] == scene.who]
    if mine:
        outcome.entry = mine[0]
        outcome.got = _score(attack, mine[0], complain)
        outcome.complaints += attack.also(scene, mine[0], entries)
    else:
        complain("no entry for it")
    if _knocked(scene):
        complain("it reached the network")
    outcome.processes, outcome.files = left_behind(scene.token), len(leaves(scene))
    if outcome.processes or outcome.files:
        complain(f"left behind: {outcome.processes} processes, {outcome.files} files")


def _score(attack: Attack, entry: dict[str, Any], complain) -> str:  # noqa: ANN001
    """Says what an entry scored, and complains if that is not what it must be."""
    verdicts = {v["exercise"]: v for v in entry["verdicts"]}
    order = [exercise.name for exercise in exercises_of(attack.notebook)]
    got = sum(v["points"] for v in verdicts.values())
    possible = sum(exercise.points for exercise in exercises_of(attack.notebook))
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
    if attack.expect == NOTHING:
        if got or entry["problem"] or not verdicts:
            complain(f"{got:g} points. {entry['problem']}")
        return f"{got:g} of {possible}"
    if attack.expect == LATE:
        if got != possible or not entry["late"] or tables.points(entry):
            complain(f"{got:g} of {possible} points, and {tables.points(entry):g} as it is late")
        return f"{tables.points(entry):g} of {possible}: {tables.late_said(entry)}"
    target = attack.target
    if not verdicts or verdicts[target]["points"] != 0:
        complain(f"the wrong answer earned {verdicts.get(target, {}).get('points', entry['problem'])}")
        return entry["problem"] or "points for a wrong answer"
    safe = order if attack.expect == ONE_LOST else order[: order.index(target)]
    lost = [name for name in safe if name != target and verdicts[name]["state"] != "passed"]
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
    """Processes of this grader's sandboxes beside its zygotes, their mothers and the sandboxes that wait for their first request, whatever became
    of their parents; and any that carries the token."""
    parents, others = {}, 0
    for process in psutil.process_iter(["cmdline", "ppid"]):
        command = process.info["cmdline"] or []
        if "utils.grading.zygote" in command and command[-1] == str(os.getpid()):
            parents[process.pid] = process.info["ppid"]
        else:
            others += bool(token and any(token.removeprefix("mark-") in word for word in command))
    mothers = {pid for pid, parent in parents.items() if parent == os.getpid()}
    zygotes = {pid for pid, parent in parents.items() if parent in mothers}
    waiting: set[int] = set()
    for zygote in zygotes:  # of each, the next sandbox: one process that waits for another
        chain = zygote
        for _ in range(2):
            chain = next((pid for pid, parent in parents.items() if parent == chain), 0)
            waiting.add(chain)
    return others + len(parents.keys() - mothers - zygotes - waiting)
