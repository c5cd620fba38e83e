"""The whole Swin Transformer, its named configurations, and loading of released weights.

Patch embedding, then four stages of blocks with `PatchMerging` between them: a pyramid of maps at 1/4, 1/8, 1/16 and
1/32 of the image, like a CNN's. Parameters are named as in the authors' release.

References:
    1. Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo (2021). Swin Transformer: Hierarchical Vision Transformer using
       Shifted Windows. ICCV. https://arxiv.org/abs/2103.14030 (section 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from solutions.swin import PatchMerging, SwinBlock


class SwinTransformer(nn.Module):
    """Swin for classification.

    Args:
        image_size: side, or (height, width), in pixels. Other sizes may be given later, as long
            as every stage's map is at least as large as its window.
        patch_size: side of a patch in pixels.
        in_channels: channels of the image.
        embed_dim: channels C of the first stage; every stage after it has twice as many.
        depths: blocks per stage.
        num_heads: heads per stage.
        window_size: side M of a window. A stage whose map is smaller than that uses the map's
            shorter side.
        mlp_ratio: hidden width of the MLPs, in multiples of the stage's channels.
        num_classes: number of logits.

    No dropout and no stochastic depth: the course's runs are short, and the released rates are
    a matter of long ones.
    """

    def __init__(
        self,
        *,
        image_size: int | tuple[int, int] = 224,
        patch_size: int = 4,
        in_channels: int = 3,
        embed_dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        num_heads: tuple[int, ...] = (3, 6, 12, 24),
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        if len(depths) != len(num_heads):
            raise ValueError(
                f"depths names {len(depths)} stages and num_heads {len(num_heads)}"
            )
        image_height, image_width = (
            (image_size, image_size) if isinstance(image_size, int) else image_size
        )
        self.patch_size = patch_size
        self.patch_embed = nn.ModuleDict(
            {
                "proj": nn.Conv2d(in_channels, embed_dim, patch_size, stride=patch_size),
                "norm": nn.LayerNorm(embed_dim),
            }
        )
        height, width = (
            -(-image_height // patch_size),
            -(-image_width // patch_size),
        )  # rounded up
        dim = embed_dim
        self.layers = nn.ModuleList()
        ### BEGIN SOLUTION
        for stage, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            window = min(window_size, height, width)
            blocks = [
                SwinBlock(dim, heads, window, shift_size=window // 2 if i % 2 else 0, mlp_ratio=mlp_ratio)
                for i in range(depth)
            ]
            layer = nn.ModuleDict({"blocks": nn.Sequential(*blocks)})
            if stage < len(depths) - 1:
                layer["downsample"] = PatchMerging(dim)
                dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)
            self.layers.append(layer)
        ### END SOLUTION
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        """The paper's: linear weights from a truncated normal of deviation 0.02, biases 0."""
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """The last stage's map, after the final norm.

        An image whose sides are no multiples of the patch size is padded with zeros at the
        bottom and on the right, as `transformers` does (`timm` refuses it).

        Args:
            images: (B, in_channels, height, width)

        Returns:
            (B, h, w, D) with D = embed_dim * 2 ** (stages - 1)
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            images = F.pad(images, (0, -width % self.patch_size, 0, -height % self.patch_size))
        x = self.patch_embed["proj"](images).permute(0, 2, 3, 1)  # (B, H, W, C)
        ### BEGIN SOLUTION
        x = self.patch_embed["norm"](x)
        for layer in self.layers:
            x = layer["blocks"](x)
            if "downsample" in layer:
                x = layer["downsample"](x)
        return self.norm(x)
        ### END SOLUTION

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, num_classes): the head on the mean of the last map's tokens.

        Args:
            images: (B, in_channels, height, width)
        """
        ### BEGIN SOLUTION
        return self.head(self.features(images).mean(dim=(1, 2)))
        ### END SOLUTION


_SIZES = {
    "tiny": {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)},
    "small": {"embed_dim": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)},
    "base": {"embed_dim": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)},
}

_WINDOWS = {224: 7, 384: 12}

#: "swin_tiny_224" ... "swin_base_384" -> constructor arguments. The paper reports T and S at
#: 224 and B at both sizes;
#: T and S at 384 take B's window there.
SWIN_CONFIGS = {
    f"swin_{size}_{side}": {**arguments, "image_size": side, "window_size": window}
    for size, arguments in _SIZES.items()
    for side, window in _WINDOWS.items()
}


def swin(name: str, **overrides: object) -> SwinTransformer:
    """A named configuration.

    Args:
        name: a key of `SWIN_CONFIGS`.
        overrides: further arguments of `SwinTransformer`, e.g. `num_classes=10`.

    Raises:
        ValueError: if no configuration has that name.
    """
    if name not in SWIN_CONFIGS:
        raise ValueError(
            f"no Swin configuration is called {name!r}; there are: {', '.join(SWIN_CONFIGS)}"
        )
    return SwinTransformer(**{**SWIN_CONFIGS[name], **overrides})


def from_timm(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """timm's names to ours. timm puts `downsample` at the beginning of a stage, we (as the
    authors) at the end.

    Args:
        state: `state_dict()` of timm's Swin.

    Returns:
        A state dict for `SwinTransformer.load_state_dict`, strict.
    """
    renamed = {}
    for key, value in state.items():
        key = re.sub(
            r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key
        )
        renamed[key.replace("head.fc.", "head.")] = value
    return renamed


#: transformers' names inside a block (version 5, and the older ones that published checkpoints
#: have) -> ours
_TRANSFORMERS_BLOCK = (
    ("layernorm_before.", "norm1."),
    ("layernorm_after.", "norm2."),
    (
        "attention.relative_position_bias.relative_position_bias_table",
        "attn.relative_position_bias_table",
    ),
    ("attention.self.relative_position_bias_table", "attn.relative_position_bias_table"),
    ("attention.o_proj.", "attn.proj."),
    ("attention.output.dense.", "attn.proj."),
    ("intermediate.dense.", "mlp.fc1."),
    ("output.dense.", "mlp.fc2."),
)


def from_transformers(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' names to ours; its separate query, key and value become one `qkv`.

    Args:
        state: `state_dict()` of `SwinForImageClassification`, or a published checkpoint of it.

    Returns:
        A state dict for `SwinTransformer.load_state_dict`, strict.
    """
    renamed: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in state.items():
        if key.endswith("relative_position_index"):  # a buffer that older versions stored
            continue
        key = key.removeprefix("swin.").removeprefix("encoder.")
        key = key.replace("embeddings.patch_embeddings.projection.", "patch_embed.proj.")
        key = key.replace("embeddings.norm.", "patch_embed.norm.").replace(
            "classifier.", "head."
        )
        key = re.sub(r"^layernorm\.", "norm.", key)
        for theirs, ours in _TRANSFORMERS_BLOCK:
            key = key.replace(theirs, ours)
        if found := re.search(
            r"attention\.(?:self\.)?(query|key|value|q_proj|k_proj|v_proj)\.", key
        ):
            target = f"{key[: found.start()]}attn.qkv.{key[found.end() :]}"
            parts.setdefault(target, {})[found[1][0]] = value  # "q", "k" or "v"
        else:
            renamed[key] = value
    for key, part in parts.items():
        renamed[key] = torch.cat([part["q"], part["k"], part["v"]])
    return renamed
