"""Wrong and alternative right answers to the exercises of notebook 01. Each runs in the namespace of the reference's module."""

from __future__ import annotations

from torch import nn

from utils.checks.bank import Bank

# ---------------------------------------------------------------- scaled_dot_product_attention

sdpa = Bank("scaled_dot_product_attention")
SCALE = " / math.sqrt(query.shape[-1])"
FILL = "scores.masked_fill(~mask, torch.finfo(scores.dtype).min)"
AFTER = "weights.masked_fill(~mask, 0.0)"

sdpa.wrong(
    "scores not scaled",
    "Your scores are not divided by sqrt(d), where d is the width of a query. The wider the queries, the larger the scores "
    "and the closer the softmax to picking a single key.",
    edits={SCALE: ""},
)
sdpa.wrong(
    "divided by d",
    "You divide the scores by d; it should be the square root of d. A sum of d independent products has a standard deviation "
    "of sqrt(d), and that is what the division undoes.",
    edits={SCALE: " / query.shape[-1]"},
)
sdpa.wrong(
    "multiplied by sqrt(d)",
    "You multiply the scores by sqrt(d); they should be divided by it, so that they do not grow with the width.",
    edits={SCALE: " * math.sqrt(query.shape[-1])"},
)
sdpa.wrong(
    "divided by the square root of the number of keys",
    "You divide by the square root of the number of keys. The d in sqrt(d) is the width of a query: the last axis, not the one "
    "before it.",
    edits={SCALE: " / math.sqrt(key.shape[-2])"},
)
sdpa.wrong(
    "softmax over the queries",
    "Your softmax runs over the queries (dim=-2): it lets the queries compete for each key. Each query should distribute its "
    "weights over the keys, the last axis of the scores.",
    edits={"softmax(dim=-1)": "softmax(dim=-2)"},
)
sdpa.wrong(
    "softmax over axis 1",
    "Your softmax runs over axis 1, which is the keys only when there is no batch axis. Count from the end: the keys are always "
    "the last axis of the scores.",
    edits={"softmax(dim=-1)": "softmax(dim=1)"},
)
sdpa.wrong(
    "softmax over axis 0",
    "Your softmax runs over axis 0, the batch, so each sequence's weights depend on the other sequences. Count from the end: the "
    "keys are always the last axis of the scores.",
    edits={"softmax(dim=-1)": "softmax(dim=0)"},
)
sdpa.wrong(
    "mask inverted",
    "Your mask works the wrong way round: it hides the keys where the mask is True. True means that the query may attend to "
    "the key.",
    edits={FILL: FILL.replace("~", ""), AFTER: AFTER.replace("~", "")},
)
sdpa.wrong(
    "mask after the softmax",
    "You set hidden weights to zero after the softmax, so the remaining ones no longer sum to one. Hide the scores before "
    "the softmax: it then shares everything among the keys that are left.",
    edits={FILL: "scores"},
)
sdpa.wrong(
    "hidden scores set to zero",
    "You set the scores of hidden keys to 0. A score of 0 still gets a weight, since exp(0) = 1; a hidden key needs a score "
    "of minus infinity, whose exponential is 0.",
    edits={FILL: "scores.masked_fill(~mask, 0.0)", AFTER: "weights"},
)
sdpa.wrong(
    "mask added to the scores",
    "You add the boolean mask to the scores, which adds 1 to the visible ones and hides nothing. An added mask would have "
    "to hold 0 and minus infinity; a boolean one tells you which scores to fill.",
    edits={FILL: "scores + mask", AFTER: "weights"},
)
sdpa.wrong(
    "nothing done for a query that sees no key",
    "A query that may attend to nothing gives NaN: all its scores are minus infinity, and the softmax divides 0 by 0. Give "
    "such a query weights of zero after the softmax.",
    edits={FILL: 'scores.masked_fill(~mask, float("-inf"))', AFTER: "weights"},
)
sdpa.wrong(
    "a query that sees no key averages all",
    "A query that may attend to nothing gets equal weights for all keys: a large negative score hides a key only next to a "
    "larger one. Set hidden weights to zero after the softmax as well.",
    edits={FILL: "scores.masked_fill(~mask, -1e9)", AFTER: "weights"},
)
sdpa.wrong(
    "mask ignored",
    "Your mask has no effect: the weights are the same with and without it.",
    edits={"if mask is not None:\n        scores": "if False:\n        scores", AFTER: "weights"},
)
sdpa.wrong(
    "averages the keys",
    "Your output averages the keys. Keys decide who is listened to; what is averaged are the values.",
    edits={"weights @ value": "weights @ key"},
)
sdpa.wrong(
    "query and key exchanged",
    "Your scores have a row per key and a column per query. It is the query that asks: Q K^T has shape (N, M), a row for each "
    "query.",
    edits={"query @ key.transpose(-2, -1)": "key @ query.transpose(-2, -1)"},
)
sdpa.wrong(
    "weights and output exchanged",
    "You return (weights, output); the order is (output, weights).",
    edits={"return weights @ value, weights": "return weights, weights @ value"},
)
sdpa.wrong(
    "only the output is returned",
    "You return the output alone. Return both, (output, weights): the weights are what we will look at.",
    edits={"return weights @ value, weights": "return weights @ value"},
)
sdpa.wrong(
    "weights cut from the graph",
    "Your weights are detached from the graph, so nothing that decides where to look can learn. Leave out detach(), .data "
    "and torch.no_grad().",
    edits={"scores.softmax(dim=-1)": "scores.detach().softmax(dim=-1)"},
)
sdpa.wrong(
    "softmax by hand overflows",
    "Your softmax overflows: exp of a score above 88 is infinite in float32. Use softmax(), or subtract each row's largest "
    "score before exp; that changes nothing in the result.",
    edits={"scores.softmax(dim=-1)": "scores.exp() / scores.exp().sum(dim=-1, keepdim=True)"},
)
sdpa.wrong(
    "query divided in place",
    "You divide the query in place (`/=` or `div_`), and whoever called you finds it changed. Make a new tensor: query / ...",
    edits={
        "scores = query @ key.transpose(-2, -1)"
        + SCALE: "query /= math.sqrt(query.shape[-1])\n    scores = query @ key.transpose(-2, -1)"
    },
)


