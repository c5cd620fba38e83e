"""What an exercise asks to be built by hand: the library's own layers that do all of its work.

An answer that is one of them is right by its values. `check` accepts it with a sentence, and the grader marks it for the instructor.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from typing import Any

from utils.words import later

_ATTENTION = ("scaled_dot_product_attention", "MultiheadAttention", "multi_head_attention_forward")
_LAYERS = (
    "TransformerEncoderLayer",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerDecoder",
    "Transformer",
)
#: exercise -> names in torch that do its work
LAYERS: dict[str, tuple[str, ...]] = {
    "scaled_dot_product_attention": _ATTENTION,
    "MultiHeadAttention": ("MultiheadAttention", "multi_head_attention_forward"),
    "EncoderLayer": (*_ATTENTION, *_LAYERS),
    "DecoderLayer": (*_ATTENTION, *_LAYERS),
    "LSTMCell": ("LSTMCell", "LSTM", "lstm_cell", "lstm"),
    "LSTM": ("LSTMCell", "LSTM", "lstm_cell", "lstm"),
    "TransformerEncoder": _LAYERS,
    "SelfAttention2d": _ATTENTION,
    "SelfAttention": ("MultiheadAttention", "multi_head_attention_forward"),
    "ViTBlock": _LAYERS,
    "WindowAttention": ("MultiheadAttention", "multi_head_attention_forward"),
    "CrossAttention": ("MultiheadAttention", "multi_head_attention_forward"),
}


def used(exercise: str, text: str) -> list[str]:
    """The layers of the library that a text uses where the exercise asks for one's own, as `nn.LSTM`; [] if none.

    Args:
        exercise: its name.
        text: of the answer's cell, with what it builds on.
    """
    wanted = set(LAYERS.get(exercise, ()))
    if not wanted:
        return []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    torch, found = {"torch", "nn", "F"}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            torch |= {alias.asname or alias.name for alias in node.names}
            found += [alias.name for alias in node.names if alias.name in wanted]
        elif isinstance(node, ast.Import):
            torch |= {alias.asname for alias in node.names if alias.asname and alias.name.startswith("torch")}
        elif isinstance(node, ast.Attribute) and node.attr in wanted and _root(node) in torch:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            found += [a.value for a in node.args if isinstance(a, ast.Constant) and a.value in wanted]
    return list(dict.fromkeys(found))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def note(exercise: str, attempt: Any) -> str:
    """What `check` says of an answer that passes and is the library's; "" if it is not."""
    layers = used(exercise, _text(attempt))
    if not layers and str(getattr(attempt, "__module__", "")).startswith("torch.") and exercise in LAYERS:
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
