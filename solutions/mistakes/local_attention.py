"""Wrong and alternative right answers: attention in the neighbourhood of each pixel."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

windows = Bank("neighborhoods")

CUT = "windows = columns.unflatten(1, (x.shape[1], -1))"

windows.wrong(
    "unfold's order misread",
    "You read unfold's middle axis as places times channels. It is channels times places: all K places of channel 0 come first, then those of "
    "channel 1.",
    edits={CUT: "windows = columns.unflatten(1, (-1, x.shape[1])).transpose(1, 2)"},
)

windows.wrong(
    "reshaped, not transposed",
    "The axes of your windows are right in size only: a reshape keeps the order of the numbers in memory, so "
    "channels, places and pixels get mixed. Split unfold's middle axis alone, channels first.",
    edits={CUT: "windows = columns.reshape(x.shape[0], -1, x.shape[1], kernel_size**2).permute(0, 2, 3, 1)"},
)

windows.wrong(
    "places column by column",
    "The places inside a window come column by column in yours. They come in reading order: left to right, then down.",
    edits={CUT: 'windows = rearrange(columns, "b (c i j) n -> b c (j i) n", i=kernel_size, j=kernel_size)'},
)

windows.wrong(
    "pixels column by column",
    "Your windows come column after column of the image. Window n belongs to pixel n in reading order: left to right, then down.",
    edits={CUT: 'windows = rearrange(columns, "b (c k) (h w) -> b c k (w h)", c=x.shape[1], h=x.shape[2])'},
)

UNFOLD = "columns = F.unfold(x, kernel_size, padding=kernel_size // 2)"

INSIDE = "inside = F.unfold(ones, kernel_size, padding=kernel_size // 2)[0] > 0"

windows.wrong(
    "no padding",
    "Without padding only pixels far from the border get a window. Every pixel needs one: pad by k // 2 on each side.",
    edits={
        UNFOLD: "columns = F.unfold(x, kernel_size)",
        INSIDE: "inside = F.unfold(ones, kernel_size)[0] > 0",
    },
)

windows.wrong(
    "windows side by side",
    "Your windows lie side by side (stride k). Attention slides like a convolution of stride 1: one window per pixel, overlapping.",
    edits={UNFOLD: UNFOLD.replace("// 2)", "// 2, stride=kernel_size)")},
)

windows.wrong(
    "border repeated",
    "You pad by repeating the border pixels. Outside the image there is nothing: the places there hold zeros.",
    edits={
        UNFOLD: 'columns = F.unfold(F.pad(x, (kernel_size // 2,) * 4, mode="replicate"), kernel_size)',
    },
)

windows.wrong(
    "zero taken for padding",
    "You find the padding by looking for zeros. After a ReLU a real pixel can be zero too: cut windows out of an image of ones instead.",
    edits={INSIDE: "inside = (windows[0] != 0).any(0)"},
)

windows.wrong(
    "inside and outside swapped",
    "Your mask is the wrong way round: True means that the place is a pixel of the image.",
    edits={INSIDE: INSIDE.replace("> 0", "== 0")},
)

windows.wrong(
    "mask transposed",
    "Your mask is (N, K), pixels by places. It should be (K, N), as unfold gives it: places first, then pixels.",
    edits={INSIDE: INSIDE.replace("[0] > 0", "[0].T > 0")},
)

windows.wrong(
    "everything inside",
    "Your mask says that every place is inside the image. Windows of border pixels hang over: those places must be False.",
    edits={INSIDE: "inside = torch.ones(windows.shape[2:], dtype=torch.bool)"},
)

windows.wrong(
    "mask of floats",
    "Your mask holds the numbers 0 and 1. A mask is boolean: True or False.",
    edits={INSIDE: INSIDE.replace(" > 0", "")},
)

windows.wrong(
    "middle left out",
    "You leave the middle of the window out. A pixel belongs to its own neighbourhood.",
    edits={
        CUT: CUT
        + "\n    others = [i for i in range(kernel_size**2) if i != kernel_size**2 // 2]\n    windows = windows[:, :, others]"
    },
)

windows.right(
    "einops, and equal to one",
    edits={
        CUT: 'windows = rearrange(columns, "b (c k) n -> b c k n", k=kernel_size**2)',
        INSIDE: INSIDE.replace("> 0", "== 1"),
    },
)


@windows.right("pad and slice, a loop over places")
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size must be odd, got {kernel_size}")
    height, width = x.shape[2:]
    r = kernel_size // 2

    def cut(image):
        padded = F.pad(image, (r, r, r, r))
        places = [
            padded[:, :, i : i + height, j : j + width]
            for i in range(kernel_size)
            for j in range(kernel_size)
        ]
        return torch.stack(places, dim=2).flatten(3)

    return cut(x), cut(torch.ones(1, 1, height, width))[0, 0].bool()


@windows.right("Tensor.unfold")
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f'an even window: {kernel_size}')
    r = kernel_size // 2
    tiles = F.pad(x, (r, r, r, r)).unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    ones = F.pad(torch.ones(x.shape[2:]), (r, r, r, r)).unfold(0, kernel_size, 1).unfold(1, kernel_size, 1)
    return rearrange(tiles, "b c h w i j -> b c (i j) (h w)"), rearrange(ones, "h w i j -> (i j) (h w)") != 0


@windows.right("inside from coordinates, windows by a convolution with unit kernels")
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f'an even window: {kernel_size}')
    channels, height, width = x.shape[1:]
    places = kernel_size**2
    kernels = (
        torch.eye(places, dtype=x.dtype).view(places, 1, kernel_size, kernel_size).repeat(channels, 1, 1, 1)
    )
    grid = F.conv2d(x, kernels, padding=kernel_size // 2, groups=channels)  # (B, C * K, H, W)
    k = torch.arange(kernel_size) - kernel_size // 2
    rows = k.view(-1, 1, 1, 1) + torch.arange(height).view(1, 1, -1, 1)
    cols = k.view(1, -1, 1, 1) + torch.arange(width).view(1, 1, 1, -1)
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    return rearrange(grid, "b (c k) h w -> b c k (h w)", k=places), inside.reshape(places, height * width)


@windows.wrong(
    "zeros taken for outside",
    "You take zeros for padding. A pixel of the image can be zero as well: which places lie outside depends on rows and columns "
    "alone.",
)
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    windows = F.unfold(x, kernel_size, padding=kernel_size // 2).view(B, C, kernel_size**2, H * W)
    return (windows, windows[0, 0] != 0)


@windows.wrong(
    "zeros in all images taken for outside",
    "You take places that are zero everywhere for padding. A pixel of the image can be zero as well: what lies outside depends on "
    "rows and columns alone.",
)
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    windows = F.unfold(x, kernel_size, padding=kernel_size // 2).view(B, C, kernel_size**2, H * W)
    return (windows, (windows != 0).any(dim=1).any(dim=0))


@windows.wrong(
    "places in column order",
    "Your places run down the columns. They are in reading order: the first row of the window from left to right, then the next.",
)
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    k = kernel_size
    windows = (
        F.unfold(x, k, padding=k // 2).view(B, C, k, k, H * W).transpose(2, 3).reshape(B, C, k * k, H * W)
    )
    inside = (
        F.unfold(torch.ones_like(x[:1, :1]), k, padding=k // 2)
        .view(k, k, -1)
        .transpose(0, 1)
        .reshape(k * k, -1)
    )
    return (windows, inside.bool())


@windows.wrong(
    "wrapped around",
    "Pixels from the opposite side come into your windows. Beyond the border there are zeros.",
)
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    k, pad = (kernel_size, kernel_size // 2)
    moves = [(pad - i, pad - j) for i in range(k) for j in range(k)]
    windows = torch.stack([x.roll(move, (2, 3)).flatten(2) for move in moves], dim=2)
    ones = F.pad(x.new_ones(1, 1, *x.shape[2:]), (pad,) * 4)
    return (windows, F.unfold(ones, k)[0].bool())


@windows.wrong("square images only", "You take the height for the width when you work out what lies inside.")
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    k, pad = (kernel_size, kernel_size // 2)
    windows = F.unfold(x, k, padding=pad).view(B, C, k * k, H * W)
    n, i = (torch.arange(H * W, device=x.device), torch.arange(k * k, device=x.device)[:, None])
    row, column = (n // H + i // k - pad, n % H + i % k - pad)
    return (windows, (row >= 0) & (row < H) & (column >= 0) & (column < H))


@windows.wrong(
    "convolution's kernel flipped",
    "Your places run from the lower right to the upper left. They are in reading order.",
)
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    pad = kernel_size // 2
    windows = F.unfold(x, kernel_size, padding=pad).view(B, C, kernel_size**2, H * W).flip(2)
    return (windows, F.unfold(torch.ones_like(x[:1, :1]), kernel_size, padding=pad)[0].bool().flip(0))


@windows.right("unfold twice")
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    K, pad = (kernel_size**2, kernel_size // 2)
    windows = F.unfold(x, kernel_size, padding=pad).view(B, C, K, H * W)
    inside = F.unfold(x.new_ones(1, 1, H, W), kernel_size, padding=pad)[0].bool()
    return (windows, inside)


@windows.right("pad and slices")
def neighborhoods(x, kernel_size):
    if kernel_size % 2 == 0:
        raise ValueError(f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}")
    B, C, H, W = x.shape
    pad = kernel_size // 2
    padded = F.pad(x, (pad, pad, pad, pad))
    rows = torch.arange(H, device=x.device)[:, None].expand(H, W)
    columns = torch.arange(W, device=x.device).expand(H, W)
    windows, inside = ([], [])
    for i in range(kernel_size):
        for j in range(kernel_size):
            windows.append(padded[:, :, i : i + H, j : j + W].flatten(2))
            r, c = (rows + i - pad, columns + j - pad)
            inside.append(((r >= 0) & (r < H) & (c >= 0) & (c < W)).flatten())
    return (torch.stack(windows, dim=2), torch.stack(inside))


local = Bank("LocalAttention2d")

SOFTMAX = 'weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)'

local.wrong(
    "border attended as zeros",
    "Pixels at the border attend to the padding. A padded key is zero, its score is 0, and exp(0) = 1 is far from no weight. Fill the scores outside the "
    "image with minus infinity before the softmax: a score of zero is not enough, and masking the weights afterwards comes too late.",
    edits={SOFTMAX: "weights = scores.softmax(dim=1)"},
)

local.wrong(
    "mask the wrong way round",
    "Your mask hides the image and leaves the padding. `inside` is True where a place may be attended to; masked_fill fills where it gets True.",
    edits={"masked_fill(~inside": "masked_fill(inside"},
)

local.wrong(
    "softmax over the pixels",
    "Your softmax runs over the pixels, not over the places of a window. Each pixel shares its attention out among its own K neighbours.",
    edits={"softmax(dim=1)": "softmax(dim=2)"},
)

local.wrong(
    "scores not scaled",
    "Your scores are not divided by sqrt(C), the square root of the width of a query.",
    edits={" / math.sqrt(x.shape[1])": ""},
)

local.wrong(
    "scaled by the window",
    "You scale by the square root of the window's places. The dot product runs over the C channels, so it is sqrt(C) that counts.",
    edits={"math.sqrt(x.shape[1])": "math.sqrt(keys.shape[2])"},
)

local.wrong(
    "values from the key convolution",
    "Your values are the keys: the `value` convolution is not used.",
    edits={"neighborhoods(self.value(x), self.kernel_size)": "neighborhoods(self.key(x), self.kernel_size)"},
)

local.wrong(
    "the raw input in the windows",
    "You attend to windows of x itself, without the `key` and `value` convolutions.",
    edits={
        "neighborhoods(self.key(x), self.kernel_size)": "neighborhoods(x, self.kernel_size)",
        "neighborhoods(self.value(x), self.kernel_size)": "neighborhoods(x, self.kernel_size)",
    },
)

local.wrong(
    "windows first, convolutions after",
    "You cut the windows first and project afterwards, with nothing masked: a padded place then holds the bias of the convolution, and takes part. Project "
    "first, then mask what lies outside.",
    edits={
        "neighborhoods(self.key(x), self.kernel_size)": "neighborhoods(x, self.kernel_size)",
        "values, _ = neighborhoods(self.value(x), self.kernel_size)": "keys, values = self.key(keys), self.value(keys)",
        SOFTMAX: "weights = scores.softmax(dim=1)",
    },
)

local.wrong(
    "middle left out",
    "A pixel in yours does not attend to itself: the middle of the window is masked as well. Ramachandran et al. keep it.",
    edits={
        SOFTMAX: "inside = inside.clone()\n        inside[inside.shape[0] // 2] = False\n        " + SOFTMAX
    },
)

local.wrong(
    "height and width swapped when folding",
    "You fold the pixels back column by column. They are in reading order, so W is the axis that runs fastest; square images hide this.",
    edits={
        "attended.unflatten(2, x.shape[2:])": "attended.unflatten(2, (x.shape[3], x.shape[2])).transpose(2, 3)",
    },
)

local.wrong(
    "residual added",
    "You add x to the result. This layer stands in place of a convolution; a residual connection, if there is one, belongs to the block around it.",
    edits={"return attended.unflatten": "return x + attended.unflatten"},
)

local.wrong(
    "weights detached",
    "Your weights are cut from the graph (detach, .data or no_grad), so neither `query` nor `key` can learn.",
    edits={"softmax(dim=1)": "softmax(dim=1).detach()"},
)

local.wrong(
    "average over the window",
    "You take the plain mean of the window; the scores are not used, so what is attended to does not depend on the content.",
    edits={SOFTMAX: "weights = (inside / inside.sum(0)).to(x.dtype).unsqueeze(0)"},
)

BODY = """        query = self.query(x).flatten(2).unsqueeze(2)  # (B, C, 1, N): one query per window
        keys, inside = neighborhoods(self.key(x), self.kernel_size)  # (B, C, K, N), (K, N)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        scores = (query * keys).sum(dim=1) / math.sqrt(x.shape[1])  # (B, K, N)
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        attended = (weights.unsqueeze(1) * values).sum(dim=2)  # (B, C, N)
        return attended.unflatten(2, x.shape[2:])  # (B, C, H, W)