@sdpa.right("einsum, minus infinity, then NaN to zero")
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = torch.einsum("...nd,...md->...nm", query, key) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(mask.logical_not(), -float("inf"))
    weights = torch.nan_to_num(F.softmax(scores, dim=-1))
    return torch.einsum("...nm,...me->...ne", weights, value), weights


@sdpa.right("PyTorch's kernel, and once more on an identity matrix for the weights")
def scaled_dot_product_attention(query, key, value, mask=None):
    eye = torch.eye(key.shape[-2], dtype=key.dtype).expand(*key.shape[:-1], -1)
    attend = F.scaled_dot_product_attention
    return attend(query, key, value, attn_mask=mask), attend(query, key, eye, attn_mask=mask)


@sdpa.right("a loop over the queries")
def scaled_dot_product_attention(query, key, value, mask=None):
    d = query.size(-1)
    rows = []
    for i in range(query.size(-2)):
        score = (query[..., i : i + 1, :] * key).sum(-1) / d**0.5
        if mask is None:
            rows.append(torch.softmax(score, -1))
        else:
            seen = mask[..., i, :].expand(score.shape)
            score = torch.where(seen, score, torch.full_like(score, -1e30))
            rows.append(torch.softmax(score, -1) * seen)
    weights = torch.stack(rows, dim=-2)
    return torch.matmul(weights, value), weights


@sdpa.right("double precision inside, softmax by hand, query scaled first")
def scaled_dot_product_attention(query, key, value, mask=None):
    q, k, v = query.double() / math.sqrt(query.shape[-1]), key.double(), value.double()
    scores = q @ k.mT
    weights = (scores - scores.amax(-1, keepdim=True)).exp()
    if mask is not None:
        weights = weights * mask
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)
    return (weights @ v).to(value.dtype), weights.to(query.dtype)


@sdpa.right("a mask of zeros and minus infinities is added")
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = torch.matmul(query, key.transpose(-1, -2)).div(math.sqrt(key.shape[-1]))
    if mask is not None:
        bias = torch.zeros(mask.shape, dtype=scores.dtype)
        bias[~mask] = torch.finfo(scores.dtype).min / 2
        scores = scores + bias
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = torch.where(mask, weights, torch.zeros_like(weights))
    return weights @ value, weights


# ---------------------------------------------------------------- split_heads

split = Bank("split_heads")
SPLIT = 'rearrange(x, "b n (h d) -> b h n d", h=num_heads)'

split.wrong(
    "cut to the right shape, not along the heads",
    "You reshape (B, N, D) straight to (B, H, N, d). The shape is right, but the numbers are dealt out in memory order, and a "
    "head gets pieces of different tokens. First split the last axis into (H, d), then move the heads forward.",
    edits={SPLIT: "x.reshape(x.shape[0], num_heads, x.shape[1], -1)"},
)
split.wrong(
    "every H-th number to a head",
    "You split the last axis as (d, H), so head h gets every H-th number of a token. A head is a contiguous slice: split it as "
    "(H, d).",
    edits={SPLIT: SPLIT.replace("(h d)", "(d h)")},
)
split.wrong(
    "heads behind the tokens",
    "Your result is (B, N, H, d): the heads are split off but still behind the tokens. Move them in front: (B, H, N, d).",
    edits={SPLIT: SPLIT.replace("b h n d", "b n h d")},
)
split.wrong(
    "heads before the batch",
    "Your result is (H, B, N, d): the heads come first. The batch stays the first axis: (B, H, N, d).",
    edits={SPLIT: SPLIT.replace("b h n d", "h b n d")},
)
split.wrong(
    "tokens and width exchanged",
    "Your result is (B, H, d, N). The tokens come before the width of a head: (B, H, N, d).",
    edits={SPLIT: SPLIT.replace("b h n d", "b h d n")},
)
split.wrong(
    "number of heads taken for their width",
    "You use num_heads as the width of a head. It is the number H of heads; the width is d = D / H.",
    edits={SPLIT: 'rearrange(x, "b n (h d) -> b h n d", d=num_heads)'},
)
split.wrong(
    "heads and batch joined",
    "You fold heads and batch into one axis, (B * H, N, d). Keep them apart: (B, H, N, d).",
    edits={SPLIT: SPLIT.replace("b h n d", "(b h) n d")},
)
split.wrong(
    "cut from the graph",
    "Your result is detached from the graph, so no gradient passes. Leave out detach(), .data and torch.no_grad().",
    edits={SPLIT: SPLIT.replace("(x,", "(x.detach(),")},
)


