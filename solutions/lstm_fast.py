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


def product(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, add: Tensor | None = None
) -> Tensor:
    """`F.linear(x, weight, bias)`, plus `add`; by oneDNN for float32 on the CPU. For use where
    no gradient is recorded.

    Args:
        x: (M, I).
        weight: (O, I), also transposed in memory.
        bias: (O,).
        add: (M, O).

    Returns:
        (M, O).
    """
    if ONEDNN and x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() > 0:
        if add is None:
            return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return torch.ops.mkldnn._linear_pointwise.binary(x, add, weight, bias, "add")
    result = F.linear(x, weight, bias)
    return result if add is None else result + add


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
        h, c = x.new_empty(
            2, steps + 1, batch, hidden
        ).unbind()  # [t + 1] is the state after step t
        h[0], c[0] = 0.0, 0.0
        tanh_c = x.new_empty(steps, batch, hidden)
        for t, gate in enumerate(gates.unbind()):
            before = product(h[t], weight_hh, add=gate) if t else gate
            torch.sigmoid(
                before[:, : 2 * hidden], out=gate[:, : 2 * hidden]
            )  # i and f lie side by side
            torch.tanh(before[:, 2 * hidden : 3 * hidden], out=gate[:, 2 * hidden : 3 * hidden])
            torch.sigmoid(before[:, 3 * hidden :], out=gate[:, 3 * hidden :])
            i, f, g, o = gate.chunk(4, dim=-1)
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
        dh, dc = (
            torch.zeros_like(h[0]),
            torch.zeros_like(c[0]),
        )  # what flows back from step t + 1
        scratch = torch.empty_like(dh)
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
                dh = product(grad, weight_hh.t())
        flat = grad_gates.flatten(0, 1)  # (N B, 4H)
        grad_x = product(flat, weight_ih.t()).view_as(x) if ctx.needs_input_grad[0] else None
        grad_ih = product(
            x.flatten(0, 1).t(), flat.t()
        ).t()  # (I, N B) (N B, 4H), transposed: (4H, I)
        grad_hh = product(h[:-1].flatten(0, 1).t(), flat.t()).t()  # (4H, H)
        return grad_x, grad_ih, grad_hh, flat.sum(dim=0)


class FastLSTM(LSTM):
    """`LSTM` with the hand-written backward pass. Same arguments, same parameters, same
    results."""

    def scan(self, x: Tensor, suffix: str) -> tuple[Tensor, Tensor]:
        """As `LSTM.scan`."""
        weight_ih, weight_hh, bias_ih, bias_hh = self.weights(suffix)
        h, c = Scan.apply(
            x.transpose(0, 1).contiguous(), weight_ih, weight_hh, bias_ih + bias_hh
        )
        return h.transpose(0, 1), c.transpose(0, 1)  # (N, B, H) -> (B, N, H)

    def forward(
        self, x: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `LSTM.forward`; without padding there is nothing to mask, and `flip` turns a row
        around."""
        if lengths is not None and bool((lengths < x.shape[1]).any()):
            return super().forward(x, lengths)
        outputs, final_h, final_c = [], [], []
        for suffix in self.directions:
            backward = suffix.endswith("reverse")
            h, c = self.scan(x.flip(1) if backward else x, suffix)
            final_h.append(h[:, -1])
            final_c.append(c[:, -1])
            outputs.append(h.flip(1) if backward else h)
        return torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c))
