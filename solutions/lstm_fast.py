"""The LSTM of `solutions/lstm.py` with a backward pass written by hand: the same function, faster to train.

Autograd keeps a node and a few tensors for each of the dozen operations of each step. All that the
backward pass needs are the four gates, c and tanh(c), so the loop is made one node (`torch.autograd.Function`):

    forward   gates_t = W_ih x_t + b + W_hh h_{t-1}, nonlinearities in place       (one big product for all W_ih x_t)
    backward  d gates_t from d h_t and d c_t by the chain rule; d h_{t-1} = d gates_t W_hh
    then      the weights' gradients as one big product over all steps

Nothing here is graded. `tests/test_parity_lstm.py` holds it against `torch.nn.LSTM` and against finite differences.

References:
    1. Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber, "LSTM: A Search Space Odyssey", IEEE Transactions on Neural
       Networks and Learning Systems 28(10), 2017: the backward pass in full, appendix A.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from solutions.lstm import LSTM


class Scan(torch.autograd.Function):
    """One direction over all steps, time first: x (N, B, I) -> h, c (N, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, batch, _ = x.shape
        hidden = weight_hh.shape[1]
        gates = F.linear(x, weight_ih, bias)  # (N, B, 4H); from here on changed in place
        h, c = x.new_zeros(2, steps + 1, batch, hidden).unbind()  # [t + 1] is the state after step t
        tanh_c = x.new_empty(steps, batch, hidden)
        recurrent = weight_hh.t()
        for t in range(steps):
            gate = gates[t]
            if t:
                gate.addmm_(h[t], recurrent)
            i, f, g, o = gate.chunk(4, dim=-1)
            gate[:, : 2 * hidden].sigmoid_()  # i and f lie side by side
            g.tanh_()
            o.sigmoid_()
            torch.mul(f, c[t], out=c[t + 1]).addcmul_(i, g)
            torch.tanh(c[t + 1], out=tanh_c[t])
            torch.mul(o, tanh_c[t], out=h[t + 1])
        ctx.save_for_backward(x, weight_ih, weight_hh, gates, h, c, tanh_c)
        return h[1:], c[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_h: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_ih, weight_hh, gates, h, c, tanh_c = ctx.saved_tensors
        steps, _, hidden = tanh_c.shape
        grad_gates = torch.empty_like(gates)
        dh, dc = torch.zeros_like(h[0]), torch.zeros_like(c[0])  # what flows back from step t + 1
        product = torch.empty_like(dh)
        for t in range(steps - 1, -1, -1):
            i, f, g, o = gates[t].chunk(4, dim=-1)
            di, df, dg, do = grad_gates[t].chunk(4, dim=-1)
            dh = dh + grad_h[t]
            dc.add_(grad_c[t])
            torch.mul(dh, tanh_c[t], out=do)  # h = o * tanh(c)
            torch.mul(do, tanh_c[t], out=product)
            dc.addcmul_(torch.sub(dh, product, out=product), o)  # tanh' = 1 - tanh^2
            torch.mul(dc, g, out=di)  # c = f * c_before + i * g
            torch.mul(dc, c[t], out=df)
            torch.mul(dc, i, out=dg)
            dc.mul_(f)
            for grad, gate in ((grad_gates[t][:, : 2 * hidden], gates[t][:, : 2 * hidden]), (do, o)):
                grad.mul_(gate).addcmul_(grad, gate, value=-1)  # sigmoid' = s (1 - s)
            dg.addcmul_(torch.mul(dg, g, out=product), g, value=-1)  # tanh' = 1 - g^2
            dh = grad_gates[t] @ weight_hh
        flat = grad_gates.flatten(0, 1)  # (N B, 4H)
        grad_x = F.linear(flat, weight_ih.t()).view_as(x) if ctx.needs_input_grad[0] else None
        return grad_x, flat.t() @ x.flatten(0, 1), flat.t() @ h[:-1].flatten(0, 1), flat.sum(dim=0)


class FastLSTM(LSTM):
    """`LSTM` with the hand-written backward pass. Same arguments, same parameters, same results."""

    def scan(self, x: Tensor, suffix: str) -> tuple[Tensor, Tensor]:
        """As `LSTM.scan`."""
        weight_ih, weight_hh, bias_ih, bias_hh = self.weights(suffix)
        h, c = Scan.apply(x.transpose(0, 1).contiguous(), weight_ih, weight_hh, bias_ih + bias_hh)
        return h.transpose(0, 1), c.transpose(0, 1)  # (N, B, H) -> (B, N, H)
