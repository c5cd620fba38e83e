"""Reads the Python of notebook cells without running it: what a cell defines, and which of its statements do no work."""

from __future__ import annotations

import ast
import contextlib
import itertools
import math
import re
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar

# Calls that build a constant: cheap, and without them an answer may miss a name (`NEG_INF = float("-inf")`).
_CHEAP = {
    *("float", "int", "str", "bool", "complex", "list", "dict", "tuple", "set", "frozenset", "range", "len", "min", "max", "abs"),
    *("sum", "sorted", "zip", "enumerate", "slice", "partial", "namedtuple", "defaultdict", "Counter", "TypeVar", "property", "reuse"),
    *("math", "torch", "nn", "F", "np", "numpy", "re", "functools", "collections", "itertools", "operator", "string", "os"),
}  # fmt: skip
_HUGE = re.compile(
    r"\b0[xXoObB]\w{3000}"
)  # Python reads such a number and refuses to write it, as `ast.unparse` must
_number = itertools.count()
_KINDS = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
_end: ContextVar[float] = ContextVar("_end", default=math.inf)
#: what reading or writing Python raises on text that is no Python, or that is nested too deep
DEEP = (SyntaxError, ValueError, RecursionError, MemoryError)


class TooLong(Exception):
    """A submission's text takes too much time to read."""


@contextlib.contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Within the block, whoever reads Python looks at the clock first.

    Some texts cost Python's own parser time that grows with their square. The time is the processor's, of this thread: a busy machine
    costs nobody a grade.

    Args:
        seconds: after which :func:`look_at_the_clock` raises.
    """
    before = _end.set(time.thread_time() + seconds)
    try:
        yield
    finally:
        _end.reset(before)


def look_at_the_clock() -> None:
    """Ends a reading that has had its time.

    Raises:
        TooLong: it has.
    """
    if time.thread_time() > _end.get():
        raise TooLong


def parse(source: str) -> ast.Module | None:
    """The syntax tree, or None if it is no Python. Lines for IPython (`%magic`, `!shell`, `name?`) count as what `plain` makes of them.

    Raises:
        TooLong: see `bounded`.
    """
    return read(source)[0]


def read(source: str) -> tuple[ast.Module | None, str, list[int]]:
    """The syntax tree (None: no Python), the text that it is of, and the lines for IPython in it that are not run, from 1.

    Raises:
        TooLong: see `bounded`.
    """
    if _HUGE.search(source):
        return None, source, []
    for text, lines in _ways(source):
        look_at_the_clock()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "invalid escape sequence" and the like are the student's
                return ast.parse(text), text, lines
        except DEEP:
            continue
    return None, source, []


def _ways(source: str) -> Iterator[tuple[str, list[int]]]:
    """As Python, and only if that fails as a cell for IPython."""
    yield source, []
    yield plain(source)
    yield plain(source, indented=False)


def problem_of(source: str) -> str:
    """Why a cell is no Python, with the line, or "".

    Raises:
        TooLong: see `bounded`.
    """
    look_at_the_clock()
    if _HUGE.search(source):
        return "a number of thousands of digits"
    try:
        ast.parse(plain(source)[0])
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except DEEP as error:
        return type(error).__name__
    return ""


_TIMED = ("time", "capture", "prun")  # cell magics behind which Python stands that leaves its names behind
_SHELL = r"(?:cd|ls|pip|conda|mkdir|rm|cp|mv|cat)[ \t]+[^\s=(,\[][^=(]*"  # IPython takes these without a sign


def plain(source: str, *, indented: bool = True) -> tuple[str, list[int]]:
    """The source as Python, with as many lines: what IPython's `%`, `!` and `?` lines hold of Python stays, the rest becomes `pass`.

    Args:
        source: of a cell.
        indented: whether lines that do not begin at the margin count too.

    Returns:
        the text, and which lines are not run.
    """
    lines = source.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    left: list[int] = []
    if found := re.match(r"%%(\w+)", lines[first] if lines else ""):
        if found[1] not in _TIMED:
            return "\n" * (len(lines) - 1), [*range(first + 1, len(lines) + 1)]
        lines[first] = ""
    continued = False
    for number, line in enumerate(lines):
        if continued:
            continued, lines[number] = line.endswith("\\"), ""
            left.append(number + 1)
            continue
        if line[:1].isspace() and not indented:
            continue
        made = _python_of(line)
        if made is not None:
            lines[number] = made
            if made.strip() in ("pass", "") or made.endswith(("= []", "= None")):
                left.append(number + 1)
                continued = line.endswith("\\")
    return "\n".join(lines), left


def _python_of(line: str) -> str | None:
    """What a line for IPython becomes, or None if it is none."""
    if found := re.match(r"([ \t]*)%time(?:it)?[ \t]+(?!-)(.+)$", line):
        return f"{found[1]}{found[2]}" if "%timeit" not in line else f"{found[1]}pass"
    if found := re.match(r"([\w.,\[\] \t\"']+=)[ \t]*([%!])(.*)$", line):
        if found[2] == "%" and (timed := re.match(r"time[ \t]+(.+)$", found[3])):
            return f"{found[1]} {timed[1]}"
        return f"{found[1]} {'[]' if found[2] == '!' else 'None'}"
    if found := re.match(rf"([ \t]*)(?:[%!?].*|[\w.]+\?\??[ \t]*|{_SHELL})$", line):
        return f"{found[1]}pass"
    return None


def binds(tree: ast.Module | None) -> set[str]:
    """Names that a cell makes at its top level, by whatever statement."""
    found: set[str] = set()
    todo: list[ast.AST] = [*tree.body] if tree else []
    while todo:
        node = todo.pop()
        if isinstance(node, _KINDS):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(name.asname or name.name).split(".")[0] for name in node.names}
        else:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            if not isinstance(node, ast.Lambda | ast.comprehension):
                todo.extend(ast.iter_child_nodes(node))
    return found


def _reached(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and all in it, without what stands behind a `return` or a `raise` in the same block: such lines never run."""
    todo = [node]
    while todo:
        part = todo.pop()
        yield part
        for _, value in ast.iter_fields(part):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    todo.append(child)
                if isinstance(child, ast.Return | ast.Raise):
                    break


