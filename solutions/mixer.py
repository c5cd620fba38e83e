"""MLP-Mixer: tokens are mixed by a matrix that is learned and then stays the same for every image.

A block has two MLPs. One works along the tokens and is shared by all channels, one works along the channels and is
shared by all tokens. Nothing else: no attention, no convolution behind the patch embedding, no positions (the
token MLP has weights of its own for every position, so it knows them anyway).

Parameters are named and laid out as in `timm`, so its released weights load as they are.

1. Ilya Tolstikhin, Neil Houlsby, Alexander Kolesnikov, Lucas Beyer, et al. "MLP-Mixer: An all-MLP Architecture for
   Vision". NeurIPS 2021. https://arxiv.org/abs/2105.01601 (section 2, table 1)
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn


class MixerBlock(nn.Module):
    """Pre-norm block of an MLP along the tokens and an MLP along the channels (Tolstikhin et
    al. 2021).

    Both are a linear layer, exact GELU and a linear layer, called `fc1`, `act` and `fc2`:

    * `mlp_tokens`: N -> `token_hidden` -> N,
    * `mlp_channels`: D -> `channel_hidden` -> D.

    Args:
        num_tokens: number of tokens N.
        dim: width D of a token.
        token_hidden: hidden width of the token MLP (the paper's D_S).
        channel_hidden: hidden width of the channel MLP (the paper's D_C).
    """

    def __init__(
        self, num_tokens: int, dim: int, token_hidden: int, channel_hidden: int
    ) -> None:
        super().__init__()
        self.num_tokens, self.dim = num_tokens, dim

        def mlp(width: int, hidden: int) -> nn.Sequential:
            layers = {
                "fc1": nn.Linear(width, hidden),
                "act": nn.GELU(),
                "fc2": nn.Linear(hidden, width),
            }
            return nn.Sequential(OrderedDict(layers))

        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        ### BEGIN SOLUTION
        self.mlp_tokens = mlp(num_tokens, token_hidden)
        self.mlp_channels = mlp(dim, channel_hidden)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x + token MLP of norm1(x), then + channel MLP of norm2 of that.

        Args:
            x: (B, N, D)

        Returns:
            (B, N, D)

        Raises:
            ValueError: if x does not have N tokens of width D.
        """
        if x.shape[1:] != (self.num_tokens, self.dim):
            raise ValueError(
                f"this block mixes {self.num_tokens} tokens of width {self.dim}, "
                f"got {' x '.join(map(str, x.shape[1:]))}: the token MLP has "
                "weights of its own for each position"
            )
        ### BEGIN SOLUTION
        columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens
        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)
        return x + self.mlp_channels(self.norm2(x))
        ### END SOLUTION


class MLPMixer(nn.Module):
    """MLP-Mixer for classification (Tolstikhin et al. 2021).

    What it is made of, by name:

    * `stem`: the patch embedding, given; `self.embed(images)` makes (B, N, D) of its map;
    * `blocks`: `depth` Mixer blocks;
    * `norm`: layer norm of each token, eps 1e-6;
    * `head`: linear, D -> `num_classes`, on the mean token.

    Args:
        image_size: side in pixels, or (height, width); divisible by `patch_size`.
        patch_size: side of a square patch, in pixels.
        dim: width D of a token.
        depth: number of blocks.
        token_hidden: hidden width of the token MLPs.
        channel_hidden: hidden width of the channel MLPs.
        num_classes: number of classes; 0 leaves the head out, and `forward` returns the mean
            token.
        in_channels: channels of the image.

    Raises:
        ValueError: if the patches do not tile the image.
    """

    #: name -> D, depth, hidden width of the token MLPs, of the channel MLPs (table 1 of the
    #: paper), for 224 pixels
    SIZES = {
        "s": (512, 8, 256, 2048),
        "b": (768, 12, 384, 3072),
        "l": (1024, 24, 512, 4096),
    }

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        dim: int,
        depth: int,
        token_hidden: int,
        channel_hidden: int,
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        if height % patch_size or width % patch_size:
            raise ValueError(
                f"patches of {patch_size} x {patch_size} do not tile an image of "
                f"{height} x {width} pixels"
            )
        self.image_size, self.in_channels, self.patch_size = (
            (height, width),
            in_channels,
            patch_size,
        )
        self.grid = (height // patch_size, width // patch_size)  # patches down, patches across
        embedding = nn.Conv2d(
            in_channels, dim, patch_size, stride=patch_size
        )  # a linear layer on each patch
        self.stem = nn.Sequential(OrderedDict(proj=embedding))
        ### BEGIN SOLUTION
        num_tokens = self.grid[0] * self.grid[1]
        self.blocks = nn.Sequential(
            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        ### END SOLUTION
        self.reset_parameters()

    @classmethod
    def from_config(cls, name: str, **changes: Any) -> nn.Module:
        """A published size by its name: "mixer_" + "s", "b" or "l" + "_16" or "_32", at 224 x
        224 pixels, 1000 classes.

        Args:
            name: for example "mixer_s_16"; "mixer_cifar" is the course's small model for 32 x
                32 pixels (2.3M parameters).
            changes: any argument of the constructor, for example `num_classes=10`.

        Raises:
            ValueError: for an unknown name; it lists the known ones.
        """
        arguments = ("dim", "depth", "token_hidden", "channel_hidden")
        known = {
            f"mixer_{size}_{patch}": {
                "image_size": 224,
                "patch_size": patch,
                **dict(zip(arguments, values, strict=True)),
            }
            for size, values in cls.SIZES.items()
            for patch in (16, 32)
        }
        known["mixer_cifar"] = {
            "image_size": 32,
            "patch_size": 4,
            "dim": 256,
            "depth": 8,
            "token_hidden": 128,
            "channel_hidden": 512,
            "num_classes": 10,
        }
        if name not in known:
            raise ValueError(f"no Mixer is called {name!r}; there are {', '.join(known)}")
        return cls(**(known[name] | changes))

    def reset_parameters(self) -> None:
        """Xavier-uniform linear layers with zero biases; the head starts at zero, as in the
        authors' code."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        if isinstance(getattr(self, "head", None), nn.Linear):
            nn.init.zeros_(self.head.weight)

    def check_images(self, images: Tensor) -> None:
        """Raises one clear sentence (TypeError or ValueError) for images that this model cannot
        read."""
        if not torch.is_floating_point(images):
            raise TypeError(
                f"MLPMixer reads normalised floating-point images, got {images.dtype}: "
                "divide by 255 first"
            )
        expected = (self.in_channels, *self.image_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected or images.shape[0] == 0:
            raise ValueError(
                "this Mixer reads images of shape (B, C, H, W) = (B, "
                f"{', '.join(map(str, expected))}) "
                f"with B > 0, got {tuple(images.shape)}"
            )

    def embed(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D): one token per patch, in reading order."""
        patch_map = self.stem(images)  # (B, D, H / p, W / p)
        return patch_map.flatten(2).transpose(1, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes): embed, blocks, norm, mean over the tokens, head."""
        self.check_images(images)
        ### BEGIN SOLUTION
        tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)
        return self.head(tokens.mean(dim=1))
        ### END SOLUTION
