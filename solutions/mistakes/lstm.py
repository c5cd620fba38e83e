"""Wrong and alternative right answers: the LSTM over a sentence, and the classifier on top of it."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

layer = Bank("LSTM")

layer.wrong(
    "order i, g, f, o",
    "Your gates are in the order i, g, f, o: the candidate comes before the forget gate. PyTorch's rows are: input "
    "gate i, forget gate f, candidate g, output gate o.",
    edits={"i, f, g, o = torch": "i, g, f, o = torch"},
)

layer.wrong(
    "rows left sorted",
    "Your rows come back in another order: you sort them by length and do not put them back. Row b of the result belongs to row b of x.",
    edits={
        "        outputs, final_h, final_c = [], [], []\n": "        order = lengths.argsort(descending=True, stable=True)\n"
        "        x, lengths, padding = x[order], lengths[order], padding[order]\n"
        "        last = (last[0], (lengths - 1).clamp(min=0))\n        outputs, final_h, final_c = [], [], []\n"
    },
)

layer.wrong(
    "order i, f, o, g",
    "Your gates are in the order i, f, o, g. PyTorch's rows are i, f, g, o, as in your LSTMCell.",
    edits={"i, f, g, o = ": "i, f, o, g = "},
)

layer.wrong(
    "bias_hh missing", "The bias bias_hh is missing in your gates.", edits={"bias_ih + bias_hh": "bias_ih"}
)

STEP_GATES = "torch.addmm(step, h, weight_hh.t())"

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
    "You detach h between the steps, so no gradient reaches earlier steps through h, only through the cell c. Leave "
    "out the detach().",
    edits={STEP_GATES: "torch.addmm(step, h.detach(), weight_hh.t())"},
)

layer.wrong(
    "loop over the batch",
    "Your loop runs over the batch in place of time: time is dim 1 of (B, N, 4H).",
    edits={"from_input.unbind(1)": "from_input.unbind(0)"},
)

STACK = "return torch.stack(hidden, dim=1), torch.stack(cells, dim=1)"

layer.wrong(
    "stacked time first",
    "You stack the steps at dim 0, which makes (N, B, H). The batch is the first axis: stack at dim 1.",
    edits={STACK: "return torch.stack(hidden), torch.stack(cells)"},
)

OUT = "            outputs.append(reverse_padded(h, lengths) if backward else h)\n"

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

MASK = "            h, c = (state.masked_fill(padding[:, :, None], 0.0) for state in (h, c))\n"

FINALS = "            final_h.append(h[last])  # (B, H)\n            final_c.append(c[last])\n"

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

RETURN = "return torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c))"

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

layer.wrong(
    "padding taken out by a product",
    "You set padded steps to zero by a product with a mask. 0 times NaN is NaN, so what stands in the padding can reach your outputs. "
    "`masked_fill` puts a zero there, whatever it was.",
    edits={"state.masked_fill(padding[:, :, None], 0.0)": "state * ~padding[:, :, None]"},
)

layer.wrong(
    "scan with time first",
    "Your `scan` stacks the steps in front, (N, B, H), and `forward` puts that right. Its text asks for (B, N, H): stack along dim 1.",
    edits={
        "return torch.stack(hidden, dim=1), torch.stack(cells, dim=1)": "return torch.stack(hidden), torch.stack(cells)",
        "h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)": "h, c = (s.transpose(0, 1) for s in self.scan(reverse_padded(x, lengths) if backward else x, suffix))",
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

LAST = "last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))"

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


@layer.wrong(
    'c of an empty row',
    'Your final c of a row of length zero is not zero: set c to zero at padded steps as well, not h alone.'
)
class LSTM(nn.Module):

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ('_l0', '_l0_reverse') if bidirectional else ('_l0',)
        for suffix in self.directions:
            self.register_parameter(f'weight_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size, input_size)))
            self.register_parameter(f'weight_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size, hidden_size)))
            self.register_parameter(f'bias_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f'bias_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -hidden_size ** (-0.5), hidden_size ** (-0.5))

    def weights(self, suffix):
        return [getattr(self, name + suffix) for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]

    def scan(self, x, suffix):
        w_ih, w_hh, b_ih, b_hh = self.weights(suffix)
        h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hs, cs = ([], [])
        for step in F.linear(x, w_ih, b_ih + b_hh).unbind(1):
            i, f, g, o = (step + F.linear(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
            cs.append(c)
        return (torch.stack(hs, dim=1), torch.stack(cs, dim=1))

    def forward(self, x, lengths=None):
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        real = (torch.arange(steps, device=x.device) < lengths[:, None]).unsqueeze(-1)
        rows, last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = ([], [], [])
        for suffix in self.directions:
            backward = suffix.endswith('reverse')
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h = h.masked_fill(~real, 0.0)
            final_h.append(h[rows, last])
            final_c.append(c[rows, last])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return (torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c)))


@layer.wrong(
    'states with the batch first',
    'Your final states have the batch in front, (B, directions, H). As in PyTorch the directions come first: (directions, B, H).'
)
class LSTM(nn.Module):

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ('_l0', '_l0_reverse') if bidirectional else ('_l0',)
        for suffix in self.directions:
            self.register_parameter(f'weight_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size, input_size)))
            self.register_parameter(f'weight_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size, hidden_size)))
            self.register_parameter(f'bias_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f'bias_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -hidden_size ** (-0.5), hidden_size ** (-0.5))

    def weights(self, suffix):
        return [getattr(self, name + suffix) for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]

    def scan(self, x, suffix):
        w_ih, w_hh, b_ih, b_hh = self.weights(suffix)
        h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hs, cs = ([], [])
        for step in F.linear(x, w_ih, b_ih + b_hh).unbind(1):
            i, f, g, o = (step + F.linear(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
            cs.append(c)
        return (torch.stack(hs, dim=1), torch.stack(cs, dim=1))

    def forward(self, x, lengths=None):
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        real = (torch.arange(steps, device=x.device) < lengths[:, None]).unsqueeze(-1)
        rows, last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = ([], [], [])
        for suffix in self.directions:
            backward = suffix.endswith('reverse')
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h, c = (h.masked_fill(~real, 0.0), c.masked_fill(~real, 0.0))
            final_h.append(h[rows, last])
            final_c.append(c[rows, last])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return (torch.cat(outputs, dim=-1), (torch.stack(final_h, dim=1), torch.stack(final_c, dim=1)))


@layer.wrong(
    'backward first',
    'Your directions are in the wrong order: the forward one comes first, in the outputs and in the final states.'
)
class LSTM(nn.Module):

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ('_l0', '_l0_reverse') if bidirectional else ('_l0',)
        for suffix in self.directions:
            self.register_parameter(f'weight_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size, input_size)))
            self.register_parameter(f'weight_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size, hidden_size)))
            self.register_parameter(f'bias_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f'bias_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -hidden_size ** (-0.5), hidden_size ** (-0.5))

    def weights(self, suffix):
        return [getattr(self, name + suffix) for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]

    def scan(self, x, suffix):
        w_ih, w_hh, b_ih, b_hh = self.weights(suffix)
        h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hs, cs = ([], [])
        for step in F.linear(x, w_ih, b_ih + b_hh).unbind(1):
            i, f, g, o = (step + F.linear(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
            cs.append(c)
        return (torch.stack(hs, dim=1), torch.stack(cs, dim=1))

    def forward(self, x, lengths=None):
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        real = (torch.arange(steps, device=x.device) < lengths[:, None]).unsqueeze(-1)
        rows, last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = ([], [], [])
        for suffix in reversed(self.directions):
            backward = suffix.endswith('reverse')
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h, c = (h.masked_fill(~real, 0.0), c.masked_fill(~real, 0.0))
            final_h.append(h[rows, last])
            final_c.append(c[rows, last])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return (torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c)))


@layer.wrong(
    'final c of the wrong step',
    "Your final c is the one after the padding. Like h it is the one after a row's last real step."
)
class LSTM(nn.Module):

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ('_l0', '_l0_reverse') if bidirectional else ('_l0',)
        for suffix in self.directions:
            self.register_parameter(f'weight_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size, input_size)))
            self.register_parameter(f'weight_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size, hidden_size)))
            self.register_parameter(f'bias_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f'bias_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -hidden_size ** (-0.5), hidden_size ** (-0.5))

    def weights(self, suffix):
        return [getattr(self, name + suffix) for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]

    def scan(self, x, suffix):
        w_ih, w_hh, b_ih, b_hh = self.weights(suffix)
        h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hs, cs = ([], [])
        for step in F.linear(x, w_ih, b_ih + b_hh).unbind(1):
            i, f, g, o = (step + F.linear(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
            cs.append(c)
        return (torch.stack(hs, dim=1), torch.stack(cs, dim=1))

    def forward(self, x, lengths=None):
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        real = (torch.arange(steps, device=x.device) < lengths[:, None]).unsqueeze(-1)
        rows, last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = ([], [], [])
        for suffix in self.directions:
            backward = suffix.endswith('reverse')
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h = h.masked_fill(~real, 0.0)
            final_h.append(h[rows, last])
            final_c.append(c[:, -1] * (lengths > 0)[:, None])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return (torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c)))


@layer.wrong(
    "backward starts from the forward's end",
    'Your second direction starts from the state in which the first one ended. Each direction starts from zeros.'
)
class LSTM(nn.Module):

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ('_l0', '_l0_reverse') if bidirectional else ('_l0',)
        for suffix in self.directions:
            self.register_parameter(f'weight_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size, input_size)))
            self.register_parameter(f'weight_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size, hidden_size)))
            self.register_parameter(f'bias_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f'bias_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -hidden_size ** (-0.5), hidden_size ** (-0.5))

    def weights(self, suffix):
        return [getattr(self, name + suffix) for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]

    def scan(self, x, suffix):
        w_ih, w_hh, b_ih, b_hh = self.weights(suffix)
        h, c = getattr(self, '_state', (None, None))
        if h is None or h.shape[0] != x.shape[0]:
            h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hs, cs = ([], [])
        for step in F.linear(x, w_ih, b_ih + b_hh).unbind(1):
            i, f, g, o = (step + F.linear(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
            cs.append(c)
        self._state = (h.detach(), c.detach())
        return (torch.stack(hs, dim=1), torch.stack(cs, dim=1))

    def forward(self, x, lengths=None):
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        real = (torch.arange(steps, device=x.device) < lengths[:, None]).unsqueeze(-1)
        rows, last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = ([], [], [])
        for suffix in self.directions:
            backward = suffix.endswith('reverse')
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h, c = (h.masked_fill(~real, 0.0), c.masked_fill(~real, 0.0))
            final_h.append(h[rows, last])
            final_c.append(c[rows, last])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return (torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c)))


@layer.right('masked_fill and gather')
class LSTM(nn.Module):

    def __init__(self, input_size, hidden_size, bidirectional=False):
        super().__init__()
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.directions = ('_l0', '_l0_reverse') if bidirectional else ('_l0',)
        for suffix in self.directions:
            self.register_parameter(f'weight_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size, input_size)))
            self.register_parameter(f'weight_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size, hidden_size)))
            self.register_parameter(f'bias_ih{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
            self.register_parameter(f'bias_hh{suffix}', nn.Parameter(torch.empty(4 * hidden_size)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -hidden_size ** (-0.5), hidden_size ** (-0.5))

    def weights(self, suffix):
        return [getattr(self, name + suffix) for name in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')]

    def scan(self, x, suffix):
        w_ih, w_hh, b_ih, b_hh = self.weights(suffix)
        h = c = x.new_zeros(x.shape[0], self.hidden_size)
        hs, cs = ([], [])
        for step in F.linear(x, w_ih, b_ih + b_hh).unbind(1):
            i, f, g, o = (step + F.linear(h, w_hh)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            hs.append(h)
            cs.append(c)
        return (torch.stack(hs, dim=1), torch.stack(cs, dim=1))

    def forward(self, x, lengths=None):
        batch, steps, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), steps, device=x.device)
        real = (torch.arange(steps, device=x.device) < lengths[:, None]).unsqueeze(-1)
        rows, last = (torch.arange(batch, device=x.device), (lengths - 1).clamp(min=0))
        outputs, final_h, final_c = ([], [], [])
        for suffix in self.directions:
            backward = suffix.endswith('reverse')
            h, c = self.scan(reverse_padded(x, lengths) if backward else x, suffix)
            h, c = (h.masked_fill(~real, 0.0), c.masked_fill(~real, 0.0))
            final_h.append(h[rows, last])
            final_c.append(c[rows, last])
            outputs.append(reverse_padded(h, lengths) if backward else h)
        return (torch.cat(outputs, dim=-1), (torch.stack(final_h), torch.stack(final_c)))


classifier = Bank("LSTMClassifier")

classifier.wrong(
    "dropout before the pooling",
    "Your second dropout acts on every step, before the pooling. It belongs on the pooled vector: one draw per feature of a sentence.",
    edits={
        "outputs, _ = self.lstm(embedded, lengths)": "outputs = self.dropout(self.lstm(embedded, lengths)[0])",
        "self.head(self.dropout(pooled))": "self.head(pooled)",
    },
)

READ = "self.lstm(embedded, lengths)"

classifier.wrong(
    "lengths not given to the LSTM",
    "You do not tell the LSTM the lengths, so it reads padding as if it were words.",
    edits={READ: "self.lstm(embedded)"},
)

POOL = "pool(outputs, lengths, self.pooling, self.lstm.bidirectional)"

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

EMBED = "self.dropout(self.embedding(tokens))"

classifier.wrong(
    "no dropout on the embeddings",
    "There is no dropout on your embeddings.",
    edits={EMBED: "self.embedding(tokens)"},
)

HEAD = "self.head(self.dropout(pooled))"

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
    "There is a ReLU in front of your head. The description has none: it sets every negative number of the pooled "
    "vector to zero.",
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

classifier.wrong(
    "row 0 is trained",
    "You look the rows up past the embedding layer, so a `<pad>` among the words trains row 0. Call `self.embedding`: its `padding_idx` keeps "
    "that row as it is.",
    edits={EMBED: "self.dropout(self.embedding.weight[tokens])"},
)

classifier.right(
    "head by hand",
    edits={
        HEAD: "self.dropout(pooled) @ self.head.weight.T + self.head.bias",
    },
)


classifier.wrong(
    'always bidirectional',
    "You tell `pool` that there are two directions even when there is one. Hand it the LSTM's own `bidirectional`.",
    edits={
        "embedded = self.dropout(self.embedding(tokens))  # (B, N, embed_dim)\n"
        "        outputs, _ = self.lstm(embedded, lengths)  # (B, N, hidden_dim or 2 hidden_dim)\n"
        "        pooled = pool(outputs, lengths, self.pooling, self.lstm.bidirectional)\n"
        "        return self.head(self.dropout(pooled))": "outputs, _ = self.lstm(self.dropout(self.embedding(tokens)), lengths)\n"
        "        return self.head(self.dropout(pool(outputs, lengths, self.pooling, bidirectional=True)))",
    },
)


classifier.wrong(
    'lengths from the tokens',
    'You count the lengths yourself, from the tokens that are not 0. The given `lengths` say where a sentence ends.',
    edits={
        "embedded = self.dropout(self.embedding(tokens))  # (B, N, embed_dim)\n"
        "        outputs, _ = self.lstm(embedded, lengths)  # (B, N, hidden_dim or 2 hidden_dim)\n"
        "        pooled = pool(outputs, lengths, self.pooling, self.lstm.bidirectional)\n"
        "        return self.head(self.dropout(pooled))": "lengths = (tokens != 0).sum(dim=1)\n"
        "        outputs, _ = self.lstm(self.dropout(self.embedding(tokens)), lengths)\n"
        "        return self.head(self.dropout(pool(outputs, lengths, self.pooling, self.lstm.bidirectional)))",
    },
)


classifier.right(
    "longest first, as packing wants it",
    edits={
        "embedded = self.dropout(self.embedding(tokens))": "order = lengths.argsort(descending=True)\n"
        "        tokens, lengths = tokens[order], lengths[order]\n"
        "        embedded = self.dropout(self.embedding(tokens))",
        "return self.head(self.dropout(pooled))": "return self.head(self.dropout(pooled))[order.argsort()]",
    },
)


@classifier.right('functional, as well')
class LSTMClassifier(nn.Module):

    def __init__(self, vocab_size, embed_dim=128, hidden_dim=128, num_classes=2, pooling='max', dropout=0.4, bidirectional=True):
        super().__init__()
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0.0
        self.lstm = LSTM(embed_dim, hidden_dim, bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_dim * (2 if bidirectional else 1), num_classes)

    def forward(self, tokens, lengths):

        def drop(t):
            return F.dropout(t, p=self.dropout.p, training=self.training)
        outputs = self.lstm(drop(self.embedding(tokens)), lengths=lengths)[0]
        vector = pool(outputs, lengths, how=self.pooling, bidirectional=len(self.lstm.directions) == 2)
        return F.linear(drop(vector), self.head.weight, self.head.bias)


classifier.wrong(
    "whole words dropped",
    "Your dropout on the embeddings drops whole words. It should act on each number by itself: `self.dropout` of the embeddings.",
    edits={
        "embedded = self.dropout(self.embedding(tokens))": "embedded = self.embedding(tokens)\n"
        "        embedded = embedded * self.dropout(torch.ones_like(embedded[..., 0]))[..., None]"
    },
)

classifier.wrong(
    "a probability of its own",
    "Your dropout has a probability of its own, whatever the constructor was asked for. Use `self.dropout`.",
    edits={
        "self.dropout(self.embedding(tokens))": "F.dropout(self.embedding(tokens), 0.4, self.training)",
        "self.head(self.dropout(pooled))": "self.head(F.dropout(pooled, 0.4, self.training))",
    },
)
