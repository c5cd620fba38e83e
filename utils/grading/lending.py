"""Which of the course's stand-ins a sandbox gets. A stand-in is no answer, so the one of an exercise that is being asked is not there at all.

The mother of all sandboxes has empty rooms where `utils.stand_ins` would be, and the files are not in a sandbox's root. With a request comes the text of what
it needs: earlier notebooks' exercises that the notebook takes by `reuse`, substitutes for exercises that failed, and what a check
itself builds on. Only the definitions that these need are in the text. Checks of which one needs what another one asks for go into different sandboxes.
What a stand-in is built from, and nothing that its exercise may use, is withheld with it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from utils.checks.spec import Exercise
from utils.grading.cells import DEEP
from utils.paths import ROOT

PACKAGE = "utils.stand_ins"
#: exercise -> what of the course does it too, in a line or two: for experiments, or for what only the trusted side asks of an answer.
#: No observation and no cell of a notebook needs it where the exercise is asked.
_CHECKS = "utils.checks.exercises"
DONE: dict[str, tuple[str, ...]] = {
    "mean_attention_distance": ("utils.experiments.probes:mean_attention_distance",),
    "evaluate": ("utils.training.measures:evaluate", "utils.training:evaluate"),
    "window_partition": (f"{_CHECKS}.windows:windows_of", f"{_CHECKS}.shifted_windows:windows_of"),
    "relative_position_index": (f"{_CHECKS}.window_attention:_offsets",),
    "shifted_window_mask": (f"{_CHECKS}.shifted_windows:_allowed",),
}

# --- the trusted side: what is lent ------------------------------------------------------------------------


@dataclass
class Module:
    """A module of stand-ins as text: what it imports, what it defines under which name, and where its names from other such modules come from."""

    imports: list[ast.stmt] = field(default_factory=list)
    defined: dict[str, ast.stmt] = field(default_factory=dict)
    borrowed: dict[str, tuple[str, str]] = field(default_factory=dict)


@cache
def _read(module: str) -> Module:
    text = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    found = Module()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            found.borrowed |= {n.asname or n.name: (node.module or "", n.name) for n in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imports.append(node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.defined[node.name] = node
        else:
            found.defined |= {
                n.id: node for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
    return found


@cache
def closure(reference: str) -> frozenset[str]:
    """ "utils.stand_ins.vit:ViT" and every definition in stand-ins that it needs, however deep."""
    found: set[str] = set()
    todo = [reference]
    while todo:
        place = todo.pop()
        if place in found:
            continue
        module, name = place.split(":")
        read = _read(module)
        if name in read.borrowed:
            todo.append(":".join(read.borrowed[name]))
        elif name in read.defined:
            found.add(place)
            used = {n.id for n in ast.walk(read.defined[name]) if isinstance(n, ast.Name)}
            todo += [f"{module}:{other}" for other in used & {*read.defined, *read.borrowed}]
    return frozenset(found)


def texts(places: Iterable[str]) -> dict[str, str]:
    """Module -> the text that defines these places ("module:name") and nothing else."""
    wanted: dict[str, set[str]] = {}
    for place in places:
        module, name = place.split(":")
        wanted.setdefault(module, set()).add(name)
    found = {}
    for module, names in wanted.items():
        read = _read(module)
        nodes = list(dict.fromkeys(node for name, node in read.defined.items() if name in names))
        used = {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)}
        lines = [f"from {m} import {n} as {a}" for a, (m, n) in read.borrowed.items() if a in used]
        found[module] = "\n".join([*map(ast.unparse, read.imports), *lines, *map(ast.unparse, nodes)])
    return found


@cache
def looks_with(exercise: Exercise) -> frozenset[str]:
    """Stand-ins that an exercise's own observation imports (a check of a loader needs a model to load into)."""
    if exercise.observe is None:
        return frozenset()
    tree = ast.parse(inspect.getsource(inspect.getmodule(exercise.observe) or exercise.observe))
    wanted = getattr(exercise.observe, "__name__", "")
    places: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == wanted:
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith(PACKAGE):
                    places |= {f"{inner.module}:{alias.name}" for alias in inner.names}
    return frozenset().union(*map(closure, places))


def reused(sources: Iterable[str], exercises: Mapping[str, Exercise], notebook: str) -> list[str]:
    """Names of earlier notebooks' exercises that code takes by `reuse("name")`, or names where it uses `reuse` (`map(reuse, ("name",))`).

    What later notebooks built is nobody's to reuse: it holds parts of what is asked here.
    """
    names: dict[str, None] = {}
    for source in sources:
        if "reuse" in source:
            names |= dict.fromkeys(_texts_beside_reuse(source))
    return [name for name in names if name in exercises and exercises[name].notebook < notebook]


