"""Wrong and alternative right answers to the exercises of notebook 03."""

from __future__ import annotations

import math

import torch
from torch import nn

from utils.checks.bank import Bank

mask_bank = Bank("padding_mask")

mask_bank.wrong(
    "inverted",
    "Your mask is upside down: it is True on the padding. In this course True means a real token.",
    edits={"positions < lengths[:, None]": "positions >= lengths[:, None]"},
)
mask_bank.wrong(
    "one word too many",
    "Your mask is True for one position too many. Positions count from 0, so a sentence of length 3 fills 0, 1 and 2.",
    edits={"positions < lengths[:, None]": "positions <= lengths[:, None]"},
)
mask_bank.wrong(
    "one word too few",
    "Your mask hides the last word of every sentence. Which position does the last of 3 words stand at?",
    edits={"positions < lengths[:, None]": "positions < lengths[:, None] - 1"},
)
mask_bank.wrong(
    "padding at the left",
    "Your mask says that the padding comes first. `collate` puts the words at the left of a row and the padding behind them.",
    edits={"positions < lengths[:, None]": "positions >= max_length - lengths[:, None]"},
)
mask_bank.wrong(
    "words by sentences",
    "Your mask is turned around: rows should be sentences and columns positions. Look at where the axis of size 1 is "
    "when the two are compared.",
    edits={"positions < lengths[:, None]": "positions[:, None] < lengths"},
)
mask_bank.wrong(
    "shaped for attention",
    "Your mask is (B, 1, N), the shape that attention wants. Return (B, N) here: pooling needs it so, and whoever calls "
    "attention adds the axis.",
    edits={"positions < lengths[:, None]": "positions < lengths[:, None, None]"},
)
mask_bank.wrong(
    "a square per sentence",
    "Your mask holds an N by N square for every sentence. Asked for is one value per token, (B, N).",
    edits={
        "return positions < lengths[:, None]": "real = positions < lengths[:, None]\n    return real[:, :, None] & real[:, None, :]"
    },
)
mask_bank.wrong(
    "numbers instead of booleans",
    "Your mask holds the numbers 0 and 1. Return booleans: `~mask` and `masked_fill` need them.",
    edits={"return positions < lengths[:, None]": "return (positions < lengths[:, None]).long()"},
)
mask_bank.wrong(
    "additive mask",
    "Your mask holds 0 and minus infinity, to be added to the scores. The course's masks are boolean, True = a real token.",
    edits={
        "return positions < lengths[:, None]": "return torch.zeros(len(lengths), max_length).masked_fill("
        "positions >= lengths[:, None], float('-inf'))"
    },
)
mask_bank.wrong(
    "max_length ignored",
    "Your mask is always as wide as the longest sentence. Where `max_length` is given, the batch is that wide.",
    edits={"if max_length is None:": "if True:"},
)
mask_bank.wrong(
    "as wide as the batch is high",
    "Your mask has as many columns as there are sentences. The width should be the longest length, not the number of lengths.",
    edits={"max_length = int(lengths.max())": "max_length = len(lengths)"},
)
mask_bank.wrong(
    "first sentence's width",
    "Your mask is as wide as the first sentence is long. The longest sentence may stand anywhere in the batch.",
    edits={"int(lengths.max())": "int(lengths[0])"},
)


@mask_bank.right("a loop over the sentences")
def padding_mask(lengths, max_length=None):
    width = max_length or max(lengths.tolist())
    mask = torch.zeros(len(lengths), width, dtype=torch.bool)
    for row, length in enumerate(lengths.tolist()):
        mask[row, :length] = True
    return mask


@mask_bank.right("expand and compare")
def padding_mask(lengths, max_length=None):
    n = lengths.max().item() if max_length is None else max_length
    grid = torch.arange(n).unsqueeze(0).expand(lengths.shape[0], n)
    return grid.lt(lengths.unsqueeze(1).expand_as(grid))