def is_stub(node: ast.AST) -> bool:
    """Whether a function, or a method of a class, still raises the release's "not started yet"; a comment does not, nor does a line behind the
    answer's `return`."""
    return isinstance(node, _KINDS) and any(
        isinstance(part, ast.Raise)
        and isinstance(part.exc, ast.Call)
        and isinstance(part.exc.func, ast.Name)
        and part.exc.func.id == "NotImplementedError"
        and any(
            isinstance(value, ast.Constant) and value.value == "not started yet" for value in part.exc.args
        )
        for part in _reached(node)
    )


def defines(source: str) -> list[str]:
    """Names of the functions and classes that a cell defines at its top level."""
    tree = parse(source)
    return [node.name for node in tree.body if isinstance(node, _KINDS)] if tree else []


def definitions(source: str, *, constants: bool = True) -> str:
    """Of a cell, what defines something without doing work: imports, functions, classes, constants, `reuse(...)`.

    Args:
        source: the cell.
        constants: whether assignments count.
    """
    tree = parse(source)
    if tree is None:
        return ""
    kept = [node for node in tree.body if is_definition(node)]
    if not constants:
        kept = [node for node in kept if not isinstance(node, ast.Assign | ast.AnnAssign)]
    try:
        return "\n".join(ast.unparse(node) for node in kept)
    except DEEP:
        return ""


def bound(tree: ast.Module) -> dict[str, str] | None:
    """Name -> what a cell binds it to (for imports, in words that are equal if the import is), or None if the cell also does work.

    Whatever could run code of the student's counts as work: a decorator, a call in a default value, an annotation or a base class, statements
    in a class.
    """
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            where = f"{node.level} {node.module}" if isinstance(node, ast.ImportFrom) else ""
            if any(name.name == "*" for name in node.names):  # which names these are, only running it tells
                return None
            for name in node.names:
                found[name.asname or name.name.split(".")[0]] = f"{where} {name.name}"
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not _is_still(node):
                return None
            found[node.name] = f"definition {next(_number)}"
        elif isinstance(node, ast.ClassDef):
            outside = [
                *node.decorator_list,
                *node.keywords,
                *(call for base in node.bases for call in _calls(base)),
            ]
            inside = [part for part in node.body if not _is_text(part) and not isinstance(part, ast.Pass)]
            if outside or not all(isinstance(part, ast.FunctionDef) and _is_still(part) for part in inside):
                return None
            found[node.name] = f"definition {next(_number)}"
        elif isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
            if list(_calls(node.value)):
                return None
            found.update(
                {
                    target.id: f"value {next(_number)}"
                    for target in node.targets
                    if isinstance(target, ast.Name)
                }
            )
        elif not _is_text(node):
            return None
    return found


def _is_still(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether defining this function runs nothing."""
    # what of it is evaluated at once: defaults and annotations
    return not node.decorator_list and not any(
        list(_calls(part)) for part in (node.args, node.returns) if part is not None
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_definition(node: ast.stmt) -> bool:
    """Whether a statement defines something without doing work: an import, a function, a class, a constant, `reuse(...)`."""
    if isinstance(node, (ast.Import, ast.ImportFrom, *_KINDS)):
        return True
    if isinstance(node, ast.Try | ast.If):  # an import with a fallback
        parts = [*node.body, *node.orelse]
        if isinstance(node, ast.Try):
            parts += [*node.finalbody, *(part for handler in node.handlers for part in handler.body)]
        tested = isinstance(node, ast.Try) or not list(_calls(node.test))
        return tested and all(isinstance(part, ast.Pass) or is_definition(part) for part in parts)
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return all(_root(call) in _CHEAP for call in _calls(node.value))
    return False


def _calls(node: ast.AST) -> Iterator[ast.Call | ast.Await]:
    """The calls that evaluating an expression makes; what a lambda would call later is none."""
    todo = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Call | ast.Await):
            yield part
        if not isinstance(part, ast.Lambda):
            todo.extend(ast.iter_child_nodes(part))


def _root(node: ast.AST) -> str:
    """`torch` of `torch.nn.init(...)`: the name that a call begins with, or ""."""
    while isinstance(node, ast.Call | ast.Attribute | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
