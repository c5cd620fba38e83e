"""The house: what students get imports neither the grader nor the authors' workshop; the grader imports no workshop; no circles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from utils.paths import ROOT

ROOMS = {"grading": "B", "authoring": "C"}  # everything else in `utils` is room A
MAY_IMPORT = {"A": "A", "B": "AB", "C": "ABC"}


def _modules() -> dict[str, Path]:
    """Dotted name -> file, of all of `utils`."""
    found = {}
    for path in sorted((ROOT / "utils").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = _modules()


def room(module: str) -> str:
    parts = module.split(".")
    return ROOMS.get(parts[1], "A") if len(parts) > 1 else "A"


def imports(module: str) -> set[str]:
    """Modules of `utils` (and `solutions`) that a module imports, at its top or late."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return {name for name in found if name.split(".")[0] in ("utils", "solutions")}


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_only_what_it_may(module):
    for name in imports(module):
        assert name.split(".")[0] != "solutions", f"{module} imports {name}: utils never imports solutions"
        assert name in MODULES, f"{module} imports {name}, which does not exist"
        assert room(name) in MAY_IMPORT[room(module)], (
            f"{module} (room {room(module)}) imports {name} ({room(name)})"
        )


def test_no_circles_of_imports():
    graph = {m: imports(m) - {m} for m in MODULES}
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> None:
        if module in path:
            pytest.fail("imports go in a circle: " + " -> ".join([*path[path.index(module) :], module]))
        if module in done:
            return
        for name in sorted(graph.get(module, ())):
            walk(name, (*path, module))
        done.add(module)

    for module in MODULES:
        walk(module, ())
