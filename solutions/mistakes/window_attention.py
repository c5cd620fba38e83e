"""Wrong and alternative right answers: attention inside a window, with a bias per offset."""

from __future__ import annotations

import torch
from torch import nn

from utils.grading.bank import Bank

index = Bank("relative_position_index")

index.wrong(
    "transposed",
    "Your table is transposed: you subtract the query's position from the key's. Row i, column j describes where i lies as "
    "seen from j, row_i - row_j and col_i - col_j.",
    edits={
        "row[:, None] - row[None, :]": "row[None, :] - row[:, None]",
        "col[:, None] - col[None, :]": "col[None, :] - col[:, None]",
    },
)

index.wrong(
    "offsets not moved to zero",
    "Your offsets still run from -(M - 1), so some indices are negative and silently count from the table's end. Add M - 1 to "
    "both, so that they begin at 0.",
    edits={
        "row[None, :] + window_size - 1": "row[None, :]",
        "col[None, :] + window_size - 1": "col[None, :]",
    },
)

index.wrong(
    "rows of the table counted as M long",
    "You multiply dy by M. A row of the table has an entry for every dx, and there are 2M - 1 of those.",
    edits={"dy * (2 * window_size - 1) + dx": "dy * window_size + dx"},
)

index.wrong(
    "rows of the table counted as 2M long",
    "You multiply dy by 2M. From -(M - 1) to M - 1 there are 2M - 1 values, not 2M.",
    edits={"dy * (2 * window_size - 1) + dx": "dy * (2 * window_size) + dx"},
)

index.wrong(
    "columns before rows",
    "You number the table column by column. It lists offsets in reading order, so dy is the one to be multiplied by 2M - 1.",
    edits={"dy * (2 * window_size - 1) + dx": "dx * (2 * window_size - 1) + dy"},
)

index.wrong(
    "offsets added",
    "You add dy and dx as they are, so different offsets, such as (0, 1) and (1, 0), share one entry. Number the entries as in "
    "a table: row times length of a row, plus column.",
    edits={"dy * (2 * window_size - 1) + dx": "dy + dx"},
)

index.wrong(
    "distance instead of offset",
    "You take absolute values, so left and right (above and below) share one entry. The offset has a sign.",
    edits={
        "row[:, None] - row[None, :] + window_size - 1": "(row[:, None] - row[None, :]).abs() + window_size - 1",
        "col[:, None] - col[None, :] + window_size - 1": "(col[:, None] - col[None, :]).abs() + window_size - 1",
    },
)

index.wrong(
    "float numbers",
    "Your indices are floating-point numbers, which cannot index a table. Use whole-number arithmetic (`//`, not `/`).",
    edits={"return dy * (2 * window_size - 1) + dx": "return (dy * (2 * window_size - 1) + dx).float()"},
)


@index.right("meshgrid, as in the authors' code")
def relative_position_index(window_size):
    axis = torch.arange(window_size)
    coords = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    relative = (coords[:, :, None] - coords[:, None, :]).permute(1, 2, 0).contiguous()
    relative += window_size - 1
    relative[:, :, 0] *= 2 * window_size - 1
    return relative.sum(-1)


@index.right("four loops")
def relative_position_index(window_size):
    size = window_size * window_size
    index = torch.zeros(size, size, dtype=torch.long)
    for i in range(size):
        for j in range(size):
            dy = i // window_size - j // window_size + window_size - 1
            dx = i % window_size - j % window_size + window_size - 1
            index[i, j] = dy * (2 * window_size - 1) + dx
    return index


@index.right("each query's part of the table, turned round")
def relative_position_index(window_size):
    side = 2 * window_size - 1
    table = torch.arange(side * side).view(side, side)
    rows = []
    for r in range(window_size):
        for c in range(window_size):
            rows.append(table[r : r + window_size, c : c + window_size].flip(0, 1).flatten())
    return torch.stack(rows)


