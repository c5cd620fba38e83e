"""The engine's own sentences and the words for what a check looks at beside the returned values. Keys are the observations' names."""

from __future__ import annotations

import torch
from torch import Tensor

NOTES = {
    "again:random": "Your result is random: two calls with the same inputs differ. Outside training nothing may be drawn "
    "(is a dropout still active? `F.dropout` needs `training=self.training`).",
    "again:kept": "A second call with the same inputs gives another result: your code keeps something of the first call "
    "(a changed attribute, a global, a default argument that is a list).",
    "left:gradients": "Your code switches gradients off and leaves them off, so nothing can be trained after it. Write "
    "`with torch.no_grad():` around the lines that need none.",
    "left:dtype": "Your code changes PyTorch's default dtype and leaves it so. Give the dtype where a tensor is made.",
    "new:output": "Your result shares its memory with an input: changing one changes the other. Return a new tensor.",
}

# What a check looks at beside the returned values -> what is wrong when it is not as it should be.
INNER = {
    "in training mode": "The model was not in training mode in each of the forward passes, at least one per batch, that an epoch needs.",
    "in evaluation mode": "The model was not in evaluation mode in each of the forward passes, at least one per batch, that evaluating needs.",
    "without gradient": "A gradient was recorded while you evaluated.",
    "weights unchanged": "Evaluating changes the model's weights.",
    "graphs kept": "The graphs of all batches are kept until the epoch is over.",
    "can still be trained": "Evaluating freezes the model's parameters.",
    "size after encoding": "Encoding changes the number of words in the table.",
    "steps of the optimizer": "The number of steps that the optimizer took is wrong.",
    "learning rate afterwards": "The learning rate after the epoch is wrong: is the scheduler stepped once per batch?",
    "trained before": "A model that you compare had been trained before: each run needs a fresh one.",
    "parts": "The training data of the runs are not those that were asked for.",
    "starts": "The models do not start from the weights that their seeds give.",
    "all factors": "The factor is wrong at some step of the schedule.",
    "starts_as_identity": "When it is new, the layer should return its input unchanged, and yours does not.",
    "left as it was": "A part of the model was filled before the file was refused.",
    "the model is returned": "What is returned is not the model that was given.",
    "refused": "Weights that do not fit should be refused with an error; yours accepts them, or refuses those that fit.",
    "called_in_training": "The model was in training mode while you measured.",
    "left_in_training": "The model is not in the mode in which it was given to you.",
    "head_is_linear": "The new head should be an `nn.Linear`.",
    "head_weight": "The weights of the new head are wrong at the start.",
    "head_bias": "The bias of the new head is wrong at the start.",
    "rates": "The learning rates of the parameters are wrong.",
    "trainable": "Some parameters are frozen that should be trained, or trained that should be frozen.",
    "body_unchanged": "The pretrained weights below the head are changed.",
}


def inner(key: str) -> str:
    """What is wrong, where an observation is no returned value."""
    if key in INNER:
        return INNER[key]
    if key.endswith(" afterwards"):
        return f"After the call, `{key.removesuffix(' afterwards')}` has wrong values."
    return f"Here the {key.replace('_', ' ')} came out wrong."


def compared(expected: Tensor, got: Tensor) -> tuple[str, ...]:
    """Both values in words, where they are few; else both shapes, or both dtypes."""
    if got.shape != expected.shape and expected.dtype != torch.uint8:
        if expected.ndim == 1 and got.ndim == 1:
            return (f"expected {len(expected)} of them, got {len(got)}",)
        return (f"expected shape {tuple(expected.shape)}, got {tuple(got.shape)}",)
    if got.dtype != expected.dtype:
        return (f"expected dtype {dtype(expected)}, got {dtype(got)}",)
    if expected.dtype == torch.uint8 and expected.ndim == 1:
        return (f"expected {_text(expected)}", f"got      {_text(got)}")
    if expected.numel() <= 8:
        return (f"expected {_few(expected)}", f"got      {_few(got)}")
    return ()


def _text(value: Tensor) -> str:
    text = bytes(value.tolist()).decode(errors="replace")
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _few(tensor: Tensor) -> str:
    said = [value(one, tensor.dtype) for one in tensor.flatten()]
    return said[0] if tensor.ndim == 0 else ", ".join(said)


def value(number: Tensor, of: torch.dtype) -> str:
    """One value: yes or no for a bool, else a number of six digits."""
    if of == torch.bool:
        return "true" if bool(number) else "false"
    plain = float(number)
    return f"{int(plain)}" if plain.is_integer() and abs(plain) < 1e12 else f"{plain:.6g}"


def dtype(tensor: Tensor) -> str:
    """ "float32" for torch.float32."""
    return str(tensor.dtype).removeprefix("torch.")


def some(names: list[str], comma: str = ", ", most: int = 3) -> str:
    """At most three of several names: "`a`, `b`, `c` and 9 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return comma.join(names[:most]) + more