@split.right("view and transpose")
def split_heads(x, num_heads):
    B, N, D = x.shape
    return x.view(B, N, num_heads, D // num_heads).transpose(1, 2)


@split.right("chunks stacked")
def split_heads(x, num_heads):
    return torch.stack(x.chunk(num_heads, dim=-1), dim=1)


@split.right("a loop over heads")
def split_heads(x, num_heads):
    d = x.shape[2] // num_heads
    out = x.new_empty(x.shape[0], num_heads, x.shape[1], d)
    for h in range(num_heads):
        out[:, h] = x[:, :, h * d : (h + 1) * d]
    return out


@split.right("unflatten and movedim")
def split_heads(x, num_heads):
    return x.unflatten(-1, (num_heads, -1)).movedim(2, 1).contiguous()


# ---------------------------------------------------------------- merge_heads

merge = Bank("merge_heads")
MERGE = 'rearrange(x, "b h n d -> b n (h d)")'

merge.wrong(
    "merged without moving the heads back",
    "You reshape (B, H, N, d) straight to (B, N, D). The shape is right, but a token gets pieces of different tokens. First move "
    "the heads behind the tokens, (B, N, H, d), then join the last two axes.",
    edits={MERGE: "x.reshape(x.shape[0], x.shape[2], -1)"},
)
merge.wrong(
    "heads interleaved",
    "You join the last two axes as (d, H), which interleaves the heads. They lie side by side: join them as (H, d).",
    edits={MERGE: MERGE.replace("(h d)", "(d h)")},
)
merge.wrong(
    "heads averaged",
    "You average the heads. Each head has found something of its own, so they are put side by side: (B, N, H * d).",
    edits={MERGE: "x.mean(dim=1)"},
)
merge.wrong(
    "heads added up",
    "You add the heads up. Each head has found something of its own, so they are put side by side: (B, N, H * d).",
    edits={MERGE: "x.sum(dim=1)"},
)
merge.wrong(
    "tokens of all heads in a row",
    "You put the heads one behind the other along the token axis, (B, H * N, d). Each token stays one token and gets wider: "
    "(B, N, H * d).",
    edits={MERGE: "x.flatten(1, 2)"},
)
merge.wrong(
    "heads left apart",
    "Your result is (B, N, H, d): the heads are behind the tokens, but not joined yet. Join the last two axes: (B, N, D).",
    edits={MERGE: "x.transpose(1, 2)"},
)
merge.wrong(
    "cut from the graph",
    "Your result is detached from the graph, so no gradient passes. Leave out detach(), .data and torch.no_grad().",
    edits={MERGE: MERGE.replace("(x,", "(x.detach(),")},
)


@merge.right("transpose and reshape")
def merge_heads(x):
    B, H, N, d = x.shape
    return x.transpose(1, 2).contiguous().view(B, N, H * d)


@merge.right("concatenation")
def merge_heads(x):
    return torch.cat([x[:, h] for h in range(x.shape[1])], dim=-1)


@merge.right("permute and flatten")
def merge_heads(x):
    return x.permute(0, 2, 1, 3).flatten(start_dim=2)


# ---------------------------------------------------------------- MultiHeadAttention

mha = Bank("MultiHeadAttention")
SELF = "if query is key is value:"
RETURN = "return self.out_proj(merge_heads(output)), weights"
ATTEND = "output, weights = self.attend(query, key, value, mask, need_weights)"
PROJECT = "[F.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]"

mha.wrong(
    "output projection left out",
    "The last projection is missing: after merging, the heads go through `out_proj`, which mixes what they found.",
    edits={RETURN: "return merge_heads(output), weights"},
)
mha.wrong(
    "biases left out",
    "Your projections leave out `in_proj_bias`. Like the weight, it holds three parts: for query, key and value.",
    edits={
        SELF: "if False:",
        PROJECT: "[F.linear(*each) for each in zip((query, key, value), weights, strict=True)]",
    },
)
mha.wrong(
    "value projected as key, key as value",
    "You project the key with the value's part of `in_proj_weight`, and the value with the key's. From top to bottom the "
    "parts are query, key, value.",
    edits={
        SELF: "if False:",
        PROJECT: PROJECT.replace("(query, key, value)", "(query, value, key)").replace(
            "[F", "(lambda p: [p[0], p[2], p[1]])([F"
        )
        + ")",
    },
)
mha.wrong(
    "parts of the projection interleaved",
    "You cut the projected numbers into query, key and value by taking every third. The parts lie one behind the other: the "
    "first third is the query, the second the key, the last the value.",
    edits={
        SELF: "if False:",
        "weights = self.in_proj_weight.chunk(3)": "weights = [self.in_proj_weight[i::3] for i in range(3)]",
        "biases = self.in_proj_bias.chunk(3)": "biases = [self.in_proj_bias[i::3] for i in range(3)]",
    },
)
mha.wrong(
    "weight not transposed",
    "You multiply x @ W. PyTorch keeps the weight of a linear layer as (out, in), so the projection is x @ W^T + b, which is "
    "what F.linear does.",
    edits={
        SELF: "if False:",
        PROJECT: "[x @ w + b for x, w, b in zip((query, key, value), weights, biases, strict=True)]",
    },
)
mha.wrong(
    "always self-attention",
    "Your keys and values always come from the query's sequence. In cross-attention they come from `key` and `value`.",
    edits={SELF: "key = value = query\n        mask = None\n        if query is key is value:"},
)
mha.wrong(
    "value ignored",
    "Your values are computed from `key`, even when another `value` is given.",
    edits={PROJECT: PROJECT.replace("(query, key, value)", "(query, key, key)")},
)
mha.wrong(
    "mask not passed on",
    "Your mask is not passed on to the attention, so hidden keys are still seen.",
    edits={ATTEND: ATTEND.replace("mask,", "None,")},
)
mha.wrong(
    "heads merged without moving them back",
    "You reshape the heads' outputs straight to (B, N, D), which mixes the tokens up. Use merge_heads.",
    edits={
        RETURN: RETURN.replace(
            "merge_heads(output)", "output.reshape(output.shape[0], -1, self.out_proj.in_features)"
        )
    },
)
mha.wrong(
    "a single wide head",
    "Your attention runs once over the whole width: the heads are not split, so there is one set of weights where there should "
    "be one per head.",
    edits={
        "(split_heads(x, self.num_heads) for x in projected)": "(split_heads(x, 1) for x in projected)",
    },
)
mha.wrong(
    "scaled by the whole width",
    "Your scores are divided by the square root of the whole width D. Each head compares queries and keys of width d = D / H, "
    "so it is sqrt(d).",
    edits={ATTEND: ATTEND.replace("(query,", "(query / self.num_heads**0.5,")},
)
mha.wrong(
    "scaled twice",
    "Your scores are divided by sqrt(d) twice: scaled_dot_product_attention does it already.",
    edits={ATTEND: ATTEND.replace("(query,", "(query / query.shape[-1] ** 0.5,")},
)
mha.wrong(
    "weights averaged over the heads",
    "You average the weights over the heads. Return them for each head, (B, H, N, M): heads look at different things, and the "
    "average hides it.",
    edits={RETURN: "return self.out_proj(merge_heads(output)), weights.mean(dim=1)"},
)
mha.wrong(
    "only the output is returned",
    "You return the output alone. Return (output, weights), as scaled_dot_product_attention does.",
    edits={RETURN: "return self.out_proj(merge_heads(output))"},
)


@mha.right("three projections, always")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, query, key=None, value=None, mask=None, need_weights=True):
        if key is None:
            key = query
        if value is None:
            value = key
        D = query.shape[-1]
        q = query @ self.in_proj_weight[:D].T + self.in_proj_bias[:D]
        k = key @ self.in_proj_weight[D : 2 * D].T + self.in_proj_bias[D : 2 * D]
        v = value @ self.in_proj_weight[2 * D :].T + self.in_proj_bias[2 * D :]
        q, k, v = (split_heads(x, self.num_heads) for x in (q, k, v))
        if mask is not None and mask.ndim == 3:
            mask = mask[:, None]
        out, weights = scaled_dot_product_attention(q, k, v, mask)
        return self.out_proj(merge_heads(out)), weights


