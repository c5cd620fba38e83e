"""The MLP-Mixer of notebook 08 against timm and mlp-mixer-pytorch (transformers has none)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from utils.authoring.bench.models import answer
from utils.authoring.bench.peers import import_timm
from utils.authoring.bench.race import Absent, Contest
from utils.authoring.bench.vision import Side, rows

SIZES: dict[str, dict[str, Any]] = {
    "Mixer-S/16": {
        "image_size": 224,
        "patch_size": 16,
        "dim": 512,
        "depth": 8,
        "token_hidden": 256,
        "channel_hidden": 2048,
        "num_classes": 1000,
    },
    "tiny Mixer": {
        "image_size": 24,
        "patch_size": 8,
        "dim": 16,
        "depth": 2,
        "token_hidden": 8,
        "channel_hidden": 64,
        "num_classes": 5,
    },
}
NOTE = (
    "mlp-mixer-pytorch mixes tokens by a convolution of width one with the tokens as channels: nothing is transposed; "
    "the answer and timm transpose, so that the token MLP is seen to be an MLP"
)


def timm_mixer(size: dict[str, Any]) -> nn.Module:
    """timm's Mixer of this size."""
    import_timm()
    from timm.models.mlp_mixer import MlpMixer

    return MlpMixer(
        img_size=size["image_size"],
        patch_size=size["patch_size"],
        embed_dim=size["dim"],
        num_blocks=size["depth"],
        mlp_ratio=(size["token_hidden"] / size["dim"], size["channel_hidden"] / size["dim"]),
        num_classes=size["num_classes"],
    )


def mlp_mixer_pytorch(size: dict[str, Any]) -> nn.Module:
    """mlp-mixer-pytorch's Mixer with the same hidden widths; its two factors have their names swapped."""
    from mlp_mixer_pytorch import MLPMixer

    return MLPMixer(
        image_size=size["image_size"],
        channels=3,
        patch_size=size["patch_size"],
        dim=size["dim"],
        depth=size["depth"],
        num_classes=size["num_classes"],
        expansion_factor=size["token_hidden"] / size["dim"],
        expansion_factor_token=size["channel_hidden"] / size["dim"],
    )


def sides(name: str = "tiny Mixer") -> list[Side]:
    """The reference, then its peers, in one size."""
    size = SIZES[name]
    return [
        Side("ours", answer("solutions.mixer:MLPMixer")(**size)),
        Side("timm", timm_mixer(size), dict),
        Side("mlp-mixer-pytorch", mlp_mixer_pytorch(size)),
    ]


def contests(tiny: bool = False) -> list[Contest | Absent]:
    """Mixer-S/16 at 224 pixels, NCHW and channels_last, both passes."""
    torch.manual_seed(0)
    name, batch = ("tiny Mixer", 2) if tiny else ("Mixer-S/16", 8)
    side = SIZES[name]["image_size"]
    images = torch.randn(batch, 3, side, side)
    return rows(name, f"B={batch}, {side} x {side} pixels", sides(name), images, note=NOTE)
