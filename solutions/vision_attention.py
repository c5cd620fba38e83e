"""Attention on images before ViT: a layer inside a CNN, a layer in place of a convolution, a Transformer on pixels.

In all three a pixel is a token: an image of H x W pixels is a set of N = H * W vectors of C numbers. What differs is who may
look at whom (everybody, or a neighbourhood), and with it what the layer costs.

References:
1. Wang, Girshick, Gupta, He (2018). Non-local Neural Networks. CVPR.
2. Zhang, Goodfellow, Metaxas, Odena (2019). Self-Attention Generative Adversarial Networks. ICML.
3. Ramachandran, Parmar, Vaswani, Bello, Levskaya, Shlens (2019). Stand-Alone Self-Attention in Vision Models. NeurIPS.
4. Chen, Radford, Child, Wu, Jun, Luan, Sutskever (2020). Generative Pretraining from Pixels. ICML.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from solutions.transformer import EncoderLayer


class SelfAttention2d(nn.Module):
    """Self-attention over all pixels of a feature map, added to it through a gate: x + gamma * output(attention(x)).

    The layout (queries, keys, values and the output as 1x1 convolutions, a residual connection) is that of the
    non-local block (Wang et al. 2018); the gate gamma, one learned number that starts at zero, is SAGAN's (Zhang et al.
    2019). Scores are divided by sqrt(d) as in the Transformer; these two leave them as they are.

    The parameters are four 1x1 convolutions with bias, `query`, `key`, `value` (C -> d each) and `output` (d -> C), and
    `gamma` of shape (1,).

    Args:
        channels: C of the feature map.
        head_channels: width d of queries, keys and values; default C. SAGAN takes C / 8, to save work.
    """

    def __init__(self, channels: int, head_channels: int | None = None) -> None:
        super().__init__()
        head_channels = head_channels or channels
        ### BEGIN SOLUTION
        self.query = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.key = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.value = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.output = nn.Conv2d(head_channels, channels, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1))
        ### END SOLUTION

    def weights(self, x: Tensor) -> Tensor:
        """How much each pixel looks at each other one.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, N, N) with N = H * W pixels in reading order; row = query, column = key; each row sums to 1.
        """
        ### BEGIN SOLUTION
        query = self.query(x).flatten(2)  # (B, d, H, W) -> (B, d, N)
        key = self.key(x).flatten(2)
        scores = query.transpose(1, 2) @ key / math.sqrt(query.shape[1])  # (B, N, d) @ (B, d, N) -> (B, N, N)
        return scores.softmax(dim=-1)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        value = self.value(x).flatten(2)  # (B, d, N)
        attended = value @ self.weights(x).transpose(1, 2)  # (B, d, N): column n is what query n takes
        folded = attended.unflatten(2, x.shape[2:])  # (B, d, N) -> (B, d, H, W)
        return x + self.gamma * self.output(folded)
        ### END SOLUTION


def neighborhoods(x: Tensor, kernel_size: int) -> tuple[Tensor, Tensor]:
    """For every pixel the k x k window around it, as a convolution of stride 1 and padding k // 2 sees it.

    Args:
        x: (B, C, H, W).
        kernel_size: k, odd.

    Returns:
        windows: (B, C, K, N) with K = k * k places of a window and N = H * W pixels, both in reading order: `windows[b, :, i, n]` are the
            channels at place i of the window around pixel n. Zeros where a window hangs over the border.
        inside: (K, N) bool, True where the place is a pixel of the image, False where it is padding.

    Raises:
        ValueError: if k is even (a window without a middle).
    """
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    ### BEGIN SOLUTION
    columns = F.unfold(x, kernel_size, padding=kernel_size // 2)  # (B, C * K, N), channel slowest
    windows = columns.unflatten(1, (x.shape[1], -1))  # (B, C, K, N)
    ones = torch.ones_like(x[:1, :1])  # (1, 1, H, W): an image that is 1 wherever there is an image
    inside = F.unfold(ones, kernel_size, padding=kernel_size // 2)[0] > 0  # (1, K, N) -> (K, N)
    return windows, inside
    ### END SOLUTION


class LocalAttention2d(nn.Module):
    """Attention of every pixel to the k x k window around it, in place of a convolution (Ramachandran et al. 2019, equation 2).

    One head, scores divided by sqrt(C), and no term for the relative position (the paper's equation 3 adds one). A window that
    hangs over the border is smaller: places outside the image get weight zero, they are not attended to as zero vectors.

    Args:
        channels: C; `query`, `key` and `value` are 1x1 convolutions C -> C with bias.
        kernel_size: k, odd.
    """

    def __init__(self, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        ### BEGIN SOLUTION
        query = self.query(x).flatten(2).unsqueeze(2)  # (B, C, 1, N): one query per window
        keys, inside = neighborhoods(self.key(x), self.kernel_size)  # (B, C, K, N), (K, N)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        scores = (query * keys).sum(dim=1) / math.sqrt(x.shape[1])  # (B, K, N)
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        attended = (weights.unsqueeze(1) * values).sum(dim=2)  # (B, C, N)
        return attended.unflatten(2, x.shape[2:])  # (B, C, H, W)
        ### END SOLUTION


def pixel_tokens(images: Tensor) -> Tensor:
    """Reads images pixel by pixel: every pixel is a token, its channels are the token's numbers.

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

    The input is that of iGPT (Chen et al. 2020), a row of pixels; the training is not: iGPT predicts the next pixel (or a hidden one) without labels,
    this model predicts the label.

    Args:
        image_size: (H, W) in pixels.
        in_channels: C of the images.
        dim: D, width of a token.
        depth: number of encoder layers (pre-norm, GELU, hidden width 4 D).
        num_heads: heads per layer.
        num_classes: width of the output.
        use_positions: False leaves the learned positions out, and with them all knowledge of where a pixel was.
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
        # of the size of an embedded pixel: positions that start much smaller take many epochs to be noticed
        self.positions = nn.Parameter(torch.randn(1, num_tokens, dim) * 0.5) if use_positions else None
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, 4 * dim, norm_first=True, activation="gelu") for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def encode(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, D): tokens after the embedding, the positions (if any), all layers and the final norm.

        Raises:
            ValueError: for images of another size, or another number of channels.
        """
        if tuple(images.shape[1:]) != self.expected:
            raise ValueError(
                f"this model reads images of (C, H, W) = {self.expected}, got {tuple(images.shape[1:])}"
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


def attention_memory_bytes(
    num_tokens: int, num_layers: int, num_heads: int, bytes_per_element: int = 4
) -> int:
    """Memory that the attention weights of one image take, all heads of all layers together, if every matrix is kept.

    Training keeps them: the backward pass needs each one again.

    Args:
        num_tokens: N.
        num_layers: number of layers.
        num_heads: heads per layer.
        bytes_per_element: 4 for float32, 2 for bfloat16.

    Returns:
        bytes, an int.
    """
    ### BEGIN SOLUTION
    return num_tokens**2 * num_layers * num_heads * bytes_per_element
    ### END SOLUTION