@mha.right("a loop over heads, concatenated")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, query, key=None, value=None, mask=None, need_weights=True):
        key = query if key is None else key
        value = key if value is None else value
        wq, wk, wv = self.in_proj_weight.chunk(3)
        bq, bk, bv = self.in_proj_bias.chunk(3)
        outputs, maps = [], []
        for rows in torch.arange(wq.shape[0]).chunk(self.num_heads):
            q = F.linear(query, wq[rows], bq[rows])
            k = F.linear(key, wk[rows], bk[rows])
            v = F.linear(value, wv[rows], bv[rows])
            output, weights = scaled_dot_product_attention(q, k, v, mask)
            outputs.append(output)
            maps.append(weights)
        return self.out_proj(torch.cat(outputs, dim=-1)), torch.stack(maps, dim=1)


@mha.right("einsum on weights split by head")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, query, key=None, value=None, mask=None, need_weights=True):
        key = query if key is None else key
        value = key if value is None else value
        weight = rearrange(self.in_proj_weight, "(three h d) c -> three h d c", three=3, h=self.num_heads)
        bias = rearrange(self.in_proj_bias, "(three h d) -> three h 1 d", three=3, h=self.num_heads)
        q, k, v = (
            torch.einsum("bnc,hdc->bhnd", x, weight[i]) + bias[i] for i, x in enumerate((query, key, value))
        )
        if mask is not None and mask.dim() == 3:
            mask = mask.unsqueeze(1)
        output, weights = scaled_dot_product_attention(q, k, v, mask)
        merged = torch.einsum(
            "bhnd,ohd->bno", output, self.out_proj.weight.unflatten(1, (self.num_heads, -1))
        )
        return merged + self.out_proj.bias, weights


