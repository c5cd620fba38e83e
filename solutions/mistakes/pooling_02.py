"""Wrong and right answers for `pool` and `LSTMClassifier` (notebook 02)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from utils.grading.bank import Bank

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
