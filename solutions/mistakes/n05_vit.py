"""Wrong and alternative right answers to notebook 05. Each runs in the namespace of the reference's module."""

from __future__ import annotations

from utils.checks.bank import Bank

# ------------------------------------------------------------------------------------------ patchify

cut = Bank("patchify")
CUT = '"b c (i p) (j q) -> b (i j) (c p q)"'
cut.wrong(
    "pixels as (p p C)",
    "Inside a patch your order is row, column, channel; it should be channel first, then row, then column: (C p p), as a "
    "convolution stores its weight. The wrong order trains just as well, but no published embedding fits it.",
    edits={CUT: '"b c (i p) (j q) -> b (i j) (p q c)"'},
)
cut.wrong(
    "pixels as (p C p)",
    "Inside a patch the channel should vary slowest, before the row; yours comes between row and column.",
    edits={CUT: '"b c (i p) (j q) -> b (i j) (p c q)"'},
)
cut.wrong(
    "patches in columns",
    "Your patches come column by column. Reading order is row by row: first all patches of the top row, from left to right.",
    edits={CUT: '"b c (i p) (j q) -> b (j i) (c p q)"'},
)
cut.wrong(
    "each patch transposed",
    "Your patches are in the right order, but each is mirrored at its diagonal: inside a patch the row comes before the column.",
    edits={CUT: '"b c (i p) (j q) -> b (i j) (c q p)"'},
)
cut.wrong(
    "every p-th pixel",
    "You take pixels that lie far apart into one patch (every so many rows and columns). When an axis is split, the first of "
    "the two new axes counts the patches and the second the pixels inside one.",
    edits={CUT: '"b c (p i) (q j) -> b (i j) (c p q)"'},
)


@cut.wrong(
    "only a reshape",
    "A reshape alone cuts the image into runs of numbers as they lie in memory, not into squares: you need to split both "
    "axes first, and then bring the axes of the patch together.",
)
def patchify(images, patch_size):
    return images.reshape(images.shape[0], -1, images.shape[1] * patch_size**2)


@cut.wrong(
    "one token per channel",
    "You make a patch of every channel by itself, so there are C times too many tokens. The channels belong inside the token.",
)
def patchify(images, patch_size):
    return rearrange(images, "b c (i p) (j q) -> b (i j c) (p q)", p=patch_size, q=patch_size)


@cut.wrong(
    "unfold without the last step",
    "Your result is (B, C p p, N): each column is a patch. Tokens come as rows, so the last two axes must change places.",
)
def patchify(images, patch_size):
    return F.unfold(images, patch_size, stride=patch_size)


@cut.wrong(
    "the channels averaged",
    "You mix the channels before cutting. A patch keeps all C channels: its width is C * p * p.",
)
def patchify(images, patch_size):
    grey = images.mean(dim=1, keepdim=True)
    return rearrange(grey, "b c (i p) (j q) -> b (i j) (c p q)", p=patch_size, q=patch_size)


@cut.right("F.unfold")
def patchify(images, patch_size):
    return F.unfold(images, patch_size, stride=patch_size).transpose(1, 2)


