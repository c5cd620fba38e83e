"""Wrong and alternative right answers: a Transformer that classifies sentences."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

encoder_bank = Bank("TransformerEncoder")

encoder_bank.wrong(
    "one layer, used several times",
    "Your layers share their weights: one and the same object stands in every place, as `[layer] * n` makes it. "
    "Build a new layer for each.",
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
    "Your mask reaches the layers inverted. True means may attend, here and in `EncoderLayer`: pass it on as it is.",
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


@encoder_bank.wrong(
    "arguments in PyTorch's order",
    'You hand `dropout` and `norm_first` to the layers in the wrong order. EncoderLayer takes norm_first before dropout.'
)
class TransformerEncoder(nn.Module):

    def __init__(self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation='relu'):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, num_heads, hidden_dim, bool(dropout), float(norm_first) * 0.0, activation) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


@encoder_bank.wrong(
    'residual around the stack',
    "You add the encoder's input to its output. The layers have their residual connections inside; around the stack there is none."
)
class TransformerEncoder(nn.Module):

    def __init__(self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation='relu'):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def forward(self, x, mask=None):
        y = x
        for layer in self.layers:
            y = layer(y, mask)
        return self.norm(x + y)


@encoder_bank.right("recursion over the layers")
class TransformerEncoder(nn.Module):
    def __init__(
        self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation="relu"
    ):
        super().__init__()
        settings = {"norm_first": norm_first, "dropout": dropout, "activation": activation}
        self.layers = nn.ModuleList()
        while len(self.layers) < num_layers:
            self.layers += [EncoderLayer(dim, num_heads, hidden_dim, **settings)]
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()

    def run(self, x, mask, number):
        if number == len(self.layers):
            return self.norm(x)
        return self.run(self.layers[number](x, mask), mask, number + 1)

    def forward(self, x, mask=None):
        return self.run(x, mask, 0)


@encoder_bank.right('partial and reduce')
class TransformerEncoder(nn.Module):

    def __init__(self, num_layers, dim, num_heads, hidden_dim, norm_first=True, dropout=0.0, activation='relu'):
        super().__init__()
        from functools import partial
        make = partial(EncoderLayer, dim, num_heads, hidden_dim, norm_first=norm_first, dropout=dropout, activation=activation)
        self.layers = nn.ModuleList([make() for _ in range(num_layers)])
        self.norm = nn.Identity()
        if norm_first:
            self.norm = nn.LayerNorm(dim)

    def forward(self, x, mask=None):
        from functools import reduce
        return self.norm(reduce(lambda tokens, layer: layer(tokens, mask=mask), self.layers, x))


encoder_bank.wrong(
    "layers always pre-LN",
    "Your layers are always pre-LN, whatever the encoder was asked for: hand `norm_first` on.",
    edits={"EncoderLayer(dim, num_heads, hidden_dim, norm_first, dropout, activation)": "EncoderLayer(dim, num_heads, hidden_dim, True, dropout, activation)"},
)


classifier_bank = Bank("TransformerClassifier")

classifier_bank.wrong(
    "dropout on the logits",
    "Your dropout acts on the logits, behind the head. It belongs on the pooled vector, in front of it.",
    edits={"self.head(self.dropout(pooled))": "self.dropout(self.head(pooled))"},
)

SCALE = " * math.sqrt(self.embedding.embedding_dim)"

classifier_bank.wrong(
    "embeddings not scaled",
    "Your embeddings are not multiplied by sqrt(D), so they are small beside the positions.",
    edits={SCALE: ""},
)

classifier_bank.wrong(
    "embeddings scaled by D",
    "Your embeddings are multiplied by D. The factor is the square root of it.",
    edits={SCALE: " * self.embedding.embedding_dim"},
)

classifier_bank.wrong(
    "row 0 is trained",
    "You look the rows up past the embedding layer, so a `<pad>` among the words trains row 0. Call `self.embedding`: its `padding_idx` keeps "
    "that row as it is.",
    edits={"self.embedding(tokens)": "self.embedding.weight[tokens]"},
)

POSITIONS = "sinusoidal_positions(x.shape[1], x.shape[2]).to(x)"

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
    "Your positions are shifted by one: whatever stands first in the row should have position 0.",
    edits={POSITIONS: "sinusoidal_positions(x.shape[1] + 1, x.shape[2])[1:].to(x)"},
)

CLS_IN_FRONT = "x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)"

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

MEAN = "x.masked_fill(~real[:, :, None], 0.0).sum(dim=1) / lengths[:, None]"

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
    "You add the tokens up and do not divide, so a long sentence gets a larger vector than a short one. Divide by "
    "the number of real tokens.",
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
    "Your encoder's mask is inverted: words may attend to padding only. True means may attend.",
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


classifier_bank.wrong(
    'dropout twice on the input',
    "You apply dropout twice on the way into the encoder: in `embed` and in `forward`, which does it already.",
    edits={
        "if self.pooling == \"cls\":\n"
        "            x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)  # (B, 1 + N, D)\n"
        "        return x + sinusoidal_positions(x.shape[1], x.shape[2]).to(x)": "if self.pooling == 'cls':\n"
        "            x = torch.cat([self.cls.expand(len(x), 1, -1), x], dim=1)\n"
        "        return self.dropout(x + sinusoidal_positions(x.shape[1], x.shape[2]).to(x))",
        "x = self.encoder(x, real[:, None, :])\n"
        "        if self.pooling == \"cls\":\n"
        "            pooled = x[:, 0]  # (B, D)\n"
        "        else:\n"
        "            pooled = x.masked_fill(~real[:, :, None], 0.0).sum(dim=1) / lengths[:, None]": "y = self.encoder(x, real.unsqueeze(1))\n"
        "        if self.pooling == 'cls':\n"
        "            pooled = y[:, 0]\n"
        "        else:\n"
        "            pooled = y.masked_fill(~real.unsqueeze(-1), 0.0).sum(dim=1) / lengths.unsqueeze(1)",
    },
)


classifier_bank.wrong(
    'log-probabilities',
    'You return log-probabilities. The loss takes logits and does the softmax itself.',
    edits={
        "x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1)  # (B, 1 + N, D)": "x = torch.cat([self.cls.expand(len(x), 1, -1), x], dim=1)",
        "x = self.encoder(x, real[:, None, :])\n"
        "        if self.pooling == \"cls\":\n"
        "            pooled = x[:, 0]  # (B, D)\n"
        "        else:\n"
        "            pooled = x.masked_fill(~real[:, :, None], 0.0).sum(dim=1) / lengths[:, None]\n"
        "        return self.head(self.dropout(pooled))": "y = self.encoder(x, real.unsqueeze(1))\n"
        "        if self.pooling == 'cls':\n"
        "            pooled = y[:, 0]\n"
        "        else:\n"
        "            pooled = (y * real.unsqueeze(-1)).sum(dim=1) / lengths.unsqueeze(1)\n"
        "        return F.log_softmax(self.head(self.dropout(pooled)), dim=-1)",
    },
)


classifier_bank.wrong(
    'divided by the words of the whole batch',
    'You divide by the number of words of all sentences together. `mask.sum()` needs an axis: each sentence is divided by its own number of words.',
    edits={
        '.sum(dim=1) / lengths[:, None]': '.sum(dim=1) / real.sum()',
    },
)
