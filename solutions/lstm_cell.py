"""One step of a long short-term memory.

The state of a plain recurrent network passes through a matrix and a tanh at every step, and so does the gradient on
its way back: it shrinks (or grows) exponentially with the distance. The LSTM keeps a second state, the
cell, that is only scaled by a gate and added to; a gate near one lets the gradient through unchanged.

Parameters are named and laid out as in `torch.nn.LSTMCell`, so weights can be exchanged.

References:
    1. Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
    2. Gers, Schmidhuber and Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural Computation
       12(10), 2000: the forget gate.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class LSTMCell(nn.Module):
    """One step of an LSTM, the same function as `torch.nn.LSTMCell`.

    It is that of Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000).

    The four gates' rows lie under each other in PyTorch's order: input gate i, forget gate f,
    candidate g, output gate o.

    Args:
        input_size: I, width of the input x.
        hidden_size: H, width of the states h and c.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(
            torch.empty(4 * hidden_size, input_size)
        )  # rows: i, f, g, o
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(4 * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(4 * hidden_size))
        for parameter in self.parameters():  # PyTorch's start for recurrent layers
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(
        self, x: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step.

        Args:
            x: (B, I), this step's input.
            state: (h, c), each (B, H), from the step before; zeros where it is None.

        Returns:
            the new h and the new c, each (B, H).
        """
        if state is None:
            zeros = x.new_zeros(x.shape[0], self.hidden_size)
            state = (zeros, zeros)
        h, c = state
        ### BEGIN SOLUTION
        gates = F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, dim=-1)  # (B, 4H) -> four of (B, H)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, c
        ### END SOLUTION