@mask_bank.right("rows of a triangle")
def padding_mask(lengths, max_length=None):
    n = int(lengths.max()) if max_length is None else max_length
    triangle = torch.ones(n + 1, n, dtype=torch.bool).tril(-1)
    return triangle[lengths.long()]


@mask_bank.right("nested lists")
def padding_mask(lengths, max_length=None):
    n = max_length if max_length is not None else int(max(lengths))
    return torch.tensor([[i < length for i in range(n)] for length in lengths.tolist()])


@mask_bank.right("cumulative sum, inverted at the end")
def padding_mask(lengths, max_length=None):
    n = int(torch.amax(lengths)) if max_length is None else max_length
    count = torch.ones(len(lengths), n).cumsum(dim=1)
    return ~(count > lengths.view(-1, 1))


encoder_bank = Bank("TransformerEncoder")

encoder_bank.wrong(
    "one layer, used several times",
    "Your layers share their weights: `[layer] * n` repeats one and the same object. Build a new layer for every place.",
    edits={
        "EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)\n            for _ in range(num_layers)": "[EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)] * num_layers"
    },
)
encoder_bank.wrong(
    "a plain list",
    "Your layers are in a plain Python list, where PyTorch cannot see their parameters: nothing in them would train. Use "
    "`nn.ModuleList`.",
    edits={
        "nn.ModuleList(\n            EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)\n            for _ in range(num_layers)\n        )": "[EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation) for _ in range(num_layers)]"
    },
)
encoder_bank.wrong(
    "no last norm",
    "Your encoder has no last norm for pre-LN. What the last layer adds to the residual stream would leave it unnormalised.",
    edits={"nn.LayerNorm(dim) if norm_first else nn.Identity()": "nn.Identity()"},
)
encoder_bank.wrong(
    "a last norm with post-LN as well",
    "Your encoder ends with a norm for post-LN as well. There the last layer has just normalised its output itself.",
    edits={"nn.LayerNorm(dim) if norm_first else nn.Identity()": "nn.LayerNorm(dim)"},
)
encoder_bank.wrong(
    "last norm the wrong way round",
    "Your last norm is there for post-LN and missing for pre-LN: it is the other way round.",
    edits={
        "nn.LayerNorm(dim) if norm_first else nn.Identity()": "nn.Identity() if norm_first else nn.LayerNorm(dim)"
    },
)
encoder_bank.wrong(
    "last norm built, not used",
    "Your forward never calls `self.norm`: it is built in `__init__` and has no effect.",
    edits={"return self.norm(x)": "return x"},
)
encoder_bank.wrong(
    "norm in front",
    "Your `norm` stands in front of the first layer. It belongs behind the last one.",
    edits={
        "for layer in self.layers:\n            x = layer(x, mask)\n        return self.norm(x)": "x = self.norm(x)\n        for layer in self.layers:\n            x = layer(x, mask)\n        return x"
    },
)
encoder_bank.wrong(
    "norm after every layer",
    "Your `norm` is applied after every layer. In pre-LN the residual stream runs through all layers untouched, and is "
    "normalised once, at the end.",
    edits={
        "x = layer(x, mask)\n        return self.norm(x)": "x = self.norm(layer(x, mask))\n        return x"
    },
)
encoder_bank.wrong(
    "mask forgotten",
    "Your layers never get the mask, so words attend to padding. Pass it on to every layer.",
    edits={"layer(x, mask)": "layer(x)"},
)
encoder_bank.wrong(
    "mask for the first layer only",
    "Only your first layer gets the mask. Padding must be hidden in every layer: each attends anew.",
    edits={"x = layer(x, mask)": "x = layer(x, mask)\n            mask = None"},
)
encoder_bank.wrong(
    "mask inverted",
    "Your mask reaches the layers upside down. True means may attend, here and in `EncoderLayer`: pass it on as it is.",
    edits={"layer(x, mask)": "layer(x, None if mask is None else ~mask)"},
)
encoder_bank.wrong(
    "last layer first",
    "Your layers run in the wrong order, from the last to the first.",
    edits={"for layer in self.layers:": "for layer in reversed(self.layers):"},
)
encoder_bank.wrong(
    "every layer reads the input",
    "Each of your layers reads the encoder's input, and only the last one's answer is kept. A layer should read what the one "
    "before it wrote.",
    edits={
        "for layer in self.layers:\n            x = layer(x, mask)\n        return self.norm(x)": "for layer in self.layers:\n            y = layer(x, mask)\n        return self.norm(y)"
    },
)
encoder_bank.wrong(
    "a residual around every layer",
    "You add the input of a layer to its output. A layer has its residual connections inside; outside there is none.",
    edits={"x = layer(x, mask)": "x = x + layer(x, mask)"},
)
encoder_bank.wrong(
    "norm order not passed on",
    "Your layers are built without `norm_first`, so they are always post-LN, whatever the encoder was asked for.",
    edits={
        "hidden_dim, norm_first, dropout, activation)": "hidden_dim, dropout=dropout, activation=activation)"
    },
)
encoder_bank.wrong(
    "dropout not passed on",
    "Your layers are built without `dropout`, so nothing is dropped in training.",
    edits={"norm_first, dropout, activation)": "norm_first, activation=activation)"},
)
encoder_bank.wrong(
    "activation not passed on",
    "Your layers are built without `activation`, so they use the default one, whatever the encoder was asked for.",
    edits={"dropout, activation)": "dropout)"},
)
encoder_bank.wrong(
    "one layer too few",
    "Your encoder has one layer fewer than `num_layers` says. Count what your `range` gives.",
    edits={"range(num_layers)": "range(1, num_layers)"},
)
encoder_bank.wrong(
    "only the last token",
    "Your encoder returns one vector per sentence. It should return all tokens, (B, N, D): pooling comes later.",
    edits={"return self.norm(x)": "return self.norm(x)[:, -1]"},
)


