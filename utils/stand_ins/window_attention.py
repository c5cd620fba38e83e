"""Stand-ins: attention inside a window, with a bias per offset."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def relative_position_index(window_size: int) -> Tensor:
    """(M * M, M * M) int64."""
    axis = torch.arange(window_size)
    place = torch.cartesian_prod(axis, axis)  # (M*M, 2)
    apart = place[:, None] - place[None, :] + window_size - 1  # (M*M, M*M, 2)
    return torch.tensordot(apart, torch.tensor([2 * window_size - 1, 1]), 1)


class WindowAttention(nn.Module):
    """`F.multi_head_attention_forward`, PyTorch's own, with the bias (and -inf for hidden pairs) as its mask."""

    def __init__(self, dim: int, window_size: int, num_heads: int) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"{dim} channels cannot be shared equally by {num_heads} heads")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer(
            "relative_position_index", relative_position_index(window_size), persistent=False
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B * nW, N, C), mask (nW, N, N) bool or None -> (B * nW, N, C)."""
        bias = F.embedding(self.relative_position_index, self.relative_position_bias_table).movedim(-1, 0)
        bias = bias.repeat(len(x), 1, 1)  # (B*nW*heads, N, N)
        if mask is not None:
            seen = mask.repeat(len(x) // len(mask), 1, 1).repeat_interleave(self.num_heads, 0)
            bias = bias.where(seen, torch.full_like(bias, float("-inf")))
        tokens = x.transpose(0, 1)  # (N, B*nW, C)
        output, _ = F.multi_head_attention_forward(
            *(tokens, tokens, tokens),
            embed_dim_to_check=x.shape[-1],
            num_heads=self.num_heads,
            in_proj_weight=self.qkv.weight,
            in_proj_bias=self.qkv.bias,
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=self.proj.weight,
            out_proj_bias=self.proj.bias,
            need_weights=False,
            attn_mask=bias,
        )
        return output.transpose(0, 1)
