"""What an exercise is: data that the check, the diagnosis, the grader and the tests all read.

An :class:`Exercise` says how to draw inputs, how to call an attempt, where the reference is found, and
which properties hold beyond equality of values. It holds no answer and no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

Seen = dict[str, Tensor]


class Draw:
    """Seeded source of test inputs. The same seed gives the same inputs, on every machine of one PyTorch version.

    Args:
        seed: any integer; the public fixtures use one, a grader uses a secret one.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def normal(
        self, *shape: int, scale: float = 1.0, shift: float = 0.0, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Normal values of both signs, shape `shape`."""
        return (torch.randn(shape, generator=self.generator, dtype=torch.float64) * scale + shift).to(dtype)

    def uniform(
        self, *shape: int, low: float = 0.0, high: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Uniform values in [low, high), shape `shape`."""
        values = torch.rand(shape, generator=self.generator, dtype=torch.float64)
        return (values * (high - low) + low).to(dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """int64 values in [low, high), shape `shape`."""
        return torch.randint(low, high, shape, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """One int in [low, high)."""
        return int(self.integers(low, high, 1).item())

    def mask(self, *shape: int, keep: float = 0.6) -> Tensor:
        """Boolean mask, True with probability `keep`, at least one True and (if it fits) one False per last axis."""
        mask = self.uniform(*shape) < keep
        first = self.integers(0, shape[-1], *shape[:-1], 1)
        mask = mask.scatter(-1, first, torch.ones_like(first, dtype=torch.bool))
        if shape[-1] > 1:
            other = (first + self.integers(1, shape[-1], *shape[:-1], 1)) % shape[-1]
            mask = mask.scatter(-1, other, torch.zeros_like(other, dtype=torch.bool))
        return mask

    def lengths(self, batch: int, longest: int, shortest: int = 1) -> Tensor:
        """int64 lengths (batch,), one of them equal to `longest`, in no order."""
        lengths = self.integers(shortest, longest + 1, batch)
        lengths[self.integer(0, batch)] = longest
        return lengths

    def permutation(self, n: int) -> Tensor:
        """A permutation of 0..n-1 that is not the identity (for n > 1)."""
        order = torch.randperm(n, generator=self.generator)
        return order.roll(1) if n > 1 and torch.equal(order, torch.arange(n)) else order

    def indivisible(self, by: int, most: int = 40) -> int:
        """An int between `by` and `by * most` of which `by` is no divisor."""
        return by * self.integer(1, most) + self.integer(1, by)

    def choice(self, options: list[Any]) -> Any:
        """One element of `options`."""
        return options[self.integer(0, len(options))]


@dataclass(frozen=True)
class Case:
    """One situation in which an attempt is observed.

    Args:
        name: the concept, as a student reads it ("more keys than queries").
        args: positional arguments in order, under the names that messages use.
        kwargs: arguments passed by name.
        init: constructor arguments, passed by name (modules only).
        mode: "eval" or "train" (modules only); "refused": what the stub's text says to raise an error for.
        method: method called instead of the module itself.
        weights: state dict to load strictly; None = drawn from the reference's at build time.
        cotangents: one per differentiable output; drawn at build time.
        exercise: set by the engine, so that an `observe` function can ask for kind, outputs and gradients.
    """

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    init: Mapping[str, Any] = field(default_factory=dict)
    mode: Literal["eval", "train", "refused"] = "eval"
    method: str = ""
    weights: Mapping[str, Tensor] | None = None
    cotangents: Mapping[str, Tensor] = field(default_factory=dict)
    exercise: Exercise | None = None


@dataclass(frozen=True)
class Property:
    """A predicate on what was observed, with its own sentence for the student.

    Args:
        name: short name for instructors.
        sentence: what is wrong when it does not hold, in the second person.
        holds: `(case, seen) -> bool`; a missing key in `seen` counts as "not asked".
    """

    name: str
    sentence: str
    holds: Callable[[Case, Seen], Any]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One graded exercise. See CONTRIBUTING.md for the fields' meaning, with an example.

    Args:
        name: name of the student's function or class, unique in the course.
        notebook: "01_transformer_recap".
        points: full marks.
        stars: difficulty, 1 to 5.
        minutes: estimate of the time it takes.
        reference: "solutions.<stem>:<name>" of the answer; resolved by authors' commands only. The stem is shared: the check lies in
            `utils/checks/exercises/<stem>.py`, the bank in `solutions/mistakes/<stem>.py`.
        cases: draws the cases from a seeded source.
        refuses: draws cases for which the stub's text says to raise an error.
        kind: "function" or "module".
        outputs: names of the returned values.
        gradients: whether gradients are compared.
        fresh: whether the result must be a new tensor that shares no memory with an input.
        observe: replaces the standard observation.
        properties: asked before values are compared.
        uses: exercises that the answer calls by name.
        by_hand: what of a library does the whole of it, as "nn.LSTM", where the exercise asks for one's own; the notebook says so.
        stand_in: "utils.stand_ins.<stem>:<name>", a library-built version for dependants.
        rtol, atol: tolerances for float32 (float64 is held to 1e-3 of them).
        seconds: time limit for one check.
    """

    name: str
    notebook: str
    points: int
    stars: int
    minutes: int
    reference: str
    cases: Callable[[Draw], list[Case]]
    kind: Literal["function", "module"] = "function"
    outputs: tuple[str, ...] = ("output",)
    gradients: bool = True
    fresh: bool = False
    observe: Callable[[Any, Case], Seen] | None = None
    weights: Callable[[str, Tensor, Draw], Tensor] | None = None
    properties: tuple[Property, ...] = ()
    refuses: Callable[[Draw], list[Case]] = lambda draw: []
    uses: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    stand_in: str = ""
    rtol: float = 1e-4
    atol: float = 2e-5
    seconds: float = 20.0

    def draw(self, seed: int) -> list[Case]:
        """All cases that a seed gives."""
        draw = Draw(seed)
        return [*self.cases(draw), *(replace(case, mode="refused") for case in self.refuses(draw))]

    def __post_init__(self) -> None:
        if not 1 <= self.stars <= 5:
            raise ValueError(f"{self.name}: stars must be 1 to 5, got {self.stars}")
        if self.points < 1:
            raise ValueError(f"{self.name}: points must be at least 1, got {self.points}")

    @property
    def stem(self) -> str:
        """The idea's name, which the answer, its check, its bank, its stand-in and its check data share: "attention"."""
        return self.reference.split(":")[0].rpartition(".")[2]
