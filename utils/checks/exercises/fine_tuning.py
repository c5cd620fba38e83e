"""Checks: a trained model on a new task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Draw, Exercise, Property, Seen
from utils.words import later

DOUBLE = torch.float64


FORGOTTEN, TWICE = "a parameter that is in no layer", "a parameter that is in two layers"


def fine_tune_cases(draw: Draw) -> list[Case]:
    def case(name: str, classes: int, decay: float, depth: int, per_layer: int, **more: Any) -> Case:
        head, dtype = more.pop("head", "head"), more.pop("dtype", torch.float32)
        norm, bias = more.pop("norm", "norm"), more.pop("bias", True)
        inputs, dim = draw.integer(3, 6), draw.integer(6, 9)
        old = classes if more.pop("as_many", False) else draw.integer(8, 12)
        shapes = {"stem": (dim, inputs), norm: (dim,), head: (old, dim)}
        shapes |= {f"blocks.{i}": (dim, dim) for i in range(depth)}
        weights = {"positions": draw.normal(dim, dtype=dtype)}
        for layer, shape in shapes.items():
            weights[f"{layer}.weight"] = draw.normal(*shape, scale=0.5, dtype=dtype)
            weights[f"{layer}.bias"] = draw.normal(shape[0], dtype=dtype)
        if not bias:
            del weights[f"{head}.bias"]
        blocks = [f"blocks.{i}" for i in range(depth)]
        layers = [["stem", "positions"]]
        layers += [blocks[i : i + per_layer] for i in range(0, depth, per_layer)] + [
            [norm, *more.pop("also", [])]
        ]
        if more.pop("without_norm", False):
            layers.pop()
        kwargs = {"head": head} if head != "head" else {}
        rate = round(float(draw.uniform(1, low=0.001, high=0.05)), 5)
        arguments = {"layers": layers, "num_classes": classes, "learning_rate": rate, "decay": decay}
        init = {"weights": weights, "depth": depth, "head": head, "norm": norm}
        return Case(name, init=init, args=arguments, kwargs=kwargs)

    return [
        case("three blocks", 5, 0.7, 3, 1),
        case("a head of another name, without a bias", 3, 0.5, 2, 1, head="fc", bias=False),
        case("more than ten blocks", 4, 0.8, 12, 1),
        case("a norm called head_norm, two blocks to a layer", 2, 0.6, 4, 2, norm="head_norm"),
        case("double precision", 6, 0.75, 2, 1, dtype=DOUBLE),
        case("the head alone learns", 7, 0.0, 2, 1),
        case("as many classes as before", 6, 0.9, 2, 1, as_many=True),
        case(FORGOTTEN, 3, 0.5, 2, 1, without_norm=True),
        case(TWICE, 3, 0.5, 2, 1, also=["blocks.0"]),
    ]


class Pretrained(nn.Module):
    """Stands for a pretrained model: a parameter, twelve residual layers, a norm and a head of any name."""

    def __init__(self, weights: dict[str, Tensor], depth: int, head: str, norm: str) -> None:
        super().__init__()
        dim = weights["stem.weight"].shape[0]
        self.stem = nn.Linear(weights["stem.weight"].shape[1], dim)
        self.positions = nn.Parameter(torch.zeros(dim))
        self.blocks = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.norm_name, self.head_name = norm, head
        self.add_module(norm, nn.LayerNorm(dim))
        self.add_module(
            head, nn.Linear(dim, weights[f"{head}.weight"].shape[0], bias=f"{head}.bias" in weights)
        )
        self.to(weights["stem.weight"].dtype)
        self.load_state_dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) + self.positions
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return getattr(self, self.head_name)(getattr(self, self.norm_name)(x))


def _must_be_groups(groups: Any) -> None:
    if not isinstance(groups, Sequence) or not all(isinstance(g, dict) and "params" in g for g in groups):
        raise ObservationError(
            Problem(
                "type",
                later(
                    'fine_tune must return a list of parameter groups, `[{"params": [...], "lr": ...}, ...]`.'
                ),
            )
        )


def _parameters(given: Any) -> list[Tensor]:
    """The parameters of a group: PyTorch takes one tensor, or an iterable of them."""
    return [given] if isinstance(given, Tensor) else list(given)


def observe_fine_tune(attempt: Any, case: Case) -> Seen:
    """The learning rate of every parameter as an optimiser sees it, the new head, and what became of the rest."""
    model = Pretrained(**case.init)
    old = getattr(model, case.init["head"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    arguments = {k: [list(names) for names in v] if k == "layers" else v for k, v in case.args.items()}
    if case.name in (FORGOTTEN, TWICE):
        try:
            attempt(model, *arguments.values(), **case.kwargs)
        except ValueError:
            return {"refused": torch.tensor(True)}
        return {"refused": torch.tensor(False)}
    groups = attempt(model, *arguments.values(), **case.kwargs)
    _must_be_groups(groups)
    # As an optimizer does it; building one takes seconds where PyTorch's compiler has not been imported yet.
    rate = {id(p): float(group.get("lr", 1e3)) for group in groups for p in _parameters(group["params"])}
    head = getattr(model, case.init["head"])
    body = [name for name in before if not name.startswith(case.init["head"] + ".")]
    after = dict(model.named_parameters())
    x = torch.linspace(-1, 1, 2 * before["stem.weight"].shape[1], dtype=before["positions"].dtype)
    return {
        "head_is_linear": torch.tensor(isinstance(head, nn.Linear) and head.bias is not None),
        "head_is_fresh": torch.tensor(
            head is not old and getattr(head, "out_features", 0) == case.args["num_classes"]
        ),
        "head_weight": head.weight,
        "head_bias": torch.zeros(0) if head.bias is None else head.bias,
        "rates": torch.tensor([rate.get(id(p), -1.0) for p in after.values()], dtype=DOUBLE),
        "trainable": torch.tensor([p.requires_grad for p in after.values()]),
        "body_unchanged": torch.tensor(all(torch.equal(after[n], before[n]) for n in body if n in after)),
        "logits": model(x.view(2, -1)),
        "same:layers": torch.tensor(arguments["layers"] == case.args["layers"]),
    }


def rates_never_rise_towards_the_input(case: Case, seen: Seen) -> bool:
    rates = seen[
        "rates"
    ]  # in the order stem's parameters, positions, blocks, norm, head; `positions` comes first
    return bool(rates[-1] >= rates[:-1].max())


FINE_TUNE = Exercise(
    name="fine_tune",
    notebook="06_inductive_bias",
    points=4,
    stars=3,
    minutes=20,
    reference="solutions.fine_tuning:fine_tune",
    stand_in="utils.stand_ins.fine_tuning:fine_tune",
    outputs=("groups",),
    cases=fine_tune_cases,
    observe=observe_fine_tune,
    gradients=False,
    properties=(
        Property(
            "the body keeps its weights",
            "Weights outside the head have changed. Fine-tuning starts from the pretrained ones: only the head is new.",
            lambda case, seen: seen["body_unchanged"],
        ),
        Property(
            "a fresh head",
            "The head should be a fresh `nn.Linear`; yours is the old module with other numbers in it, or its `out_features` is not the new "
            "number of classes.",
            lambda case, seen: seen["head_is_fresh"],
        ),
        Property(
            "layers that do not fit are refused",
            "Where `layers` leaves a parameter out, or names it twice, your function should raise ValueError: the lines below "
            "yours do, from the groups that you make of `layers` alone.",
            lambda case, seen: seen["refused"],
        ),
        Property(
            "nothing is frozen",
            "Some parameters no longer require a gradient. A layer's learning rate says how fast it learns; freezing it is "
            "something else.",
            lambda case, seen: seen["trainable"].all(),
        ),
        Property(
            "the head learns fastest",
            "With a decay of at most 1 no layer may learn faster than the head, and in yours one does.",
            rates_never_rise_towards_the_input,
        ),
    ),
)
