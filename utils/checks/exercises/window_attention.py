"""Checks: attention inside a window, with a bias per offset."""

from __future__ import annotations

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _index_cases(draw: Draw) -> list[Case]:
    return [
        Case("a small window", args={"window_size": draw.integer(2, 5)}),
        Case("a larger window", args={"window_size": draw.integer(4, 7)}),
        Case("a still larger window", args={"window_size": draw.integer(6, 9)}),
        Case("a window as wide as a map", args={"window_size": draw.integer(8, 10)}),
        Case("a window of a single position", args={"window_size": 1}),
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


RELATIVE_POSITION_INDEX = Exercise(
    name="relative_position_index",
    notebook="07_swin",
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.window_attention:relative_position_index",
    stand_in="utils.stand_ins.window_attention:relative_position_index",
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
)


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
        Case("training", init=init(4, 2, 2), args={"x": draw.normal(2, 4, 4), "mask": None}, mode="train"),
        _hidden_above_all(draw, init(4, 3, 2)),
    ]


def _hidden_above_all(draw: Draw, init: dict[str, int]) -> Case:
    """All scores lie near -1000, those of one offset near 20000; the mask hides these, and some others.

    So a number in place of a hidden score, or taken from it, is seen through: it lies above the others.
    """
    weights = {"qkv.weight": draw.normal(12, 4, scale=0.5), "qkv.bias": draw.normal(12, scale=0.3)}
    weights |= {"proj.weight": draw.normal(4, 4, scale=0.5), "proj.bias": draw.normal(4, scale=0.3)}
    table = draw.normal(25, 2, shift=-1000)
    table[13] = 20_000  # an offset of one column: 2 (2 M - 1) + 3
    weights["relative_position_bias_table"] = table
    place = torch.arange(9)  # `_offsets` is withheld where a sandbox draws this
    apart = (place[:, None] - place == 1) & (place[:, None] % 3 > 0)
    args = {"x": draw.normal(2, 9, 4, dtype=torch.float64), "mask": _mask_with_self(draw, 2, 9) & ~apart}
    weights = {name: value.double() for name, value in weights.items()}
    return Case("a hidden score far above the others, float64", init=init, args=args, weights=weights)


def _bias_translates(case: Case, seen: Seen) -> bool:
    """With q = k = 0, v = x = identity the output is softmax(bias): equal offsets must have equal bias."""
    if case.name != "nothing speaks but the bias":
        return True
    bias = seen["output"][0].log()  # (9, 9): row = query, up to a constant per row
    bias = bias - bias.diagonal()[:, None]
    offsets = _offsets(3)
    spread = [bias[offsets == offset] for offset in offsets.unique()]
    return all(bool((values - values[0]).abs().max() < 1e-4) for values in spread)


WINDOW_ATTENTION = Exercise(
    name="WindowAttention",
    notebook="07_swin",
    points=4,
    stars=4,
    minutes=25,
    kind="module",
    reference="solutions.window_attention:WindowAttention",
    by_hand=by_hand.MULTIHEAD,
    stand_in="utils.stand_ins.window_attention:WindowAttention",
    cases=_attention_cases,
    refuses=lambda draw: [
        Case(
            "channels that the heads do not divide",
            init={"dim": draw.indivisible(4), "window_size": draw.integer(2, 6), "num_heads": 4},
        )
    ],
    uses=("relative_position_index",),
    properties=(
        Property(
            "bias is translation invariant",
            "The bias between two positions should depend only on how many rows and columns lie between them; yours "
            "depends on where in the window they are.",
            _bias_translates,
        ),
    ),
)
