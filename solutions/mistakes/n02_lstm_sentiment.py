"""Wrong and right answers for notebook 02: the cell, the layer, pooling, the classifier; the rest is imported."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from solutions.mistakes.loops_02 import measure, train
from solutions.mistakes.words_02 import collate_bank, vocabulary
from utils.checks.bank import Bank

__all__ = [
    "cell",
    "classifier",
    "collate_bank",
    "layer",
    "measure",
    "pooling",
    "reverse",
    "train",
    "vocabulary",
]

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


layer = Bank("LSTM")

STEP_GATES = "torch.addmm(step, h, weight_hh.t())"
LAST = "last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))"
MASK = "            h, c = (state.masked_fill(padding[:, :, None], 0.0) for state in (h, c))\n"
STACK = "return torch.stack(hidden, dim=1), torch.stack(cells, dim=1)"
RETURN = "return torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c))"
FINALS = "            final_h.append(h[last])  # (B, H)\n            final_c.append(c[last])\n"
OUT = "            outputs.append(reverse_padded(h, lengths) if backward else h)\n"

layer.wrong(
    "order i, f, o, g",
    "Your gates are in the order i, f, o, g. PyTorch's rows are i, f, g, o, as in your LSTMCell.",
    edits={"i, f, g, o = ": "i, f, o, g = "},
)
layer.wrong(
    "bias_hh missing", "The bias bias_hh is missing in your gates.", edits={"bias_ih + bias_hh": "bias_ih"}
)
layer.wrong(
    "bias at the input and again at each step",
    "You add bias_hh twice, with the input's share and again at each step.",
    edits={STEP_GATES: STEP_GATES[:-1].replace("step,", "step + bias_hh,") + ")"},
)
layer.wrong(
    "no recurrence",
    "Your steps do not see the h of the step before: weight_hh has no effect.",
    edits={STEP_GATES: "step"},
)
layer.wrong(
    "weight_hh not transposed",
    "The recurrent product has its matrix the wrong way round: h (B, H) meets weight_hh (4H, H), which has to be transposed.",
    edits={STEP_GATES: "(step + h @ weight_hh)"},
)
layer.wrong(
    "cell not carried",
    "Each step starts with an empty cell: the old c, scaled by the forget gate, is missing.",
    edits={"torch.sigmoid(f) * c + ": ""},
)
layer.wrong(
    "gradient cut between steps",
    "You detach h between the steps, so no gradient flows back through time and the layer cannot learn from far away.",
    edits={STEP_GATES: "torch.addmm(step, h.detach(), weight_hh.t())"},
)
layer.wrong(
    "loop over the batch",
    "Your loop runs over the batch in place of time: time is dim 1 of (B, N, 4H).",
    edits={"from_input.unbind(1)": "from_input.unbind(0)"},
)
layer.wrong(
    "stacked time first",
    "You stack the steps at dim 0, which makes (N, B, H). The batch is the first axis: stack at dim 1.",
    edits={STACK: "return torch.stack(hidden), torch.stack(cells)"},
)
layer.wrong(
    "backward outputs not turned back",
    "Your backward direction's outputs are still in its own order, last word first. Turn them around again, so that step t of both halves is about word t.",
    edits={OUT: "            outputs.append(h)\n"},
)
layer.wrong(
    "backward direction reads forward",
    "Your backward direction reads the sentence from first word to last, like the forward one. Turn its input around first, and its outputs back afterwards.",
    edits={"reverse_padded(x, lengths) if backward else x": "x", OUT: "            outputs.append(h)\n"},
)
layer.wrong(
    "backward direction starts in the padding",
    "Your backward direction starts at the right edge of the batch and reads padding before the sentence. It should start at each row's own last word.",
    edits={
        "reverse_padded(x, lengths) if backward else x": "x.flip(1) if backward else x",
        MASK + FINALS: "            shown = h.flip(1) if backward else h\n"
        "            shown = shown.masked_fill(padding[:, :, None], 0.0)\n"
        "            final_h.append(h[:, -1] if backward else h[last])\n"
        "            final_c.append(c[:, -1] if backward else c[last])\n",
        OUT: "            outputs.append(shown)\n",
    },
)
layer.wrong(
    "both directions share weights",
    "Both directions use the forward one's weights. The backward direction has its own, with _reverse in their names.",
    edits={"if backward else x, suffix)": 'if backward else x, "_l0")'},
)
layer.wrong(
    "padding not zeroed",
    "Your outputs at padded steps are what the LSTM made of the padding. They should be zero.",
    edits={MASK: ""},
)
layer.wrong(
    "final state after the padding",
    "Your final states are taken at the last column of the batch, so the padding was read on and overwrote them. Take them at each row's own last real step.",
    edits={MASK + FINALS: FINALS.replace("[last]", "[:, -1]") + MASK},
)
layer.wrong(
    "final state of the last column, zeroed",
    "Your final states of padded rows are zero: they are taken at the last column of the batch. Take them at each row's own last real step.",
    edits={FINALS: FINALS.replace("[last]", "[:, -1]")},
)
layer.wrong(
    "final state one step early",
    "Your final states are those of the last step but one. A row's last real step is length - 1.",
    edits={"(lengths - 1).clamp(min=0)": "(lengths - 2).clamp(min=0)"},
)
layer.wrong(
    "backward final state at the last word",
    "Your backward direction's final state is its output at the last word, where it began. It ends at step 0.",
    edits={
        FINALS + OUT: "            h, c = (reverse_padded(s, lengths) if backward else s for s in (h, c))\n"
        + FINALS
        + "            outputs.append(h)\n"
    },
)
layer.wrong(
    "final c and h exchanged",
    "Your final states are in the order (c, h). It should be (h, c).",
    edits={RETURN: "return torch.cat(outputs, dim=-1), (torch.stack(final_c), torch.stack(final_h))"},
)
layer.wrong(
    "backward half first",
    "The backward direction's features come first in your outputs. The forward direction's should.",
    edits={"torch.cat(outputs, dim=-1)": "torch.cat(outputs[::-1], dim=-1)"},
)
layer.wrong(
    "directions added",
    "You add the two directions' outputs. Put them beside each other: (B, N, 2H).",
    edits={"torch.cat(outputs, dim=-1)": "sum(outputs)"},
)
layer.wrong(
    "final states beside each other",
    "Your final states are (B, 2H). Both directions should be stacked along a first axis: (2, B, H).",
    edits={
        "(torch.stack(final_h), torch.stack(final_c))": "(torch.cat(final_h, dim=-1), torch.cat(final_c, dim=-1))"
    },
)

layer.right(
    "weights applied at every step",
    edits={
        "for step in from_input.unbind(1):  # N of (B, 4H)": "for t in range(x.shape[1]):",
        STEP_GATES: "(F.linear(x[:, t], weight_ih, bias_ih) + F.linear(h, weight_hh, bias_hh))",
    },
)
layer.right(
    "one fused sigmoid",
    edits={
        "i, f, g, o = " + STEP_GATES + ".chunk(4, dim=-1)": "gates = step + h @ weight_hh.T\n"
        "            i, f, _, o = torch.sigmoid(gates).split(self.hidden_size, dim=1)\n"
        "            g = gates[:, 2 * self.hidden_size : 3 * self.hidden_size]",
        "torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)": "f * c + i * g.tanh()",
        "torch.sigmoid(o) * torch.tanh(c)": "o * c.tanh()",
    },
)
layer.right(
    "row by row, without padding",
    edits={
        MASK: "",
        "            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)\n": "            h, c = x.new_zeros(batch, steps, self.hidden_size), x.new_zeros(batch, steps, self.hidden_size)\n"
        "            for b, n in enumerate(lengths.tolist()):\n"
        "                if n:\n"
        "                    row = x[b : b + 1, :n]\n"
        "                    row = row.flip(1) if backward else row\n"
        "                    row_h, row_c = self.scan(row, suffix)\n"
        "                    h[b, :n], c[b, :n] = row_h[0], row_c[0]\n",
    },
)
layer.right(
    "padded steps hold the state, a mask per step",
    edits={
        "        padding = torch.arange(steps, device=x.device) >= lengths[:, None]  # (B, N)\n": "        w = {s: self.weights(s) for s in self.directions}\n"
        "        real = torch.arange(steps) < lengths[:, None]\n",
        "        " + LAST + "\n": "",
        "            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)\n"
        + MASK
        + FINALS
        + OUT: "            h = c = x.new_zeros(batch, self.hidden_size)\n"
        "            out = [None] * steps\n"
        "            for t in reversed(range(steps)) if backward else range(steps):\n"
        "                h1, c1 = torch._VF.lstm_cell(x[:, t], (h, c), *w[suffix])\n"
        "                keep = real[:, t : t + 1]\n"
        "                h, c = torch.where(keep, h1, h), torch.where(keep, c1, c)\n"
        "                out[t] = h * keep\n"
        "            final_h.append(h)\n"
        "            final_c.append(c)\n"
        "            outputs.append(torch.stack(out, 1))\n",
    },
)


@layer.right("PyTorch's LSTM on a packed batch")
class LSTM(nn.LSTM):
    def __init__(self, input_size, hidden_size, bidirectional=False):
        nn.LSTM.__init__(self, input_size, hidden_size, batch_first=True, bidirectional=bidirectional)

    def forward(self, x, lengths=None):
        if lengths is None:
            return nn.LSTM.forward(self, x)
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.clamp(min=1), batch_first=True, enforce_sorted=False
        )
        outputs, (h, c) = nn.LSTM.forward(self, packed)
        outputs, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        some = (lengths > 0)[:, None]
        return outputs * some[:, None], (h * some, c * some)


pooling = Bank("pool")

POOL_LAST = "outputs[rows, (lengths - 1).clamp(min=0)]"
HALVES = "torch.cat([pooled[:, :half], outputs[:, 0, half:]], dim=-1)"
TOTAL = "outputs.masked_fill(~real[:, :, None], 0.0).sum(dim=1)"
MAXIMUM = 'outputs.masked_fill(~real[:, :, None], float("-inf")).amax(dim=1)'
EMPTY = "pooled.masked_fill((lengths == 0)[:, None], 0.0)"

pooling.wrong(
    "last column",
    'Your "last" takes the last column of the batch, which for a short sentence is padding. Its own last step is length - 1.',
    edits={POOL_LAST: "outputs[:, -1]"},
)
pooling.wrong(
    "one step early",
    'Your "last" takes the last word but one. A row\'s last real step is length - 1.',
    edits={"(lengths - 1).clamp(min=0)": "(lengths - 2).clamp(min=0)"},
)
pooling.wrong(
    "step length",
    'Your "last" looks one step too far: counting from 0, the last of length steps is length - 1.',
    edits={"(lengths - 1).clamp(min=0)": "lengths"},
)
pooling.wrong(
    "backward half at the last word",
    'With both directions, your "last" takes the backward half at the last word, where that direction began. It ended at step 0.',
    edits={"if bidirectional:": "if False:"},
)
pooling.wrong(
    "halves exchanged",
    'With both directions, your "last" takes the forward half at step 0 and the backward half at the last word: it is the other way round.',
    edits={HALVES: "torch.cat([outputs[:, 0, :half], pooled[:, half:]], dim=-1)"},
)
pooling.wrong(
    "backward half first",
    'With both directions, your "last" puts the backward half in front. Keep the order of the features: forward half first.',
    edits={HALVES: "torch.cat([outputs[:, 0, half:], pooled[:, :half]], dim=-1)"},
)
pooling.wrong(
    "halves without being asked",
    'Your "last" takes half of the features at step 0 even if the LSTM reads in one direction only. Ask bidirectional.',
    edits={"if bidirectional:": "if True:"},
)
pooling.wrong(
    "mean over the padded length",
    "Your mean divides by N, the padded length, so short sentences come out too small. Divide by each row's own length.",
    edits={"total / lengths.clamp(min=1)[:, None]": "total / outputs.shape[1]"},
)
pooling.wrong(
    "mean of padding too",
    "Your mean sums over padded steps as well. Leave them out, even if your own LSTM happens to write zeros there.",
    edits={TOTAL: "outputs.sum(dim=1)"},
)
pooling.wrong(
    "mean over all columns",
    "Your mean is over all N columns, padding included. Sum over the real steps, and divide by their number.",
    edits={TOTAL: "outputs.sum(dim=1)", "total / lengths.clamp(min=1)[:, None]": "total / outputs.shape[1]"},
)
pooling.wrong(
    "sum in place of mean",
    'Your "mean" is a sum: the division by the number of real steps is missing.',
    edits={"total / lengths.clamp(min=1)[:, None]": "total"},
)
pooling.wrong(
    "maximum with zeros",
    "You set padded steps to zero before the maximum, and where all real values are negative the zero wins. Fill with something that can never win.",
    edits={'float("-inf")': "0.0"},
)
pooling.wrong(
    "maximum with zeros by product",
    "You take the maximum after multiplying with the mask: every padded step becomes a zero, which wins against negative values. Fill with something that can never win.",
    edits={MAXIMUM: "(outputs * real[:, :, None]).amax(dim=1)", EMPTY: "pooled"},
)
pooling.wrong(
    "maximum over padding",
    "Your maximum runs over padded steps too. Take them out first, with something that can never win.",
    edits={MAXIMUM: "outputs.amax(dim=1)"},
)
pooling.wrong(
    "maximum of the sizes",
    "You take the value of largest size, so that -3 beats 2. The maximum is the largest value, sign and all.",
    edits={
        MAXIMUM: "outputs.gather(1, outputs.abs().masked_fill(~real[:, :, None], -1.0).argmax(1, keepdim=True)).squeeze(1)"
    },
)
pooling.wrong(
    "maximum over features",
    "Your maximum runs over the features and leaves one number per step. It should run over the steps (dim 1) and leave one per feature.",
    edits={"amax(dim=1)": "amax(dim=-1)", EMPTY: "pooled"},
)
pooling.wrong(
    "mean and max exchanged",
    'Your "mean" and "max" are exchanged.',
    edits={'elif how == "mean":': 'elif how == "max":'},
)
pooling.wrong(
    "empty rows not zero",
    "A row of length zero does not come out as zeros: its maximum is minus infinity, or its last step is padding. Treat such rows by themselves.",
    edits={EMPTY: "pooled"},
)


@pooling.right("row by row")
def pool(outputs, lengths, how, bidirectional=False):
    pooled = []
    for row, n in zip(outputs, lengths.tolist()):
        row = row[:n]
        if n == 0:
            pooled.append(outputs.new_zeros(outputs.shape[-1]))
        elif how == "max":
            pooled.append(row.max(dim=0).values)
        elif how == "mean":
            pooled.append(row.mean(dim=0))
        elif bidirectional:
            half = row.shape[-1] // 2
            pooled.append(torch.cat([row[-1][:half], row[0][half:]]))
        else:
            pooled.append(row[-1])
    return torch.stack(pooled)


pooling.right(
    "einsum, where, gather",
    edits={
        TOTAL: 'torch.einsum("bnd,bn->bd", outputs, real.to(outputs.dtype))',
        MAXIMUM: 'torch.where(real.unsqueeze(-1), outputs, float("-inf")).max(dim=1)[0]',
        POOL_LAST: "outputs.gather(1, (lengths - 1).clamp_min(0)[:, None, None].expand(-1, 1, outputs.shape[-1]))[:, 0]",
        EMPTY: "torch.where((lengths > 0)[:, None], pooled, 0.0)",
    },
)
pooling.right(
    "a very negative number for padding",
    edits={
        'float("-inf")': "torch.finfo(outputs.dtype).min",
        TOTAL: "(outputs * real[..., None]).sum(1)",
    },
)
pooling.right(
    "weights per step",
    edits={
        "total = " + TOTAL: "weight = real / real.sum(1, keepdim=True).clamp(min=1)",
        "total / lengths.clamp(min=1)[:, None]": "(outputs * weight[:, :, None].to(outputs.dtype)).sum(dim=1)",
    },
)


classifier = Bank("LSTMClassifier")

EMBED = "self.dropout(self.embedding(tokens))"
READ = "self.lstm(embedded, lengths)"
POOL = "pool(outputs, lengths, self.pooling, self.lstm.bidirectional)"
HEAD = "self.head(self.dropout(pooled))"

classifier.wrong(
    "lengths not given to the LSTM",
    "You do not tell the LSTM the lengths, so it reads padding as if it were words.",
    edits={READ: "self.lstm(embedded)"},
)
classifier.wrong(
    "pooling over the padded length",
    "You pool over all N steps of every row. Hand pool the real lengths.",
    edits={POOL: POOL.replace("lengths", "torch.full_like(lengths, tokens.shape[1])")},
)
classifier.wrong(
    "pool not told of both directions",
    'You do not tell pool whether the LSTM is bidirectional, and "last" needs to know.',
    edits={", self.lstm.bidirectional)": ")"},
)
classifier.wrong(
    "always max",
    "You always pool by the maximum and never look at self.pooling.",
    edits={"self.pooling, ": '"max", '},
)
classifier.wrong(
    "always the last state",
    "You always use the LSTM's final states. What is used should depend on self.pooling: call pool on the outputs.",
    edits={"outputs, _ = ": "_, (h, _) = ", POOL: "h.transpose(0, 1).flatten(1)"},
)
classifier.wrong(
    "no dropout on the embeddings",
    "There is no dropout on your embeddings.",
    edits={EMBED: "self.embedding(tokens)"},
)
classifier.wrong(
    "no dropout on the pooled vector",
    "There is no dropout on your pooled vector, in front of the head.",
    edits={HEAD: "self.head(pooled)"},
)
classifier.wrong(
    "no dropout at all",
    "Your forward uses no dropout at all.",
    edits={EMBED: "self.embedding(tokens)", HEAD: "self.head(pooled)"},
)
classifier.wrong(
    "dropout in evaluation too",
    "Your dropout is also on in evaluation. F.dropout has to be told self.training; the module self.dropout knows it by itself.",
    edits={
        EMBED: "F.dropout(self.embedding(tokens), self.dropout.p)",
        HEAD: "self.head(F.dropout(pooled, self.dropout.p))",
    },
)
classifier.wrong(
    "dropout on the logits",
    "Your dropout acts on the logits. It should act on the pooled vector, in front of the head.",
    edits={HEAD: "self.dropout(self.head(pooled))"},
)
classifier.wrong(
    "softmax at the end",
    "You return probabilities. Return the logits: cross_entropy applies the softmax itself.",
    edits={HEAD: HEAD + ".softmax(dim=-1)"},
)
classifier.wrong(
    "class in place of logits",
    "You return the predicted class. Return the logits, from which the loss can be computed.",
    edits={HEAD: HEAD + ".argmax(dim=-1)"},
)
classifier.wrong(
    "ReLU before the head",
    "There is a ReLU in front of your head; the description has none, and it throws half of the pooled vector away.",
    edits={HEAD: "self.head(self.dropout(F.relu(pooled)))"},
)
classifier.wrong(
    "embeddings detached",
    "You detach the embeddings, so they stay as they were drawn and never learn.",
    edits={EMBED: "self.dropout(self.embedding(tokens).detach())"},
)

classifier.right(
    "functional",
    edits={
        EMBED: "F.dropout(F.embedding(tokens, self.embedding.weight, padding_idx=0), self.dropout.p, self.training)",
        HEAD: "F.linear(F.dropout(pooled, self.dropout.p, training=self.training), self.head.weight, self.head.bias)",
    },
)
classifier.right(
    "final states where the last are asked for",
    edits={
        "outputs, _ = ": "outputs, (h, _) = ",
        "pooled = " + POOL: "if self.pooling == 'last':\n"
        "            pooled = torch.cat(list(h), dim=-1)\n"
        "        else:\n"
        "            pooled = pool(outputs, lengths, how=self.pooling)",
    },
)
classifier.right(
    "embedding masked once more",
    edits={
        EMBED: "self.dropout(self.embedding(tokens)) * (torch.arange(tokens.shape[1]) < lengths[:, None])[:, :, None]"
    },
)
classifier.right(
    "rows looked up by hand",
    edits={
        EMBED: "self.dropout(self.embedding.weight[tokens])",
        HEAD: "self.dropout(pooled) @ self.head.weight.T + self.head.bias",
    },
)
