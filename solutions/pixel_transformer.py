"""A Transformer whose tokens are single pixels.

References:
1. Chen, Radford, Child, Wu, Jun, Luan, Sutskever (2020). Generative Pretraining from Pixels. ICML.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from solutions.transformer import EncoderLayer


def pixel_tokens(images: Tensor) -> Tensor:
    """Reads images pixel by pixel: every pixel is a token, its channels are the token's
    numbers.

    Args:
        images: (B, C, H, W).

    Returns:
        (B, N, C) with N = H * W, in reading order (left to right, then down).
    """
    ### BEGIN SOLUTION
    return rearrange(images, "b c h w -> b (h w) c")
    ### END SOLUTION


class PixelTransformer(nn.Module):
    """A Transformer encoder that classifies an image from its pixels, one token each.

    The input is that of iGPT (Chen et al. 2020), a row of pixels; the training is not: iGPT
    predicts the next pixel (or a hidden one) without labels, this model predicts the label.

    Args:
        image_size: (H, W) in pixels.
        in_channels: C of the images.
        dim: D, width of a token.
        depth: number of encoder layers (pre-norm, GELU, hidden width 4 D).
        num_heads: heads per layer.
        num_classes: width of the output.
        use_positions: False leaves the learned positions out, and with them all knowledge of
            where a pixel was.
    """

    def __init__(
        self,
        image_size: tuple[int, int],
        in_channels: int,
        dim: int,
        depth: int,
        num_heads: int,
        num_classes: int,
        use_positions: bool = True,
    ) -> None:
        super().__init__()
        self.expected = (in_channels, *image_size)
        num_tokens = image_size[0] * image_size[1]
        self.embedding = nn.Linear(in_channels, dim)
        # of the size of an embedded pixel: positions that start much smaller take many epochs
        # to be noticed
        self.positions = (
            nn.Parameter(torch.randn(1, num_tokens, dim) * 0.5) if use_positions else None
        )
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, 4 * dim, norm_first=True, activation="gelu")
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D): tokens after the embedding, the positions (if any), all
        layers and the final norm.

        Raises:
            ValueError: for images of another size, or another number of channels.
        """
        if tuple(images.shape[1:]) != self.expected:
            raise ValueError(
                f"this model reads images of (C, H, W) = {self.expected}, got "
                f"{tuple(images.shape[1:])}"
            )
        ### BEGIN SOLUTION
        tokens = self.embedding(pixel_tokens(images))  # (B, C, H, W) -> (B, N, C) -> (B, N, D)
        if self.positions is not None:
            tokens = tokens + self.positions
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens)
        ### END SOLUTION

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes) logits, from the mean of all tokens."""
        ### BEGIN SOLUTION
        return self.head(self.encode(images).mean(dim=1))
        ### END SOLUTION
