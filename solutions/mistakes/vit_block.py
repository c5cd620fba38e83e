"""Wrong and alternative right answers: self-attention and the block of ViT."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

attention = Bank("SelfAttention")

attention.wrong(
    "queries, keys and values inside each head",
    "You take queries, keys and values apart inside each head, a layout of other code bases. Of `in_proj_weight` the first D rows make "
    "all queries, the next D all keys, the last D all values; each third is split into heads after that.",
    edits={
        ".chunk(\n            3, dim=-1\n        )": "",
        'rearrange(part, "b n (h d) -> b h n d", h=self.num_heads) for part in thirds': 'rearrange(thirds, "b n (h t d) -> t b h n d", h=self.num_heads, t=3)',
    },
)

attention.wrong(
    "attention over the batch",
    "Your attention runs over the batch: the images look at each other, place by place. The batch is the first axis, the tokens are the second.",
    edits={
        '"b n (h d) -> b h n d"': '"n b (h d) -> b h n d"',
        '"b h n d -> b n (h d)"': '"b h n d -> n b (h d)"',
    },
)

attention.wrong(
    "no dropout on the weights",
    "In train mode nothing is dropped: hand the probability to the attention, on whose weights the dropout acts.",
    edits={", dropout_p=dropout)": ")"},
)

attention.wrong(
    "dropout on the heads",
    "Your dropout acts on what the heads found. It belongs on the attention weights, before they meet the values.",
    edits={
        "F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)": "F.dropout(F.scaled_dot_product_attention(query, key, value), dropout)"
    },
)

attention.wrong(
    "weights not scaled",
    "In `weights` the scores are not divided by sqrt(d), while the fused kernel in `forward` does divide them.",
    edits={" / query.shape[-1] ** 0.5": ""},
)

attention.wrong(
    "weights scaled by the whole width",
    "You divide the scores by sqrt(D), the width of a token. Each head has only d = D / H numbers, and sqrt(d) is what undoes the "
    "growth of their dot product.",
    edits={"query.shape[-1] ** 0.5": "x.shape[-1] ** 0.5"},
)

attention.wrong(
    "softmax over the queries",
    "Your softmax runs over the queries (dim=-2). Each query distributes its weights over the keys: the last axis.",
    edits={"softmax(dim=-1)": "softmax(dim=-2)"},
)

attention.wrong(
    "softmax over the heads",
    "Your softmax runs over the heads (dim=1). Each head has weights of its own, over the keys: the last axis.",
    edits={"softmax(dim=-1)": "softmax(dim=1)"},
)

attention.wrong(
    "scores given as weights",
    "`weights` returns the scores. A softmax over the keys makes weights of them.",
    edits={".softmax(dim=-1)": ""},
)

SPLIT = '"b n (h d) -> b h n d"'

attention.wrong(
    "heads interleaved",
    "You give the channels to the heads in turn: head 0 gets channels 0, H, 2H, ... A head owns d neighbouring "
    "channels, so that its axis is the slower one.",
    edits={SPLIT: '"b n (d h) -> b h n d"'},
)

ORDER = "query, key, value = (rearrange("

attention.wrong(
    "keys and queries swapped",
    "The rows of `in_proj_weight` make queries first, then keys, then values; you take keys first.",
    edits={ORDER: "key, query, value = (rearrange("},
)

attention.wrong(
    "keys and values swapped",
    "The rows of `in_proj_weight` make queries first, then keys, then values; you have keys and values swapped.",
    edits={ORDER: "query, value, key = (rearrange("},
)

attention.wrong(
    "bias of the projection forgotten",
    "You leave `in_proj_bias` out.",
    edits={"F.linear(x, self.in_proj_weight, self.in_proj_bias)": "F.linear(x, self.in_proj_weight)"},
)

MERGE = 'rearrange(heads, "b h n d -> b n (h d)")'

attention.wrong(
    "heads merged by a reshape",
    "You reshape (B, H, N, d) to (B, N, D) directly, which mixes tokens with heads. Bring the heads next to their channels first.",
    edits={MERGE: "heads.reshape(x.shape)"},
)

attention.wrong(
    "no output projection",
    "The heads are merged but never mixed: `out_proj` comes last.",
    edits={f"self.out_proj({MERGE})": MERGE},
)

attention.wrong(
    "dropout in eval mode",
    "Your attention drops weights in eval mode too: F.scaled_dot_product_attention does not know the module's mode. Pass the "
    "rate only while training.",
    edits={"dropout_p=dropout": "dropout_p=self.dropout"},
)

SDPA = "F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)"

attention.wrong(
    "causal",
    "Your attention is causal: a patch sees only the patches before it. An image has no such order, every patch may look at every other.",
    edits={SDPA: "F.scaled_dot_product_attention(query, key, value, is_causal=True)"},
)

attention.wrong(
    "heads left out",
    "You attend once over the full width. Split queries, keys and values into H heads first.",
    edits={"h=self.num_heads": "h=1"},
)


@attention.right("scores by hand, one path for both")
class SelfAttention(nn.Module):
    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        self.num_heads, self.drop = num_heads, nn.Dropout(dropout)
        self.in_proj_weight = nn.Parameter(torch.randn(3 * dim, dim) * dim**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def split(self, x):
        qkv = x @ self.in_proj_weight.T + self.in_proj_bias
        b, n, _ = x.shape
        return qkv.reshape(b, n, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)

    def weights(self, x):
        q, k, _ = self.split(x)
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.mT, dim=-1)

    def forward(self, x):
        attended = self.drop(self.weights(x)) @ self.split(x)[2]
        return self.out_proj(attended.transpose(1, 2).reshape(x.shape))


@attention.right("einsum")
class SelfAttention(nn.Module):
    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.randn(3 * dim, dim) * dim**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def split(self, x):
        weight = rearrange(self.in_proj_weight, "(t h d) e -> t h d e", t=3, h=self.num_heads)
        bias = rearrange(self.in_proj_bias, "(t h d) -> t 1 h 1 d", t=3, h=self.num_heads)
        return tuple(torch.einsum("bne,thde->tbhnd", x, weight) + bias)

    def weights(self, x):
        q, k, _ = self.split(x)
        return (torch.einsum("bhnd,bhmd->bhnm", q, k) / q.shape[-1] ** 0.5).softmax(-1)

    def forward(self, x):
        weights = F.dropout(self.weights(x), self.dropout, self.training)
        mixed = torch.einsum("bhnm,bhmd->bnhd", weights, self.split(x)[2])
        return self.out_proj(mixed.flatten(2))


@attention.right("head by head")
class SelfAttention(nn.Module):
    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.randn(3 * dim, dim) * dim**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def split(self, x):
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=2)
        return [torch.stack(part.chunk(self.num_heads, dim=2), dim=1) for part in parts]

    def weights(self, x):
        q, k, _ = self.split(x)
        d = q.shape[-1]
        return torch.stack([F.softmax(q[:, h] @ k[:, h].mT / d**0.5, -1) for h in range(self.num_heads)], 1)

    def forward(self, x):
        w, v = nn.Dropout(self.dropout).train(self.training)(self.weights(x)), self.split(x)[2]
        return self.out_proj(torch.cat([w[:, h] @ v[:, h] for h in range(self.num_heads)], dim=-1))


@attention.right("the library's functional form")
class SelfAttention(nn.Module):
    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        self.inner = dict(num_heads=num_heads, embed_dim_to_check=dim)
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.randn(3 * dim, dim) * dim**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)

    def split(self, x):
        queries, keys, values = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return [part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (queries, keys, values)]

    def both(self, x, training=False):
        x = x.transpose(0, 1)
        return F.multi_head_attention_forward(
            x, x, x, **self.inner, in_proj_weight=self.in_proj_weight, in_proj_bias=self.in_proj_bias, bias_k=None,
            bias_v=None, add_zero_attn=False, dropout_p=self.dropout, out_proj_weight=self.out_proj.weight,
            out_proj_bias=self.out_proj.bias, training=training, average_attn_weights=False,
        )  # fmt: skip

    def weights(self, x):
        return self.both(x)[1]

    def forward(self, x):
        return self.both(x, self.training)[0].transpose(0, 1)


@attention.wrong(
    'dropout on the output',
    'Your dropout acts on the output. It belongs on the attention weights, before they meet the values.'
)
class SelfAttention(nn.Module):

    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'a width of {dim} cannot be split into {num_heads} heads')
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(part)

    def split(self, x):
        packed = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in packed.chunk(3, dim=-1))
        return (q, k, v)

    def weights(self, x):
        q, k, _ = self.split(x)
        return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)

    def forward(self, x):
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(*self.split(x))
        return F.dropout(self.out_proj(rearrange(attended, 'b h n d -> b n (h d)')), dropout)


@attention.wrong(
    'scaled twice',
    'Your scores are divided by sqrt(d) twice: the kernel does it already.'
)
class SelfAttention(nn.Module):

    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'a width of {dim} cannot be split into {num_heads} heads')
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(part)

    def split(self, x):
        packed = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in packed.chunk(3, dim=-1))
        return (q, k, v)

    def weights(self, x):
        q, k, _ = self.split(x)
        return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)

    def forward(self, x):
        dropout = self.dropout if self.training else 0.0
        q, k, v = self.split(x)
        attended = F.scaled_dot_product_attention(q / q.shape[-1] ** 0.5, k, v, dropout_p=dropout)
        return self.out_proj(rearrange(attended, 'b h n d -> b n (h d)'))


@attention.wrong(
    'dropped weights not scaled up',
    'In training mode what is kept should be divided by 1 - p, and yours is not. `F.dropout` does both.'
)
class SelfAttention(nn.Module):

    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'a width of {dim} cannot be split into {num_heads} heads')
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(part)

    def split(self, x):
        packed = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in packed.chunk(3, dim=-1))
        return (q, k, v)

    def weights(self, x):
        q, k, _ = self.split(x)
        return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)

    def forward(self, x):
        dropout = self.dropout if self.training else 0.0
        weights = self.weights(x)
        if dropout > 0:
            weights = weights * (torch.rand_like(weights) >= dropout)
        attended = weights @ self.split(x)[2]
        return self.out_proj(rearrange(attended, 'b h n d -> b n (h d)'))


@attention.right('chunk and fused kernel')
class SelfAttention(nn.Module):

    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'a width of {dim} cannot be split into {num_heads} heads')
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(part)

    def split(self, x):
        packed = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (rearrange(third, 'b n (h d) -> b h n d', h=self.num_heads) for third in packed.chunk(3, dim=-1))
        return (q, k, v)

    def weights(self, x):
        q, k, _ = self.split(x)
        return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)

    def forward(self, x):
        dropout = self.dropout if self.training else 0.0
        q, k, v = self.split(x)
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.out_proj(rearrange(attended, 'b h n d -> b n (h d)'))


@attention.right('view and permute')
class SelfAttention(nn.Module):

    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'a width of {dim} cannot be split into {num_heads} heads')
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        for part in self.in_proj_weight.chunk(3):
            nn.init.xavier_uniform_(part)

    def split(self, x):
        B, N, D = x.shape
        packed = (x @ self.in_proj_weight.T + self.in_proj_bias).view(B, N, 3, self.num_heads, -1)
        q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)
        return (q, k, v)

    def weights(self, x):
        q, k, _ = self.split(x)
        scale = (x.shape[-1] // self.num_heads) ** (-0.5)
        return torch.softmax(torch.einsum('bhnd,bhmd->bhnm', q * scale, k), dim=-1)

    def forward(self, x):
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(*self.split(x), attn_mask=None, dropout_p=dropout)
        return self.out_proj(y.transpose(1, 2).reshape(x.shape))


block = Bank("ViTBlock")

block.wrong(
    "no dropout after the GELU",
    "Your MLP has no dropout after its GELU: there are three, after the attention's output, after GELU and after the MLP's output.",
    edits={"self.dropout(F.gelu(self.linear1(self.norm2(x))))": "F.gelu(self.linear1(self.norm2(x)))"},
)

block.wrong(
    "no dropout after the attention",
    "Your attention's output has no dropout: there are three, after the attention's output, after GELU and after the MLP's output.",
    edits={"self.dropout(attended)": "attended"},
)

block.wrong(
    "no dropout after the MLP",
    "Your MLP's output has no dropout: there are three, after the attention's output, after GELU and after the MLP's output.",
    edits={"self.dropout(self.linear2(hidden))": "self.linear2(hidden)"},
)

block.wrong(
    "dropout in eval mode, too",
    "Your dropout never stops: `F.dropout` is on unless it is told `training=self.training`. self.dropout follows the block's mode by itself.",
    edits={
        "self.dropout(attended)": "F.dropout(attended, self.dropout.p)",
        "self.dropout(self.linear2(hidden))": "F.dropout(self.linear2(hidden), self.dropout.p)",
    },
)

ATTEND = "self.self_attn(self.norm1(x))"

FIRST = "x = x + self.drop_path(self.dropout(attended))"

HIDDEN = "self.dropout(F.gelu(self.linear1(self.norm2(x))))"

SECOND = "return x + self.drop_path(self.dropout(self.linear2(hidden)))"

block.wrong(
    "post-norm",
    "You normalise after each residual addition (post-norm, as in the Transformer of 2017). ViT is pre-norm: each branch "
    "normalises its own input, and the sum itself is left alone.",
    edits={
        ATTEND: "self.self_attn(x)",
        FIRST: "x = self.norm1(x + self.drop_path(self.dropout(attended)))",
        HIDDEN: "self.dropout(F.gelu(self.linear1(x)))",
        SECOND: "return self.norm2(x + self.drop_path(self.dropout(self.linear2(hidden))))",
    },
)

block.wrong(
    "norms swapped",
    "You use `norm2` for the attention and `norm1` for the MLP; it is the other way round.",
    edits={
        "linear1(self.norm2(x))": "linear1(self.norm1(x))",
        "self_attn(self.norm1(x))": "self_attn(self.norm2(x))",
    },
)

block.wrong(
    "no residual around the attention",
    "The attention's output replaces its input; it should be added to it.",
    edits={FIRST: "x = self.drop_path(self.dropout(attended))"},
)

block.wrong(
    "no residual around the MLP",
    "The MLP's output replaces its input; it should be added to it.",
    edits={SECOND: "return self.drop_path(self.dropout(self.linear2(hidden)))"},
)

block.wrong(
    "residual of the normalised tokens",
    "You add the attention's output to norm1(x). What is carried past a branch is x itself, not normalised.",
    edits={FIRST: "x = self.norm1(x) + self.drop_path(self.dropout(attended))"},
)

block.wrong(
    "MLP without its norm",
    "The MLP reads tokens that are not normalised: `norm2` is not used.",
    edits={"self.norm2(x)": "x"},
)

block.wrong(
    "attention without its norm",
    "The attention reads tokens that are not normalised: `norm1` is not used.",
    edits={"self.norm1(x)": "x"},
)

block.wrong(
    "both branches side by side",
    "Your MLP reads the block's input; it should read what the attention's branch has left, the sum x + attention(norm(x)).",
    edits={
        FIRST: "y = x + self.drop_path(self.dropout(attended))",
        SECOND: SECOND.replace("return x", "return y"),
    },
)

block.wrong(
    "ReLU",
    "Your MLP uses ReLU; ViT's uses GELU.",
    edits={"F.gelu(": "F.relu("},
)

block.wrong(
    "no activation",
    "There is no activation between `linear1` and `linear2`, so the two are one linear map.",
    edits={"F.gelu(self.linear1(self.norm2(x)))": "self.linear1(self.norm2(x))"},
)

block.wrong(
    "GELU's tanh approximation",
    "You use GELU's tanh approximation. It is close, but the published ViTs in PyTorch were converted for the exact one, the default.",
    edits={"F.gelu(self.linear1(self.norm2(x)))": 'F.gelu(self.linear1(self.norm2(x)), approximate="tanh")'},
)

block.wrong(
    "stochastic depth forgotten",
    "`drop_path` is never applied: with stochastic depth some images should pass the block unchanged while training.",
    edits={FIRST: "x = x + self.dropout(attended)", SECOND: "return x + self.dropout(self.linear2(hidden))"},
)

block.wrong(
    "stochastic depth on the sum",
    "You apply `drop_path` to x plus the branch, so that a dropped image becomes zero. Drop the branch alone: x must get through.",
    edits={
        FIRST: "x = self.drop_path(x + self.dropout(attended))",
        SECOND: "return self.drop_path(x + self.dropout(self.linear2(hidden)))",
    },
)

block.wrong(
    "dropout forgotten",
    "`dropout` is never applied: while training, two calls give the same result.",
    edits={
        FIRST: "x = x + self.drop_path(attended)",
        HIDDEN: "F.gelu(self.linear1(self.norm2(x)))",
        SECOND: "return x + self.drop_path(self.linear2(hidden))",
    },
)

block.right("branches added from the right", edits={FIRST: "x = self.drop_path(self.dropout(attended)) + x"})

block.right(
    "functional norms and layers",
    edits={
        "self.norm1(x)": "F.layer_norm(x, x.shape[-1:], self.norm1.weight, self.norm1.bias, self.norm1.eps)",
        "self.linear1(self.norm2(x))": "self.norm2(x) @ self.linear1.weight.T + self.linear1.bias",
    },
)

block.right(
    "GELU written out",
    edits={
        HIDDEN: "self.linear1(self.norm2(x))\n        hidden = self.dropout(hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5)))"
    },
)

block.right(
    "the MLP as a function of its own",
    edits={
        SECOND: "mlp = nn.Sequential(self.norm2, self.linear1, nn.GELU(), self.dropout, self.linear2, self.dropout, self.drop_path)\n"
        "        return torch.add(x, mlp(x))"
    },
)


block.wrong(
    'drop_path on the MLP only',
    'Your attention branch is never left out: self.drop_path goes around both branches.',
    edits={
        "attended = self.self_attn(self.norm1(x))\n"
        "        x = x + self.drop_path(self.dropout(attended))\n"
        "        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x))))  # (B, N, hidden_dim)\n"
        "        return x + self.drop_path(self.dropout(self.linear2(hidden)))": "x = x + self.dropout(self.self_attn(self.norm1(x)))\n"
        "        y = self.linear2(self.dropout(F.gelu(self.linear1(self.norm2(x)))))\n"
        "        return x + self.drop_path(self.dropout(y))",
    },
)


block.wrong(
    'dropout before GELU',
    'Your dropout comes before GELU. It belongs after it.',
    edits={
        "attended = self.self_attn(self.norm1(x))\n"
        "        x = x + self.drop_path(self.dropout(attended))\n"
        "        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x))))  # (B, N, hidden_dim)\n"
        "        return x + self.drop_path(self.dropout(self.linear2(hidden)))": "x = x + self.drop_path(self.dropout(self.self_attn(self.norm1(x))))\n"
        "        y = self.linear2(F.gelu(self.dropout(self.linear1(self.norm2(x)))))\n"
        "        return x + self.drop_path(self.dropout(y))",
    },
)


block.wrong(
    'residual from the norm',
    "Your residual path carries the normalised tokens. It should carry x itself.",
    edits={
        "attended = self.self_attn(self.norm1(x))\n"
        "        x = x + self.drop_path(self.dropout(attended))\n"
        "        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x))))  # (B, N, hidden_dim)\n"
        "        return x + self.drop_path(self.dropout(self.linear2(hidden)))": "x = self.norm1(x)\n"
        "        x = x + self.drop_path(self.dropout(self.self_attn(x)))\n"
        "        x = self.norm2(x)\n"
        "        return x + self.drop_path(self.dropout(self.linear2(self.dropout(F.gelu(self.linear1(x))))))",
    },
)


block.right(
    'two lines',
    edits={
        "attended = self.self_attn(self.norm1(x))\n"
        "        x = x + self.drop_path(self.dropout(attended))": "x = x + self.drop_path(self.dropout(self.self_attn(self.norm1(x))))",
    },
)


@block.right('branches as functions')
class ViTBlock(nn.Module):

    def __init__(self, dim, num_heads, hidden_dim, dropout=0.0, attention_dropout=0.0, drop_path=0.0, norm_eps=1e-06):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.self_attn = SelfAttention(dim, num_heads, attention_dropout)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.linear1 = nn.Linear(dim, hidden_dim)
        self.linear2 = nn.Linear(hidden_dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.drop_path = StochasticDepth(drop_path)

    def forward(self, x):

        def attention(y):
            return self.self_attn(self.norm1(y))

        def mlp(y):
            y = self.linear1(self.norm2(y))
            y = F.dropout(nn.functional.gelu(y, approximate='none'), self.dropout.p, self.training)
            return self.linear2(y)
        for branch in (attention, mlp):
            x = torch.add(x, self.drop_path(self.dropout(branch(x))))
        return x


