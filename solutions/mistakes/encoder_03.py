"""Wrong and alternative right answers to notebook 03: the padding mask and the encoder."""

from __future__ import annotations

import torch
from torch import nn

from utils.grading.bank import Bank

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
        from utils.stand_ins.transformer import EncoderLayer as LibraryLayer

        self.layers = nn.ModuleList(
            LibraryLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)