@encoder_bank.right("append in a loop, call by index")
class TransformerEncoder(nn.Module):
    def __init__(
        self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation="relu"
    ):
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(num_layers):
            self.layers.append(
                EncoderLayer(
                    dim=dim,
                    num_heads=num_heads,
                    hidden_dim=hidden_dim,
                    norm_first=norm_first,
                    dropout=dropout,
                    activation=activation,
                )
            )
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x, mask=None):
        for i in range(len(self.layers)):
            x = self.layers[i](x, mask=mask)
        return self.norm(x)


@encoder_bank.right("norm only where it is needed")
class TransformerEncoder(nn.Module):
    def __init__(
        self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation="relu"
    ):
        super().__init__()
        sizes = (dim, num_heads, hidden_dim, norm_first, dropout, activation)
        self.layers = nn.ModuleList([EncoderLayer(*sizes) for _ in range(num_layers)])
        self.norm = None
        if norm_first:
            self.norm = nn.LayerNorm(dim)

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return x if self.norm is None else self.norm(x)


@encoder_bank.right("deep copies of one layer, functools.reduce")
class TransformerEncoder(nn.Module):
    def __init__(
        self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation="relu"
    ):
        super().__init__()
        import copy

        layer = EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Sequential()

    def forward(self, x, mask=None):
        import functools

        return self.norm(functools.reduce(lambda tokens, layer: layer(tokens, mask), self.layers, x))


