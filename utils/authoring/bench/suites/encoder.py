"""The Transformer encoder of notebooks 01 and 03 against `nn.TransformerEncoder` and a vit-pytorch-style block."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from utils.authoring.bench.models import answer, forward, training
from utils.authoring.bench.race import Contest

BATCH, TOKENS, DIM, HEADS, HIDDEN, LAYERS = 32, 64, 128, 4, 256, 2


class PlainBlock(nn.Module):
    """Pre-LN block in the style of vit-pytorch: einops, one qkv projection without bias, softmax written out."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        q, k, v = rearrange(
            self.qkv(self.norm1(x)), "b n (three h d) -> three b h n d", three=3, h=self.heads
        )
        weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        x = x + self.out(rearrange(weights @ v, "b h n d -> b n (h d)"))
        return x + self.mlp(self.norm2(x))


def contests() -> list[Contest]:
    """Forward, forward and backward, with and without padding."""
    torch.manual_seed(0)
    encoder_layer = answer("solutions.transformer:EncoderLayer")
    ours = nn.ModuleList(encoder_layer(DIM, HEADS, HIDDEN, norm_first=True) for _ in range(LAYERS))

    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = ours

        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            for layer in self.layers:
                x = layer(x, mask)
            return x

    theirs = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(DIM, HEADS, HIDDEN, dropout=0.0, batch_first=True, norm_first=True),
        LAYERS,
        enable_nested_tensor=False,
    )
    plain = nn.Sequential(*(PlainBlock(DIM, HEADS, HIDDEN) for _ in range(LAYERS)))
    x = torch.randn(BATCH, TOKENS, DIM)
    real = torch.arange(TOKENS) < torch.randint(TOKENS // 4, TOKENS + 1, (BATCH, 1))  # (B, N)
    setting = f"B={BATCH}, N={TOKENS}, D={DIM}, {HEADS} heads, {LAYERS} layers, pre-LN, float32"
    stack = Stack()
    return [
        Contest(
            "encoder, forward",
            setting,
            forward(stack, x),
            {"nn.TransformerEncoder": forward(theirs, x), "vit-pytorch style": forward(plain, x)},
        ),
        Contest(
            "encoder, forward and backward",
            setting,
            training(stack, x),
            {"nn.TransformerEncoder": training(theirs, x), "vit-pytorch style": training(plain, x)},
        ),
        Contest(
            "encoder with padding, forward and backward",
            setting,
            training(stack, x, real[:, None, :]),
            {"nn.TransformerEncoder": training(theirs, x, src_key_padding_mask=~real)},
        ),
    ]
