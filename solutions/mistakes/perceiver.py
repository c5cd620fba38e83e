"""Wrong and alternative right answers: cross-attention and Perceiver IO."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

cross = Bank("CrossAttention")

SDPA = "F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"

cross.wrong(
    "scores not scaled",
    "Your scores are not divided by sqrt(d), where d is the width of one head's queries.",
    edits={SDPA: "F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)"},
)

cross.wrong(
    "scaled by the whole width",
    "You divide the scores by the root of the whole width Q. Each head's scores are sums over its own d = Q / H numbers, so divide by sqrt(d).",
    edits={SDPA: "F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=queries.shape[-1] ** -0.5)"},
)

NORM = "        inputs = self.norm_input(inputs)\n"

cross.wrong(
    "inputs not normalised",
    "You don't use norm_input: keys and values should be made from the normalised inputs.",
    edits={NORM: ""},
)

cross.wrong(
    "queries not normalised",
    "You don't use norm_query: the queries should be normalised before the linear layer.",
    edits={"self.query(self.norm_query(queries))": "self.query(queries)"},
)

PARTS = "parts = (self.query(self.norm_query(queries)), self.key(inputs), self.value(inputs))"

cross.wrong(
    "values of raw inputs",
    "Your keys come from the normalised inputs and your values from the raw ones. Both are made from the normalised inputs.",
    edits={NORM: "", PARTS: PARTS.replace("self.key(inputs)", "self.key(self.norm_input(inputs))")},
)

cross.wrong(
    "keys of raw inputs",
    "Your values come from the normalised inputs and your keys from the raw ones. Both are made from the normalised inputs.",
    edits={NORM: "", PARTS: PARTS.replace("self.value(inputs)", "self.value(self.norm_input(inputs))")},
)

cross.wrong(
    "hidden scores are -100",
    "A hidden score is a moderate number in yours. Where the scores that count lie further below, it is attended to all the same: hidden means a "
    "weight of zero, whatever the other scores are.",
    edits={SDPA: "(lambda s: (s if mask is None else s.masked_fill(~mask, -100.0)).softmax(-1) @ v)(q @ k.mT / k.shape[-1] ** 0.5)"},
)

cross.wrong(
    "keys reshaped",
    "You reshape the keys from (N, d) to (d, N), and the numbers stay in the order in which they lie. A transposition moves them: "
    "`k.transpose(-2, -1)`.",
    edits={
        SDPA: "(lambda s: (s if mask is None else s.masked_fill(~mask, float('-inf'))).softmax(-1) @ v)(q @ k.reshape(*k.shape[:2], k.shape[3], k.shape[2]) / k.shape[-1] ** 0.5)"
    },
)

MASK = "mask = mask[:, None, None, :]"

cross.wrong(
    "mask the wrong way round",
    "Your mask is the wrong way round: True means that an input may be looked at.",
    edits={MASK: "mask = ~mask[:, None, None, :]"},
)

cross.wrong(
    "mask ignored",
    "You don't use the mask, so your queries look at inputs that are not real.",
    edits={SDPA: "F.scaled_dot_product_attention(q, k, v)"},
)

HEADS = 'rearrange(part, "b n (h d) -> b h n d", h=self.num_heads)'

cross.wrong(
    "heads interleaved",
    "Each of your heads takes every H-th number of a token. A head is a contiguous slice: split the width into (H, d), in this order.",
    edits={HEADS: 'rearrange(part, "b n (d h) -> b h n d", h=self.num_heads)'},
)

OUT = 'self.output(rearrange(found, "b h m d -> b m (h d)"))'

cross.wrong(
    "heads not side by side",
    "You merge the heads with d outside and H inside. Put the heads back as they were cut: (H, d).",
    edits={OUT: 'self.output(rearrange(found, "b h m d -> b m (d h)"))'},
)

cross.wrong(
    "one head",
    "You compute all scores over the whole width, as with a single head. Each head compares its own slice.",
    edits={HEADS: 'rearrange(part, "b n (h d) -> b h n d", h=1)'},
)

cross.wrong(
    "no output layer",
    "Your heads are merged and returned; the linear layer `output` mixes them first.",
    edits={OUT: 'rearrange(found, "b h m d -> b m (h d)")'},
)

cross.wrong(
    "query added",
    "You add the queries to what they find. Whether to do that is decided outside: the latents want it when they read, and answers do not.",
    edits={OUT: "queries + " + OUT},
)

cross.wrong(
    "keys and values exchanged",
    "Your keys and values are exchanged: queries are compared with keys, and values are averaged.",
    edits={SDPA: "F.scaled_dot_product_attention(q, v, k, attn_mask=mask)"},
)

cross.right(
    "softmax in the open",
    edits={
        SDPA: "((q @ k.mT / k.shape[-1] ** 0.5).masked_fill(~mask if mask is not None else torch.tensor(False), float('-inf'))).softmax(-1) @ v"
    },
)

cross.right(
    "view and transpose",
    edits={
        HEADS: "part.view(part.shape[0], part.shape[1], self.num_heads, -1).transpose(1, 2)",
        'rearrange(found, "b h m d -> b m (h d)")': "found.transpose(1, 2).flatten(2)",
    },
)

cross.right(
    "head by head",
    edits={
        SDPA: "torch.stack([F.scaled_dot_product_attention(q[:, h : h + 1], k[:, h : h + 1], v[:, h : h + 1], attn_mask=mask)[:, 0] for h in range(self.num_heads)], 1)"
    },
)

cross.right(
    "einsum, and a mask that is added",
    edits={
        "        if mask is not None:\n            mask = mask[:, None, None, :]  # (B, N) -> (B, 1, 1, N): the same for all heads and queries\n": "",
        SDPA: "torch.einsum('bhmn,bhnd->bhmd', (torch.einsum('bhmd,bhnd->bhmn', q, k) * q.shape[-1] ** -0.5 + (0 if mask is None else torch.zeros_like(k[:, :1, :, 0]).masked_fill(~mask[:, None], -1e30).unsqueeze(2))).softmax(-1), v)",
    },
)


@cross.wrong(
    "scaled by the input's width",
    "You divide the scores by the square root of the inputs' width. The d in sqrt(d) is the width of a head's query."
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / inputs.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
        found = scores.softmax(dim=-1) @ v
        return self.output(rearrange(found, 'b h n d -> b n (h d)'))


@cross.wrong(
    'softmax over the queries',
    "Your softmax runs over the queries. Each query's weights over the inputs, the last axis, sum to 1."
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
        found = scores.softmax(dim=-2) @ v
        return self.output(rearrange(found, 'b h n d -> b n (h d)'))


@cross.wrong(
    'heads interleaved, as well',
    "Your heads take a token's numbers in turn, when you split the width and when you merge the heads. A head is a "
    "contiguous slice of the width."
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (d h) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
        found = scores.softmax(dim=-1) @ v
        return self.output(rearrange(found, 'b h n d -> b n (d h)'))


@cross.wrong(
    'hidden with zero',
    'You set the scores of hidden inputs to 0, and exp(0) = 1: they keep a weight. Minus infinity hides.'
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores * mask[:, None, None, :]
        found = scores.softmax(dim=-1) @ v
        return self.output(rearrange(found, 'b h n d -> b n (h d)'))


@cross.wrong(
    'masked after the softmax',
    'You set hidden weights to zero after the softmax, so the others no longer sum to 1. Hide the scores before it.'
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        weights = scores.softmax(dim=-1)
        if mask is not None:
            weights = weights * mask[:, None, None, :]
        return self.output(rearrange(weights @ v, 'b h n d -> b n (h d)'))


@cross.wrong(
    'inputs set to zero',
    'You set hidden inputs to zero. Norm and biases still make keys and values of them, so they count: hide their scores.'
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        if mask is not None:
            inputs = inputs * mask[..., None]
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        found = scores.softmax(dim=-1) @ v
        return self.output(rearrange(found, 'b h n d -> b n (h d)'))


@cross.wrong(
    'heads not moved back',
    "You flatten before the heads are moved back behind the queries: (B, H, M, d) should first become (B, M, H, d)."
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
        return self.output((scores.softmax(dim=-1) @ v).reshape(queries.shape))


@cross.wrong(
    'one mask for the batch',
    'You use the first row of the mask for the whole batch. Each row has its own.'
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores[..., mask[0]]
            v = v[:, :, mask[0]]
        found = scores.softmax(dim=-1) @ v
        return self.output(rearrange(found, 'b h n d -> b n (h d)'))


@cross.wrong(
    'mask added as numbers',
    'You add the mask as the numbers 0 and 1, which hides nothing. Keep it boolean.'
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        attn = None if mask is None else mask[:, None, None, :].to(q.dtype)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=attn)
        return self.output(found.transpose(1, 2).flatten(2))


@cross.wrong(
    'dropout of a tenth',
    'You drop some attention weights in training. No dropout is asked for.'
)
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
        weights = F.dropout(scores.softmax(dim=-1), 0.1, self.training)
        return self.output(rearrange(weights @ v, 'b h n d -> b n (h d)'))


@cross.right('einops')
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (rearrange(t, 'b n (h d) -> b h n d', h=self.num_heads) for t in (q, k, v))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None, :], float('-inf'))
        found = scores.softmax(dim=-1) @ v
        return self.output(rearrange(found, 'b h n d -> b n (h d)'))


@cross.right('fused kernel')
class CrossAttention(nn.Module):

    def __init__(self, query_dim, input_dim, num_heads=1):
        super().__init__()
        if query_dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide a width of {query_dim}')
        self.num_heads = num_heads
        self.norm_query = nn.LayerNorm(query_dim)
        self.norm_input = nn.LayerNorm(input_dim)
        self.query = nn.Linear(query_dim, query_dim)
        self.key = nn.Linear(input_dim, query_dim)
        self.value = nn.Linear(input_dim, query_dim)
        self.output = nn.Linear(query_dim, query_dim)

    def forward(self, queries, inputs, mask=None):
        normed = self.norm_input(inputs)
        q, k, v = (self.query(self.norm_query(queries)), self.key(normed), self.value(normed))
        q, k, v = (t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
        allowed = None if mask is None else mask[:, None, None].expand(-1, 1, q.shape[2], -1)
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.output(found.transpose(1, 2).reshape(queries.shape))


perceiver = Bank("PerceiverIO")

READ = "latents = latents + self.read(latents, inputs, mask)"

perceiver.wrong(
    "latents replaced by what they read",
    "You replace the latents by what they find in the inputs. It is added to them.",
    edits={READ: "latents = self.read(latents, inputs, mask)"},
)

READ_MLP = "latents = latents + self.read_mlp(latents)"

perceiver.wrong(
    "the MLP replaces what was read",
    "After reading, your read_mlp replaces the latents. Its result is added to them.",
    edits={READ_MLP: "latents = self.read_mlp(latents)"},
)

perceiver.wrong(
    "no MLP after reading",
    "You leave out read_mlp, which follows the reading.",
    edits={f"        {READ_MLP}\n": ""},
)

LAYERS = "        for layer in self.layers:\n            latents = layer(latents)\n"

perceiver.wrong(
    "layers before reading",
    "Your layers process the latents before they have read anything. First read, then think.",
    edits={LAYERS: "", f"        {READ}\n": LAYERS + f"        {READ}\n"},
)

perceiver.wrong(
    "one layer only",
    "You apply the first layer only. All layers of `self.layers` follow one after the other.",
    edits={LAYERS: "        latents = self.layers[0](latents)\n"},
)

perceiver.wrong(
    "reads before every layer",
    "You read the inputs again before every layer. Here they are read once, before the first one (the first Perceiver reads repeatedly; Perceiver "
    "IO does not).",
    edits={
        LAYERS: "        for number, layer in enumerate(self.layers):\n            if number:\n                latents = latents + self.read(latents, inputs, mask)\n            latents = layer(latents)\n"
    },
)

perceiver.wrong(
    "mask not passed on",
    "You don't pass the mask on to `read`, so the latents read inputs that are not real.",
    edits={READ: "latents = latents + self.read(latents, inputs)"},
)

WRITE = "answers = self.write(queries, latents)"

perceiver.wrong(
    "query added to the answer",
    "You add the query to its answer. A question is not part of its answer: here what the query finds stands alone.",
    edits={WRITE: "answers = queries + self.write(queries, latents)"},
)

ANSWERS = "return answers + self.write_mlp(answers)"

perceiver.wrong(
    "the MLP replaces the answer",
    "Your write_mlp replaces the answers. Its result is added to them.",
    edits={ANSWERS: "return self.write_mlp(answers)"},
)

perceiver.wrong(
    "no MLP after writing",
    "You leave out write_mlp, which follows the writing.",
    edits={ANSWERS: "return answers"},
)

EXPAND = "latents = self.latents.expand(len(inputs), -1, -1)"

perceiver.wrong(
    "latents cut from the graph",
    "No gradient reaches your latents: they are copied out of the graph. `expand` keeps them in it.",
    edits={EXPAND: "latents = self.latents.data.expand(len(inputs), -1, -1)"},
)

perceiver.right("repeat", edits={EXPAND: "latents = self.latents.repeat(inputs.shape[0], 1, 1)"})

perceiver.right(
    "image by image",
    edits={
        READ: "latents = torch.cat([latents[i : i + 1] + self.read(latents[i : i + 1], inputs[i : i + 1], None if mask is None else mask[i : i + 1]) for i in range(len(inputs))])"
    },
)

perceiver.right(
    "layers as nn.Sequential, sums in another order",
    edits={
        EXPAND: "latents = torch.stack([self.latents] * len(inputs))",
        READ_MLP: "latents = self.read_mlp(latents) + latents",
        LAYERS: "        latents = nn.Sequential(*self.layers)(latents)\n",
    },
)

perceiver.right(
    "query by query",
    edits={
        WRITE: "answers = torch.cat([self.write(queries[:, o : o + 1], latents) for o in range(queries.shape[1])], 1)"
    },
)


perceiver.wrong(
    'reads before every layer, as well',
    'You read the inputs again before every layer. They are read once.',
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "z = self.latents.expand(len(inputs), -1, -1)\n"
        "        for layer in self.layers:\n"
        "            z = z + self.read(z, inputs, mask)\n"
        "            z = z + self.read_mlp(z)\n"
        "            z = layer(z)\n"
        "        return z",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "answer = self.write(queries, latents)\n"
        "        return answer + self.write_mlp(answer)",
    },
)


perceiver.wrong(
    'random latents in training',
    'You add noise to the latents in training. They are learned parameters, the same in every call.',
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "z = self.latents.expand(len(inputs), -1, -1)\n"
        "        if self.training:\n"
        "            z = z + 0.02 * torch.randn_like(z)\n"
        "        z = z + self.read(z, inputs, mask)\n"
        "        z = z + self.read_mlp(z)\n"
        "        for layer in self.layers:\n"
        "            z = layer(z)\n"
        "        return z",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "answer = self.write(queries, latents)\n"
        "        return answer + self.write_mlp(answer)",
    },
)


perceiver.wrong(
    'MLP of the reading',
    'Your read_mlp gets what was read alone. It works on the sum of latents and reading.',
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "z = self.latents.expand(len(inputs), -1, -1)\n"
        "        found = self.read(z, inputs, mask)\n"
        "        z = z + found + self.read_mlp(found)\n"
        "        for layer in self.layers:\n"
        "            z = layer(z)\n"
        "        return z",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "answer = self.write(queries, latents)\n"
        "        return answer + self.write_mlp(answer)",
    },
)


perceiver.wrong(
    'queries talk',
    'You let queries look at each other. A query looks at the latents only.',
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "z = self.latents.expand(len(inputs), -1, -1)\n"
        "        z = z + self.read(z, inputs, mask)\n"
        "        z = z + self.read_mlp(z)\n"
        "        for layer in self.layers:\n"
        "            z = layer(z)\n"
        "        return z",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "if queries.shape[-1] == latents.shape[-1]:\n"
        "            latents = torch.cat([latents, queries], dim=1)\n"
        "        answer = self.write(queries, latents)\n"
        "        return answer + self.write_mlp(answer)",
    },
)


perceiver.wrong(
    'mean latent',
    "You average the latents, so all of them are the same. `encode` returns each latent as it is.",
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "z = self.latents.expand(len(inputs), -1, -1)\n"
        "        z = z + self.read(z, inputs, mask)\n"
        "        z = z + self.read_mlp(z)\n"
        "        for layer in self.layers:\n"
        "            z = layer(z)\n"
        "        return z.mean(dim=1, keepdim=True).expand_as(z)",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "answer = self.write(queries, latents)\n"
        "        return answer + self.write_mlp(answer)",
    },
)


perceiver.right(
    'expand',
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "z = self.latents.expand(len(inputs), -1, -1)\n"
        "        z = z + self.read(z, inputs, mask)\n"
        "        z = z + self.read_mlp(z)\n"
        "        for layer in self.layers:\n"
        "            z = layer(z)\n"
        "        return z",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "answer = self.write(queries, latents)\n"
        "        return answer + self.write_mlp(answer)",
    },
)


perceiver.right(
    'repeat by einops',
    edits={
        "latents = self.latents.expand(len(inputs), -1, -1)  # (L, latent_dim) -> (B, L, latent_dim)\n"
        "        latents = latents + self.read(latents, inputs, mask)\n"
        "        latents = latents + self.read_mlp(latents)\n"
        "        for layer in self.layers:\n"
        "            latents = layer(latents)\n"
        "        return latents": "from functools import reduce\n"
        "\n"
        "        from einops import repeat\n"
        "        start = repeat(self.latents, 'l d -> b l d', b=inputs.shape[0])\n"
        "        read = start + self.read(start, inputs, mask=mask)\n"
        "        return reduce(lambda z, layer: layer(z), self.layers, read + self.read_mlp(read))",
        "answers = self.write(queries, latents)\n"
        "        return answers + self.write_mlp(answers)": "found = self.write(queries=queries, inputs=latents)\n"
        "        return self.write_mlp(found) + found",
    },
)


perceiver.wrong(
    'questions of the first image',
    "You ask every image the first one's queries. Queries (B, O, Q) are each image's own; only (O, Q) are the same for all.",
    edits={
        'answers = self.write(queries, latents)': 'queries = queries[:1].expand(len(latents), -1, -1)\n        answers = self.write(queries, latents)',
    },
)
