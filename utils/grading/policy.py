"""What a class has agreed on: deadlines, late work, which attempt counts, points, groups. Read from one file, `grading.toml`.

Points as the sandbox gave them stay in the records; a policy is applied to a copy when reports are written, so another policy needs
no grading again.
"""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from utils.grading.reading import RELEASE
from utils.grading.submissions import Handed, best_of, chosen
from utils.words import say, speaking

Entry = dict[str, Any]
ATTEMPTS = ("last on time", "last", "best")
LAYERS = ("mark", "refuse", "allow")
WRITTEN = ("wait", "leave out")
LATE, EXERCISES = ("grace_minutes", "cost_per_day", "at_most"), ("left_out", "points")


class BadPolicy(ValueError):
    """The file says something that cannot be; the message says what."""


@dataclass(frozen=True)
class Policy:
    """Without a file: the last attempt on time counts, late work costs nothing and is marked as late.

    Args:
        attempt: which attempt counts, of `ATTEMPTS`.
        deadlines: by notebook.
        grace: after a deadline, that costs nothing.
        penalty: share of the points earned that a day begun costs.
        most: largest share that late work costs.
        extensions: (student's name or id, notebook) -> their own deadline.
        left_out: exercises that do not count.
        points: exercise -> points, in place of the notebook's.
        layers: an answer that is a library's own layer: "mark" it for the instructor, "refuse" it (0 points), "allow" it.
        written: "wait": a grade stays blank until all written answers are marked; "leave out": they do not count.
        groups: name -> members (names or ids). A mark for a written answer of one member counts for all.
    """

    attempt: str = "last on time"
    deadlines: dict[str, datetime.datetime] = field(default_factory=dict)
    grace: datetime.timedelta = datetime.timedelta()
    penalty: float = 0.0
    most: float = 1.0
    extensions: dict[tuple[str, str], datetime.datetime] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    points: dict[str, float] = field(default_factory=dict)
    layers: str = "mark"
    written: str = "wait"
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def deadline(self, student: str, user: str, notebook: str) -> datetime.datetime | None:
        """Until when this student may hand this notebook in, grace not counted; None: no deadline."""
        for who in _names(student, user):
            if (who, notebook) in self.extensions:
                return self.extensions[who, notebook]
        return self.deadlines.get(notebook)

    def late_by(
        self, student: str, user: str, notebook: str, when: datetime.datetime | None, marked: bool
    ) -> float:
        """Days after the deadline (0: on time; NaN: the platform says late, nobody knows by how much)."""
        until = self.deadline(student, user, notebook)
        if until is None or when is None:
            return math.nan if marked else 0.0
        over = (when.replace(microsecond=0) - until).total_seconds()  # reports show no smaller time
        return max(over, 0.0) / 86400 if over > self.grace.total_seconds() else 0.0

    def pick(self, handed: Iterable[Handed]) -> list[Handed]:
        """The files to be graded: the last attempts where the best counts, else one per student and notebook."""
        judged = [
            replace(one, late=self.late_by(one.student, one.user, one.notebook, one.when, one.late) != 0)
            for one in handed
        ]
        return best_of(judged) if self.attempt == "best" else chosen(judged, last=self.attempt == "last")


def unmet(policy: Policy, entries: Iterable[Entry]) -> list[str]:
    """Names of extensions and groups under which nobody has handed anything in, in words: a name that is written in another way holds for nobody."""
    here = {who for entry in entries for who in _names(entry["student"], entry["user"])}
    named = {"extensions": {who for who, _ in policy.extensions}} | {
        f"groups.{name}": {*members} for name, members in policy.groups.items()
    }
    return [
        f"policy, {place}: nothing was handed in under {who!r} (write names as the folders or the platform have them, or ids)"
        for place, names in named.items()
        for who in sorted(names - here)
    ]


def picks_alike(one: Policy, other: Policy) -> bool:
    """Whether two policies let the same attempts count: what is graded rests on that, and only `grade` grades."""
    return all(
        getattr(one, name) == getattr(other, name) for name in ("attempt", "deadlines", "extensions", "grace")
    )


def _names(student: str, user: str) -> list[str]:
    """What a policy may call a student: the platform's id, and the name, unless that could be somebody else's id."""
    return [who for who in (user, "" if user and student.isdigit() else student) if who]


