"""Checks: the LSTM over a sentence, and the classifier on top of it."""

from __future__ import annotations

from typing import Any

import torch

from utils.checks import by_hand
from utils.checks.building import build_module
from utils.checks.exercises.padding import padded_steps
from utils.checks.limits import TimeLimitExceeded
from utils.checks.outputs import gradients, name_outputs
from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Draw, Exercise, Property, Seen
from utils.words import later

SPOILED = "both directions, a padded batch"


def _lstm_cases(draw: Draw) -> list[Case]:
    def case(
        name: str,
        shape: tuple[int, int],
        sizes: tuple[int, int],
        both: bool,
        lengths: list[int] | None,
        dtype: torch.dtype = torch.float32,
        whole: torch.dtype = torch.int64,
    ) -> Case:
        args: dict[str, Any] = {"x": draw.normal(*shape, sizes[0], dtype=dtype)}
        if lengths is not None:
            args["lengths"] = torch.tensor(lengths, dtype=whole)
        init = {"input_size": sizes[0], "hidden_size": sizes[1], "bidirectional": both}
        return Case(name, args=args, init=init)

    return [
        case("one direction, no padding", (3, 5), (4, 2), False, None),
        case("both directions, no padding", (2, 4), (3, 5), True, None),
        case("one direction, a padded batch", (4, 6), (3, 4), False, [6, 2, 5, 1]),
        case(SPOILED, (3, 7), (2, 3), True, [4, 7, 2]),
        case("both directions, every row padded", (2, 5), (4, 3), True, [3, 2]),
        case("a row of length zero", (3, 4), (2, 3), True, [4, 0, 2]),
        case("a single step", (2, 1), (3, 2), True, [1, 1]),
        case("as wide as its state, lengths as int32", (4, 4), (4, 4), True, [2, 4, 1, 3], whole=torch.int32),
        case("float64", (2, 5), (3, 4), True, [5, 3], torch.float64),
        case("a row of length zero at the beginning", (3, 3), (3, 2), True, [0, 3, 1]),
    ]


def _observe_lstm(attempt: Any, case: Case) -> Seen:
    """Outputs and final states under names of their own, and their gradients."""
    exercise = case.exercise
    module = build_module(attempt, case)
    leaves = dict(module.named_parameters())
    leaves["x"] = case.args["x"].clone().requires_grad_()
    given = {"x": leaves["x"].clone()}
    if "lengths" in case.args:
        given["lengths"] = case.args["lengths"].clone()
    result = module(*given.values())
    if isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[1], tuple | list):
        result = (result[0], *result[1])
    if result is not None and (not isinstance(result, tuple) or len(result) != 3):
        sentence = later("LSTM must return two things: outputs, and the pair (h, c) of final states.")
        raise ObservationError(Problem("type", sentence))
    seen = name_outputs(result, exercise)
    values = dict(seen)
    seen |= {f"after:{name}": value for name, value in given.items()}
    if case.name == SPOILED:
        seen["padding counts for nothing"] = torch.tensor(_same_with_spoiled_padding(module, case, values))
    if "lengths" not in case.args:
        seen["scan as promised"] = torch.tensor(_scan_as_promised(module, case))
    return seen | gradients(values, case, leaves)


def _same_with_spoiled_padding(module: Any, case: Case, values: Seen) -> bool:
    """Whether results stay what they are with NaN in the padding. Without gradients: those of the weights are NaN in right answers, too."""
    x = case.args["x"].masked_fill(padded_steps(case, "x")[:, :, None], float("nan"))
    with torch.no_grad():
        outputs, states = module(x, case.args["lengths"].clone())
    return all(
        torch.allclose(got, value, atol=1e-4)
        for got, value in zip((outputs, *states), values.values(), strict=True)
    )


def _scan_as_promised(module: Any, case: Case) -> bool:
    """Whether `scan` gives two tensors (B, N, H). Who does without it, or makes something else of it, is not asked."""
    with torch.no_grad():
        try:
            found = module.scan(case.args["x"].clone(), "_l0")
        except TimeLimitExceeded:
            raise
        except Exception:
            return True
    tensors = isinstance(found, tuple | list) and all(isinstance(part, torch.Tensor) for part in found)
    wanted = (*case.args["x"].shape[:2], case.init["hidden_size"])
    return not tensors or len(found) != 2 or all(part.shape == wanted for part in found)


def _empty_rows_are_zero(case: Case, seen: Seen) -> bool:
    empty = case.args["lengths"] == 0 if "lengths" in case.args else torch.zeros(0, dtype=torch.long)
    return not any(seen[name][:, empty].any() for name in ("final h", "final c"))


