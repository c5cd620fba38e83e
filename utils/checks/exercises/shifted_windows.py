"""Checks: the cyclic shift and its mask."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks.exercises.windows import cut_lines, windows_of
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _shift_cases(draw: Draw) -> list[Case]:
    return [
        Case("by one", args={"x": draw.normal(1, 4, 6, 2), "shift_size": 1}),
        Case("several images, more rows than columns", args={"x": draw.normal(4, 7, 5, 2), "shift_size": 3}),
        Case("not at all", args={"x": draw.normal(2, 3, 4, 1), "shift_size": 0}),
        Case("and back", args={"x": draw.normal(2, 5, 6, 3), "shift_size": -2}),
        Case("float64", args={"x": draw.normal(2, 6, 4, 5, dtype=torch.float64), "shift_size": 2}),
        Case("further than the map is wide", args={"x": draw.normal(1, 3, 4, 2), "shift_size": 6}),
    ]


def _corner_arrives(case: Case, seen: Seen) -> bool:
    x, shift = case.args["x"], case.args["shift_size"]
    return torch.equal(seen["output"][:, 0, 0], x[:, shift % x.shape[1], shift % x.shape[2]])


CYCLIC_SHIFT = Exercise(
    name="cyclic_shift",
    notebook="07_swin",
    points=1,
    stars=1,
    minutes=5,
    reference="solutions.shifted_windows:cyclic_shift",
    stand_in="utils.stand_ins.shifted_windows:cyclic_shift",
    cases=_shift_cases,
    fresh=True,
    properties=(
        Property(
            "(s, s) moves to the corner",
            "The pixel at row s, column s should arrive in the upper left corner, and in yours another one does.",
            _corner_arrives,
        ),
    ),
)


def _mask_cases(draw: Draw) -> list[Case]:
    def case(name: str, rows: int, columns: int, window: int, shift: int) -> Case:
        size = {"height": rows * window, "width": columns * window}
        return Case(name, args=size | {"window_size": window, "shift_size": shift})

    few, more = draw.integer(2, 4), draw.integer(4, 6)
    return [
        case("a window of two", few, more, 2, 1),
        case("more rows than columns", more, few, 4, 2),
        case("a shift of less than half a window", 2, draw.integer(3, 6), draw.choice([3, 5]), 1),
        case("a shift of more than half a window", 2, draw.integer(3, 6), 4, 3),
        case("another grid of windows", draw.integer(2, 4), draw.integer(4, 8), 3, 2),
        case("no shift", 2, 3, draw.integer(2, 5), 0),
        case("a large window", 2, few, draw.integer(6, 9), draw.integer(1, 6)),
    ]


def _sees_itself(case: Case, seen: Seen) -> bool:
    return bool(seen["output"].diagonal(dim1=1, dim2=2).all())


def _allowed(case: Case) -> Tensor:
    """(nW, N, N) bool from the cut lines alone: who is in whose moved window."""
    height, width, window, shift = (case.args[k] for k in ("height", "width", "window_size", "shift_size"))
    group = (
        (cut_lines(height, window, shift)[:, None] + 1) * (width + 2)
        + cut_lines(width, window, shift)[None, :]
        + 1
    )
    group = group.roll((-shift, -shift), (0, 1))
    group = windows_of(group[None, :, :, None], window).flatten(1)
    return group[:, :, None] == group[:, None, :]


def _nothing_wraps(case: Case, seen: Seen) -> bool:
    return not bool((seen["output"] & ~_allowed(case)).any())


def _neighbours_meet(case: Case, seen: Seen) -> bool:
    return not bool((_allowed(case) & ~seen["output"]).any())


SHIFTED_WINDOW_MASK = Exercise(
    name="shifted_window_mask",
    notebook="07_swin",
    points=4,
    stars=4,
    minutes=25,
    reference="solutions.shifted_windows:shifted_window_mask",
    stand_in="utils.stand_ins.shifted_windows:shifted_window_mask",
    cases=_mask_cases,
    gradients=False,
    uses=("window_partition",),
    properties=(
        Property(
            "everyone sees itself",
            "A position must always be allowed to attend to itself; in yours some are not.",
            _sees_itself,
        ),
        Property(
            "nothing wraps",
            "Your mask lets pixels from opposite edges of the image attend to each other.",
            _nothing_wraps,
        ),
        Property(
            "neighbours meet",
            "Your mask separates pixels that are neighbours in the image and share a shifted window.",
            _neighbours_meet,
        ),
    ),
)
