"""Checks: the Swin block and patch merging."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.building import build_module
from utils.checks.exercises.windows import cut_lines
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


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
        Case("only the rows need padding", init=init(3, 0), args={"x": draw.normal(2, 4, 6, 4)}),
        Case("only the columns need padding", init=init(2, 0), args={"x": draw.normal(1, 6, 9, 4)}),
        Case("a map that needs padding, shifted", init=init(4, 2), args={"x": draw.normal(2, 6, 9, 4)}),
        Case("a map as high as its window", init=init(3, 1), args={"x": draw.normal(1, 3, 9, 4)}),
    ]


def _pixels(case: Case) -> dict[str, tuple[int, int]]:
    _, height, width, _ = case.args["x"].shape
    return {"output with another corner": (0, 0), "output with another middle": (height // 2, width // 2)}


def _observe_block(attempt: Any, case: Case) -> Seen:
    """The usual observation, and the output again after one pixel has changed its sign: in the corner, in the middle."""
    seen = observe_default(attempt, case)
    block = build_module(attempt, case)
    for name, (row, col) in _pixels(case).items():
        x = case.args["x"].clone()
        x[:, row, col] *= -1
        seen[name] = block(x)  # with a graph, as above: kernels for inference round in another way
    x = torch.cat([case.args["x"], case.args["x"].flip(1)], dim=1)  # twice as high
    large = torch.cat([x, x.flip(2)], dim=2)
    seen["output for a map of another size"] = block(large)
    seen["output for that map turned"] = block(
        large.transpose(1, 2)
    )  # as many positions: nothing may be kept by their number
    return seen


def _together(height: int, width: int, window: int, shift: int, row: int, col: int) -> Tensor:
    """(H, W) bool: positions in the (moved) window of position (row, col)."""
    rows, cols = cut_lines(height, window, shift), cut_lines(width, window, shift)
    return (rows == rows[row])[:, None] & (cols == cols[col])[None, :]


def _spread(case: Case, seen: Seen) -> list[tuple[Tensor, Tensor]]:
    """For each changed pixel: who shares its moved window, and whose output has changed. Both (H, W) bool."""
    _, height, width, _ = case.args["x"].shape
    window, shift = case.init["window_size"], case.init["shift_size"]
    shift = shift if min(height, width) > window else 0
    rounding = 2e-6 * float(seen["output"].abs().max().clamp(min=1.0))
    return [
        (
            _together(height, width, window, shift, *place),
            ((seen[name] - seen["output"]).abs() > rounding).any(-1).any(0),
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


SWIN_BLOCK = Exercise(
    name="SwinBlock",
    notebook="07_swin",
    points=5,
    stars=5,
    minutes=30,
    kind="module",
    reference="solutions.swin:SwinBlock",
    stand_in="utils.stand_ins.swin:SwinBlock",
    cases=_block_cases,
    refuses=lambda draw: [
        Case(
            "a window larger than the map",
            init={"dim": 4, "num_heads": 2, "window_size": 5},
            args={"x": draw.normal(1, 4, 6, 4)},
        ),
    ],
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
)


def _merging_cases(draw: Draw) -> list[Case]:
    return [
        Case("an even map, training", init={"dim": 3}, args={"x": draw.normal(2, 4, 6, 3)}, mode="train"),
        Case("more rows than columns", init={"dim": 2}, args={"x": draw.normal(3, 8, 2, 2)}),
        Case("an odd number of rows", init={"dim": 3}, args={"x": draw.normal(1, 5, 4, 3)}),
        Case("an odd number of columns, a single one", init={"dim": 3}, args={"x": draw.normal(2, 4, 1, 3)}),
        Case("a single row", init={"dim": 3}, args={"x": draw.normal(1, 1, 6, 3)}),
        Case("three columns", init={"dim": 2}, args={"x": draw.normal(1, 2, 3, 2)}),
        Case("three rows", init={"dim": 2}, args={"x": draw.normal(2, 3, 4, 2)}),
        Case("both sides odd", init={"dim": 2}, args={"x": draw.normal(2, 3, 7, 2)}),
        Case("float64", init={"dim": 4}, args={"x": draw.normal(1, 2, 6, 4, dtype=torch.float64)}),
    ]


PATCH_MERGING = Exercise(
    name="PatchMerging",
    notebook="07_swin",
    points=2,
    stars=2,
    minutes=12,
    kind="module",
    reference="solutions.swin:PatchMerging",
    stand_in="utils.stand_ins.swin:PatchMerging",
    cases=_merging_cases,
)