@encoder_bank.right("the library's layers inside")
class TransformerEncoder(nn.Module):
    def __init__(
        self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation="relu"
    ):
        super().__init__()
        from utils.stand_ins import EncoderLayer as LibraryLayer

        self.layers = nn.ModuleList(
            LibraryLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


classifier_bank = Bank("TransformerClassifier")

SCALE = " * math.sqrt(self.embedding.embedding_dim)"
CLS_IN_FRONT = "x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)"
POSITIONS = "sinusoidal_positions(x.shape[1], x.shape[2]).to(x)"
MEAN = "x.masked_fill(~real[:, :, None], 0.0).sum(dim=1) / lengths[:, None]"

classifier_bank.wrong(
    "embeddings not scaled",
    "Your embeddings are not multiplied by sqrt(D). They are small numbers, and the positions would drown them.",
    edits={SCALE: ""},
)
classifier_bank.wrong(
    "embeddings scaled by D",
    "Your embeddings are multiplied by D. The factor is the square root of it.",
    edits={SCALE: " * self.embedding.embedding_dim"},
)
classifier_bank.wrong(
    "positions forgotten",
    "Your tokens do not know where they stand: the positions are missing, and a sentence would be a bag of words.",
    edits={f"x + {POSITIONS}": "x"},
)
classifier_bank.wrong(
    "positions scaled too",
    "Your positions are multiplied by sqrt(D) as well. Scale the embeddings first, then add the positions as they are.",
    edits={SCALE: "", f"x + {POSITIONS}": f"(x + {POSITIONS}) * math.sqrt(self.embedding.embedding_dim)"},
)
classifier_bank.wrong(
    "positions count from 1",
    "Your positions are shifted by one: whatever stands first in the row has position 0.",
    edits={POSITIONS: "sinusoidal_positions(x.shape[1] + 1, x.shape[2])[1:].to(x)"},
)
classifier_bank.wrong(
    "class token at the end",
    "Your class token stands behind the padding, and forward reads the first token. Put it in front of the first word.",
    edits={CLS_IN_FRONT: "x = torch.cat([x, self.cls.expand(x.shape[0], 1, -1)], dim=1)"},
)
classifier_bank.wrong(
    "class token without a position",
    "Your class token comes in after the positions were added: it should be the token at position 0, and the first word "
    "the one at position 1.",
    edits={
        'if self.pooling == "cls":\n            x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)  # (B, 1 + N, D)\n        '
        f"return x + {POSITIONS}": f"x = x + {POSITIONS}\n        "
        'if self.pooling == "cls":\n            x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)\n        return x'
    },
)
classifier_bank.wrong(
    "class token scaled",
    "Your class token is multiplied by sqrt(D) too. It goes in as it is; only the words' embeddings are scaled.",
    edits={CLS_IN_FRONT: "x = torch.cat([self.cls.expand(x.shape[0], 1, -1)" + SCALE + ", x], dim=1)"},
)
classifier_bank.wrong(
    "class token not counted in the mask",
    "Your mask does not count the class token: with it a sentence of length 3 has 4 real tokens, and yours hides its last word.",
    edits={"lengths = lengths + 1": "lengths = lengths + 0"},
)
classifier_bank.wrong(
    "mask shifted in front of the class token",
    "Your mask hides the class token from everybody, itself included. It is a real token: True in the mask.",
    edits={
        "lengths = lengths + 1  # the class token is a real token\n        real = padding_mask(lengths, x.shape[1])": "lengths = lengths + 1\n        real = padding_mask(lengths, x.shape[1])\n"
        '        if self.pooling == "cls":\n            real = torch.cat([torch.zeros_like(real[:, :1]), real[:, 1:]], dim=1)'
    },
)
classifier_bank.wrong(
    "mean over the padding as well",
    "Your mean runs over the padded positions as well. Only real tokens count, in the sum and in what you divide by.",
    edits={MEAN: "x.mean(dim=1)"},
)
classifier_bank.wrong(
    "sum over the padding, divided by the length",
    "Your sum runs over the padded positions as well; what you divide by is right. Set the padding to zero first.",
    edits={MEAN: "x.sum(dim=1) / lengths[:, None]"},
)
classifier_bank.wrong(
    "divided by the width of the batch",
    "You add up the real tokens only, and divide by the width of the batch. Divide by how many you added up.",
    edits={MEAN: "x.masked_fill(~real[:, :, None], 0.0).mean(dim=1)"},
)
classifier_bank.wrong(
    "sum instead of mean",
    "You add the tokens up and do not divide, so a long sentence shouts louder than a short one.",
    edits={MEAN: "x.masked_fill(~real[:, :, None], 0.0).sum(dim=1)"},
)
classifier_bank.wrong(
    "mean of the padding",
    "You pool the padding and set the words to zero. `masked_fill` fills where its mask is True.",
    edits={MEAN: "x.masked_fill(real[:, :, None], 0.0).sum(dim=1) / lengths[:, None]"},
)
classifier_bank.wrong(
    "encoder without a mask",
    "Your encoder gets no mask, so words attend to padding.",
    edits={"self.encoder(x, real[:, None, :])": "self.encoder(x)"},
)
classifier_bank.wrong(
    "mask shaped for the queries",
    "Your mask hides queries in place of keys: with [:, :, None] padded tokens see nothing, and words still see the padding. "
    "Which of the last two axes is the keys'?",
    edits={"real[:, None, :])": "real[:, :, None].expand(-1, -1, x.shape[1]))"},
)
classifier_bank.wrong(
    "attention mask inverted",
    "Your encoder's mask is upside down: words may attend to padding only.",
    edits={"real[:, None, :])": "~real[:, None, :])"},
)
classifier_bank.wrong(
    "last token instead of the class token",
    'With "cls" you read the last token of the row. The class token is the first.',
    edits={"x[:, 0]": "x[:, -1]"},
)
classifier_bank.wrong(
    "always the mean",
    'With "cls" you take the mean of all tokens. There the class token alone is the sentence\'s vector.',
    edits={
        'if self.pooling == "cls":\n            pooled = x[:, 0]  # (B, D)': "if False:\n            pooled = x"
    },
)
classifier_bank.wrong(
    "probabilities instead of logits",
    "You return probabilities. The loss takes logits and does the softmax itself.",
    edits={
        "return self.head(self.dropout(pooled))": "return self.head(self.dropout(pooled)).softmax(dim=-1)"
    },
)
classifier_bank.wrong(
    "no dropout on the pooled vector",
    "Your pooled vector goes to the head without dropout.",
    edits={"self.head(self.dropout(pooled))": "self.head(pooled)"},
)
classifier_bank.wrong(
    "logits for every token",
    "You return logits for every token. Pool first: one row of logits per sentence.",
    edits={"return self.head(self.dropout(pooled))": "return self.head(self.dropout(x))"},
)

classifier_bank.right(
    "einsum",
    edits={MEAN: "torch.einsum('bnd,bn->bd', x, real.to(x.dtype)) / real.sum(dim=1, keepdim=True)"},
)
classifier_bank.right(
    "a loop over the sentences",
    edits={MEAN: "torch.stack([row[:n].mean(dim=0) for row, n in zip(x, lengths.tolist(), strict=True)])"},
)
classifier_bank.right(
    "a square mask per sentence",
    edits={"real[:, None, :])": "real[:, None, :].expand(-1, x.shape[1], -1))"},
)
classifier_bank.right(
    "einops",
    edits={
        CLS_IN_FRONT: "from einops import pack, repeat\n\n            x, _ = pack([repeat(self.cls, 'd -> b 1 d', b=len(x)), x], 'b * d')",
        "real[:, None, :])": "real.unsqueeze(1))",
    },
)
classifier_bank.right(
    "positions cut out of a longer table, float64 inside",
    edits={
        f"x + {POSITIONS}": "(x.double() + sinusoidal_positions(512, x.shape[2]).double()[: x.shape[1]]).to(x.dtype)",
        SCALE: " * self.embedding.weight.shape[1] ** 0.5",
    },
)
classifier_bank.right(
    "matrix product as mean, mask by hand",
    edits={
        "real = padding_mask(lengths, x.shape[1])": "real = torch.arange(x.shape[1]) < lengths.view(-1, 1)",
        MEAN: "((real / lengths[:, None]).to(x.dtype)[:, None, :] @ x).squeeze(1)",
    },
)


schedule_bank = Bank("warmup_cosine")

schedule_bank.wrong(
    "whole-number division",
    "Your warm-up divides whole numbers with `//`: the factor is 0 during all of it, and nothing is learned.",
    edits={"step / warmup_steps": "step // warmup_steps"},
)
schedule_bank.wrong(
    "warm-up one step early",
    "Your warm-up runs one step ahead: it should be 0 at step 0 and reach 1 at step `warmup_steps`, not before.",
    edits={"step / warmup_steps": "(step + 1) / warmup_steps"},
)
schedule_bank.wrong(
    "warm-up counted by the whole training",
    "Your warm-up divides by `total_steps`, so it never gets to 1 before the cosine begins with a jump.",
    edits={"step / warmup_steps": "step / total_steps"},
)
schedule_bank.wrong(
    "no warm-up",
    "Your factor begins at 1: there is no warm-up.",
    edits={"return step / warmup_steps": "return 1.0"},
)
schedule_bank.wrong(
    "cosine over the whole training",
    "Your cosine counts its progress from step 0, so it starts lower than the warm-up ended. It should begin where the "
    "warm-up ends.",
    edits={"(step - warmup_steps) / (total_steps - warmup_steps)": "step / total_steps"},
)
schedule_bank.wrong(
    "cosine too slow",
    "Your cosine does not reach 0 at `total_steps`: it divides by all steps, and has only those after the warm-up.",
    edits={"(step - warmup_steps) / (total_steps - warmup_steps)": "(step - warmup_steps) / total_steps"},
)
schedule_bank.wrong(
    "quarter of a wave",
    "Your factor falls along a quarter of a wave. Half a wave is meant: it begins flat, falls, and ends flat; 1/2 at half time.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "math.cos(math.pi / 2 * progress)"},
)
schedule_bank.wrong(
    "degrees",
    "Your cosine is given degrees. `math.cos` takes radians: half a wave is pi, not 180.",
    edits={"math.cos(math.pi * progress)": "math.cos(180 * progress)"},
)
schedule_bank.wrong(
    "cosine between -1 and 1",
    "Your factor is the bare cosine, which falls from 1 to -1: a negative learning rate walks uphill. Squeeze it into 0 to 1.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "math.cos(math.pi * progress)"},
)
schedule_bank.wrong(
    "not halved",
    "Your factor begins at 2: 1 + cos is halved to end up between 0 and 1.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "1 + math.cos(math.pi * progress)"},
)
schedule_bank.wrong(
    "rises instead of falls",
    "Your cosine is upside down: it begins at 0 and rises to 1.",
    edits={"(1 + math.cos(math.pi * progress))": "(1 - math.cos(math.pi * progress))"},
)
schedule_bank.wrong(
    "straight line down",
    "Your factor falls along a straight line. It should follow half a cosine.",
    edits={"0.5 * (1 + math.cos(math.pi * progress))": "1 - progress"},
)
schedule_bank.wrong(
    "up again after the end",
    "After `total_steps` your factor rises again. It should stay at 0.",
    edits={
        "min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))": "(step - warmup_steps) / (total_steps - warmup_steps)"
    },
)
schedule_bank.wrong(
    "a whole wave",
    "Your factor falls and rises again before the end: a whole wave (2 pi). Half a wave ends at the bottom.",
    edits={"math.pi * progress": "2 * math.pi * progress"},
)


@schedule_bank.right("half-angle formula")
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps
    if step >= total_steps:
        return 0.0
    return math.cos(math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)) ** 2


