"""A layer of experts: many feed-forward networks, of which each token uses only k.

The answers of the k experts that `solutions/routing.py` chooses are averaged with the router's weights. The parameters grow with
the number of experts E, the work per token with k.

References:
    1. Shazeer, Mirhoseini, Maziarz, Davis, Le, Hinton, Dean (2017). Outrageously Large Neural Networks: The
       Sparsely-Gated Mixture-of-Experts Layer. ICLR. https://arxiv.org/abs/1701.06538
    2. Riquelme, Puigcerver, Mustafa, Neumann, Jenatton, Susano Pinto, Keysers, Houlsby (2021). Scaling Vision with Sparse
       Mixture of Experts. NeurIPS. https://arxiv.org/abs/2106.05974
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from solutions.routing import keep_within_capacity, load_balancing_loss, top_k_router


class MoELayer(nn.Module):
    """A layer of experts in place of a Transformer's feed-forward layer.

    Parameters: `router`, a linear layer D -> E without bias; `experts`, a list of E networks
    `Linear(D, hidden)`, GELU, `Linear(hidden, D)`.

    Args:
        dim: D, width of a token.
        hidden_dim: width inside each expert.
        num_experts: E.
        k: experts per token.
        capacity_factor: places of an expert, in multiples of its fair share k * T / E; None =
            no limit.
        renormalize: see `top_k_router`.

    Raises:
        ValueError: if k is not in 1 .. E.
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int,
        num_experts: int,
        k: int = 1,
        capacity_factor: float | None = 1.25,
        renormalize: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= k <= num_experts:
            raise ValueError(
                f"each token is to be sent to k = {k} experts, and there are {num_experts}"
            )
        self.num_experts, self.k = num_experts, k
        self.capacity_factor, self.renormalize = capacity_factor, renormalize
        self.router = nn.Linear(dim, num_experts, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, dim))
            for _ in range(num_experts)
        )

    def capacity(self, num_tokens: int) -> int:
        """Places per expert for T tokens: the fair share k * T / E times the capacity factor,
        rounded up."""
        if self.capacity_factor is None:
            return num_tokens  # a token never chooses the same expert twice
        share = self.capacity_factor * self.k * num_tokens / self.num_experts
        return math.ceil(round(share, 6))  # 1.1 * 30 / 3 is 11.000000000000002 to a computer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sends each token to its experts.

        All B * N tokens compete for the same places. A choice that found no place adds nothing,
        so a token with none gets
        zeros: around this layer a Transformer has a residual connection, which carries it past.

        Args:
            x: (B, N, D).

        Returns:
            output: (B, N, D), for each token the sum over its kept choices of weight *
                expert(token).
            loss: scalar, the load-balancing loss of this batch.
        """
        tokens = x.flatten(0, 1)  # (B, N, D) -> (T, D)
        ### BEGIN SOLUTION
        logits = self.router(tokens)  # (T, E)
        weights, chosen = top_k_router(logits, self.k, self.renormalize)
        kept = keep_within_capacity(chosen, self.num_experts, self.capacity(len(tokens)))
        output = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, choice = torch.where((chosen == number) & kept)  # who comes, and with which of its choices
            answer = weights[token, choice, None] * expert(tokens[token])
            output = output.index_add(0, token, answer.to(output.dtype))
        return output.view_as(x), load_balancing_loss(logits, chosen)
        ### END SOLUTION
