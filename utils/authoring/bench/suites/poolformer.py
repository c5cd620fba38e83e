"""The PoolFormer of notebook 08 against transformers and timm."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from utils.authoring.bench.models import answer
from utils.authoring.bench.peers import import_timm, import_transformers
from utils.authoring.bench.race import Absent, Contest
from utils.authoring.bench.vision import Logits, Side, rows, without_prefix

SIZES: dict[str, dict[str, Any]] = {
    "PoolFormer-S12": {"depths": (2, 2, 6, 2), "dims": (64, 128, 320, 512), "num_classes": 1000},
    "tiny PoolFormer": {"depths": (1, 2, 1, 1), "dims": (6, 8, 10, 12), "num_classes": 5},
}


def hugging_face(size: dict[str, Any]) -> nn.Module:
    """transformers' PoolFormer of this size."""
    transformers = import_transformers()
    config = transformers.PoolFormerConfig(
        depths=list(size["depths"]),
        hidden_sizes=list(size["dims"]),
        num_labels=size["num_classes"],
        drop_path_rate=0.0,
    )
    return Logits(transformers.PoolFormerForImageClassification(config))


def timm_poolformer(size: dict[str, Any]) -> nn.Module:
    """timm's PoolFormer of this size. It averages the last map and then normalises, so only the maps are the same."""
    import_timm()
    from timm.layers import GroupNorm1
    from timm.models.metaformer import MetaFormer

    return MetaFormer(
        **size,
        downsample_norm=None,
        mlp_act=nn.GELU,
        mlp_bias=True,
        norm_layers=GroupNorm1,
        output_norm=GroupNorm1,
        layer_scale_init_values=1e-5,
        res_scale_init_values=(None,) * len(size["depths"]),
        use_mlp_head=False,
    )


def sides(name: str = "tiny PoolFormer") -> list[Side]:
    """The reference, then its peers, in one size."""
    size = SIZES[name]
    return [
        Side("ours", answer("solutions.metaformer:PoolFormer")(**size)),
        Side(
            "transformers",
            hugging_face(size),
            without_prefix(answer("solutions.metaformer:from_transformers")),
        ),
        Side(
            "timm",
            timm_poolformer(size),
            answer("solutions.metaformer:from_timm"),
            part=(lambda model, x: model.features(x), lambda model, x: model.stages(model.stem(x))),
        ),
    ]


def contests(tiny: bool = False) -> list[Contest | Absent]:
    """PoolFormer-S12 at 224 pixels, NCHW and channels_last, both passes."""
    torch.manual_seed(0)
    name, batch, side = ("tiny PoolFormer", 2, 64) if tiny else ("PoolFormer-S12", 8, 224)
    images = torch.randn(batch, 3, side, side)
    return rows(name, f"B={batch}, {side} x {side} pixels", sides(name), images)
