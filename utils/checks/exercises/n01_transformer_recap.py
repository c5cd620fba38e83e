"""Exercises of notebook 01: attention, positions, encoder and decoder layers, greedy decoding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

NOTEBOOK = "01_transformer_recap"
DOUBLE = torch.float64


def _attention_cases(draw: Draw) -> list[Case]:
    some_hidden = draw.mask(2, 4, 7)
    one_blind = draw.mask(3, 4, 5)
    one_blind[1, 2] = False
    return [
        Case(
            "more keys than queries",
            args={"query": draw.normal(2, 3, 8), "key": draw.normal(2, 5, 8), "value": draw.normal(2, 5, 6)},
        ),
        Case(
            "several heads, fewer keys than queries",
            args={
                "query": draw.normal(2, 3, 5, 4),
                "key": draw.normal(2, 3, 2, 4),
                "value": draw.normal(2, 3, 2, 4),
            },
        ),
        Case(
            "a mask that hides some keys",
            args={
                "query": draw.normal(2, 4, 6),
                "key": draw.normal(2, 7, 6),
                "value": draw.normal(2, 7, 3),
                "mask": some_hidden,
            },
        ),
        Case(
            "one mask for all sequences and heads",
            args={
                "query": draw.normal(2, 2, 3, 5),
                "key": draw.normal(2, 2, 4, 5),
                "value": draw.normal(2, 2, 4, 5),
                "mask": draw.mask(3, 4),
            },
        ),
        Case(
            "no batch axis, double precision",
            args={
                "query": draw.normal(4, 6, dtype=DOUBLE),
                "key": draw.normal(5, 6, dtype=DOUBLE),
                "value": draw.normal(5, 3, dtype=DOUBLE),
            },
        ),
        Case(
            "very large scores",
            args={
                "query": draw.normal(2, 3, 6, scale=12.0),
                "key": draw.normal(2, 5, 6, scale=12.0),
                "value": draw.normal(2, 5, 4),
            },
        ),
        Case(
            "a query that may attend to nothing",
            args={
                "query": draw.normal(3, 4, 6),
                "key": draw.normal(3, 5, 6),
                "value": draw.normal(3, 5, 2),
                "mask": one_blind,
            },
        ),
    ]


def _mask_of(case: Case, weights: Tensor) -> Tensor:
    """The case's mask in the shape of the weights."""
    mask = case.args.get("mask")
    if mask is None:
        return torch.ones_like(weights, dtype=torch.bool)
    if weights.dim() == 4 and mask.dim() == 3:
        mask = mask.unsqueeze(1)
    return mask.expand_as(weights)


def _rows_sum_to_one(case: Case, seen: Seen) -> bool:
    sees = _mask_of(case, seen["weights"]).any(-1)
    return torch.allclose(seen["weights"].sum(-1), sees.to(seen["weights"].dtype), atol=1e-4)


def _hidden_are_zero(case: Case, seen: Seen) -> bool:
    return bool((seen["weights"][~_mask_of(case, seen["weights"])] == 0).all())


ROWS = Property(
    "rows sum to one",
    "Each query's weights should sum to 1 over the keys it may see (and to 0 if it may see none); yours do not.",
    _rows_sum_to_one,
)
HIDDEN = Property(
    "hidden keys get no weight",
    "A key that the mask hides (False) should get a weight of exactly 0, and yours gets some.",
    _hidden_are_zero,
)


def _split_cases(draw: Draw) -> list[Case]:
    return [
        Case("three heads", args={"x": draw.normal(2, 5, 12), "num_heads": 3}),
        Case("two heads, one sequence", args={"x": draw.normal(1, 7, 8), "num_heads": 2}),
        Case("heads of width one", args={"x": draw.normal(3, 4, 6), "num_heads": 6}),
        Case("a single head", args={"x": draw.normal(2, 3, 4), "num_heads": 1}),
        Case("five heads, double precision", args={"x": draw.normal(2, 3, 10, dtype=DOUBLE), "num_heads": 5}),
    ]


def _merge_cases(draw: Draw) -> list[Case]:
    return [
        Case("three heads", args={"x": draw.normal(2, 3, 5, 4)}),
        Case("two heads, one sequence", args={"x": draw.normal(1, 2, 7, 3)}),
        Case("heads of width one", args={"x": draw.normal(3, 6, 4, 1)}),
        Case("a single head", args={"x": draw.normal(2, 1, 3, 5)}),
        Case("five heads, double precision", args={"x": draw.normal(2, 5, 2, 3, dtype=DOUBLE)}),
    ]


