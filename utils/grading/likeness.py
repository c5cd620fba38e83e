"""What answers have in common with each other's, with the official answers and with stand-ins. Marks for the instructor, no verdicts.

Syntax trees without names, comments, annotations and imports are written out node by node, cut into overlapping pieces, and of each few pieces one is
kept (winnowing: Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document fingerprinting", SIGMOD 2003). So a copy with other names,
in another order, with other comments has the same prints. The release's own lines do not count, nor, between students, what is in the official
answers or in most of the class's.
"""

from __future__ import annotations

import ast
import base64
import builtins
import inspect
import itertools
import re
import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from utils.checks.registry import exercises_of
from utils.grading import answers, lending
from utils.grading.cells import parse
from utils.grading.normalise import Submission
from utils.grading.reading import MAX_SOURCE, release_cells
from utils.grading.reports import tables

PIECE = 12  # nodes in a piece: about a line and a half
WINDOW = 4  # of so many pieces behind each other at least one is kept
LONGEST = MAX_SOURCE + 10_000  # characters of a part that is looked at: all of any cell that is read
#: two notebooks are alike if they share two thirds of what is left (honest answers of the banks reach 56 %), two answers to one exercise if they share nearly all, and enough is left to tell
NOTEBOOK, IN_NOTEBOOK = 0.65, 40
EXERCISE, IN_EXERCISE = 0.9, 30
SMALL_CLASS = 10  # students below which nothing is called common to most of them

