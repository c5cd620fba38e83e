"""Wrong and alternative right answers: attention between all pixels of a feature map."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

self2d = Bank("SelfAttention2d")

self2d.wrong(
    "softmax over the queries",
    "Your softmax runs over the queries, not over the keys: each column of `weights` sums to 1, each row should. A query shares "
    "its attention out among the keys, which stand along the last axis.",
    edits={"scores.softmax(dim=-1)": "scores.softmax(dim=1)"},
)

self2d.wrong(
    "softmax twice",
    "Your weights go through a softmax twice, which makes them nearly equal. Is there one in `weights` and another where you use them?",
    edits={"scores.softmax(dim=-1)": "scores.softmax(dim=-1).softmax(dim=-1)"},
)

self2d.wrong(
    "scores not scaled",
    "Your scores are not scaled: the non-local block and SAGAN leave them so, this layer divides by sqrt(d) as the Transformer does.",
    edits={" / math.sqrt(query.shape[1])": ""},
)

self2d.wrong(
    "scaled by the channels of the map",
    "You scale by sqrt(C), the channels of the feature map. What counts is the length of the dot product: d, the width of a query, "
    "which differs from C where `head_channels` is given.",
    edits={"math.sqrt(query.shape[1])": "math.sqrt(x.shape[1])"},
)

self2d.wrong(
    "scaled by the number of pixels",
    "You scale by the square root of the number of pixels. Look at which axis of the query you measure: the dot product runs over d "
    "channels, not over N pixels.",
    edits={"math.sqrt(query.shape[1])": "math.sqrt(query.shape[2])"},
)

self2d.wrong(
    "divided by d",
    "You divide the scores by d, not by its square root: the dot product of d numbers has a spread of sqrt(d).",
    edits={"math.sqrt(query.shape[1])": "query.shape[1]"},
)

self2d.wrong(
    "keys from the query convolution",
    "Your keys come out of the query convolution. Queries and keys play different parts, so each has weights of its own.",
    edits={"key = self.key(x).flatten(2)": "key = self.query(x).flatten(2)"},
)

self2d.wrong(
    "values from the key convolution",
    "Your values come out of the key convolution. What a pixel answers (value) is not what it is found by (key).",
    edits={"value = self.value(x).flatten(2)": "value = self.key(x).flatten(2)"},
)

self2d.wrong(
    "query and key swapped",
    "Queries and keys have changed places: row n of `weights` must be what pixel n, as a query, gives to all keys.",
    edits={
        "query = self.query(x).flatten(2)": "query = self.key(x).flatten(2)",
        "key = self.key(x).flatten(2)": "key = self.query(x).flatten(2)",
    },
)

self2d.wrong(
    "the raw pixels as values",
    "You average the input itself, not its values: the `value` convolution is never used.",
    edits={"value = self.value(x).flatten(2)": "value = x.flatten(2)"},
)

self2d.wrong(
    "weights not transposed",
    "Your output sums over the queries; for pixel n it should sum over the keys that query n looks at. Values in "
    "columns (B, d, N) go with `weights` transposed, values in rows (B, N, d) with `weights` as it is.",
    edits={"self.weights(x).transpose(1, 2)": "self.weights(x)"},
)

self2d.wrong(
    "height and width swapped when folding",
    "You fold the pixels back column after column. They lie row after row, W pixels each: split N into (H, W), in "
    "this order.",
    edits={
        "attended.unflatten(2, x.shape[2:])": "attended.unflatten(2, (x.shape[3], x.shape[2])).transpose(2, 3)"
    },
)

self2d.wrong(
    "tokens viewed as an image",
    "You reshape (B, N, d) into (B, d, H, W) directly. That keeps the order of the numbers in memory and mixes pixels with channels: bring "
    "the channel axis in front of the pixels first.",
    edits={
        "attended = value @ self.weights(x).transpose(1, 2)": "attended = self.weights(x) @ value.transpose(1, 2)",
        "attended.unflatten(2, x.shape[2:])": "attended.reshape(x.shape[0], -1, *x.shape[2:])",
    },
)

self2d.wrong(
    "no residual",
    "The residual connection is missing: the layer adds to x, and yours returns only what it would add. With the gate at zero that is nothing.",
    edits={"return x + self.gamma": "return self.gamma"},
)

self2d.wrong(
    "gate not used",
    "The gate gamma is never multiplied in, so what attention adds comes through at full strength from the first step.",
    edits={"self.gamma * self.output(folded)": "self.output(folded)"},
)

self2d.wrong(
    "gate on everything",
    "Your gate multiplies the input too. It belongs on what attention adds; x itself passes unchanged.",
    edits={"x + self.gamma * self.output(folded)": "self.gamma * (x + self.output(folded))"},
)

self2d.wrong(
    "gate starts at one",
    "A fresh layer of yours changes its input: `gamma` does not start at zero. It should, so that the layer can be "
    "put into a working network without disturbing it.",
    edits={"torch.zeros(1)": "torch.ones(1)"},
)

self2d.wrong(
    "output convolution not used",
    "What attention gives is added without the `output` convolution (d -> C), so it only fits where d equals C.",
    edits={"self.gamma * self.output(folded)": "self.gamma * folded"},
)

self2d.wrong(
    "weights detached",
    "Your weights are cut from the graph (detach, .data or no_grad), so `query` and `key` never learn. Detach where you plot, not in the layer.",
    edits={"scores.softmax(dim=-1)": "scores.softmax(dim=-1).detach()"},
)

self2d.wrong(
    "input changed in place",
    "Your layer adds into its input in place (`x += ...`). Others still need x as it was: make a new tensor.",
    edits={
        "return x + self.gamma * self.output(folded)": "x += self.gamma * self.output(folded)\n        return x"
    },
)

self2d.wrong(
    "convolutions without bias",
    "Your four convolutions have no bias. The exercise's do, as `nn.Conv2d` has by default.",
    edits={
        "self.query = nn.Conv2d(channels, head_channels, kernel_size=1)": "self.query = nn.Conv2d(channels, head_channels, kernel_size=1, bias=False)",
        "self.key = nn.Conv2d(channels, head_channels, kernel_size=1)": "self.key = nn.Conv2d(channels, head_channels, kernel_size=1, bias=False)",
        "self.value = nn.Conv2d(channels, head_channels, kernel_size=1)": "self.value = nn.Conv2d(channels, head_channels, kernel_size=1, bias=False)",
        "self.output = nn.Conv2d(head_channels, channels, kernel_size=1)": "self.output = nn.Conv2d(head_channels, channels, kernel_size=1, bias=False)",
    },
)

FORWARD = """        value = self.value(x).flatten(2)  # (B, d, N)
        attended = value @ self.weights(x).transpose(1, 2)  # (B, d, N): column n is what query n takes
        folded = attended.unflatten(2, x.shape[2:])  # (B, d, N) -> (B, d, H, W)
