"""The engine's own sentences and the words for what a check looks at beside the returned values. Keys are the observations' names."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.words import later

NOTES = {
    "again:random": later(
        "Your result is random: two calls with the same inputs differ. Outside training nothing may be drawn "
        "(is a dropout still active? `F.dropout` needs `training=self.training`)."
    ),
    "again:kept": later(
        "A second call gives another result than it would as the first: your code keeps something of the first call "
        "(a changed attribute, a size that is remembered, a global, a default argument that is a list)."
    ),
    "again:table": later(
        "Your `encode` puts words into the table that it looks them up in. Look up without writing, as `dict.get` does."
    ),
    "again:layout": later(
        "The same numbers laid out otherwise in memory (a transposed tensor, a crop, channels_last) give an error or another result. "
        "`view` and strides depend on the layout; `reshape` does not."
    ),
    "one:axes": later(
        "With a batch of one your result has fewer axes than with a larger batch: `squeeze()` takes every axis of size one out. "
        "Say which axis."
    ),
    "left:gradients": later(
        "Your code switches gradients off and leaves them off, so nothing can be trained after it. Write "
        "`with torch.no_grad():` around the lines that need none."
    ),
    "left:dtype": later(
        "Your code changes PyTorch's default dtype and leaves it so. Give the dtype where a tensor is made."
    ),
    "written:input": later(
        "You write into an input in place, even if its numbers are the same afterwards here. With one that is expanded, that somebody else reads "
        "meanwhile, or with other numbers, that goes wrong. Make a new tensor."
    ),
    "new:output": later(
        "Your result shares its memory with an input: changing one changes the other. Return a new tensor."
    ),
}

# What a check looks at beside the returned values -> what is wrong when it is not as it should be.
INNER = {
    "in training mode": later(
        "The model was not in training mode in each of the forward passes, at least one per batch, that an epoch needs."
    ),
    "in evaluation mode": later(
        "The model was not in evaluation mode in each of the forward passes, at least one per batch, that evaluating needs."
    ),
    "without gradient": later("A gradient was recorded while you evaluated."),
    "weights unchanged": later("Evaluating changes the model's weights."),
    "graphs kept": later("The graphs of all batches are kept until the epoch is over."),
    "can still be trained": later("Evaluating freezes the model's parameters."),
    "size after encoding": later("Encoding changes the number of words in the table."),
    "steps of the optimizer": later("The number of steps that the optimizer took is wrong."),
    "learning rate afterwards": later(
        "The learning rate after the epoch is wrong: is the scheduler stepped once per batch?"
    ),
    "trained before": later("A model that you compare had been trained before: each run needs a fresh one."),
    "parts": later("The training data of the runs are not those that were asked for."),
    "starts": later("The models do not start from the weights that their seeds give."),
    "all factors": later("The factor is wrong at some step of the schedule."),
    "starts_as_identity": later(
        "When it is new, the layer should return its input unchanged, and yours does not."
    ),
    "left as it was": later("A part of the model was filled before the file was refused."),
    "the model is returned": later("What is returned is not the model that was given."),
    "the given token mixer": later("The token mixer is not the module that was given."),
    "an error": later(
        'What is asked for here cannot be done, and the text of the cell ("Raises") wants an error. Yours returns something.'
    ),
    "refused": later(
        "Weights that do not fit should be refused with an error; yours accepts them, or refuses those that fit."
    ),
    "called_in_training": later("The model was in training mode while you measured."),
    "left_in_training": later("The model is not in the mode in which it was given to you."),
    "starts as promised": later(
        "A new model does not start as the text says (biases zero, the Mixer's head zero): is a layer made after `reset_parameters` was called?"
    ),
    "asked in vain": later(
        "The model is asked again after every sequence has ended. Stop there: each call costs as much as all the tokens before it."
    ),
    "head_is_linear": later("The new head should be an `nn.Linear` with a bias."),
    "head_weight": later("The weights of the new head are wrong at the start."),
    "head_bias": later("The bias of the new head is wrong at the start."),
    "rates": later("The learning rates of the parameters are wrong."),
    "trainable": later(
        "Some parameters are frozen that should be trained, or trained that should be frozen."
    ),
    "body_unchanged": later("The pretrained weights below the head are changed."),
}


def inner(key: str) -> str:
    """What is wrong, where an observation is no returned value."""
    if key in INNER:
        return INNER[key]
    if key.endswith(" afterwards"):
        return later("After the call, `{name}` has wrong values.", name=key.removesuffix(" afterwards"))
    return later("Here the {what} came out wrong.", what=key.replace("_", " "))


def compared(expected: Tensor, got: Tensor) -> tuple[str, ...]:
    """Both values in words, where they are few; else both shapes, or both dtypes."""
    if got.shape != expected.shape and expected.dtype != torch.uint8:
        if expected.ndim == 1 and got.ndim == 1:
            return (later("expected {wanted} of them, got {got}", wanted=len(expected), got=len(got)),)
        return (
            later("expected shape {wanted}, got {got}", wanted=tuple(expected.shape), got=tuple(got.shape)),
        )
    if got.dtype != expected.dtype:
        return (later("expected dtype {wanted}, got {got}", wanted=dtype(expected), got=dtype(got)),)
    if expected.dtype == torch.uint8 and expected.ndim == 1:
        return _both(_text(expected), _text(got))
    if expected.numel() <= 8:
        return _both(_few(expected), _few(got))
    return ()


def _both(wanted: str, got: str) -> tuple[str, ...]:
    return later("expected {value}", value=wanted), later("got      {value}", value=got)


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
    if not number.is_floating_point():  # to the last digit, however large
        return f"{int(number)}"
    plain = float(number)
    return f"{int(plain)}" if plain.is_integer() and abs(plain) < 1e12 else f"{plain:.6g}"


def dtype(tensor: Tensor) -> str:
    """ "float32" for torch.float32."""
    return str(tensor.dtype).removeprefix("torch.")


def some(names: list[str], comma: str = ", ", most: int = 3) -> str:
    """At most three of several names: "`a`, `b`, `c` and 9 more"."""
    shown = comma.join(names[:most])
    return (
        later("{names} and {count} more", names=shown, count=len(names) - most)
        if len(names) > most
        else shown
    )
