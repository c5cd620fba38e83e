"""Small changes to an answer's syntax tree, such as a student's slip makes: an operator, a constant, an axis, an argument, a statement.

An operator is a function that takes a node and yields (what was done, the node in its place). None in its place deletes a statement.

They are our own: cosmic-ray and mutmut change operators, numbers and keywords of Python, which is the smaller half of what is below; they
know no axes, einops patterns or exchanged arguments, and run a test suite per mutant, where a check takes milliseconds in this process.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Change = tuple[str, ast.AST | list[ast.AST] | None]

BINARY: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
COMPARE: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True)
class Mutant:
    """An answer with one change.

    Args:
        line: of the answer's text, from 1.
        what: was done, in words.
        source: the whole text.
    """

    line: int
    what: str
    source: str


def mutants(source: str, wanted: Callable[[ast.AST], bool] = lambda node: True) -> list[Mutant]:
    """All different mutants of a function or class.

    Args:
        source: its text.
        wanted: says of a node whether it may be changed; default all.
    """
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    names = names_in(tree)
    found: dict[str, Mutant] = {}
    for parent, place, index, node in list(_places(tree)):
        line = getattr(node, "lineno", 0)
        if not line or not wanted(node):
            continue
        siblings = getattr(parent, place)
        neighbour = siblings[index + 1] if index >= 0 and index + 1 < len(siblings) else None
        changes = [change for operator in OPERATORS for change in operator(node)]
        changes += [(what, [other]) for what, other in kin(node, names)]
        if isinstance(neighbour, ast.stmt) and wanted(neighbour) and _meet(node, neighbour):
            changes.append((f"{_text(node)}: behind {_text(neighbour)}", [neighbour, node]))
        for what, changed in changes:
            several = len(changed) if isinstance(changed, list) and len(changed) > 1 else 1
            text = _with(tree, (parent, place, index, node), changed, several)
            if text not in ("", plain) and text not in found:
                found[text] = Mutant(line, what, text)
    return list(found.values())


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int, ast.AST]]:
    """Every node as (its parent, the parent's field, its index there or -1, the node), in the order of `ast.walk`."""
    for parent in ast.walk(tree):
        for place, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                yield parent, place, -1, value
            elif isinstance(value, list):
                yield from (
                    (parent, place, i, item) for i, item in enumerate(value) if isinstance(item, ast.AST)
                )


def _with(
    tree: ast.AST,
    where: tuple[ast.AST, str, int, ast.AST],
    changed: ast.AST | list[ast.AST] | None,
    several: int,
) -> str:
    """The tree's text with something else at a place; "" if that is no program. The tree stays as it is."""
    parent, place, index, node = where
    before = getattr(parent, place)
    put = changed if isinstance(changed, list) else [changed] if changed is not None else []
    for new in put:
        ast.fix_missing_locations(new if hasattr(new, "lineno") else ast.copy_location(new, node))
    after: Any
    if index < 0:
        after = put[0] if put else None
    else:
        after = [*before[:index], *put, *before[index + several :]] or (
            [ast.Pass()] if place == "body" else []
        )
    setattr(parent, place, after)
    try:
        text = ast.unparse(tree)
        ast.parse(text)
    except (SyntaxError, AttributeError, TypeError, ValueError):
        return ""
    finally:
        setattr(parent, place, before)
    return text


def _copy(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _text(node: ast.AST) -> str:
    text = ast.unparse(node).split("\n")[0]
    return text if len(text) < 60 else text[:57] + "..."


def arithmetic(node: ast.AST) -> Iterator[Change]:
    """Another operator; operands exchanged; one operand alone."""
    if isinstance(node, ast.BinOp):
        if other := BINARY.get(type(node.op)):
            yield f"{_text(node)}: another operator", _copy(node, op=other())
        if isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow | ast.FloorDiv | ast.Mod):
            yield f"{_text(node)}: operands exchanged", _copy(node, left=node.right, right=node.left)
        yield f"{_text(node)}: the left operand alone", node.left
        if isinstance(node.op, ast.Add | ast.Mult):
            yield f"{_text(node)}: the right operand alone", node.right
    if isinstance(node, ast.UnaryOp):
        yield f"{_text(node)}: without its operator", node.operand


def logic(node: ast.AST) -> Iterator[Change]:
    """Comparisons at the border, the other way round, decided for good."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield f"{_text(node)}: another comparison", _copy(node, ops=[COMPARE[type(node.ops[0])]()])
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{_text(node)}: and/or exchanged", _copy(node, op=other)
        for value in node.values:
            yield f"{_text(node)}: only {_text(value)}", value
    if isinstance(node, ast.If | ast.IfExp):
        for truth in (True, False):
            yield f"if {_text(node.test)}: always {truth}", _copy(node, test=ast.Constant(truth))


def constants(node: ast.AST) -> Iterator[Change]:
    """Numbers and axes beside the right one, flags turned, two names of a pattern exchanged."""
    if isinstance(node, ast.Constant):
        value = node.value
        others: list[Any] = []
        if isinstance(value, bool):
            others = [not value]
        elif isinstance(value, int):
            others = [value + 1, value - 1] + ([-value] if value > 1 else [])
        elif isinstance(value, float):
            others = [float(f"{value * (10 if abs(value) < 1e-2 else 1.5):.6g}"), 0.0]
        elif isinstance(value, str) and "->" in value:
            words = value.split(" ")
            pairs = zip(range(len(words)), range(1, len(words)), strict=False)
            others = [
                " ".join([*words[:i], words[j], words[i], *words[j + 1 :]])
                for i, j in pairs
                if "->" not in (words[i], words[j])
            ]
            others += [
                value.replace(f"({part})", f"({' '.join(reversed(part.split()))})", 1)
                for part in (chunk.split(")")[0] for chunk in value.split("(")[1:])
            ]
        for other in others:
            yield f"{value!r} becomes {other!r}", ast.Constant(other)


def calls(node: ast.AST) -> Iterator[Change]:
    """Arguments dropped or exchanged, the call left out, two calls in the other order."""
    if not isinstance(node, ast.Call):
        return
    for keyword in node.keywords:
        others = [k for k in node.keywords if k is not keyword]
        yield f"{_text(node)}: without {keyword.arg or '**'}", _copy(node, keywords=others)
    for i in range(len(node.args)):
        if len(node.args) > 1 or isinstance(node.func, ast.Attribute):
            rest = node.args[:i] + node.args[i + 1 :]
            yield f"{_text(node)}: without argument {i + 1}", _copy(node, args=rest)
    for i in range(len(node.args) - 1):
        swapped = [*node.args[:i], node.args[i + 1], node.args[i], *node.args[i + 2 :]]
        yield f"{_text(node)}: arguments {i + 1} and {i + 2} exchanged", _copy(node, args=swapped)
    if isinstance(node.func, ast.Attribute) and not (
        isinstance(node.func.value, ast.Name) and node.func.value.id in ("F", "torch", "math", "nn", "self")
    ):
        yield f"{_text(node)}: without .{node.func.attr}()", node.func.value
    elif node.args:
        yield f"{_text(node)}: its first argument alone", node.args[0]
    inner = node.args[0] if len(node.args) == 1 else None
    if isinstance(inner, ast.Call) and len(inner.args) == 1 and not (node.keywords or inner.keywords):
        turned = _copy(inner, args=[_copy(node, args=inner.args)])
        yield f"{_text(node)}: the two calls in the other order", turned


def subscripts(node: ast.AST) -> Iterator[Change]:
    """Axes of an index or parts of a tuple exchanged, a bound left out."""
    if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load):
        for i in range(len(node.elts) - 1):
            swapped = [*node.elts[:i], node.elts[i + 1], node.elts[i], *node.elts[i + 2 :]]
            yield f"({_text(node)}): parts {i + 1} and {i + 2} exchanged", _copy(node, elts=swapped)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        for bound in ("lower", "upper", "step"):
            if getattr(node.slice, bound) is not None:
                part = _copy(node.slice, **{bound: None})
                yield f"{_text(node)}: without its {bound} bound", _copy(node, slice=part)


def statements(node: ast.AST) -> Iterator[Change]:
    """A statement deleted, an assignment that adds turned into one that replaces, a loop cut short."""
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Assert):
        yield f"{_text(node)}: deleted", None
    if isinstance(node, ast.AugAssign):
        yield f"{_text(node)}: replaces", ast.Assign([node.target], node.value)
    if isinstance(node, ast.With):
        yield f"{_text(node)}: without it", ast.If(ast.Constant(True), node.body, [])
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.decorator_list:
        yield f"{node.name}: without its decorator", _copy(node, decorator_list=[])


# Names that a slip puts in each other's place, if both occur in an answer.
KINDS = (
    {"query", "key", "value"},
    {"q", "k", "v"},
    {"queries", "keys", "values"},
    {"weight", "bias"},
    {"weights", "biases"},
    {"height", "width"},
    {"rows", "columns", "cols"},
    {"row", "column", "col"},
    {"sin", "cos"},
    {"sigmoid", "tanh"},
    {"mean", "sum"},
    {"zeros", "ones"},
    {"min", "max"},
)


def names_in(tree: ast.AST) -> dict[type, set[str]]:
    """The names that an answer reads, and the attributes."""
    nodes = list(ast.walk(tree))
    return {
        ast.Name: {node.id for node in nodes if isinstance(node, ast.Name)}
        | {node.arg for node in nodes if isinstance(node, ast.arg)},
        ast.Attribute: {node.attr for node in nodes if isinstance(node, ast.Attribute)},
    }


def are_kin(one: str, other: str) -> bool:
    """Whether two names are of a kind: norm1 and norm2, weight_ih and bias_ih, query and key."""
    if one == other:
        return False
    if any({one, other} <= kind for kind in KINDS):
        return True
    bare = [name.rstrip("0123456789") for name in (one, other)]
    if bare[0] == bare[1] != "":
        return True
    parts = one.split("_"), other.split("_")
    if len(parts[0]) != len(parts[1]) or len(parts[0]) < 2:
        return False
    return sum(a != b for a, b in zip(*parts, strict=True)) == 1


def kin(node: ast.AST, names: dict[type, set[str]]) -> Iterator[tuple[str, ast.AST]]:
    """One name for another of its kind, which the answer holds as well."""
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        field = "id" if isinstance(node, ast.Name) else "attr"
        for other in sorted(names[type(node)]):
            if are_kin(getattr(node, field), other):
                yield f"{_text(node)}: {other} in its place", _copy(node, **{field: other})


def _meet(first: ast.AST, second: ast.AST) -> bool:
    """Whether the order of two statements can matter: one sets what the other names, or one is there for what it does."""
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return False  # a docstring
    if isinstance(first, ast.Return | ast.Raise) or isinstance(second, ast.Return | ast.Raise):
        return False
    if isinstance(first, ast.Expr) or isinstance(second, ast.Expr):
        return True
    named, set_here = zip(*(_names_of(statement) for statement in (first, second)), strict=True)
    return bool(set_here[0] & named[1] or set_here[1] & named[0])


def _names_of(statement: ast.AST) -> tuple[set[str], set[str]]:
    """The names and dotted names in a statement, and those of them that it sets."""
    found = [node for node in ast.walk(statement) if isinstance(node, ast.Name | ast.Attribute)]
    changed = {
        ast.unparse(node.target if isinstance(node, ast.AugAssign) else node.value)
        for node in ast.walk(statement)
        if isinstance(node, ast.AugAssign)
        or (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store))
    }
    return (
        {ast.unparse(node) for node in found},
        {ast.unparse(node) for node in found if isinstance(node.ctx, ast.Store)} | changed,
    )


OPERATORS: tuple[Callable[[ast.AST], Iterator[Change]], ...] = (
    arithmetic,
    logic,
    constants,
    calls,
    subscripts,
    statements,
)
