"""Files and libraries that a notebook names and the grader does not have: students read on their page that these were not there.

Only the notebook itself is graded. A module or a table that lay beside it when everything was green is not read, so its answers can fail here.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from utils.grading.cells import parse
from utils.paths import ROOT

_READS = {
    *("open", "Path", "load", "load_file", "loadtxt", "genfromtxt", "fromfile", "read_csv", "read_json", "read_excel", "imread"),
}  # fmt: skip
_FILE = re.compile(
    r"(?![/~])[\w ./-]+\.(csv|tsv|json|txt|npy|npz|pt|pth|pkl|safetensors|ya?ml|png|jpe?g|xlsx?)"
)


def missing(sources: list[str]) -> list[str]:
    """Modules and files that some cells use and that are not there when they are graded, in the order of the text.

    Args:
        sources: of the student's cells that are run.
    """
    trees = [tree for source in sources if (tree := parse(source)) is not None]
    used = {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return list(dict.fromkeys(name for tree in trees for name in _named(tree, used)))


def _named(tree: ast.Module, used: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                bound = (alias.asname or alias.name).split(".")[0]
                name = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
                if name and not getattr(node, "level", 0) and (bound in used or alias.name == "*"):
                    root = name.split(".")[0]
                    yield from () if _there(root) else (root,)
        elif isinstance(node, ast.Call):
            function = (
                node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            )
            given = [
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            writes = any(set(mode) <= {*"wxab+t"} and set(mode) & {*"wxa"} for mode in given[1:])
            if function in _READS and given and _FILE.fullmatch(given[0]) and not writes:
                yield given[0]


@cache
def _there(module: str) -> bool:
    """Whether a sandbox has a module of this name: Python's, a library's or the course's `utils`. Nothing is imported."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    if found is None or found.origin is None:  # a folder without code, such as the course's data
        return False
    return module == "utils" or Path(found.origin).parent not in (ROOT, ROOT / module)
