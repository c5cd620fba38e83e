"""Stand-ins: one weighted average over the keys, and the mask that hides the future."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """PyTorch's kernel; it gives no weights away, but asked to average the rows of an identity matrix it returns them."""
    if mask is not None:
        mask = mask.expand(*torch.broadcast_shapes(query.shape[:-2], mask.shape[:-2]), *mask.shape[-2:])
    one_hot = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device).expand(
        *key.shape[:-1], key.shape[-2]
    )
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return output, F.scaled_dot_product_attention(query, key, one_hot, attn_mask=mask)


def causal_mask(length: int) -> Tensor:
    """(N, N) bool, True = may attend."""
    return nn.Transformer.generate_square_subsequent_mask(length) == 0
