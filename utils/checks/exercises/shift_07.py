"""Notebook 07, second part: the shift, its mask, and the block that shifts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.exercises.windows_07 import NOTEBOOK, STAND_INS, SWIN, windows_of
from utils.checks.observe import build_module, observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

# What a map's cut lines say, independent of any roll or mask -------------------------------------------------------


def _cut(side: int, window: int, shift: int = 0) -> Tensor:
    """(side,) which window each row (or column) falls into, when the cut lines have moved by `shift`."""
    return (torch.arange(side) - shift).div(window, rounding_mode="floor")


def _together(height: int, width: int, window: int, shift: int, row: int, col: int) -> Tensor:
    """(H, W) bool: positions in the (moved) window of position (row, col)."""
    rows, cols = _cut(height, window, shift), _cut(width, window, shift)
    return (rows == rows[row])[:, None] & (cols == cols[col])[None, :]


# 7, 8: the shift and its mask --------------------------------------------------------------------------------------


def _shift_cases(draw: Draw) -> list[Case]:
    return [
        Case("by one", args={"x": draw.normal(1, 4, 6, 2), "shift_size": 1}),
        Case("several images, more rows than columns", args={"x": draw.normal(4, 7, 5, 2), "shift_size": 3}),
        Case("not at all", args={"x": draw.normal(2, 3, 4, 1), "shift_size": 0}),
        Case("and back", args={"x": draw.normal(2, 5, 6, 3), "shift_size": -2}),
        Case("float64", args={"x": draw.normal(2, 6, 4, 5, dtype=torch.float64), "shift_size": 2}),
    ]


def _corner_arrives(case: Case, seen: Seen) -> bool:
    x, shift = case.args["x"], case.args["shift_size"]
    return torch.equal(seen["output"][:, 0, 0], x[:, shift % x.shape[1], shift % x.shape[2]])


def _mask_cases(draw: Draw) -> list[Case]:
    def case(name: str, height: int, width: int, window: int, shift: int) -> Case:
        return Case(name, args={"height": height, "width": width, "window_size": window, "shift_size": shift})

    rows, cols = draw.integer(2, 4), draw.integer(4, 6)
    return [
        case("two by three windows", 4, 6, 2, 1),
        case("more rows than columns", 12, 8, 4, 2),
        case("a shift of less than half a window", 6, 9, 3, 1),
        case("a shift of more than half a window", 8, 12, 4, 3),
        case("another grid of windows", 3 * rows, 3 * cols, 3, 2),
        case("no shift", 4, 6, 2, 0),
    ]


def _allowed(case: Case) -> Tensor:
    """(nW, N, N) bool from the cut lines alone: who is in whose moved window."""
    height, width, window, shift = (case.args[k] for k in ("height", "width", "window_size", "shift_size"))
    group = (_cut(height, window, shift)[:, None] + 1) * (width + 2) + _cut(width, window, shift)[None, :] + 1
    group = group.roll((-shift, -shift), (0, 1))
    group = windows_of(group[None, :, :, None], window).flatten(1)
    return group[:, :, None] == group[:, None, :]


def _sees_itself(case: Case, seen: Seen) -> bool:
    return bool(seen["output"].diagonal(dim1=1, dim2=2).all())


def _nothing_wraps(case: Case, seen: Seen) -> bool:
    return not bool((seen["output"] & ~_allowed(case)).any())


def _neighbours_meet(case: Case, seen: Seen) -> bool:
    return not bool((_allowed(case) & ~seen["output"]).any())


# 9: the block ------------------------------------------------------------------------------------------------------


def _block_cases(draw: Draw) -> list[Case]:
    def init(window_size: int, shift_size: int, dim: int = 4, num_heads: int = 2) -> dict[str, Any]:
        return {
            "dim": dim,
            "num_heads": num_heads,
            "window_size": window_size,
            "shift_size": shift_size,
            "mlp_ratio": 2.0,
        }

    return [
        Case("windows without a shift", init=init(2, 0), args={"x": draw.normal(2, 4, 6, 4)}),
        Case("shifted windows", init=init(2, 1), args={"x": draw.normal(2, 6, 4, 4)}),
        Case(
            "shifted windows of three, float64",
            init=init(3, 1, 6, 3),
            args={"x": draw.normal(1, 6, 9, 6, dtype=torch.float64)},
            mode="train",
        ),
        Case("a map that needs padding", init=init(3, 0), args={"x": draw.normal(2, 4, 8, 4)}),
        Case("a map that needs padding, shifted", init=init(4, 2), args={"x": draw.normal(2, 6, 9, 4)}),
        Case("a map as high as its window", init=init(3, 1), args={"x": draw.normal(1, 3, 9, 4)}),
    ]


def _observe_block(attempt: Any, case: Case) -> Seen:
    """The usual observation, and the output again after one pixel has changed its sign: in the corner, in the middle."""
    seen = observe_default(attempt, case)
    block = build_module(attempt, case)
    for name, (row, col) in _pixels(case).items():
        x = case.args["x"].clone()
        x[:, row, col] *= -1
        with torch.no_grad():
            seen[name] = block(x)
    return seen


def _pixels(case: Case) -> dict[str, tuple[int, int]]:
    _, height, width, _ = case.args["x"].shape
    return {"output with another corner": (0, 0), "output with another middle": (height // 2, width // 2)}


def _spread(case: Case, seen: Seen) -> list[tuple[Tensor, Tensor]]:
    """For each changed pixel: who shares its moved window, and whose output has changed. Both (H, W) bool."""
    _, height, width, _ = case.args["x"].shape
    window, shift = case.init["window_size"], case.init["shift_size"]
    shift = shift if min(height, width) > window else 0
    return [
        (
            _together(height, width, window, shift, *place),
            ((seen[name] - seen["output"]).abs() > 2e-6).any(-1).any(0),
        )
        for name, place in _pixels(case).items()
    ]


def _windows_are_closed(case: Case, seen: Seen) -> bool:
    return bool(case.init["shift_size"]) or not any(
        (saw & ~mates).any() for mates, saw in _spread(case, seen)
    )


def _edges_are_closed(case: Case, seen: Seen) -> bool:
    return not case.init["shift_size"] or not any((saw & ~mates).any() for mates, saw in _spread(case, seen))


def _window_mates_notice(case: Case, seen: Seen) -> bool:
    return not any((mates & ~saw).any() for mates, saw in _spread(case, seen))


EXERCISES = [
    Exercise(
        name="cyclic_shift",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference=f"{SWIN}:cyclic_shift",
        stand_in=f"{STAND_INS}:cyclic_shift",
        cases=_shift_cases,
        properties=(
            Property(
                "(s, s) moves to the corner",
                "The pixel at row s, column s should arrive in the upper left corner, and in yours another one does.",
                _corner_arrives,
            ),
        ),
    ),
    Exercise(
        name="shifted_window_mask",
        notebook=NOTEBOOK,
        points=4,
        stars=4,
        minutes=25,
        reference=f"{SWIN}:shifted_window_mask",
        stand_in=f"{STAND_INS}:shifted_window_mask",
        cases=_mask_cases,
        gradients=False,
        uses=("window_partition",),
        properties=(
            Property(
                "everyone sees itself", "A position must always be allowed to attend to itself.", _sees_itself
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
    ),
    Exercise(
        name="SwinBlock",
        notebook=NOTEBOOK,
        points=5,
        stars=5,
        minutes=30,
        kind="module",
        reference=f"{SWIN}:SwinBlock",
        stand_in=f"{STAND_INS}:SwinBlock",
        cases=_block_cases,
        observe=_observe_block,
        uses=("window_partition", "window_reverse", "WindowAttention", "cyclic_shift", "shifted_window_mask"),
        properties=(
            Property(
                "windows are closed",
                "Without a shift, changing one pixel should change its own window only; yours changes others, too.",
                _windows_are_closed,
            ),
            Property(
                "edges are closed",
                "With a shift, changing one pixel should change its shifted window only; yours changes pixels outside of it "
                "(beyond the wrapped edge, or in another window).",
                _edges_are_closed,
            ),
            Property(
                "window mates notice",
                "Changing one pixel should be noticed by every pixel of its (shifted) window, and in yours some do not.",
                _window_mates_notice,
            ),
        ),
    ),
]
