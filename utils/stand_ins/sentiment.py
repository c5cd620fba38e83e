"""Stand-ins for notebook 03: the padding mask and the encoder, a stack of notebook 01's library-built layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from utils.stand_ins.transformer import EncoderLayer


def padding_mask(lengths: Tensor, max_length: int | None = None) -> Tensor:
    """(B, N) bool, True = a real token."""
    rows = [torch.ones(length, dtype=torch.bool, device=lengths.device) for length in lengths.tolist()]
    mask = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    if max_length is None:
        return mask
    return nn.functional.pad(mask, (0, max_length - mask.shape[1]))


class TransformerEncoder(nn.Module):
    """A stack of library-built encoder layers, with a last norm for pre-LN."""

    def __init__(
        self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation="relu"
    ) -> None:
        super().__init__()
        layers = [
            EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)
            for _ in range(num_layers)
        ]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)