@mha.right("on PyTorch's own function, where every query sees a key")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)

    def forward(self, query, key=None, value=None, mask=None, need_weights=True):
        key = query if key is None else key
        value = key if value is None else value
        q, k, v = F._in_projection_packed(query, key, value, self.in_proj_weight, self.in_proj_bias)
        q, k, v = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        if mask is not None and mask.dim() == 3:
            mask = mask.unsqueeze(1)
        one_hot = torch.eye(k.shape[2], dtype=k.dtype).expand(*k.shape[:3], -1)
        output = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        weights = F.scaled_dot_product_attention(q, k, one_hot, attn_mask=mask)
        return self.out_proj(output.transpose(1, 2).flatten(2)), weights


# ---------------------------------------------------------------- causal_mask

causal = Bank("causal_mask")
CAUSAL = "torch.ones(length, length, dtype=torch.bool).tril()"

causal.wrong(
    "the future in place of the past",
    "Your mask lets each position see itself and the future. Row = query, column = key: query i may see the keys 0..i, the "
    "lower left triangle.",
    edits={"tril()": "triu()"},
)
causal.wrong(
    "without the position itself",
    "Your mask hides a position from itself. Query i may see the keys 0..i, i included (and the first query has nothing else "
    "to see).",
    edits={"tril()": "tril(-1)"},
)
causal.wrong(
    "inverted",
    "Your mask is True where a position must not look. In this course True means: may attend.",
    edits={"tril()": "triu(1)"},
)
causal.wrong(
    "one step into the future",
    "Your mask lets each position see the next one as well: query i may see the keys 0..i, and no further.",
    edits={"tril()": "tril(1)"},
)
causal.wrong(
    "everything visible",
    "Your mask hides nothing: query i may not see the keys after i.",
    edits={".tril()": ""},
)
causal.wrong(
    "numbers in place of booleans",
    "Your mask holds numbers 0 and 1; it should be boolean (dtype=torch.bool), because attention fills the scores where ~mask "
    "is True.",
    edits={"torch.ones(length, length, dtype=torch.bool)": "torch.ones(length, length)"},
)
causal.wrong(
    "zeros and minus infinities",
    "Your mask holds 0 and minus infinity, to be added to scores. In this course a mask is boolean: True = may attend.",
    edits={CAUSAL: 'torch.full((length, length), float("-inf")).triu(1)'},
)
causal.wrong(
    "only the position itself",
    "Your mask lets each position see itself alone. It may see everything before it, too.",
    edits={CAUSAL: "torch.eye(length, dtype=torch.bool)"},
)
causal.wrong(
    "with a batch axis",
    "Your mask has a batch axis of 1 in front. Return (N, N); broadcasting adds the rest.",
    edits={"tril()": "tril().unsqueeze(0)"},
)


@causal.right("positions compared")
def causal_mask(length):
    position = torch.arange(length)
    return position[:, None] >= position[None, :]


@causal.right("a loop")
def causal_mask(length):
    mask = torch.zeros((length, length), dtype=torch.bool)
    for i in range(length):
        mask[i, : i + 1] = True
    return mask


@causal.right("upper triangle inverted")
def causal_mask(length):
    return ~torch.triu(torch.ones(length, length), diagonal=1).bool()


@causal.right("from PyTorch's additive mask")
def causal_mask(length):
    return nn.Transformer.generate_square_subsequent_mask(length) == 0


# ---------------------------------------------------------------- sinusoidal_positions

positions = Bank("sinusoidal_positions")
SPEEDS = "10000 ** (-torch.arange(0, dim, 2) / dim)"
STACK = "torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)"

positions.wrong(
    "sines first, cosines behind",
    "All your sines come first and all cosines behind them. They alternate: sine in the even columns, cosine in the odd ones.",
    edits={STACK: "torch.cat([angles.sin(), angles.cos()], dim=-1)"},
)
positions.wrong(
    "sine and cosine exchanged",
    "Your cosines are in the even columns. The sine comes first: column 2i is the sine, column 2i + 1 the cosine.",
    edits={STACK: STACK.replace("angles.sin(), angles.cos()", "angles.cos(), angles.sin()")},
)
positions.wrong(
    "exponent half as large",
    "Your frequencies fall too slowly: the exponent is 2i / D with i counting the pairs, so it runs from 0 almost to 1. Yours "
    "ends at one half.",
    edits={SPEEDS: "10000 ** (-torch.arange(dim // 2) / dim)"},
)
positions.wrong(
    "exponent twice as large",
    "Your frequencies fall too fast: you count in steps of two and then multiply by two again. The exponent is 2i / D with i = 0, "
    "1, 2, ...",
    edits={SPEEDS: "10000 ** (-2 * torch.arange(0, dim, 2) / dim)"},
)
positions.wrong(
    "exponent with the wrong sign",
    "Your frequencies grow from column to column. The position is divided by 10000^(2i / D), so they fall from 1 to about 1/10000.",
    edits={SPEEDS: SPEEDS.replace("(-", "(")},
)
positions.wrong(
    "a frequency for each column",
    "Each of your columns has a frequency of its own. The two columns of a pair, 2i and 2i + 1, share one.",
    edits={
        SPEEDS: "10000 ** (-torch.arange(dim) / dim)",
        STACK: "torch.where(torch.arange(dim) % 2 == 0, angles.sin(), angles.cos())",
    },
)
positions.wrong(
    "positions counted from one",
    "Your positions start at 1. They start at 0, so the first row is 0, 1, 0, 1, ...",
    edits={"torch.arange(length)": "torch.arange(1, length + 1)"},
)
positions.wrong(
    "another base",
    "Your base is 1000. The paper's is 10000.",
    edits={SPEEDS: SPEEDS.replace("10000", "1000")},
)
positions.wrong(
    "whole turns",
    "Your angles have a factor of 2 pi. The formula has none: the first hand turns by one radian per position.",
    edits={"positions * speeds": "2 * torch.pi * positions * speeds"},
)
positions.wrong(
    "only sines",
    "Both columns of your pairs hold the sine. With the sine alone, two positions can look the same; the second column is the "
    "cosine.",
    edits={STACK: STACK.replace("angles.cos()", "angles.sin()")},
)
positions.wrong(
    "transposed",
    "Your table has a row per column of the encoding, (D, N). A row belongs to a position: (N, D).",
    edits={STACK: STACK + ".T"},
)
positions.wrong(
    "double precision is returned",
    "Your table is float64. Compute it as you like, and return float32, as the network's other numbers are.",
    edits={STACK: STACK + ".double()"},
)