def _multi_head_cases(draw: Draw) -> list[Case]:
    two, three = {"embed_dim": 8, "num_heads": 2}, {"embed_dim": 6, "num_heads": 3}
    blind = draw.mask(3, 5)
    blind[1] = False
    return [
        Case("self-attention", init=two, args={"query": draw.normal(2, 5, 8)}),
        Case(
            "cross-attention: queries from one sequence, keys and values from another",
            init=two,
            args={"query": draw.normal(2, 3, 8), "key": draw.normal(2, 5, 8)},
        ),
        Case(
            "keys and values differ",
            init=three,
            args={"query": draw.normal(2, 4, 6), "key": draw.normal(2, 3, 6), "value": draw.normal(2, 3, 6)},
        ),
        Case(
            "self-attention with one mask for all sequences",
            init=three,
            args={"query": draw.normal(2, 4, 6), "key": None, "value": None, "mask": draw.mask(4, 4)},
        ),
        Case(
            "padding: keys hidden in each sequence",
            init=two,
            args={
                "query": draw.normal(3, 2, 8),
                "key": draw.normal(3, 4, 8),
                "value": None,
                "mask": draw.mask(3, 1, 4),
            },
        ),
        Case(
            "a query that may attend to nothing, double precision",
            init=three,
            args={
                "query": draw.normal(2, 3, 6, dtype=DOUBLE),
                "key": draw.normal(2, 5, 6, dtype=DOUBLE),
                "value": None,
                "mask": blind,
            },
        ),
    ]


def _position_cases(draw: Draw) -> list[Case]:
    return [
        Case("a short sequence", args={"length": draw.integer(4, 8), "dim": 8}),
        Case("more columns than positions", args={"length": 3, "dim": 2 * draw.integer(6, 9)}),
        Case("only two columns", args={"length": draw.integer(9, 13), "dim": 2}),
        Case("only one position", args={"length": 1, "dim": 6}),
        Case("a longer sequence", args={"length": draw.integer(24, 32), "dim": 10}),
    ]


def _feed_forward_cases(draw: Draw) -> list[Case]:
    return [
        Case("twice as wide inside", init={"dim": 6, "hidden_dim": 12}, args={"x": draw.normal(2, 3, 6)}),
        Case("narrower inside", init={"dim": 8, "hidden_dim": 5}, args={"x": draw.normal(1, 4, 8)}),
        Case(
            "GELU in place of ReLU",
            init={"dim": 4, "hidden_dim": 10, "activation": "gelu"},
            args={"x": draw.normal(2, 5, 4, scale=2.0)},
        ),
        Case(
            "double precision, train mode",
            init={"dim": 5, "hidden_dim": 7},
            mode="train",
            args={"x": draw.normal(3, 2, 5, dtype=DOUBLE)},
        ),
    ]


def _encoder_cases(draw: Draw) -> list[Case]:
    def init(norm_first: bool, **more: Any) -> dict[str, Any]:
        return {"dim": 6, "num_heads": 2, "hidden_dim": 10, "norm_first": norm_first, **more}

    return [
        Case("post-LN", init=init(False), args={"x": draw.normal(2, 4, 6)}),
        Case("pre-LN", init=init(True), args={"x": draw.normal(2, 3, 6, scale=1.5)}),
        Case(
            "post-LN with padding",
            init=init(False),
            args={"x": draw.normal(2, 5, 6), "mask": draw.mask(2, 1, 5)},
        ),
        Case(
            "pre-LN with a mask per pair, double precision, GELU",
            init=init(True, activation="gelu"),
            args={"x": draw.normal(2, 3, 6, dtype=DOUBLE), "mask": draw.mask(3, 3)},
        ),
        Case(
            "post-LN in train mode, dropout takes all that is added",
            init=init(False, dropout=1.0),
            mode="train",
            args={"x": draw.normal(2, 3, 6)},
        ),
        Case(
            "pre-LN in train mode, dropout takes all that is added",
            init=init(True, dropout=1.0),
            mode="train",
            args={"x": draw.normal(1, 4, 6)},
        ),
    ]


def _causal_cases(draw: Draw) -> list[Case]:
    return [
        Case("four positions", args={"length": 4}),
        Case("a single position", args={"length": 1}),
        Case("two positions", args={"length": 2}),
        Case("more positions", args={"length": draw.integer(6, 10)}),
    ]


def _decoder_cases(draw: Draw) -> list[Case]:
    def init(norm_first: bool, **more: Any) -> dict[str, Any]:
        return {"dim": 6, "num_heads": 3, "hidden_dim": 8, "norm_first": norm_first, **more}

    def causal(length: int) -> Tensor:
        return torch.arange(length) <= torch.arange(length).unsqueeze(1)

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
                "x": draw.normal(2, 3, 6),
                "memory": draw.normal(2, 5, 6, scale=1.5, shift=0.5),
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
            "pre-LN without any mask, double precision",
            init=init(True),
            args={"x": draw.normal(2, 2, 6, dtype=DOUBLE), "memory": draw.normal(2, 4, 6, dtype=DOUBLE)},
        ),
        Case(
            "post-LN in train mode, dropout takes all that is added",
            init=init(False, dropout=1.0),
            mode="train",
            args={"x": draw.normal(2, 3, 6), "memory": draw.normal(2, 2, 6), "mask": causal(3)},
        ),
    ]


