"""Checks: one epoch of training, and the evaluation."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.observe import name_outputs
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def _loop_case(
    draw: Draw, name: str, sizes: list[int], classes: int = 2, scale: float = 1.0, **kwargs: Any
) -> Case:
    batches = []
    for size in sizes:
        lengths = draw.lengths(size, draw.integer(3, 6))
        tokens = draw.integers(1, 9, size, int(lengths.max()))
        tokens = tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], 0)
        batches.append((tokens, lengths, draw.integers(0, classes, size)))
    weights = {
        "embedding.weight": draw.normal(9, 4, scale=scale),
        "head.weight": draw.normal(classes, 4, scale=scale),
        "head.bias": draw.normal(classes, scale=scale),
    }
    weights["embedding.weight"][0] = 0.0
    return Case(name, args={"weights": weights, "batches": batches}, kwargs=kwargs)


def _train_cases(draw: Draw) -> list[Case]:
    return [
        _loop_case(draw, "one batch", [4], lr=0.3, decay=1.0, max_norm=100.0),
        _loop_case(
            draw, "several batches, the last one smaller", [5, 5, 5, 2], lr=0.5, decay=1.0, max_norm=100.0
        ),
        _loop_case(
            draw,
            "a learning rate that falls with every batch",
            [3, 3, 2],
            3,
            lr=0.8,
            decay=0.5,
            max_norm=100.0,
        ),
        _loop_case(
            draw, "gradients longer than max_norm", [4, 6, 1], 2, 3.0, lr=0.5, decay=1.0, max_norm=0.2
        ),
        _loop_case(
            draw, "all of it together, four classes", [6, 2, 4], 4, 2.0, lr=0.6, decay=0.7, max_norm=0.5
        ),
    ]


class PlainOptimizer(torch.optim.SGD):
    """Stochastic gradient descent with momentum that counts its steps."""

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, lr=lr, momentum=0.9)
        self.steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        return super().step(closure)


class Probe(nn.Module):
    """A tiny classifier that writes down how it is called: the mean of the real tokens' embeddings, then a linear layer.

    Its answer differs a little between training and evaluation mode, as that of a model with dropout does.
    """

    def __init__(self, vocab_size: int, dim: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.head = nn.Linear(dim, num_classes)
        self.modes: list[bool] = []  # was the model in training mode?
        self.recorded: list[bool] = []  # was a gradient being recorded?

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.recorded.append(torch.is_grad_enabled() and not torch.is_inference_mode_enabled())
        embedded = self.embedding(tokens).sum(dim=1) / lengths[:, None]  # (B, dim)
        return self.head(embedded) * (1.0 if self.training else 0.8)


def _probe(case: Case) -> tuple[Probe, list[tuple[Tensor, Tensor, Tensor]]]:
    weights = case.args["weights"]
    probe = Probe(*weights["embedding.weight"].shape, len(weights["head.bias"]))
    probe.load_state_dict({name: value.clone() for name, value in weights.items()})
    return probe, [tuple(part.clone() for part in batch) for batch in case.args["batches"]]


def _observe_train(attempt: Any, case: Case) -> Seen:
    """Weights after one epoch, the loss, and how model, optimizer and scheduler were used."""
    probe, batches = _probe(case)
    probe.eval()
    optimizer = PlainOptimizer(probe.parameters(), case.kwargs["lr"])
    decay = case.kwargs["decay"]
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay) if decay < 1.0 else None
    with warnings.catch_warnings():  # PyTorch warns of a scheduler out of order; the check says it better
        warnings.simplefilter("ignore", UserWarning)
        loss = attempt(probe, batches, optimizer, scheduler, case.kwargs["max_norm"])
    seen = name_outputs(loss, case.exercise)
    seen["loss"] = seen["loss"].double()
    seen["in training mode"] = torch.tensor(probe.modes)
    seen["steps of the optimizer"] = torch.tensor(optimizer.steps)
    seen["learning rate afterwards"] = torch.tensor(optimizer.param_groups[0]["lr"], dtype=torch.float64)
    return seen | {f"{name} afterwards": value for name, value in probe.named_parameters()}


TRAIN_EPOCH = Exercise(
    name="train_epoch",
    notebook="02_lstm_sentiment",
    points=4,
    stars=3,
    minutes=15,
    reference="solutions.training_loop:train_epoch",
    stand_in="utils.stand_ins.training_loop:train_epoch",
    cases=_train_cases,
    observe=_observe_train,
    gradients=False,
    outputs=("loss",),
    properties=(
        Property(
            "training mode",
            "The model was not in training mode while it was trained, so its dropout was off.",
            lambda case, seen: seen["in training mode"].all(),
        ),
        Property(
            "a step per batch",
            "The optimizer should take exactly one step per batch, and yours takes another number of steps.",
            lambda case, seen: seen["steps of the optimizer"] == len(case.args["batches"]),
        ),
    ),
)


def _evaluate_cases(draw: Draw) -> list[Case]:
    return [
        _loop_case(draw, "one batch", [5]),
        _loop_case(draw, "batches of one size", [4, 4, 4]),
        _loop_case(draw, "a last batch that is smaller", [6, 6, 1]),
        _loop_case(draw, "very unequal batches, three classes", [1, 9, 2, 1], 3, 2.0),
        _loop_case(draw, "five classes, confident and often wrong", [3, 7], 5, 3.0),
    ]


def _observe_evaluate(attempt: Any, case: Case) -> Seen:
    """Loss and accuracy, and what evaluating does to the model."""
    probe, batches = _probe(case)
    probe.train()
    seen = name_outputs(attempt(probe, batches), case.exercise)
    seen = {name: value.double() for name, value in seen.items()}
    seen["in evaluation mode"] = ~torch.tensor(probe.modes)
    seen["without gradient"] = ~torch.tensor(probe.recorded)
    same = [torch.equal(value, case.args["weights"][name]) for name, value in probe.named_parameters()]
    seen["weights unchanged"] = torch.tensor(same)
    return seen


EVALUATE = Exercise(
    name="evaluate",
    notebook="02_lstm_sentiment",
    points=4,
    stars=2,
    minutes=12,
    reference="solutions.training_loop:evaluate",
    stand_in="utils.stand_ins.training_loop:evaluate",
    cases=_evaluate_cases,
    observe=_observe_evaluate,
    gradients=False,
    outputs=("loss", "accuracy"),
    properties=(
        Property(
            "evaluation mode",
            "The model was not in evaluation mode: dropout would still be on, and the figures would be noisy and too low.",
            lambda case, seen: seen["in evaluation mode"].all(),
        ),
        Property(
            "no gradient",
            "A gradient was recorded while you evaluated. It costs memory and time, and nothing is learned from it.",
            lambda case, seen: seen["without gradient"].all(),
        ),
        Property(
            "accuracy is a fraction",
            "An accuracy is a fraction of the examples: it lies between 0 and 1, and yours does not.",
            lambda case, seen: 0 <= seen["accuracy"] <= 1,
        ),
    ),
)
