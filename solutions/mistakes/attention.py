"""Wrong and alternative right answers: several heads side by side."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

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
    if x.shape[-1] % num_heads:
        raise ValueError("the heads do not divide the width")
    B, N, D = x.shape
    return x.view(B, N, num_heads, D // num_heads).transpose(1, 2)


@split.right("chunks stacked")
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError("the heads do not divide the width")
    return torch.stack(x.chunk(num_heads, dim=-1), dim=1)


@split.right("a loop over heads")
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError(f'{num_heads} heads, width {x.shape[-1]}')
    d = x.shape[2] // num_heads
    out = x.new_empty(x.shape[0], num_heads, x.shape[1], d)
    for h in range(num_heads):
        out[:, h] = x[:, :, h * d : (h + 1) * d]
    return out


@split.right("unflatten and movedim")
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError("the heads do not divide the width")
    return x.unflatten(-1, (num_heads, -1)).movedim(2, 1).contiguous()


@split.wrong(
    "split the tokens' axis", "Each of your heads holds the right numbers, but inside a head tokens and width are mixed up: a reshape from "
                              "(d, N) to (N, d) does not exchange two axes. Transpose them."
)
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {x.shape[-1]}")
    B, N, D = x.shape
    return x.transpose(1, 2).reshape(B, num_heads, D // num_heads, N).reshape(B, num_heads, N, D // num_heads)


@split.right("view and transpose, as well")
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {x.shape[-1]}")
    B, N, D = x.shape
    return x.reshape(B, N, num_heads, D // num_heads).transpose(1, 2)


@split.right("rearrange")
def split_heads(x, num_heads):
    if x.shape[-1] % num_heads:
        raise ValueError(f"{num_heads} heads do not divide a width of {x.shape[-1]}")
    return rearrange(x, "batch n (heads d) -> batch heads n d", heads=num_heads)


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


@merge.wrong(
    "squeezed",
    "You squeeze the result, so a batch of one or a single token loses its axis. The result is always (B, N, D).",
)
def merge_heads(x):
    return rearrange(x, "b h n d -> b n (h d)").squeeze()


@merge.right("transpose and flatten")
def merge_heads(x):
    return x.transpose(1, 2).flatten(2)


@merge.right("cat of heads")
def merge_heads(x):
    heads = []
    for h in range(x.shape[1]):
        heads.append(x[:, h])
    return torch.cat(heads, dim=-1)


@merge.right("permute, contiguous, view")
def merge_heads(x):
    B, H, N, d = x.shape
    return x.permute(0, 2, 1, 3).contiguous().view(B, N, H * d)


mha = Bank("MultiHeadAttention")

PACKED = 'rearrange(self.in_proj_{}, "(h three d) ... -> three (h d) ...", h=self.num_heads, three=3)'

mha.wrong(
    "parts of the projection inside each head",
    "You read query, key and value inside each head, a layout of other code bases. In `in_proj_weight` the first D rows make all "
    "queries, the next D all keys, the last D all values; each of the three is split into heads after that.",
    edits={
        "if query is key is value:": "if False:",
        "self.in_proj_weight.chunk(3)": PACKED.format("weight"),
        "self.in_proj_bias.chunk(3)": PACKED.format("bias"),
    },
)

mha.wrong(
    "weights always returned",
    "You return the weights even where need_weights=False. Return None in their place then, as `attend` does if you "
    "pass need_weights on.",
    edits={
        "output, weights = self.attend(query, key, value, mask, need_weights)": "output, weights = self.attend(query, key, value, mask, True)"
    },
)

mha.wrong(
    "heads interleaved",
    "You split the width as (d, H), so a head gets every H-th number. A head is a contiguous slice of the width, as in split_heads: (H, d).",
    edits={
        "split_heads(x, self.num_heads)": 'rearrange(x, "b n (d h) -> b h n d", h=self.num_heads)',
        "merge_heads(output)": 'rearrange(output, "b h n d -> b n (d h)")',
    },
)

mha.wrong(
    "attention over the batch",
    "Your attention runs over the batch: the sequences look at each other, place by place. The batch is the first axis, the tokens are "
    "the second.",
    edits={
        "split_heads(x, self.num_heads)": "split_heads(x.transpose(0, 1), self.num_heads)",
        "merge_heads(output)": "merge_heads(output).transpose(0, 1)",
    },
)

RETURN = "return self.out_proj(merge_heads(output)), weights"

mha.wrong(
    "output projection left out",
    "The last projection is missing: after merging, the heads go through `out_proj`, which mixes what they found.",
    edits={RETURN: "return merge_heads(output), weights"},
)

SELF = "if query is key is value:"

PROJECT = "[F.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]"

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
    "Your keys and values always come from the query's sequence, and the mask is not used. In cross-attention they "
    "come from `key` and `value`, and the mask is passed on.",
    edits={SELF: "key = value = query\n        mask = None\n        if query is key is value:"},
)

mha.wrong(
    "value ignored",
    "Your values are computed from `key`, even when another `value` is given.",
    edits={PROJECT: PROJECT.replace("(query, key, value)", "(query, key, key)")},
)

ATTEND = "output, weights = self.attend(query, key, value, mask, need_weights)"

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


mha.wrong(
    "self-attention recognised by its shape",
    "You take key for the same sequence as query wherever both have one shape. Two different sequences can be equally long: ask whether they are "
    "the same tensor.",
    edits={SELF: "if query.shape == key.shape == value.shape:"},
)
mha.wrong(
    "no mask without weights",
    "You leave the mask out when nobody needs the weights. `need_weights=False` only says that they are not returned.",
    edits={ATTEND: ATTEND.replace("mask,", "mask if need_weights else None,")},
)


@mha.right("three projections, always")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        if embed_dim % num_heads:
            raise ValueError(f'{num_heads} heads, width {embed_dim}')
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
        return self.out_proj(merge_heads(out)), weights if need_weights else None


@mha.right("a loop over heads, concatenated")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        if embed_dim % num_heads:
            raise ValueError(f'{num_heads} heads, width {embed_dim}')
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
        return self.out_proj(torch.cat(outputs, dim=-1)), torch.stack(maps, dim=1) if need_weights else None


@mha.right("einsum on weights split by head")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        if embed_dim % num_heads:
            raise ValueError(f'{num_heads} heads, width {embed_dim}')
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
        return merged + self.out_proj.bias, weights if need_weights else None


@mha.right("on PyTorch's own function, where every query sees a key")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        if embed_dim % num_heads:
            raise ValueError(f'{num_heads} heads, width {embed_dim}')
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
        return self.out_proj(output.transpose(1, 2).flatten(2)), weights if need_weights else None


mha.wrong(
    "key first",
    "You take the thirds of the projection in the order key, query, value. From top to bottom they are query, key, value.",
    edits={
        "if query is key is value:  # one product is faster than three\n"
        "            projected = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)\n"
        "        else:\n"
        "            weights = self.in_proj_weight.chunk(3)  # query, key, value: (D, D) each\n"
        "            biases = self.in_proj_bias.chunk(3)\n"
        "            projected = [F.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]\n"
        "        query, key, value = (split_heads(x, self.num_heads) for x in projected)  # (B, H, N or M, d)\n"
        "        output, weights = self.attend(query, key, value, mask, need_weights)": "wk, wq, wv = self.in_proj_weight.chunk(3)\n"
        "        bk, bq, bv = self.in_proj_bias.chunk(3)\n"
        "        q = split_heads(F.linear(query, wq, bq), self.num_heads)\n"
        "        k = split_heads(F.linear(key, wk, bk), self.num_heads)\n"
        "        v = split_heads(F.linear(value, wv, bv), self.num_heads)\n"
        "        output, weights = self.attend(q, k, v, mask, need_weights)",
    },
)


mha.wrong(
    "shortcut forgets the value",
    "Your shortcut for self-attention also makes the values from the query where another `value` is given.",
    edits={
        "if query is key is value:  # one product is faster than three\n"
        "            projected = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)\n"
        "        else:\n"
        "            weights = self.in_proj_weight.chunk(3)  # query, key, value: (D, D) each\n"
        "            biases = self.in_proj_bias.chunk(3)\n"
        "            projected = [F.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]\n"
        "        query, key, value = (split_heads(x, self.num_heads) for x in projected)  # (B, H, N or M, d)\n"
        "        output, weights = self.attend(query, key, value, mask, need_weights)": "if key is query:\n"
        "            q, k, v = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)\n"
        "        else:\n"
        "            ws, bs = (self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3))\n"
        "            q, k, v = (F.linear(t, w, b) for t, w, b in zip((query, key, value), ws, bs))\n"
        "        q, k, v = (split_heads(t, self.num_heads) for t in (q, k, v))\n"
        "        output, weights = self.attend(q, k, v, mask, need_weights)",
    },
)


mha.right(
    "chunk and generator",
    edits={
        "if query is key is value:  # one product is faster than three\n"
        "            projected = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)\n"
        "        else:\n"
        "            weights = self.in_proj_weight.chunk(3)  # query, key, value: (D, D) each\n"
        "            biases = self.in_proj_bias.chunk(3)\n"
        "            projected = [F.linear(*each) for each in zip((query, key, value), weights, biases, strict=True)]\n"
        "        query, key, value = (split_heads(x, self.num_heads) for x in projected)  # (B, H, N or M, d)\n"
        "        output, weights = self.attend(query, key, value, mask, need_weights)": "ws, bs = (self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3))\n"
        "        q, k, v = (\n"
        "            split_heads(F.linear(t, w, b), self.num_heads)\n"
        "            for t, w, b in zip((query, key, value), ws, bs, strict=True)\n"
        "        )\n"
        "        output, weights = self.attend(q, k, v, mask, need_weights)",
    },
)


@mha.right("one product in self-attention")
class MultiHeadAttention(nn.Module):
    def __init__(self, embed_dim, num_heads):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"{num_heads} heads do not divide a width of {embed_dim}")
        self.num_heads = num_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        self.out_proj = nn.Linear(embed_dim, embed_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def attend(self, query, key, value, mask, need_weights):
        if need_weights:
            return scaled_dot_product_attention(query, key, value, mask)
        return (F.scaled_dot_product_attention(query, key, value, attn_mask=mask), None)

    def forward(self, query, key=None, value=None, mask=None, need_weights=True):
        key = query if key is None else key
        value = key if value is None else value
        if mask is not None and mask.dim() == 3:
            mask = mask.unsqueeze(1)
        if key is query and value is query:
            packed = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            q, k, v = rearrange(packed, "b n (three h d) -> three b h n d", three=3, h=self.num_heads)
        else:
            D = query.shape[-1]
            W, b = (self.in_proj_weight, self.in_proj_bias)
            q = F.linear(query, W[:D], b[:D])
            k = F.linear(key, W[D : 2 * D], b[D : 2 * D])
            v = F.linear(value, W[2 * D :], b[2 * D :])
            q, k, v = (rearrange(t, "b n (h d) -> b h n d", h=self.num_heads) for t in (q, k, v))
        attended, weights = self.attend(q, k, v, mask, need_weights)
        attended = rearrange(attended, "b h n d -> b n (h d)")
        return (self.out_proj(attended), weights)


mha.wrong(
    'biases in another order',
    "Your biases of query and key are exchanged. `in_proj_bias` holds the query's, the key's and the value's, in this order, as `in_proj_weight` does.",
    edits={
        'biases = self.in_proj_bias.chunk(3)': 'biases = bias.chunk(3)',
        'F.linear(query, self.in_proj_weight, self.in_proj_bias)': 'F.linear(query, self.in_proj_weight, bias)',
        'if query is key is value:': 'query_bias, key_bias, value_bias = self.in_proj_bias.chunk(3)\n        bias = torch.cat([key_bias, query_bias, value_bias])\n        if query is key is value:',
    },
)
