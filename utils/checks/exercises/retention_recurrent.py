"""Checks: retention with a state: step by step, and chunk by chunk."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from utils.checks.exercises.retention import NO_FUTURE, observe_retention, retention_arguments
from utils.checks.properties import same
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

FORGOTTEN = "a long sequence that is forgotten fast"


def recurrent_cases(draw: Draw) -> list[Case]:
    def case(name: str, sizes: tuple[int, int, int, int, int], continues: bool, **kind: Any) -> Case:
        args = retention_arguments(draw, sizes, **kind)
        if name == FORGOTTEN:
            args["decay"] = draw.uniform(sizes[1], low=0.05, high=0.1)
        state = draw.normal(sizes[0], sizes[1], sizes[3], sizes[4], **kind) if continues else None
        return Case(name, args={**args, "state": state})

    return [
        case("a new sequence", (2, 2, 5, 3, 4), False),
        case("a sequence that goes on", (1, 3, 4, 4, 2), True),
        case("one step", (2, 2, 1, 3, 2), True),
        case(FORGOTTEN, (1, 2, 60, 2, 2), False),
        case("a sequence that goes on, float64", (2, 2, 5, 2, 3), True, dtype=torch.float64),
    ]


def goes_on_from_the_state(case: Case, seen: Seen) -> bool:
    return same(seen["output in two parts"], seen["output"])


GOES_ON = Property(
    "goes on from the state",
    "A sequence in two parts, the second from the state that the first left, gives another output than the whole in one go: "
    "the state that you start from, carry along or return is not the right one.",
    goes_on_from_the_state,
)

RETENTION_RECURRENT = Exercise(
    name="retention_recurrent",
    notebook="09_beyond_attention",
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.retention_recurrent:retention_recurrent",
    outputs=("output", "state"),
    cases=recurrent_cases,
    observe=observe_retention,
    properties=(NO_FUTURE, GOES_ON),
)


class _Squares(TorchFunctionMode):
    """Notes the sizes of which a tensor within has two axes."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            shape = list(result.shape)
            self.sizes |= {size for size in shape if shape.count(size) > 1}
        return result


def observe_chunks(attempt: Any, case: Case) -> Seen:
    """The usual, and whether a matrix is larger than a chunk: its values would be the same."""
    seen = observe_retention(attempt, case)
    length, chunk = case.args["query"].shape[2], case.args["chunk_size"]
    pieces = -(-length // chunk)
    if len({length, chunk, pieces, *case.args["query"].shape, *case.args["value"].shape}) < 7:
        return seen  # a size that says two things says nothing
    with torch.no_grad(), _Squares() as squares:
        attempt(*case.args.values())
    # Matrices between all pieces are fine beside those inside them: a way to compute all states at once.
    seen["cut into chunks"] = torch.tensor(
        length not in squares.sizes and (pieces not in squares.sizes or chunk in squares.sizes)
    )
    return seen


def chunk_cases(draw: Draw) -> list[Case]:
    def case(name: str, sizes: tuple[int, ...], chunk_size: int, continues: bool, **kind: Any) -> Case:
        args = retention_arguments(draw, sizes, **kind)
        if name == FORGOTTEN:
            args["decay"] = draw.uniform(sizes[1], low=0.05, high=0.1)
        state = draw.normal(sizes[0], sizes[1], sizes[3], sizes[4], **kind) if continues else None
        return Case(name, args={**args, "chunk_size": chunk_size, "state": state})

    return [
        case("chunks of two", (2, 2, 6, 3, 4), 2, False),
        case("a shorter chunk at the end", (1, 3, 8, 4, 2), 3, False),
        case("chunks of one position", (2, 1, 4, 3, 2), 1, True),
        case("chunks of one position, from the beginning", (1, 2, 5, 3, 2), 1, False),
        case(FORGOTTEN, (1, 1, 96, 2, 2), 48, False),
        case("a chunk longer than the sequence", (2, 2, 3, 2, 3), 5, True),
        case("a sequence that goes on, float64", (2, 2, 7, 2, 3), 3, True, dtype=torch.float64),
        case("many chunks", (1, 2, 17, 4, 5), 3, True),
    ]


RETENTION_CHUNKWISE = Exercise(
    name="retention_chunkwise",
    notebook="09_beyond_attention",
    points=4,
    stars=5,
    minutes=25,
    reference="solutions.retention_recurrent:retention_chunkwise",
    outputs=("output", "state"),
    cases=chunk_cases,
    refuses=lambda draw: [
        Case(
            "a chunk without positions",
            args={**retention_arguments(draw, (1, 2, 4, 3, 2)), "chunk_size": 0, "state": None},
        )
    ],
    observe=observe_chunks,
    uses=("retention_parallel",),
    properties=(
        NO_FUTURE,
        GOES_ON,
        Property(
            "cut into chunks",
            "Your values are right, and your pieces are not chunks of C positions. `split(C)` takes their length; `chunk(C)` takes their number.",
            lambda case, seen: seen.get("cut into chunks", True),
        ),
    ),
)
