"""What attention costs: memory for its weights, and multiply-adds, over all pixels and inside windows.

References:
    1. Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo (2021). Swin Transformer: Hierarchical Vision Transformer using
       Shifted Windows. ICCV. https://arxiv.org/abs/2103.14030 (equations 1 and 2).
"""

from __future__ import annotations


def attention_memory_bytes(
    num_tokens: int, num_layers: int, num_heads: int, bytes_per_element: int = 4
) -> int:
    """Memory that the attention weights of one image take, all heads of all layers together, if
    every matrix is kept.

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


def msa_flops(h: int, w: int, channels: int) -> int:
    """Multiply-adds of global multi-head self-attention on an h x w map (reference 1, equation
    1).

    Counts the projections to q, k, v and of the output, the scores and the weighted sum.
    Softmax, scaling and biases are left out, as in the paper, which calls multiply-adds
    "FLOPs".

    Args:
        h, w: size of the map in tokens.
        channels: C.

    Returns:
        4 h w C^2 plus a part quadratic in h w.
    """
    ### BEGIN SOLUTION
    tokens = h * w
    projections = 4 * tokens * channels**2
    scores_and_sum = 2 * tokens**2 * channels
    return projections + scores_and_sum
    ### END SOLUTION


def window_msa_flops(h: int, w: int, channels: int, window_size: int) -> int:
    """Multiply-adds of the same attention inside M x M windows (reference 1, equation 2; as it
    stands, also where M does not divide h or w).

    Args:
        h, w: size of the map in tokens.
        channels: C.
        window_size: side M of a window.

    Returns:
        4 h w C^2 plus a part linear in h w.
    """
    ### BEGIN SOLUTION
    tokens = h * w
    projections = 4 * tokens * channels**2
    scores_and_sum = 2 * window_size**2 * tokens * channels  # each token meets the M^2 tokens of its window
    return projections + scores_and_sum
    ### END SOLUTION
