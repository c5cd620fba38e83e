"""Checks: a fair comparison of models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.problems import ObservationError, Problem
from utils.checks.spec import Case, Draw, Exercise, Property, Seen
from utils.words import later


# compare_models
def _comparison_cases(draw: Draw) -> list[Case]:
    def case(name: str, count: int, sizes: list[int], seeds: list[int], models: dict[str, int]) -> Case:
        order = draw.permutation(1000).tolist()
        return Case(
            name,
            kwargs={
                "train": order[:count],
                "test": order[count : count + 5],
                "sizes": sizes,
                "seeds": seeds,
                "steps": draw.integer(20, 90),
            },
            init={"models": models},
        )

    first, second = draw.integer(1, 50), draw.integer(60, 99)
    return [
        case("two models, two sizes, one seed", 12, [3, 7], [first], {"lstm": 3, "transformer": 2}),
        case("two seeds", 10, [2, 5], [second, first], {"small": 1, "large": 4}),
        case("sizes from large to small", 14, [9, 6, 2], [first], {"a": 2, "b": 2}),
        case("one model, the whole training set", 8, [4, 8], [second], {"alone": 5}),
    ]


class _Counted(nn.Module):
    """Stands for a model: its start depends on the random state; one parameter is frozen."""

    def __init__(self, kind: int, width: int) -> None:
        super().__init__()
        self.kind = kind
        self.start = float(torch.rand(()))
        self.weight = nn.Parameter(torch.zeros(width, 3))
        self.bias = nn.Parameter(torch.zeros(width))
        self.frozen = nn.Parameter(torch.zeros(7), requires_grad=False)
        self.parts: list[list[int]] = []


class _World:
    """`factories`, `fit` and `score` that train nothing and write down how they are called."""

    def __init__(self, models: dict[str, int]) -> None:
        self.models = models
        self.log: list[dict[str, Any]] = []
        self.begins: dict[float, set[float]] = {}  # a model's start -> what is drawn first in its trainings

    def factories(self) -> dict[str, Any]:
        return {
            name: lambda kind=kind, width=width: _Counted(kind, width)
            for kind, (name, width) in enumerate(self.models.items())
        }

    def fit(self, model: _Counted, examples: Any, steps: int) -> float:
        part = list(examples)
        self.begins.setdefault(model.start, set()).add(float(torch.rand(())))
        entry = {"kind": model.kind, "start": model.start, "part": sorted(part), "steps": steps}
        self.log.append({**entry, "before": len(model.parts)})
        model.parts.append(part)
        torch.rand(len(part) + model.kind + 1)  # training draws random numbers, and not the same for all
        return round(0.25 * len(part) + 0.5 * model.kind + 0.125 * steps, 4)

    def score(self, model: _Counted, examples: Any) -> float:
        learned = sum(sum(part) for part in model.parts) + 31 * model.kind
        return ((7 * sum(examples) + 13 * learned + len(list(examples))) % 997) / 997


KEYS = ("model", "seed", "size", "parameters", "seconds", "train", "test")


def _table(rows: Any, names: list[str]) -> Tensor:
    """(rows, 7) float64, sorted by model, seed and size.

    Raises:
        ObservationError: if it is no list of dicts with the seven keys.
    """

    def stop(sentence: str) -> None:
        raise ObservationError(Problem("type", sentence))

    if rows is None:
        stop(later("{name} returned None. Is there a `return` missing?", name="compare_models"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        stop(
            later(
                "compare_models must return a list of dicts, and returned a {kind}.", kind=type(rows).__name__
            )
        )
    for row in rows:
        missing = [key for key in KEYS if key not in row]
        if missing:
            stop(
                later(
                    "A row of your table lacks {missing}; it has {there}.",
                    missing=", ".join(map(repr, missing)),
                    there=", ".join(map(repr, row)),
                )
            )
        if row["model"] not in names:
            stop(
                later(
                    "A row's 'model' should be a name from `factories`, and yours holds {value}, which is none of them.",
                    value=repr(row["model"])[:40],
                )
            )
    values = [[float(names.index(row["model"])), *(float(row[key]) for key in KEYS[1:])] for row in rows]
    return torch.tensor(sorted(values), dtype=torch.float64).reshape(len(rows), len(KEYS))


def _observe_comparison(attempt: Any, case: Case) -> Seen:
    """The table as a matrix (a row per training, sorted), and how the models were trained."""
    world = _World(dict(case.init["models"]))
    given = {key: list(value) if isinstance(value, list) else value for key, value in case.kwargs.items()}
    rows = attempt(world.factories(), world.fit, world.score, **given)
    seen: Seen = {"table": _table(rows, list(world.models))}
    log = sorted(world.log, key=lambda e: (e["kind"], len(e["part"]), e["start"], e["part"]))
    longest = max([len(case.kwargs["train"]), *(len(entry["part"]) for entry in log)])
    parts = [entry["part"] + [-1] * (longest - len(entry["part"])) for entry in log]
    seen["parts"] = torch.tensor(parts, dtype=torch.int64).reshape(len(log), longest)
    seen["starts"] = torch.tensor([entry["start"] for entry in log], dtype=torch.float64)
    seen["steps"] = torch.tensor([entry["steps"] for entry in log], dtype=torch.float64)
    seen["trainings begin alike"] = torch.tensor(all(len(drawn) == 1 for drawn in world.begins.values()))
    seen["trained before"] = torch.tensor([entry["before"] for entry in log], dtype=torch.int64)
    same = {key: torch.tensor(given[key] == case.kwargs[key]) for key in case.kwargs}
    return seen | {f"same:{key}": value for key, value in same.items()}


def _parts(seen: Seen) -> list[set[int]]:
    return [{n for n in row if n >= 0} for row in seen["parts"].tolist()]


def _test_stays_unseen(case: Case, seen: Seen) -> bool:
    return not any(part & set(case.kwargs["test"]) for part in _parts(seen))


def _parts_are_nested(case: Case, seen: Seen) -> bool:
    if len(case.kwargs["seeds"]) > 1:
        return True
    parts = sorted(_parts(seen), key=len)
    return all(small <= large for small, large in zip(parts, parts[1:], strict=False))


def _starts_are_common(case: Case, seen: Seen) -> bool:
    return len(set(seen["starts"].tolist())) <= len(case.kwargs["seeds"])


def _models_are_fresh(case: Case, seen: Seen) -> bool:
    return not bool(seen["trained before"].any())


COMPARE_MODELS = Exercise(
    name="compare_models",
    notebook="03_transformer_sentiment",
    points=4,
    stars=3,
    minutes=20,
    reference="solutions.comparison:compare_models",
    outputs=("table",),
    cases=_comparison_cases,
    gradients=False,
    observe=_observe_comparison,
    properties=(
        Property(
            "test set unseen",
            "A model was trained on test examples, so its test accuracy says nothing about new sentences.",
            _test_stays_unseen,
        ),
        Property(
            "fresh models",
            "A model was trained that had been trained before. Every training needs a new model from its factory.",
            _models_are_fresh,
        ),
        Property(
            "nested parts",
            "For one seed the smaller parts should be contained in the larger ones, and equal sizes should be equal "
            "parts for all models. Yours are not.",
            _parts_are_nested,
        ),
        Property(
            "common starts",
            "For one seed all trainings should begin from the same random state, and yours begin from several.",
            _starts_are_common,
        ),
        Property(
            "nothing between building and training",
            "Models of one seed are alike at the start, but PyTorch's random state is not when `fit` begins: it is put back, or "
            "used, after a model is built. Set the seed before the model is built, and leave the state alone until `fit`.",
            lambda case, seen: seen["trainings begin alike"],
        ),
    ),
)
