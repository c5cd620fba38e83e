"""Notebook 07, first part: windows, their attention with its bias, and what it costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NOTEBOOK = "07_swin"
SWIN, MODEL = "solutions.swin", "solutions.swin_model"
STAND_INS = "utils.stand_ins.swin"


def windows_of(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) -> (B * nW, M, M, C) by `Tensor.unfold`."""
    return x.unfold(1, window, window).unfold(2, window, window).flatten(0, 2).permute(0, 2, 3, 1)


# 1, 2: windows -----------------------------------------------------------------------------------------------------


def _partition_cases(draw: Draw) -> list[Case]:
    return [
        Case("one image, more rows than columns", args={"x": draw.normal(1, 6, 4, 3), "window_size": 2}),
        Case("two images, more columns than rows", args={"x": draw.normal(2, 4, 12, 2), "window_size": 4}),
        Case("three images, one channel", args={"x": draw.normal(3, 3, 9, 1), "window_size": 3}),
        Case("one window per image", args={"x": draw.normal(2, 3, 3, 4), "window_size": 3}),
        Case("float64", args={"x": draw.normal(2, 8, 6, 2, dtype=torch.float64), "window_size": 2}),
    ]


def _first_window(case: Case, seen: Seen) -> bool:
    """As a set: the order of the pixels inside is compared later."""
    corner = case.args["x"][0, : case.args["window_size"], : case.args["window_size"]]
    return torch.equal(seen["output"][0].flatten().sort().values, corner.flatten().sort().values)


