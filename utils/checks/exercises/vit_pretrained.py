"""Checks: other image sizes and published weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.spec import Case, Draw, Exercise, Property, Seen

DOUBLE = torch.float64


def position_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, old: tuple[int, int], new: tuple[int, int], d: int, cls: int = 1, dtype=torch.float32
    ) -> Case:
        positions = draw.normal(1, old[0] * old[1] + cls, d, dtype=dtype)
        return Case(name, args={"positions": positions, "old_grid": old, "new_grid": new})

    return [
        case("a larger grid", (3, 4), (5, 7), 4),
        case("no CLS token", (2, 5), (4, 6), 3, cls=0),
        case("a smaller grid", (6, 4), (3, 3), 2),
        case("the grid stays as it is", (3, 2), (3, 2), 5),
        case("as many positions on another grid", (2, 6), (4, 3), 2),
        case("double precision, taller and narrower", (3, 5), (6, 4), 3, dtype=DOUBLE),
        case("a grid whose factor no float holds", (11, 2), (15, 3), 2),  # 11 * (15 / 11) is below 15
    ]


def cls_kept(case: Case, seen: Seen) -> bool:
    positions, (h, w) = case.args["positions"], case.args["old_grid"]
    return positions.shape[1] == h * w or torch.allclose(seen["output"][:, :1], positions[:, :1], atol=1e-6)


INTERPOLATE_POSITIONS = Exercise(
    name="interpolate_positions",
    notebook="05_vit",
    points=3,
    stars=3,
    minutes=15,
    reference="solutions.vit_pretrained:interpolate_positions",
    cases=position_cases,
    refuses=lambda draw: [
        Case(
            "another number of positions",
            args={"positions": draw.normal(1, 9, 3), "old_grid": (3, 4), "new_grid": (4, 4)},
        )
    ],
    properties=(
        Property(
            "CLS unchanged",
            "The position of the CLS token has no place on the grid: it should come first and unchanged, and does not.",
            cls_kept,
        ),
    ),
)


def _hub_state(draw: Draw, size: dict[str, Any], channels: int = 3) -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of a ViT classifier on the Hugging Face Hub."""
    d, p, hidden = size["dim"], size["patch_size"], int(size["dim"] * size["mlp_ratio"])
    tokens = (size["image_size"][0] // p) * (size["image_size"][1] // p) + 1
    state = {
        "vit.embeddings.cls_token": draw.normal(1, 1, d),
        "vit.embeddings.position_embeddings": draw.normal(1, tokens, d),
        "vit.embeddings.patch_embeddings.projection.weight": draw.normal(d, channels, p, p, scale=0.4),
        "vit.embeddings.patch_embeddings.projection.bias": draw.normal(d),
    }
    for i in range(size["depth"]):
        layer = f"vit.encoder.layer.{i}"
        linear = {f"attention.attention.{part}": (d, d) for part in ("query", "key", "value")}
        linear |= {
            "attention.output.dense": (d, d),
            "intermediate.dense": (hidden, d),
            "output.dense": (d, hidden),
        }
        for name, shape in linear.items():
            state[f"{layer}.{name}.weight"] = draw.normal(*shape, scale=0.4)
            state[f"{layer}.{name}.bias"] = draw.normal(shape[0], scale=0.3)
        for name in ("layernorm_before", "layernorm_after"):
            state[f"{layer}.{name}.weight"] = draw.normal(d, scale=0.3, shift=1.0)
            state[f"{layer}.{name}.bias"] = draw.normal(d, scale=0.3)
    state["vit.layernorm.weight"] = draw.normal(d, scale=0.3, shift=1.0)
    state["vit.layernorm.bias"] = draw.normal(d, scale=0.3)
    state["classifier.weight"] = draw.normal(size["num_classes"], d)
    state["classifier.bias"] = draw.normal(size["num_classes"])
    return state


TIMM_NAMES = (
    ("vit.embeddings.position_embeddings", "pos_embed"),
    ("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("vit.embeddings.cls_token", "cls_token"),
    ("vit.encoder.layer.", "blocks."),
    ("attention.output.dense", "attn.proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("vit.layernorm", "norm"),
    ("classifier", "head"),
)


def _timm_state(hub: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as timm stores them: queries, keys and values in one matrix."""
    state = {}
    for name, value in hub.items():
        if ".attention.attention." in name:
            parts = (
                [hub[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
                if ".query." in name
                else []
            )
            if parts:
                new = name.replace(".attention.attention.query.", ".attn.qkv.").replace(
                    "vit.encoder.layer.", "blocks."
                )
                state[new] = torch.cat(parts)
            continue
        for theirs, ours in TIMM_NAMES:
            name = name.replace(theirs, ours)
        state[name] = value
    return state


def pretrained_cases(draw: Draw) -> list[Case]:
    size = {
        "image_size": (4, 6),
        "patch_size": 2,
        "dim": 8,
        "depth": 2,
        "num_heads": 2,
        "mlp_ratio": 1.5,
        "num_classes": 3,
    }
    deeper = {
        "image_size": (3, 3),
        "patch_size": 3,
        "dim": 4,
        "depth": 12,  # "10" comes before "2" where names are sorted as words
        "num_heads": 1,
        "mlp_ratio": 4.0,
        "num_classes": 2,
    }
    square_mlp = {
        "image_size": (2, 4),
        "patch_size": 2,
        "dim": 6,
        "depth": 1,
        "num_heads": 3,
        "mlp_ratio": 1.0,
        "num_classes": 6,
    }

    def case(name: str, size: dict[str, Any], state: dict[str, Tensor]) -> Case:
        return Case(name, args={"size": size, "state": state})

    return [
        case("the Hub's names", size, _hub_state(draw, size)),
        case("one patch, twelve blocks", deeper, _hub_state(draw, deeper)),
        case("all matrices square", square_mlp, _hub_state(draw, square_mlp)),
        case("timm's names", size, _timm_state(_hub_state(draw, size))),
        case("a file of another depth", size, _hub_state(draw, size | {"depth": 3})),
        case("a file of another image size", size, _hub_state(draw, size | {"image_size": (6, 6)})),
        case("a file of another number of classes", size, _hub_state(draw, size | {"num_classes": 5})),
    ]


def _by_part(state: dict[str, Tensor]) -> Seen:
    """Weights, flattened and joined, under names that a message can use: "the attention of block 0"."""
    parts: dict[str, list[Tensor]] = {}
    for name, value in state.items():
        part = "final norm and head" if name.startswith(("norm", "head")) else "embedding"
        if name.startswith("blocks."):
            _, i, inner = name.split(".", 2)
            kind = (
                "attention"
                if inner.startswith("self_attn")
                else "norms"
                if inner.startswith("norm")
                else "MLP"
            )
            part = f"{kind} of block {i}"
        parts.setdefault(part, []).append(value.flatten())
    return {part: torch.cat(values) for part, values in parts.items()}


def observe_pretrained(attempt: Any, case: Case) -> Seen:
    """The weights of a library-built ViT after the call; for a file that does not fit, whether it was refused."""
    from utils.stand_ins.vit import ViT

    model = ViT(**case.args["size"]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    state = {name: value.clone() for name, value in case.args["state"].items()}
    if case.name.startswith("a file of another"):
        try:
            attempt(model, state)
        except ValueError:
            untouched = not any(bool(parameter.any()) for parameter in model.parameters())
            return {"refused": torch.tensor(True), "left as it was": torch.tensor(untouched)}
        return {"refused": torch.tensor(False), "left as it was": torch.tensor(True)}
    returned = attempt(model, state)
    seen = _by_part(model.state_dict())
    seen["the model is returned"] = torch.tensor(returned is model)
    with torch.no_grad():
        before = {name: value.clone() for name, value in state.items()}
        for parameter in model.parameters():
            parameter.add_(1)
    seen["numbers are copied"] = torch.tensor(all(torch.equal(state[name], before[name]) for name in before))
    state = before
    seen["same:state"] = torch.tensor(
        all(torch.equal(value, case.args["state"][name]) for name, value in state.items())
    )
    return seen


LOAD_PRETRAINED = Exercise(
    name="load_pretrained",
    notebook="05_vit",
    points=4,
    stars=4,
    minutes=30,
    reference="solutions.vit_pretrained:load_pretrained",
    cases=pretrained_cases,
    observe=observe_pretrained,
    gradients=False,
    properties=(
        Property(
            "left as it was",
            "Your function fills a part of the model before it refuses a file that does not fit. The model should be left as it was: "
            "collect all weights first.",
            lambda case, seen: seen["left as it was"],
        ),
        Property(
            "numbers are copied",
            "The tensors of the file have become the model's parameters: whoever trains the model changes `state` as well. Copy the numbers.",
            lambda case, seen: seen["numbers are copied"],
        ),
        Property(
            "the model is returned",
            "Return the model that was given, filled.",
            lambda case, seen: seen["the model is returned"],
        ),
    ),
)