Prints = frozenset[int]
_BUILTINS = {*dir(builtins)} - {"exec", "eval"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NO_CODE = ("annotation", "returns", "type_comment", "ctx", "decorator_list", "type_params")


def _sequences(source: str) -> Iterator[list[str]]:
    """Syntax trees in the order of the text, one for each function: kinds of nodes, what is called on objects, numbers; no names that a student chooses."""
    roots: list[Any] = [parse(source)] if len(source) < LONGEST else []
    while roots:
        root = roots.pop()
        nodes, todo = list[str](), [root]
        while todo:
            node = todo.pop()
            if node is None or _does_nothing(node):
                continue
            if isinstance(node, ast.Return) or _names(node):  # `x = f(); return x` is `return f()`
                nodes.append("value")
                todo.append(node.value)
                continue
            if isinstance(node, _FUNCTIONS) and node is not root:  # in whatever order they stand
                roots.append(node)
                nodes.append("function")
            elif isinstance(node, ast.Constant):
                number = node.value is None or isinstance(node.value, bool | float | int)
                nodes.append(repr(node.value)[:40] if number else "text")
            elif isinstance(node, ast.JoinedStr):
                nodes.append("text")
            elif isinstance(node, ast.Attribute):
                own = isinstance(node.value, ast.Name) and node.value.id == "self"
                nodes.append("self" if own else f".{node.attr}")
                todo.append(node.value)
            else:
                nodes.append(type(node).__name__ + str(node.arg if isinstance(node, ast.keyword) else ""))
                children = [value for name, value in ast.iter_fields(node) if name not in _NO_CODE]
                flat = [one for value in children for one in (value if isinstance(value, list) else [value])]
                todo += [one for one in reversed(flat) if isinstance(one, ast.AST)]
        yield nodes


def _names(node: ast.AST) -> bool:
    """Whether it gives a value a name and does nothing else."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return isinstance(node, ast.Assign | ast.AnnAssign) and all(isinstance(one, ast.Name) for one in targets)


def _does_nothing(node: ast.AST) -> bool:
    """Whether it is what a disguise strews between lines: a text, a constant's name, a value that is looked at, an import, `pass`, `assert`, `print`."""
    value = getattr(node, "value", None)
    if isinstance(node, ast.Expr):
        printed = (
            isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print"
        )
        return printed or isinstance(value, ast.Constant | ast.Name) or _is_made_of_nothing(node)
    if isinstance(node, ast.Return):
        return value is None or isinstance(value, ast.Name)
    idle = isinstance(node, ast.Import | ast.ImportFrom | ast.Pass | ast.Assert | ast.Global | ast.Nonlocal)
    return (
        idle
        or (_names(node) and (value is None or isinstance(value, ast.Constant | ast.Name)))
        or _is_made_of_nothing(node)
    )


_SMALL = (ast.Expr, ast.Assign, ast.AnnAssign, ast.If, ast.While, ast.For)
_TELLING = (ast.Attribute, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom, ast.Await, ast.Break, ast.Continue, ast.Delete)  # fmt: skip


def _is_made_of_nothing(node: ast.AST) -> bool:
    """Whether a small statement (`if 0: pass`, `_ = [0 + 0]`, `for _ in (): str()`) looks at nothing that its function or its notebook has."""
    parts = [*itertools.islice(ast.walk(node), 50)] if isinstance(node, _SMALL) else []
    return 0 < len(parts) < 50 and not any(
        isinstance(part, _TELLING)
        or (isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id not in _BUILTINS)
        or (isinstance(part, ast.Assign) and not _names(part))
        for part in parts
    )


def prints(*texts: str) -> Prints:
    """The prints of some texts, 32-bit numbers; none for what is no Python, or far longer than any notebook."""
    found: set[int] = set()
    for nodes in itertools.chain.from_iterable(map(_sequences, texts)):
        numbers = [zlib.crc32(node.encode()) for node in nodes]
        pieces = [
            zlib.crc32(array("I", numbers[n : n + PIECE]).tobytes()) for n in range(len(numbers) - PIECE + 1)
        ]
        found |= {min(pieces[n : n + WINDOW]) for n in range(max(len(pieces) - WINDOW + 1, 1)) if pieces}
    return frozenset(found)


@cache
def _released(notebook: str) -> Prints:
    return prints(*(cell["source"] for cell in release_cells(notebook) if cell["cell_type"] == "code"))


def record(submission: Submission) -> dict[str, str]:
    """Prints of a submission for the gradebook: exercise -> those of the part with its answer, "" -> those of all other cells."""
    texts: dict[str, list[str]] = defaultdict(list)
    for part in submission.parts:
        if part.kind != "release" and part.source:
            texts[part.name if part.kind == "answer" else ""].append(part.source)
    known = _released(submission.notebook)
    return {name: _packed(prints(*some) - known) for name, some in texts.items()}


def runs_a_text(submission: Submission) -> bool:
    """Whether a student's code runs what stands in a text, which nobody has read (`exec`, `eval`, however they are called)."""
    for part in submission.parts:
        tree = parse(part.source) if part.kind != "release" and re.search("exec|eval", part.source) else None
        for node in ast.walk(tree) if tree else ():
            if (isinstance(node, ast.Name) and node.id in ("exec", "eval")) or (
                isinstance(node, ast.Constant) and node.value in ("exec", "eval")
            ):
                return True
    return False


def _packed(some: Prints) -> str:
    return base64.b64encode(array("I", sorted(some)).tobytes()).decode()


@dataclass
class Work:
    """The prints of one entry of the gradebook: by exercise, and all together."""

    parts: dict[str, Prints]

    @cached_property
    def whole(self) -> Prints:
        return frozenset().union(*self.parts.values())


def _work(entry: dict[str, Any]) -> Work:
    return Work(
        {
            name: frozenset(array("I", base64.b64decode(text)))
            for name, text in entry.get("prints", {}).items()
        }
    )


@cache
def official(notebook: str) -> dict[str, Prints]:
    """Exercise -> prints of the official answer; {} in a copy of the course that has none."""
    try:
        found = {
            one.name: prints(inspect.getsource(answers.reference(one))) for one in exercises_of(notebook)
        }
    except answers.NoSolutions:
        return {}
    return {name: some - _released(notebook) for name, some in found.items()}


@cache
def stand_ins(notebook: str, alone: bool = False) -> dict[str, Prints]:
    """Exercise -> prints of the stand-in's text, with what it needs or `alone`."""
    found = {}
    for one in exercises_of(notebook):
        if one.stand_in:
            texts = lending.texts([one.stand_in] if alone else lending.closure(one.stand_in))
            found[one.name] = prints(*texts.values()) - _released(notebook)
    return found


def share(one: Prints, other: Prints) -> float:
    """How much of the smaller of the two is in the other."""
    return len(one & other) / max(min(len(one), len(other)), 1)


def looks(entry: dict[str, Any]) -> Iterator[str]:
    """What of an entry looks like the official answers or the stand-ins, in words; and what nobody can look at."""
    if entry.get("runs_a_text"):
        yield "it runs code that stands in a text (exec, eval), which nothing here looks at"
    whole, notebook = _work(entry).whole, entry["notebook"]
    for kind, known, alone in (
        ("the official answer", official(notebook), {}),
        ("the course's stand-in", stand_ins(notebook), stand_ins(notebook, alone=True)),
    ):
        alike = [
            name
            for name, some in known.items()
            if any(
                len(text) >= IN_EXERCISE and len(text & whole) >= EXERCISE * len(text)
                for text in (some, alone.get(name, some))
            )
        ]
        everything: Prints = frozenset().union(*known.values())
        of_all = share(whole, everything) if min(len(whole), len(everything)) >= IN_NOTEBOOK else 0.0
        if of_all >= NOTEBOOK:
            yield f"{of_all:.0%} of its code looks like {kind}s" + (": " + ", ".join(alike)) * bool(alike)
        elif alike:
            yield f"looks like {kind}: {', '.join(alike)}"


@dataclass(frozen=True)
class Pair:
    """Two entries that are alike.

    Args:
        notebook: its name.
        students: the two.
        share: of the smaller one's code, what the other has too.
        exercises: in which nearly all is shared.
    """

    notebook: str
    students: tuple[str, str]
    share: float
    exercises: tuple[str, ...]


def pairs(entries: Iterable[dict[str, Any]]) -> list[Pair]:
    """Near-copies in a class, the most alike first. Each student's own attempts are not compared with each other."""
    books: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry["notebook"] and entry.get("prints"):
            books[entry["notebook"]].append(entry)
    found = [pair for notebook, group in books.items() for pair in _in_class(notebook, group)]
    return sorted(found, key=lambda pair: (-pair.share, pair.notebook, pair.students))


def _in_class(notebook: str, group: list[dict[str, Any]]) -> Iterator[Pair]:
    known: Prints = frozenset().union(*official(notebook).values())
    works = [Work({name: some - known for name, some in work.parts.items()}) for work in map(_work, group)]
    counts = Counter(one for work in works for one in work.whole)
    most = max(SMALL_CLASS, len(works)) / 2
    common = {one for one, count in counts.items() if count > most}
    rare = [Work({name: some - common for name, some in work.parts.items()}) for work in works]
    alike: dict[tuple[int, int], float] = {}
    where: dict[tuple[int, int], list[str]] = defaultdict(list)
    # a ring that is larger than half of the class is common, and yet nobody writes a whole notebook as somebody else does
    for some, least in ((rare, NOTEBOOK), (works, EXERCISE)):
        for pair, value in _alike([work.whole for work in some], least, IN_NOTEBOOK):
            alike[pair] = max(value, alike.get(pair, 0.0))
    for name in sorted({name for work in rare for name in work.parts if name}):
        for pair, _ in _alike([work.parts.get(name, frozenset()) for work in rare], EXERCISE, IN_EXERCISE):
            where[pair].append(name)
            alike.setdefault(pair, share(works[pair[0]].whole, works[pair[1]].whole))
    for (a, b), value in alike.items():
        one, other = group[a], group[b]
        if (one["student"], one["user"]) != (other["student"], other["user"]):
            students = (tables.called(one), tables.called(other))
            yield Pair(notebook, students, value, tuple(where.get((a, b), ())))


def _alike(sets: list[Prints], least: float, enough: int) -> Iterator[tuple[tuple[int, int], float]]:
    """Pairs of indices of which the smaller has at least `enough` prints and the other at least a share of them."""
    kept = [n for n, some in enumerate(sets) if len(some) >= enough]
    counts = Counter(one for n in kept for one in sets[n])
    columns = {one: c for c, one in enumerate(one for one, count in counts.items() if count > 1)}
    shared = np.zeros((len(kept), len(kept)), np.float32)
    for first in range(0, len(columns), 4096):  # a piece of the table at a time: 2,000 students take 32 MB
        table = np.zeros((len(kept), 4096), np.float32)
        for row, n in enumerate(kept):
            places = [c - first for one in sets[n] if 0 <= (c := columns.get(one, -1)) - first < 4096]
            table[row, places] = 1
        shared += table @ table.T
    sizes = np.array([len(sets[n]) for n in kept], np.float32)
    shares = shared / np.minimum.outer(sizes, sizes) if kept else shared
    for a, b in zip(*np.nonzero(np.triu(shares >= least, 1)), strict=True):
        yield (kept[a], kept[b]), float(shares[a, b])
