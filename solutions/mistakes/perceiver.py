"""Wrong and alternative right answers: cross-attention and Perceiver IO."""

from __future__ import annotations

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

perceiver = Bank("PerceiverIO")

READ = "latents = latents + self.read(latents, inputs, mask)"

perceiver.wrong(
    "latents replaced by what they read",
    "You replace the latents by what they find in the inputs. It is added to them: latents = latents + read(...).",
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
