"""Answers that are a library's own layer: right by their values, and not what an exercise asks for. Reads text, runs nothing.

A mark for the instructor, no verdict: who hides the name (`getattr(nn, "Multihead" + "Attention")`) is not found.
"""

from __future__ import annotations

import ast

from utils.grading.cells import parse

PACKAGES = {"timm", "torchvision", "transformers", "x_transformers", "vit_pytorch"}
_ATTENTION = {"MultiheadAttention", "multi_head_attention_forward"}
#: exercise -> names in torch that do the whole of it
WHOLE = {
    "scaled_dot_product_attention": {"scaled_dot_product_attention"},
    "MultiHeadAttention": _ATTENTION,
    "SelfAttention": _ATTENTION,
    "SelfAttention2d": _ATTENTION,
    "WindowAttention": _ATTENTION,
    "CrossAttention": _ATTENTION,
    "EncoderLayer": {"TransformerEncoderLayer"},
    "ViTBlock": {"TransformerEncoderLayer"},
    "TransformerEncoder": {"TransformerEncoder", "TransformerEncoderLayer"},
    "DecoderLayer": {"TransformerDecoderLayer"},
    "LSTMCell": {"LSTMCell", "lstm_cell", "LSTM"},
    "LSTM": {"LSTM"},
}


def library(exercise: str, source: str) -> str:
    """The library's layer that an answer uses for the whole of an exercise, such as "nn.MultiheadAttention", or "".

    Args:
        exercise: its name.
        source: of the answer's cells.
    """
    tree = parse(source)
    for node in ast.walk(tree) if tree else ():
        names = []
        if isinstance(node, ast.Attribute) and node.attr in WHOLE.get(exercise, ()):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                return ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if (node.module or "").split(".")[0] == "torch":
                found = {name.name for name in node.names} & WHOLE.get(exercise, set())
                if found:
                    return f"{node.module}.{found.pop()}"
        elif isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        for name in names:
            if name.split(".")[0] in PACKAGES:
                return name
    return ""
