"""Checks: the decoder layer and greedy decoding."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from utils.checks import by_hand
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

DOUBLE = torch.float64


def _decoder_cases(draw: Draw) -> list[Case]:
    def init(norm_first: bool, **more: Any) -> dict[str, Any]:
        kind = {"norm_first": True} if norm_first else {}  # False is the default
        return {"dim": 6, "num_heads": 3, "hidden_dim": 8, **kind, **more}

    def causal(length: int) -> Tensor:
        return torch.arange(length) <= torch.arange(length).unsqueeze(1)

    # Of a mask's rows one sees all, one nothing; sizes coincide, so that no mask is told by its shape alone.
    per_pair = draw.mask(4, 4)
    per_pair[1], per_pair[2] = False, True
    per_sequence = draw.mask(3, 1, 4)
    per_sequence[1], per_sequence[2] = False, True
    everything = torch.ones(2, 1, 4, dtype=torch.bool)
    return [
        Case(
            "post-LN, causal",
            init=init(False),
            args={"x": draw.normal(2, 4, 6), "memory": draw.normal(2, 3, 6), "mask": causal(4)},
        ),
        Case(
            "pre-LN, causal",
            init=init(True),
            args={
                "x": draw.normal(3, 3, 6),
                "memory": draw.normal(3, 3, 6, scale=1.5, shift=0.5),
                "mask": causal(3),
            },
        ),
        Case(
            "post-LN, padding in the source",
            init=init(False),
            args={
                "x": draw.normal(2, 3, 6),
                "memory": draw.normal(2, 4, 6),
                "mask": causal(3),
                "memory_mask": draw.mask(2, 1, 4),
            },
        ),
        Case(
            "pre-LN, a mask for the source alone, double precision",
            init=init(True),
            args={
                "x": draw.normal(2, 3, 6, dtype=DOUBLE),
                "memory": draw.normal(2, 3, 6, dtype=DOUBLE),
                "mask": None,
                "memory_mask": draw.mask(3, 3),
            },
        ),
        Case(
            "source and target of one length, dropout switched off in eval mode",
            init=init(True, dropout=0.5),
            args={
                "x": draw.normal(4, 4, 6),
                "memory": draw.normal(4, 4, 6),
                "mask": causal(4),
                "memory_mask": per_pair,
            },
        ),
        Case(
            "pre-LN in train mode, dropout takes some of what is added",
            init=init(True, dropout=0.4),
            mode="train",
            args={
                "x": draw.normal(2, 3, 6),
                "memory": draw.normal(2, 4, 6),
                "mask": causal(3) & draw.mask(2, 3, 3),
                "memory_mask": draw.mask(2, 3, 4),
            },
        ),
        Case(
            "post-LN in train mode, dropout takes some of what is added",
            init=init(False, dropout=0.6),
            mode="train",
            args={"x": draw.normal(2, 4, 6), "memory": draw.normal(2, 2, 6)},
        ),
        Case(
            "post-LN in train mode, dropout takes all that is added",
            init=init(False, dropout=1.0),
            mode="train",
            args={"x": draw.normal(2, 3, 6), "memory": draw.normal(2, 2, 6), "mask": causal(3)},
        ),
        Case(
            "another activation",
            init=init(True, activation="gelu"),
            args={
                "x": draw.normal(2, 3, 6, scale=1.5),
                "memory": draw.normal(2, 4, 6),
                "mask": causal(3),
                "memory_mask": everything,
            },
        ),
        Case(
            "post-LN, a source of which nothing may be looked at beside others",
            init=init(False),
            args={
                "x": draw.normal(3, 2, 6),
                "memory": draw.normal(3, 4, 6),
                "mask": causal(2),
                "memory_mask": per_sequence,
            },
        ),
    ]


DECODER_LAYER = Exercise(
    name="DecoderLayer",
    notebook="01_transformer_recap",
    points=5,
    stars=3,
    minutes=20,
    kind="module",
    reference="solutions.decoder:DecoderLayer",
    by_hand=(*by_hand.DECODER_LAYER, *by_hand.MULTIHEAD),
    stand_in="utils.stand_ins.decoder:DecoderLayer",
    cases=_decoder_cases,
    uses=(
        "MultiHeadAttention",
        "FeedForward",
        "scaled_dot_product_attention",
        "split_heads",
        "merge_heads",
    ),
)


def _table(draw: Draw, lengths: list[int], vocabulary: int, longest: int, end: int) -> Tensor:
    """Scores under which row r writes `end` as its token number lengths[r], whatever came before, and never else."""
    table = draw.normal(len(lengths), longest, vocabulary, vocabulary)
    table[..., end] = -6.0
    for row, length in enumerate(lengths):
        if length <= longest:
            table[row, length - 1, :, end] = 6.0
    return table


def _greedy_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        lengths: list[int],
        *,
        start: int,
        end: int,
        vocabulary: int,
        longest: int,
        width: int,
        in_order: bool = False,
    ) -> Case:
        order = torch.arange(len(lengths)) if in_order else draw.permutation(len(lengths))
        source = torch.cat([order.unsqueeze(1), draw.integers(0, vocabulary, len(lengths), width - 1)], dim=1)
        return Case(
            name,
            args={
                "table": _table(draw, lengths, vocabulary, longest + 3, end),
                "source": source,
                "start": start,
                "end": end,
                "max_length": longest,
            },
        )

    never = 99
    return [
        case("sequences of different lengths", [2, 5, 3], start=0, end=1, vocabulary=6, longest=8, width=4),
        case(
            "the first one ends first",
            [2, 4, 3],
            start=2,
            end=1,
            vocabulary=5,
            longest=7,
            width=3,
            in_order=True,
        ),
        case("one sequence", [4], start=5, end=2, vocabulary=7, longest=6, width=3),
        case(
            "some sequences never end", [3, never, 2, never], start=1, end=0, vocabulary=5, longest=6, width=5
        ),
        case("all end with their first token", [1, 1], start=0, end=3, vocabulary=5, longest=5, width=2),
        case("only one token may be written", [4, 1, 2], start=2, end=0, vocabulary=6, longest=1, width=3),
        case("start and end are the same token", [3, 5], start=1, end=1, vocabulary=5, longest=7, width=3),
    ]


class TableModel:
    """A "language model" that looks its scores up: after token u at position t of the sequence whose first source token is r,
    the scores are `table[r, t, u]`, as long as nothing follows: what stands behind a token changes its scores, as in a model without a causal
    mask. It is deterministic, and every mistake in what it is fed shows in what it answers.

    Args:
        table: (rows, T, V, V) scores.
        end: a call in which each sequence has written it is asked in vain, which `vain` keeps.
    """

    LIMIT = 60  # calls; far more than any case asks for

    def __init__(self, table: Tensor, end: int) -> None:
        self.table, self.end, self.vain = table, end, False
        self.calls = 0

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, M) and (B, T) int64 -> (B, T, V)."""
        self.calls += 1
        if self.calls > self.LIMIT:
            raise RuntimeError("the model was called again and again, far more often than max_length allows")
        if target.dim() != 2 or source.dim() != 2 or target.shape[0] != source.shape[0]:
            raise ValueError(
                f"model(source, target) wants shapes (B, M) and (B, T), got {tuple(source.shape)} and {tuple(target.shape)}"
            )
        if target.is_floating_point():
            raise ValueError(f"model(source, target) wants token numbers (int64), got {target.dtype}")
        self.vain |= bool((target[:, 1:] == self.end).any(1).all())
        time = torch.arange(target.shape[1]).clamp(max=self.table.shape[1] - 1)  # (T,)
        rows = source[:, :1] % self.table.shape[0]  # (B, 1)
        scores = self.table[rows, time, target % self.table.shape[2]]  # (B, T, V)
        return torch.cat([scores[:, :-1].roll(1, -1), scores[:, -1:]], 1)


def _observe_greedy(attempt: Any, case: Case) -> Seen:
    """Calls the attempt with the model that the case's table describes."""
    args = dict(case.args)
    model = TableModel(args.pop("table"), args["end"])
    vain: list[bool] = []

    def first(*given: Any) -> Any:
        result = attempt(*given)
        vain.append(given[0].vain)
        return result

    functools.update_wrapper(first, attempt)
    seen = observe_default(first, replace(case, args={"model": model, **args}))
    return {**seen, "asked in vain": torch.tensor(vain[0])}


def _filled_with_end(case: Case, seen: Seen) -> bool:
    ended = (seen["output"] == case.args["end"]).cumsum(1) > 0
    return bool((seen["output"][ended] == case.args["end"]).all())


GREEDY_DECODE = Exercise(
    name="greedy_decode",
    notebook="01_transformer_recap",
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.decoder:greedy_decode",
    cases=_greedy_cases,
    observe=_observe_greedy,
    gradients=False,
    properties=(
        Property(
            "ended sequences stay ended",
            "After a sequence has written `end`, all its later tokens should be `end` as well; yours goes on with something else.",
            _filled_with_end,
        ),
    ),
)
