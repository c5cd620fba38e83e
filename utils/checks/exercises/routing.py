"""Checks: which expert gets which token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.properties import same
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


def router_cases(draw: Draw) -> list[Case]:
    double = torch.float64
    # a probability of about 1, one of 1e-17, and one that float32 takes for 0
    far_apart = draw.normal(6, 3) + torch.tensor([0.0, -40.0, -200.0])
    far_apart = far_apart.gather(1, torch.stack([draw.permutation(3) for _ in range(3)]).repeat(2, 1))
    far_apart[3:] = far_apart[3:].flip(1)
    return [
        Case("one expert per token", args={"logits": draw.normal(6, 4), "k": 1}),
        Case("two of five", args={"logits": draw.normal(7, 5), "k": 2}),
        Case(
            "two of five, renormalised",
            args={"logits": draw.normal(6, 5), "k": 2},
            kwargs={"renormalize": True},
        ),
        Case(
            "one expert per token, renormalised",
            args={"logits": draw.normal(5, 3), "k": 1},
            kwargs={"renormalize": True},
        ),
        Case("all experts, some of them all but impossible", args={"logits": far_apart, "k": 3}),
        Case("there is one expert only", args={"logits": draw.normal(4, 1), "k": 1}),
        Case("large scores", args={"logits": draw.normal(5, 4, scale=3, shift=120), "k": 2}),
        Case(
            "three of six, renormalised, float64",
            args={"logits": draw.normal(4, 6, dtype=double), "k": 3},
            kwargs={"renormalize": True},
        ),
    ]


def largest_first(case: Case, seen: Seen) -> bool:
    weights = seen["weights"]
    return bool((weights[:, 1:] <= weights[:, :-1]).all())


def sums_to_one(case: Case, seen: Seen) -> bool:
    weights = seen["weights"]
    return not case.kwargs.get("renormalize") or same(weights.sum(1), torch.ones_like(weights[:, 0]))


def leaves_something(case: Case, seen: Seen) -> bool:
    """Without renormalisation the experts that were not chosen keep their part of the probability."""
    all_chosen = case.args["k"] == case.args["logits"].shape[1]
    return all_chosen or bool(case.kwargs.get("renormalize")) or bool((seen["weights"].sum(1) < 1).all())


TOP_K_ROUTER = Exercise(
    name="top_k_router",
    notebook="09_beyond_attention",
    points=3,
    stars=2,
    minutes=10,
    reference="solutions.routing:top_k_router",
    stand_in="utils.stand_ins.routing:top_k_router",
    outputs=("weights", "experts"),
    cases=router_cases,
    refuses=lambda draw: [
        Case("more experts per token than there are", args={"logits": draw.normal(4, 3), "k": 4}),
        Case("no expert per token", args={"logits": draw.normal(4, 3), "k": 0}),
    ],
    properties=(
        Property(
            "largest first",
            "The weights of a token should fall from left to right: its first choice first.",
            largest_first,
        ),
        Property(
            "renormalised weights sum to one",
            "With renormalize=True the k weights of a token should sum to 1, and yours do not.",
            sums_to_one,
        ),
        Property(
            "the others keep their part",
            "Without renormalize the weights are probabilities among all experts, so the k chosen ones sum to less than 1, "
            "and yours do not.",
            leaves_something,
        ),
    ),
)


def choices(draw: Draw, tokens: int, num_experts: int, k: int) -> Tensor:
    """(T, k) int64: k different experts for each token."""
    return draw.uniform(tokens, num_experts).argsort(dim=1)[:, :k].contiguous()


def capacity_cases(draw: Draw) -> list[Case]:
    def case(name: str, tokens: int, num_experts: int, k: int, capacity: int) -> Case:
        experts = choices(draw, tokens, num_experts, k)
        return Case(name, args={"experts": experts, "num_experts": num_experts, "capacity": capacity})

    popular = (
        draw.integers(0, 2, 900, 1) * 3
    )  # only experts 0 and 3 of four, more often than a byte can count
    return [
        case("one choice, not room for all", 12, 3, 1, 3),
        case("two choices, half of them find a place", 14, 4, 2, 4),
        case("three choices of five", 9, 5, 3, 3),
        case("room for everyone", 6, 4, 2, 6),
        case("no places at all", 5, 3, 2, 0),
        case("one place each", 8, 3, 2, 1),
        Case(
            "many tokens, and two experts that nobody asks for",
            args={"experts": popular, "num_experts": 4, "capacity": 2},
        ),
    ]


def asked_and_given(case: Case, seen: Seen) -> tuple[Tensor, Tensor]:
    """(E,) how often each expert was asked for, and how many places it gave."""
    experts, number = case.args["experts"], case.args["num_experts"]
    return (
        torch.bincount(experts.flatten(), minlength=number),
        torch.bincount(experts[seen["output"].bool()], minlength=number),
    )


def nobody_overfull(case: Case, seen: Seen) -> bool:
    return bool((asked_and_given(case, seen)[1] <= case.args["capacity"]).all())


def no_place_wasted(case: Case, seen: Seen) -> bool:
    asked, given = asked_and_given(case, seen)
    return bool((given >= asked.clamp(max=case.args["capacity"])).all())


def first_choices_first(case: Case, seen: Seen) -> bool:
    """No later choice is kept by an expert that turned an earlier choice away."""
    experts, kept = case.args["experts"], seen["output"].bool()
    for expert in range(case.args["num_experts"]):
        wants = experts == expert
        turned_away = [j for j in range(experts.shape[1]) if (wants & ~kept)[:, j].any()]
        served = [j for j in range(experts.shape[1]) if (wants & kept)[:, j].any()]
        if turned_away and served and max(served) > min(turned_away):
            return False
    return True


KEEP_WITHIN_CAPACITY = Exercise(
    name="keep_within_capacity",
    notebook="09_beyond_attention",
    points=4,
    stars=4,
    minutes=20,
    reference="solutions.routing:keep_within_capacity",
    stand_in="utils.stand_ins.routing:keep_within_capacity",
    cases=capacity_cases,
    gradients=False,
    properties=(
        Property(
            "nobody is overfull",
            "One of your experts keeps more tokens than it has places.",
            nobody_overfull,
        ),
        Property(
            "no place is wasted",
            "One of your experts turns tokens away while it still has a free place.",
            no_place_wasted,
        ),
        Property(
            "first choices first",
            "One of your experts keeps a token's second (or third) choice and turns away somebody's earlier choice.",
            first_choices_first,
        ),
    ),
)


def balance_cases(draw: Draw) -> list[Case]:
    def case(name: str, tokens: int, num_experts: int, k: int, **kind: Any) -> Case:
        logits = draw.normal(tokens, num_experts, **kind)
        return Case(name, args={"logits": logits, "experts": choices(draw, tokens, num_experts, k)})

    return [
        case("one choice per token", 9, 4, 1),
        case("two choices per token", 7, 5, 2),
        Case(
            "equal scores",
            args={
                "logits": draw.normal(8, 1).expand(8, 4).contiguous(),
                "experts": choices(draw, 8, 4, 1),
            },
        ),
        Case(
            "every token wants the same expert",
            args={
                "logits": draw.normal(6, 3) + torch.tensor([0.0, 6.0, 0.0]),
                "experts": torch.ones(6, 1, dtype=torch.long),
            },
        ),
        case("three choices, float64", 8, 6, 3, dtype=torch.float64),
    ]


def equal_scores_give_one(case: Case, seen: Seen) -> bool:
    return case.name != "equal scores" or abs(seen["output"].item() - 1) < 1e-4


LOAD_BALANCING_LOSS = Exercise(
    name="load_balancing_loss",
    notebook="09_beyond_attention",
    points=2,
    stars=2,
    minutes=12,
    reference="solutions.routing:load_balancing_loss",
    stand_in="utils.stand_ins.routing:load_balancing_loss",
    cases=balance_cases,
    refuses=lambda draw: [
        Case(
            "no tokens",
            args={
                "logits": torch.zeros(0, draw.integer(2, 900)),
                "experts": torch.zeros(0, 1, dtype=torch.int64),
            },
        )
    ],
    properties=(
        Property(
            "equal scores give 1",
            "With equal scores for all experts (P uniform) the loss should be 1, whatever f is, and yours is not.",
            equal_scores_give_one,
        ),
    ),
)
