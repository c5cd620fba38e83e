"""Cases and observations of notebook 05's exercises, in the notebook's order."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from utils.checks.observe import ObservationError, Problem, build_module, observe_default
from utils.checks.spec import Case, Draw, Seen

DOUBLE = torch.float64


# ------------------------------------------------------------------------------------------ patches


def patchify_cases(draw: Draw) -> list[Case]:
    return [
        Case("a wide image", args={"images": draw.normal(2, 3, 4, 6), "patch_size": 2}),
        Case("a tall image of one channel", args={"images": draw.normal(1, 1, 9, 6), "patch_size": 3}),
        Case("one patch that is the whole image", args={"images": draw.normal(3, 2, 4, 4), "patch_size": 4}),
        Case("patches of one pixel", args={"images": draw.normal(2, 3, 2, 5), "patch_size": 1}),
        Case("double precision", args={"images": draw.normal(2, 4, 6, 4, dtype=DOUBLE), "patch_size": 2}),
    ]


def unpatchify_cases(draw: Draw) -> list[Case]:
    def case(name: str, patches: Tensor, p: int, height: int, width: int) -> Case:
        return Case(name, args={"patches": patches, "patch_size": p, "height": height, "width": width})

    return [
        case("a wide image", draw.normal(2, 6, 12), 2, 4, 6),
        case("a tall image of one channel", draw.normal(1, 6, 9), 3, 9, 6),
        case("one patch that is the whole image", draw.normal(3, 1, 32), 4, 4, 4),
        case("patches of one pixel", draw.normal(2, 10, 3), 1, 2, 5),
        case("double precision", draw.normal(2, 6, 16, dtype=DOUBLE), 2, 6, 4),
    ]


def same_numbers(name: str):
    """The output holds every number of the input exactly once."""
    return lambda case, seen: torch.equal(
        case.args[name].flatten().sort()[0], seen["output"].flatten().sort()[0]
    )


EVERY_PIXEL = "Cutting or joining patches only moves pixels: each should occur exactly once in your result, and that is not so."


def embedding_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], p: int, dim: int, dtype: torch.dtype = torch.float32) -> Case:
        init = {"patch_size": p, "dim": dim, "in_channels": shape[1]}
        return Case(name, args={"images": draw.normal(*shape, dtype=dtype)}, init=init)

    return [
        case("a wide RGB image", (2, 3, 4, 6), 2, 5),
        case("a tall grey image", (3, 1, 9, 6), 3, 4),
        case("one patch", (2, 3, 4, 4), 4, 7),
        case("double precision", (1, 2, 4, 8), 2, 3, DOUBLE),
    ]


def convolution_cases(draw: Draw) -> list[Case]:
    def case(name: str, shape: tuple[int, ...], p: int, dim: int, dtype: torch.dtype = torch.float32) -> Case:
        args = {
            "images": draw.normal(*shape, dtype=dtype),
            "weight": draw.normal(dim, shape[1] * p * p, scale=0.5, dtype=dtype),
            "bias": draw.normal(dim, dtype=dtype),
            "patch_size": p,
        }
        return Case(name, args=args)

    return [
        case("a wide RGB image", (2, 3, 4, 6), 2, 5),
        case("a tall grey image", (3, 1, 9, 6), 3, 4),
        case("one patch", (2, 3, 4, 4), 4, 7),
        case("double precision", (1, 2, 4, 8), 2, 3, DOUBLE),
    ]


# ------------------------------------------------------------------------------------------ tokens and blocks


def token_cases(draw: Draw) -> list[Case]:
    def case(name: str, b: int, n: int, d: int, cls: bool = True, dtype: torch.dtype = torch.float32) -> Case:
        args = {
            "tokens": draw.normal(b, n, d, dtype=dtype),
            "cls_token": draw.normal(1, 1, d, dtype=dtype) if cls else None,
            "positions": draw.normal(1, n + cls, d, dtype=dtype),
        }
        return Case(name, args=args)

    return [
        case("three images", 3, 4, 5),
        case("one image", 1, 6, 3),
        case("no CLS token", 2, 5, 4, cls=False),
        case("double precision", 2, 3, 6, dtype=DOUBLE),
    ]


def attention_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, b: int, n: int, d: int, heads: int, dtype: torch.dtype = torch.float32, **more: Any
    ) -> Case:
        return Case(
            name, args={"x": draw.normal(b, n, d, dtype=dtype)}, init={"dim": d, "num_heads": heads, **more}
        )

    return [
        case("two heads", 2, 5, 8, 2),
        case("one head", 1, 4, 6, 1),
        case("more heads than channels of a head", 2, 3, 8, 4),
        case("attention dropout, in eval mode", 2, 7, 6, 3, dropout=0.5),
        case("double precision", 2, 4, 6, 2, DOUBLE),
    ]


def observe_attention(attempt: Any, case: Case) -> Seen:
    """Output and gradients as always, and the attention weights of `weights(x)`."""
    seen = observe_default(attempt, case)
    weights = build_module(attempt, case).weights(case.args["x"].clone())
    if not isinstance(weights, Tensor):
        raise ObservationError(
            Problem(
                "type", f"`weights(x)` must return a torch.Tensor, and returned a {type(weights).__name__}."
            )
        )
    return {"output": seen.pop("output"), "weights": weights, **seen}


def rows_sum_to_one(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["weights"].sum(-1), seen["weights"].new_ones(()), atol=1e-4)


def block_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, b: int, n: int, d: int, heads: int, hidden: int, *, mode: str = "eval", **more: Any
    ) -> Case:
        dtype = more.pop("dtype", torch.float32)
        init = {"dim": d, "num_heads": heads, "hidden_dim": hidden, **more}
        return Case(name, args={"x": draw.normal(b, n, d, dtype=dtype)}, init=init, mode=mode)

    return [
        case("two heads", 2, 5, 8, 2, 12),
        case("an MLP narrower than the tokens", 3, 4, 6, 3, 4),
        case("dropout and stochastic depth, in eval mode", 2, 3, 4, 1, 8, dropout=0.5, drop_path=0.5),
        case("double precision", 1, 6, 4, 2, 10, dtype=DOUBLE),
        case("stochastic depth while training", 64, 2, 4, 2, 4, mode="train", drop_path=0.5),
        case("dropout while training", 8, 5, 4, 2, 6, mode="train", dropout=0.5),
    ]


def observe_block(attempt: Any, case: Case) -> Seen:
    """In train mode what is random is not compared: only which images keep their tokens, and which entries do."""
    if case.mode == "eval":
        return observe_default(attempt, case)
    block, x = build_module(attempt, case), case.args["x"]
    output = block(x.clone())
    if not isinstance(output, Tensor) or output.shape != x.shape:
        return {"output": output if isinstance(output, Tensor) else torch.zeros(0)}
    same = (output == x).flatten(1)
    return {
        "some images pass unchanged": same.all(1).any(),
        "some entries pass unchanged": same.any(),
        "no image is set to zero": ~(output == 0).flatten(1).all(1).any(),
        "two calls differ": torch.tensor(not torch.equal(output, block(x.clone()))),
    }


# ------------------------------------------------------------------------------------------ the whole model

TINY = {"patch_size": 2, "dim": 4, "depth": 2, "num_heads": 2, "mlp_ratio": 1.5, "num_classes": 3}


def vit_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, b: int, size: tuple[int, int], *, channels: int = 3, mode: str = "eval", **more: Any
    ) -> Case:
        dtype, method = more.pop("dtype", torch.float32), more.pop("method", "")
        init = {"image_size": size, **TINY, "in_channels": channels, **more}
        images = draw.normal(b, channels, *size, dtype=dtype)
        return Case(name, args={"images": images}, init=init, mode=mode, method=method)

    return [
        case("class token, a wide image", 2, (4, 6)),
        case("mean pooling", 3, (6, 4), pool="mean", num_classes=5),
        case("encode: all tokens", 2, (4, 4), method="encode", channels=1),
        case("no head", 2, (2, 6), num_classes=0, depth=3),
        case("double precision", 1, (4, 6), dtype=DOUBLE, num_heads=4, channels=1),
        case("dropout while training, without any block", 2, (4, 6), mode="train", depth=0, dropout=0.5),
    ]


def observe_vit(attempt: Any, case: Case) -> Seen:
    if case.mode == "eval":
        return observe_default(attempt, case)
    model = build_module(attempt, case)
    return {
        "two calls differ": torch.tensor(
            not torch.equal(model(case.args["images"]), model(case.args["images"]))
        )
    }


def vit_weights(name: str, value: Tensor, draw: Draw) -> Tensor:
    """Positions and CLS as large as the tokens, so that leaving them out is seen."""
    if value.ndim == 1:
        return draw.normal(*value.shape, scale=0.3, shift=1.0 if name.endswith("weight") else 0.0)
    if name in ("cls_token", "positions"):
        return draw.normal(*value.shape, scale=0.7)
    return draw.normal(*value.shape, scale=value[0].numel() ** -0.5)


# ------------------------------------------------------------------------------------------ once it is trained


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
        case("double precision, taller and narrower", (3, 5), (6, 4), 3, dtype=DOUBLE),
    ]


def cls_kept(case: Case, seen: Seen) -> bool:
    positions, (h, w) = case.args["positions"], case.args["old_grid"]
    return positions.shape[1] == h * w or torch.allclose(seen["output"][:, :1], positions[:, :1], atol=1e-6)


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
        "depth": 3,
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
        case("one patch, three blocks", deeper, _hub_state(draw, deeper)),
        case("all matrices square", square_mlp, _hub_state(draw, square_mlp)),
        case("timm's names", size, _timm_state(_hub_state(draw, size))),
        case("a file of another depth", size, _hub_state(draw, size | {"depth": 3})),
    ]


def observe_pretrained(attempt: Any, case: Case) -> Seen:
    """The weights of a library-built ViT after the call; for a file that does not fit, whether it was refused."""
    from utils.stand_ins.vit import ViT

    model = ViT(**case.args["size"]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    state = {name: value.clone() for name, value in case.args["state"].items()}
    if case.name == "a file of another depth":
        try:
            attempt(model, state)
        except ValueError:
            return {"refused": torch.tensor(True)}
        return {"refused": torch.tensor(False)}
    attempt(model, state)
    seen = _by_part(model.state_dict())
    seen["same:state"] = torch.tensor(
        all(torch.equal(value, case.args["state"][name]) for name, value in state.items())
    )
    return seen


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


def rollout_cases(draw: Draw) -> list[Case]:
    def case(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Case:
        return Case(name, args={"attention": draw.normal(*shape, scale=1.5, dtype=dtype).softmax(dim=-1)})

    return [
        case("three layers, two heads", 3, 2, 2, 5, 5),
        case("one layer", 1, 3, 4, 4, 4),
        case("one head", 4, 1, 1, 6, 6),
        case("double precision", 2, 2, 3, 3, 3, dtype=DOUBLE),
    ]
