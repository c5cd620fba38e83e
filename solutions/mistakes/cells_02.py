"""Wrong and right answers for `LSTMCell` and `reverse_padded` (notebook 02)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from utils.grading.bank import Bank

cell = Bank("LSTMCell")

CHUNK = "i, f, g, o = gates.chunk(4, dim=-1)"
NEW_C = "        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n"
NEW_H = "        h = torch.sigmoid(o) * torch.tanh(c)\n"
GATES = "F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)"

cell.wrong(
    "order i, f, o, g",
    "Your gates are in the order i, f, o, g. PyTorch's rows are i, f, g, o: the candidate comes before the output gate.",
    edits={"i, f, g, o = ": "i, f, o, g = "},
)
cell.wrong(
    "order f, i, g, o",
    "Your input and forget gates are exchanged. PyTorch's rows are i, f, g, o: the input gate comes first.",
    edits={"i, f, g, o = ": "f, i, g, o = "},
)
cell.wrong(
    "order f, i, o, g",
    "Your gates are in the order f, i, o, g, as many papers list them. PyTorch's rows are i, f, g, o.",
    edits={"i, f, g, o = ": "f, i, o, g = "},
)
cell.wrong(
    "gates interleaved",
    "You take every fourth row for a gate. The gates' rows lie under each other in four blocks of H.",
    edits={"gates.chunk(4, dim=-1)": "gates.unflatten(-1, (-1, 4)).unbind(-1)"},
)
cell.wrong(
    "bias_hh missing",
    "The bias bias_hh is missing in your gates.",
    edits={", self.bias_hh)": ")"},
)
cell.wrong(
    "bias_ih missing",
    "The bias bias_ih is missing in your gates.",
    edits={", self.bias_ih)": ")"},
)
cell.wrong(
    "bias_ih twice",
    "You add bias_ih twice. There are two biases: one beside each matrix.",
    edits={"self.bias_hh)": "self.bias_hh + self.bias_ih)"},
)
cell.wrong(
    "candidate through a sigmoid",
    "Your candidate g goes through a sigmoid, so the cell can only grow. It wants a tanh: what is added may be negative.",
    edits={"torch.tanh(g)": "torch.sigmoid(g)"},
)
cell.wrong(
    "input gate through a tanh",
    "Your input gate goes through a tanh. A gate is a fraction between 0 and 1: a sigmoid.",
    edits={"torch.sigmoid(i)": "torch.tanh(i)"},
)
cell.wrong(
    "tanh and sigmoid swapped",
    "You have exchanged tanh and sigmoid: the gates i, f, o want the sigmoid, candidate and cell the tanh.",
    edits={NEW_C: "        c = torch.tanh(f) * c + torch.tanh(i) * torch.sigmoid(g)\n", NEW_H: "        h = torch.tanh(o) * torch.sigmoid(c)\n"},
)  # fmt: skip
cell.wrong(
    "no forget gate",
    "Your old cell is kept as it is: the forget gate does not act on it.",
    edits={"torch.sigmoid(f) * c +": "c +"},
)
cell.wrong(
    "old cell dropped",
    "Your new cell holds only what this step adds. The old cell, scaled by the forget gate, is missing.",
    edits={"torch.sigmoid(f) * c + ": ""},
)
cell.wrong(
    "no input gate",
    "Your candidate is added in full: the input gate does not act on it.",
    edits={"torch.sigmoid(i) * torch.tanh(g)": "torch.tanh(g)"},
)
cell.wrong(
    "forget gate turned round",
    "You scale the old cell by 1 - f. In an LSTM the forget gate says how much is kept: 1 keeps all.",
    edits={"torch.sigmoid(f) * c": "(1 - torch.sigmoid(f)) * c"},
)
cell.wrong(
    "coupled gates",
    "You use 1 - f as the input gate. That is a variant with coupled gates; here i has rows of its own.",
    edits={"torch.sigmoid(i)": "(1 - torch.sigmoid(f))"},
)
cell.wrong(
    "h from the old cell",
    "Your h looks at the cell before it was updated. Update c first, then take h from the new c.",
    edits={NEW_C + NEW_H: NEW_H + NEW_C},
)
cell.wrong(
    "old cell returned",
    "The c that you return is the one you were given. Return the updated one.",
    edits={
        NEW_C: "        new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n",
        NEW_H: "        h = torch.sigmoid(o) * torch.tanh(new)\n",
    },
)
cell.wrong(
    "c before h",
    "You return c before h. The order is h, c.",
    edits={"return h, c": "return c, h"},
)
cell.wrong(
    "no tanh on the cell",
    "Your h is the output gate times the bare cell. A tanh belongs in between, so that h stays between -1 and 1.",
    edits={"torch.tanh(c)": "c"},
)
cell.wrong(
    "no output gate",
    "Your h ignores the output gate.",
    edits={"torch.sigmoid(o) * torch.tanh(c)": "torch.tanh(c)"},
)
cell.wrong(
    "h not used",
    "Your gates look at x alone. They should also look at h, which is how a step knows of the steps before.",
    edits={" + F.linear(h, self.weight_hh, self.bias_hh)": " + self.bias_hh + 0 * self.weight_hh.sum()"},
)
cell.wrong(
    "state detached",
    "Your gates look at h.detach(), so no gradient flows back to earlier steps through h.",
    edits={"F.linear(h, ": "F.linear(h.detach(), "},
)

cell.right(
    "one matrix for x and h",
    edits={
        GATES: "torch.cat([x, h], -1) @ torch.cat([self.weight_ih, self.weight_hh], 1).t() + self.bias_hh + self.bias_ih"
    },
)
cell.right(
    "einsum and slices",
    edits={
        GATES: 'torch.einsum("bi,gi->bg", x, self.weight_ih) + torch.einsum("bh,gh->bg", h, self.weight_hh) + self.bias_ih + self.bias_hh',
        CHUNK: "n = self.hidden_size\n        i, f, g, o = gates[:, :n], gates[:, n : 2 * n], gates[:, 2 * n : 3 * n], gates[:, 3 * n :]",
    },
)
cell.right(
    "float64 inside",
    edits={
        GATES: "F.linear(x.double(), self.weight_ih.double(), self.bias_ih.double()) + F.linear(h.double(), self.weight_hh.double(), self.bias_hh.double())",
        "return h, c": "return h.to(x.dtype), c.to(x.dtype)",
    },
)
cell.right(
    "PyTorch's own step",
    edits={
        "gates = "
        + GATES: "h, c = torch._VF.lstm_cell(x, (h, c), self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)\n        return h, c\n        gates = None"
    },
)
cell.right(
    "a gate at a time, 2 sigmoid(2x) - 1 for tanh",
    edits={
        "gates = "
        + GATES: "parts = zip(*(w.chunk(4) for w in (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)))\n        gates = torch.cat([x @ a.T + h @ b.T + c1 + c2 for a, b, c1, c2 in parts], dim=1)",
        "torch.tanh(g)": "(2 * torch.sigmoid(2 * g) - 1)",
    },
)


reverse = Bank("reverse_padded")

BODY = (
    "    steps = torch.arange(x.shape[1], device=x.device)  # (N,)\n"
    "    mirrored = lengths[:, None] - 1 - steps  # (B, N), negative in the padding\n"
    "    source = torch.where(mirrored >= 0, mirrored, steps)\n"
    "    return x.gather(1, source[:, :, None].expand_as(x))  # (B, N, D)\n"
)


@reverse.wrong(
    "the whole row flipped",
    "You flip the whole row, so the padding moves to the front. Only the first length steps of a row should turn around.",
)
def reverse_padded(x, lengths):
    return x.flip(1)


reverse.wrong(
    "one step too far",
    "Your mirrored position is one too large: step 0 should get what was at length - 1.",
    edits={"lengths[:, None] - 1 - steps": "lengths[:, None] - steps"},
)


@reverse.wrong(
    "padding set to zero",
    "You fill the padding with zeros. It should stay as it was, so that reversing twice gives the input back.",
)
def reverse_padded(x, lengths):
    rows = []
    for row, n in zip(x, lengths.tolist()):
        rows.append(torch.cat([row[:n].flip(0), torch.zeros_like(row[n:])]))
    return torch.stack(rows)


@reverse.wrong(
    "features reversed",
    "You reverse the features of each step. Turn around the time axis, dim 1 of (B, N, D).",
)
def reverse_padded(x, lengths):
    real = torch.arange(x.shape[1]) < lengths[:, None]
    return torch.where(real[:, :, None], x.flip(-1), x)


@reverse.wrong(
    "batch reversed", "You reverse the order of the sentences. Turn around the time axis, dim 1 of (B, N, D)."
)
def reverse_padded(x, lengths):
    return x.flip(0)


@reverse.wrong(
    "all rows by the longest length",
    "You turn all rows around by the same length. Each row has a length of its own.",
)
def reverse_padded(x, lengths):
    n = int(lengths.max())
    return torch.cat([x[:, :n].flip(1), x[:, n:]], dim=1)


@reverse.wrong(
    "in place",
    "You write into x itself. Whoever called you still needs it (the forward direction reads it too): build a new tensor.",
)
def reverse_padded(x, lengths):
    for row, n in enumerate(lengths.tolist()):
        x[row, :n] = x[row, :n].clone().flip(0)
    return x


@reverse.wrong(
    "moved to the right",
    "Your sentences end at the right edge of the batch. They should start at the left: only their order turns around.",
)
def reverse_padded(x, lengths):
    rows = [torch.cat([row[n:], row[:n].flip(0)]) for row, n in zip(x, lengths.tolist())]
    return torch.stack(rows)


@reverse.wrong("not reversed", "You return x as it was.")
def reverse_padded(x, lengths):
    return x.clone()


reverse.wrong(
    "detached",
    "Your values are right, but cut from the graph, so nothing before them could be trained. Look for .detach(), .data or torch.tensor(...).",
    edits={"return x.gather": "return x.detach().gather"},
)


@reverse.right("row by row")
def reverse_padded(x, lengths):
    rows = []
    for b in range(x.shape[0]):
        n = int(lengths[b])
        rows.append(torch.cat((torch.flip(x[b, :n], dims=[0]), x[b, n:]), dim=0))
    return torch.stack(rows)


@reverse.right("advanced indexing")
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1]).expand(len(x), -1)
    n = lengths.unsqueeze(1)
    t = torch.where(t < n, n - 1 - t, t)
    return x[torch.arange(len(x)).unsqueeze(1), t]


@reverse.right("flip and roll")
def reverse_padded(x, lengths):
    out = x.clone()
    for b, n in enumerate(lengths.tolist()):
        rolled = torch.roll(x[b].flip(0), shifts=n - x.shape[1], dims=0)
        out[b, :n] = rolled[:n]
    return out


@reverse.right("a permutation matrix per row")
def reverse_padded(x, lengths):
    t = torch.arange(x.shape[1])
    n = lengths[:, None]
    source = torch.where(t < n, n - 1 - t, t)
    moves = F.one_hot(source, x.shape[1]).to(x.dtype)
    return torch.einsum("bts,bsd->btd", moves, x)