"""

WEIGHTS = """        query = self.query(x).flatten(2)  # (B, d, H, W) -> (B, d, N)
        key = self.key(x).flatten(2)
        scores = query.transpose(1, 2) @ key / math.sqrt(query.shape[1])  # (B, N, d) @ (B, d, N) -> (B, N, N)
        return scores.softmax(dim=-1)
"""

self2d.right(
    "einsum",
    edits={
        WEIGHTS: """        query, key = (part(x).flatten(2) for part in (self.query, self.key))
        return torch.softmax(torch.einsum("bdn,bdm->bnm", query, key) * query.shape[1] ** -0.5, dim=2)
""",
        FORWARD: """        attended = torch.einsum("bnm,bdm->bdn", self.weights(x), self.value(x).flatten(2))
        folded = attended.view(x.shape[0], -1, x.shape[2], x.shape[3])
""",
    },
)

self2d.right(
    "einops and bmm, tokens first",
    edits={
        WEIGHTS: """        query = rearrange(self.query(x), "b d h w -> b (h w) d")
        key = rearrange(self.key(x), "b d h w -> b (h w) d")
        return F.softmax(torch.bmm(query / query.size(-1) ** 0.5, key.permute(0, 2, 1)), dim=-1)
""",
        FORWARD: """        value = rearrange(self.value(x), "b d h w -> b (h w) d")
        folded = rearrange(torch.bmm(self.weights(x), value), "b (h w) d -> b d h w", h=x.size(2))
""",
    },
)

self2d.right(
    "the library's kernel",
    edits={
        FORWARD: """        parts = (self.query(x), self.key(x), self.value(x))
        tokens = [part.permute(0, 2, 3, 1).flatten(1, 2) for part in parts]
        folded = F.scaled_dot_product_attention(*tokens).transpose(1, 2).unflatten(2, x.shape[2:])
"""
    },
)

self2d.right(
    "a loop over queries, output before folding",
    edits={
        FORWARD: """        weights, value = self.weights(x), self.value(x).flatten(2)
        folded = torch.stack([(value * row.unsqueeze(1)).sum(-1) for row in weights.unbind(1)], dim=-1)
        folded = folded.reshape(*folded.shape[:2], *x.shape[2:])
"""
    },
)

self2d.right(
    "float64 inside",
    edits={
        WEIGHTS: """        query, key = self.query(x).flatten(2).double(), self.key(x).flatten(2).double()
        scores = query.transpose(1, 2) @ key / math.sqrt(query.shape[1])
        return scores.softmax(dim=-1).to(x.dtype)