@positions.right("two slices of an empty table")
def sinusoidal_positions(length, dim):
    table = torch.zeros(length, dim)
    position = torch.arange(length).unsqueeze(1).float()
    exponents = torch.arange(0, dim, 2).float() / dim
    table[:, 0::2] = torch.sin(position / 10000**exponents)
    table[:, 1::2] = torch.cos(position / 10000**exponents)
    return table


@positions.right("two loops")
def sinusoidal_positions(length, dim):
    import math

    rows = []
    for p in range(length):
        row = []
        for i in range(dim // 2):
            angle = p / 10000 ** (2 * i / dim)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows)


@positions.right("exponential of a logarithm, sine shifted by a quarter turn")
def sinusoidal_positions(length, dim):
    import math

    speeds = torch.exp(torch.arange(0, dim, 2, dtype=torch.float64) * (-math.log(10000.0) / dim))
    angles = torch.outer(torch.arange(length, dtype=torch.float64), speeds).repeat_interleave(2, dim=1)
    shift = torch.tensor([0.0, math.pi / 2], dtype=torch.float64).repeat(dim // 2)
    return torch.sin(angles + shift).float()


# ---------------------------------------------------------------- FeedForward

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


# ---------------------------------------------------------------- EncoderLayer

encoder = Bank("EncoderLayer")
PRE1 = "x = x + self.dropout(attend(self.norm1(x)))"
PRE2 = "x = x + self.dropout(self.feed_forward(self.norm2(x)))"
POST1 = "x = self.norm1(x + self.dropout(attend(x)))"
POST2 = "x = self.norm2(x + self.dropout(self.feed_forward(x)))"

encoder.wrong(
    "no residual around attention",
    "The residual connection around attention is missing: what attention finds is added to its input, not put in its place.",
    edits={PRE1: PRE1.replace("x + ", ""), POST1: POST1.replace("x + ", "")},
)
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


# ---------------------------------------------------------------- DecoderLayer

decoder = Bank("DecoderLayer")
MOVE1 = "(self.norm1, lambda x: self.self_attn(x, mask=mask, need_weights=False)[0])"
MOVE2 = "(self.norm2, lambda x: self.multihead_attn(x, memory, mask=memory_mask, need_weights=False)[0])"
MOVE3 = "(self.norm3, self.feed_forward)"
PRE = "x = x + self.dropout(move(norm(x)))"
POST = "x = norm(x + self.dropout(move(x)))"

decoder.wrong(
    "cross-attention without the memory",
    "Your second attention looks at the target again. It is cross-attention: queries from the target, keys and values from "
    "the encoder's output, `memory`.",
    edits={MOVE2: MOVE2.replace("x, memory, mask=memory_mask", "x, mask=mask")},
)
decoder.wrong(
    "queries from the memory",
    "In your cross-attention the memory asks and the target answers. It is the other way round: a target position asks (query), "
    "the memory answers (key, value).",
    edits={MOVE2: MOVE2.replace("x, memory, mask=memory_mask", "memory, x, mask=None")},
)
decoder.wrong(
    "values from the target",
    "Your cross-attention takes its keys from the memory but its values from the target. Both come from the memory: what is "
    "found is what is read.",
    edits={MOVE2: MOVE2.replace("x, memory,", "x, memory, x[:, :1].expand_as(memory),")},
)
decoder.wrong(
    "memory normalised",
    "You apply norm2 to the memory as well. Only the queries pass through this layer's norm; the memory comes as the encoder left "
    "it.",
    edits={MOVE2: MOVE2.replace("x, memory,", "x, self.norm2(memory) if self.norm_first else memory,")},
)
decoder.wrong(
    "causal mask not passed on",
    "Your self-attention does not get `mask`, so a position sees its own future, which it is meant to predict.",
    edits={MOVE1: MOVE1.replace("mask=mask, ", "")},
)
decoder.wrong(
    "source mask not passed on",
    "Your cross-attention does not get `memory_mask`, so it reads the source's padding.",
    edits={MOVE2: MOVE2.replace("mask=memory_mask, ", "")},
)
decoder.wrong(
    "one attention for both",
    "You use self_attn for cross-attention, too. The layer has two attentions with weights of their own: self_attn and "
    "multihead_attn.",
    edits={MOVE2: MOVE2.replace("multihead_attn", "self_attn")},
)
decoder.wrong(
    "attentions exchanged",
    "Your two attentions are exchanged: self_attn looks at the target, multihead_attn (cross-attention) at the memory.",
    edits={
        MOVE1: MOVE1.replace("self.self_attn", "self.multihead_attn"),
        MOVE2: MOVE2.replace("self.multihead_attn", "self.self_attn"),
    },
)
decoder.wrong(
    "cross-attention first",
    "Your cross-attention comes before self-attention. The target first looks at itself, then at the source.",
    edits={
        MOVE1: "MOVE",
        MOVE2: MOVE1.replace("norm1", "norm2"),
        "MOVE": MOVE2.replace("norm2", "norm1"),
    },
)
decoder.wrong(
    "no residual around cross-attention",
    "The residual connection around cross-attention is missing: what it reads is added to x, not put in its place.",
    edits={
        PRE: "x = x * (norm is not self.norm2) + self.dropout(move(norm(x)))",
        POST: "x = norm(x * (norm is not self.norm2) + self.dropout(move(x)))",
    },
)
decoder.wrong(
    "no residual connections",
    "Your residual connections are missing: each move's result is added to its input, not put in its place.",
    edits={PRE: PRE.replace("x + ", ""), POST: POST.replace("x + ", "")},
)
decoder.wrong(
    "pre-LN and post-LN exchanged",
    "You normalise after the sum where norm_first is True, and before the move where it is False. norm_first=True means that the "
    "norm comes first (pre-LN).",
    edits={"if self.norm_first:": "if not self.norm_first:"},
)
decoder.wrong(
    "norms of cross-attention and feed-forward exchanged",
    "Your norm2 and norm3 are exchanged: they belong to the moves in their order, norm2 to cross-attention, norm3 to the "
    "feed-forward.",
    edits={"self.norm2, lambda": "self.norm3, lambda", "self.norm3, self.feed": "self.norm2, self.feed"},
)
decoder.wrong(
    "feed-forward forgotten",
    "Your layer ends after cross-attention. The third move is missing: the feed-forward, with norm3.",
    edits={MOVE3 + ",": ""},
)
decoder.wrong(
    "dropout forgotten",
    "Your layer has no dropout: in train mode, self.dropout is applied to what each move adds.",
    edits={PRE: "x = x + move(norm(x))", POST: "x = norm(x + move(x))"},
)
decoder.wrong(
    "memory cut from the graph",
    "The memory is detached from the graph, so the encoder could not learn from the decoder's mistakes.",
    edits={MOVE2: MOVE2.replace("memory, mask", "memory.detach(), mask")},
)


@decoder.right("written out")
class DecoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, memory, mask=None, memory_mask=None):
        if self.norm_first:
            x = x + self.dropout(self.self_attn(self.norm1(x), mask=mask)[0])
            x = x + self.dropout(self.multihead_attn(self.norm2(x), memory, mask=memory_mask)[0])
            x = x + self.dropout(self.feed_forward(self.norm3(x)))
        else:
            x = self.norm1(x + self.dropout(self.self_attn(x, mask=mask)[0]))
            x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory, memory_mask)[0]))
            x = self.norm3(x + self.dropout(self.feed_forward(x)))
        return x


