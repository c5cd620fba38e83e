"""A trained ViT: other image sizes, and published weights.

1. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929 (section 3.2: fine-tuning
   at a higher resolution, with interpolated position embeddings)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils.data.pretrained import Checkpoint


def interpolate_positions(
    positions: Tensor, old_grid: tuple[int, int], new_grid: tuple[int, int]
) -> Tensor:
    """Position embeddings of one patch grid, resized to another: 14 x 14 (224 pixels) -> 24 x
    24 (384 pixels).

    The grid of vectors is resized like an image with D channels: bicubic,
    `align_corners=False`, no antialiasing. That is the definition of Hugging Face transformers;
    timm's adds antialiasing, whose cubic differs a little (a = -0.5, PyTorch's is -0.75) even
    where nothing is made smaller.

    Args:
        positions: (1, h * w + 1, D) with CLS first, or (1, h * w, D) for a model without CLS.
        old_grid: (h, w), patches down and across.
        new_grid: (h', w').

    Returns:
        (1, h' * w' + 1, D) with the CLS position unchanged; (1, h' * w', D) without CLS.

    Raises:
        ValueError: if the number of positions is neither h * w nor h * w + 1.
    """
    extra = positions.shape[1] - old_grid[0] * old_grid[1]
    if extra not in (0, 1):
        raise ValueError(
            f"{positions.shape[1]} positions fit no grid of {old_grid[0]} x "
            f"{old_grid[1]}, with a CLS token or without"
        )
    ### BEGIN SOLUTION
    cls, grid = positions[:, :extra], positions[:, extra:]
    grid = rearrange(grid, "1 (h w) d -> 1 d h w", h=old_grid[0])
    grid = F.interpolate(grid, size=new_grid, mode="bicubic", align_corners=False)
    return torch.cat([cls, rearrange(grid, "1 d h w -> 1 (h w) d")], dim=1)
    ### END SOLUTION


def load_pretrained(model: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Copies published weights into a ViT, strictly: every weight of the file finds its place,
    every place is filled.

    `checkpoint` shows them under the names of the file `google/vit-base-patch16-224` on the
    Hugging Face Hub, such as `checkpoint["vit.layernorm.weight"]`, whether they come from
    there, from transformers' memory or from timm.

    Args:
        model: a `ViT` with a CLS token and a classification head, of the file's size.
        state: state dict of transformers' `ViTForImageClassification` or of timm's
            `VisionTransformer`.

    Returns:
        the same model, filled.

    Raises:
        ValueError: one sentence that names the first weight that does not fit. The model is
            then left as it was.
    """
    checkpoint = Checkpoint(state)
    own = (
        checkpoint.converted()
    )  # an empty dictionary: the weights under the model's names go here
    ### BEGIN SOLUTION
    own["cls_token"] = checkpoint["vit.embeddings.cls_token"]
    own["positions"] = checkpoint["vit.embeddings.position_embeddings"]
    kernels = checkpoint["vit.embeddings.patch_embeddings.projection.weight"]  # (D, C, p, p): a convolution's
    own["patch_embedding.projection.weight"] = kernels.flatten(1)  # (D, C p p)
    own["patch_embedding.projection.bias"] = checkpoint["vit.embeddings.patch_embeddings.projection.bias"]
    names = {
        "norm1": "layernorm_before",
        "self_attn.out_proj": "attention.output.dense",
        "norm2": "layernorm_after",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
    }
    for kind in ("weight", "bias"):
        for i in range(len(model.blocks)):
            theirs, ours = f"vit.encoder.layer.{i}", f"blocks.{i}"
            parts = [
                checkpoint[f"{theirs}.attention.attention.{part}.{kind}"]
                for part in ("query", "key", "value")
            ]
            own[f"{ours}.self_attn.in_proj_{kind}"] = torch.cat(parts)  # 3 x (D, D) -> (3 D, D)
            for name, their_name in names.items():
                own[f"{ours}.{name}.{kind}"] = checkpoint[f"{theirs}.{their_name}.{kind}"]
        own[f"norm.{kind}"] = checkpoint[f"vit.layernorm.{kind}"]
        own[f"head.{kind}"] = checkpoint[f"classifier.{kind}"]
    ### END SOLUTION
    checkpoint.copy_into(model, own)
    return model