class TableModel:
    """A "language model" that looks its scores up: after token u at position t of the sequence whose first source token is r,
    the scores are `table[r, t, u]`. It is deterministic, and every mistake in what it is fed shows in what it answers.

    Args:
        table: (rows, T, V, V) scores.
    """

    LIMIT = 60  # calls; far more than any case asks for

    def __init__(self, table: Tensor) -> None:
        self.table = table
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
        time = torch.arange(target.shape[1]).clamp(max=self.table.shape[1] - 1)  # (T,)
        rows = source[:, :1] % self.table.shape[0]  # (B, 1)
        return self.table[rows, time, target % self.table.shape[2]]  # (B, T, V)


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
        name: str, lengths: list[int], *, start: int, end: int, vocabulary: int, longest: int, width: int
    ) -> Case:
        order = draw.permutation(len(lengths))
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
        case("one sequence", [4], start=5, end=2, vocabulary=7, longest=6, width=3),
        case(
            "some sequences never end", [3, never, 2, never], start=1, end=0, vocabulary=5, longest=6, width=5
        ),
        case("all end with their first token", [1, 1], start=0, end=3, vocabulary=5, longest=5, width=2),
        case("only one token may be written", [4, 1, 2], start=2, end=0, vocabulary=6, longest=1, width=3),
    ]


def _observe_greedy(attempt: Any, case: Case) -> Seen:
    """Calls the attempt with the model that the case's table describes."""
    args = dict(case.args)
    model = TableModel(args.pop("table"))
    return observe_default(attempt, replace(case, args={"model": model, **args}))


def _filled_with_end(case: Case, seen: Seen) -> bool:
    ended = (seen["output"] == case.args["end"]).cumsum(1) > 0
    return bool((seen["output"][ended] == case.args["end"]).all())


EXERCISES = [
    Exercise(
        name="scaled_dot_product_attention",
        notebook=NOTEBOOK,
        points=4,
        stars=2,
        minutes=15,
        reference="solutions.attention:scaled_dot_product_attention",
        stand_in="utils.stand_ins:scaled_dot_product_attention",
        outputs=("output", "weights"),
        cases=_attention_cases,
        properties=(ROWS, HIDDEN),
    ),
    Exercise(
        name="split_heads",
        notebook=NOTEBOOK,
        points=2,
        stars=1,
        minutes=8,
        reference="solutions.attention:split_heads",
        stand_in="utils.stand_ins:split_heads",
        cases=_split_cases,
    ),
    Exercise(
        name="merge_heads",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference="solutions.attention:merge_heads",
        stand_in="utils.stand_ins:merge_heads",
        cases=_merge_cases,
    ),
    Exercise(
        name="MultiHeadAttention",
        notebook=NOTEBOOK,
        points=5,
        stars=3,
        minutes=25,
        kind="module",
        reference="solutions.attention:MultiHeadAttention",
        stand_in="utils.stand_ins:MultiHeadAttention",
        outputs=("output", "weights"),
        cases=_multi_head_cases,
        properties=(ROWS, HIDDEN),
        uses=("scaled_dot_product_attention", "split_heads", "merge_heads"),
    ),
    Exercise(
        name="sinusoidal_positions",
        notebook=NOTEBOOK,
        points=3,
        stars=2,
        minutes=15,
        reference="solutions.transformer:sinusoidal_positions",
        stand_in="utils.stand_ins:sinusoidal_positions",
        cases=_position_cases,
        gradients=False,
        properties=(
            Property(
                "between -1 and 1",
                "Sines and cosines lie between -1 and 1, and some of your numbers do not.",
                lambda case, seen: seen["output"].abs().max() <= 1 + 1e-5,
            ),
        ),
    ),
    Exercise(
        name="FeedForward",
        notebook=NOTEBOOK,
        points=2,
        stars=1,
        minutes=8,
        kind="module",
        reference="solutions.transformer:FeedForward",
        stand_in="utils.stand_ins:FeedForward",
        cases=_feed_forward_cases,
    ),
    Exercise(
        name="EncoderLayer",
        notebook=NOTEBOOK,
        points=4,
        stars=2,
        minutes=15,
        kind="module",
        reference="solutions.transformer:EncoderLayer",
        stand_in="utils.stand_ins:EncoderLayer",
        cases=_encoder_cases,
        uses=(
            "MultiHeadAttention",
            "FeedForward",
            "scaled_dot_product_attention",
            "split_heads",
            "merge_heads",
        ),
    ),
    Exercise(
        name="causal_mask",
        notebook=NOTEBOOK,
        points=1,
        stars=1,
        minutes=5,
        reference="solutions.attention:causal_mask",
        stand_in="utils.stand_ins:causal_mask",
        cases=_causal_cases,
        gradients=False,
    ),
    Exercise(
        name="DecoderLayer",
        notebook=NOTEBOOK,
        points=5,
        stars=3,
        minutes=20,
        kind="module",
        reference="solutions.transformer:DecoderLayer",
        stand_in="utils.stand_ins:DecoderLayer",
        cases=_decoder_cases,
        uses=(
            "MultiHeadAttention",
            "FeedForward",
            "scaled_dot_product_attention",
            "split_heads",
            "merge_heads",
        ),
    ),
    Exercise(
        name="greedy_decode",
        notebook=NOTEBOOK,
        points=3,
        stars=3,
        minutes=15,
        reference="solutions.transformer:greedy_decode",
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
    ),
]