@decoder.right("one sequence at a time, sums in another order")
class DecoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.norm_first = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def residual(self, x, norm, move):
        return self.dropout(move(norm(x))) + x if self.norm_first else norm(self.dropout(move(x)) + x)

    def forward(self, x, memory, mask=None, memory_mask=None):
        out = []
        for b in range(len(x)):
            own = memory_mask[b : b + 1] if memory_mask is not None else None
            y, source = x[b : b + 1], memory[b : b + 1]
            y = self.residual(y, self.norm1, lambda t: self.self_attn(t, t, t, mask)[0])
            y = self.residual(y, self.norm2, lambda t: self.multihead_attn(t, source, source, own)[0])
            out.append(self.residual(y, self.norm3, self.feed_forward))
        return torch.cat(out, dim=0)


@decoder.right("norms as functions in double precision")
class DecoderLayer(nn.Module):
    def __init__(self, dim, num_heads, hidden_dim, norm_first=False, dropout=0.0, activation="relu"):
        super().__init__()
        self.pre = norm_first
        self.self_attn = MultiHeadAttention(dim, num_heads)
        self.multihead_attn = MultiHeadAttention(dim, num_heads)
        self.feed_forward = FeedForward(dim, hidden_dim, activation)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.p = dropout

    def forward(self, x, memory, mask=None, memory_mask=None):
        def norm(layer, y):
            y = F.layer_norm(y.double(), y.shape[-1:], layer.weight.double(), layer.bias.double(), layer.eps)
            return y.to(x.dtype)

        for layer, move in (
            (self.norm1, lambda y: self.self_attn(y, mask=mask, need_weights=False)[0]),
            (self.norm2, lambda y: self.multihead_attn(y, memory, memory, memory_mask, False)[0]),
            (self.norm3, self.feed_forward),
        ):
            y = norm(layer, x) if self.pre else x
            y = x + F.dropout(move(y), self.p, self.training)
            x = y if self.pre else norm(layer, y)
        return x


# ---------------------------------------------------------------- greedy_decode