"""

local.right(
    "einsum",
    edits={
        BODY: """        query = self.query(x).flatten(2)
        keys, inside = neighborhoods(self.key(x), self.kernel_size)
        values = neighborhoods(self.value(x), self.kernel_size)[0]
        scores = torch.einsum("bcn,bckn->bnk", query, keys) * x.shape[1] ** -0.5
        weights = torch.softmax(torch.where(inside.T, scores, -torch.inf), dim=-1)
        return torch.einsum("bnk,bckn->bcn", weights, values).reshape(x.shape)
"""
    },
)

local.right(
    "one cut for keys and values, a large negative number",
    edits={
        BODY: """        windows, inside = neighborhoods(torch.cat([self.key(x), self.value(x)], dim=1), self.kernel_size)
        keys, values = windows.chunk(2, dim=1)
        query = rearrange(self.query(x), "b c h w -> b c () (h w)")
        scores = (query * keys).sum(1) / x.size(1) ** 0.5 + torch.zeros(inside.shape).masked_fill(~inside, -1e9)
        return (scores.softmax(1)[:, None] * values).sum(2).view_as(x)
"""
    },
)

local.right(
    "the library's kernel on windows",
    edits={
        BODY: """        query = rearrange(self.query(x), "b c h w -> b (h w) 1 c")
        (keys, inside), (values, _) = (neighborhoods(part(x), self.kernel_size) for part in (self.key, self.value))
        keys, values = (rearrange(part, "b c k n -> b n k c") for part in (keys, values))
        attended = F.scaled_dot_product_attention(query, keys, values, attn_mask=inside.T[:, None])
        return rearrange(attended, "b (h w) 1 c -> b c h w", w=x.shape[3])
