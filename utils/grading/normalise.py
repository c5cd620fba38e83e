"""From whatever a student hands in to the pieces that are run: the student's cells, as far as answers rest on them, between the release's.

What is green from top to bottom in the notebook has full points here. So cells run in the student's order, and an answer is asked where its
check stands. Outputs, metadata, kernel specification and check cells are ignored. All of this reads text; no code runs.
"""

from __future__ import annotations

import ast
import datetime
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from utils.grading.beside import missing
from utils.grading.cells import (
    TooLong,
    binds,
    bounded,
    is_stub,
    look_at_the_clock,
    problem_of,
    read,
)
from utils.grading.pieces import Found, Submission, checked, in_order, run_what_is_needed
from utils.grading.reading import (
    MAX_SOURCE,
    BadNotebook,
    language_of,
    read_cells,
    release_cells,
    written_with,
)
from utils.grading.written import written_answers
from utils.words import later, say, speaking

if TYPE_CHECKING:
    from utils.checks.spec import Exercise

Cell = dict[str, Any]
SECONDS = (
    10.0  # of the processor, to read one submission; the longest of honest notebooks takes a tenth of one
)


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
    submission.written = written_answers(cells, release)
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
    pieces, late = in_order(code, release, places)
    run_what_is_needed(submission, pieces, late, names)
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
        "checks": set[str]().union(*map(checked, body)),
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
    first: dict[str, ast.stmt] = {}  # what is asked first counts
    for node in cell["body"]:
        for name in wanted & checked(node):
            if not any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node)):
                first.setdefault(name, node)
    text = cell["text"]
    for name, node in sorted(
        first.items(), key=lambda one: -one[1].lineno
    ):  # from behind: places further up stay
        look_at_the_clock()
        call = cast(ast.Call, cast(ast.Expr, node).value)
        given = [*call.args, *(k.value for k in call.keywords if k.arg == "attempt")]
        segment = ast.get_source_segment(cell["text"], given[0]) if given else None
        text = _put(text, node, f"{name} = ({segment})") if segment else text
    return _read(cell | {"source": text}) if text != cell["text"] else cell


def _put(text: str, node: ast.stmt, new: str) -> str:
    """The text with other code in a statement's place, and as many lines."""
    lines = text.encode().split(b"\n")  # Python counts columns in bytes
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    whole = lines[first][: node.col_offset] + new.encode() + lines[last - 1][node.end_col_offset :]
    lines[first:last] = [whole, *[b""] * (last - first - 1 - new.count("\n"))]
    return b"\n".join(lines).decode()


def _making(cell: Cell, name: str) -> list[ast.stmt]:
    """Statements of a cell that make a name."""
    return [node for node, makes in zip(cell["body"], cell["makes"], strict=True) if name in makes]


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