greedy = Bank("greedy_decode")
TOKEN = "token = model(source, target)[:, -1].argmax(dim=-1)"
FREEZE = "token = token.masked_fill(ended, end)"
ENDED = "ended = ended | (token == end)"
STOP = "if ended.all():"

greedy.wrong(
    "argmax over the batch",
    "Your argmax runs over the batch. It should pick a token for each sequence: over the vocabulary, the last axis.",
    edits={TOKEN: TOKEN.replace("argmax(dim=-1)", "argmax(dim=0)")},
)
greedy.wrong(
    "scores of the first position",
    "You read the scores at the first position, which always predict the first token. The next token is predicted at the last one.",
    edits={TOKEN: TOKEN.replace("[:, -1]", "[:, 0]")},
)
greedy.wrong(
    "only the last token is fed back",
    "You feed only the newest token to the model. It has no memory of its own: give it the whole target so far, from `start` on.",
    edits={TOKEN: TOKEN.replace("target)", "target[:, -1:])")},
)
greedy.wrong(
    "ended sequences go on",
    "A sequence that has written `end` goes on writing other tokens while it waits for the rest. Fill it up with `end`.",
    edits={FREEZE: "pass"},
)
greedy.wrong(
    "stops with the first sequence that ends",
    "You stop as soon as one sequence has ended, and cut the others off. Stop when all have.",
    edits={STOP: "if ended.any():"},
)
greedy.wrong(
    "never stops early",
    "You always write max_length tokens. Stop when every sequence has written `end`.",
    edits={STOP: "if False:"},
)
greedy.wrong(
    "start is returned",
    "Your result begins with `start`. Return only what was written.",
    edits={"return target[:, 1:]": "return target"},
)
greedy.wrong(
    "end is cut off",
    "You leave out the last token: the `end` of the longest sequence is missing. Stop after it has been added to the target.",
    edits={"return target[:, 1:]": "return target[:, 1:-1]"},
)
greedy.wrong(
    "stops without adding the last token",
    "You stop before the last token has been added to the target, so the `end` of the longest sequence is missing.",
    edits={
        "target = torch.cat([target, token.unsqueeze(1)], dim=1)\n        " + ENDED: ENDED,
        "            break": "            break\n        target = torch.cat([target, token.unsqueeze(1)], dim=1)",
    },
)
greedy.wrong(
    "one token too many",
    "You write max_length + 1 tokens when no sequence ends. `start` does not count, and max_length is the largest number to write.",
    edits={"range(max_length)": "range(max_length + 1)"},
)
greedy.wrong(
    "one token too few",
    "You write at most max_length - 1 tokens. `start` does not count: max_length tokens may follow it.",
    edits={"range(max_length)": "range(max_length - 1)", "return target[:, 1:]": "return target[:, 1:]"},
)
greedy.wrong(
    "ignores max_length",
    "You write until all sequences have ended. Some never do: stop after max_length tokens.",
    edits={"for _ in range(max_length):": "while True:"},
)
greedy.wrong(
    "the least likely token",
    "You pick the token with the lowest score. Scores are the larger the likelier: argmax.",
    edits={TOKEN: TOKEN.replace("argmax", "argmin")},
)
greedy.wrong(
    "a random token",
    "You draw the next token at random. Greedy decoding always takes the likeliest one: argmax.",
    edits={TOKEN: "token = torch.multinomial(model(source, target)[:, -1].softmax(dim=-1), 1).squeeze(1)"},
)
greedy.wrong(
    "all tokens are predicted anew",
    "You replace the whole target by the model's predictions in each step, and the `start` in front is lost. Keep what is "
    "written and append one token.",
    edits={
        "target = torch.cat([target, token.unsqueeze(1)], dim=1)": "target = torch.cat([model(source, target).argmax(dim=-1)[:, :-1], target[:, :1], token.unsqueeze(1)], dim=1)"
    },
)


@greedy.right("tokens in a list")
def greedy_decode(model, source, start, end, max_length):
    B = source.shape[0]
    target = torch.full((B, 1), start, dtype=torch.long)
    written = []
    done = torch.zeros(B, dtype=torch.bool)
    while len(written) < max_length and not done.all():
        prefix = torch.cat([target] + [w.view(B, 1) for w in written], dim=1)
        scores = torch.softmax(model(source, prefix)[:, -1, :], dim=-1)
        token = torch.where(done, torch.full((B,), end), scores.max(dim=-1).indices)
        done |= token == end
        written.append(token)
    return torch.stack(written, dim=1)


@greedy.right("each sequence by itself, filled up at the end")
def greedy_decode(model, source, start, end, max_length):
    rows = []
    for b in range(len(source)):
        row = [start]
        while len(row) <= max_length and end not in row[1:]:
            logits = model(source[b : b + 1], torch.tensor([row]))
            row.append(int(logits[0, -1].argmax()))
        rows.append(row[1:])
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [end] * (longest - len(row)) for row in rows])


@greedy.right("ended seen from the last token")
def greedy_decode(model, source, start, end, max_length):
    target = torch.full((len(source), 1), start)
    for step in range(max_length):
        token = model(source, target)[:, step].topk(1).indices
        if step > 0:
            token[target[:, -1] == end] = end
        target = torch.cat((target, token), 1)
        if (token == end).all():
            break
    return target[:, 1:]
