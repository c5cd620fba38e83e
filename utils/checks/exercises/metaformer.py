"""Checks: the MetaFormer block and PoolFormer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.building import build_module
from utils.checks.exercises.mixer import ALONE
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen

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
        case("scales that start at zero", "depthwise convolution", (2, 3, 4, 6), ratio=3.0, scale=0.0),
        case("a mixer along the rows, training", "wide convolution", (3, 2, 3, 5), mode="train"),
        case("no mixing, one image", "identity", (1, 6, 2, 3), ratio=0.5),
        case("stochastic depth is switched off in evaluation", "average", (3, 2, 3, 2), drop_path=0.5),
        case("branches left out in training", "average", (5, 2, 3, 2), mode="train", drop_path=0.5),
        case("float64", "depthwise convolution", (2, 4, 3, 4), dtype=torch.float64),
    ]


def with_mixer(case: Case) -> Case:
    """The case with the named mixer as a module."""
    mixer = MIXERS[case.init["token_mixer"]](case.init["dim"])
    return replace(case, init={**case.init, "token_mixer": mixer})


def observe_block(attempt: Any, case: Case) -> Seen:
    """Adds the start values of the scales, and calls with scales set to zero."""
    seen = observe_default(attempt, with_mixer(case))
    with torch.no_grad():
        given = with_mixer(case)
        kept = build_module(attempt, given).token_mixer is given.init["token_mixer"]
        seen["the given token mixer"] = torch.tensor(kept)
        fresh = build_module(attempt, replace(with_mixer(case), weights=None))
        for name in ("layer_scale_1", "layer_scale_2"):
            seen[f"{name} at the start"] = getattr(fresh, name).clone()
        block = build_module(attempt, with_mixer(replace(case, mode="eval")))
        block.layer_scale_2.zero_()
        seen["first branch alone"] = block(case.args["x"])
        block.layer_scale_1.zero_()
        seen["both branches scaled to zero"] = block(case.args["x"])
    seen["scales of zero can grow"] = torch.tensor(_learns(block, case.args["x"]))
    return seen


def _learns(block: nn.Module, x: Tensor) -> bool:
    """Whether both layer scales get a gradient."""
    output = block(x)
    if not output.requires_grad:
        return False
    scales = [block.layer_scale_1, block.layer_scale_2]
    if not all(scale.requires_grad for scale in scales):
        return False
    found = torch.autograd.grad(
        (output * torch.linspace(-1, 1, output.numel()).view_as(x)).sum(), scales, allow_unused=True
    )
    return all(grad is not None and bool(grad.any()) for grad in found)


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


META_FORMER_BLOCK = Exercise(
    name="MetaFormerBlock",
    notebook="08_mixer_poolformer",
    kind="module",
    points=4,
    stars=3,
    minutes=20,
    reference="solutions.metaformer:MetaFormerBlock",
    stand_in="utils.stand_ins.metaformer:MetaFormerBlock",
    cases=block_cases,
    observe=observe_block,
    properties=(
        Property(
            "scales start as asked",
            "At the start all entries of layer_scale_1 and layer_scale_2 should have the value of the argument "
            "`layer_scale`.",
            starts_small,
        ),
        Property(
            "the mixer that was given",
            "Your `token_mixer` is not the module that was given. Keep it as it is: whoever made it may look at it, or train it.",
            lambda case, seen: seen["the given token mixer"],
        ),
        Property(
            "silent branches leave x alone",
            "With both layer scales at zero your block should return its input unchanged: the scales belong on the "
            "branches, and the sum is never scaled or normalised.",
            silent_is_identity,
        ),
        Property(
            "scales of zero can grow",
            "While a layer scale is zero it gets no gradient in your block, so it stays zero for ever. The branch has to be computed all the "
            "same.",
            lambda case, seen: seen["scales of zero can grow"],
        ),
        Property(
            "one group",
            "Your norm1 should normalise over all channels and positions of an image together: `nn.GroupNorm` with one "
            "group.",
            norm_over_the_image,
        ),
    ),
)


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
        case("odd sides", (2, 2, 11, 9), drop_path=0.4, layer_scale=0.5),
        case("the stem of the paper", (2, 2, 16, 20), stem=(7, 4, 2)),
        case(
            "three stages, a larger neighbourhood",
            (1, 2, 14, 12),
            depths=(1, 1, 1),
            dims=(3, 4, 5),
            pool_size=5,
            num_classes=1,
        ),
        case("a map of more than seven rows", (1, 2, 19, 18), depths=(1,), dims=(3,)),
        case("training, one stage", (2, 3, 6, 8), mode="train", depths=(2,), dims=(5,), in_channels=3),
        case("float64, without a head", (1, 2, 10, 6), dtype=torch.float64, num_classes=0),
        case(
            "stochastic depth in training",
            (6, 2, 6, 8),
            mode="train",
            depths=(2,),
            dims=(3,),
            drop_path=0.5,
            layer_scale=0.1,
        ),
    ]


def poolformer_refuses(draw: Draw) -> list[Case]:
    init = {"depths": (1,), "dims": (4,), "num_classes": 3, "in_channels": 2, "stem": (3, 2, 1)}
    return [
        Case(
            "another number of widths than of depths",
            init={**init, "dims": (draw.integer(2, 60), draw.integer(2, 60))},
        ),
        Case("images of other channels", init=init, args={"images": draw.normal(1, 3, 6, 6)}),
        Case("whole numbers", init=init, args={"images": draw.integers(0, 256, 1, 2, 6, 6)}),
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
    if case.mode == "train" and case.init.get("drop_path"):  # each further call draws anew what it skips
        return seen
    with torch.no_grad():
        model = build_module(attempt, case)
        seen["features"] = model.features(case.args["images"])
        sequences = [isinstance(stage, nn.Sequential) for stage in model.stages]
        seen["stages are sequences"] = torch.tensor(all(sequences))
        seen["output for the first image alone"] = model(case.args["images"][:1])
        deep = build_module(attempt, replace(case, init={**case.init, "drop_path": 0.3}))
        seen["stochastic depth, block by block"] = torch.tensor(
            [block.drop_path.rate for stage in deep.stages for block in stage]
        )
        fresh = build_module(attempt, replace(case, weights=None, init={**case.init, "layer_scale": 0.25}))
        scales = [s for n, s in fresh.named_parameters() if "layer_scale" in n]
        seen["layer scales at the start"] = torch.cat(scales).float()
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


POOL_FORMER = Exercise(
    name="PoolFormer",
    notebook="08_mixer_poolformer",
    kind="module",
    points=5,
    stars=3,
    minutes=25,
    reference="solutions.metaformer:PoolFormer",
    stand_in="utils.stand_ins.metaformer:PoolFormer",
    uses=("Pooling", "MetaFormerBlock"),
    cases=poolformer_cases,
    refuses=poolformer_refuses,
    observe=observe_poolformer,
    weights=poolformer_weights,
    properties=(
        Property(
            "stages are sequences",
            "Each entry of your `stages` should be an `nn.Sequential` of blocks, so that a stage can be called as a whole; an `nn.ModuleList` "
            "cannot.",
            lambda case, seen: seen["stages are sequences"],
        ),
        Property(
            "layer scales start where they are told to",
            "The scales of your blocks do not start at `layer_scale`: hand the argument on to every block.",
            lambda case, seen: (seen["layer scales at the start"] == 0.25).all(),
        ),
        Property(
            "sizes of the maps",
            "Your last map has the wrong size: there is one patch embedding before each stage, the first with the "
            "stem's kernel, stride and padding, the others with (3, 2, 1).",
            maps_halve,
        ),
        ALONE,
        Property(
            "stochastic depth grows",
            "The rates of stochastic depth should grow from 0 at the first block of the network to `drop_path` at its "
            "last one: take `next(rates)` once per block.",
            depth_grows,
        ),
    ),
)