def _reverse_cases(draw: Draw) -> list[Case]:
    def case(name: str, batch: int, height: int, width: int, channels: int, window: int, **kind: Any) -> Case:
        count = batch * (height // window) * (width // window)
        windows = draw.normal(count, window, window, channels, **kind)
        return Case(name, args={"windows": windows, "window_size": window, "height": height, "width": width})

    return [
        case("one image, more rows than columns", 1, 6, 4, 3, 2),
        case("two images, more columns than rows", 2, 4, 12, 2, 4),
        case("three images, one channel", 3, 3, 9, 1, 3),
        case("one window per image", 2, 3, 3, 4, 3),
        case("float64", 2, 8, 6, 2, 2, dtype=torch.float64),
    ]


def _comes_back(case: Case, seen: Seen) -> bool:
    return torch.equal(windows_of(seen["output"], case.args["window_size"]), case.args["windows"])


# 3: the index ------------------------------------------------------------------------------------------------------


def _index_cases(draw: Draw) -> list[Case]:
    return [
        Case("a window of 2", args={"window_size": 2}),
        Case("a window of 3", args={"window_size": 3}),
        Case("a larger window", args={"window_size": draw.integer(4, 6)}),
        Case("a still larger window", args={"window_size": draw.integer(6, 8)}),
    ]


def _offsets(window: int) -> Tensor:
    """(N, N) int64: a different number for each offset between a query and a key."""
    position = torch.arange(window * window)
    place = 100 * position.div(window, rounding_mode="floor") + position % window
    return place[:, None] - place[None, :]


def _one_entry_per_offset(case: Case, seen: Seen) -> bool:
    """Same offset, same entry; other offset, other entry."""
    pairs = torch.stack([seen["output"].flatten(), _offsets(case.args["window_size"]).flatten()], 1).unique(
        dim=0
    )
    return len(pairs) == len(pairs[:, 0].unique()) == len(pairs[:, 1].unique())


def _in_the_table(case: Case, seen: Seen) -> bool:
    last = (2 * case.args["window_size"] - 1) ** 2 - 1
    return int(seen["output"].min()) >= 0 and int(seen["output"].max()) <= last


# 4: attention in windows -------------------------------------------------------------------------------------------


def _mask_with_self(draw: Draw, windows: int, positions: int) -> Tensor:
    return draw.mask(windows, positions, positions) | torch.eye(positions, dtype=torch.bool)


def _attention_cases(draw: Draw) -> list[Case]:
    def init(dim: int, window_size: int, num_heads: int) -> dict[str, int]:
        return {"dim": dim, "window_size": window_size, "num_heads": num_heads}

    identity = torch.eye(9)
    bias_alone = {
        "relative_position_bias_table": draw.normal(25, 1),
        "qkv.weight": torch.cat([torch.zeros(18, 9), identity]),  # q = k = 0, v = x
        "qkv.bias": torch.zeros(27),
        "proj.weight": identity,
        "proj.bias": torch.zeros(9),
    }
    return [
        Case("no mask", init=init(8, 2, 2), args={"x": draw.normal(6, 4, 8), "mask": None}),
        Case(
            "a mask, one image",
            init=init(6, 2, 3),
            args={"x": draw.normal(3, 4, 6), "mask": _mask_with_self(draw, 3, 4)},
        ),
        Case(
            "a mask, several images",
            init=init(8, 2, 2),
            args={"x": draw.normal(6, 4, 8), "mask": _mask_with_self(draw, 2, 4)},
        ),
        Case(
            "nothing speaks but the bias",
            init=init(9, 3, 1),
            args={"x": identity.expand(2, 9, 9).clone(), "mask": None},
            weights=bias_alone,
        ),
        Case(
            "a larger window, float64",
            init=init(4, 3, 2),
            args={
                "x": draw.normal(2, 9, 4, dtype=torch.float64),
                "mask": _mask_with_self(draw, 2, 9),
            },
        ),
    ]


def _bias_translates(case: Case, seen: Seen) -> bool:
    """With q = k = 0, v = x = identity the output is softmax(bias): equal offsets must have equal bias."""
    if case.name != "nothing speaks but the bias":
        return True
    bias = seen["output"][0].log()  # (9, 9): row = query, up to a constant per row
    bias = bias - bias.diagonal()[:, None]
    offsets = _offsets(3)
    spread = [bias[offsets == offset] for offset in offsets.unique()]
    return all(bool((values - values[0]).abs().max() < 1e-4) for values in spread)


# 5, 6: cost --------------------------------------------------------------------------------------------------------


def _cost_cases(draw: Draw) -> list[Case]:
    return [
        Case("a tall map", args={"h": 8, "w": 3, "channels": 5}),
        Case("one token", args={"h": 1, "w": 1, "channels": draw.integer(2, 9)}),
        Case(
            "a wide map",
            args={"h": draw.integer(2, 6), "w": draw.integer(7, 12), "channels": draw.integer(4, 20)},
        ),
        Case("the first stage at 224", args={"h": 56, "w": 56, "channels": 96}),
    ]


def _window_cost_cases(draw: Draw) -> list[Case]:
    window = draw.integer(2, 5)
    return [
        Case("a tall map", args={"h": 8, "w": 4, "channels": 5, "window_size": 2}),
        Case("one window", args={"h": 3, "w": 3, "channels": draw.integer(4, 9), "window_size": 3}),
        Case(
            "a wide map",
            args={"h": 2 * window, "w": 5 * window, "channels": draw.integer(4, 20), "window_size": window},
        ),
        Case("the first stage at 224", args={"h": 56, "w": 56, "channels": 96, "window_size": 7}),
    ]


EXERCISES = [
    Exercise(
        name="window_partition",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=10,
        reference=f"{SWIN}:window_partition",
        stand_in=f"{STAND_INS}:window_partition",
        cases=_partition_cases,
        properties=(
            Property(
                "neighbours stay together",
                "Your first window does not hold the pixels of the upper left M x M corner of the first image.",
                _first_window,
            ),
        ),
    ),
    Exercise(
        name="window_reverse",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=10,
        reference=f"{SWIN}:window_reverse",
        stand_in=f"{STAND_INS}:window_reverse",
        cases=_reverse_cases,
        properties=(
            Property(
                "inverts window_partition",
                "Cutting your map into windows again does not give the windows that it was put together from.",
                _comes_back,
            ),
        ),
    ),
    Exercise(
        name="relative_position_index",
        notebook=NOTEBOOK,
        points=3,
        stars=3,
        minutes=15,
        reference=f"{SWIN}:relative_position_index",
        stand_in=f"{STAND_INS}:relative_position_index",
        cases=_index_cases,
        gradients=False,
        properties=(
            Property(
                "an entry per offset",
                "Two pairs of positions should share a table entry exactly if their offsets (rows and columns apart) are "
                "equal, and in yours they do not.",
                _one_entry_per_offset,
            ),
            Property(
                "inside the table",
                "Some of your indices lie outside the table, which has (2M - 1)^2 entries, numbered from 0.",
                _in_the_table,
            ),
        ),
    ),
    Exercise(
        name="WindowAttention",
        notebook=NOTEBOOK,
        points=4,
        stars=4,
        minutes=25,
        kind="module",
        reference=f"{SWIN}:WindowAttention",
        stand_in=f"{STAND_INS}:WindowAttention",
        cases=_attention_cases,
        uses=("relative_position_index",),
        properties=(
            Property(
                "bias is translation invariant",
                "The bias between two positions should depend only on how many rows and columns lie between them; yours "
                "depends on where in the window they are.",
                _bias_translates,
            ),
        ),
    ),
    Exercise(
        name="msa_flops",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=8,
        reference=f"{MODEL}:msa_flops",
        stand_in=f"{STAND_INS}:msa_flops",
        cases=_cost_cases,
        gradients=False,
    ),
    Exercise(
        name="window_msa_flops",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference=f"{MODEL}:window_msa_flops",
        stand_in=f"{STAND_INS}:window_msa_flops",
        cases=_window_cost_cases,
        gradients=False,
    ),
]