@cut.right("reshape and permute")
def patchify(images, patch_size):
    b, c, h, w = images.shape
    p = patch_size
    split = images.reshape(b, c, h // p, p, w // p, p)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(b, (h // p) * (w // p), c * p * p)


@cut.right("loops over the grid")
def patchify(images, patch_size):
    b, _, h, w = images.shape
    patches = []
    for top in range(0, h, patch_size):
        for left in range(0, w, patch_size):
            square = images[:, :, top : top + patch_size, left : left + patch_size]
            patches.append(square.reshape(b, -1))
    return torch.stack(patches, dim=1)


@cut.right("Tensor.unfold")
def patchify(images, patch_size):
    windows = images.unfold(2, patch_size, patch_size).unfold(3, patch_size, patch_size)  # b c i j p q
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


# ------------------------------------------------------------------------------------------ unpatchify

join = Bank("unpatchify")
JOIN = '"b (i j) (c p q) -> b c (i p) (j q)"'
join.wrong(
    "pixels read as (p p C)",
    "You read a patch as row, column, channel, but `patchify` writes channel, row, column: (C p p).",
    edits={JOIN: '"b (i j) (p q c) -> b c (i p) (j q)"'},
)
join.wrong(
    "patches laid in columns",
    "You lay the patches down column by column; they come in reading order, row by row.",
    edits={JOIN: '"b (j i) (c p q) -> b c (i p) (j q)"'},
)
join.wrong(
    "each patch transposed",
    "The patches are in their places, but each is mirrored at its diagonal: inside a patch the row comes before the column.",
    edits={JOIN: '"b (i j) (c q p) -> b c (i p) (j q)"'},
)
join.wrong(
    "pixels spread over the image",
    "You spread each patch over the whole image. When two axes become one, the patch's place comes first and the pixel inside "
    "the patch second.",
    edits={JOIN: '"b (i j) (c p q) -> b c (p i) (q j)"'},
)
join.wrong(
    "width and height swapped",
    "Your image has height and width swapped: (B, C, height, width) was asked for.",
    edits={JOIN: '"b (i j) (c p q) -> b c (j q) (i p)"'},
)


@join.wrong(
    "only a reshape",
    "A reshape alone writes the patches one behind the other as they lie in memory. Split the axes, bring rows with rows "
    "and columns with columns, then join.",
)
def unpatchify(patches, patch_size, height, width):
    return patches.reshape(patches.shape[0], -1, height, width)


@join.right("F.fold")
def unpatchify(patches, patch_size, height, width):
    return F.fold(patches.transpose(1, 2), (height, width), patch_size, stride=patch_size)


@join.right("reshape and permute")
def unpatchify(patches, patch_size, height, width):
    b, p = patches.shape[0], patch_size
    split = patches.reshape(b, height // p, width // p, -1, p, p)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(b, -1, height, width)


@join.right("rows of patches, joined twice")
def unpatchify(patches, patch_size, height, width):
    b, across = patches.shape[0], width // patch_size
    squares = patches.reshape(b, patches.shape[1], -1, patch_size, patch_size).unbind(1)
    rows = [torch.cat(squares[k : k + across], dim=-1) for k in range(0, len(squares), across)]
    return torch.cat(rows, dim=-2)


@join.right("written into an empty image")
def unpatchify(patches, patch_size, height, width):
    p = patch_size
    image = patches.new_zeros(patches.shape[0], patches.shape[2] // p**2, height, width)
    for k in range(patches.shape[1]):
        top, left = k // (width // p) * p, k % (width // p) * p
        image[:, :, top : top + p, left : left + p] = patches[:, k].unflatten(1, (-1, p, p))
    return image


# ------------------------------------------------------------------------------------------ PatchEmbedding

embedding = Bank("PatchEmbedding")
LAYER = "nn.Linear(in_channels * patch_size * patch_size, dim)"
EMBED = "self.projection(patchify(images, self.patch_size))"
embedding.wrong(
    "no bias",
    "Your projection has no bias. The published ViTs have one: leave `bias` at its default.",
    edits={LAYER: LAYER[:-1] + ", bias=False)"},
)
embedding.wrong(
    "always three channels",
    "Your projection is made for three channels whatever `in_channels` says.",
    edits={LAYER: "nn.Linear(3 * patch_size * patch_size, dim)"},
)
embedding.wrong(
    "one channel",
    "Your projection reads p * p numbers, but a patch has C * p * p: all channels of its pixels.",
    edits={LAYER: "nn.Linear(patch_size * patch_size, dim)"},
)
embedding.wrong(
    "an activation at the end",
    "You apply an activation to the embedding. It is a plain linear map; the first nonlinearity comes in the blocks.",
    edits={EMBED: f"F.gelu({EMBED})"},
)
embedding.wrong(
    "channels first",
    "Your result is (B, D, N). Tokens are rows: (B, N, D).",
    edits={EMBED: f"{EMBED}.transpose(1, 2)"},
)
embedding.wrong(
    "gradient cut",
    "Your embedding is computed without a graph, so neither the images nor the projection get a gradient.",
    edits={EMBED: f"{EMBED}.detach()"},
)
embedding.wrong(
    "a second token order",
    "Your patches come column by column. Call `patchify`, which gives reading order.",
    edits={EMBED: "self.projection(patchify(images.mT, self.patch_size).unflatten(2, (-1, self.patch_size, self.patch_size)).mT.flatten(2))"},
)


@embedding.wrong(
    "pixels as (p p C)",
    "You lay the pixels of a patch out as row, column, channel. `patchify` gives (C p p), the order of published weights.",
)
class PatchEmbedding(nn.Module):
    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Linear(in_channels * patch_size * patch_size, dim)

    def forward(self, images):
        p = self.patch_size
        return self.projection(rearrange(images, "b c (i p) (j q) -> b (i j) (p q c)", p=p, q=p))


@embedding.wrong(
    "a convolution in place of the linear layer",
    "Your projection is a convolution, whose weight is (D, C, p, p). Here it should be a linear layer: (D, C * p * p). That both "
    "compute the same is the next exercise.",
)
class PatchEmbedding(nn.Module):
    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.projection = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)

    def forward(self, images):
        return self.projection(images).flatten(2).transpose(1, 2)


@embedding.right("a convolution over the linear layer's weight")
class PatchEmbedding(nn.Module):
    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.shape = (dim, in_channels, patch_size, patch_size)
        self.projection = nn.Linear(in_channels * patch_size**2, dim)

    def forward(self, images):
        kernels = self.projection.weight.reshape(self.shape)
        return F.conv2d(images, kernels, self.projection.bias, stride=self.shape[2:]).flatten(2).mT


@embedding.right("unfold and einsum")
class PatchEmbedding(nn.Module):
    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Linear(in_channels * patch_size**2, dim)

    def forward(self, images):
        columns = F.unfold(images, self.patch_size, stride=self.patch_size)
        return torch.einsum("bfn,df->bnd", columns, self.projection.weight) + self.projection.bias


@embedding.right("patch by patch")
class PatchEmbedding(nn.Module):
    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.p = patch_size
        self.projection = nn.Linear(patch_size * patch_size * in_channels, dim, bias=True)

    def forward(self, images):
        h, w = images.shape[2:]
        corners = [(top, left) for top in range(0, h, self.p) for left in range(0, w, self.p)]
        tokens = [self.projection(images[:, :, y : y + self.p, x : x + self.p].flatten(1)) for y, x in corners]
        return torch.stack(tokens, dim=1)


# ------------------------------------------------------------------------------------------ embed_by_convolution

convolution = Bank("embed_by_convolution")
KERNELS = '"d (c p q) -> d c p q"'
CONV = "F.conv2d(images, kernels, bias, stride=patch_size)"
GRID = '"b d i j -> b (i j) d"'
convolution.wrong(
    "no stride",
    "Your convolution moves by one pixel, so it embeds every overlapping patch. Patches do not overlap: the stride is the patch size.",
    edits={CONV: "F.conv2d(images, kernels, bias)"},
)
convolution.wrong(
    "bias forgotten",
    "Your convolution leaves the bias out.",
    edits={CONV: "F.conv2d(images, kernels, stride=patch_size)"},
)
convolution.wrong(
    "weight read as (p p C)",
    "You read the linear layer's inputs as row, column, channel. They come as (C p p): channel, row, column.",
    edits={KERNELS: '"d (p q c) -> d c p q"'},
)
convolution.wrong(
    "kernel transposed",
    "Your kernels have rows and columns swapped.",
    edits={KERNELS: '"d (c q p) -> d c p q"'},
)
convolution.wrong(
    "kernel flipped",
    "You flip the kernels, as the convolution of the textbooks does. PyTorch's does not flip (it is a cross-correlation), so nothing "
    "is to be undone.",
    edits={CONV: "F.conv2d(images, kernels.flip(-1, -2), bias, stride=patch_size)"},
)
convolution.wrong(
    "tokens in columns",
    "Your tokens come column by column; the grid is read row by row.",
    edits={GRID: '"b d i j -> b (j i) d"'},
)
convolution.wrong(
    "channels first",
    "Your result is (B, D, N). Tokens are rows: (B, N, D).",
    edits={GRID: '"b d i j -> b d (i j)"'},
)
convolution.wrong(
    "reshape in place of a transpose",
    "You reshape (B, D, h, w) to (B, N, D) without moving the channel axis, so each token is a mixture of many places. Move the "
    "axis, then flatten.",
    edits={'rearrange(grid, "b d i j -> b (i j) d")': "grid.reshape(grid.shape[0], -1, grid.shape[1])"},
)
convolution.wrong(
    "the grid as it is",
    "You return the grid (B, D, h, w). Flatten it into N tokens and put the channels last: (B, N, D).",
    edits={'rearrange(grid, "b d i j -> b (i j) d")': "grid"},
)


@convolution.right("reshape, flatten, transpose")
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = weight.reshape(weight.shape[0], images.shape[1], patch_size, patch_size)
    return F.conv2d(images, kernels, bias, stride=patch_size).flatten(2).transpose(1, 2)


@convolution.right("bias added afterwards")
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = weight.unflatten(1, (-1, patch_size, patch_size))
    return F.conv2d(images, kernels, stride=(patch_size, patch_size)).permute(0, 2, 3, 1).flatten(1, 2) + bias


@convolution.right("one channel at a time")
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = weight.unflatten(1, (-1, patch_size, patch_size))
    channels = range(images.shape[1])
    grid = sum(F.conv2d(images[:, c : c + 1], kernels[:, c : c + 1], stride=patch_size) for c in channels)
    return rearrange(grid, "b d i j -> b (i j) d") + bias


@convolution.right("float64 inside")
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = rearrange(weight.double(), "d (c p q) -> d c p q", p=patch_size, q=patch_size)
    grid = F.conv2d(images.double(), kernels, bias.double(), stride=patch_size)
    return rearrange(grid, "b d i j -> b (i j) d").to(images.dtype)


# ------------------------------------------------------------------------------------------ add_cls_and_positions

tokens_bank = Bank("add_cls_and_positions")
CAT = "torch.cat([cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)"
tokens_bank.wrong(
    "CLS at the end",
    "Your CLS token is the last one; it belongs in front, at index 0, where the head will read it and where its position "
    "embedding is.",
    edits={CAT: "torch.cat([tokens, cls_token.expand(tokens.shape[0], -1, -1)], dim=1)"},
)
tokens_bank.wrong(
    "positions forgotten",
    "You never add the positions, so the model could not tell one arrangement of patches from another.",
    edits={"return tokens + positions": "return tokens"},
)
tokens_bank.wrong(
    "positions before CLS",
    "You add positions to the patches before CLS is there: CLS gets none, and the first position is never used. Put CLS in front "
    "first, then add all N + 1 positions.",
    edits={
        CAT: "torch.cat([cls_token.expand(tokens.shape[0], -1, -1), tokens + positions[:, 1:]], dim=1)",
        "return tokens + positions": "return tokens if cls_token is not None else tokens + positions",
    },
)
tokens_bank.wrong(
    "positions shifted by one",
    "Each patch gets the position of its left neighbour: you give the first position, which is CLS's, to the first patch.",
    edits={
        CAT: "torch.cat([cls_token.expand(tokens.shape[0], -1, -1), tokens + positions[:, :-1]], dim=1)",
        "return tokens + positions": "return tokens if cls_token is not None else tokens + positions",
    },
)
tokens_bank.wrong(
    "CLS added to the tokens",
    "You add the CLS vector to every patch. It is a token of its own: the sequence becomes one longer.",
    edits={CAT: "tokens + cls_token", "return tokens + positions": "return tokens + positions[:, -tokens.shape[1] :]"},
)
tokens_bank.wrong(
    "positions multiplied",
    "You multiply by the positions; they are added.",
    edits={"return tokens + positions": "return tokens * positions"},
)
tokens_bank.wrong(
    "tokens scaled",
    "You multiply the tokens by sqrt(D), as the Transformer for text does with its word embeddings. ViT does not.",
    edits={"return tokens + positions": "return tokens * tokens.shape[-1] ** 0.5 + positions"},
)
tokens_bank.wrong(
    "CLS not expanded",
    "The CLS token has batch size 1 and the patches have B: repeat it for every image before you join them.",
    edits={"cls_token.expand(tokens.shape[0], -1, -1)": "cls_token"},
)
tokens_bank.wrong(
    "CLS detached",
    "You copy the CLS token out of the graph (a new tensor, `.data` or `.detach()`), so it could never be trained.",
    edits={"cls_token.expand(": "cls_token.detach().expand("},
)
tokens_bank.wrong(
    "CLS in every model",
    "`cls_token` may be None, for a model with mean pooling: then there is nothing to put in front.",
    edits={"if cls_token is not None": "if True"},
)


@tokens_bank.right("einops repeat")
def add_cls_and_positions(tokens, cls_token, positions):
    from einops import repeat

    if cls_token is None:
        return tokens + positions
    first = repeat(cls_token, "1 1 d -> b 1 d", b=len(tokens))
    return torch.cat((first, tokens), dim=1) + positions


@tokens_bank.right("positions split and added before joining")
def add_cls_and_positions(tokens, cls_token, positions):
    if cls_token is None:
        return tokens + positions
    first = (cls_token + positions[:, :1]).repeat(tokens.shape[0], 1, 1)
    return torch.cat([first, tokens + positions[:, 1:]], dim=1)


@tokens_bank.right("written into an empty tensor")
def add_cls_and_positions(tokens, cls_token, positions):
    extra = 0 if cls_token is None else 1
    result = tokens.new_zeros(tokens.shape[0], tokens.shape[1] + extra, tokens.shape[2])
    result[:, extra:] = tokens
    if extra:
        result[:, :1] = cls_token
    return result + positions


@tokens_bank.right("image by image")
def add_cls_and_positions(tokens, cls_token, positions):
    front = [] if cls_token is None else [cls_token[0]]
    return torch.stack([torch.cat([*front, image]) + positions[0] for image in tokens])


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


# ------------------------------------------------------------------------------------------ ViTBlock

block = Bank("ViTBlock")
ATTEND = "self.self_attn(self.norm1(x))"
FIRST = "x = x + self.drop_path(self.dropout(attended))"
HIDDEN = "self.dropout(F.gelu(self.linear1(self.norm2(x))))"
SECOND = "return x + self.drop_path(self.dropout(self.linear2(hidden)))"
block.wrong(
    "post-norm",
    "You normalise after each residual addition (post-norm, as in the Transformer of 2017). ViT is pre-norm: each branch "
    "normalises its own input, and the sum itself is left alone.",
    edits={
        ATTEND: "self.self_attn(x)",
        FIRST: "x = self.norm1(x + self.drop_path(self.dropout(attended)))",
        HIDDEN: "self.dropout(F.gelu(self.linear1(x)))",
        SECOND: "return self.norm2(x + self.drop_path(self.dropout(self.linear2(hidden))))",
    },
)
block.wrong(
    "norms swapped",
    "You use `norm2` for the attention and `norm1` for the MLP; it is the other way round.",
    edits={"self.norm1(x)": "self.norm2(x)", "self.norm2(x)": "self.norm1(x)"},
)
block.wrong(
    "no residual around the attention",
    "The attention's output replaces its input; it should be added to it.",
    edits={FIRST: "x = self.drop_path(self.dropout(attended))"},
)
block.wrong(
    "no residual around the MLP",
    "The MLP's output replaces its input; it should be added to it.",
    edits={SECOND: "return self.drop_path(self.dropout(self.linear2(hidden)))"},
)
block.wrong(
    "residual of the normalised tokens",
    "You add the attention's output to norm1(x). What is carried past a branch is x itself, not normalised.",
    edits={FIRST: "x = self.norm1(x) + self.drop_path(self.dropout(attended))"},
)
block.wrong(
    "MLP without its norm",
    "The MLP reads tokens that are not normalised: `norm2` is not used.",
    edits={"self.norm2(x)": "x"},
)
block.wrong(
    "attention without its norm",
    "The attention reads tokens that are not normalised: `norm1` is not used.",
    edits={"self.norm1(x)": "x"},
)
block.wrong(
    "both branches side by side",
    "Your MLP reads the block's input; it should read what the attention's branch has left, the sum x + attention(norm(x)).",
    edits={FIRST: "y = x + self.drop_path(self.dropout(attended))", SECOND: SECOND.replace("return x", "return y")},
)
block.wrong(
    "ReLU",
    "Your MLP uses ReLU; ViT's uses GELU.",
    edits={"F.gelu(": "F.relu("},
)
block.wrong(
    "no activation",
    "There is no activation between `linear1` and `linear2`, so the two are one linear map.",
    edits={"F.gelu(self.linear1(self.norm2(x)))": "self.linear1(self.norm2(x))"},
)
block.wrong(
    "GELU's tanh approximation",
    "You use GELU's tanh approximation. It is close, but the published ViTs in PyTorch were converted for the exact one, the default.",
    edits={"F.gelu(self.linear1(self.norm2(x)))": 'F.gelu(self.linear1(self.norm2(x)), approximate="tanh")'},
)
block.wrong(
    "stochastic depth forgotten",
    "`drop_path` is never applied: with stochastic depth some images should pass the block unchanged while training.",
    edits={FIRST: "x = x + self.dropout(attended)", SECOND: "return x + self.dropout(self.linear2(hidden))"},
)
block.wrong(
    "stochastic depth on the sum",
    "You apply `drop_path` to x plus the branch, so that a dropped image becomes zero. Drop the branch alone: x must get through.",
    edits={
        FIRST: "x = self.drop_path(x + self.dropout(attended))",
        SECOND: "return self.drop_path(x + self.dropout(self.linear2(hidden)))",
    },
)
block.wrong(
    "dropout forgotten",
    "`dropout` is never applied: while training, two calls give the same result.",
    edits={
        FIRST: "x = x + self.drop_path(attended)",
        HIDDEN: "F.gelu(self.linear1(self.norm2(x)))",
        SECOND: "return x + self.drop_path(self.linear2(hidden))",
    },
)


class _Parts:
    """The constructor that right answers share; its text is put in front of each of them."""


@block.right("two named branches", edits={FIRST: "x = self.drop_path(self.dropout(attended)) + x", HIDDEN: HIDDEN})
def _unused(): ...
