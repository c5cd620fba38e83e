"""Times several ways of doing one thing in turn, A B C A B C ..., so that a machine's drift hits all alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Way = Callable[[], object]

#: counted rounds that even the slowest contest gets
FEWEST = 5


@dataclass(frozen=True)
class Contest:
    """One row of the benchmark.

    Args:
        name: what is timed ("encoder, forward and backward").
        setting: sizes and number format ("B=32, N=64, D=128, float32").
        ours: the reference answer's way, a call without arguments.
        peers: other ways, by library.
        target: largest ratio ours / fastest peer that we want to see; None where there is none.
        note: reason or remedy, printed where the target is missed.
    """

    name: str
    setting: str
    ours: Way
    peers: dict[str, Way]
    target: float | None = 1.0
    note: str = ""


@dataclass(frozen=True)
class Absent:
    """A row that this machine cannot run, and the reason, so that nobody takes its absence for an oversight."""

    name: str
    setting: str
    reason: str

    def record(self) -> dict[str, object]:
        """For the JSON file."""
        return {"name": self.name, "setting": self.setting, "absent": self.reason}


@dataclass(frozen=True)
class Outcome:
    """What a contest gave: milliseconds per side (medians) and the paired ratio to the fastest peer."""

    contest: Contest
    milliseconds: dict[str, float]
    fastest: str
    ratio: float
    low: float
    high: float
    rounds: int = field(default=0)

    def record(self) -> dict[str, object]:
        """For the JSON file."""
        c = self.contest
        return {
            "name": c.name,
            "setting": c.setting,
            "milliseconds": {side: round(value, 3) for side, value in self.milliseconds.items()},
            "fastest_peer": self.fastest,
            "ratio": round(self.ratio, 3),
            "quartiles": [round(self.low, 3), round(self.high, 3)],
            "rounds": self.rounds,
            "target": c.target,
            "note": c.note,
        }


def run(
    contest: Contest | Absent,
    rounds: int = 15,
    warmup: int = 2,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome | Absent:
    """Runs a contest.

    Args:
        contest: what to time; an `Absent` comes back as it is.
        rounds: counted rounds; the order of the sides rotates from round to round.
        warmup: rounds that are not counted.
        seconds: from the first counted round on; after this time no new round begins, once `FEWEST` have been counted. Slow contests get fewer rounds.
        clock: `time.process_time` counts only what this process computed: with one thread it ranks the sides even while
            others use the machine.

    Returns:
        medians in ms; the ratio ours / fastest peer as median of the rounds' own ratios, with its quartiles.
    """
    if isinstance(contest, Absent):
        return contest
    ways = {"ours": contest.ours, **contest.peers}
    times: dict[str, list[float]] = {side: [] for side in ways}
    order = list(ways)
    started = time.perf_counter()
    for number in range(warmup + rounds):
        if number == warmup:
            started = time.perf_counter()  # warming up may compile, which takes longer than all that follows
        if number >= warmup + FEWEST and time.perf_counter() - started > seconds:
            break
        for side in order:
            began = clock()
            ways[side]()
            taken = clock() - began
            if number >= warmup:
                times[side].append(taken)
        order = order[1:] + order[:1]
    medians = {side: statistics.median(values) * 1000 for side, values in times.items()}
    fastest = min(contest.peers, key=lambda side: medians[side])
    ratios = sorted(a / b for a, b in zip(times["ours"], times[fastest], strict=True))
    low, middle, high = (
        statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else (ratios[0],) * 3
    )
    return Outcome(contest, medians, fastest, middle, low, high, len(ratios))


def table(outcomes: list[Outcome | Absent]) -> str:
    """The outcomes as text: ratio to the fastest peer with quartiles, then every side's median."""
    rows = []
    for o in outcomes:
        if isinstance(o, Absent):
            rows += [f"{o.name}  [{o.setting}]", f"    not run: {o.reason}"]
            continue
        target = o.contest.target
        verdict = "" if target is None else "met" if round(o.ratio, 3) <= target else f"over {target:.2f}"
        sides = "  ".join(f"{side} {value:.2f} ms" for side, value in o.milliseconds.items())
        rows.append(f"{o.contest.name}  [{o.contest.setting}]")
        rows.append(f"    ratio to {o.fastest}: {o.ratio:.3f} ({o.low:.3f} to {o.high:.3f})  {verdict}")
        rows.append(f"    {sides}")
        if target is not None and round(o.ratio, 3) > target and o.contest.note:
            rows.append(f"    {o.contest.note}")
    return "\n".join(rows)
