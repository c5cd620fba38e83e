"""Exercises of notebook 07: Swin. Specifications only; the answers are in `solutions/swin.py` and `solutions/swin_model.py`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.observe import build_module, observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NOTEBOOK = "07_swin"


# What a map's cut lines say, independent of any roll or mask -------------------------------------------------------


def _cut(side: int, window: int, shift: int = 0) -> Tensor:
    """(side,) which window each row (or column) falls into, when the cut lines have moved by `shift`."""
    return (torch.arange(side) - shift).div(window, rounding_mode="floor")


def _together(height: int, width: int, window: int, shift: int, row: int, col: int) -> Tensor:
    """(H, W) bool: positions in the (moved) window of position (row, col)."""
    rows, cols = _cut(height, window, shift), _cut(width, window, shift)
    return (rows == rows[row])[:, None] & (cols == cols[col])[None, :]


def _windows(x: Tensor, window: int) -> Tensor:
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
    return torch.equal(_windows(seen["output"], case.args["window_size"]), case.args["windows"])


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
    group = _windows(group[None, :, :, None], window).flatten(1)
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


# 10, 11: merging and the whole -------------------------------------------------------------------------------------


def _merging_cases(draw: Draw) -> list[Case]:
    return [
        Case("an even map", init={"dim": 3}, args={"x": draw.normal(2, 4, 6, 3)}),
        Case("more rows than columns", init={"dim": 2}, args={"x": draw.normal(3, 8, 2, 2)}),
        Case("an odd number of rows", init={"dim": 3}, args={"x": draw.normal(1, 5, 4, 3)}),
        Case("both sides odd", init={"dim": 2}, args={"x": draw.normal(2, 3, 7, 2)}),
        Case("float64", init={"dim": 4}, args={"x": draw.normal(1, 2, 6, 4, dtype=torch.float64)}),
    ]


def _model_cases(draw: Draw) -> list[Case]:
    tiny = {"patch_size": 2, "in_channels": 2, "embed_dim": 4, "mlp_ratio": 1.0, "num_classes": 3}
    two = {**tiny, "depths": (2, 1), "num_heads": (1, 2)}
    return [
        Case(
            "two stages",
            init={**two, "image_size": 16, "window_size": 4},
            args={"images": draw.normal(2, 2, 16, 16)},
        ),
        Case(
            "a wide image, float64",
            init={**two, "image_size": (8, 16), "window_size": 2},
            args={"images": draw.normal(1, 2, 8, 16, dtype=torch.float64)},
            mode="train",
        ),
        Case(
            "three stages, odd maps",
            init={**tiny, "depths": (1, 2, 1), "num_heads": (2, 1, 4), "image_size": 20, "window_size": 3},
            args={"images": draw.normal(1, 2, 20, 20)},
        ),
        Case(
            "a stage smaller than the window",
            init={**two, "image_size": 8, "window_size": 3},
            args={"images": draw.normal(3, 2, 8, 8)},
        ),
    ]


SWIN, MODEL = "solutions.swin", "solutions.swin_model"
STAND_INS = "utils.stand_ins_swin"

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
    Exercise(
        name="PatchMerging",
        notebook=NOTEBOOK,
        points=2,
        stars=2,
        minutes=12,
        kind="module",
        reference=f"{SWIN}:PatchMerging",
        stand_in=f"{STAND_INS}:PatchMerging",
        cases=_merging_cases,
    ),
    Exercise(
        name="SwinTransformer",
        notebook=NOTEBOOK,
        points=5,
        stars=4,
        minutes=30,
        kind="module",
        reference=f"{MODEL}:SwinTransformer",
        cases=_model_cases,
        uses=("SwinBlock", "PatchMerging"),
    ),
]
