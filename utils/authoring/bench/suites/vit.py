"""The ViT of notebook 05 against transformers (SDPA), timm and vit-pytorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from utils.authoring.bench.models import answer
from utils.authoring.bench.peers import import_timm, import_transformers
from utils.authoring.bench.race import Absent, Contest
from utils.authoring.bench.vision import Logits, Side, rows, without_prefix

SIZES: dict[str, dict[str, Any]] = {
    "ViT-S/16": {
        "image_size": 224,
        "patch_size": 16,
        "dim": 384,
        "depth": 12,
        "num_heads": 6,
        "mlp_ratio": 4.0,
        "num_classes": 1000,
    },
    "CIFAR ViT": {
        "image_size": 32,
        "patch_size": 4,
        "dim": 192,
        "depth": 9,
        "num_heads": 6,
        "mlp_ratio": 2.0,
        "num_classes": 10,
    },
    "tiny ViT": {
        "image_size": 24,
        "patch_size": 8,
        "dim": 32,
        "depth": 2,
        "num_heads": 4,
        "mlp_ratio": 2.0,
        "num_classes": 7,
    },
}
BATCH = {"ViT-S/16": 8, "CIFAR ViT": 128, "tiny ViT": 3}
EPS = 1e-6
NOTE = (
    "all sides call the same matrix products and, vit-pytorch aside, the same fused attention; timm and transformers embed "
    "patches with a convolution, which is faster than cutting them out for a linear layer (0.4% of the whole)"
)


def transformers_vit(size: dict[str, Any], **changes: Any) -> nn.Module:
    """transformers' ViT of this size; `changes` go to its configuration."""
    transformers = import_transformers()
    config = transformers.ViTConfig(
        image_size=size["image_size"],
        patch_size=size["patch_size"],
        hidden_size=size["dim"],
        num_hidden_layers=size["depth"],
        num_attention_heads=size["num_heads"],
        intermediate_size=int(size["dim"] * size["mlp_ratio"]),
        num_labels=size["num_classes"],
        **changes,
    )
    return transformers.ViTForImageClassification(config)


def hugging_face(size: dict[str, Any]) -> nn.Module:
    """The same with fused attention and our eps, giving logits."""
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return Logits(transformers_vit(size, layer_norm_eps=EPS, attn_implementation="sdpa", **dropout))


def timm_vit(size: dict[str, Any], **changes: Any) -> nn.Module:
    """timm's ViT of this size; it uses fused attention by default."""
    import_timm()
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=size["image_size"],
        patch_size=size["patch_size"],
        embed_dim=size["dim"],
        depth=size["depth"],
        num_heads=size["num_heads"],
        mlp_ratio=size["mlp_ratio"],
        num_classes=size["num_classes"],
        **changes,
    )


def vit_pytorch(size: dict[str, Any]) -> nn.Module:
    """vit-pytorch's ViT of this size: softmax written out, queries, keys and values without a bias."""
    from vit_pytorch import ViT

    return ViT(
        image_size=size["image_size"],
        patch_size=size["patch_size"],
        num_classes=size["num_classes"],
        dim=size["dim"],
        depth=size["depth"],
        heads=size["num_heads"],
        mlp_dim=int(size["dim"] * size["mlp_ratio"]),
        dim_head=size["dim"] // size["num_heads"],
    )


def sides(name: str = "tiny ViT") -> list[Side]:
    """The reference, then its peers, in one size."""
    size = SIZES[name]
    vit, load = answer("solutions.vit:ViT"), answer("solutions.vit_pretrained:load_pretrained")

    def rename(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        dtype = next(iter(state.values())).dtype
        return load(vit(**size).to(dtype), state).state_dict()

    dim, pixels = size["dim"], 3 * size["patch_size"] ** 2
    # vit-pytorch normalises patches before and after the embedding, and has no bias for queries, keys and values
    extra = 2 * pixels + 2 * dim - 3 * dim * size["depth"]
    return [
        Side("ours", vit(**size, norm_eps=EPS)),
        Side("transformers", hugging_face(size), without_prefix(rename)),
        Side("timm", timm_vit(size), rename),
        Side("vit-pytorch", vit_pytorch(size), extra=extra),
    ]


def contests(tiny: bool = False) -> list[Contest | Absent]:
    """Two sizes in three formats, the small one compiled as well, both passes; then patchify against unfold."""
    torch.manual_seed(0)
    found: list[Contest | Absent] = []
    for name in ("tiny ViT",) if tiny else ("ViT-S/16", "CIFAR ViT"):
        size, batch = SIZES[name], BATCH[name]
        images = torch.randn(batch, 3, size["image_size"], size["image_size"])
        setting = (
            f"B={batch}, {size['image_size']} x {size['image_size']} pixels, patches of {size['patch_size']}"
        )
        formats: tuple[str, ...] = ("float32", "channels_last", "bfloat16")
        if name != "ViT-S/16":  # compiling takes long for every side and pass: the small model has these rows
            formats += ("compile",)
        found += rows(name, setting, sides(name), images, formats, note=NOTE)
    return found + patches(tiny)


def patches(tiny: bool = False) -> list[Contest]:
    """Cutting images into patches: one rearrange against `F.unfold`."""
    patchify = answer("solutions.patches:patchify")
    found = []
    for batch, side, patch in ((2, 8, 4),) if tiny else ((8, 224, 16), (128, 32, 4)):
        images = torch.randn(batch, 3, side, side)

        def ours(images: Tensor = images, patch: int = patch) -> Tensor:
            return patchify(images, patch)

        def unfold(images: Tensor = images, patch: int = patch) -> Tensor:
            return F.unfold(images, patch, stride=patch).transpose(1, 2).contiguous()

        if not torch.equal(ours(), unfold()):
            raise ValueError("patchify and unfold differ")
        setting = f"B={batch}, {side} x {side} pixels, patches of {patch}, float32"
        found.append(Contest("patchify", setting, ours, {"F.unfold": unfold}))
    return found
