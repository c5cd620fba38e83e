"""MetaFormer: the Transformer block with the token mixer left open, and PoolFormer, which mixes by average pooling.

Maps are (B, C, H, W) here: a token is a position of the map. `from_timm` and `from_transformers` rename released weights.

The two libraries agree up to the last map and differ after it: the authors and `transformers` normalise the map and then average
it, `timm` averages and then normalises. This file follows the authors (`tests/test_parity_poolformer.py` holds both).

1. Weihao Yu, Mi Luo, Pan Zhou, Chenyang Si, Yichen Zhou, Xinchao Wang, Jiashi Feng, Shuicheng Yan. "MetaFormer Is Actually
   What You Need for Vision". CVPR 2022. https://arxiv.org/abs/2111.11418 (section 3, table 1)
2. Hugo Touvron, Matthieu Cord, Alexandre Sablayrolles, Gabriel Synnaeve, Hervé Jégou. "Going deeper with Image
   Transformers". ICCV 2021. https://arxiv.org/abs/2103.17239 (layer scale)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from solutions.pooling import Pooling
from utils.layers.channel_mlp import ChannelMLP
from utils.layers.stochastic_depth import StochasticDepth, depth_rates


class MetaFormerBlock(nn.Module):
    """x + s1 * mixer(norm1(x)), then + s2 * MLP(norm2(x)): a pre-norm Transformer block for any
    token mixer.

    What it is made of, by name:

    * `norm1`, `norm2`: `nn.GroupNorm` with one group, so mean and variance are over channels
      and positions of an image;
    * `token_mixer`: as given;
    * `mlp`: given; `fc1` (C -> mlp_ratio * C), exact GELU, `fc2` (back to C), two 1 x 1
      convolutions;
    * `layer_scale_1`, `layer_scale_2`: (C,) parameters, s1 and s2, one factor per channel,
      `layer_scale` at the start.

    Args:
        dim: channels C.
        token_mixer: module (B, C, H, W) -> (B, C, H, W).
        mlp_ratio: hidden width of the MLP over C.
        layer_scale: start value of both scales; small, so that a deep network begins as nearly
            the identity.
        drop_path: probability of leaving a whole residual branch out for an image (stochastic
            depth).
    """

    def __init__(
        self,
        dim: int,
        token_mixer: nn.Module,
        mlp_ratio: float = 4.0,
        layer_scale: float = 1e-5,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.mlp = ChannelMLP(dim, int(mlp_ratio * dim))
        self.drop_path = StochasticDepth(drop_path)
        ### BEGIN SOLUTION
        self.norm1 = nn.GroupNorm(1, dim)
        self.token_mixer = token_mixer
        self.norm2 = nn.GroupNorm(1, dim)
        self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale))
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W). `self.drop_path` goes around each branch, before it is
        added."""
        ### BEGIN SOLUTION
        mixed = self.token_mixer(self.norm1(x))
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * mixed)
        hidden = self.mlp(self.norm2(x))
        return x + self.drop_path(self.layer_scale_2[:, None, None] * hidden)
        ### END SOLUTION