@schedule_bank.right("both ramps, then the smaller")
def warmup_cosine(step, warmup_steps, total_steps):
    up = step / warmup_steps if warmup_steps else 1.0
    done = max(0, min(step, total_steps) - warmup_steps) / (total_steps - warmup_steps)
    return min(up, 0.5 + 0.5 * math.cos(done * math.pi))


@schedule_bank.right("with torch, as a tensor")
def warmup_cosine(step, warmup_steps, total_steps):
    if step < warmup_steps:
        return torch.tensor(step / warmup_steps, dtype=torch.float64)
    progress = torch.tensor((step - warmup_steps) / (total_steps - warmup_steps), dtype=torch.float64)
    return (1 + torch.cos(torch.pi * progress.clamp(0, 1))) / 2


@schedule_bank.right("in degrees, converted")
def warmup_cosine(step, warmup_steps, total_steps):
    if step <= warmup_steps and warmup_steps > 0:
        return step / warmup_steps
    angle = 180 * min(step - warmup_steps, total_steps - warmup_steps) / (total_steps - warmup_steps)
    return (1 + math.cos(math.radians(angle))) / 2


compare_bank = Bank("compare_models")

SEED = "                torch.manual_seed(seed)\n"
PART = "part = examples[:size]"

compare_bank.wrong(
    "never seeded",
    "You never set the random state, so a second run of your experiment gives other numbers. Seed before every model is built.",
    edits={SEED: ""},
)
compare_bank.wrong(
    "seeded once per seed",
    "You set the random state once per seed, not before every training: each training uses up random numbers, so the "
    "models that come later begin elsewhere.",
    edits={
        SEED: "",
        "examples = shuffled(seed)": "examples = shuffled(seed)\n        torch.manual_seed(seed)",
    },
)
compare_bank.wrong(
    "seeded after the model is built",
    "You set the random state after the model is built. Its initial weights are drawn while it is built: seed first.",
    edits={
        SEED + "                model = build()\n": "                model = build()\n" + SEED,
    },
)
compare_bank.wrong(
    "one seed for all",
    "Every one of your trainings begins from one and the same random state. Use the seed of the loop, else several seeds "
    "tell no more than one.",
    edits={SEED: SEED.replace("seed)", "0)")},
)
compare_bank.wrong(
    "other examples for every model",
    "Your models are trained on different examples of the same number. Draw the part once and give it to all of them, else "
    "you compare data, not models.",
    edits={
        "model = build()": "model = build()\n                part = shuffled(seed + len(name))[:size]",
    },
)
compare_bank.wrong(
    "parts not nested",
    "Your parts are drawn anew for every size. Take them from one order, so that a larger part contains the smaller ones.",
    edits={PART: "part = shuffled(seed + size)[:size]"},
)
compare_bank.wrong(
    "not shuffled",
    "You take the first examples of the training set as it is, the same ones for every seed. Take them from `shuffled(seed)`: "
    "files are often sorted.",
    edits={"shuffled(seed)\n        for": "list(train)\n        for"},
)
compare_bank.wrong(
    "from the end",
    "You take the last examples of the order. The part of size n is the first n.",
    edits={PART: "part = examples[-size:]"},
)
compare_bank.wrong(
    "one example too many",
    "Your parts are one example too large: [:n] already gives n.",
    edits={PART: "part = examples[: size + 1]"},
)
compare_bank.wrong(
    "size ignored",
    "You train on the whole training set whatever the size. Cut it to the first `size` examples.",
    edits={PART: "part = examples"},
)
compare_bank.wrong(
    "trained on the test set as well",
    "You put the test examples into what the model is trained on. Then the test says how well it remembers, not how well it "
    "reads.",
    edits={"fit(model, part, steps)": "fit(model, [*part, *test], steps)"},
)
compare_bank.wrong(
    "trained on the test set alone",
    "You train on the test set. Train on the part, and keep the test set for `score`.",
    edits={"fit(model, part, steps)": "fit(model, test, steps)"},
)
compare_bank.wrong(
    "one model for all sizes",
    "You build each model once and go on training it, size after size. It remembers the parts before: build a fresh one for "
    "every training.",
    edits={
        "rows = []\n": "rows = []\n    torch.manual_seed(seeds[0])\n    built = {name: build() for name, build in factories.items()}\n",
        "model = build()": "model = built[name]",
    },
)
compare_bank.wrong(
    "steps grow with the size",
    "Your number of steps grows with the size, so the small parts are trained less. Equal budget means the same steps for all.",
    edits={"fit(model, part, steps)": "fit(model, part, steps * size // max(sizes))"},
)
compare_bank.wrong(
    "frozen parameters counted",
    "You count frozen parameters as well. Only those with `requires_grad` are trained.",
    edits={" if p.requires_grad)": ")"},
)
compare_bank.wrong(
    "tensors counted",
    "You count parameter tensors, not the numbers in them. Each tensor has `numel()` numbers.",
    edits={"sum(p.numel() for p": "sum(1 for p"},
)
compare_bank.wrong(
    "training accuracy on the whole training set",
    "Your training accuracy is measured on the whole training set. Measure it on the part that the model was trained on.",
    edits={"score(model, part)": "score(model, train)"},
)
compare_bank.wrong(
    "training accuracy twice",
    "Your test accuracy is measured on the training part. Measure it on the test set.",
    edits={'row["test"] = score(model, test)': 'row["test"] = score(model, part)'},
)
compare_bank.wrong(
    "accuracies swapped",
    'Your two accuracies are swapped: "train" belongs to the part, "test" to the test set.',
    edits={
        "score(model, part)": "score(model, test)",
        'row["test"] = score(model, test)': 'row["test"] = score(model, part)',
    },
)
compare_bank.wrong(
    "scored before training",
    "You score the model before it is trained, so you see what an untrained one knows.",
    edits={
        '                row["seconds"] = fit(model, part, steps)\n': "",
        "rows.append(row)": 'row["seconds"] = fit(model, part, steps)\n                rows.append(row)',
    },
)
compare_bank.wrong(
    "only the last seed",
    "Your table keeps the last seed only: it is emptied at every turn of the outer loop. Begin it once, before the loops.",
    edits={
        "    rows = []\n": "",
        "examples = shuffled(seed)": "examples = shuffled(seed)\n        rows = []",
    },
)
compare_bank.wrong(
    "returns after the first seed",
    "Your function returns within the loop over the seeds, after the first of them. Mind the indentation of `return`.",
    edits={"    return rows": "        return rows"},
)
compare_bank.wrong(
    "only the last model",
    "Your table has one row per size: the row is added outside the loop over the models, so only the last model's is kept.",
    edits={"                rows.append(row)": "            rows.append(row)"},
)


