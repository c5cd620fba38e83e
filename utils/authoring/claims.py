"""What the notebooks claim, and what carries each claim: `docs/claims/NN_name.toml`, and `docs/claims.md`, which is made from it.

A claim is an excerpt of a solved notebook's text. Its numbers in double brackets are compared with what carries them:

    [[claim]]
    cell = "prediction-accuracy"                 # where it stands: the id of a text cell
    says = "[[84.3]] % in this run"              # the text; double brackets mark typed numbers
    by = "output"                                # one of KINDS
    source = "7-training-and-measuring-code-3"   # the cell, file, exercise or paper that carries it
    reads = ['epoch 4: .*accuracy ([\\d.]+)%']    # output: a pattern for each number; rows: a table, see `recorded`

The marks stand here and not in the text, so a reader of the notebook never sees them.
"""

from __future__ import annotations

import json
import re
import statistics
import tomllib
from pathlib import Path

import nbformat

from utils.authoring import build
from utils.paths import ROOT

FOLDER, PAGE = ROOT / "docs" / "claims", ROOT / "docs" / "claims.md"
KINDS = {
    "output": "printed by",
    "figure": "drawn by",
    "rows": "recorded in",
    "check": "tested by",
    "proof": "proof:",
    "citation": "cited:",
    "chosen": "how the course does it:",
}
MARK = re.compile(r"\[\[([^\[\]]+)\]\]")
HEAD = """# What the notebooks claim, and what carries it

An excerpt of the text, the cell where it stands, and what carries it: the output or the figure of a cell, recorded rows, a test, a proof, a paper.
Bold numbers were compared with that output or those rows when the tests ran. This page is made from `docs/claims/*.toml` by
`python -m utils.authoring claims`; the ids are those of the cells in `solutions/*.ipynb`.
"""


def claims_of(name: str) -> list[dict]:
    """The claims of one notebook, in the order of the file; none where it has no file."""
    path = FOLDER / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")).get("claim", []) if path.exists() else []


def page() -> str:
    """The Markdown page: a table per notebook."""
    parts = [HEAD]
    for name in build.source_names():
        parts.append(f"## {name[:2]} · {_title(name)}\n\n| claim | cell | carried by |\n| --- | --- | --- |")
        for claim in claims_of(name):
            says = MARK.sub(r"**\1**", _cell(claim["says"]))
            code = claim["by"] in ("output", "figure", "rows", "check")
            source = f"`{claim['source']}`" if code else _cell(claim["source"])
            note = f"; {_cell(claim['note'])}" if "note" in claim else ""
            parts[-1] += f"\n| {says} | `{claim['cell']}` | {KINDS[claim['by']]} {source}{note} |"
    return "\n\n".join(parts) + "\n"


def problems(name: str, folder: Path = build.SOLVED) -> list[str]:
    """What does not hold, a line each: an excerpt that is not in its cell, a number that its source contradicts.

    A cell whose output is missing (its code has changed) is not compared: `authoring stale` names it.
    """
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    found = []
    for claim in claims_of(name):
        where, plain = f"{name}, {claim['cell']}", MARK.sub(r"\1", claim["says"])
        if claim["by"] not in KINDS:
            found.append(f"{where}: {claim['by']!r} is none of {', '.join(KINDS)}")
        text = cells[claim["cell"]].source if claim["cell"] in cells else ""
        if _flat(plain) not in _flat(text):
            found.append(f"{where}: the text does not say {plain!r}")
        if claim["by"] in ("output", "figure") and claim["source"] not in cells:
            found.append(f"{where}: there is no cell {claim['source']!r}")
            continue
        if claim["by"] == "rows" and not (ROOT / "data" / "results" / claim["source"]).exists():
            found.append(f"{where}: there are no recorded rows {claim['source']!r}")
            continue
        typed, reads = MARK.findall(claim["says"]), claim.get("reads", [])
        if len(typed) != len(reads):
            found.append(f"{where}: {len(typed)} marked numbers, {len(reads)} ways to read them")
            continue
        for number, read in zip(typed, reads, strict=True):
            measured: float | None
            try:
                if claim["by"] == "rows":
                    measured = recorded(claim["source"], **read)
                else:
                    measured = printed(cells[claim["source"]], read)
            except ValueError as error:
                found.append(f"{where}: {error}")
                continue
            if measured is not None and not agrees(number, measured):
                found.append(f"{where}: the text says {number}, and {claim['source']} says {measured:g}")
    return found


def agrees(typed: str, measured: float) -> bool:
    """Whether a typed number is the measured one, rounded to as many decimals as were typed."""
    text = typed.replace(",", "").replace("\N{MINUS SIGN}", "-")
    decimals = len(text.partition(".")[2])
    return abs(float(text) - measured) <= 0.5 * 10**-decimals * (1 + 1e-6)


def printed(cell: dict, pattern: str | dict) -> float | None:
    """The number that a pattern finds in the text outputs of a cell; None where the cell has none yet.

    Args:
        pattern: a regular expression with one group; or {find = ..., times = 100} to change the unit.

    Raises:
        ValueError: nothing matches.
    """
    find, times = (pattern["find"], pattern["times"]) if isinstance(pattern, dict) else (pattern, 1)
    outputs = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", [])]
    if not outputs:
        return None
    match = re.search(find, "\n".join(outputs))
    if match is None:
        raise ValueError(f"the outputs of {cell['id']} have nothing like {find!r}")
    return times * float(match[1].replace(",", "").rstrip("."))


def recorded(source: str, value: str, where: dict, times: float = 1, take: str = "mean") -> float:
    """A number of recorded rows: the mean (or `take`: min, max, count) of a column over the rows that fit `where`.

    Raises:
        ValueError: no row fits.
    """
    lines = (ROOT / "data" / "results" / source).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    values = [row[value] for row in rows if all(row.get(key) == wanted for key, wanted in where.items())]
    if not values:
        raise ValueError(f"{source} has no row with {where}")
    found = {"mean": statistics.fmean(values), "min": min(values), "max": max(values), "count": len(values)}
    return times * found[take]


def _title(name: str) -> str:
    text = build.SOURCES.joinpath(f"{name}.py").read_text(encoding="utf-8")
    return re.findall(r"^# # \d\d · (.+)$", text, flags=re.M)[0]


def _flat(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _cell(text: str) -> str:
    """As it may stand in a table: one line, no bars, no emphasis that the excerpt cut in two."""
    return _flat(text).replace("|", "\\|")
