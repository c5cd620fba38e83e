"""Takes a student's own answers out of a notebook of theirs, without running what trains or draws."""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from utils.checks.copies import DEFINITIONS, Copy, copies, tree_of
from utils.checks.limits import TimeLimitExceeded, time_limit
from utils.checks.registry import exercises_of
from utils.checks.spec import Exercise

PRELUDE = """
import math
from collections import Counter
import torch
import torch.nn.functional as F
from einops import einsum, pack, rearrange, reduce, repeat, unpack
from torch import Tensor, nn
"""
SECONDS = 5.0  # for one cell
_asked: list[str] = []  # exercises that are being looked for, so that notebooks which reuse each other end


def answers(
    exercise: Exercise, reuse: Callable[[str], Any], folders: Sequence[Path] | None = None
) -> Iterator[tuple[Any, Path]]:
    """The student's answers to an exercise, one per copy of the notebook that has one that runs.

    Args:
        exercise: which answer.
        reuse: gives what a notebook takes over from an earlier one.
        folders: where to look; default `copies.places()`.

    Yields:
        the function or class, and the file it is from.
    """
    if exercise.name in _asked:
        return
    _asked.append(exercise.name)
    try:
        names = [other.name for other in exercises_of(exercise.notebook)]
        for copy in copies(exercise.notebook, names, folders):
            space: dict[str, Any] = {"__name__": "earlier"}
            exec(PRELUDE, space)
            if run(copy, exercise.name, space, reuse):
                yield space[exercise.name], copy.path
    finally:
        _asked.remove(exercise.name)


def run(copy: Copy, name: str, space: dict[str, Any], reuse: Callable[[str], Any]) -> bool:
    """Runs one answer's cell in a namespace, and before it what the notebook defines: no work of other cells.

    Args:
        copy: the notebook.
        name: the exercise.
        space: the namespace.
        reuse: as in :func:`answers`.

    Returns:
        whether the notebook has such an answer and it ran.
    """
    last = copy.answer_cell(name)
    if last is None:
        return False
    words = set(re.findall(r"\w+", "\n".join(cell[0] for cell in copy.cells[: last + 1] if cell and cell[1])))
    words |= set(re.findall(r"\w+", copy.source(last)))
    for index, cell in enumerate(copy.cells[: last + 1]):
        tree = tree_of(cell[0]) if cell else None
        if cell is None or tree is None:
            continue
        whole = bool(cell[1]) or index == last
        parts = [tree] if whole else [ast.Module([node], []) for node in tree.body if _is_definition(node)]
        for target, used in _reused(tree):
            if target in words and target not in space:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(LookupError):
                    space[target] = reuse(used)
        filename = f"<{copy.path.name}, cell {index + 1}>"
        linecache.cache[filename] = (len(cell[0]), None, cell[0].splitlines(keepends=True), filename)
        ran = [_runs(part, filename, space) for part in parts]
        if index == last:
            return all(ran) and name in space
    return False


def _runs(part: ast.Module, filename: str, space: dict[str, Any]) -> bool:
    try:
        with time_limit(SECONDS), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(part, filename, "exec"), space)
    except (Exception, TimeLimitExceeded):  # an unfinished answer is no answer
        return False
    return True


def _is_definition(node: ast.stmt) -> bool:
    """Whether a statement only names something: an import, a function, a class, a plain constant."""
    if isinstance(node, ast.Assign):
        try:
            ast.literal_eval(node.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return False
        return True
    return isinstance(node, (ast.Import, ast.ImportFrom, *DEFINITIONS))


def _reused(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(name, exercise) of each `name = reuse("exercise")`, also side by side in one line."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        pairs = [(node.targets[0], node.value)]
        if isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(node.targets[0].elts, node.value.elts, strict=False))
        for target, value in pairs:
            match target, value:
                case ast.Name(id=name), ast.Call(
                    func=ast.Name(id="reuse"), args=[ast.Constant(value=str(used))]
                ):
                    yield name, used
