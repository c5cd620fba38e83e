"""Wrong and alternative right answers: the feed-forward network and the encoder layer."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

feed_forward = Bank("FeedForward")

HIDDEN = "self.activation(self.linear1(x))"

feed_forward.wrong(
    "no activation",
    "Your two linear layers follow each other directly. Without an activation between them they are only one linear layer in two "
    "pieces.",
    edits={HIDDEN: "self.linear1(x)"},
)

feed_forward.wrong(
    "activation at the end",
    "Your activation comes after the second layer. It belongs between the two, in the wide middle; the output may be negative.",
    edits={
        HIDDEN: "self.linear1(x)",
        "return self.linear2(hidden)": "return self.activation(self.linear2(hidden))",
    },
)

feed_forward.wrong(
    "activation at both places",
    "You apply the activation after the second layer as well. It belongs between the two only; the output may be negative.",
    edits={"return self.linear2(hidden)": "return self.activation(self.linear2(hidden))"},
)

feed_forward.wrong(
    "activation before the first layer",
    "You apply the activation to the input. It belongs between the two layers.",
    edits={HIDDEN: "self.linear1(self.activation(x + 0))"},
)

feed_forward.wrong(
    "always ReLU",
    "You always use ReLU. The constructor's `activation` chooses: call self.activation(...), which knows.",
    edits={HIDDEN: "F.relu(self.linear1(x))"},
)

feed_forward.wrong(
    "with a residual connection",
    "You add the input to the output. The residual connection belongs to the layer around the feed-forward, not in it.",
    edits={"return self.linear2(hidden)": "return x + self.linear2(hidden)"},
)

feed_forward.wrong(
    "four times as wide, whatever is asked for",
    "Your hidden layer is 4 * dim wide. Its width is the second argument, hidden_dim.",
    edits={
        "nn.Linear(dim, hidden_dim)": "nn.Linear(dim, 4 * dim)",
        "nn.Linear(hidden_dim, dim)": "nn.Linear(4 * dim, dim)",
    },
)

feed_forward.wrong(
    "layers exchanged",
    "Your layers are exchanged: linear1 widens, from dim to hidden_dim, and linear2 comes back.",
    edits={
        "self.linear1 = nn.Linear(dim, hidden_dim)": "self.linear2 = nn.Linear(dim, hidden_dim)",
        "self.linear2 = nn.Linear(hidden_dim, dim)": "self.linear1 = nn.Linear(hidden_dim, dim)",
        HIDDEN: "self.activation(self.linear2(x))",
        "return self.linear2(hidden)": "return self.linear1(hidden)",
    },
)

feed_forward.wrong(
    "without biases",
    "Your linear layers have no bias. Both have one, as in the paper's formula.",
    edits={
        "nn.Linear(dim, hidden_dim)": "nn.Linear(dim, hidden_dim, bias=False)",
        "nn.Linear(hidden_dim, dim)": "nn.Linear(hidden_dim, dim, bias=False)",
    },
)

feed_forward.wrong(
    "softmax in between",
    "You put a softmax between the layers. There is no distribution here; call self.activation(...).",
    edits={HIDDEN: "self.linear1(x).softmax(dim=-1)"},
)

feed_forward.wrong(
    "cut from the graph",
    "Your hidden layer is detached from the graph, so linear1 could not learn. Leave out detach(), .data and torch.no_grad().",
    edits={HIDDEN: "self.activation(self.linear1(x).detach())"},
)


@feed_forward.right("F.linear, double precision inside")
class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim, activation="relu"):
        super().__init__()
        self.act = getattr(F, activation)
        self.linear1, self.linear2 = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)

    def forward(self, x):
        hidden = self.act(F.linear(x.double(), self.linear1.weight.double(), self.linear1.bias.double()))
        return F.linear(hidden, self.linear2.weight.double(), self.linear2.bias.double()).to(x.dtype)


@feed_forward.right("token by token")
class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim, activation="relu"):
        super().__init__()
        self.act = nn.ReLU() if activation == "relu" else nn.GELU()
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)

    def forward(self, x):
        return torch.stack([self.linear2(self.act(self.linear1(x[:, n]))) for n in range(x.shape[1])], dim=1)


@feed_forward.right("einsum")
class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim, activation="relu"):
        super().__init__()
        self.kind = activation
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)

    def forward(self, x):
        hidden = torch.einsum("bnd,hd->bnh", x, self.linear1.weight) + self.linear1.bias
        hidden = (
            hidden * (hidden > 0) if self.kind == "relu" else hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
        )
        return torch.einsum("bnh,dh->bnd", hidden, self.linear2.weight) + self.linear2.bias


feed_forward.wrong(
    'two activations in a row',
    "You apply a second activation of your own between the layers. self.activation(...) should be the only one.",
    edits={
        "hidden = self.activation(self.linear1(x))  # (B, N, hidden)\n"
        "        return self.linear2(hidden)": "return self.linear2(self.activation(F.gelu(self.linear1(x))))",
    },
)


feed_forward.right(
    'one line',
    edits={
        "hidden = self.activation(self.linear1(x))  # (B, N, hidden)\n"
        "        return self.linear2(hidden)": "return self.linear2(self.activation(self.linear1(x)))",
    },
)


@feed_forward.right('F.linear')
class FeedForward(nn.Module):

    def __init__(self, dim, hidden_dim, activation='relu'):
        super().__init__()
        self.activation_name = activation
        self.linear1, self.linear2 = (nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim))

    def activation(self, hidden):
        if self.activation_name == 'relu':
            return F.relu(hidden, inplace=not hidden.requires_grad)
        return getattr(F, self.activation_name)(hidden)

    def forward(self, x):
        hidden = F.linear(x, self.linear1.weight, self.linear1.bias)
        hidden = self.activation(hidden)
        return F.linear(hidden, self.linear2.weight, self.linear2.bias)


@feed_forward.right('tokens one by one')
class FeedForward(nn.Module):

    def __init__(self, dim, hidden_dim, activation='relu'):
        super().__init__()
        self.activation_name = activation
        for name, sizes in {'linear1': (dim, hidden_dim), 'linear2': (hidden_dim, dim)}.items():
            self.add_module(name, nn.Linear(*sizes))

    def activation(self, hidden):
        if self.activation_name == 'relu':
            return F.relu(hidden, inplace=not hidden.requires_grad)
        return getattr(F, self.activation_name)(hidden)

    def forward(self, x):
        tokens = [self.linear2(self.activation(self.linear1(token))) for token in x.unbind(dim=1)]
        return torch.stack(tokens, dim=1)


encoder = Bank("EncoderLayer")

encoder.wrong(
    "dropout in eval mode, too",
    "Your dropout never stops: `F.dropout` is on unless it is told `training=self.training`. self.dropout follows the layer's mode by itself.",
    edits={
        "self.dropout(attend(self.norm1(x)))": "F.dropout(attend(self.norm1(x)), self.dropout.p)",
        "self.dropout(self.feed_forward(self.norm2(x)))": "F.dropout(self.feed_forward(self.norm2(x)), self.dropout.p)",
        "self.dropout(attend(x))": "F.dropout(attend(x), self.dropout.p)",
        "self.dropout(self.feed_forward(x))": "F.dropout(self.feed_forward(x), self.dropout.p)",
    },
)

encoder.wrong(
    "a mask per pair taken for one per sequence",
    "You read a mask (N, N) as (B, N) where there are as many tokens as sequences. With two axes its rows are queries, the same "
    "for all sequences; hidden padding comes as (B, 1, N).",
    edits={
        "if self.norm_first:": "if mask is not None and mask.dim() == 2 and len(mask) == len(x):\n"
        "            mask = mask.unsqueeze(1)\n        if self.norm_first:"
    },
)

encoder.wrong(
    "dropout without its scale",
    "In train mode what is kept should be divided by 1 - p, so that its mean stays the same, and yours is not. self.dropout does both.",
    edits={
        "self.dropout(attend(self.norm1(x)))": "self.dropout(attend(self.norm1(x))) * (1 - self.dropout.p)",
        "self.dropout(self.feed_forward(self.norm2(x)))": "self.dropout(self.feed_forward(self.norm2(x))) * (1 - self.dropout.p)",
        "self.dropout(attend(x))": "self.dropout(attend(x)) * (1 - self.dropout.p)",
        "self.dropout(self.feed_forward(x))": "self.dropout(self.feed_forward(x)) * (1 - self.dropout.p)",
    },
)

encoder.wrong(
    "no dropout in pre-LN",
    "Your pre-LN branch has no dropout: self.dropout is applied to what each move adds, there as well.",
    edits={
        "self.dropout(attend(self.norm1(x)))": "attend(self.norm1(x))",
        "self.dropout(self.feed_forward(self.norm2(x)))": "self.feed_forward(self.norm2(x))",
    },
)

PRE1 = "x = x + self.dropout(attend(self.norm1(x)))"

POST1 = "x = self.norm1(x + self.dropout(attend(x)))"

encoder.wrong(
    "no residual around attention",
    "The residual connection around attention is missing: what attention finds is added to its input, not put in its place.",
    edits={PRE1: PRE1.replace("x + ", ""), POST1: POST1.replace("x + ", "")},
)

PRE2 = "x = x + self.dropout(self.feed_forward(self.norm2(x)))"

POST2 = "x = self.norm2(x + self.dropout(self.feed_forward(x)))"

encoder.wrong(
    "no residual around the feed-forward",
    "The residual connection around the feed-forward is missing: its result is added to its input, not put in its place.",
    edits={PRE2: PRE2.replace("x + ", ""), POST2: POST2.replace("x + ", "")},
)

encoder.wrong(
    "pre-LN and post-LN exchanged",
    "You normalise after the sum where norm_first is True, and before the move where it is False. norm_first=True means that the "
    "norm comes first (pre-LN).",
    edits={"if self.norm_first:": "if not self.norm_first:"},
)

encoder.wrong(
    "always post-LN",
    "Your layer is post-LN even when norm_first=True. Then the norm belongs before the move, inside the residual branch.",
    edits={"if self.norm_first:": "if False:"},
)

encoder.wrong(
    "always pre-LN",
    "Your layer is pre-LN even when norm_first=False. Then the norm comes after the sum.",
    edits={"if self.norm_first:": "if True:"},
)

encoder.wrong(
    "pre-LN adds to the normalised input",
    "In your pre-LN, the move's result is added to the normalised x. The residual path carries x itself, with no norm on it; only "
    "the move sees LN(x).",
    edits={
        PRE1: "x = self.norm1(x)\n            x = x + self.dropout(attend(x))",
        PRE2: "x = self.norm2(x)\n            x = x + self.dropout(self.feed_forward(x))",
    },
)

encoder.wrong(
    "post-LN normalises before the sum",
    "In your post-LN, the norm is applied to the move's result alone, before the sum: x + LN(f(x)). The paper's is LN(x + f(x)).",
    edits={
        POST1: "x = x + self.norm1(self.dropout(attend(x)))",
        POST2: "x = x + self.norm2(self.dropout(self.feed_forward(x)))",
    },
)

encoder.wrong(
    "one norm for both",
    "You use norm1 at both places. The feed-forward has its own norm, norm2.",
    edits={PRE2: PRE2.replace("norm2", "norm1"), POST2: POST2.replace("norm2", "norm1")},
)

encoder.wrong(
    "norms exchanged",
    "Your norms are exchanged: norm1 belongs to attention, norm2 to the feed-forward.",
    edits={
        PRE1: PRE1.replace("norm1", "norm2"),
        PRE2: PRE2.replace("norm2", "norm1"),
        POST1: POST1.replace("norm1", "norm2"),
        POST2: POST2.replace("norm2", "norm1"),
    },
)

encoder.wrong(
    "feed-forward beside attention",
    "Your feed-forward works on the layer's input, beside attention. It works on what attention has made of it: first one move, "
    "then the other.",
    edits={
        PRE1: "y = x + self.dropout(attend(self.norm1(x)))",
        PRE2: "x = y + self.dropout(self.feed_forward(self.norm2(x)))",
        POST1: "y = self.norm1(x + self.dropout(attend(x)))",
        POST2: "x = self.norm2(y + self.dropout(self.feed_forward(x)))",
    },
)

encoder.wrong(
    "feed-forward first",
    "Your feed-forward comes before attention. Tokens exchange first, then each works on what it got.",
    edits={
        f"{PRE1}\n            {PRE2}": f"{PRE2}\n            {PRE1}",
        f"{POST1}\n            {POST2}": f"{POST2}\n            {POST1}",
    },
)

encoder.wrong(
    "feed-forward forgotten",
    "Your layer ends after attention. The second move is missing: the feed-forward, with its own residual connection and norm.",
    edits={PRE2: "pass", POST2: "pass"},
)

encoder.wrong(
    "mask not passed on",
    "Your attention does not get the mask, so hidden keys are still seen. Call attend(...), which passes it on.",
    edits={
        PRE1: PRE1.replace("attend(self.norm1(x))", "self.self_attn(self.norm1(x))[0]"),
        POST1: POST1.replace("attend(x)", "self.self_attn(x)[0]"),
    },
)

encoder.wrong(
    "dropout forgotten",
    "Your layer has no dropout: in train mode, self.dropout is applied to what each move adds.",
    edits={
        PRE1: "x = x + attend(self.norm1(x))",
        PRE2: "x = x + self.feed_forward(self.norm2(x))",
        POST1: "x = self.norm1(x + attend(x))",
        POST2: "x = self.norm2(x + self.feed_forward(x))",
    },
)

encoder.wrong(
    "dropout on the residual path",
    "Your dropout also hits the residual path: it is applied to the sum. It belongs on what a move adds, before the sum.",
    edits={
        PRE1: "x = self.dropout(x + attend(self.norm1(x)))",
        PRE2: "x = self.dropout(x + self.feed_forward(self.norm2(x)))",
        POST1: "x = self.norm1(self.dropout(x + attend(x)))",
        POST2: "x = self.norm2(self.dropout(x + self.feed_forward(x)))",
    },
)


encoder.wrong(
    "no residual connections",
    "Your residual connections are missing: each move's result is added to its input, not put in its place.",
    edits={old: old.replace("x + ", "") for old in (PRE1, PRE2, POST1, POST2)},
)

encoder.wrong(
    "no residual connections in post-LN",
    "In your post-LN the residual connections are missing: the norm is applied to the sum of a move's input and its result.",
    edits={old: old.replace("x + ", "") for old in (POST1, POST2)},
)

encoder.wrong(
    "dropout at the end",
    "Your dropout acts on what the layer hands on, behind the sum. It belongs on what a move adds, before the sum.",
    edits={
        old: f"x = self.dropout({old.removeprefix('x = ').replace('self.dropout', '')})" for old in (PRE1, PRE2, POST1, POST2)
    },
)


@encoder.right("a function for the residual connection")
class EncoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        def around(x, norm, move):
            if not self.norm_first:
                return norm(x + self.dropout(move(x)))
            return x + self.dropout(move(norm(x)))

        x = around(x, self.norm1, lambda y: self.self_attn(y, y, y, mask)[0])
        return around(x, self.norm2, self.feed_forward)


@encoder.right("norm or nothing, before and after")
class EncoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):
        nothing = nn.Identity()
        before1, after1 = (self.norm1, nothing) if self.norm_first else (nothing, self.norm1)
        before2, after2 = (self.norm2, nothing) if self.norm_first else (nothing, self.norm2)
        found, _ = self.self_attn(before1(x), mask=mask)
        x = after1(self.dropout(found) + x)
        return after2(self.dropout(self.feed_forward(before2(x))) + x)


@encoder.right("norms and dropout as functions, one sequence at a time")
class EncoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first, self.p = norm_first, dropout
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def one(self, x, mask):
        def norm(layer, x):
            mean = x.mean(-1, keepdim=True)
            deviation = (x.var(-1, keepdim=True, unbiased=False) + layer.eps).sqrt()
            return (x - mean) / deviation * layer.weight + layer.bias

        def drop(x):
            return F.dropout(x, self.p, self.training)

        if self.norm_first:
            x = x + drop(self.self_attn(norm(self.norm1, x), mask=mask, need_weights=False)[0])
            return x + drop(self.feed_forward(norm(self.norm2, x)))
        x = norm(self.norm1, x + drop(self.self_attn(x, mask=mask, need_weights=False)[0]))
        return norm(self.norm2, x + drop(self.feed_forward(x)))

    def forward(self, x, mask=None):
        out = []
        for b in range(x.shape[0]):
            own = mask[b : b + 1] if mask is not None and mask.dim() == 3 else mask
            out.append(self.one(x[b : b + 1], own))
        return torch.cat(out)


@encoder.wrong(
    'dropout before the move',
    "In your pre-LN, dropout acts on what the move reads. It belongs on what the move adds, before the sum."
)
class EncoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):

        def attend(x):
            return self.self_attn(x, mask=mask, need_weights=False)[0]
        for norm, move in ((self.norm1, attend), (self.norm2, self.feed_forward)):
            if self.norm_first:
                x = x + move(self.dropout(norm(x)))
            else:
                x = norm(x + self.dropout(move(x)))
        return x


@encoder.wrong(
    'feed-forward without dropout',
    'Your feed-forward has no dropout: self.dropout is applied to what each of the two moves adds.'
)
class EncoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):

        def attend(x):
            return self.self_attn(x, mask=mask, need_weights=False)[0]
        if self.norm_first:
            x = x + self.dropout(attend(self.norm1(x)))
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + self.dropout(attend(x)))
        return self.norm2(x + self.feed_forward(x))


@encoder.right("a method for each block, as in PyTorch")
class EncoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout1 = nn.Dropout(dropout)
        self.dropout2 = nn.Dropout(dropout)

    def _sa_block(self, x, mask):
        x = self.self_attn(x, x, x, mask=mask, need_weights=False)[0]
        return self.dropout1(x)

    def _ff_block(self, x):
        return self.dropout2(self.feed_forward(x))

    def forward(self, x, mask=None):
        if self.norm_first:
            x = x + self._sa_block(self.norm1(x), mask)
            x = x + self._ff_block(self.norm2(x))
        else:
            x = self.norm1(x + self._sa_block(x, mask))
            x = self.norm2(x + self._ff_block(x))
        return x


@encoder.right('loop')
class EncoderLayer(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation='relu'):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, mask=None):

        def attend(x):
            return self.self_attn(x, mask=mask, need_weights=False)[0]
        for norm, move in ((self.norm1, attend), (self.norm2, self.feed_forward)):
            if self.norm_first:
                x = x + self.dropout(move(norm(x)))
            else:
                x = norm(x + self.dropout(move(x)))
        return x


