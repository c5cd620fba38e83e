"""Checks: MLP-Mixer and its block."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from utils.checks.building import build_module
from utils.checks.observe import observe_default
from utils.checks.spec import Case, Draw, Exercise, Property, Seen


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
        case("as many tokens as channels", 2, 4, 4, 6, 6),
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
        with_norm = block(x)
        if not with_norm.any():  # nothing is left of x, so there is nothing to say about the token MLP
            return seen | {"again:replaced": torch.tensor(True)}
        block.norm1.weight.zero_()
        if not torch.equal(
            block(x), with_norm
        ):  # else norm1 is not used, and the rest would blame the wrong part
            block.norm1.weight[0] = 1.0  # of the token MLP's input only channel 0 tells tokens apart
            seen["token MLP alone"] = block(x)
            seen["token MLP alone, token 1 changed"] = block(other)
    return seen


SILENT = 1e-5  # differences up to here are rounding


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


MIXER_BLOCK = Exercise(
    name="MixerBlock",
    notebook="08_mixer_poolformer",
    kind="module",
    points=4,
    stars=2,
    minutes=20,
    reference="solutions.mixer:MixerBlock",
    stand_in="utils.stand_ins.mixer:MixerBlock",
    cases=mixer_cases,
    refuses=lambda draw: [
        Case(
            "another number of tokens",
            init={"num_tokens": 4, "dim": 3, "token_hidden": 5, "channel_hidden": 2},
            args={"x": draw.normal(2, 5, 3)},
        )
    ],
    observe=observe_mixer,
    properties=(
        Property(
            "channel MLP is added",
            "With your channel MLP's last layer at zero the block returns zeros: your channel MLP replaces x. Add its result to x.",
            lambda case, seen: "again:replaced" not in seen,
        ),
        Property(
            "channel mixing stays within a token",
            "With the token MLP switched off, changing one token changes the output at another one: your channel MLP "
            "moves information between tokens.",
            channel_mixing_stays,
        ),
        Property(
            "token mixing reaches the other tokens",
            "With the channel MLP switched off, changing one token leaves all others as they were: your token MLP does "
            "not move information between tokens. Along which axis does it work?",
            token_mixing_reaches,
        ),
        Property(
            "token mixing stays within a channel",
            "Your token MLP moves information between channels. It should see one channel at a time, as a row of N "
            "numbers, one from each token.",
            token_mixing_stays,
        ),
    ),
)


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
        case("a single logit, float64", 1, 2, (6, 4), 2, 1, num_classes=1, dtype=torch.float64),
    ]


def mlp_mixer_refuses(draw: Draw) -> list[Case]:
    init = {"image_size": (4, 8), "patch_size": 4, "dim": 6, "depth": 1, "token_hidden": 5}
    init |= {"channel_hidden": 8, "num_classes": 3, "in_channels": 2}
    return [
        Case("patches that do not tile the image", init={**init, "image_size": (8, draw.indivisible(4))}),
        Case("images of another size", init=init, args={"images": draw.normal(1, 2, 8, 4)}),
        Case("whole numbers", init=init, args={"images": draw.integers(0, 256, 1, 2, 4, 8)}),
    ]


def observe_mlp_mixer(attempt: Any, case: Case) -> Seen:
    """Adds the output for the first image alone, and with silent blocks for the image and for its patches in reverse order."""
    seen = observe_default(attempt, case)
    new = attempt(**case.init)
    head = getattr(new, "head", None)
    silent = not isinstance(head, nn.Linear) or not head.weight.any()
    seen["starts as promised"] = torch.tensor(silent and biases_are_zero(new))
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


def biases_are_zero(model: nn.Module) -> bool:
    """Whether all linear layers have a bias of zero, or none."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return not any(layer.bias.any() for layer in layers if layer.bias is not None)


def mean_over_tokens(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["silent blocks"], seen["silent blocks, patches reversed"], atol=1e-4)


def alone_or_in_company(case: Case, seen: Seen) -> bool:
    return torch.allclose(seen["output"][:1], seen["output for the first image alone"], atol=1e-4)


ALONE = Property(
    "an image alone or in company",
    "Your output for an image depends on the other images of the batch. Nothing in this network may mix images: look at the "
    "axes that you normalise and average over.",
    alone_or_in_company,
)

MLP_MIXER = Exercise(
    name="MLPMixer",
    notebook="08_mixer_poolformer",
    kind="module",
    points=4,
    stars=2,
    minutes=15,
    reference="solutions.mixer:MLPMixer",
    stand_in="utils.stand_ins.mixer:MLPMixer",
    uses=("MixerBlock",),
    cases=mlp_mixer_cases,
    refuses=mlp_mixer_refuses,
    observe=observe_mlp_mixer,
    properties=(
        ALONE,
        Property(
            "the head reads the mean token",
            "With blocks that do nothing, your output depends on the order of the patches. The head should read the mean "
            "over all tokens.",
            mean_over_tokens,
        ),
    ),
)
