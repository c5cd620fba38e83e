"""One MetaFormer, six token mixers: the models of notebook 08's experiment.

Everything but the mixer is the same: patch embeddings, norms, channel MLPs, layer scales, head, and (from the same seed) the start
values of all of these. Mixers that the network trains:

* "attention": self-attention over the whole map, with a relative position bias (Swin's, with the map as its only window);
* "window attention": the same in windows, shifted by half a window in every second block;
* "token MLP": Mixer's MLP along the positions.

Mixers without parameters:

* "pooling": PoolFormer's;
* "random": a fixed matrix, drawn once, with positive entries and rows that sum to 1: attention that never looked;
* "identity": no mixing at all.

References:
    1. Yu et al. (2022). MetaFormer Is Actually What You Need for Vision. CVPR. https://arxiv.org/abs/2111.11418
    2. Yu et al. (2024). MetaFormer Baselines for Vision. IEEE TPAMI 46(2). https://arxiv.org/abs/2210.13452
       (IdentityFormer, RandFormer)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from solutions.metaformer import PoolFormer
from solutions.pooling import Pooling
from solutions.shifted_windows import cyclic_shift, shifted_window_mask
from solutions.window_attention import WindowAttention
from solutions.windows import window_partition, window_reverse

#: the names that `mixer_metaformer` knows, from the most to the least that a mixer may learn
TOKEN_MIXERS = ("attention", "window attention", "token MLP", "pooling", "random", "identity")


class MapAttention(nn.Module):
    """Self-attention inside windows of a map; with a window as large as the map it is global.

    Args:
        dim: channels C.
        side: height and width of the map.
        window_size: side M of a window; divides `side`.
        head_dim: width of a head.
        shift_size: s; 0 for windows that start in the corner.
    """

    def __init__(
        self, dim: int, side: int, window_size: int, head_dim: int = 32, shift_size: int = 0
    ) -> None:
        super().__init__()
        if side % window_size:
            raise ValueError(
                f"windows of {window_size} x {window_size} do not tile a {side} x {side} map"
            )
        self.window_size, self.shift_size = window_size, shift_size
        self.attn = WindowAttention(dim, window_size, max(1, dim // head_dim))
        mask = shifted_window_mask(side, side, window_size, shift_size) if shift_size else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        height, width = x.shape[-2:]
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        if self.shift_size:
            x = cyclic_shift(x, self.shift_size)
        windows = window_partition(x, self.window_size).flatten(1, 2)  # (B nW, M M, C)
        windows = self.attn(windows, self.mask).unflatten(
            1, (self.window_size, self.window_size)
        )
        x = window_reverse(windows, self.window_size, height, width)
        if self.shift_size:
            x = cyclic_shift(x, -self.shift_size)
        return x.permute(0, 3, 1, 2)


class TokenMLP(nn.Module):
    """Mixer's MLP along the positions, shared by all channels.

    Args:
        num_tokens: positions N of the map.
        hidden: hidden width.
    """

    def __init__(self, num_tokens: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(num_tokens, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, num_tokens)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W) with H W = N."""
        rows = x.flatten(2)  # (B, C, N)
        return self.fc2(self.act(self.fc1(rows))).view(x.shape)


class RandomMixing(nn.Module):
    """Every position becomes a fixed weighted mean of all positions; the weights are drawn once
    and never trained.

    Args:
        num_tokens: positions N of the map.
    """

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        # (N, N): row = where to, column = where from; a softmax of uniform numbers, as in
        # reference 2
        self.register_buffer("matrix", torch.rand(num_tokens, num_tokens).softmax(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W) with H W = N."""
        rows = x.flatten(2)  # (B, C, N)
        return (rows @ self.matrix.T).view(x.shape)


def make_mixer(
    name: str, dim: int, side: int, block: int, *, window_size: int = 4
) -> nn.Module:
    """One token mixer for a map of `dim` channels and `side` x `side` positions.

    Args:
        name: one of `TOKEN_MIXERS`.
        dim: channels.
        side: height and width of the map.
        block: number of the block in its stage; windows are shifted in odd ones.
        window_size: side of a window of "window attention"; a smaller map is one window.

    Raises:
        ValueError: for an unknown name; it lists the known ones.
    """
    if name == "attention":
        return MapAttention(dim, side, window_size=side)
    if name == "window attention":
        window = min(window_size, side)
        shifted = block % 2 == 1 and window < side  # a single window has nowhere to go
        return MapAttention(dim, side, window, shift_size=window // 2 if shifted else 0)
    if name == "token MLP":
        return TokenMLP(side * side, side * side)
    if name == "pooling":
        return Pooling(pool_size=3)
    if name == "random":
        return RandomMixing(side * side)
    if name == "identity":
        return nn.Identity()
    raise ValueError(f"no token mixer is called {name!r}; there are {', '.join(TOKEN_MIXERS)}")


def mixer_metaformer(
    mixer: str,
    image_size: int = 32,
    num_classes: int = 10,
    *,
    depths: tuple[int, ...] = (2, 2, 2),
    dims: tuple[int, ...] = (64, 128, 256),
    mlp_ratio: float = 4.0,
    in_channels: int = 3,
    window_size: int = 4,
    layer_scale: float = 0.1,
    drop_path: float = 0.0,
) -> PoolFormer:
    """The small PoolFormer for small images, with another token mixer in every block.

    The first patch embedding halves the image, each further one halves the map: 32 pixels ->
    maps of 16, 8 and 4. Call `torch.manual_seed` before it: what all six models share then
    starts from the same values.

    Args:
        mixer: one of `TOKEN_MIXERS`.
        image_size: side in pixels; divisible by 2 ** (number of stages).
        num_classes: number of classes.
        depths, dims: blocks and channels per stage.
        mlp_ratio: hidden width of the channel MLPs over the channels.
        in_channels: channels of the image.
        window_size: side of a window of "window attention".
        layer_scale: start value of the layer scales.
        drop_path: stochastic depth of the last block.

    Returns:
        a model (B, in_channels, image_size, image_size) -> (B, num_classes).

    Raises:
        ValueError: for an unknown mixer, or an image that cannot be halved as often as there
            are stages.
    """
    if image_size % 2 ** len(depths):
        raise ValueError(
            f"an image of {image_size} pixels cannot be halved {len(depths)} times"
        )
    model = PoolFormer(
        depths,
        dims,
        mlp_ratio=mlp_ratio,
        num_classes=num_classes,
        in_channels=in_channels,
        stem=(3, 2, 1),
        layer_scale=layer_scale,
        drop_path=drop_path,
    )
    for stage, (blocks, dim) in enumerate(zip(model.stages, dims, strict=True)):
        side = image_size // 2 ** (stage + 1)
        for number, block in enumerate(blocks):
            block.token_mixer = make_mixer(mixer, dim, side, number, window_size=window_size)
            for module in block.token_mixer.modules():
                if isinstance(module, nn.Linear):  # as every other linear layer of the network
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)
    return model