"""
    },
)


@self2d.wrong(
    'blend',
    "You blend x with what attention found, (1 - gamma) x + gamma ... . x should be kept whole: x + gamma ... ."
)
class SelfAttention2d(nn.Module):

    def __init__(self, channels, head_channels=None):
        super().__init__()
        head_channels = head_channels or channels
        self.query = nn.Conv2d(channels, head_channels, 1)
        self.key = nn.Conv2d(channels, head_channels, 1)
        self.value = nn.Conv2d(channels, head_channels, 1)
        self.output = nn.Conv2d(head_channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def weights(self, x):
        q, k = (self.query(x).flatten(2), self.key(x).flatten(2))
        return (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(dim=-1)

    def forward(self, x):
        v = self.value(x).flatten(2)
        y = v @ self.weights(x).transpose(1, 2)
        return torch.lerp(x, self.output(y.unflatten(2, x.shape[2:])), self.gamma)


@self2d.wrong(
    'reshaped instead of transposed',
    "You reshape queries and keys to (B, N, d) without moving the channels, which mixes channels and pixels. "
    "Flatten the pixels, then exchange the two axes."
)
class SelfAttention2d(nn.Module):

    def __init__(self, channels, head_channels=None):
        super().__init__()
        head_channels = head_channels or channels
        self.query = nn.Conv2d(channels, head_channels, 1)
        self.key = nn.Conv2d(channels, head_channels, 1)
        self.value = nn.Conv2d(channels, head_channels, 1)
        self.output = nn.Conv2d(head_channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def weights(self, x):
        B, _, H, W = x.shape
        q = self.query(x).reshape(B, H * W, -1)
        k = self.key(x).reshape(B, H * W, -1)
        return (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(dim=-1)

    def forward(self, x):
        v = self.value(x).flatten(2)
        y = v @ self.weights(x).transpose(1, 2)
        return x + self.gamma * self.output(y.unflatten(2, x.shape[2:]))


@self2d.wrong(
    'weights of the first call kept',
    'A second call with other inputs gets the weights of the first: nothing may be kept from call to call.'
)
class SelfAttention2d(nn.Module):

    def __init__(self, channels, head_channels=None):
        super().__init__()
        head_channels = head_channels or channels
        self.query = nn.Conv2d(channels, head_channels, 1)
        self.key = nn.Conv2d(channels, head_channels, 1)
        self.value = nn.Conv2d(channels, head_channels, 1)
        self.output = nn.Conv2d(head_channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def weights(self, x):
        if getattr(self, '_kept', None) is None or self._kept.shape[-1] != x[0, 0].numel():
            q, k = (self.query(x).flatten(2), self.key(x).flatten(2))
            self._kept = (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(dim=-1)
        return self._kept

    def forward(self, x):
        v = self.value(x).flatten(2)
        y = v @ self.weights(x).transpose(1, 2)
        return x + self.gamma * self.output(y.unflatten(2, x.shape[2:]))


@self2d.wrong(
    'column order',
    'Your pixels are in column order. A row of `weights` belongs to a pixel in reading order.'
)
class SelfAttention2d(nn.Module):

    def __init__(self, channels, head_channels=None):
        super().__init__()
        head_channels = head_channels or channels
        self.query = nn.Conv2d(channels, head_channels, 1)
        self.key = nn.Conv2d(channels, head_channels, 1)
        self.value = nn.Conv2d(channels, head_channels, 1)
        self.output = nn.Conv2d(head_channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def weights(self, x):
        q, k = (f(x).transpose(2, 3).flatten(2) for f in (self.query, self.key))
        return (q.transpose(1, 2) @ k / math.sqrt(q.shape[1])).softmax(dim=-1)

    def forward(self, x):
        v = self.value(x).transpose(2, 3).flatten(2)
        y = v @ self.weights(x).transpose(1, 2)
        y = y.unflatten(2, (x.shape[3], x.shape[2])).transpose(2, 3)
        return x + self.gamma * self.output(y)


@self2d.right('flatten and matmul')
class SelfAttention2d(nn.Module):

    def __init__(self, channels, head_channels=None):
        super().__init__()
        head_channels = head_channels or channels
        self.query = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.key = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.value = nn.Conv2d(channels, head_channels, kernel_size=1)
        self.output = nn.Conv2d(head_channels, channels, kernel_size=1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def weights(self, x):
        q, k = (self.query(x).flatten(2), self.key(x).flatten(2))
        scores = q.transpose(1, 2) @ k / math.sqrt(q.shape[1])
        return scores.softmax(dim=-1)

    def forward(self, x):
        v = self.value(x).flatten(2)
        y = v @ self.weights(x).transpose(1, 2)
        return x + self.gamma * self.output(y.unflatten(2, x.shape[2:]))


