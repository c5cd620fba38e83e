"""Wrong and alternative right answers to notebook 05: attention. Each runs in the namespace of the reference's module."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

# ------------------------------------------------------------------------------------------ SelfAttention

attention = Bank("SelfAttention")
SPLIT = '"b n (h d) -> b h n d"'
SCORES = "query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5"
SDPA = "F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)"
MERGE = 'rearrange(heads, "b h n d -> b n (h d)")'
ORDER = "query, key, value = (rearrange("
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
attention.wrong(
    "heads interleaved",
    "You deal the channels out to the heads like cards: head 0 gets channels 0, H, 2H, ... A head owns d neighbouring channels, so "
    "that its axis is the slower one.",
    edits={SPLIT: '"b n (d h) -> b h n d"'},
)
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
        self.num_heads = num_heads
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
        mixed = torch.einsum("bhnm,bhmd->bnhd", self.weights(x), self.split(x)[2])
        return self.out_proj(mixed.flatten(2))


@attention.right("head by head")
class SelfAttention(nn.Module):
    def __init__(self, dim, num_heads, dropout=0.0):
        super().__init__()
        self.num_heads = num_heads
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
        w, v = self.weights(x), self.split(x)[2]
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

    def both(self, x):
        x = x.transpose(0, 1)
        return F.multi_head_attention_forward(
            x, x, x, **self.inner, in_proj_weight=self.in_proj_weight, in_proj_bias=self.in_proj_bias, bias_k=None,
            bias_v=None, add_zero_attn=False, dropout_p=self.dropout, out_proj_weight=self.out_proj.weight,
            out_proj_bias=self.out_proj.bias, training=self.training, average_attn_weights=False,
        )  # fmt: skip

    def weights(self, x):
        return self.both(x)[1]

    def forward(self, x):
        return self.both(x)[0].transpose(0, 1)