def _texts_beside_reuse(source: str) -> list[str]:
    """The texts in a piece of code that calls, or hands on, `reuse`; a comment is no code."""
    try:
        nodes = [*ast.walk(ast.parse(source))]
    except DEEP:  # then nothing is lent for it
        return []
    called = {
        n.id if isinstance(n, ast.Name) else n.attr for n in nodes if isinstance(n, ast.Name | ast.Attribute)
    }
    imported = {alias.name for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
    if "reuse" not in called | imported:
        return []
    return [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def private(exercise: Exercise, exercises: Mapping[str, Exercise]) -> frozenset[str]:
    """What an exercise's stand-in is built from, itself included, without what stands in for the exercises that the answer may use.

    Args:
        exercise: which.
        exercises: all of the course, by name.
    """
    if not exercise.stand_in:
        return frozenset()
    below, todo = set[str](), [*exercise.uses]
    while todo:
        name = todo.pop()
        if name not in below:
            below.add(name)
            todo += exercises[name].uses
    return closure(exercise.stand_in) - _closures(below, exercises)


def _closures(names: Iterable[str], exercises: Mapping[str, Exercise]) -> frozenset[str]:
    return frozenset().union(*(closure(exercises[n].stand_in) for n in names if exercises[n].stand_in))


@dataclass
class Group:
    """Checks that one sandbox can be asked, and what it is lent."""

    names: list[str] = field(default_factory=list)
    lent: frozenset[str] = frozenset()


def groups(
    wanted: Mapping[str, Iterable[str]], exercises: Mapping[str, Exercise], everybody: Iterable[str] = ()
) -> list[Group]:
    """Cuts checks into as few groups as it takes that nobody is lent the stand-in of what is asked, or what it is built from.

    Args:
        wanted: exercise that is asked -> exercises for which stand-ins shall be there.
        exercises: all of the course, by name.
        everybody: exercises whose stand-ins every group gets, but those that hold a part of what is asked.
    """
    withheld = {name: private(exercises[name], exercises) for name in wanted}
    everybody = list(everybody)
    found: list[Group] = []
    for name, others in wanted.items():
        common = [n for n in everybody if not _closures([n], exercises) & withheld[name]]
        mine = _closures([*common, *others], exercises) | looks_with(exercises[name])
        for group in found:
            lent, asked = group.lent | mine, [*group.names, name]
            if not any(lent & withheld[n] for n in asked):
                group.names, group.lent = asked, lent
                break
        else:
            found.append(Group([name], mine - withheld[name]))
    return found


# --- in the mother and her sandboxes -------------------------------------------------------------------------


class Withheld(ImportError):
    """Somebody has asked for a stand-in that was not lent."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{PACKAGE} gives no points: write {name} yourself")


class Empty:
    """Stands where a module of the course imports a stand-in that is not there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise Withheld(self.name)

    def __mro_entries__(self, bases: Any) -> Any:
        raise Withheld(self.name)


class _EmptyRoom(ModuleType):
    """A module of stand-ins: what was lent for it is run when the first name is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        text = _lent.pop(self.__name__, None)
        if text is not None:
            exec(compile(text, f"<{self.__name__}>", "exec"), vars(self))
        if name in vars(self):
            return vars(self)[name]
        if _warming:
            return Empty(name)
        raise Withheld(name)


class _Rooms(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != PACKAGE and not name.startswith(PACKAGE + "."):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=name == PACKAGE)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _EmptyRoom(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


_lent: dict[str, str] = {}
_warming = False


def withhold() -> None:
    """From here on this process has empty rooms for stand-ins.

    Raises:
        RuntimeError: it has imported one already.
    """
    global _warming
    if found := [name for name in sys.modules if name.startswith(PACKAGE)]:
        raise RuntimeError(f"stand-ins must not be here, and are: {', '.join(found)}")
    _warming = True
    sys.meta_path.insert(0, _Rooms())


def take_away(asked: Iterable[str]) -> None:
    """In a sandbox: what the course itself does of the exercises that are asked there is withheld as stand-ins are."""
    for name in DONE.keys() & set(asked):
        for place in DONE[name]:
            module, _, attribute = place.partition(":")
            setattr(importlib.import_module(module), attribute, Empty(name))


def lend(lent: Mapping[str, str]) -> None:
    """In a sandbox, before a student's code runs: these modules' texts are all that there is."""
    global _warming
    _warming = False
    _lent.update(lent)
