"""Which statements of a notebook the answers rest on. Reads Python, runs none.

A statement *makes* names (binds them at the top level), *changes* names (what they stand for: an attribute that is set, an item, a method
that may change it, an argument of a call) and *uses* names. What answers need is the smallest set of statements that holds the answers and,
for each name that a statement in it uses, every statement that makes or changes this name. It rather holds too much than too little.
"""

from __future__ import annotations

import ast
import symtable
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from utils.grading.cells import DEEP, binds, look_at_the_clock

# Calls that look at their arguments and change none of them.
_LOOK = {
    *("print", "len", "display", "isinstance", "issubclass", "type", "check", "ready", "str", "repr", "id", "sum", "max", "min", "list"),
    *("tuple", "sorted", "any", "all", "range", "enumerate", "zip", "hasattr", "callable", "hash", "dir", "help", "abs", "round", "float", "int"),
}  # fmt: skip
_WILD = {"exec", "globals", "locals", "vars", "eval"}  # with these a statement may do anything to any name


@dataclass
class Statement:
    """One statement at the top level of a cell.

    Args:
        node: its tree.
        own: it is the student's, not the release's.
        makes: names that it binds.
        changes: names whose values it may change.
        now: names that it looks up when it runs.
        later: names that functions which it defines look up when they are called.
        inside: names whose values a call of what it defines may change (`global`, `TABLE[n] = row`, `rows.append(row)`).
        wild: it may do anything.
    """

    node: ast.stmt
    own: bool = True
    makes: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    inside: set[str] = field(default_factory=set)
    wild: bool = False

    @property
    def uses(self) -> set[str]:
        """All names that it looks up, now or later."""
        return self.now | self.later

    @property
    def firm(self) -> bool:
        """Whether it binds its names in any case, and to something new: what was before does not matter behind it."""
        simple = isinstance(self.node, ast.Assign) and all(isinstance(t, ast.Name) for t in self.node.targets)
        return simple or isinstance(self.node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom)

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line in its cell, decorators included."""
        first = min([self.node.lineno, *(part.lineno for part in getattr(self.node, "decorator_list", []))])
        return first, self.node.end_lineno or first


def statement(node: ast.stmt, *, own: bool = True) -> Statement:
    """Reads one statement.

    Raises:
        TooLong: see `cells.bounded`.
    """
    look_at_the_clock()
    found = Statement(node, own)
    named = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    try:
        table = symtable.symtable(ast.unparse(node), "<cell>", "exec")
        found.later = _inner(table)
        found.inside = _inner(table, set_there=True) | (_changed_inside(node) & found.later)
    except DEEP:  # nested too deep to be told apart: all its names count
        found.makes, found.now, found.later = binds(ast.Module([node], [])), named, named
        found.wild = own
        return found
    for symbol in table.get_symbols():
        if symbol.is_assigned() or symbol.is_imported():
            found.makes.add(symbol.get_name())
        if symbol.is_referenced():
            found.now.add(symbol.get_name())
    found.changes = _changes(node)
    star = isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names)
    found.wild = own and (
        star or bool(named & _WILD and isinstance(node, ast.Expr | ast.Assign | ast.For | ast.If))
    )
    return found


def _inner(table: symtable.SymbolTable, *, set_there: bool = False) -> set[str]:
    """Global names that functions and classes in this scope look up or set (or only those that they set)."""
    found = set()
    for child in table.get_children():
        found |= {
            s.get_name() for s in child.get_symbols() if s.is_global() and (s.is_assigned() or not set_there)
        }
        found |= _inner(child, set_there=set_there)
    return found


def _changed_inside(node: ast.stmt) -> set[str]:
    """Names in functions of which an attribute or an item is set, or a method is called. An argument of a call counts at the top level alone:
    a function that trains hands everything on, and none of it is worth a training here."""
    found = set()
    todo: list[tuple[ast.AST, bool]] = [(node, False)]
    while todo:
        part, inside = todo.pop()
        if (
            inside
            and isinstance(part, ast.Attribute | ast.Subscript)
            and isinstance(part.ctx, ast.Store | ast.Del)
        ):
            found.add(_root(part))
        elif inside and isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            found.add(_root(part.func))
        inside = inside or isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        todo += [(child, inside) for child in ast.iter_child_nodes(part)]
    return found


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _changes(node: ast.stmt) -> set[str]:
    found: set[str] = set()
    effects = isinstance(
        node, ast.For | ast.While | ast.With | ast.If | ast.Try | ast.AsyncFor | ast.AsyncWith
    ) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.ListComp | ast.SetComp | ast.DictComp))
    todo: list[ast.AST] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in part.decorator_list:  # `@register(table)`, `@patch(Model)`
                found |= {one.id for one in ast.walk(decorator) if isinstance(one, ast.Name)}
            continue
        if isinstance(part, ast.Lambda):
            continue
        if isinstance(part, ast.Attribute | ast.Subscript) and isinstance(part.ctx, ast.Store | ast.Del):
            found.add(_root(part))
        elif isinstance(part, ast.AugAssign | ast.Delete):
            targets = [part.target] if isinstance(part, ast.AugAssign) else part.targets
            found |= {_root(target) for target in targets}
        elif isinstance(part, ast.Assign) and isinstance(part.value, ast.Name | ast.Attribute):
            found.add(_root(part.value))  # another name for the same thing
        elif isinstance(part, ast.Call):
            if isinstance(part.func, ast.Lambda):  # called at once
                todo.append(part.func.body)
            name = part.func.id if isinstance(part.func, ast.Name) else ""
            if isinstance(part.func, ast.Attribute):
                found.add(_root(part.func))
            if name not in _LOOK:
                given = [*part.args, *(keyword.value for keyword in part.keywords)]
                found |= {_root(value) for value in given if not isinstance(value, ast.Call)}
        elif effects and isinstance(part, ast.For | ast.comprehension):
            found |= {one.id for one in ast.walk(part.iter) if isinstance(one, ast.Name)}
        todo.extend(ast.iter_child_nodes(part))
    return found - {""}


def needed(statements: list[Statement], answers: Iterable[str]) -> set[int]:
    """Indices of the statements that answers rest on.

    Args:
        statements: all of a notebook, in order.
        answers: names of the exercises.
    """
    made = {name for one in statements for name in one.makes | one.inside}
    modules = {
        name for one in statements if isinstance(one.node, ast.Import | ast.ImportFrom) for name in one.makes
    }
    effects = _effects(statements)
    touched: dict[str, list[int]] = defaultdict(list)  # name -> who makes or changes it, in order
    for index, one in enumerate(statements):
        # a call of a library's function is no change of the library, but `torch.manual_seed(0)` on a line of its own is one
        bare = isinstance(one.node, ast.Expr) or _sets_on(one.node, modules)
        called = set[str]().union(*(effects.get(name, set()) for name in one.now)) - modules
        changed = ((one.changes if bare else one.changes - modules) | called) & made if one.own else set()
        for name in one.makes | changed:
            touched[name].append(index)
    makers = _Makers(statements, touched)
    found: set[int] = set()
    todo: list[tuple[str, int | None]] = [(name, None) for name in answers]

    def take(indices: Iterable[int]) -> None:
        for index in indices:
            if index not in found:
                found.add(index)
                one = statements[index]
                todo.extend((name, index) for name in one.now)
                todo.extend((name, None) for name in one.later)
                if one.own and isinstance(one.node, ast.Assign) and isinstance(one.node.value, ast.Name):
                    todo.extend(
                        (name, None) for name in one.makes
                    )  # another name, by which it may be changed

    take(index for index, one in enumerate(statements) if one.wild)
    asked: set[tuple[str, int | None]] = set()
    while todo:
        place = todo.pop()
        if place not in asked:
            asked.add(place)
            take(makers.of(*place))
    return found


def _effects(statements: list[Statement]) -> dict[str, set[str]]:
    """Name of a function or class of the student's, or of an object that one has made -> names whose values a call may change, by it or by
    what it calls in turn."""
    found: dict[str, set[str]] = defaultdict(set)
    users: dict[str, set[str]] = defaultdict(set)
    for one in statements:
        made = isinstance(one.node, ast.Assign)
        if one.own and (one.later or one.inside or made):
            for name in one.makes:
                found[name] |= one.inside
                for used in one.later | (one.now if made else set()):
                    users[used].add(name)
    todo = [name for name, names in found.items() if names]
    while todo:
        look_at_the_clock()
        name = todo.pop()
        for user in users[name]:
            if not found[name] <= found[user]:
                found[user] |= found[name]
                todo.append(user)
    return found


class _Makers:
    """Who makes a name, or changes what it stands for. Nobody is told twice, so thousands of lines on one name take no longer than on many.

    Args:
        statements: all.
        touched: name -> indices of those that make or change it, in order.
    """

    def __init__(self, statements: list[Statement], touched: dict[str, list[int]]) -> None:
        self.statements, self.touched = statements, touched
        # name -> places in `touched[name]` behind which what was before does not matter
        self.firm = {
            name: [n for n, i in enumerate(who) if statements[i].firm and name in statements[i].makes]
            for name, who in touched.items()
        }
        self.told: dict[tuple[str, int], int] = {}  # name and first place of a stretch -> its end, so far

    def of(self, name: str, user: int | None) -> list[int]:
        """Those that a statement finds (at None: a function called at any time) and that were not told before."""
        who = self.touched.get(name, [])
        end = 0 if user is None else bisect_left(who, user)
        if end == 0:
            return self._at_any_time(name, who)
        firm = self.firm[name]
        last = bisect_left(firm, end)
        begin = firm[last - 1] if last else 0
        first = self.told.get((name, begin), begin)
        self.told[name, begin] = max(first, end)
        return who[first:end]

    def _at_any_time(self, name: str, who: list[int]) -> list[int]:
        if (name, -1) in self.told:
            return []
        self.told[name, -1] = 0
        # what the release makes in a live cell, under an `if`, counts where nothing else makes the name
        sure = [index for index in who if self.statements[index].own or self.statements[index].firm]
        return sure or who


def _sets_on(node: ast.stmt, modules: set[str]) -> bool:
    """Whether it sets something of a module (`torch.backends.x = 1`)."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(not isinstance(target, ast.Name) and _root(target) in modules for target in targets)