@index.wrong(
    'only dy shifted',
    "You shift the rows' offsets to begin at 0, and not the columns'."
)
def relative_position_index(window_size):
    at = torch.arange(window_size ** 2)
    row, col = (at // window_size, at % window_size)
    dy = row[:, None] - row + window_size - 1
    dx = col[:, None] - col
    return dy * (2 * window_size - 1) + dx


@index.wrong(
    'distances',
    'You take distances. Left and right are different offsets.'
)
def relative_position_index(window_size):
    at = torch.arange(window_size ** 2)
    row, col = (at // window_size, at % window_size)
    dy = (row[:, None] - row[None, :]).abs()
    dx = (col[:, None] - col[None, :]).abs()
    return dy * (2 * window_size - 1) + dx


@index.wrong(
    'squeezed',
    'You squeeze the result, and a window of one position loses its axes.'
)
def relative_position_index(window_size):
    m = window_size
    places = torch.stack(torch.meshgrid(torch.arange(m), torch.arange(m), indexing='ij')).flatten(1)
    apart = places[:, :, None] - places[:, None, :] + m - 1
    return (apart[0] * (2 * m - 1) + apart[1]).squeeze()


@index.wrong(
    'one-based',
    "Your columns' offsets begin at 1. They should begin at 0: add M - 1."
)
def relative_position_index(window_size):
    at = torch.arange(window_size ** 2)
    row, col = (at // window_size, at % window_size)
    dy = row[:, None] - row[None, :] + window_size - 1
    dx = col[:, None] - col[None, :] + window_size
    return dy * (2 * window_size - 1) + dx


@index.right('rows and columns')
def relative_position_index(window_size):
    at = torch.arange(window_size ** 2)
    row, col = (at // window_size, at % window_size)
    dy = row[:, None] - row[None, :] + window_size - 1
    dx = col[:, None] - col[None, :] + window_size - 1
    return dy * (2 * window_size - 1) + dx


@index.right('meshgrid')
def relative_position_index(window_size):
    grid = torch.meshgrid(torch.arange(window_size), torch.arange(window_size), indexing='ij')
    coordinates = torch.flatten(torch.stack(grid), 1)
    relative = (coordinates[:, :, None] - coordinates[:, None, :]).permute(1, 2, 0).contiguous()
    relative += window_size - 1
    relative[:, :, 0] *= 2 * window_size - 1
    return relative.sum(-1)


@index.right('loops')
def relative_position_index(window_size):
    m = window_size

    def entry(i, j):
        dy, dx = (i // m - j // m, i % m - j % m)
        return (dy + m - 1) * (2 * m - 1) + dx + m - 1
    return torch.tensor([[entry(i, j) for j in range(m * m)] for i in range(m * m)])


attention = Bank("WindowAttention")

attention.wrong(
    "bias inside the scale",
    "You divide the bias by sqrt(d) together with the scores. Only q k^T is scaled; the bias is added afterwards as it is.",
    edits={
        "bias = self.relative_position_bias_table.T[:, self.relative_position_index]": "bias = self.relative_position_bias_table.T[:, self.relative_position_index] * self.proj.in_features**-0.5 * self.num_heads**0.5"
    },
)

attention.wrong(
    "scores not scaled",
    "Your scores are not divided by sqrt(d), where d is the width of one head.",
    edits={"q * q.shape[-1] ** -0.5 @ k": "q @ k"},
)

attention.wrong(
    "scaled by the full width",
    "You scale by the width of all heads together. Each head's scores are sums over its own d = C / heads products.",
    edits={"q.shape[-1] ** -0.5": "x.shape[-1] ** -0.5"},
)

_TABLE = "self.relative_position_bias_table.T[:, self.relative_position_index]"

attention.wrong(
    "no bias",
    "Your attention does not use the relative position bias, so it cannot tell where in the window a pixel stands.",
    edits={_TABLE: "x.new_zeros(x.shape[1], x.shape[1])"},
)

attention.wrong(
    "index transposed",
    "You read the bias table with queries and keys exchanged. bias[i, j] belongs to query i and key j, as the index has it.",
    edits={_TABLE: "self.relative_position_bias_table.T[:, self.relative_position_index.T]"},
)

_SOFTMAX = "scores.softmax(-1).reshape(len(x), *scores.shape[-3:])"

attention.wrong(
    "bias after the softmax",
    "You add the bias to the weights, after the softmax. It belongs to the scores, before it: else rows no longer sum to 1.",
    edits={
        "scores = scores + bias\n": "scores = scores if mask is None else scores.masked_fill(~mask[:, None], float('-inf'))\n",
        'bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)': "pass",
        _SOFTMAX: "(scores.softmax(-1) + bias).reshape(len(x), *scores.shape[-3:])",
    },
)

attention.wrong(
    "mask inverted",
    "Your mask works the wrong way round. True means: may attend. Hide the positions where it is False.",
    edits={"masked_fill(~mask[:, None]": "masked_fill(mask[:, None]"},
)

attention.wrong(
    "mask after the softmax",
    "You hide positions after the softmax, so the remaining weights no longer sum to 1. Put -inf into the scores, before it.",
    edits={
        'bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)': "hidden = ~mask[:, None]",
        _SOFTMAX: "(scores.softmax(-1) if mask is None else scores.softmax(-1).masked_fill(hidden, 0.0)).reshape(len(x), *scores.shape[-3:])",
    },
)

attention.wrong(
    "mask added as 0 and 1",
    "You add the mask as the numbers 0 and 1, which hides nothing. What may not be seen needs -inf before the softmax.",
    edits={'bias.masked_fill(~mask[:, None], float("-inf"))': "bias + mask[:, None]"},
)

attention.wrong(
    "mask not repeated for each image",
    "Your mask fits one image only: it has nW rows, the batch has B * nW windows. Give the scores an axis for the images, or "
    "repeat the mask B times.",
    edits={"scores = scores.unflatten(0, (-1, len(mask)))  # (B, nW, h, N, N)": "pass"},
)

attention.wrong(
    "mask repeated window by window",
    "You use the first window's mask for the first few windows of the list, and so on. The list goes image by image: after the "
    "nW windows of the first image the masks begin again.",
    edits={
        'masked_fill(~mask[:, None], float("-inf"))': 'masked_fill(~mask[:, None, None], float("-inf"))',
        "scores.unflatten(0, (-1, len(mask)))": "scores.unflatten(0, (len(mask), -1))",
    },
)

_SPLIT = '"w n (three h d) -> three w h n d"'

attention.wrong(
    "qkv taken apart head by head",
    "You read the output of `qkv` as (heads, 3, d). The weights are laid out as all of q, then all of k, then all of v: "
    "(3, heads, d).",
    edits={_SPLIT: '"w n (h three d) -> three w h n d"'},
)

attention.wrong(
    "heads interleaved",
    "You give a head every `num_heads`-th channel. A head's d channels lie side by side: split C as (heads, d), "
    "heads outside.",
    edits={_SPLIT: '"w n (three d h) -> three w h n d"'},
)

attention.wrong(
    "heads merged in the wrong order",
    "You merge the heads as (d, heads). Each head's channels should lie side by side again: (heads, d).",
    edits={'"w h n d -> w n (h d)"': '"w h n d -> w n (d h)"'},
)

attention.wrong(
    "softmax over queries",
    "Your softmax runs over the queries. For each query, the weights of its keys (the last axis) should sum to 1.",
    edits={"softmax(-1)": "softmax(-2).nan_to_num()"},
)

attention.wrong(
    "no projection",
    "You return the heads' outputs as they are. The output projection `proj`, which mixes the heads, is missing.",
    edits={
        'self.proj(rearrange(weights @ v, "w h n d -> w n (h d)"))': 'rearrange(weights @ v, "w h n d -> w n (h d)")'
    },
)

attention.right(
    "PyTorch's kernel",
    edits={
        "        scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)  # (B*nW, h, N, N)\n": "",
        "            scores = scores.unflatten(0, (-1, len(mask)))  # (B, nW, h, N, N)\n": "            bias = bias.repeat(len(x) // len(mask), 1, 1, 1)\n",
        "        scores = scores + bias\n": "",
        f"        weights = {_SOFTMAX}  # (B*nW, h, N, N)\n": "        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)\n",
        "weights @ v": "y",
    },
)

attention.right(
    "einsum, float64 inside",
    edits={
        "scores = q * q.shape[-1] ** -0.5 @ k.transpose(-2, -1)": 'scores = torch.einsum("whid,whjd->whij", q.double(), k.double()) / q.shape[-1] ** 0.5',
        "weights @ v": 'torch.einsum("whij,whjd->whid", weights, v.double()).to(x.dtype)',
    },
)

attention.right(
    "minus infinity added, the mask repeated",
    edits={
        'bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)': "additive = torch.zeros(mask.shape, dtype=x.dtype).masked_fill(~mask, -torch.inf)",
        "scores = scores.unflatten(0, (-1, len(mask)))  # (B, nW, h, N, N)": "scores = scores + additive.repeat(len(x) // len(mask), 1, 1)[:, None]",
    },
)


@attention.right("window by window, head by head")
class WindowAttention(nn.Module):
    def __init__(self, dim, window_size, num_heads):
        if dim % num_heads:
            raise ValueError(f'{num_heads} heads, {dim} channels')
        super().__init__()
        self.num_heads, self.window_size = num_heads, window_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))

    def forward(self, x, mask=None):
        index = relative_position_index(self.window_size)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        width = x.shape[-1] // self.num_heads
        outputs = []
        for number in range(x.shape[0]):
            heads = []
            for head in range(self.num_heads):
                part = slice(head * width, (head + 1) * width)
                scores = q[number, :, part] @ k[number, :, part].T / width**0.5
                scores = scores + self.relative_position_bias_table[:, head][index]
                if mask is not None:
                    scores = scores.masked_fill(~mask[number % mask.shape[0]], float("-inf"))
                heads.append(scores.softmax(dim=-1) @ v[number, :, part])
            outputs.append(self.proj(torch.cat(heads, dim=-1)))
        return torch.stack(outputs)


@attention.wrong(
    'bias reshaped',
    'You reshape the bias to (heads, N, N), which mixes heads and places. Move the axis of the heads to the front.'
)
class WindowAttention(nn.Module):

    def __init__(self, dim, window_size, num_heads):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'{dim} channels cannot be shared equally by {num_heads} heads')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer('relative_position_index', relative_position_index(window_size), persistent=False)

    def forward(self, x, mask=None):
        q, k, v = rearrange(self.qkv(x), 'b n (three h d) -> three b h n d', three=3, h=self.num_heads)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        bias = self.relative_position_bias_table[self.relative_position_index]
        scores = scores + bias.reshape(self.num_heads, *self.relative_position_index.shape)
        if mask is not None:
            scores = rearrange(scores, '(b w) h i j -> b w h i j', w=len(mask))
            scores = scores.masked_fill(~mask[:, None], float('-inf')).flatten(0, 1)
        out = scores.softmax(dim=-1) @ v
        return self.proj(rearrange(out, 'b h n d -> b n (h d)'))


@attention.wrong(
    'heads not moved back',
    'You flatten before the heads are moved back behind the tokens: (B, heads, N, d) first becomes (B, N, heads, d).'
)
class WindowAttention(nn.Module):

    def __init__(self, dim, window_size, num_heads):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'{dim} channels cannot be shared equally by {num_heads} heads')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer('relative_position_index', relative_position_index(window_size), persistent=False)

    def forward(self, x, mask=None):
        q, k, v = rearrange(self.qkv(x), 'b n (three h d) -> three b h n d', three=3, h=self.num_heads)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        bias = self.relative_position_bias_table[self.relative_position_index]
        scores = scores + bias.permute(2, 0, 1)
        if mask is not None:
            scores = rearrange(scores, '(b w) h i j -> b w h i j', w=len(mask))
            scores = scores.masked_fill(~mask[:, None], float('-inf')).flatten(0, 1)
        return self.proj((scores.softmax(dim=-1) @ v).reshape(x.shape))


@attention.wrong(
    'first mask for all',
    "You use the first window's mask for all. Each window has its own."
)
class WindowAttention(nn.Module):

    def __init__(self, dim, window_size, num_heads):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'{dim} channels cannot be shared equally by {num_heads} heads')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer('relative_position_index', relative_position_index(window_size), persistent=False)

    def forward(self, x, mask=None):
        q, k, v = rearrange(self.qkv(x), 'b n (three h d) -> three b h n d', three=3, h=self.num_heads)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        bias = self.relative_position_bias_table[self.relative_position_index]
        scores = scores + bias.permute(2, 0, 1)
        if mask is not None:
            scores = scores.masked_fill(~mask[0], float('-inf'))
        out = scores.softmax(dim=-1) @ v
        return self.proj(rearrange(out, 'b h n d -> b n (h d)'))


