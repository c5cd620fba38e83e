"""Stand-ins: a Transformer that classifies sentences."""

from __future__ import annotations

from torch import Tensor, nn

from utils.stand_ins.transformer import EncoderLayer


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
