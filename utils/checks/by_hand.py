"""What an exercise asks to be built by hand: the library's own layers that do all of its work (`Exercise.by_hand`).

An answer that is one of them is right by its values. `check` accepts it with a sentence, and the grader marks it for the instructor,
whose policy can refuse it.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from utils.words import later

if TYPE_CHECKING:  # a spec needs torch, and who only reads names does not wait for it
    from utils.checks.spec import Exercise

#: attention of several heads as a whole
MULTIHEAD = ("nn.MultiheadAttention", "F.multi_head_attention_forward")
ATTENTION = ("F.scaled_dot_product_attention", *MULTIHEAD)
#: layers and models of the Transformer
TRANSFORMER = (
    "nn.TransformerEncoderLayer",
    "nn.TransformerDecoderLayer",
    "nn.TransformerEncoder",
    "nn.TransformerDecoder",
    "nn.Transformer",
)
#: the recurrent layers, and what they call
LSTM = ("nn.LSTM", "nn.LSTMCell", "torch.lstm", "torch.lstm_cell")
_DEEP = (SyntaxError, ValueError, RecursionError, MemoryError)
#: packages whose models are those of the course
PACKAGES = {"timm", "torchvision", "transformers", "x_transformers", "vit_pytorch"}


def used(exercise: Exercise, *texts: str) -> list[str]:
    """What of a library an answer is, as `nn.LSTM`, where the exercise asks for one's own; [] if nothing.

    Only what the answer rests on is looked at: its definition, and what that names, however far; not the earlier exercises that it calls.

    Args:
        exercise: which.
        texts: of the answer's cell, and of cells that it may build on.
    """
    wanted = {name.rpartition(".")[2] for name in exercise.by_hand}
    if not wanted and exercise.kind != "module":
        return []
    body: list[ast.stmt] = []
    for text in texts:
        with contextlib.suppress(*_DEEP):
            body += ast.parse(text).body
    try:
        return _found(_rests_on(exercise, body), wanted)
    except _DEEP:
        return []


def _found(statements: list[ast.stmt], wanted: set[str]) -> list[str]:
    nodes = [node for statement in statements for node in ast.walk(statement)]
    torch, found, star = {"torch", "nn", "F"}, list[str](), False
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                root = whole.split(".")[0]
                if root == "torch":
                    torch.add(alias.asname or alias.name.split(".")[0])
                    star |= alias.name == "*"
                if root in PACKAGES or (root == "torch" and alias.name in wanted):
                    found.append(whole)
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in wanted and _root(node) in torch:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Name) and star and node.id in wanted:
            found.append(node.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            found += [a.value for a in node.args if isinstance(a, ast.Constant) and a.value in wanted]
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):  # vars(nn)["LSTM"]
            found += [node.slice.value] if node.slice.value in wanted else []
    return list(dict.fromkeys(found))


def _rests_on(exercise: Exercise, body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements that make an answer, and those that make what they name, however far."""
    makers: dict[str, list[ast.stmt]] = {}
    for statement in body:
        for made in _makes(statement):
            makers.setdefault(made, []).append(statement)
    found: dict[int, ast.stmt] = {}
    todo, seen = [exercise.name, "*"], set(exercise.uses)
    while todo:
        if (wanted := todo.pop()) in seen:
            continue
        seen.add(wanted)
        for statement in makers.get(wanted, ()):
            if id(statement) not in found:
                found[id(statement)] = statement
                todo += [node.id for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return list(found.values())


def _makes(statement: ast.stmt) -> Iterator[str]:
    """Names that a statement binds, or changes (`LSTM.forward = ...`)."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield _root(node)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def note(exercise: Exercise, attempt: Any) -> str:
    """What `check` says of an answer that passes and is the library's; "" if it is not."""
    layers = used(exercise, _text(attempt))
    if not layers and exercise.by_hand and str(getattr(attempt, "__module__", "")).startswith("torch."):
        layers = [getattr(attempt, "__name__", "a layer")]
    if not layers:
        return ""
    return later(
        "The values are right. The exercise asks you to build it by hand, and this uses {layers}; your instructor sees that.",
        layers=" + ".join(layers),
    )


def _text(attempt: Any) -> str:
    """The cell, or the file's part, in which an attempt was written; "" if that cannot be known."""
    functions = [attempt, *vars(attempt).values()] if inspect.isclass(attempt) else [attempt]
    for function in functions:
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        if (
            code is not None
            and code.co_filename.startswith("<")
            or code is not None
            and "ipykernel" in code.co_filename
        ):
            return "".join(linecache.getlines(code.co_filename))
    try:
        return textwrap.dedent(inspect.getsource(attempt))
    except (OSError, TypeError):
        return ""
