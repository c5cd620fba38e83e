"""Wrong and alternative right answers: one step of an LSTM."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

cell = Bank("LSTMCell")

cell.wrong(
    "order i, g, f, o",
    "Your gates are in the order i, g, f, o: the candidate comes before the forget gate. PyTorch's rows are: input "
    "gate i, forget gate f, candidate g, output gate o.",
    edits={"i, f, g, o = gates": "i, g, f, o = gates"},
)

cell.wrong(
    "order i, f, o, g",
    "Your gates are in the order i, f, o, g. PyTorch's rows are i, f, g, o: the candidate comes before the output gate.",
    edits={"i, f, g, o = ": "i, f, o, g = "},
)

cell.wrong(
    "cell kept small",
    "You limit the new cell to a range. The cell is the long memory and may count as far as it likes; only h is squashed, by its tanh.",
    edits={"c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)": "c = (torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)).clamp(-9, 9)"},
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
    "Your candidate g goes through a sigmoid, so what is added to the cell is never negative. It needs a tanh, "
    "whose values can be.",
    edits={"torch.tanh(g)": "torch.sigmoid(g)"},
)

cell.wrong(
    "input gate through a tanh",
    "Your input gate goes through a tanh. A gate is a fraction between 0 and 1: a sigmoid.",
    edits={"torch.sigmoid(i)": "torch.tanh(i)"},
)

NEW_C = "        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n"

NEW_H = "        h = torch.sigmoid(o) * torch.tanh(c)\n"

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

GATES = "F.linear(x, self.weight_ih, self.bias_ih) + F.linear(h, self.weight_hh, self.bias_hh)"

cell.right(
    "one matrix for x and h",
    edits={
        GATES: "torch.cat([x, h], -1) @ torch.cat([self.weight_ih, self.weight_hh], 1).t() + self.bias_hh + self.bias_ih"
    },
)

CHUNK = "i, f, g, o = gates.chunk(4, dim=-1)"

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


cell.wrong(
    'forget bias of one',
    "You add 1 to the forget gate before its sigmoid, as some libraries do. Here the biases are what the parameters "
    "say: leave the 1 out.",
    edits={
        "c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n"
        "        h = torch.sigmoid(o) * torch.tanh(c)\n"
        "        return h, c": "c = (f + 1.0).sigmoid() * c + i.sigmoid() * g.tanh()\n"
        "        return (o.sigmoid() * c.tanh(), c)",
    },
)


cell.right(
    'chunk',
    edits={
        "c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)\n"
        "        h = torch.sigmoid(o) * torch.tanh(c)": "c = f.sigmoid() * c + i.sigmoid() * g.tanh()\n"
        "        h = o.sigmoid() * c.tanh()",
    },
)


cell.wrong(
    'candidate squashed twice',
    'Your candidate goes through a sigmoid and then a tanh, so it is never negative. The sigmoid belongs to the three gates; the candidate gets a tanh alone.',
    edits={
        'torch.tanh(g)': 'torch.tanh(torch.sigmoid(g))',
    },
)
