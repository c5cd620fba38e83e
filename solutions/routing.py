"""The router of a mixture of experts: which expert gets which token, how many places there are, and a loss for balance.

A router scores the experts for every token, and the k best are asked. Experts are only trained on what they are sent, so they
get a limited number of places (capacity), and a loss asks the router to use all of them.

Definitions differ between papers. Here (`tests/test_parity_moe.py` holds all of it):

* The softmax runs over **all** experts, before the k largest are taken. So the weights are probabilities, as in Switch [2].
  With `renormalize=True` they are divided by their sum: Mixtral's [4] weights, equal to a softmax over the k chosen scores [1].
* Places are given out over all tokens of the batch together, first choices before second ones, as in GShard [3].
* The load-balancing loss is the one of Switch [2], 1 if everything is shared equally, for every k.

References:
    1. Shazeer, Mirhoseini, Maziarz, Davis, Le, Hinton, Dean (2017). Outrageously Large Neural Networks: The
       Sparsely-Gated Mixture-of-Experts Layer. ICLR. https://arxiv.org/abs/1701.06538
    2. Fedus, Zoph, Shazeer (2022). Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient
       Sparsity. JMLR. https://arxiv.org/abs/2101.03961 (section 2)
    3. Lepikhin, Lee, Xu, Chen, Firat, Huang, Krikun, Shazeer, Chen (2021). GShard: Scaling Giant Models with
       Conditional Computation and Automatic Sharding. ICLR. https://arxiv.org/abs/2006.16668
    4. Jiang et al. (2024). Mixtral of Experts. https://arxiv.org/abs/2401.04088
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def top_k_router(logits: Tensor, k: int, renormalize: bool = False) -> tuple[Tensor, Tensor]:
    """Chooses k experts for each token, and says how much each of their answers counts.

    The weights are the router's probabilities, from a softmax over **all** experts, of the k
    experts that are most likely.

    Args:
        logits: (T, E), the router's scores of E experts for T tokens.
        k: number of experts per token.
        renormalize: False: the probabilities as they are (Switch); True: divided by their sum
            over the k chosen (Mixtral).

    Returns:
        weights: (T, k), the largest first.
        experts: (T, k) int64, whose weights they are, 0 .. E - 1.

    Raises:
        ValueError: if k is not in 1 .. E.
    """
    num_experts = logits.shape[-1]
    if not 1 <= k <= num_experts:
        raise ValueError(
            f"each token is to be sent to k = {k} experts, and there are {num_experts}"
        )
    ### BEGIN SOLUTION
    probabilities = logits.softmax(dim=-1)  # (T, E)
    weights, experts = probabilities.topk(k, dim=-1)  # (T, k) each
    if renormalize:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights, experts
    ### END SOLUTION


def keep_within_capacity(experts: Tensor, num_experts: int, capacity: int) -> Tensor:
    """Which choices find a place. Every expert has the same number of places, and gives them
    out first come, first served.

    The queue: the first choices of all tokens, in the tokens' order, then all second choices,
    and so on.

    Args:
        experts: (T, k) int64, the experts that each token chose, its first choice first.
        num_experts: E.
        capacity: places per expert, at least 0.

    Returns:
        (T, k) bool, True = this choice has a place; False = it is dropped.
    """
    ### BEGIN SOLUTION
    queue = experts.T.flatten()  # (T, k) -> (k, T) -> (k * T,): first choices first
    asked = F.one_hot(queue, num_experts)  # (k * T, E)
    before = asked.cumsum(dim=0) - asked  # how many of those ahead in the queue want the same expert
    place = (before * asked).sum(dim=-1)  # (k * T,)
    return (place < capacity).view(experts.T.shape).T  # (k, T) -> (T, k)
    ### END SOLUTION


def load_balancing_loss(logits: Tensor, experts: Tensor) -> Tensor:
    """Punishes a router that prefers some experts: E * sum_i f_i * P_i (Fedus et al. 2022,
    equations 4 to 6).

    f_i is the fraction of all T * k choices that went to expert i, whether they found a place
    or not. P_i is the mean over the tokens of expert i's probability (softmax over all
    experts). Only P_i has a gradient: counts are not differentiable.

    Args:
        logits: (T, E), the router's scores.
        experts: (T, k) int64, the experts that were chosen.

    Returns:
        scalar, 1 if f or P is uniform, up to E / k if the same k experts get everything.

    Raises:
        ValueError: if there are no tokens.
    """
    num_tokens, num_experts = logits.shape
    if num_tokens == 0:
        raise ValueError(
            "the balance of no tokens at all is not defined: logits have shape (0, E)"
        )
    ### BEGIN SOLUTION
    chosen = F.one_hot(experts, num_experts).to(logits.dtype)  # (T, k, E)
    fraction = chosen.mean(dim=(0, 1))  # f: (E,), sums to 1
    probability = logits.softmax(dim=-1).mean(dim=0)  # P: (E,), sums to 1
    return num_experts * (fraction * probability).sum()
    ### END SOLUTION
