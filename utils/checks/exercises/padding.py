"""Checks: rows of different length in one batch."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from utils.checks.limits import TimeLimitExceeded
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NAN, INFINITE = float("nan"), float("inf")


def _reverse_cases(draw: Draw) -> list[Case]:
    infinite = draw.normal(3, 5, 2)
    infinite[0, draw.integer(0, 5), 1], infinite[1, 4, 0] = float("inf"), float("-inf")
    return [
        Case("rows of different length", args={"x": infinite, "lengths": torch.tensor([5, 2, 4])}),
        Case("no row fills the batch", args={"x": draw.normal(2, 6, 3), "lengths": torch.tensor([3, 5])}),
        Case("every row full", args={"x": draw.normal(2, 4, 5), "lengths": torch.tensor([4, 4])}),
        Case(
            "a row of length zero",
            args={"x": draw.normal(4, 3, 2), "lengths": torch.tensor([2, 0, 3, 1])},
        ),
        Case(
            "whole numbers, lengths as int32",
            args={"x": draw.integers(-9, 9, 3, 4, 2), "lengths": torch.tensor([1, 4, 3], dtype=torch.int32)},
        ),
        Case(
            "yes and no in place of numbers",
            args={"x": draw.mask(3, 5, 2, keep=0.5), "lengths": torch.tensor([5, 0, 4])},
        ),
        Case(
            "float64, twenty steps",
            args={"x": draw.normal(2, 20, 3, dtype=torch.float64), "lengths": draw.lengths(2, 20, 6)},
        ),
        Case(
            "an empty row at the beginning",
            args={"x": draw.normal(3, 4, 2), "lengths": torch.tensor([0, draw.integer(2, 5), 1])},
        ),
    ]


def padded_steps(case: Case, name: str) -> Tensor:
    """(B, N) bool, True = a padded step; all False where the case has no lengths."""
    batch, steps = case.args[name].shape[:2]
    lengths = case.args.get("lengths", torch.full((batch,), steps))
    return torch.arange(steps) >= lengths[:, None]


REVERSE_PADDED = Exercise(
    name="reverse_padded",
    notebook="02_lstm_sentiment",
    points=2,
    stars=2,
    minutes=10,
    reference="solutions.padding:reverse_padded",
    stand_in="utils.stand_ins.padding:reverse_padded",
    cases=_reverse_cases,
    properties=(
        Property(
            "padding stays",
            "The padding does not stay where it was: behind a row's last real step, output should equal input.",
            lambda case, seen: torch.equal(
                seen["output"][padded_steps(case, "x")], case.args["x"][padded_steps(case, "x")]
            ),
        ),
    ),
)


def _pool_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, how: str, shape: tuple[int, int, int], lengths: list[int], shift: float = 0.0, **more: Any
    ) -> Case:
        dtype, padding, peak = (
            more.pop(key, d) for key, d in (("dtype", torch.float32), ("padding", 0.0), ("peak", 0.0))
        )
        outputs = draw.normal(*shape, shift=shift, dtype=dtype)
        outputs[torch.arange(shape[1]) >= torch.tensor(lengths)[:, None]] += padding
        outputs[:, 1, 0] += peak
        return Case(
            name, args={"outputs": outputs, "lengths": torch.tensor(lengths), "how": how}, kwargs=more
        )

    return [
        case('"last", one direction', "last", (3, 5, 4), [5, 2, 3]),
        case('"last", both directions', "last", (3, 4, 6), [1, 4, 3], bidirectional=True, padding=NAN),
        case('"mean", a padded batch', "mean", (4, 6, 3), [6, 1, 4, 2]),
        case(
            '"mean", both directions, float64',
            "mean",
            (2, 5, 4),
            [3, 4],
            bidirectional=True,
            padding=NAN,
            dtype=torch.float64,
        ),
        case('"max", a padded batch', "max", (3, 5, 4), [2, 5, 4], padding=NAN),
        case('"max" of negative values', "max", (3, 4, 2), [2, 4, 1], shift=-4.0, bidirectional=True),
        case('"max", a row of length zero', "max", (2, 3, 4), [0, 2]),
        case('"mean", a row of length zero', "mean", (2, 3, 5), [3, 0]),
        case(
            '"last", a row of length zero, float64',
            "last",
            (3, 3, 2),
            [2, 0, 3],
            bidirectional=True,
            dtype=torch.float64,
        ),
        case('"max", float64', "max", (2, 7, 3), [5, 7], dtype=torch.float64, peak=INFINITE),
        case(
            '"max" of values below any fixed number',
            "max",
            (2, 4, 3),
            [2, 4],
            shift=-3e10,
            dtype=torch.float64,
        ),
        *(
            Case(
                f'"{how}", lengths as int32',
                args={
                    "outputs": draw.normal(3, 4, 4, shift=-1.0),
                    "lengths": torch.tensor([3, 0, 4], dtype=torch.int32),
                    "how": how,
                },
                kwargs={"bidirectional": True},
            )
            for how in ("last", "mean", "max")
        ),
    ]


POOL = Exercise(
    name="pool",
    notebook="02_lstm_sentiment",
    points=4,
    stars=3,
    minutes=15,
    reference="solutions.padding:pool",
    stand_in="utils.stand_ins.padding:pool",
    cases=_pool_cases,
    refuses=lambda draw: [
        Case(
            "a way that there is not",
            args={"outputs": draw.normal(2, 3, 4), "lengths": torch.tensor([3, 2]), "how": "sum"},
        )
    ],
    properties=(
        Property(
            "empty rows are zero",
            "A row of length zero should give zeros.",
            lambda case, seen: (seen["output"][case.args["lengths"] == 0] == 0).all(),
        ),
        Property(
            "padding does not count",
            "Padded steps take part in your pooling: a gradient reaches them.",
            lambda case, seen: (seen["grad:outputs"][padded_steps(case, "outputs")] == 0).all(),
        ),
    ),
)


def uneven(draw: Draw, batch: int, longest: int) -> Tensor:
    """Lengths of which one is `longest` and one is 1, in no order."""
    lengths = draw.lengths(batch, longest)
    lengths[(int(lengths.argmax()) + 1) % batch] = 1
    return lengths


# padding_mask
def _padding_mask_cases(draw: Draw) -> list[Case]:
    return [
        Case("three sentences", args={"lengths": uneven(draw, 3, 5)}),
        Case("more sentences than words", args={"lengths": uneven(draw, 6, 4)}),
        Case(
            "a batch that is wider than its longest sentence",
            args={"lengths": uneven(draw, 4, 5)},
            kwargs={"max_length": 8},
        ),
        Case("an empty sentence", args={"lengths": torch.tensor([3, 0, draw.integer(4, 7)])}),
        Case("a single sentence", args={"lengths": torch.tensor([draw.integer(2, 6)])}),
        Case("lengths as int32", args={"lengths": uneven(draw, 2, 7).int()}),
        Case(
            "lengths as int8, a wide batch",
            args={"lengths": torch.tensor([draw.integer(2, 40), 100, 7], dtype=torch.int8)},
            kwargs={"max_length": draw.integer(140, 190)},
        ),
        Case(
            "an empty sentence at the beginning", args={"lengths": torch.tensor([0, draw.integer(2, 6), 1])}
        ),
    ]


ELSEWHERE = torch.device("meta")
READS = {"item", "tolist", "numpy", "__int__", "__index__", "__bool__", "__float__"}
MOVES = {"to", "type_as", "expand_as", "view_as", "reshape_as", "copy_", "__getitem__", "__setitem__"}


class _Elsewhere(TorchFunctionMode):
    """Within the block, marked tensors are on a device of their own, though they stay on the CPU; what is made of them is marked, too.

    One operation on both devices is an error, as on a GPU, except of a single number. Marked numbers cannot be read.
    A real meta tensor could say the same, after PyTorch has imported its compiler to promote types: more than a second.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), dict(kwargs or {})
        if func == Tensor.device.__get__:
            return ELSEWHERE if _marked(args[0]) else args[0].device
        if func is torch.device:  # the beginning of a block `with device:`
            return func(*args, **kwargs)
        flat = [*args, *kwargs.values()]
        tensors = [one for some in flat for one in (some if isinstance(some, list | tuple) else [some])]
        tensors = [one for one in tensors if isinstance(one, Tensor)]
        named = [one for one in flat if isinstance(one, torch.device)]
        marked = ELSEWHERE in named if named else any(map(_marked, tensors))
        if name in READS and marked:
            raise RuntimeError("these numbers are elsewhere")
        if name not in MOVES and len({_marked(one) for one in tensors if one.ndim}) > 1:
            raise RuntimeError("expected all tensors on the same device")
        result = func(*map(_here, args), **{key: _here(value) for key, value in kwargs.items()})
        return _mark(result) if marked and isinstance(result, Tensor) else result


