"""Evidence for arguments: recorded rows with where they come from, and numbered findings that a written answer cites.

    rows = recorded("data-scaling")                      # says what they are, and on what machine they were made
    evidence = Evidence()
    evidence.add("E1", "CNN minus ViT at 500 images: +4.1 ± 1.3 points")
    evidence.add("M1", "my CNN, 2,000 images, seed 0: 45.1%", own=True)
    evidence.review("individual", notebook="10_discussion", own=1)

`review` reads the *saved* notebook: it can say which citations are unknown or missing, not whether they prove anything.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from utils.experiments.results import load
from utils.paths import ROOT

KEY = r"[A-Z]{1,2}\d+[a-z]?"
CITATION = re.compile(
    rf"\[({KEY}(?:\s*(?:[,;/&–-]|and|to)\s*{KEY})*)\]"
)  # [E4]; [E4, E5] and [E4-E6] as well
RANGE = re.compile(r"([A-Z]{1,2})(\d+)\s*(?:[–-]|to)\s*\1(\d+)")


def citations(text: str) -> list[str]:
    """The numbers of the findings that a text cites, in its order, each as often as it is cited; [E4-E6] cites three."""
    return [key for listed in CITATION.findall(text) for key in re.findall(KEY, RANGE.sub(_each, listed))]


def _each(found: re.Match) -> str:
    letters, first, last = found.groups()
    return ", ".join(f"{letters}{i}" for i in range(int(first), int(last) + 1)[:100]) or found.group()


def recorded(name: str, *, quiet: bool = False, **only: Any) -> list[dict[str, Any]]:
    """The rows of an experiment that are to be shown: stage "main", of the gpu preset where that was recorded, else cpu.

    Args:
        name: of the experiment.
        quiet: don't print where the rows come from.
        only: columns and values, as in `results.load`.
    """
    rows = [row for row in load(name) if row.get("stage", "main") == "main"]
    for preset in ("gpu", "cpu"):
        found = [row for row in rows if row.get("preset", "cpu") == preset]
        if found:
            rows = found
            break
    if not quiet:
        print(provenance(name, rows))
    return [row for row in rows if all(row.get(key) == value for key, value in only.items())]


def provenance(name: str, rows: list[dict[str, Any]]) -> str:
    """Where rows come from, in a sentence or two made from the rows themselves."""
    if not rows:
        return (
            f"{name}: nothing is recorded. To record it: python -m utils.experiments run {name} --preset cpu"
        )
    hours = sum(row.get("seconds") or row.get("train_seconds") or 0 for row in rows) / 3600
    seeds = len({row["seed"] for row in rows})
    machines = "; ".join(sorted({str(row["machine"]) for row in rows}))
    steps = sorted({row.get("steps_taken") or row.get("steps") or 0 for row in rows})
    length = f"{steps[0]:,} steps" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,} steps"
    kind = "on a GPU" if any("no GPU" not in str(row["machine"]) for row in rows) else "on CPU cores, no GPU"
    return (
        f"{name}: {len(rows)} recorded trainings of {length}, {seeds} seed{'s' * (seeds != 1)} at most, {hours:.1f} hours {kind}.\n"
        f"Machine: {machines}."
    )


class Evidence:
    """Numbered findings of this session."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.own: set[str] = set()

    def add(self, key: str, text: str, *, own: bool = False) -> None:
        """Keeps a finding under its number, and prints it; `own` marks a measurement that the student made here.

        Raises:
            ValueError: the number does not look like E1, M2, ...
        """
        if not re.fullmatch(KEY, key):
            raise ValueError(f"evidence is numbered like E1 or M2, not {key!r}")
        self.found[key] = text
        (self.own.add if own else self.own.discard)(key)
        print(f"[{key}] {text}")

    def review(
        self,
        answer: str,
        notebook: str,
        *,
        at_least: int = 4,
        own: int = 1,
        words: tuple[int, int] = (0, 10_000),
    ) -> bool:
        """Reads a written answer from the saved notebook and says what its citations lack. It gives no marks.

        Args:
            answer: grade id of the answer's cell.
            notebook: name of the notebook, without ending.
            at_least: different findings that should be cited.
            own: how many of these should be own measurements.
            words: fewest and most words.

        Returns:
            whether nothing is lacking.
        """
        text = written_answer(answer, notebook)
        if text is None:
            print(
                f"{notebook}.ipynb was not found beside this kernel, so nothing was read. Is the notebook saved?"
            )
            return False
        said = self.complaints(text, at_least, own, words)
        cited = [key for key in dict.fromkeys(citations(text)) if key in self.found]
        print(f"Cited: {', '.join(cited) or 'nothing'}.")
        print(
            "\n".join(f"- {line}" for line in said)
            or "Nothing is lacking: every citation is known, and there are enough."
        )
        return not said

    def complaints(
        self, text: str, at_least: int = 4, own: int = 1, words: tuple[int, int] = (0, 10_000)
    ) -> list[str]:
        """What a text's citations lack, a sentence each."""
        counted = Counter(citations(text))
        unknown = sorted(set(counted) - set(self.found))
        known = set(counted) & set(self.found)
        own_text = re.sub(r"\A\s*\*[^*\n]+\*\s*\n", "", text)  # without the line "Your answer:"
        length, said = len(re.findall(r"\w[\w'’.-]*", CITATION.sub("", own_text))), []
        if length < 20:
            return [
                "The answer is still empty in the saved notebook. Write it, save (Ctrl+S), and run this cell again."
            ]
        if unknown:
            said.append(
                f"{', '.join(unknown)}: no cell has printed evidence of that number in this session. A slip, or a cell not run?"
            )
        if len(known) < at_least:
            said.append(
                f"{len(known)} different findings are cited; the assignment asks for at least {at_least}."
            )
        if len(known & self.own) < own:
            mine = ", ".join(sorted(self.own)) or "none yet: run your own measurement"
            said.append(
                f"{len(known & self.own)} of your own measurements are cited, at least {own} is asked ({mine})."
            )
        if not words[0] <= length <= words[1]:
            said.append(f"The text has {length} words; {words[0]} to {words[1]} are asked.")
        return said


def written_answer(grade_id: str, notebook: str, places: Iterable[Path] | None = None) -> str | None:
    """The text of an answer's cell in the saved notebook; None if no such notebook or cell is there."""
    for place in places or (Path.cwd(), ROOT / "notebooks"):
        path = place / f"{notebook}.ipynb"
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        except (OSError, ValueError, KeyError):
            continue
        for cell in cells:
            if cell.get("metadata", {}).get("nbgrader", {}).get("grade_id") == grade_id:
                return "".join(cell["source"])
    return None
