"""What the attention weights of a trained model show: how far it looks, and which inputs reach the output.

1. Samira Abnar, Willem Zuidema. "Quantifying Attention Flow in Transformers". ACL 2020.
   https://arxiv.org/abs/2005.00928 (attention rollout)
2. Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. "An Image is Worth 16x16 Words: Transformers for Image
   Recognition at Scale". ICLR 2021. https://arxiv.org/abs/2010.11929 (attention distance: figure 7)
3. Maithra Raghu, Thomas Unterthiner, Simon Kornblith, Chiyuan Zhang, Alexey Dosovitskiy. "Do Vision Transformers See Like
   Convolutional Neural Networks?". NeurIPS 2021. https://arxiv.org/abs/2108.08810
"""

from __future__ import annotations

import torch
from torch import Tensor


def attention_rollout(attention: Tensor) -> Tensor:
    """How much of each input token reaches each output token, if attention and residual
    connections were all there is.

    Per layer: average over the heads, add the identity (the residual connection carries a token
    over unchanged), divide each row by its sum. Then multiply the layers' matrices, the first
    layer's on the right.

    Args:
        attention: (L, B, H, N, N) attention weights of L layers, first layer first; row =
            query, column = key.

    Returns:
        (B, N, N); row = token after the last layer, column = input token; rows sum to 1.
    """
    ### BEGIN SOLUTION
    identity = torch.eye(attention.shape[-1], dtype=attention.dtype, device=attention.device)
    rollout = identity
    for layer in attention.mean(dim=2):  # (B, N, N)
        mixing = layer + identity
        rollout = mixing / mixing.sum(dim=-1, keepdim=True) @ rollout
    return rollout
    ### END SOLUTION


def mean_attention_distance(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """How far attention looks: the distance between query and key, averaged with the attention
    weights.

    A patch token stands at the (row, column) of its patch; distances are Euclidean and counted
    in patches. A CLS token (N = rows * columns + 1, CLS first) stands nowhere: it is left out
    as query and as key, and what remains of every row is scaled to sum to 1 again.

    Args:
        weights: (..., N, N) attention weights, row = query, column = key, rows sum to 1;
            patches in reading order.
        grid: (rows, columns) of patches.

    Returns:
        (...): the mean over all queries, in patches. For (B, H, N, N): one number per image and
        head.

    Raises:
        ValueError: if N is neither rows * columns nor one more.
    """
    rows, columns = grid
    if (
        weights.shape[-1] - rows * columns not in (0, 1)
        or weights.shape[-2] != weights.shape[-1]
    ):
        raise ValueError(
            f"weights of shape {tuple(weights.shape)} do not fit a grid of {rows} x "
            f"{columns} patches, "
            f"which gives {rows * columns} tokens, or {rows * columns + 1} with CLS"
        )
    ### BEGIN SOLUTION
    if weights.shape[-1] == rows * columns + 1:
        weights = weights[..., 1:, 1:]
        weights = weights / weights.sum(-1, keepdim=True)
    n = torch.arange(rows * columns, device=weights.device)
    places = torch.stack([n // columns, n % columns], -1).to(weights.dtype)  # (N, 2)
    distance = (places[:, None] - places[None, :]).norm(dim=-1)  # (N, N)
    return (weights * distance).sum(-1).mean(-1)  # (..., N, N) -> (..., N) -> (...)
    ### END SOLUTION
