"""What is run of a submission, and in which order: statements of the student's cells that answers rest on, between the release's.

Nothing is run here.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from utils.grading.cells import DEEP, definitions, is_definition, is_stub, problem_of, read
from utils.grading.needs import Statement, needed, statement
from utils.words import later, say

Cell = dict[str, Any]
# Names that Jupyter puts into a notebook.
JUPYTER = """\
def display(*objects, **options):
    return None


class _Shell:
    def __getattr__(self, name):
        return lambda *given, **named: None


def get_ipython():
    return _Shell()
"""
READY = "def ready(*names):\n    return True\n"  # in a notebook that is green, every check above has passed


@dataclass(frozen=True)
class Part:
    """A piece of code that is run in the sandbox.

    Args:
        kind: "release", "helper" or "answer". Behind the last part that is an exercise's answer, it is asked.
        name: cell id, or the exercise's name.
        source: Python.
    """

    kind: str
    name: str
    source: str


@dataclass
class Submission:
    """A normalised submission.

    Args:
        notebook: "01_transformer_recap".
        parts: in the order in which they are run.
        written: answers to written questions, by grade id.
        notes: what had to be mended or is missing, in words for the feedback page.
        skipped: what of the student's own cells is not run, by cell and line, in words.
        answers: the source of the cells that each exercise's answer is made of.
        missing: modules and files that the student's cells use and that the grader does not have.
        newer: an answer may be Python of a later version than the one that grades, which no grade can rest on.
        language: of the edition that the student worked in; the feedback speaks it.
    """

    notebook: str
    parts: list[Part] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    newer: bool = False
    language: str = "en"


@dataclass
class Found:
    """Where an exercise's answer is.

    Args:
        cells: indices of the code cells that make it.
        asked: index of the code cell behind which it is asked.
        late: it stands behind its check, so that the student's order is not the one that it was green in.
    """

    cells: list[int]
    asked: int
    late: bool = False


@dataclass
class Piece:
    """Statements of one cell, with what is asked behind them."""

    cell: Cell
    statements: list[Statement] = field(default_factory=list)
    always: set[int] = field(default_factory=set)  # indices in `statements`
    answers: list[str] = field(default_factory=list)  # exercises whose answer this cell makes
    asked: list[str] = field(default_factory=list)
    own: bool = True


def checked(node: ast.stmt) -> set[str]:
    """What a call of `check` is given: `check(name)`, or `check(something, "name")`."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check"):
        return set()
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    names = {one.id for one in given if isinstance(one, ast.Name)}
    return {"check", *names, *(str(one.value) for one in given if isinstance(one, ast.Constant))}


def is_check(node: ast.stmt) -> bool:
    return bool(checked(node))


@cache
def release_definitions(source: str) -> str:
    """`definitions` of a released cell, kept."""
    return definitions(source)


def in_order(
    code: list[Cell], release: Iterable[Cell], places: dict[str, Found]
) -> tuple[list[Piece], list[Cell]]:
    """The pieces in the order in which they run, and the student's cells behind the last answer."""
    release = list(release)
    answers = {*places}
    exercises = {
        cell["grade_id"].removesuffix("-check") for cell in release if cell["grade_id"].endswith("-check")
    }
    kept = {
        index: cell
        for index, cell in enumerate(release)
        if cell["cell_type"] == "code" and cell["grade_id"].removesuffix("-check") not in exercises
    }
    order = {cell["id"]: index for index, cell in enumerate(release)}
    by_source = {cell["source"].strip(): index for index, cell in kept.items()}
    asked: dict[int, list[str]] = {}
    for name, place in places.items():
        asked.setdefault(place.asked, []).append(name)
    last = max(asked, default=-1)
    moved = any(place.late for place in places.values())
    sequence = _by_release(asked, order) if moved else [*range(last + 1)]
    making: dict[int, list[str]] = {}
    for name, place in places.items():
        for i in place.cells:
            making.setdefault(i, []).append(name)
    pieces: list[Piece] = []
    done: set[int] = set()

    def upto(limit: int) -> None:
        for index, cell in kept.items():
            if index < limit and index not in done:
                done.add(index)
                pieces.append(_released(cell))

    for i in sequence:
        cell = code[i]
        index = by_source.get(cell["source"].strip(), order.get(cell["id"], -1))
        same = index in kept and kept[index]["source"].strip() == cell["source"].strip()
        makes = making.get(i, [])
        closes = asked.get(i, [])
        if index in kept and not moved:
            upto(index + 1)
        upto(max((order.get(name, 0) for name in [*makes, *closes]), default=0))
        if not (same and index in kept):
            pieces.append(_own(cell, makes, closes, answers, places))
    upto(len(release))
    return pieces, [code[i] for i in range(last + 1, len(code)) if code[i]["source"].strip() not in by_source]


