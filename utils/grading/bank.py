"""The bank of wrong and of alternative right answers. Authors write it in `solutions/mistakes/`; students get only its sentences."""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from utils.checks.earlier import PRELUDE


@dataclass(frozen=True)
class BankAttempt:
    """A wrong (`sentence` is set) or right answer, as source text.

    Args:
        exercise: the exercise's name, which the source defines.
        name: what distinguishes it, for reports.
        sentence: what a good teacher says to it; empty for right answers.
        edits: the reference with these texts replaced, each of which must be found exactly once; or
        source: the whole text.
        names: what the bank's module imports for it, such as an earlier exercise of the notebook.
    """

    exercise: str
    name: str
    sentence: str = ""
    edits: Mapping[str, str] | None = None
    source: str = ""
    names: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def text(self, reference: Any) -> str:
        """The attempt's source text.

        Raises:
            ValueError: if edits do not match the reference exactly once; it names them all.
        """
        if self.edits is None:
            return self.source
        text = inspect.getsource(reference)
        broken = []
        for old, new in self.edits.items():
            if text.count(old) == 1:
                text = text.replace(old, new)
            else:
                broken.append(f"{old!r} is found {text.count(old)} times in the reference, not once")
        if broken:
            raise ValueError(f"{self.exercise}, {self.name!r}: {'; '.join(broken)}")
        return text

    def build(self, reference: Any, module: ModuleType) -> Any:
        """The function or class, run with the libraries of every notebook and a copy of the reference module's names."""
        text = self.text(reference)
        filename = f"<{self.exercise}: {self.name}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        namespace: dict[str, Any] = {}
        exec(PRELUDE, namespace)
        namespace |= {**self.names, **vars(module)}
        exec(compile(text, filename, "exec"), namespace)
        return namespace[self.exercise]


class Bank:
    """Collects the attempts of one exercise. Usage: see CONTRIBUTING.md.

    Args:
        exercise: the exercise's name.
    """

    def __init__(self, exercise: str) -> None:
        self.exercise = exercise
        self.wrongs: list[BankAttempt] = []
        self.rights: list[BankAttempt] = []

    def wrong(
        self, name: str, sentence: str, *, edits: Mapping[str, str] | None = None
    ) -> Callable[[Any], Any]:
        """Adds a wrong answer: by `edits` of the reference, or as decorator of a whole function or class."""
        return self._add(self.wrongs, name, sentence, edits)

    def right(self, name: str, *, edits: Mapping[str, str] | None = None) -> Callable[[Any], Any]:
        """Adds an alternative right answer, in the same two ways."""
        return self._add(self.rights, name, "", edits)

    def broken(self, reference: Any) -> list[str]:
        """What is wrong with the attempts' edits, a line per attempt whose edits do not fit the reference."""
        said = []
        for attempt in self.wrongs + self.rights:
            try:
                attempt.text(reference)
            except ValueError as error:
                said.append(str(error))
        return said

    def _add(
        self, to: list[BankAttempt], name: str, sentence: str, edits: Mapping[str, str] | None
    ) -> Callable[[Any], Any]:
        if any(attempt.name == name for attempt in self.wrongs + self.rights):
            raise ValueError(f"{self.exercise}: two attempts are called {name!r}")
        if edits is not None:
            to.append(BankAttempt(self.exercise, name, sentence, dict(edits)))

        def decorate(attempt: Any) -> Any:
            if edits is not None:
                raise TypeError(f"{self.exercise}, {name!r}: give edits or a definition, not both")
            if attempt.__name__ != self.exercise:
                raise ValueError(f"{self.exercise}, {name!r}: the definition is called {attempt.__name__}")
            functions = [attempt, *vars(attempt).values()] if inspect.isclass(attempt) else [attempt]
            names = next(f.__globals__ for f in map(inspect.unwrap, functions) if hasattr(f, "__globals__"))
            to.append(BankAttempt(self.exercise, name, sentence, None, source_of(attempt), names))
            return attempt

        return decorate


def source_of(attempt: Any) -> str:
    """Source text of a function or class, without decorators; the right one where several have the same name.

    `inspect.getsource` finds a class by its name only (before Python 3.13), so a class is found by a line inside it.
    """
    functions = [attempt, *vars(attempt).values()] if inspect.isclass(attempt) else [attempt]
    plain = [inspect.unwrap(f) for f in functions if callable(f)]  # without @torch.no_grad()
    line = max(f.__code__.co_firstlineno for f in plain if hasattr(f, "__code__"))
    lines = linecache.getlines(inspect.getsourcefile(inspect.unwrap(attempt)) or "")
    kinds = (ast.ClassDef, ast.FunctionDef)
    node = next(
        node
        for node in ast.parse("".join(lines)).body
        if isinstance(node, kinds)
        and node.name == attempt.__name__
        and min([node.lineno, *(d.lineno for d in node.decorator_list)]) <= line <= node.end_lineno
    )
    return "".join(lines[node.lineno - 1 : node.end_lineno])


def banks_in(module: ModuleType) -> dict[str, Bank]:
    """The banks that a module of mistakes defines, by exercise name."""
    return {bank.exercise: bank for bank in vars(module).values() if isinstance(bank, Bank)}
