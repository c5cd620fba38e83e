"""The LSTM of `solutions/lstm.py` with a backward pass written by hand: the same function, faster to train.

Autograd keeps a node and a few tensors for each of the dozen operations of each step. All that the
backward pass needs are the four gates, c and tanh(c), so the loop is made one node (`torch.autograd.Function`):

    forward   gates_t = W_ih x_t + b + W_hh h_{t-1}, nonlinearities in place       (one big product for all W_ih x_t)
    backward  d gates_t from d h_t and d c_t by the chain rule; d h_{t-1} = d gates_t W_hh
    then      the weights' gradients as one big product over all steps

What remains is matrix products. On AMD processors MKL, which PyTorch uses for float32 products on the CPU, can be half as
fast as oneDNN, which `nn.LSTM` uses; `product` asks oneDNN where this PyTorch offers it.

Nothing here is graded. `tests/test_parity_lstm.py` holds it against `torch.nn.LSTM` and against finite differences.

References:
    1. Greff, Srivastava, Koutnik, Steunebrink and Schmidhuber, "LSTM: A Search Space Odyssey", IEEE Transactions on Neural
       Networks and Learning Systems 28(10), 2017: the backward pass in full (section II).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from solutions.lstm import LSTM

ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., I) times weight (O, I) transposed, plus bias: `F.linear`, by oneDNN for float32 on the CPU. No gradient."""
    if ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0:
        return torch.ops.mkldnn._linear_pointwise(x, weight.contiguous(), bias, "none", [], "")
    return F.linear(x, weight, bias)


class Scan(torch.autograd.Function):
    """One direction over all steps, time first: x (N, B, I) -> h, c (N, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        steps, batch, _ = x.shape
        hidden = weight_hh.shape[1]
        gates = product(x.flatten(0, 1), weight_ih, bias).view(
            steps, batch, -1
        )  # (N, B, 4H), changed in place
        h, c = x.new_empty(2, steps + 1, batch, hidden).unbind()  # [t + 1] is the state after step t
        h[0], c[0] = 0.0, 0.0
        tanh_c = x.new_empty(steps, batch, hidden)
        for t, gate in enumerate(gates.unbind()):
            if t:
                gate.add_(product(h[t], weight_hh))
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
        scratch = torch.empty_like(dh)
        weight_hh_t = weight_hh.t().contiguous()
        for t in range(steps - 1, -1, -1):
            gate, grad = gates[t], grad_gates[t]
            i, f, g, o = gate.chunk(4, dim=-1)
            di, df, dg, do = grad.chunk(4, dim=-1)
            dh = dh + grad_h[t]
            dc.add_(grad_c[t])
            torch.mul(dh, tanh_c[t], out=do)  # h = o * tanh(c)
            torch.mul(do, tanh_c[t], out=scratch)
            dc.addcmul_(torch.sub(dh, scratch, out=scratch), o)  # tanh' = 1 - tanh^2
            torch.mul(dc, g, out=di)  # c = f * c_before + i * g
            torch.mul(dc, c[t], out=df)
            torch.mul(dc, i, out=dg)
            dc.mul_(f)
            for part, sigma in ((grad[:, : 2 * hidden], gate[:, : 2 * hidden]), (do, o)):
                part.mul_(sigma).addcmul_(part, sigma, value=-1)  # sigmoid' = s (1 - s)
            dg.addcmul_(torch.mul(dg, g, out=scratch), g, value=-1)  # tanh' = 1 - g^2
            if t:
                dh = product(grad, weight_hh_t)
        flat = grad_gates.flatten(0, 1)  # (N B, 4H)
        flat_t = flat.t().contiguous()
        grad_x = product(flat, weight_ih.t()).view_as(x) if ctx.needs_input_grad[0] else None
        grad_ih = product(flat_t, x.flatten(0, 1).t())  # (4H, I)
        grad_hh = product(flat_t, h[:-1].flatten(0, 1).t())  # (4H, H)
        return grad_x, grad_ih, grad_hh, flat.sum(dim=0)


class FastLSTM(LSTM):
    """`LSTM` with the hand-written backward pass. Same arguments, same parameters, same results."""

    def scan(self, x: Tensor, suffix: str) -> tuple[Tensor, Tensor]:
        """As `LSTM.scan`."""
        weight_ih, weight_hh, bias_ih, bias_hh = self.weights(suffix)
        h, c = Scan.apply(x.transpose(0, 1).contiguous(), weight_ih, weight_hh, bias_ih + bias_hh)
        return h.transpose(0, 1), c.transpose(0, 1)  # (N, B, H) -> (B, N, H)