def _by_release(asked: dict[int, list[str]], order: dict[str, int]) -> list[int]:
    """Indices of code cells, in groups that end where an answer is asked, in the release's order of answers."""
    groups, first = [], 0
    for end in sorted(asked):
        groups.append((min(order.get(name, 0) for name in asked[end]), [*range(first, end + 1)]))
        first = end + 1
    return [i for _, group in sorted(groups) for i in group]


@cache
def _released_statements(source: str) -> tuple[Statement, ...]:
    tree = read(source)[0]
    return tuple(statement(node, own=False) for node in (tree.body if tree else ()) if not is_check(node))


def _released(cell: Cell) -> Piece:
    statements = [*_released_statements(cell["source"])]
    always = {n for n, one in enumerate(statements) if is_definition(one.node)}
    return Piece(cell | {"text": cell["source"]}, statements, always, own=False)


def _own(
    cell: Cell, makes: list[str], closes: list[str], answers: set[str], places: dict[str, Found]
) -> Piece:
    piece = Piece(cell, answers=makes, asked=closes)
    elsewhere = answers - {*makes}
    # stubs of these stand beside what was written in their place
    written = {name for name in makes if len(places[name].cells) > 1}
    for node, made in zip(cell["body"], cell["makes"], strict=True):
        written |= set() if is_stub(node) else made & answers
    for node, made in zip(cell["body"], cell["makes"], strict=True):
        if is_check(node) or made & elsewhere:  # another version of an answer
            continue
        if made & written and is_stub(node):
            continue
        if makes or is_definition(node):
            piece.always.add(len(piece.statements))
        piece.statements.append(statement(node))
    return piece


def run_what_is_needed(
    submission: Submission, pieces: list[Piece], late: list[Cell], names: list[str]
) -> None:
    """Fills `parts` and `skipped`."""
    statements = [one for piece in pieces for one in piece.statements]
    wanted = needed(statements, names)
    if any(re.search(r"\b(?:display|get_ipython)\(", piece.cell["text"]) for piece in pieces if piece.own):
        submission.parts.append(Part("release", "jupyter", JUPYTER))
    made = {"*", *dir(builtins)}.union(*(one.makes for one in statements))
    offset, first = 0, True
    for piece in pieces:
        chosen = [one for n, one in enumerate(piece.statements) if n in piece.always or offset + n in wanted]
        needs_ready = any(isinstance(one.node, ast.If) and "ready" in one.uses for one in chosen)
        if needs_ready:
            submission.parts.append(Part("release", "ready", READY))
        if (
            piece.asked or piece.answers
        ) and first:  # functions that stand behind the last answer can be used by all
            first = False
            for cell in late:
                if source := _late(cell, made):
                    submission.parts.append(Part("helper", "at the end", source))
        plain = not piece.own and all(
            n in piece.always or offset + n not in wanted for n in range(len(piece.statements))
        )
        source = release_definitions(piece.cell["source"]) if plain else _lines(piece, chosen)
        offset += len(piece.statements)
        _add(submission, piece, source)
        if piece.own:
            submission.skipped += _not_run(piece, chosen)
    submission.skipped += [line for cell in late for line in _not_run(_late_piece(cell), [])]


