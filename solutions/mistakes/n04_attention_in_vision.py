"""Notebook 04: what students really write, wrong (with what a good teacher says) and right in another way."""

from utils.checks.bank import Bank

# SelfAttention2d -------------------------------------------------------------------------------------------------------

self2d = Bank("SelfAttention2d")
FORWARD = """        value = self.value(x).flatten(2)  # (B, d, N)
        attended = value @ self.weights(x).transpose(1, 2)  # (B, d, N): column n is what query n takes
        folded = attended.unflatten(2, x.shape[2:])  # (B, d, N) -> (B, d, H, W)
"""
WEIGHTS = """        query = self.query(x).flatten(2)  # (B, d, H, W) -> (B, d, N)
        key = self.key(x).flatten(2)
        scores = query.transpose(1, 2) @ key / math.sqrt(query.shape[1])  # (B, N, d) @ (B, d, N) -> (B, N, N)
        return scores.softmax(dim=-1)
"""

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
    "With the pixels in columns, as in your values (B, d, N), the weights must be transposed before the product: as it stands, pixel n gets "
    "what the queries give to key n, not what query n takes.",
    edits={"self.weights(x).transpose(1, 2)": "self.weights(x)"},
)
self2d.wrong(
    "height and width swapped when folding",
    "You fold the pixels back into W rows of H. The tokens lie row after row, W pixels each, so the last axis is W; it only looks right on "
    "square images.",
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
    "Your gate starts at one. It should start at zero, so that the layer can be put into a working network without disturbing it.",
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

# neighborhoods ---------------------------------------------------------------------------------------------------------

windows = Bank("neighborhoods")
UNFOLD = "columns = F.unfold(x, kernel_size, padding=kernel_size // 2)"
CUT = "windows = columns.unflatten(1, (x.shape[1], -1))"
INSIDE = "inside = F.unfold(ones, kernel_size, padding=kernel_size // 2)[0] > 0"

windows.wrong(
    "unfold's order misread",
    "You read unfold's middle axis as places times channels. It is channels times places: all K places of channel 0 come first, then those of "
    "channel 1.",
    edits={CUT: "windows = columns.unflatten(1, (-1, x.shape[1])).transpose(1, 2)"},
)
windows.wrong(
    "reshaped, not transposed",
    "The axes of your windows are right in size only: a reshape keeps the order of the numbers in memory, so places and channels get mixed.",
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
    r = kernel_size // 2
    tiles = F.pad(x, (r, r, r, r)).unfold(2, kernel_size, 1).unfold(3, kernel_size, 1)
    ones = F.pad(torch.ones(x.shape[2:]), (r, r, r, r)).unfold(0, kernel_size, 1).unfold(1, kernel_size, 1)
    return rearrange(tiles, "b c h w i j -> b c (i j) (h w)"), rearrange(ones, "h w i j -> (i j) (h w)") != 0


@windows.right("inside from coordinates, windows by a convolution with unit kernels")
def neighborhoods(x, kernel_size):
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


# LocalAttention2d ------------------------------------------------------------------------------------------------------

local = Bank("LocalAttention2d")
SOFTMAX = 'weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)'
BODY = """        query = self.query(x).flatten(2).unsqueeze(2)  # (B, C, 1, N): one query per window
        keys, inside = neighborhoods(self.key(x), self.kernel_size)  # (B, C, K, N), (K, N)
        values, _ = neighborhoods(self.value(x), self.kernel_size)
        scores = (query * keys).sum(dim=1) / math.sqrt(x.shape[1])  # (B, K, N)
        weights = scores.masked_fill(~inside, float("-inf")).softmax(dim=1)
        attended = (weights.unsqueeze(1) * values).sum(dim=2)  # (B, C, N)
        return attended.unflatten(2, x.shape[2:])  # (B, C, H, W)
"""

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
    "You scale by the size of the window. The dot product runs over the C channels, so it is sqrt(C) that counts.",
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

# pixel_tokens ----------------------------------------------------------------------------------------------------------

pixels = Bank("pixel_tokens")
TOKENS = 'rearrange(images, "b c h w -> b (h w) c")'

pixels.wrong(
    "reshaped, not transposed",
    "You reshape (B, C, H, W) into (B, N, C) directly. The numbers stay in the order in which they lie in memory, so a token gets C neighbouring pixels of one channel, not "
    "the C channels of one pixel.",
    edits={TOKENS: "images.reshape(images.shape[0], -1, images.shape[1])"},
)
pixels.wrong(
    "column by column",
    "Your pixels come column by column. Reading order is left to right, then down.",
    edits={TOKENS: 'rearrange(images, "b c h w -> b (w h) c")'},
)
pixels.wrong(
    "channels as tokens",
    "Your tokens are the channels, each with all its pixels, (B, C, N). A token is a pixel: the last two axes must change places.",
    edits={TOKENS: "images.flatten(2)"},
)
pixels.wrong(
    "rows as tokens",
    "Your tokens are whole rows of the image. Here each single pixel is one.",
    edits={TOKENS: 'rearrange(images, "b c h w -> b h (w c)")'},
)
pixels.wrong(
    "one token per number",
    "You make a token of every single number, each channel by itself. A pixel's C channels belong together in one token.",
    edits={TOKENS: "images.flatten(1).unsqueeze(-1)"},
)
pixels.wrong(
    "colours averaged",
    "You average the channels away. A token keeps all C numbers of its pixel.",
    edits={TOKENS: "images.mean(1).flatten(1).unsqueeze(-1)"},
)
pixels.wrong(
    "cut from the graph",
    "Your tokens are cut from the graph (detach, .data or NumPy), so nothing before them could learn.",
    edits={TOKENS: TOKENS.replace("images", "images.detach()")},
)

pixels.right("flatten and transpose", edits={TOKENS: "images.flatten(2).transpose(1, 2)"})
pixels.right(
    "permute and reshape",
    edits={
        TOKENS: "images.permute(0, 2, 3, 1).reshape(images.size(0), images.size(2) * images.size(3), images.size(1))"
    },
)
pixels.right(
    "a loop over pixels",
    edits={
        TOKENS: "torch.stack([images[:, :, i, j] for i in range(images.shape[2]) for j in range(images.shape[3])], dim=1)"
    },
)

# PixelTransformer ------------------------------------------------------------------------------------------------------

transformer = Bank("PixelTransformer")
LOOP = "            tokens = layer(tokens)\n        return self.norm(tokens)"

transformer.wrong(
    "positions forgotten",
    "Your positions are never added, so the model cannot know where a pixel was.",
    edits={"tokens = tokens + self.positions": "pass"},
)
transformer.wrong(
    "positions added after the layers",
    "You add the positions after the layers. The layers need them: they are added to the embedded tokens, before the first layer.",
    edits={
        "        if self.positions is not None:\n            tokens = tokens + self.positions\n        for": "        for",
        LOOP: "            tokens = layer(tokens)\n        if self.positions is not None:\n            tokens = tokens + self.positions\n        return self.norm(tokens)",
    },
)
transformer.wrong(
    "positions added before every layer",
    "You add the positions again before every layer. They are added once, after the embedding.",
    edits={
        "        if self.positions is not None:\n            tokens = tokens + self.positions\n": "",
        "            tokens = layer(tokens)": "            tokens = layer(tokens if self.positions is None else tokens + self.positions)",
    },
)
transformer.wrong(
    "positions in place of the tokens",
    "Your tokens are multiplied by the positions. They are added.",
    edits={"tokens = tokens + self.positions": "tokens = tokens * self.positions"},
)
transformer.wrong(
    "final norm forgotten",
    "The final norm is missing: pre-norm layers leave their output unnormalised, so `norm` comes after the last one.",
    edits={"return self.norm(tokens)": "return tokens"},
)
transformer.wrong(
    "norm after every layer",
    "You apply the final norm after every layer. It comes once, at the end; inside, each layer has norms of its own.",
    edits={LOOP: "            tokens = self.norm(layer(tokens))\n        return tokens"},
)
transformer.wrong(
    "norm before the layers",
    "You normalise before the layers. `norm` is the last step of `encode`, after all layers.",
    edits={
        "        for layer in self.layers": "        tokens = self.norm(tokens)\n        for layer in self.layers",
        "return self.norm(tokens)": "return tokens",
    },
)
transformer.wrong(
    "every layer reads the embedding",
    "Each of your layers reads the embedded pixels, so only the last one counts. A layer reads what the layer before it gave.",
    edits={
        "        for layer in self.layers:\n            tokens = layer(tokens)\n": "        start = tokens\n        for layer in self.layers:\n            tokens = layer(start)\n"
    },
)
transformer.wrong(
    "first token in place of the mean",
    "You classify from the first token, the pixel at the top left. This model has no CLS token: take the mean of all tokens.",
    edits={".mean(dim=1)": "[:, 0]"},
)
transformer.wrong(
    "sum in place of the mean",
    "You sum the tokens. Take their mean, so that the result does not grow with the number of pixels.",
    edits={".mean(dim=1)": ".sum(dim=1)"},
)
transformer.wrong(
    "maximum in place of the mean",
    "You take the largest value of every channel over the tokens. The exercise asks for the mean of all tokens.",
    edits={".mean(dim=1)": ".amax(dim=1)"},
)
transformer.wrong(
    "softmax at the end",
    "Your output is a softmax. Return logits: the loss applies the softmax itself.",
    edits={
        "self.head(self.encode(images).mean(dim=1))": "self.head(self.encode(images).mean(dim=1)).softmax(-1)"
    },
)
transformer.wrong(
    "pixels reshaped",
    "Your pixels are reshaped into tokens without moving the channel axis, which mixes pixels and channels. `pixel_tokens` does this step.",
    edits={"pixel_tokens(images)": "images.reshape(images.shape[0], -1, images.shape[1])"},
)

transformer.right(
    "flatten and transpose, a counted loop",
    edits={
        "self.embedding(pixel_tokens(images))": "self.embedding(images.flatten(2).transpose(1, 2))",
        "        for layer in self.layers:\n            tokens = layer(tokens)\n": "        for i in range(len(self.layers)):\n            tokens = self.layers[i](tokens)\n",
    },
)
transformer.right(
    "head first, then the mean",
    edits={
        "self.head(self.encode(images).mean(dim=1))": "self.head(self.encode(images)).sum(dim=1) / (images.shape[2] * images.shape[3])"
    },
)
transformer.right(
    "a 1x1 convolution as embedding",
    edits={
        "self.embedding(pixel_tokens(images))": 'rearrange(F.conv2d(images, self.embedding.weight[..., None, None], self.embedding.bias), "b d h w -> b (h w) d")'
    },
)
transformer.right(
    "nn.Sequential, and einops for the mean",
    edits={
        "        for layer in self.layers:\n            tokens = layer(tokens)\n        return self.norm(tokens)": "        return nn.Sequential(*self.layers, self.norm)(tokens)",
        "self.encode(images).mean(dim=1)": 'torch.einsum("bnd->bd", self.encode(images)) / self.encode(images).shape[1]',
    },
)

# attention_memory_bytes ------------------------------------------------------------------------------------------------

memory = Bank("attention_memory_bytes")
FORMULA = "num_tokens**2 * num_layers * num_heads * bytes_per_element"

memory.wrong(
    "N in place of N squared",
    "You count one number per token. Attention weights are a matrix: one number for every pair of tokens.",
    edits={FORMULA: FORMULA.replace("num_tokens**2", "num_tokens")},
)
memory.wrong(
    "layers forgotten",
    "You count a single layer. Training keeps the weights of all layers until the backward pass has used them.",
    edits={FORMULA: "num_tokens**2 * num_heads * bytes_per_element"},
)
memory.wrong(
    "heads forgotten",
    "You count one matrix per layer. Every head has its own.",
    edits={FORMULA: "num_tokens**2 * num_layers * bytes_per_element"},
)
memory.wrong(
    "elements, not bytes",
    "You count numbers, not bytes: each takes `bytes_per_element` of them.",
    edits={FORMULA: "num_tokens**2 * num_layers * num_heads"},
)
memory.wrong(
    "bits",
    "You return bits. `bytes_per_element` is already in bytes: no factor 8.",
    edits={FORMULA: FORMULA + " * 8"},
)
memory.wrong(
    "gibibytes",
    "You return GiB. The function returns bytes; divide by 2**30 where you print.",
    edits={FORMULA: FORMULA + " / 2**30"},
)
memory.wrong(
    "gigabytes",
    "You return GB. The function returns bytes; and beware: a GiB is 2**30 bytes, a GB is 10**9, and they are 7% apart.",
    edits={FORMULA: FORMULA + " / 1e9"},
)
memory.wrong(
    "num_tokens taken for the side",
    "You square twice. `num_tokens` is N, the number of tokens, not the side of the image: the matrix has N times N entries.",
    edits={FORMULA: FORMULA.replace("num_tokens**2", "(num_tokens**2) ** 2")},
)
memory.wrong(
    "each pair once",
    "You count each pair of tokens once. The matrix is not symmetric: what i gives to j is not what j gives to i, and i attends to itself.",
    edits={FORMULA: FORMULA.replace("num_tokens**2", "num_tokens * (num_tokens - 1) // 2")},
)
memory.wrong(
    "scores and weights",
    "You count scores and weights, two matrices per head. Only the weights are kept: the backward pass of the softmax needs nothing else.",
    edits={FORMULA: "2 * " + FORMULA},
)

memory.right(
    "another order", edits={FORMULA: "bytes_per_element * num_heads * num_layers * num_tokens * num_tokens"}
)
memory.right(
    "a loop over layers and heads",
    edits={
        "return " + FORMULA: "total = 0\n    for _ in range(num_layers):\n        for _ in range(num_heads):\n            total += num_tokens * num_tokens * bytes_per_element\n    return total"
    },
)  # fmt: skip
memory.right("math.prod and pow", edits={FORMULA: "math.prod([pow(num_tokens, 2), num_layers, num_heads, bytes_per_element])"})  # fmt: skip
memory.right(
    "asked of a tensor on the meta device",
    edits={
        "return " + FORMULA: 'kept = torch.empty(num_layers, num_heads, num_tokens, num_tokens, dtype=torch.int8, device="meta")\n    return kept.numel() * bytes_per_element'
    },
)  # fmt: skip