def _here(value: Any) -> Any:
    return torch.device("cpu") if isinstance(value, torch.device) and value == ELSEWHERE else value


def _mark(tensor: Tensor) -> Tensor:
    tensor = tensor.view_as(tensor)
    tensor.elsewhere = True  # type: ignore[attr-defined]
    return tensor


def _marked(tensor: Tensor) -> bool:
    return hasattr(tensor, "elsewhere")


def _observe_padding_mask(attempt: Any, case: Case) -> Seen:
    """The standard observation; of a wide batch also whether all is made on the device of the lengths.

    An answer that reads the lengths one by one is not asked.
    """
    seen = observe_default(attempt, case)
    if case.kwargs:
        seen["on the device of the lengths"] = torch.tensor(True)
        try:
            lengths = _mark(case.args["lengths"])
            with _Elsewhere():
                mask = attempt(lengths, **case.kwargs)
            seen["on the device of the lengths"] = torch.tensor(_marked(mask))
        except TimeLimitExceeded:
            raise
        except Exception as error:
            met = re.search("(expected|same|on) device", str(error))
            seen["on the device of the lengths"] = torch.tensor(met is None)
    return seen


PADDING_MASK = Exercise(
    name="padding_mask",
    notebook="03_transformer_sentiment",
    points=2,
    stars=1,
    minutes=8,
    reference="solutions.padding:padding_mask",
    stand_in="utils.stand_ins.padding:padding_mask",
    outputs=("mask",),
    cases=_padding_mask_cases,
    observe=_observe_padding_mask,
    gradients=False,
    properties=(
        Property(
            "device of the lengths",
            "With lengths on another device your code fails, or its mask is not there: something is made on the CPU. Give "
            "`device=lengths.device` where a tensor is made.",
            lambda case, seen: seen["on the device of the lengths"],
        ),
        Property(
            "count of True",
            "The number of True values in a row should be that sentence's length, and in yours it is not.",
            lambda case, seen: torch.equal(seen["mask"].sum(-1), case.args["lengths"].long()),
        ),
    ),
)