def _final_forward_is_last_output(case: Case, seen: Seen) -> bool:
    outputs, hidden = seen["outputs"], case.init["hidden_size"]
    lengths = case.args.get("lengths", torch.full((len(outputs),), outputs.shape[1]))
    rows = lengths > 0
    last = outputs[torch.arange(len(outputs)), (lengths - 1).clamp(min=0), :hidden]
    return torch.allclose(seen["final h"][0][rows], last[rows], atol=1e-5)


def _final_backward_is_first_output(case: Case, seen: Seen) -> bool:
    if not case.init["bidirectional"]:
        return True
    return torch.allclose(seen["final h"][1], seen["outputs"][:, 0, case.init["hidden_size"] :], atol=1e-5)


LSTM = Exercise(
    name="LSTM",
    notebook="02_lstm_sentiment",
    points=6,
    stars=4,
    minutes=30,
    reference="solutions.lstm:LSTM",
    by_hand=by_hand.LSTM,
    stand_in="utils.stand_ins.lstm:LSTM",
    kind="module",
    cases=_lstm_cases,
    observe=_observe_lstm,
    outputs=("outputs", "final h", "final c"),
    uses=("reverse_padded",),
    properties=(
        Property(
            "zero at padding",
            "Your outputs are not zero at padded steps.",
            lambda case, seen: (seen["outputs"][padded_steps(case, "x")] == 0).all(),
        ),
        Property(
            "rows of length zero",
            "A row of length zero has zeros everywhere, in its final h and c, too, and in yours something is left of the padding.",
            _empty_rows_are_zero,
        ),
        Property(
            "final h is the last real output",
            "The final h of the forward direction should be its output at each row's last real step, and yours is not.",
            _final_forward_is_last_output,
        ),
        Property(
            "backward direction ends at step 0",
            "The backward direction ends at step 0: its final h should be its output there, and yours is not.",
            _final_backward_is_first_output,
        ),
        Property(
            "padding gets no gradient",
            "A gradient reaches the padded steps of x, so something that was read there counts in the result.",
            lambda case, seen: (seen["grad:x"][padded_steps(case, "x")] == 0).all(),
        ),
        Property(
            "a product leaves NaN",
            "With NaN in the padding of x your results change. A product with a mask does not take it out (0 times NaN is NaN); "
            "`masked_fill` and `torch.where` do.",
            lambda case, seen: seen["padding counts for nothing"],
        ),
        Property(
            "scan keeps the axes",
            "`scan` should return every step's h and every step's c, each (B, N, H), and yours have another shape, even if "
            "`forward` puts it right.",
            lambda case, seen: seen["scan as promised"],
        ),
    ),
)


def _classifier_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, lengths: list[int], steps: int, mode: str = "eval", padded: bool = True, **init: Any
    ) -> Case:
        sizes = {"vocab_size": 12, "embed_dim": 3, "hidden_dim": 4, "num_classes": 2, "dropout": 0.0} | init
        tokens = draw.integers(1, sizes["vocab_size"], len(lengths), steps)
        if mode == "eval":
            tokens[0, 0] = 0  # <pad> may stand among the words, and is not trained there either
        if padded:
            tokens = tokens.masked_fill(torch.arange(steps) >= torch.tensor(lengths)[:, None], 0)
        args = {"tokens": tokens, "lengths": torch.tensor(lengths)}
        return Case(name, args=args, init=sizes, mode=mode)

    return [
        case("max pooling, both directions", [4, 2, 3], 4),
        case("mean pooling, three classes", [1, 5], 5, pooling="mean", num_classes=3, hidden_dim=2),
        case("last state, one direction", [3, 5, 2], 5, pooling="last", bidirectional=False, embed_dim=5),
        case("last state, both directions", [3, 1, 6], 6, pooling="last", vocab_size=20),
        case("other words behind the last real one", [2, 4, 1], 4, padded=False),
        case("only empty sentences", [0, 0], 3, padded=False),
        case("dropout switched off in evaluation", [3, 4], 4, dropout=0.4, pooling="mean"),
        case("dropout in training", [3, 4, 2], 4, "train", dropout=0.4, embed_dim=6, pooling="mean"),
        case("training without dropout", [2, 4], 4, "train", pooling="last", embed_dim=2),
    ]


LSTM_CLASSIFIER = Exercise(
    name="LSTMClassifier",
    notebook="02_lstm_sentiment",
    points=3,
    stars=2,
    minutes=10,
    reference="solutions.lstm:LSTMClassifier",
    stand_in="utils.stand_ins.lstm:LSTMClassifier",
    kind="module",
    cases=_classifier_cases,
    outputs=("logits",),
    uses=("LSTM", "pool"),
)
