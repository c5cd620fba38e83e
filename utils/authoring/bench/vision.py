"""What the suites of image models share: sides that answer with logits, fairness asserted, and a row per number format.

A suite gives `sides(tiny) -> list[Side]`, the reference first. The same sides serve the benchmark, `python -m utils.authoring.bench
parity` and the tests, so what is timed is what was shown to be equal.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from utils.authoring.bench.models import forward, training
from utils.authoring.bench.race import Absent, Contest
from utils.training.precision import Precision

Rename = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
Part = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Side:
    """One library's model.

    Args:
        name: of the library; "ours" for the reference answer.
        model: images (B, 3, H, W) -> logits.
        rename: turns the model's state dict (or its gradients under the same names) into ours. None where the two are
            not the same function, and then `extra` says by how many parameters they differ.
        extra: parameters that this model has beyond ours, from its definition.
        part: where only a part of the two models is the same function, how to call it: ours, then theirs, each given the
            model and the images. None: the logits.
    """

    name: str
    model: nn.Module
    rename: Rename | None = None
    extra: int = 0
    part: tuple[Part, Part] | None = None


class Logits(nn.Module):
    """A classifier of transformers that answers with its logits alone, as the other libraries' do."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, classes)."""
        return self.model(images).logits


def without_prefix(rename: Rename, prefix: str = "model.") -> Rename:
    """`rename` for names that `Logits` has put its prefix before."""
    return lambda state: rename({name.removeprefix(prefix): value for name, value in state.items()})


def count(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def equalise(sides: list[Side]) -> None:
    """Asserts that the race is fair, and gives every side that can have them the first side's function.

    Raises:
        ValueError: if a side has another number of parameters than its definition explains, or draws random numbers in
            train mode (dropout or stochastic depth left on).
    """
    ours = sides[0].model
    for side in sides:
        if count(side.model) != count(ours) + side.extra:
            raise ValueError(
                f"{side.name} has {count(side.model):,} parameters, ours has {count(ours):,}: "
                f"a difference of {side.extra:,} is explained"
            )
        for name, module in side.model.named_modules():
            rate = max(float(getattr(module, key, 0.0) or 0.0) for key in ("p", "drop_prob", "rate"))
            if rate > 0:
                raise ValueError(f"{side.name}: {name} drops with probability {rate}")
    for side in sides[1:]:
        if (
            side.rename is not None
        ):  # one peer's weights are enough: ours follow the first, the rest are compared to it
            ours.load_state_dict(side.rename(side.model.state_dict()))
            break


def channels_last(model: nn.Module) -> nn.Module:
    """A copy of the model with its weights in the layout that convolutions like."""
    move: Callable[..., nn.Module] = copy.deepcopy(model).to  # torch's overloads leave memory_format out
    return move(memory_format=torch.channels_last)


def compiled(model: nn.Module) -> nn.Module:
    """The model under torch.compile, its own compilation, with fixed shapes."""
    wrapped = torch.compile(model, dynamic=False)
    assert isinstance(wrapped, nn.Module)  # torch's overloads promise a callable only
    return wrapped


def no_compiler() -> str:
    """Why torch.compile cannot work here; "" if it can."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception as error:  # the search raises several kinds; whatever it is, it is the reason
        return f"torch.compile has no C++ compiler here ({type(error).__name__})"
    return ""


def autocast(call: Callable[[], object]) -> Callable[[], object]:
    """The call in bfloat16 as the course computes it, for every side: autocast, and on a CPU the attention kernel that is fastest there."""
    precision = Precision(torch.device("cpu"), "bfloat16")

    def wrapped() -> object:
        with precision.forward():
            return call()

    return wrapped


#: what ratio to the fastest peer is level in bfloat16
NARROW_TARGET = 1.05
PASSES = {"forward": forward, "forward and backward": training}


def rows(
    what: str,
    setting: str,
    sides: list[Side],
    images: Tensor,
    formats: Iterable[str] = ("float32", "channels_last"),
    target: float | None = 1.0,
    note: str = "",
) -> list[Contest | Absent]:
    """Contests for every format and for both passes, all sides in each.

    Args:
        what: name of the model.
        setting: sizes, without the number format.
        sides: the reference first.
        images: (B, 3, H, W) float32.
        formats: of "float32", "channels_last" (weights and images), "bfloat16" (autocast), "compile".
        target: for float32; bfloat16 has `NARROW_TARGET`, the other formats are shown without one.
        note: why a target may be missed.
    """
    equalise(sides)
    contests: list[Contest | Absent] = []
    for form in formats:
        models = {side.name: side.model for side in sides}
        pixels = images
        if form == "channels_last":
            models = {name: channels_last(model) for name, model in models.items()}
            pixels = images.contiguous(memory_format=torch.channels_last)
        elif form == "compile" and (reason := no_compiler()):
            contests += [Absent(f"{what}, {passing}, compile", setting, reason) for passing in PASSES]
            continue
        elif form == "compile":
            models = {name: compiled(model) for name, model in models.items()}
        for passing, make in PASSES.items():
            ways = {name: make(model, pixels) for name, model in models.items()}
            if form == "bfloat16":
                ways = {name: autocast(way) for name, way in ways.items()}
            label = "bfloat16 autocast" if form == "bfloat16" else form
            contests.append(
                Contest(
                    f"{what}, {passing}, {label}",
                    setting,
                    ways.pop("ours"),
                    ways,
                    {"float32": target, "bfloat16": NARROW_TARGET}.get(form),
                    note,
                )
            )
    return contests