def _add(submission: Submission, piece: Piece, source: str) -> None:
    """Appends what a piece becomes: one part, named after the first answer in it, and an empty one for each further one."""
    kind = "answer" if piece.answers else "helper" if piece.own else "release"
    if source.strip() or piece.answers:
        submission.parts.append(Part(kind, piece.answers[0] if piece.answers else piece.cell["id"], source))
    rest = [name for name in piece.asked if name not in piece.answers[:1]]
    submission.parts += [Part("answer", name, "") for name in rest]


def _lines(piece: Piece, chosen: list[Statement]) -> str:
    """A cell with the lines of some statements only; they keep their numbers."""
    if piece.own and piece.cell["tree"] is None:
        return piece.cell["source"] if piece.answers else ""
    if piece.own and len(chosen) == len(piece.cell["body"]):
        return piece.cell["text"]
    kept = {number for one in chosen for number in range(one.lines[0], one.lines[1] + 1)}
    ran = {id(one.node) for one in chosen}
    data = piece.cell["text"].encode().split(b"\n")  # Python counts columns in bytes
    for node in reversed(piece.cell["body"] if piece.own else []):  # of a line with several, what is left out
        if id(node) not in ran and {node.lineno, node.end_lineno} & kept:
            _left_out(data, node)
    lines = b"\n".join(data).decode().split("\n")
    return "\n".join(
        line if n in kept else "" for n, line in enumerate(lines, start=1)
    ).rstrip() + "\n" * bool(kept)


def _left_out(lines: list[bytes], node: ast.stmt) -> None:
    """Puts `pass` in a statement's place; everything else stays on its own line."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before, behind = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    lines[first : last + 1] = [b""] * (last - first + 1)
    lines[last] = b"pass" + behind
    lines[first] = before + (lines[first] or b"pass")


def _late(cell: Cell, made: set[str]) -> str:
    """Of a cell behind the last answer: functions, classes and imports under names that nothing else makes and Python has not."""
    kept = [
        node
        for node, makes in zip(cell["body"], cell["makes"], strict=True)
        if is_definition(node) and not isinstance(node, ast.Assign | ast.AnnAssign) and not makes & made
    ]
    return "\n".join(_as_text(node, cell) for node in kept)


def _as_text(node: ast.stmt, cell: Cell) -> str:
    """The statement as Python; where it is nested too deep for `ast.unparse`, its lines."""
    try:
        return ast.unparse(node)
    except DEEP:
        first, last = statement(node).lines
        return "\n".join(cell["text"].split("\n")[first - 1 : last])


def _late_piece(cell: Cell) -> Piece:
    return Piece(cell, [statement(n) for n in cell["body"] if not is_check(n) and not is_definition(n)])


def _not_run(piece: Piece, chosen: list[Statement]) -> list[str]:
    """What of a cell is not run, in words: runs of statements, and lines for IPython."""
    cell, ran = piece.cell, {id(one) for one in chosen}
    lines: set[int] = set(cell["left"])
    for one in piece.statements:
        text = isinstance(one.node, ast.Expr) and isinstance(one.node.value, ast.Constant)
        if id(one) not in ran and not text and not isinstance(one.node, ast.Pass):
            lines |= {*range(one.lines[0], one.lines[1] + 1)}
    if cell["tree"] is None and cell["source"].strip() and not piece.answers:
        return [
            say(
                "cell {number}: it is no Python ({problem})",
                number=cell["number"],
                problem=problem_of(cell["source"]),
            )
        ]
    found = []
    source = cell["source"].split("\n")
    ordered = sorted(lines)
    begins = [n for n in ordered if n - 1 not in lines]
    ends = [n for n in ordered if n + 1 not in lines]
    for first, last in zip(begins, ends, strict=True):
        place = (
            later("cell {number}, line {first}", number=cell["number"], first=first)
            if first == last
            else later(
                "cell {number}, lines {first} to {last}", number=cell["number"], first=first, last=last
            )
        )
        found.append(f"{say(place)}: {source[first - 1].strip()[:60]}")
    return found
