"""What an attempt is made of: a function, a class, a lambda, a partial, a callable object, a compiled function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any


def functions(attempt: Any) -> Iterator[FunctionType]:
    """The Python functions that an attempt consists of: itself, the methods of a class (or of an object's class), what is wrapped."""
    while isinstance(attempt, functools.partial | functools.partialmethod):
        attempt = attempt.func
    attempt = getattr(attempt, "_torchdynamo_orig_callable", attempt)  # torch.compile
    attempt = inspect.unwrap(attempt) if callable(attempt) else attempt  # @torch.no_grad() and the like
    attempt = getattr(attempt, "__func__", attempt)  # a bound method
    if isinstance(attempt, FunctionType):
        yield attempt
        return
    kind = attempt if inspect.isclass(attempt) else type(attempt)
    if kind.__module__.partition(".")[0] in ("torch", "builtins"):  # torch.jit.script, a tensor, a number
        return
    for value in vars(kind).values():
        value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if isinstance(value, FunctionType):
            yield inspect.unwrap(value)


def own_codes(attempt: Any) -> set[CodeType]:
    """Code objects of the attempt itself: of the function, or of every method of the class, with what is nested in them."""
    codes = {function.__code__ for function in functions(attempt)}
    todo = list(codes)
    while todo:
        nested = [const for const in todo.pop().co_consts if isinstance(const, CodeType)]
        codes.update(nested)
        todo.extend(nested)
    return codes


def spaces(attempt: Any) -> list[dict[str, Any]]:
    """The namespaces that the attempt's functions read their global names from."""
    found = {id(function.__globals__): function.__globals__ for function in functions(attempt)}
    return list(found.values())


def reads(attempt: Any) -> dict[str, Any]:
    """The global names that the attempt's code mentions, with what they are now; builtins and names that are not there left out."""
    names = {name for code in own_codes(attempt) for name in code.co_names}
    return {name: space[name] for space in spaces(attempt) for name in names if name in space}


def name_of(attempt: Any, space: Mapping[str, Any], known: Any) -> str:
    """What an attempt is called: its own name, else the exercise's name that it is assigned to in a namespace, else "".

    Args:
        attempt: of any kind.
        space: the caller's names.
        known: `name -> bool`, whether an exercise has this name.
    """
    own = getattr(attempt, "__name__", None) or getattr(attempt, "name", None)  # torch.jit.script: name
    if isinstance(own, str) and known(own):
        return own
    return next((name for name, value in space.items() if value is attempt and known(name)), "")
