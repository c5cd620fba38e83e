"""What notebook 08's exercises are tried on, what is looked at, and what must hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.observe import build_module, observe_default
from utils.checks.spec import Case, Draw, Seen

SILENT = 1e-5  # differences up to here are rounding


# MixerBlock --------------------------------------------------------------------------------------------------------


def mixer_cases(draw: Draw) -> list[Case]:
    def case(
        name: str, batch: int, n: int, d: int, token: int, channel: int, mode="eval", **kind: Any
    ) -> Case:
        init = {"num_tokens": n, "dim": d, "token_hidden": token, "channel_hidden": channel}
        return Case(name, init=init, args={"x": draw.normal(batch, n, d, **kind)}, mode=mode)

    return [
        case("fewer tokens than channels", 2, 4, 6, 3, 10),
        case("more tokens than channels", 3, 9, 4, 5, 7),
        case("one image, a narrow channel MLP", 1, 5, 8, 11, 2),
        case("training", 2, 6, 3, 4, 12, mode="train"),
        case("float64", 2, 3, 5, 8, 6, dtype=torch.float64),
    ]


def observe_mixer(attempt: Any, case: Case) -> Seen:
    """The usual observation, and three outputs of the block with one of its MLPs switched off."""
    seen = observe_default(attempt, case)
    x = case.args["x"]
    other = x.clone()
    other[:, 1] = -other[:, 1]  # token 1 is another one
    with torch.no_grad():
        block = build_module(attempt, case)
        for parameter in block.mlp_tokens.fc2.parameters():
            parameter.zero_()
        seen["channel MLP alone"] = block(x)
        seen["channel MLP alone, token 1 changed"] = block(other)
        block = build_module(attempt, case)
        for parameter in block.mlp_channels.fc2.parameters():
            parameter.zero_()
        block.norm1.weight.zero_()
        block.norm1.weight[0] = 1.0  # of the token MLP's input only channel 0 tells tokens apart
        seen["token MLP alone"] = block(x)
        seen["token MLP alone, token 1 changed"] = block(other)
    return seen


def moved(seen: Seen, which: str) -> Tensor:
    """(N, D) bool: where changing token 1 has changed the output, in any image."""
    before, after = seen[f"{which} MLP alone"], seen[f"{which} MLP alone, token 1 changed"]
    return ((before - after).abs() > SILENT).any(0)


def others(case: Case) -> list[int]:
    return [n for n in range(case.init["num_tokens"]) if n != 1]


def channel_mixing_stays(case: Case, seen: Seen) -> bool:
    return not moved(seen, "channel")[others(case)].any()


def token_mixing_reaches(case: Case, seen: Seen) -> bool:
    return bool(moved(seen, "token")[others(case)].any())


def token_mixing_stays(case: Case, seen: Seen) -> bool:
    return not moved(seen, "token")[others(case)][:, 1:].any()


# MLPMixer ----------------------------------------------------------------------------------------------------------


def mlp_mixer_cases(draw: Draw) -> list[Case]:
    def case(name: str, batch: int, channels: int, size: tuple[int, int] | int, patch: int, depth: int, mode="eval",
             num_classes: int = 3, **kind: Any) -> Case:  # fmt: skip
        height, width = (size, size) if isinstance(size, int) else size
        init = {"image_size": size, "patch_size": patch, "dim": 6, "depth": depth, "token_hidden": 5}
        init |= {"channel_hidden": 8, "num_classes": num_classes, "in_channels": channels}
        return Case(
            name, init=init, args={"images": draw.normal(batch, channels, height, width, **kind)}, mode=mode
        )

    return [
        case("a square image, one block", 2, 3, 8, 4, 1),
        case("a wide image, two blocks", 2, 2, (4, 6), 2, 2),
        case("a tall image", 3, 1, (9, 3), 3, 1, num_classes=4),
        case("training", 2, 2, (4, 8), 4, 2, mode="train"),
        case("without a head", 1, 2, (4, 6), 2, 1, num_classes=0),
        case("float64", 1, 2, (6, 4), 2, 1, dtype=torch.float64),
    ]


def observe_mlp_mixer(attempt: Any, case: Case) -> Seen:
    """Adds the output for the first image alone, and with silent blocks for the image and for its patches in reverse order."""
    seen = observe_default(attempt, case)
    images, p = case.args["images"], case.init["patch_size"]
    batch, channels, height, width = images.shape
    patches = images.unflatten(3, (width // p, p)).unflatten(2, (height // p, p))  # (B, C, i, p, j, q)
    with torch.no_grad():
        model = build_module(attempt, case)
        seen["output for the first image alone"] = model(images[:1])
        for name, parameter in model.named_parameters():
            if ".fc2." in name:
                parameter.zero_()
        seen["silent blocks"] = model(images)
        seen["silent blocks, patches reversed"] = model(
            patches.flip(2, 4).reshape(batch, channels, height, width)
        )
    return seen


def alone_or_in_company(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["output"][:1], seen["output for the first image alone"], atol=1e-4)


def mean_over_tokens(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["silent blocks"], seen["silent blocks, patches reversed"], atol=1e-4)


# Pooling -----------------------------------------------------------------------------------------------------------


def pooling_cases(draw: Draw) -> list[Case]:
    def case(name: str, x: Tensor, size: int) -> Case:
        return Case(name, init={"pool_size": size}, args={"x": x})

    bright = torch.zeros(1, 2, 7, 6)
    bright[0, :, 3, 2] = torch.tensor([9.0, -18.0])
    constant = draw.normal(2, 3, 1, 1).expand(2, 3, 4, 5).clone()
    return [
        case("a constant map", constant, 3),
        case("one bright position", bright, 3),
        case("a wide map", draw.normal(2, 3, 4, 7), 3),
        case("a larger neighbourhood", draw.normal(1, 2, 8, 6), 5),
        case("a neighbourhood larger than the map", draw.normal(2, 2, 2, 3), 5),
        case("a neighbourhood of one", draw.normal(2, 3, 3, 4), 1),
        case("float64", draw.normal(1, 4, 5, 3, dtype=torch.float64), 3),
    ]


def constant_is_zero_inside(case: Case, seen: Seen) -> bool:
    return case.name != "a constant map" or bool((seen["output"][..., 1:-1, 1:-1].abs() < SILENT).all())


def constant_is_zero(case: Case, seen: Seen) -> bool:
    return case.name != "a constant map" or bool((seen["output"].abs() < SILENT).all())


def only_neighbours(case: Case, seen: Seen) -> bool:
    if case.name != "one bright position":
        return True
    far = torch.ones(7, 6, dtype=torch.bool)
    far[2:5, 1:4] = False
    return not seen["output"][..., far].any()


def one_is_silent(case: Case, seen: Seen) -> bool:
    return case.init["pool_size"] != 1 or bool((seen["output"].abs() < SILENT).all())


# MetaFormerBlock ---------------------------------------------------------------------------------------------------

#: token mixers that the check puts into the block, by name
MIXERS = {
    "average": lambda dim: nn.AvgPool2d(3, stride=1, padding=1),
    "depthwise convolution": lambda dim: nn.Conv2d(dim, dim, 3, padding=1, groups=dim),
    "wide convolution": lambda dim: nn.Conv2d(dim, dim, (1, 5), padding=(0, 2)),
    "identity": lambda dim: nn.Identity(),
}


def block_weights(draw: Draw, dim: int, ratio: float, mixer: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """A state dict of the block, away from every default."""
    hidden = int(ratio * dim)
    mixing = MIXERS[mixer](dim).state_dict()
    shapes = {"mlp.fc1.weight": (hidden, dim, 1, 1), "mlp.fc1.bias": (hidden,)}
    shapes |= {"mlp.fc2.weight": (dim, hidden, 1, 1), "mlp.fc2.bias": (dim,)}
    shapes |= {f"{norm}.{part}": (dim,) for norm in ("norm1", "norm2") for part in ("weight", "bias")}
    shapes |= {f"token_mixer.{name}": tuple(value.shape) for name, value in mixing.items()}
    shapes |= {"layer_scale_1": (dim,), "layer_scale_2": (dim,)}
    weights = {}
    for name, shape in shapes.items():
        around = 1.0 if name.startswith("norm") and name.endswith("weight") else 0.0
        scale = 0.7 if name.startswith("layer_scale") else 0.4
        weights[name] = draw.normal(*shape, scale=scale, shift=around, dtype=dtype)
    return weights


def block_cases(draw: Draw) -> list[Case]:
    def case(name: str, mixer: str, shape: tuple[int, ...], ratio: float = 2.0, scale: float = 0.1, mode="eval",
             drop_path: float = 0.0, dtype: torch.dtype = torch.float32) -> Case:  # fmt: skip
        init = {
            "dim": shape[1],
            "token_mixer": mixer,
            "mlp_ratio": ratio,
            "layer_scale": scale,
            "drop_path": drop_path,
        }
        weights = block_weights(draw, shape[1], ratio, mixer, dtype)
        return Case(name, init=init, args={"x": draw.normal(*shape, dtype=dtype)}, weights=weights, mode=mode)

    return [
        case("averages as mixer, a tall map", "average", (2, 4, 5, 3)),
        case("a convolution as mixer", "depthwise convolution", (2, 3, 4, 6), ratio=3.0, scale=1e-3),
        case("a mixer along the rows, training", "wide convolution", (3, 2, 3, 5), mode="train"),
        case("no mixing, one image", "identity", (1, 6, 2, 3), ratio=0.5),
        case("branches left out at random", "average", (8, 2, 3, 2), drop_path=0.5),
        case("float64", "depthwise convolution", (2, 4, 3, 4), dtype=torch.float64),
    ]


def with_mixer(case: Case) -> Case:
    """The case with the named mixer as a module."""
    mixer = MIXERS[case.init["token_mixer"]](case.init["dim"])
    return replace(case, init={**case.init, "token_mixer": mixer})


def observe_block(attempt: Any, case: Case) -> Seen:
    """Adds the start values of the scales, a call in training with a known seed, and calls with scales set to zero."""
    seen = observe_default(attempt, with_mixer(case))
    with torch.no_grad():
        fresh = build_module(attempt, replace(with_mixer(case), weights=None))
        for name in ("layer_scale_1", "layer_scale_2"):
            seen[f"{name} at the start"] = getattr(fresh, name).clone()
        block = build_module(attempt, with_mixer(replace(case, mode="eval")))
        if case.init["drop_path"]:
            block.train()
            torch.manual_seed(1)  # here, so that what a constructor draws plays no part
            seen["output in training"] = block(case.args["x"])
            block.eval()
        block.layer_scale_2.zero_()
        seen["first branch alone"] = block(case.args["x"])
        block.layer_scale_1.zero_()
        seen["both branches scaled to zero"] = block(case.args["x"])
    return seen


def starts_small(case: Case, seen: Seen) -> bool:
    starts = (seen["layer_scale_1 at the start"], seen["layer_scale_2 at the start"])
    return all(
        torch.allclose(s.float(), torch.full_like(s, case.init["layer_scale"]).float()) for s in starts
    )


def silent_is_identity(case: Case, seen: Seen) -> bool:
    return torch.equal(seen["both branches scaled to zero"], case.args["x"])


def norm_over_the_image(case: Case, seen: Seen) -> bool:
    """No mixing, no MLP: (output - x) / scale is norm1(x), whose (value - bias) / weight has mean 0 over each image."""
    if case.init["token_mixer"] != "identity":
        return True
    w = {name: value[:, None, None] for name, value in case.weights.items() if value.ndim == 1}
    normed = (seen["first branch alone"] - case.args["x"]) / w["layer_scale_1"]
    normed = (normed - w["norm1.bias"]) / w["norm1.weight"]
    plain = torch.nn.functional.group_norm(case.args["x"], 1)
    return torch.allclose(normed, plain, atol=1e-2)


# PoolFormer --------------------------------------------------------------------------------------------------------


def poolformer_cases(draw: Draw) -> list[Case]:
    small = {
        "depths": (1, 1),
        "dims": (4, 6),
        "mlp_ratio": 2.0,
        "num_classes": 3,
        "in_channels": 2,
        "stem": (3, 2, 1),
    }

    def case(name: str, shape: tuple[int, ...], mode="eval", dtype=torch.float32, **changes: Any) -> Case:
        init = {"pool_size": 3, **small, **changes}
        return Case(name, init=init, args={"images": draw.normal(*shape, dtype=dtype)}, mode=mode)

    return [
        case("two stages, a wide image", (2, 2, 8, 12)),
        case("odd sides", (2, 2, 11, 9)),
        case("the stem of the paper", (2, 2, 16, 20), stem=(7, 4, 2)),
        case(
            "three stages, a larger neighbourhood",
            (1, 2, 14, 12),
            depths=(1, 1, 1),
            dims=(3, 4, 5),
            pool_size=5,
        ),
        case("training, one stage", (2, 3, 6, 8), mode="train", depths=(2,), dims=(5,), in_channels=3),
        case("float64, without a head", (1, 2, 10, 6), dtype=torch.float64, num_classes=0),
    ]


def poolformer_weights(name: str, value: Tensor, draw: Draw) -> Tensor:
    """Layer scales of both signs and of a size that lets every branch be heard; the rest as for every exercise."""
    if value.ndim <= 1:
        around = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        return draw.normal(*value.shape, scale=0.7 if "layer_scale" in name else 0.3, shift=around)
    return draw.normal(*value.shape, scale=max(value[0].numel(), 1) ** -0.5)


def observe_poolformer(attempt: Any, case: Case) -> Seen:
    """Adds the map of `features`, the output for the first image alone, and the drawn rates of stochastic depth."""
    seen = observe_default(attempt, case)
    with torch.no_grad():
        model = build_module(attempt, case)
        seen["features"] = model.features(case.args["images"])
        seen["output for the first image alone"] = model(case.args["images"][:1])
        deep = build_module(attempt, replace(case, init={**case.init, "drop_path": 0.3}))
        seen["stochastic depth, block by block"] = torch.tensor(
            [block.drop_path.rate for stage in deep.stages for block in stage]
        )
    return seen


def maps_halve(case: Case, seen: Seen) -> bool:
    """Each embedding shrinks the map; kernel, stride and padding as in the docstring."""
    sides = list(case.args["images"].shape[-2:])
    for stage in range(len(case.init["depths"])):
        kernel, stride, padding = (3, 2, 1) if stage else case.init["stem"]
        sides = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
    return list(seen["features"].shape[-2:]) == sides


def depth_grows(case: Case, seen: Seen) -> bool:
    rates = seen["stochastic depth, block by block"]
    return torch.allclose(rates, torch.linspace(0, 0.3, len(rates)))