class PoolFormer(nn.Module):
    """A pyramid of MetaFormer blocks that mix by pooling (Yu et al. 2022).

    What it is made of, by name:

    * `patch_embeddings`: a convolution before each stage;
    * `stages`: an `nn.Sequential` of blocks for each stage;
    * `norm` and `head`: given.

    Args:
        depths: blocks per stage.
        dims: channels per stage.
        pool_size: side K of the pooling neighbourhood.
        mlp_ratio: hidden width of the MLPs over the stage's channels.
        num_classes: number of classes; 0 leaves the head out, and `forward` returns the mean of
            the last map.
        in_channels: channels of the image.
        stem: kernel, stride and padding of the first patch embedding; the further ones have (3,
            2, 1).
        layer_scale: start value of the layer scales.
        drop_path: stochastic depth of the last block; it grows linearly from 0 at the first.

    Raises:
        ValueError: depths and dims are not equally many.
    """

    #: name -> blocks per stage, channels per stage, start value of the layer scales (table 1 of
    #: the paper; authors' code)
    CONFIGS = {
        "poolformer_s12": ((2, 2, 6, 2), (64, 128, 320, 512), 1e-5),
        "poolformer_s24": ((4, 4, 12, 4), (64, 128, 320, 512), 1e-5),
        "poolformer_s36": ((6, 6, 18, 6), (64, 128, 320, 512), 1e-6),
        "poolformer_m36": ((6, 6, 18, 6), (96, 192, 384, 768), 1e-6),
        "poolformer_m48": ((8, 8, 24, 8), (96, 192, 384, 768), 1e-6),
    }

    def __init__(
        self,
        depths: tuple[int, ...],
        dims: tuple[int, ...],
        pool_size: int = 3,
        mlp_ratio: float = 4.0,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        stem: tuple[int, int, int] = (7, 4, 2),
        layer_scale: float = 1e-5,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if len(depths) != len(dims):
            raise ValueError(f"depths names {len(depths)} stages and dims {len(dims)}")
        self.in_channels = in_channels
        rates = iter(
            depth_rates(drop_path, sum(depths))
        )  # next(rates) is the rate of the next block
        self.patch_embeddings = nn.ModuleList()  # one before each stage
        self.stages = nn.ModuleList()  # each an nn.Sequential of blocks
        ### BEGIN SOLUTION
        channels = in_channels
        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
            kernel, stride, padding = (3, 2, 1) if stage else stem
            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))
            blocks = [
                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))
                for _ in range(depth)
            ]
            self.stages.append(nn.Sequential(*blocks))
            channels = dim
        ### END SOLUTION
        self.norm = nn.GroupNorm(1, dims[-1])
        self.head = nn.Linear(dims[-1], num_classes) if num_classes else nn.Identity()
        self.apply(self._initialise)

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> nn.Module:
        """A published size by its name, for example "poolformer_s12" (11.92M parameters).

        Args:
            name: a key of `CONFIGS`; "poolformer_cifar" is the course's small model for 32 x 32
                pixels.
            changes: any argument of the constructor, for example `num_classes=10`.

        Raises:
            ValueError: for an unknown name; it lists the known ones.
        """
        known = {
            key: {"depths": depths, "dims": dims, "layer_scale": scale}
            for key, (depths, dims, scale) in cls.CONFIGS.items()
        }
        known["poolformer_cifar"] = {
            "depths": (2, 2, 2),
            "dims": (64, 128, 256),
            "num_classes": 10,
            "stem": (3, 2, 1),
            # few blocks and short training: 1e-5 would keep them silent for too long
            "layer_scale": 0.1,
        }
        if name not in known:
            raise ValueError(f"no PoolFormer is called {name!r}; there are {', '.join(known)}")
        return cls(**(known[name] | changes))

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        """The authors': weights of linear layers and convolutions from N(0, 0.02^2), cut off,
        biases 0."""
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)

    def check_images(self, images: Tensor) -> None:
        """Raises one clear sentence (TypeError or ValueError) for images that this model cannot
        read."""
        if not images.is_floating_point():
            raise TypeError(
                f"PoolFormer reads normalised floating-point images, got "
                f"{images.dtype}: divide by 255 first"
            )
        if images.ndim != 4 or images.shape[1] != self.in_channels or images.shape[0] == 0:
            raise ValueError(
                "this PoolFormer reads images of shape (B, C, H, W) = (B, "
                f"{self.in_channels}, H, W) "
                f"with B > 0, got {tuple(images.shape)}"
            )

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> the last stage's map, (B, dims[-1], h, w), before the final norm."""
        ### BEGIN SOLUTION
        x = images
        for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):
            x = blocks(embed(x))
        return x
        ### END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes): features, norm, mean over the map, head."""
        self.check_images(images)
        images = images.contiguous(
            memory_format=torch.channels_last
        )  # the fast layout; same values
        ### BEGIN SOLUTION
        x = self.norm(self.features(images))  # (B, D, h, w)
        return self.head(x.mean(dim=(2, 3)))
        ### END SOLUTION


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's names to ours.

    Args:
        state: `state_dict()` of timm's PoolFormer.

    Returns:
        A state dict for `PoolFormer.load_state_dict`, strict. (timm averages before the final
        norm, we after it.)
    """
    renamed = {}
    for key, value in state.items():
        key = key.replace("stem.conv.", "patch_embeddings.0.").replace("head.norm.", "norm.")
        key = re.sub(r"^stages\.(\d+)\.downsample\.conv\.", r"patch_embeddings.\1.", key)
        key = re.sub(r"^stages\.(\d+)\.blocks\.", r"stages.\1.", key)
        key = re.sub(r"layer_scale(\d)\.scale$", r"layer_scale_\1", key)
        renamed[key.replace("head.fc.", "head.")] = value
    return renamed


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """transformers' names to ours.

    Args:
        state: `state_dict()` of `PoolFormerForImageClassification`.

    Returns:
        A state dict for `PoolFormer.load_state_dict`, strict.
    """
    renamed = {}
    for key, value in state.items():
        key = (
            key.removeprefix("poolformer.encoder.")
            .replace(".projection.", ".")
            .replace("classifier.", "head.")
        )
        key = (
            re.sub(r"^block\.", "stages.", key)
            .replace("before_norm.", "norm1.")
            .replace("after_norm.", "norm2.")
        )
        renamed[
            key.replace("output.conv1.", "mlp.fc1.").replace("output.conv2.", "mlp.fc2.")
        ] = value
    return renamed