"""
    },
)

local.right(
    "global attention with a mask",
    edits={
        BODY: """        query, key, value = (part(x).flatten(2).transpose(1, 2) for part in (self.query, self.key, self.value))
        n = torch.arange(x.shape[2] * x.shape[3])
        rows, cols = n // x.shape[3], n % x.shape[3]
        far = torch.maximum((rows[:, None] - rows).abs(), (cols[:, None] - cols).abs()) > self.kernel_size // 2
        scores = (query @ key.mT / math.sqrt(query.shape[-1])).masked_fill(far, -torch.inf)
        return (scores.softmax(-1) @ value).mT.reshape(x.shape)
"""
    },
)

local.right(
    "weights outside set to zero and renormalised, in float64",
    edits={
        SOFTMAX: "weights = scores.double().exp() * inside\n        weights = (weights / weights.sum(1, keepdim=True)).to(x.dtype)",
    },
)


@local.wrong(
    "zero scores hidden",
    "You take zeros for the border: a place is hidden where its score or its key is 0. A pixel of the image can have those as well; "
    "`inside` says what lies outside.",
)
class LocalAttention2d(nn.Module):
    def __init__(self, channels, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        keys, _ = neighborhoods(self.key(x), self.kernel_size)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        q = self.query(x).flatten(2).unsqueeze(2)
        scores = (q * keys).sum(1) / math.sqrt(x.shape[1])
        weights = scores.masked_fill(scores == 0, float("-inf")).softmax(dim=1)
        return (weights.unsqueeze(1) * values).sum(2).view_as(x)


@local.wrong(
    "softmax per channel",
    "Each of your channels has weights of its own. A score is the dot product over all channels: sum them.",
)
class LocalAttention2d(nn.Module):
    def __init__(self, channels, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        keys, inside = neighborhoods(self.key(x), self.kernel_size)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        q = self.query(x).flatten(2).unsqueeze(2)
        scores = q * keys / math.sqrt(x.shape[1])
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=2)
        return (weights * values).sum(2).view_as(x)


@local.wrong(
    "weak mask",
    "You give the scores outside the image a fixed low value, so a little weight leaks out. Use minus infinity.",
)
class LocalAttention2d(nn.Module):
    def __init__(self, channels, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        keys, inside = neighborhoods(self.key(x), self.kernel_size)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        q = self.query(x).flatten(2).unsqueeze(2)
        scores = (q * keys).sum(1) / math.sqrt(x.shape[1])
        weights = scores.masked_fill(~inside, -10.0).softmax(dim=1)
        return (weights.unsqueeze(1) * values).sum(2).view_as(x)


@local.wrong("window fixed at 3", "Your window is always 3 x 3. Its side is `kernel_size`.")
class LocalAttention2d(nn.Module):
    def __init__(self, channels, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        keys, inside = neighborhoods(self.key(x), 3)
        values, _ = neighborhoods(self.value(x), 3)
        q = self.query(x).flatten(2).unsqueeze(2)
        scores = (q * keys).sum(1) / math.sqrt(x.shape[1])
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        return (weights.unsqueeze(1) * values).sum(2).view_as(x)


@local.wrong(
    "border from key windows",
    "You take zeros for the border: a place is hidden where its score or its key is 0. A pixel of the image can have those as well; "
    "`inside` says what lies outside.",
)
class LocalAttention2d(nn.Module):
    def __init__(self, channels, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        keys, _ = neighborhoods(self.key(x), self.kernel_size)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        inside = (keys != 0).any(dim=1)
        q = self.query(x).flatten(2).unsqueeze(2)
        scores = (q * keys).sum(1) / math.sqrt(x.shape[1])
        weights = torch.nan_to_num(scores.masked_fill(~inside, float("-inf")).softmax(dim=1))
        return (weights.unsqueeze(1) * values).sum(2).view_as(x)


@local.right("products and sums")
class LocalAttention2d(nn.Module):
    def __init__(self, channels, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.query = nn.Conv2d(channels, channels, kernel_size=1)
        self.key = nn.Conv2d(channels, channels, kernel_size=1)
        self.value = nn.Conv2d(channels, channels, kernel_size=1)

    def forward(self, x):
        keys, inside = neighborhoods(self.key(x), self.kernel_size)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        query = self.query(x).flatten(2).unsqueeze(2)
        scores = (query * keys).sum(dim=1) / math.sqrt(x.shape[1])
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        return (weights.unsqueeze(1) * values).sum(dim=2).unflatten(-1, x.shape[2:])


windows.wrong(
    'row 0 counts as outside',
    'You count the first row and the first column as outside. Inside is >= 0, not > 0.',
    edits={
        '    return windows, inside': '    rows, columns = torch.arange(x.shape[2] * x.shape[3]).div(x.shape[3], rounding_mode="floor"), torch.arange(x.shape[2] * x.shape[3]) % x.shape[3]\n    offset = torch.arange(kernel_size**2)[:, None]\n    rows = rows + offset // kernel_size - kernel_size // 2\n    columns = columns + offset % kernel_size - kernel_size // 2\n    return windows, inside & (rows > 0) & (columns > 0)',
    },
)


@windows.wrong(
    'rows counted with the height',
    "You compute a pixel's row as n // H. Pixels are counted row by row, W in each: its row is n // W.",
)
def neighborhoods(x: Tensor, kernel_size: int) -> tuple[Tensor, Tensor]:
    if kernel_size % 2 == 0:
        raise ValueError(
            f"a window needs a middle pixel, so kernel_size must be odd, got {kernel_size}"
        )
    b, c, h, w = x.shape
    r = kernel_size // 2
    windows = F.unfold(x, kernel_size, padding=r).unflatten(1, (c, kernel_size**2))
    n = torch.arange(h * w, device=x.device)
    i = torch.arange(kernel_size**2, device=x.device)[:, None]
    row = n // h + i // kernel_size - r
    column = n % h + i % kernel_size - r
    inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
    return windows, inside
