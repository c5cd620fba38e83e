"""Small changes to an answer's syntax tree, such as a student's slip makes: an operator, a constant, an axis, an argument, a statement.

An operator is a function that takes a node and yields (what was done, the node in its place). None in its place deletes a statement.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Change = tuple[str, ast.AST | None]

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


def mutants(source: str, lines: range | None = None) -> list[Mutant]:
    """All different mutants of a function or class.

    Args:
        source: its text.
        lines: where changes are made, as line numbers from 1; default everywhere.
    """
    tree = ast.parse(source)
    plain = ast.unparse(tree)
    nodes = list(ast.walk(tree))
    found: dict[str, Mutant] = {}
    for index, node in enumerate(nodes):
        line = getattr(node, "lineno", 0)
        if not line or (lines is not None and line not in lines):
            continue
        for operator in OPERATORS:
            for what, changed in operator(node):
                text = _with(tree, index, changed)
                if text not in ("", plain) and text not in found:
                    found[text] = Mutant(line, what, text)
    return list(found.values())


def _with(tree: ast.Module, index: int, changed: ast.AST | None) -> str:
    """The tree's text with another node at a place of `ast.walk`; "" if that is no program."""
    other = copy.deepcopy(tree)
    target = list(ast.walk(other))[index]
    for parent in ast.walk(other):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, changed)
            elif isinstance(value, list) and any(item is target for item in value):
                items = [changed if item is target else item for item in value]
                items = [item for item in items if item is not None]
                setattr(parent, name, items or ([ast.Pass()] if name == "body" else items))
    try:
        text = ast.unparse(ast.fix_missing_locations(other))
        ast.parse(text)
    except (SyntaxError, AttributeError, TypeError, ValueError):
        return ""
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


OPERATORS: tuple[Callable[[ast.AST], Iterator[Change]], ...] = (
    arithmetic,
    logic,
    constants,
    calls,
    subscripts,
    statements,
)