def read(path: Path) -> Policy:
    """Reads a policy.

    Raises:
        BadPolicy: with the key and what is wrong with it.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadPolicy(f"{path.name}: {error}") from error
    known = {"attempt", "late", "deadlines", "extensions", "exercises", "written", "library_layers", "groups"}
    if unknown := set(raw) - known:
        raise BadPolicy(
            f"{path.name}: {', '.join(sorted(unknown))}: no such setting; there are {', '.join(sorted(known))}"
        )
    late, exercises, groups = _table(raw, "late"), _table(raw, "exercises"), _table(raw, "groups")
    for name, table, keys in (("late", late, LATE), ("exercises", exercises, EXERCISES)):
        if unknown := set(table) - {*keys}:
            raise BadPolicy(
                f"{path.name}: {name}.{min(unknown)}: no such setting; there are {', '.join(keys)}"
            )
    extensions = _table(raw, "extensions")
    return Policy(
        attempt=_one_of(raw, "attempt", ATTEMPTS),
        deadlines={
            _notebook(name): _time(when, f"deadlines.{name}")
            for name, when in _table(raw, "deadlines").items()
        },
        grace=datetime.timedelta(minutes=_number(late.get("grace_minutes", 0), "late.grace_minutes", 1e6)),
        penalty=_number(late.get("cost_per_day", 0.0), "late.cost_per_day", 1),
        most=_number(late.get("at_most", 1.0), "late.at_most", 1),
        extensions={
            (who, _notebook(name)): _time(when, f"extensions.{who}.{name}")
            for who in extensions
            for name, when in _table(extensions, who, "extensions.").items()
        },
        left_out=frozenset(_exercise(name) for name in _list(exercises, "left_out", "exercises.")),
        points={
            _exercise(name): _number(value, f"exercises.points.{name}", 1e6)
            for name, value in _table(exercises, "points", "exercises.").items()
        },
        layers=_one_of(raw, "library_layers", LAYERS),
        written=_one_of(raw, "written", WRITTEN),
        groups={name: tuple(map(str, _list(groups, name, "groups."))) for name in groups},
    )


def _table(raw: dict[str, Any], key: str, before: str = "") -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise BadPolicy(f"{before}{key} = {value!r}: it must be a table (lines of the form name = value)")
    return value


def _list(raw: dict[str, Any], key: str, before: str) -> list[Any]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        raise BadPolicy(f'{before}{key} = {value!r}: it must be a list (["...", "..."])')
    return value


def _one_of(raw: dict[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = raw.get(key, allowed[0])
    if value not in allowed:
        raise BadPolicy(f"{key} = {value!r}: it can be {', '.join(map(repr, allowed))}")
    return str(value)


def _number(value: Any, key: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadPolicy(f"{key} = {value!r}: it must be a number from 0 to {most:g}")
    return float(value)


def _time(value: Any, key: str) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        try:
            return value.astimezone().replace(tzinfo=None) if value.tzinfo else value
        except (OverflowError, ValueError, OSError) as error:
            raise BadPolicy(f"{key} = {value}: no clock here shows this time") from error
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time(23, 59, 59))
    raise BadPolicy(
        f"{key} = {value!r}: write a date (2026-03-01) or a time (2026-03-01T18:00:00), without quotes"
    )


def _notebook(name: str) -> str:
    found = [path.stem for path in sorted(RELEASE.glob("[0-9][0-9]_*.ipynb")) if path.stem.startswith(name)]
    if len(found) != 1:
        raise BadPolicy(f"{name}: {'no' if not found else 'more than one'} notebook begins so")
    return found[0]


def _exercise(name: Any) -> str:
    from utils.checks.registry import all_exercises

    if not isinstance(name, str) or name not in all_exercises():
        raise BadPolicy(f"exercises: no exercise is called {name!r}")
    return name


def apply(entries: list[Entry], policy: Policy) -> list[Entry]:
    """Copies of the entries with a policy applied: `late` (days, cost as a share, in words), points by exercise, the attempt that counts.

    Args:
        entries: as they were recorded, marks merged.
        policy: of the class.
    """
    found = []
    for entry in deepcopy(entries):
        entry["written_counts"] = policy.written == "wait"
        when = datetime.datetime.fromisoformat(entry["handed"]) if entry.get("handed") else None
        days = policy.late_by(
            entry["student"], entry["user"], entry["notebook"], when, bool(entry.get("late_mark"))
        )
        begun = 1 if math.isnan(days) else math.ceil(days)
        entry["late"] = (
            {"days": None if math.isnan(days) else days, "share": min(policy.penalty * begun, policy.most)}
            if days
            else {}
        )
        with speaking(entry.get("language", "en")):
            entry["verdicts"] = [
                _counted(verdict, policy)
                for verdict in entry["verdicts"]
                if verdict["exercise"] not in policy.left_out
            ]
        if policy.layers == "allow":
            entry["verdicts"] = [verdict | {"layers": []} for verdict in entry["verdicts"]]
        found.append(entry)
    _share_marks(found, policy)
    return _best(found) if policy.attempt == "best" else found


def _counted(verdict: dict[str, Any], policy: Policy) -> dict[str, Any]:
    if (points := policy.points.get(verdict["exercise"])) is not None:
        share = verdict["points"] / verdict["possible"] if verdict["possible"] else 0.0
        verdict |= {"points": round(share * points, 2), "possible": points}
    if policy.layers == "refuse" and verdict.get("layers"):
        verdict |= {
            "points": 0.0,
            "state": "failed",
            "diagnosis": "",
            "sentence": say(
                "It is the library's {layers}, and this class asks for your own.",
                layers=" + ".join(verdict["layers"]),
            ),
        }
    return verdict


def _share_marks(entries: list[Entry], policy: Policy) -> None:
    """Gives a group's members the marks and comments of the one member whose written answer was marked."""
    for members in policy.groups.values():
        inside = [e for e in entries if any(who in members for who in _names(e["student"], e["user"]))]
        for notebook in {entry["notebook"] for entry in inside}:
            theirs = [entry for entry in inside if entry["notebook"] == notebook]
            for kind in ("marks", "comments"):
                shared: dict[str, Any] = {}
                for entry in theirs:
                    shared = entry.get(kind, {}) | shared
                for entry in theirs:
                    entry[kind] = shared | entry.get(kind, {})


def _best(entries: list[Entry]) -> list[Entry]:
    from utils.grading.reports.tables import points

    best: dict[tuple[str, str, str], Entry] = {}
    for entry in entries:
        place = entry["student"], entry["user"], entry["notebook"] or entry["origin"]
        if place not in best or points(entry) >= points(best[place]):
            best[place] = entry
    return list(best.values())
