"""The Swin Transformer of notebook 07 against transformers and timm."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from utils.authoring.bench.models import answer
from utils.authoring.bench.peers import import_timm, import_transformers
from utils.authoring.bench.race import Absent, Contest
from utils.authoring.bench.vision import Logits, Side, rows, without_prefix

SIZES: dict[str, dict[str, Any]] = {
    "Swin-T": {
        "image_size": 224,
        "patch_size": 4,
        "embed_dim": 96,
        "depths": (2, 2, 6, 2),
        "num_heads": (3, 6, 12, 24),
        "window_size": 7,
        "num_classes": 1000,
    },
    "tiny Swin": {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 8,
        "depths": (2, 2),
        "num_heads": (2, 4),
        "window_size": 4,
        "num_classes": 5,
    },
}


def hugging_face(size: dict[str, Any]) -> nn.Module:
    """transformers' Swin of this size, with fused attention where it has it."""
    transformers = import_transformers()
    arguments = dict(size, depths=list(size["depths"]), num_heads=list(size["num_heads"]))
    config = transformers.SwinConfig(
        num_labels=arguments.pop("num_classes"),
        drop_path_rate=0.0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **arguments,
    )
    return Logits(transformers.SwinForImageClassification(config))


def timm_swin(size: dict[str, Any]) -> nn.Module:
    """timm's Swin of this size."""
    import_timm()
    from timm.models.swin_transformer import SwinTransformer

    arguments = dict(size)
    return SwinTransformer(img_size=arguments.pop("image_size"), drop_path_rate=0.0, **arguments)


def sides(name: str = "tiny Swin") -> list[Side]:
    """The reference, then its peers, in one size."""
    size = SIZES[name]
    return [
        Side("ours", answer("solutions.swin_model:SwinTransformer")(**size)),
        Side(
            "transformers",
            hugging_face(size),
            without_prefix(answer("solutions.swin_model:from_transformers")),
        ),
        Side("timm", timm_swin(size), answer("solutions.swin_model:from_timm")),
    ]


def contests(tiny: bool = False) -> list[Contest | Absent]:
    """Swin-T at 224 pixels, NCHW and channels_last, both passes."""
    torch.manual_seed(0)
    name, batch = ("tiny Swin", 2) if tiny else ("Swin-T", 8)
    side = SIZES[name]["image_size"]
    images = torch.randn(batch, 3, side, side)
    return rows(name, f"B={batch}, {side} x {side} pixels", sides(name), images)