@compare_bank.right("itertools.product, sizes outside")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):
    import itertools

    table = []
    for size, seed, name in itertools.product(sizes, seeds, factories):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        part = [train[int(i)] for i in order[:size]]
        torch.manual_seed(seed)
        model = factories[name]()
        table.append(
            {
                "size": size,
                "seed": seed,
                "model": name,
                "seconds": fit(model, part, steps),
                "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "test": score(model, test),
                "train": score(model, part),
            }
        )
    return table


@compare_bank.right("models outside, a helper for one training")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):
    def shuffled(seed):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        return [train[i] for i in order.tolist()]

    def one(name, seed, size):
        part = shuffled(seed)[:size]
        torch.manual_seed(seed)
        model = factories[name]()
        row = dict(model=name, seed=seed, size=size, seconds=fit(model, part, steps))
        row["parameters"] = sum(math.prod(p.shape) for p in model.parameters() if p.requires_grad)
        row["train"], row["test"] = score(model, part), score(model, test)
        return row

    return [one(name, seed, size) for name in factories for seed in seeds for size in sizes]


@compare_bank.right("sizes sorted, extra column, tensors in the rows")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):
    rows = []
    for seed in seeds:
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
        for size in sorted(sizes):
            chosen = [train[i] for i in sorted(order[:size])]
            for name in factories:
                torch.manual_seed(seed)
                model = factories[name]()
                count = torch.tensor([p.numel() for p in model.parameters() if p.requires_grad]).sum()
                seconds = fit(model, chosen, steps)
                with torch.no_grad():
                    rows.append(
                        {
                            "model": name,
                            "seed": seed,
                            "size": len(chosen),
                            "parameters": count,
                            "seconds": seconds,
                            "train": score(model, chosen),
                            "test": score(model, test),
                            "steps": steps,
                        }
                    )
    return rows
