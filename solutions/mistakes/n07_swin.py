"""Wrong and alternative right answers of notebook 07. Each runs in the namespace of the reference's module."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from utils.checks.bank import Bank

# window_partition --------------------------------------------------------------------------------------------------

partition = Bank("window_partition")

partition.wrong(
    "reshape alone",
    "You reshape without moving axes, so a window is a strip of one row, not an M x M square. First split H into "
    "(rows, M) and W into (columns, M), then bring the two grid axes to the front.",
    edits={
        'rearrange(x, "b (rows m) (cols n) c -> (b rows cols) m n c", m=window_size, n=window_size)': "x.reshape(-1, window_size, window_size, x.shape[-1])"
    },
)
partition.wrong(
    "windows listed column by column",
    "Your windows are listed from top to bottom first. They should be in reading order: from left to right, then down.",
    edits={"-> (b rows cols)": "-> (b cols rows)"},
)
partition.wrong(
    "pixels transposed",
    "Inside each window your rows and columns are exchanged. The first axis of a window should be the image's row.",
    edits={"(b rows cols) m n c": "(b rows cols) n m c"},
)
partition.wrong(
    "images inside",
    "Your windows of different images alternate. All windows of the first image should come before those of the second: "
    "the batch is the outermost part of the first axis.",
    edits={"-> (b rows cols)": "-> (rows cols b)"},
)
partition.wrong(
    "every other pixel",
    "Your windows take pixels at a stride, not neighbours. When you split H, the window's own axis is the inner one: "
    "H = (number of windows, M), in this order.",
    edits={"b (rows m) (cols n) c": "b (m rows) (n cols) c"},
)
partition.wrong(
    "pixels flattened",
    "You flatten each window to M * M pixels. Keep its two axes: the result is (B * nW, M, M, C), and whoever needs tokens "
    "flattens it later.",
    edits={"(b rows cols) m n c": "(b rows cols) (m n) c"},
)
partition.wrong(
    "images kept apart",
    "Your batch axis is still separate. Windows are independent of each other, so images and windows share the first axis: "
    "(B * nW, M, M, C).",
    edits={"-> (b rows cols)": "-> b (rows cols)"},
)


@partition.right("view, permute, reshape")
def window_partition(x, window_size):
    batch, height, width, channels = x.shape
    x = x.view(batch, height // window_size, window_size, width // window_size, window_size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window_size, window_size, channels)


@partition.right("loops and slices")
def window_partition(x, window_size):
    batch, height, width, _ = x.shape
    windows = []
    for image in range(batch):
        for top in range(0, height, window_size):
            for left in range(0, width, window_size):
                windows.append(x[image, top : top + window_size, left : left + window_size])
    return torch.stack(windows)


@partition.right("Tensor.unfold")
def window_partition(x, window_size):
    x = x.unfold(1, window_size, window_size).unfold(2, window_size, window_size)
    return x.permute(0, 1, 2, 4, 5, 3).flatten(0, 2)


@partition.right("splits, stacked")
def window_partition(x, window_size):
    strips = torch.stack(x.split(window_size, dim=1), 1)
    squares = torch.stack(strips.split(window_size, dim=3), 2)
    return squares.reshape(-1, window_size, window_size, x.shape[-1])


# window_reverse ----------------------------------------------------------------------------------------------------

reverse = Bank("window_reverse")
_REVERSE = 'rearrange(windows, "(b rows cols) m n c -> b (rows m) (cols n) c", rows=rows, cols=cols)'

reverse.wrong(
    "reshape alone",
    "You reshape without moving axes, so whole windows are laid out as strips of rows. Split the first axis into (B, rows, "
    "columns), then bring each grid axis beside the window axis that it belongs to.",
    edits={_REVERSE: "windows.reshape(-1, height, width, windows.shape[-1])"},
)
reverse.wrong(
    "height and width exchanged",
    "You count the windows per row with the height and those per column with the width. There are H / M rows of windows and "
    "W / M columns.",
    edits={"height // window_size, width // window_size": "width // window_size, height // window_size"},
)
reverse.wrong(
    "windows read column by column",
    "You place the windows from top to bottom first. window_partition lists them in reading order: left to right, then down.",
    edits={"(b rows cols) m n c ->": "(b cols rows) m n c ->"},
)
reverse.wrong(
    "pixels transposed",
    "Inside each window your rows and columns are exchanged: its first axis is the image's row.",
    edits={"(b rows cols) m n c ->": "(b rows cols) n m c ->"},
)
reverse.wrong(
    "images inside",
    "You take neighbouring windows of the list for windows of different images. All windows of the first image come before "
    "those of the second: the batch is the outermost part of the first axis.",
    edits={"(b rows cols) m n c ->": "(rows cols b) m n c ->"},
)
reverse.wrong(
    "windows interleaved",
    "You spread each window over the whole map at a stride. When you join the axes to H, the window's own axis is the inner "
    "one: (rows, M), in this order.",
    edits={"b (rows m) (cols n) c": "b (m rows) (n cols) c"},
)


@reverse.wrong(
    "one image only",
    "You put all windows into one image. The batch size is the number of windows divided by the windows per image, "
    "(H / M) * (W / M).",
)
def window_reverse(windows, window_size, height, width):
    channels = windows.shape[-1]
    x = windows[: (height // window_size) * (width // window_size)]
    x = x.view(1, height // window_size, width // window_size, window_size, window_size, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(1, height, width, channels)


@reverse.right("view, permute, reshape")
def window_reverse(windows, window_size, height, width):
    x = windows.view(
        -1, height // window_size, width // window_size, window_size, window_size, windows.shape[-1]
    )
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, height, width, windows.shape[-1])


@reverse.right("loops into an empty map")
def window_reverse(windows, window_size, height, width):
    per_image = (height // window_size) * (width // window_size)
    batch = windows.shape[0] // per_image
    x = windows.new_zeros(batch, height, width, windows.shape[-1])
    number = 0
    for image in range(batch):
        for top in range(0, height, window_size):
            for left in range(0, width, window_size):
                x[image, top : top + window_size, left : left + window_size] = windows[number]
                number += 1
    return x


@reverse.right("concatenation")
def window_reverse(windows, window_size, height, width):
    x = windows.unflatten(0, (-1, height // window_size, width // window_size))
    strips = [torch.cat([x[:, r, c] for c in range(x.shape[2])], dim=2) for r in range(x.shape[1])]
    return torch.cat(strips, dim=1)


# relative_position_index -------------------------------------------------------------------------------------------

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


# WindowAttention ---------------------------------------------------------------------------------------------------

attention = Bank("WindowAttention")
_SPLIT = '"w n (three h d) -> three w h n d"'
_TABLE = "self.relative_position_bias_table.T[:, self.relative_position_index]"
_SOFTMAX = "scores.softmax(-1).reshape(len(x), *scores.shape[-3:])"

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
attention.wrong(
    "qkv taken apart head by head",
    "You read the output of `qkv` as (heads, 3, d). The weights are laid out as all of q, then all of k, then all of v: "
    "(3, heads, d).",
    edits={_SPLIT: '"w n (h three d) -> three w h n d"'},
)
attention.wrong(
    "heads interleaved",
    "You take every heads-th channel for one head. A head's d channels lie side by side: split C as (heads, d), heads outside.",
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
    "minus 100 added, the mask repeated",
    edits={
        'bias = bias.masked_fill(~mask[:, None], float("-inf"))  # (nW, h, N, N)': "additive = torch.zeros(mask.shape, dtype=x.dtype).masked_fill(~mask, -100.0)",
        "scores = scores.unflatten(0, (-1, len(mask)))  # (B, nW, h, N, N)": "scores = scores + additive.repeat(len(x) // len(mask), 1, 1)[:, None]",
    },
)


@attention.right("window by window, head by head")
class WindowAttention(nn.Module):
    def __init__(self, dim, window_size, num_heads):
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


# msa_flops ---------------------------------------------------------------------------------------------------------

flops = Bank("msa_flops")

flops.wrong(
    "output projection forgotten",
    "You count three projections, q, k and v. The projection of the output is a fourth of the same size.",
    edits={"4 * tokens": "3 * tokens"},
)
flops.wrong(
    "weighted sum forgotten",
    "You count the scores q k^T and not the weighted sum of the values, which costs as much again.",
    edits={"2 * tokens**2": "tokens**2"},
)
flops.wrong(
    "two operations per multiply-add",
    "Your count is twice the paper's: a multiplication with the addition that follows it is one.",
    edits={"projections + scores_and_sum": "2 * (projections + scores_and_sum)"},
)
flops.wrong(
    "channels squared in the scores",
    "Your scores cost C^2 per pair. One score is a sum over C products (over all heads together), so it costs C.",
    edits={"2 * tokens**2 * channels": "2 * tokens**2 * channels**2"},
)
flops.wrong(
    "projections linear in the channels",
    "Your projections cost C per token. A linear layer from C to C channels costs C^2 per token.",
    edits={"channels**2": "channels"},
)
flops.wrong(
    "rows only",
    "You count each token's partners as one row or column of the map. In global attention every token meets all h * w tokens.",
    edits={"2 * tokens**2": "2 * tokens * w"},
)


@flops.right("operation by operation")
def msa_flops(h, w, channels):
    total = 0
    for _ in ("query", "key", "value", "output"):
        total += h * w * channels * channels
    for _ in ("scores", "weighted sum"):
        total += (h * w) * (h * w) * channels
    return total


@flops.right("factored")
def msa_flops(h, w, channels):
    return 2 * h * w * channels * (2 * channels + h * w)


@flops.right("a 0-dimensional tensor")
def msa_flops(h, w, channels):
    tokens = torch.tensor(h) * w
    return 4 * tokens * channels**2 + 2 * tokens**2 * channels


# window_msa_flops --------------------------------------------------------------------------------------------------

window_flops = Bank("window_msa_flops")

window_flops.wrong(
    "M instead of M squared",
    "You count M partners per token. A window of side M holds M^2 tokens.",
    edits={"window_size**2": "window_size"},
)
window_flops.wrong(
    "still global",
    "Your scores are still those of global attention. A token meets only the M^2 tokens of its own window.",
    edits={"window_size**2 * tokens": "tokens**2"},
)
window_flops.wrong(
    "one window only",
    "You count the pairs of one window, M^4. There are h w / M^2 windows.",
    edits={"window_size**2 * tokens": "window_size**4"},
)
window_flops.wrong(
    "windows counted twice",
    "You count M^4 pairs for every token. M^4 is the number of pairs per window, and each token belongs to one.",
    edits={"window_size**2 * tokens": "window_size**4 * tokens"},
)
window_flops.wrong(
    "output projection forgotten",
    "You count three projections, q, k and v. The projection of the output is a fourth of the same size.",
    edits={"4 * tokens": "3 * tokens"},
)
window_flops.wrong(
    "weighted sum forgotten",
    "You count the scores q k^T and not the weighted sum of the values, which costs as much again.",
    edits={"2 * window_size**2": "window_size**2"},
)
window_flops.wrong(
    "two operations per multiply-add",
    "Your count is twice the paper's: a multiplication with the addition that follows it is one.",
    edits={"projections + scores_and_sum": "2 * (projections + scores_and_sum)"},
)


@window_flops.right("windows as small maps")
def window_msa_flops(h, w, channels, window_size):
    windows = (h // window_size) * (w // window_size)
    return windows * msa_flops(window_size, window_size, channels)


@window_flops.right("window by window")
def window_msa_flops(h, w, channels, window_size):
    inside = window_size**2
    total = 0
    for _ in range(h * w // inside):
        total += 4 * inside * channels**2 + 2 * inside**2 * channels
    return total


@window_flops.right("factored")
def window_msa_flops(h, w, channels, window_size):
    return 2 * h * w * channels * (2 * channels + window_size**2)


# cyclic_shift ------------------------------------------------------------------------------------------------------

shift = Bank("cyclic_shift")
_ROLL = "torch.roll(x, shifts=(-shift_size, -shift_size), dims=(1, 2))"

shift.wrong(
    "wrong direction",
    "You roll in the wrong direction. The pixel at (s, s) should come to the upper left corner, so the map moves up and to the "
    "left: by minus s.",
    edits={"shifts=(-shift_size, -shift_size)": "shifts=(shift_size, shift_size)"},
)
shift.wrong(
    "rows only",
    "You move the map up and not to the left. Shift both axes, rows and columns.",
    edits={_ROLL: "torch.roll(x, shifts=-shift_size, dims=1)"},
)
shift.wrong(
    "columns only",
    "You move the map to the left and not up. Shift both axes, rows and columns.",
    edits={_ROLL: "torch.roll(x, shifts=-shift_size, dims=2)"},
)
shift.wrong(
    "one axis too far back",
    "You shift columns and channels. In (B, H, W, C) rows and columns are the axes 1 and 2.",
    edits={"dims=(1, 2)": "dims=(2, 3)"},
)
shift.wrong(
    "one axis too far in front",
    "You shift images and rows. In (B, H, W, C) rows and columns are the axes 1 and 2.",
    edits={"dims=(1, 2)": "dims=(0, 1)"},
)
shift.wrong(
    "flat roll",
    "You roll without naming axes, which moves the flattened tensor along. Name the axes of rows and columns.",
    edits={_ROLL: "torch.roll(x, -shift_size)"},
)


@shift.wrong(
    "nothing comes back",
    "What leaves the map at one edge is lost in yours, and zeros come in. The shift is cyclic: it comes back at the opposite "
    "edge.",
)
def cyclic_shift(x, shift_size):
    y = torch.zeros_like(x)
    height, width = x.shape[1:3]
    s = shift_size
    y[:, max(-s, 0) : height - max(s, 0), max(-s, 0) : width - max(s, 0)] = x[
        :, max(s, 0) : height + min(s, 0), max(s, 0) : width + min(s, 0)
    ]
    return y


@shift.right("slices, concatenated")
def cyclic_shift(x, shift_size):
    down, right = shift_size % x.shape[1], shift_size % x.shape[2]
    x = torch.cat([x[:, down:], x[:, :down]], dim=1)
    return torch.cat([x[:, :, right:], x[:, :, :right]], dim=2)


@shift.right("index arithmetic")
def cyclic_shift(x, shift_size):
    rows = (torch.arange(x.shape[1]) + shift_size) % x.shape[1]
    cols = (torch.arange(x.shape[2]) + shift_size) % x.shape[2]
    return x[:, rows][:, :, cols]


@shift.right("two rolls")
def cyclic_shift(x, shift_size):
    return x.roll(-shift_size, 1).roll(-shift_size, 2)


# shifted_window_mask -----------------------------------------------------------------------------------------------

mask = Bank("shifted_window_mask")
_KIND = "2 * wrapped_row.long()[:, None] + wrapped_col.long()[None, :]"
_EQUAL = "kind[:, :, None] == kind[:, None, :]"

mask.wrong(
    "inverted",
    "Your mask is True where a pixel must not look. In this course True means: may attend.",
    edits={_EQUAL: "kind[:, :, None] != kind[:, None, :]"},
)
mask.wrong(
    "wrapped at the other edge",
    "You take the first s rows and columns for the wrapped ones. The map has moved up and left, so what wrapped round is at "
    "the bottom and on the right: the last s.",
    edits={
        "torch.arange(height) >= height - shift_size": "torch.arange(height) < shift_size",
        "torch.arange(width) >= width - shift_size": "torch.arange(width) < shift_size",
    },
)
mask.wrong(
    "rows only",
    "You separate wrapped rows and not wrapped columns. The map has been shifted on both axes.",
    edits={_KIND: "2 * wrapped_row.long()[:, None] + 0 * wrapped_col.long()[None, :]"},
)
mask.wrong(
    "columns only",
    "You separate wrapped columns and not wrapped rows. The map has been shifted on both axes.",
    edits={_KIND: "0 * wrapped_row.long()[:, None] + wrapped_col.long()[None, :]"},
)
mask.wrong(
    "row or column",
    "You treat a wrapped row and a wrapped column alike. In the last window there are four kinds of pixel, and pixels of "
    "different kinds come from different corners of the image.",
    edits={_KIND: "(wrapped_row[:, None] != wrapped_col[None, :]).long()"},
)
mask.wrong(
    "wrapped or not",
    "You know two kinds of pixel, wrapped and not. One that wrapped by its row only and one that wrapped by its column only "
    "are far apart in the image: there are four kinds.",
    edits={_KIND: "(wrapped_row[:, None] | wrapped_col[None, :]).long()"},
)
mask.wrong(
    "the whole last window",
    "You take the last M rows and columns for the wrapped ones, which is just the last window: nothing is separated inside it. "
    "Only the last s have wrapped round.",
    edits={"height - shift_size": "height - window_size", "width - shift_size": "width - window_size"},
)
mask.wrong(
    "M - s instead of s",
    "You cut the last windows at M - s pixels from the edge. s pixels have wrapped round, so the last s rows and columns are "
    "the ones to separate.",
    edits={
        "height - shift_size": "height - (window_size - shift_size) * (shift_size > 0)",
        "width - shift_size": "width - (window_size - shift_size) * (shift_size > 0)",
    },
)
mask.wrong(
    "float mask",
    "You return numbers to be added to the scores. In this course masks are boolean, True = may attend.",
    edits={f"return {_EQUAL}": f"return torch.zeros(1).where({_EQUAL}, torch.tensor(-100.0))"},
)
mask.wrong(
    "height and width exchanged",
    "You build the map of kinds as (W, H). Rows come first: (H, W).",
    edits={_KIND: "2 * wrapped_col.long()[:, None] + wrapped_row.long()[None, :]"},
)
mask.wrong(
    "one mask for all windows",
    "Your result is one mask for the whole map. Every window has its own, because only the last row and column of windows hold "
    "wrapped pixels: (nW, M * M, M * M).",
    edits={
        "kind = window_partition(kind[None, :, :, None], window_size).flatten(1)  # (nW, M*M)": "kind = kind.flatten()[None]"
    },
)


@mask.right("nine regions, as in the authors' code")
def shifted_window_mask(height, width, window_size, shift_size):
    region = torch.zeros(1, height, width, 1)
    if shift_size > 0:
        number = 0
        parts = (slice(0, -window_size), slice(-window_size, -shift_size), slice(-shift_size, None))
        for rows in parts:
            for cols in parts:
                region[:, rows, cols] = number
                number += 1
    region = window_partition(region, window_size).reshape(-1, window_size * window_size)
    difference = region.unsqueeze(1) - region.unsqueeze(2)
    return difference == 0


@mask.right("distance in the image")
def shifted_window_mask(height, width, window_size, shift_size):
    row = (torch.arange(height) + shift_size) % height
    col = (torch.arange(width) + shift_size) % width
    place = torch.stack(torch.meshgrid(row, col, indexing="ij"), dim=-1)
    place = window_partition(place[None], window_size).flatten(1, 2)
    apart = (place[:, :, None] - place[:, None, :]).abs()
    return (apart < window_size).all(dim=-1)


@mask.right("loops")
def shifted_window_mask(height, width, window_size, shift_size):
    masks = []
    for top in range(0, height, window_size):
        for left in range(0, width, window_size):
            kinds = [
                (row >= height - shift_size, col >= width - shift_size)
                for row in range(top, top + window_size)
                for col in range(left, left + window_size)
            ]
            masks.append(torch.tensor([[a == b for b in kinds] for a in kinds]))
    return torch.stack(masks)


# SwinBlock ---------------------------------------------------------------------------------------------------------

block = Bank("SwinBlock")
_NORM = "        windows = self.norm1(x)\n"
_PAD = "windows = F.pad(windows, (0, 0, 0, -width % window, 0, -height % window))"
_SHIFT = "windows = cyclic_shift(windows, shift)"
_BACK = "y = cyclic_shift(y, -shift)"
_MASK = "self.mask_for(full_height, full_width, x.device) if shift else None"
_LAST = "return x + self.mlp(self.norm2(x))"

block.wrong(
    "rolled in the wrong direction",
    "You shift the map the other way: down and to the right first, then back. The mask is made for the other direction, up and "
    "to the left first, so it separates the wrong pixels.",
    edits={_SHIFT: "windows = cyclic_shift(windows, -shift)", _BACK: "y = cyclic_shift(y, shift)"},
)
block.wrong(
    "not rolled back",
    "You never undo the shift, so the attention's output is added to the wrong pixels. Shift back by the same amount before the "
    "residual connection.",
    edits={f"        if shift:\n            {_BACK}\n": ""},
)
block.wrong(
    "rolled twice in one direction",
    "You shift a second time in the same direction instead of back. The way back is a shift by minus s.",
    edits={_BACK: "y = cyclic_shift(y, shift)"},
)
block.wrong(
    "no mask",
    "You do not pass a mask to the attention after the shift, so pixels from opposite edges of the image attend to each other.",
    edits={_MASK: "None"},
)
block.wrong(
    "no shift",
    "You never shift the map, but use the mask of a shifted one. Where `shift` is not 0, shift before the windows are cut.",
    edits={f"        if shift:\n            {_SHIFT}\n": "", f"        if shift:\n            {_BACK}\n": ""},
)
block.wrong(
    "norm after the attention",
    "You normalise after the attention. A Swin block is pre-norm: norm1 comes before the windows are cut.",
    edits={
        _NORM: "        windows = x\n",
        "x = x + y[:, :height, :width]": "x = x + self.norm1(y[:, :height, :width])",
    },
)
block.wrong(
    "residual of the normalised map",
    "Your first residual connection starts behind norm1. It adds the block's input as it came in.",
    edits={_NORM: "        x = windows = self.norm1(x)\n"},
)
block.wrong(
    "first residual missing",
    "Your first residual connection is missing: the attention's output is to be added to the block's input.",
    edits={"x = x + y[:, :height, :width]": "x = y[:, :height, :width]"},
)
block.wrong(
    "second residual missing",
    "Your second residual connection is missing: the MLP's output is to be added to its input.",
    edits={_LAST: "return self.mlp(self.norm2(x))"},
)
block.wrong(
    "norm2 missing",
    "Your MLP works on values that were not normalised. norm2 comes before it.",
    edits={_LAST: "return x + self.mlp(x)"},
)
block.wrong(
    "norm1 twice",
    "You use norm1 before the MLP, too. The MLP has a norm of its own, norm2.",
    edits={_LAST: "return x + self.mlp(self.norm1(x))"},
)
block.wrong(
    "padded after the shift",
    "You pad after the shift. Then the rows and columns that the mask takes for the wrapped ones are partly padding: pad first, "
    "shift then.",
    edits={
        f"        if height % window or width % window:\n            {_PAD}\n        full_height, full_width = windows.shape[1:3]\n": "",
        _SHIFT: f"{_SHIFT}\n        {_PAD}\n        full_height, full_width = windows.shape[1:3]",
        f"        if shift:\n            {_BACK}\n": "        y = y[:, :height, :width]\n        if shift:\n            y = cyclic_shift(y, -shift)\n",
    },
)
block.wrong(
    "padded before the norm",
    "You pad before norm1, which turns the zeros into the norm's bias. Normalise first, pad then.",
    edits={
        _NORM: "        windows = x\n",
        "        full_height, full_width = windows.shape[1:3]\n": "        windows = self.norm1(windows)\n        full_height, full_width = windows.shape[1:3]\n",
    },
)
block.wrong(
    "padded at the top and on the left",
    "You pad at the top and on the left. The zeros go to the bottom and to the right: in F.pad's list, the second value of each "
    "pair.",
    edits={
        _PAD: "windows = F.pad(windows, (0, 0, -width % window, 0, -height % window, 0))",
        "y[:, :height, :width]": "y[:, -height:, -width:]",
    },
)
block.wrong(
    "windows put back with the sides exchanged",
    "You call window_reverse with width and height exchanged. The order of its arguments is height, width.",
    edits={
        "window, full_height, full_width)": "window, full_width, full_height).reshape(len(x), full_height, full_width, -1)"
    },
)

block.right(
    "always shifted, padded and masked",
    edits={
        f"        if height % window or width % window:\n            {_PAD}\n": f"        {_PAD}\n",
        "        if shift:\n            windows = cyclic_shift": "        windows = cyclic_shift",
        "        if shift:\n            y = cyclic_shift": "        y = cyclic_shift",
        _MASK: "shifted_window_mask(full_height, full_width, window, shift)",
    },
)
block.right(
    "cut off before the way back is not needed: cropping by narrow, MLP on tokens",
    edits={
        "y[:, :height, :width]": "y.narrow(1, 0, height).narrow(2, 0, width)",
        _LAST: "tokens = x.flatten(1, 2)\n        return (tokens + self.mlp(self.norm2(tokens))).view_as(x)",
    },
)


@block.right("cut lines moved instead of the map: ragged windows")
class SwinBlock(nn.Module):
    def __init__(self, dim, num_heads, window_size=7, shift_size=0, mlp_ratio=4.0):
        super().__init__()
        self.window_size, self.shift_size = window_size, shift_size
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, window_size, num_heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential()
        self.mlp.add_module("fc1", nn.Linear(dim, int(mlp_ratio * dim)))
        self.mlp.add_module("act", nn.GELU())
        self.mlp.add_module("fc2", nn.Linear(int(mlp_ratio * dim), dim))

    def forward(self, x):
        _, height, width, _ = x.shape
        m = self.window_size
        s = self.shift_size if min(height, width) > m else 0
        y = F.pad(self.norm1(x), (0, 0, 0, -width % m, 0, -height % m))
        full = y.shape
        # surround the map so that the moved windows are whole, and hide what does not belong to it
        y = F.pad(y, (0, 0, (m - s) % m, s, (m - s) % m, s))
        inside = F.pad(torch.ones(1, full[1], full[2], 1), (0, 0, (m - s) % m, s, (m - s) % m, s)).bool()
        tokens = window_partition(y, m).flatten(1, 2)
        inside = window_partition(inside, m).flatten(1)
        mask = inside[:, :, None] == inside[:, None, :]
        tokens = self.attn(tokens, mask).unflatten(1, (m, m))
        y = window_reverse(tokens, m, y.shape[1], y.shape[2])
        y = y[:, (m - s) % m :, (m - s) % m :][:, :height, :width]
        x = x + y
        return x + self.mlp(self.norm2(x))


# PatchMerging ------------------------------------------------------------------------------------------------------

merging = Bank("PatchMerging")
_MERGE = '"b (h row) (w col) c -> b h w (col row c)"'

merging.wrong(
    "row by row",
    "You concatenate the four neighbours row by row: upper left, upper right, lower left, lower right. The order is column by "
    "column: upper left, lower left, upper right, lower right.",
    edits={_MERGE: '"b (h row) (w col) c -> b h w (row col c)"'},
)
merging.wrong(
    "channels outside",
    "You interleave the neighbours channel by channel. Each neighbour's C channels stay together: (4 neighbours, C).",
    edits={_MERGE: '"b (h row) (w col) c -> b h w (c col row)"'},
)
merging.wrong(
    "quarters of the map",
    "You merge pixels from the four quarters of the map. Neighbours lie side by side: when you split H, the axis of size 2 is "
    "the inner one.",
    edits={_MERGE: '"b (row h) (col w) c -> b h w (col row c)"'},
)
merging.wrong(
    "norm after the reduction",
    "You normalise after the reduction. The norm has 4C channels: it comes before.",
    edits={"self.reduction(self.norm(x))": "self.norm(self.reduction(x))"},
)
merging.wrong(
    "norm after the reduction, with 2C channels",
    "You made the norm 2C wide and put it behind the reduction. It is 4C wide and comes before the reduction.",
    edits={
        "nn.LayerNorm(4 * dim)": "nn.LayerNorm(2 * dim)",
        "self.reduction(self.norm(x))": "self.norm(self.reduction(x))",
    },
)
merging.wrong(
    "no norm",
    "You do not use the norm. The 4C channels are normalised before they are reduced to 2C.",
    edits={"self.reduction(self.norm(x))": "self.reduction(x)"},
)
merging.wrong(
    "odd sides cut off",
    "You drop the last row or column of a map with an odd side. Pad it with zeros instead: no pixel is lost.",
    edits={
        "x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))": "x = x[:, : height - height % 2, : width - width % 2]"
    },
)
merging.wrong(
    "padded at the top and on the left",
    "You pad at the top and on the left. The zeros go to the bottom and to the right.",
    edits={"(0, 0, 0, width % 2, 0, height % 2)": "(0, 0, width % 2, 0, height % 2, 0)"},
)
merging.wrong(
    "padding of rows and columns exchanged",
    "You pad a row where the width is odd and a column where the height is. F.pad begins with the last axis: channels, width, "
    "height.",
    edits={"(0, 0, 0, width % 2, 0, height % 2)": "(0, 0, 0, height % 2, 0, width % 2)"},
)


@merging.right("four slices")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, dim=-1)))


@merging.right("view and permute, padding by concatenation")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        if x.shape[1] % 2:
            x = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
        if x.shape[2] % 2:
            x = torch.cat([x, torch.zeros_like(x[:, :, :1])], dim=2)
        batch, height, width, channels = x.shape
        x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 4, 2, 5)
        return self.reduction(self.norm(x.reshape(batch, height // 2, width // 2, 4 * channels)))


@merging.right("a strided convolution does the reduction")
class PatchMerging(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = (
            F.unfold(x.permute(0, 3, 1, 2), 2, stride=2)
            .unflatten(1, (-1, 4))
            .unflatten(-1, ((x.shape[1]) // 2, x.shape[2] // 2))
        )  # (B, C, 4 row by row, H/2, W/2)
        x = x[:, :, [0, 2, 1, 3]].permute(0, 3, 4, 2, 1).flatten(3)
        return F.linear(self.norm(x), self.reduction.weight)


# SwinTransformer ---------------------------------------------------------------------------------------------------

model = Bank("SwinTransformer")

model.wrong(
    "shift in every block",
    "All your blocks shift their windows. Blocks alternate, plain then shifted: without the plain ones half of the connections "
    "between neighbours are missing.",
    edits={"window // 2 if i % 2 else 0": "window // 2"},
)
model.wrong(
    "never a shift",
    "None of your blocks shifts its windows, so nothing ever crosses a window's border within a stage. Every second block has "
    "shift_size = M // 2.",
    edits={"window // 2 if i % 2 else 0": "0"},
)
model.wrong(
    "shift in the first block",
    "Your blocks begin with a shifted one. The first of each stage is plain, the second shifted.",
    edits={"window // 2 if i % 2 else 0": "0 if i % 2 else window // 2"},
)
model.wrong(
    "shift by one",
    "Your shifted blocks move the windows by one pixel. Half a window, M // 2, lets a window's border fall in the middle of the "
    "next block's windows.",
    edits={"window // 2 if i % 2 else 0": "min(1, window - 1) if i % 2 else 0"},
)
model.wrong(
    "merging before the blocks",
    "You merge at the beginning of every stage but the first. Here, as in the authors' release, it closes every stage but the "
    "last, and the names of the parameters say so.",
    edits={
        "            window = min(window_size, height, width)\n": "            downsample = None\n            if stage > 0:\n                downsample = PatchMerging(dim)\n                dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)\n            window = min(window_size, height, width)\n",
        '            if stage < len(depths) - 1:\n                layer["downsample"] = PatchMerging(dim)\n                dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)\n': '            if downsample is not None:\n                layer["downsample"] = downsample\n',
    },
)
model.wrong(
    "merging in the last stage, too",
    "Your last stage ends with a merging as well. There are three mergings between four stages.",
    edits={"if stage < len(depths) - 1:": "if True:"},
)
model.wrong(
    "window larger than its map",
    "Your window keeps its size where the stage's map is smaller. There it shrinks to the map's shorter side.",
    edits={"min(window_size, height, width)": "window_size"},
)
model.wrong(
    "no norm of the patches",
    "You leave out the norm of the patch embedding.",
    edits={'        x = self.patch_embed["norm"](x)\n': ""},
)
model.wrong(
    "no final norm",
    "You leave out the final norm, behind the last stage.",
    edits={"return self.norm(x)": "return x"},
)
model.wrong(
    "norm after the mean",
    "You normalise after averaging. The final norm works on the map, token by token; the mean comes behind it.",
    edits={
        "return self.norm(x)": "return x",
        "self.head(self.features(images).mean(dim=(1, 2)))": "self.head(self.norm(self.features(images).mean(dim=(1, 2))))",
    },
)
model.wrong(
    "first token",
    "You classify the upper left token alone. Swin has no class token: the head works on the mean of all tokens.",
    edits={".mean(dim=(1, 2))": "[:, 0, 0]"},
)
model.wrong(
    "sum of the tokens",
    "You add up the tokens instead of averaging them, so the logits grow with the size of the image.",
    edits={".mean(dim=(1, 2))": ".sum(dim=(1, 2))"},
)

model.right(
    "tokens flattened for the mean",
    edits={".mean(dim=(1, 2))": ".flatten(1, 2).mean(dim=1)"},
)
model.right(
    "sizes by integer arithmetic, blocks one by one",
    edits={
        "dim, height, width = 2 * dim, -(-height // 2), -(-width // 2)": "dim, height, width = dim * 2, (height + 1) // 2, (width + 1) // 2",
        'x = layer["blocks"](x)\n': 'for block in layer["blocks"]:\n                x = block(x)\n',
    },
)
model.right(
    "shifts from a list, adaptive pooling",
    edits={
        "shift_size=window // 2 if i % 2 else 0": "shift_size=[0, window // 2][i % 2]",
        "self.features(images).mean(dim=(1, 2))": "F.adaptive_avg_pool2d(self.features(images).permute(0, 3, 1, 2), 1).flatten(1)",
    },
)
model.right(
    "stages given by index",
    edits={
        "for layer in self.layers:": "for number in range(len(self.layers)):\n            layer = self.layers[number]",
        'if "downsample" in layer:': "if number + 1 < len(self.layers):",
    },
)
