"""Checks: one epoch of training, and the evaluation."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.outputs import as_promised, name_outputs
from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Draw, Exercise, Property, Seen
from utils.words import later


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
            draw,
            "several batches, read once, the last one smaller",
            [5, 5, 5, 2],
            lr=0.5,
            decay=1.0,
            max_norm=100.0,
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


class PlainOptimizer(torch.optim.Optimizer):
    """Stochastic gradient descent with momentum that counts its steps.

    Written out: the first step of PyTorch's own imports its compiler, which takes seconds.
    """

    def __init__(self, parameters: list[dict[str, Any]], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})
        self.steps = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """p <- p - lr v, with v <- 0.9 v + gradient, for each parameter that has a gradient. Returns what the closure does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.steps += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    before = self.state[parameter].get("velocity", torch.zeros_like(parameter))
                    self.state[parameter]["velocity"] = velocity = 0.9 * before + parameter.grad
                    parameter -= group["lr"] * velocity
        return loss


class _Graph:
    """Lives as long as the graph of one forward pass."""


class _Marked(torch.autograd.Function):
    """The identity; its node in the graph holds an object that the probe can look after."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, graphs: list[weakref.ref[_Graph]]) -> Tensor:
        ctx.graph = _Graph()
        graphs.append(weakref.ref(ctx.graph))
        return logits.view_as(logits)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


class Probe(nn.Module):
    """A tiny classifier that writes down how it is called: the mean of the real tokens' embeddings, then a linear layer.

    Its answer differs a little between training and evaluation mode, as that of a model with dropout does.
    """

    def __init__(self, vocab_size: int, dim: int, num_classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.head = nn.Linear(dim, num_classes)
        self.dropout = nn.Dropout(
            0.0
        )  # takes nothing; a mode reaches a model's parts only through `train()` and `eval()`
        self.trained: list[bool] = []  # were the model and its parts in training mode?
        self.evaluated: list[bool] = []  # ... in evaluation mode?
        self.recorded: list[bool] = []  # was a gradient being recorded?
        self.graphs: list[weakref.ref[_Graph]] = []  # of the calls so far
        self.most_graphs = 0  # kept at the same time, when another call begins

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        modes = [module.training for module in self.modules()]
        self.trained.append(all(modes))
        self.evaluated.append(not any(modes))
        self.most_graphs = max(self.most_graphs, sum(graph() is not None for graph in self.graphs))
        embedded = self.embedding(tokens).sum(dim=1) / lengths[:, None]  # (B, dim)
        logits = self.head(embedded) * (1.0 if self.training else 0.8)
        self.recorded.append(logits.requires_grad)
        return _Marked.apply(logits, self.graphs)

    def trainable(self) -> bool:
        """Whether all parameters may learn, as they may when the probe is made."""
        return all(parameter.requires_grad for parameter in self.parameters())


def _probe(case: Case) -> tuple[Probe, Iterable[tuple[Tensor, Tensor, Tensor]]]:
    """The model, and its batches: in cases of which the name says so as an iterator, which can be read once and has no length."""
    weights = case.args["weights"]
    probe = Probe(*weights["embedding.weight"].shape, len(weights["head.bias"]))
    probe.load_state_dict({name: value.clone() for name, value in weights.items()})
    batches = [tuple(part.clone() for part in batch) for batch in case.args["batches"]]
    return probe, iter(batches) if "read once" in case.name else batches


def _in_each(case: Case, passes: list[bool]) -> bool:
    """Whether it was so in each forward pass; there is one per batch, or more."""
    return all(passes) and len(passes) >= len(case.args["batches"])


def _observe_train(attempt: Any, case: Case) -> Seen:
    """Weights after one epoch, the loss, and how model, optimizer and scheduler were used."""
    probe, batches = _probe(case)
    probe.eval()
    for parameter in probe.parameters():  # what an earlier backward() has left
        parameter.grad = torch.linspace(-1, 1, parameter.numel()).view_as(parameter)
    # in two groups, as where a part of a model has a learning rate of its own
    groups = [{"params": list(part.parameters())} for part in (probe.embedding, probe.head)]
    optimizer = PlainOptimizer(groups, case.kwargs["lr"])
    decay = case.kwargs["decay"]
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay) if decay < 1.0 else None
    with warnings.catch_warnings():  # PyTorch warns of a scheduler out of order; the check says it better
        warnings.simplefilter("ignore", UserWarning)
        loss = attempt(probe, batches, optimizer, scheduler, case.kwargs["max_norm"])
    as_promised(attempt, loss, case.exercise)
    if isinstance(loss, Tensor):
        sentence = later(
            "train_epoch returned a Tensor. Return a number: `.item()` makes one, and lets the batch's graph go."
        )
        raise ObservationError(Problem("type", sentence))
    seen = name_outputs(loss, case.exercise)
    seen["loss"] = seen["loss"].double()
    seen["in training mode"] = torch.tensor(_in_each(case, probe.trained))
    seen["graphs kept"] = torch.tensor(probe.most_graphs > 1)
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
            "Not every batch passed through the model in training mode. Is `model.train()` missing, or is a batch left out?",
            lambda case, seen: seen["in training mode"],
        ),
        Property(
            "a step per batch",
            "The optimizer should take exactly one step per batch, and yours takes another number of steps.",
            lambda case, seen: seen["steps of the optimizer"] == len(case.args["batches"]),
        ),
        Property(
            "graphs are let go",
            "You keep the graph of every batch until the epoch is over, and with it all that the model computed. Add up numbers: "
            "`.item()` makes one of a loss.",
            lambda case, seen: not seen["graphs kept"],
        ),
    ),
)


def _evaluate_cases(draw: Draw) -> list[Case]:
    return [
        _loop_case(draw, "one batch", [5]),
        _loop_case(draw, "batches of one size", [4, 4, 4]),
        _loop_case(draw, "a last batch that is smaller, read once", [6, 6, 1]),
        _loop_case(draw, "very unequal batches, three classes", [1, 9, 2, 1], 3, 2.0),
        _loop_case(draw, "five classes, confident and often wrong", [3, 7], 5, 3.0),
    ]


def _observe_evaluate(attempt: Any, case: Case) -> Seen:
    """Loss and accuracy, and what evaluating does to the model."""
    probe, batches = _probe(case)
    probe.train()
    result = attempt(probe, batches)
    as_promised(attempt, result, case.exercise)
    seen = name_outputs(result, case.exercise)
    seen = {name: value.double() for name, value in seen.items()}
    seen["in evaluation mode"] = torch.tensor(_in_each(case, probe.evaluated))
    seen["without gradient"] = torch.tensor(_in_each(case, [not recorded for recorded in probe.recorded]))
    seen["can still be trained"] = torch.tensor(probe.trainable())
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
            "Not every batch passed through the model in evaluation mode. Is `model.eval()` missing (then dropout stays "
            "on), or is a batch left out?",
            lambda case, seen: seen["in evaluation mode"],
        ),
        Property(
            "parameters are not frozen",
            "After your evaluation the model's parameters no longer require a gradient, so it cannot be trained any more. Leave "
            "`requires_grad` alone; `with torch.no_grad():` is enough.",
            lambda case, seen: seen["can still be trained"],
        ),
        Property(
            "no gradient",
            "A gradient was recorded while you evaluated. It costs memory and time, and nothing is learned from it.",
            lambda case, seen: seen["without gradient"],
        ),
        Property(
            "accuracy is a fraction",
            "An accuracy is a fraction of the examples: it lies between 0 and 1, and yours does not.",
            lambda case, seen: 0 <= seen["accuracy"] <= 1,
        ),
    ),
)