@attention.right('einops')
class WindowAttention(nn.Module):

    def __init__(self, dim, window_size, num_heads):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'{dim} channels cannot be shared equally by {num_heads} heads')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer('relative_position_index', relative_position_index(window_size), persistent=False)

    def forward(self, x, mask=None):
        q, k, v = rearrange(self.qkv(x), 'b n (three h d) -> three b h n d', three=3, h=self.num_heads)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        bias = self.relative_position_bias_table[self.relative_position_index]
        scores = scores + bias.permute(2, 0, 1)
        if mask is not None:
            scores = rearrange(scores, '(b w) h i j -> b w h i j', w=len(mask))
            scores = scores.masked_fill(~mask[:, None], float('-inf')).flatten(0, 1)
        out = scores.softmax(dim=-1) @ v
        return self.proj(rearrange(out, 'b h n d -> b n (h d)'))


@attention.right('fused kernel')
class WindowAttention(nn.Module):

    def __init__(self, dim, window_size, num_heads):
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'{dim} channels cannot be shared equally by {num_heads} heads')
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer('relative_position_index', relative_position_index(window_size), persistent=False)

    def forward(self, x, mask=None):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        n = x.shape[1]
        extra = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is not None:
            forbidden = torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, float('-inf'))
            extra = extra + forbidden.repeat(len(x) // len(mask), 1, 1)[:, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=extra.expand(len(x), -1, n, n))
        return self.proj(out.transpose(1, 2).reshape(x.shape))




attention.wrong(
    "100 subtracted where hidden",
    "Your mask subtracts a number from the hidden scores. Where a hidden score lies further than this number above the others, it is "
    "attended to all the same: hidden means a weight of zero, whatever the score is.",
    edits={
        'bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)': "bias = bias - 100.0 * ~mask[:, None]"
    },
)


HIDDEN = 'bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)'
ADDED = "scores = scores + bias\n"

attention.wrong(
    "hidden scores are -20",
    "A hidden score is a moderate number in yours. Where the scores that count lie further below, it is attended to all the same: hidden means a "
    "weight of zero, whatever the other scores are.",
    edits={
        HIDDEN: "hidden = ~mask[:, None]",
        ADDED: "scores = scores + bias\n        scores = scores if mask is None else scores.masked_fill(hidden, -20.0)\n",
    },
)

attention.wrong(
    "hidden scores are zero",
    "Your hidden scores are 0, and exp(0) = 1: they keep a weight. Set them to minus infinity before the softmax.",
    edits={
        HIDDEN: "hidden = ~mask[:, None]",
        ADDED: "scores = scores + bias\n        scores = scores if mask is None else scores.masked_fill(hidden, 0.0)\n",
    },
)
