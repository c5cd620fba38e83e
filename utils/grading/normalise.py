"""From whatever a student hands in to the pieces that are run: the student's cells, as far as answers rest on them, between the release's.

What is green from top to bottom in the notebook has full points here. So cells run in the student's order, and an answer is asked where its
check stands. Outputs, metadata, kernel specification and check cells are ignored. All of this reads text; no code runs.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.grading.beside import missing
from utils.grading.cells import (
    DEEP,
    TooLong,
    binds,
    bounded,
    definitions,
    is_definition,
    is_stub,
    problem_of,
    read,
)
from utils.grading.needs import Statement, needed, statement
from utils.grading.reading import (
    MAX_SOURCE,
    BadNotebook,
    language_of,
    read_cells,
    release_cells,
    written_with,
)
from utils.words import later, say, speaking

if TYPE_CHECKING:
    from utils.checks.spec import Exercise

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
SECONDS = (
    10.0  # of the processor, to read one submission; the longest of honest notebooks takes a tenth of one
)
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


def normalise(path: Path, notebook: str) -> Submission:
    """Reads a submission of `notebook`.

    Raises:
        BadNotebook: empty, corrupt, too large, another assignment, or a text that Python itself cannot read in time.
    """
    from utils.checks.registry import exercises_of  # comes with torch, which a reader of names needs not

    cells = read_cells(path)
    language = language_of(cells, notebook)
    exercises = exercises_of(notebook)
    release_cells(notebook, language)  # what is not the student's is read before the clock runs
    with speaking(language):
        try:
            with bounded(SECONDS):
                return _normalised(path, cells, Submission(notebook, language=language), exercises)
        except TooLong as error:
            raise BadNotebook(
                say("its code takes more than {seconds:.0f} s to be read", seconds=SECONDS)
            ) from error
        except (BadNotebook, OSError, MemoryError):  # what this machine lacks is nobody's zero
            raise
        except Exception as error:  # of a text that nobody has thought of
            raise BadNotebook(say("its code cannot be read ({error})", error=type(error).__name__)) from error


def _normalised(
    path: Path, cells: list[Cell], submission: Submission, exercises: Iterable[Exercise]
) -> Submission:
    notebook = submission.notebook
    release = release_cells(notebook, submission.language)
    names = [exercise.name for exercise in exercises]
    code = _bound([_read(cell) for cell in cells if cell["cell_type"] == "code"], names)
    submission.written = _written(cells, release)
    submission.notes += [
        say(
            "Cell {number} has more than {most:,} characters; the rest of it is not read.",
            number=cell["number"],
            most=MAX_SOURCE,
        )
        for cell in code
        if cell["cut"]
    ]
    found = {name: _find(name, code, cells, submission.notes) for name in names}
    if names and not any(found.values()) and not any(text.strip() for text in submission.written.values()):
        raise BadNotebook(
            say(
                "it holds none of the answers of {notebook}: is it the notebook of another assignment?",
                notebook=notebook,
            )
        )
    places = {name: place for name, place in found.items() if place is not None}
    _explain_syntax(submission, path, code, {i for place in places.values() for i in place.cells})
    pieces, late = _pieces(code, release, places)
    _run_what_is_needed(submission, pieces, late, names)
    submission.missing = missing([part.source for part in submission.parts if part.kind != "release"])
    if submission.missing:
        submission.notes.append(
            say(
                "Your cells use {names}. Only the notebook itself is graded: what lies beside it is not read, nor libraries that the course "
                "does not have. Answers that need it fail here. Put its code or its values into a cell.",
                names=", ".join(submission.missing),
            )
        )
    submission.answers = {
        name: "\n\n".join(code[i]["source"].strip() for i in dict.fromkeys(place.cells))
        for name, place in places.items()
    }
    return submission


def _read(cell: Cell) -> Cell:
    """The cell, and for each statement which names it makes and what it checks."""
    tree, text, left = read(cell["source"])
    body = tree.body if tree else []
    return cell | {
        "tree": tree,
        "text": text,
        "left": left,
        "body": body,
        "makes": [binds(ast.Module([node], [])) for node in body],
        "checks": set[str]().union(*map(_checked, body)),
    }


def _bound(code: list[Cell], names: list[str]) -> list[Cell]:
    """The cells, in which `check(mine, "name")` is `name = mine` where no answer is written under the exercise's own name."""
    written = {
        name
        for cell in code
        for node, makes in zip(cell["body"], cell["makes"], strict=True)
        if not is_stub(node)
        for name in makes
    }
    return [_bound_there(cell, {*names} - written) if {*names} & cell["checks"] else cell for cell in code]


