"""Perceiver IO: a small array of latents reads an input of any length, and is asked any number of questions.

Self-attention over N inputs costs N^2. Here L learned latents look at the inputs (L * N), think among themselves (L^2 per
layer, whatever N is), and are then looked at by O queries (O * L), one for each output that is wanted. So cost is linear in
what comes in and in what goes out, depth costs nothing extra for long inputs, and the same network gives a label, a
picture or a sentence, depending on what is asked.

The layout is that of `transformers` (`tests/test_parity_perceiver.py` loads its weights): norms in front, softmax(q k^T / sqrt(d)),
GELU. Positions are not part of the model: whoever calls it puts them into the inputs and the queries.

References:
    1. Jaegle, Gimeno, Brock, Zisserman, Vinyals, Carreira (2021). Perceiver: General Perception with Iterative
       Attention. ICML. https://arxiv.org/abs/2103.03206
    2. Jaegle, Borgeaud, Alayrac, Doersch, Ionescu, Ding, Koppula, Zoran, Brock, Shelhamer, Henaff, Botvinick, Zisserman,
       Vinyals, Carreira (2022). Perceiver IO: A General Architecture for Structured Inputs & Outputs. ICLR.
       https://arxiv.org/abs/2107.14795
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from solutions.transformer import EncoderLayer


class CrossAttention(nn.Module):
    """Multi-head attention from one array to another, which may differ in length and in width.

    Parameters: `norm_query` and `norm_input`, layer norms; `query`, `key`, `value`, linear
    layers to width Q (from Q, D, D); `output`, a linear layer Q -> Q. Heads are contiguous
    slices of the Q numbers.

    Args:
        query_dim: Q, width of those who look.
        input_dim: D, width of what they look at.
        num_heads: H; Q is a multiple of it.

    Raises:
        ValueError: if Q is not a multiple of H.
    """

    def __init__(self, query_dim: int, input_dim: int, num_heads: int = 1) -> None:
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {query_dim}")
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries: Tensor, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the queries find in the inputs. Both are normalised first; no residual
        connection.

        Args:
            queries: (B, M, Q).
            inputs: (B, N, D).
            mask: (B, N) bool, True = this input is real and may be looked at; at least one per
                row. None: all are.

        Returns:
            (B, M, Q)
        """
        ### BEGIN SOLUTION
        inputs = self.norm_input(inputs)
        parts = (self.query(self.norm_query(queries)), self.key(inputs), self.value(inputs))
        q, k, v = (rearrange(part, "b n (h d) -> b h n d", h=self.num_heads) for part in parts)
        if mask is not None:
            mask = mask[:, None, None, :]  # (B, N) -> (B, 1, 1, N): the same for all heads and queries
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, M, d)
        return self.output(rearrange(found, "b h m d -> b m (h d)"))
        ### END SOLUTION


class PerceiverIO(nn.Module):
    """Reads an array into L latents, processes these, and answers queries from them.

    Args:
        input_dim: D, width of an input.
        num_latents: L.
        latent_dim: width of a latent.
        depth: number of encoder layers (pre-norm, GELU) over the latents.
        query_dim: Q, width of a query, and of an answer.
        num_heads: heads of every attention.
        widening: hidden width of each MLP, in multiples of its input's width.

    Raises:
        ValueError: if `latent_dim` or `query_dim` is not a multiple of `num_heads`.
    """

    def __init__(
        self,
        input_dim: int,
        num_latents: int,
        latent_dim: int,
        depth: int,
        query_dim: int,
        num_heads: int = 4,
        widening: int = 2,
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(num_latents, latent_dim))
        self.read = CrossAttention(latent_dim, input_dim, num_heads)
        self.read_mlp = self.mlp(latent_dim, widening)
        self.layers = nn.ModuleList(
            EncoderLayer(
                latent_dim, num_heads, widening * latent_dim, norm_first=True, activation="gelu"
            )
            for _ in range(depth)
        )
        self.write = CrossAttention(query_dim, latent_dim, num_heads)
        self.write_mlp = self.mlp(query_dim, widening)

    @staticmethod
    def mlp(dim: int, widening: int) -> nn.Sequential:
        """Norm, linear, GELU, linear."""
        return nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, widening * dim),
            nn.GELU(),
            nn.Linear(widening * dim, dim),
        )

    def encode(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reads the inputs once, then lets the latents talk.

        Every image of the batch starts from the same learned latents. They look at the inputs
        (`read`), and what they find is *added* to them; `read_mlp` of that is added, too; then
        come the layers.

        Args:
            inputs: (B, N, D), N of any size.
            mask: (B, N) bool, True = real. None: all are.

        Returns:
            (B, L, latent_dim)
        """
        ### BEGIN SOLUTION
        latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)
        latents = latents + self.read(latents, inputs, mask)
        latents = latents + self.read_mlp(latents)
        for layer in self.layers:
            latents = layer(latents)
        return latents
        ### END SOLUTION

    def decode(self, latents: Tensor, queries: Tensor) -> Tensor:
        """Answers each query from the latents. Queries don't see each other, so it makes no
        difference what else is asked.

        An answer is what the query finds (`write`), without the query itself: a question is not
        part of its answer. `write_mlp` of it is added.

        Args:
            latents: (B, L, latent_dim), from `encode`.
            queries: (B, O, Q), or (O, Q): the same for every image of the batch.

        Returns:
            (B, O, Q)
        """
        if queries.dim() == 2:
            queries = queries.expand(len(latents), -1, -1)  # (O, Q) -> (B, O, Q)
        ### BEGIN SOLUTION
        answers = self.write(queries, latents)
        return answers + self.write_mlp(answers)
        ### END SOLUTION

    def forward(self, inputs: Tensor, queries: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, D) and (B, O, Q) or (O, Q) -> (B, O, Q)."""
        return self.decode(self.encode(inputs, mask), queries)