def _bound_there(cell: Cell, wanted: set[str]) -> Cell:
    text = cell["text"]
    for node in reversed(cell["body"]):  # from behind: places further up stay what they are
        named = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        if found := [name for name in wanted & _checked(node) if name not in named]:
            given = [*node.value.args, *(k.value for k in node.value.keywords if k.arg == "attempt")]
            segment = ast.get_source_segment(cell["text"], given[0]) if given else None
            text = _put(text, node, f"{found[0]} = ({segment})") if segment else text
    return _read(cell | {"source": text}) if text != cell["text"] else cell


def _put(text: str, node: ast.stmt, new: str) -> str:
    """The text with other code in a statement's place, and as many lines."""
    lines = text.encode().split(b"\n")  # Python counts columns in bytes
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    whole = lines[first][: node.col_offset] + new.encode() + lines[last - 1][node.end_col_offset :]
    lines[first:last] = [whole, *[b""] * (last - first - 1 - new.count("\n"))]
    return b"\n".join(lines).decode()


@cache
def release_definitions(source: str) -> str:
    """`definitions` of a released cell, kept."""
    return definitions(source)


def _making(cell: Cell, name: str) -> list[ast.stmt]:
    """Statements of a cell that make a name."""
    return [node for node, makes in zip(cell["body"], cell["makes"], strict=True) if name in makes]


def _checked(node: ast.stmt) -> set[str]:
    """What a call of `check` is given: `check(name)`, or `check(something, "name")`."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "check"):
        return set()
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    names = {one.id for one in given if isinstance(one, ast.Name)}
    return {"check", *names, *(str(one.value) for one in given if isinstance(one, ast.Constant))}


def _is_check(node: ast.stmt) -> bool:
    return bool(_checked(node))


def _find(name: str, code: list[Cell], cells: list[Cell], notes: list[str]) -> Found | None:
    """The cells that make the answer to exercise `name`: what its check finds in the notebook.

    Where no check stands behind any of them: rather the one in its own place, rather the last.
    """
    mine = (name, f"{name}-check")
    makes = [i for i, cell in enumerate(code) if _making(cell, name)]
    written = [i for i in makes if not all(map(is_stub, _making(code[i], name)))]
    if not makes:
        broken = [i for i, c in enumerate(code) if name in (c["id"], c["grade_id"]) and c["source"].strip()]
        if broken:  # a syntax error, most likely
            if problem := problem_of(code[broken[-1]]["source"]):
                notes.append(
                    say("{name}: its cell is not valid Python ({problem}).", name=name, problem=problem)
                )
            return Found([broken[-1]], broken[-1])
        head = re.compile(rf"^(def|class) {re.escape(name)}\b", re.M)
        text = any(cell["cell_type"] != "code" and head.search(cell["source"]) for cell in cells)
        notes.append(
            say("{name}: its answer is in a text cell, which is not run.", name=name)
            if text
            else say("{name}: no cell defines it.", name=name)
        )
        return None
    checks = [i for i, cell in enumerate(code) if name in cell["checks"]]
    if not written:
        return Found(makes[-1:], makes[-1])
    behind = [i for i in checks if i >= written[0]]
    if behind:
        own = [i for i in behind if {code[i]["id"], code[i]["grade_id"]} & {*mine}]
        asked = (own or behind)[0]
        return Found([i for i in written if i <= asked], asked)
    own = [i for i in written if {code[i]["id"], code[i]["grade_id"]} & {*mine}] or written
    if len(written) > 1:
        if len(own) == 1:
            which = later(
                "{name}: {count} cells define it, and no check stands behind them; the one in its own place is graded.",
                name=name,
                count=len(written),
            )
        else:
            which = later(
                "{name}: {count} cells define it, and no check stands behind them; the last one is graded.",
                name=name,
                count=len(written),
            )
        notes.append(say(which))
    return Found([own[-1]], own[-1], late=bool(checks))


def _explain_syntax(submission: Submission, path: Path, code: list[Cell], answering: set[int]) -> None:
    """Says so where a cell may be no Python here because the notebook was written with a newer one.

    Args:
        submission: whose `notes` and `newer` are set.
        path: of the notebook.
        code: its code cells.
        answering: indices of those that answer an exercise.
    """
    theirs = re.match(r"3\.(\d+)", written_with(path))
    # Python 3.n is from October of the year 2011 + n, and its first trials from the year before: what is later does not exist
    newest = datetime.date.today().year - 2010
    if theirs and sys.version_info.minor < int(theirs[1]) <= newest:
        for index, cell in enumerate(code):
            if cell["tree"] is None and cell["source"].strip():
                submission.newer |= index in answering
                submission.notes.append(
                    say(
                        "Cell {number} is no Python {here}, which grades here ({problem}); the notebook was written with "
                        "Python {theirs}. Ask for a grader with that version.",
                        number=cell["number"],
                        here=f"{sys.version_info.major}.{sys.version_info.minor}",
                        problem=problem_of(cell["source"]),
                        theirs=theirs[0],
                    )
                )


def _pieces(
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
    return tuple(statement(node, own=False) for node in (tree.body if tree else ()) if not _is_check(node))


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
        if _is_check(node) or made & elsewhere:  # another version of an answer
            continue
        if made & written and is_stub(node):
            continue
        if makes or is_definition(node):
            piece.always.add(len(piece.statements))
        piece.statements.append(statement(node))
    return piece


def _run_what_is_needed(
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
    lines = piece.cell["text"].split("\n")
    return "\n".join(
        line if n in kept else "" for n, line in enumerate(lines, start=1)
    ).rstrip() + "\n" * bool(kept)


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
    return Piece(cell, [statement(n) for n in cell["body"] if not _is_check(n) and not is_definition(n)])


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


def _written(cells: list[Cell], release: tuple[Cell, ...]) -> dict[str, str]:
    """Answers to written questions: the cell with the question's grade id (or id), and what was written beside it or below the question's own text."""
    known = {cell["id"] for cell in release}, {cell["source"].strip() for cell in release}
    answers = {}
    for index, place in enumerate(release):
        if place["cell_type"] == "markdown" and place["grade_id"]:
            parts = _written_there(cells, place, release[max(index - 1, 0)], known)
            answers[place["grade_id"]] = "\n\n".join(text for text in parts if text.strip())
    return answers


def _written_there(
    cells: list[Cell], place: Cell, question: Cell, known: tuple[set[str], set[str]]
) -> list[str]:
    def at(wanted: Cell) -> int:
        ids = (wanted["id"], wanted["grade_id"] or wanted["id"])
        found = [n for n, cell in enumerate(cells) if cell["id"] == ids[0] or cell["grade_id"] == ids[1]]
        return found[-1] if found else -1

    def own(n: int) -> bool:
        return (
            0 <= n < len(cells)
            and cells[n]["cell_type"] != "code"
            and cells[n]["id"] not in known[0]
            and cells[n]["source"].strip() not in known[1]
        )

    asked, answered = at(question), at(place)
    first = last = answered if answered >= 0 else asked
    if first < 0:
        return []
    while answered >= 0 and own(first - 1):
        first -= 1
    while own(last + 1):
        last += 1
    text = question["source"].strip()
    under = cells[asked]["source"].strip() if asked >= 0 else ""
    found = [under.removeprefix(text)] if text and under.startswith(text) else []
    empty = {place["source"].strip(), text, under}
    return found + [cell["source"] for cell in cells[first : last + 1] if cell["source"].strip() not in empty]
