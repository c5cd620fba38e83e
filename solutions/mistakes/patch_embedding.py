"""Wrong and alternative right answers: from patches to tokens with a class token and positions."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

embedding = Bank("PatchEmbedding")

LAYER = "nn.Linear(in_channels * patch_size * patch_size, dim)"

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

EMBED = "self.projection(patchify(images, self.patch_size))"

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
    "Your patches come column by column. `patchify` of the images as they are gives reading order.",
    edits={
        EMBED: "self.projection(patchify(images.mT, self.patch_size).unflatten(2, (-1, self.patch_size, self.patch_size)).mT.flatten(2))"
    },
)


embedding.wrong(
    "pixels as (p p C)",
    "You lay the pixels of a patch out as row, column, channel. `patchify` gives (C p p), the order of published weights.",
    edits={
        "return self.projection(patchify(images, self.patch_size))  # (B, N, C p p) -> (B, N, D)": "p = self.patch_size\n"
        "        return self.projection(rearrange(images, \"b c (i p) (j q) -> b (i j) (p q c)\", p=p, q=p))",
    },
)


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
        tokens = [
            self.projection(images[:, :, y : y + self.p, x : x + self.p].flatten(1)) for y, x in corners
        ]
        return torch.stack(tokens, dim=1)


@embedding.wrong(
    'scaled',
    'You multiply the tokens by sqrt(D), as is done with words. Here nothing is scaled.'
)
class PatchEmbedding(nn.Module):

    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Linear(in_channels * patch_size ** 2, dim)

    def forward(self, images):
        return self.projection(patchify(images, self.patch_size)) * self.projection.out_features ** 0.5


@embedding.wrong(
    'pixels centred',
    "You subtract each patch's mean first. The linear layer reads the pixels as they are."
)
class PatchEmbedding(nn.Module):

    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Linear(in_channels * patch_size ** 2, dim)

    def forward(self, images):
        patches = patchify(images, self.patch_size)
        return self.projection(patches - patches.mean(dim=-1, keepdim=True))


@embedding.right("one place of the patches after another")
class PatchEmbedding(nn.Module):
    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.p = patch_size
        self.projection = nn.Linear(in_channels * patch_size**2, dim)

    def forward(self, images):
        weight = self.projection.weight.unflatten(1, (-1, self.p, self.p))  # (D, C, p, p)
        tokens = self.projection.bias
        for i in range(self.p):
            for j in range(self.p):
                tokens = tokens + images[:, :, i :: self.p, j :: self.p].movedim(1, 3) @ weight[:, :, i, j].T
        return tokens.flatten(1, 2)


@embedding.right('einsum')
class PatchEmbedding(nn.Module):

    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.patch_size = patch_size
        width = in_channels * patch_size ** 2
        self.projection = nn.Linear(in_features=width, out_features=dim, bias=True)

    def forward(self, images):
        patches = patchify(images, self.patch_size)
        return torch.einsum('bnx,dx->bnd', patches, self.projection.weight) + self.projection.bias


@embedding.right('F.conv2d forward')
class PatchEmbedding(nn.Module):

    def __init__(self, patch_size, dim, in_channels=3):
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Linear(in_channels * patch_size ** 2, dim)

    def forward(self, images):
        p = self.patch_size
        if images.shape[-2] % p or images.shape[-1] % p:
            raise ValueError(f'images of {tuple(images.shape[-2:])} pixels cannot be cut into {p} x {p}')
        kernels = self.projection.weight.unflatten(1, (-1, p, p))
        return F.conv2d(images, kernels, self.projection.bias, stride=p).flatten(2).mT


convolution = Bank("embed_by_convolution")

CONV = "F.conv2d(images, kernels, bias, stride=patch_size)"

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

KERNELS = '"d (c p q) -> d c p q"'

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

GRID = '"b d i j -> b (i j) d"'

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


@convolution.wrong(
    'padded',
    'You pad the image, which moves the patches and adds some. Patches lie side by side: no padding.'
)
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = weight.reshape(-1, images.shape[1], patch_size, patch_size)
    y = F.conv2d(images, kernels, bias, stride=patch_size, padding=patch_size // 2)
    return y.flatten(2).transpose(1, 2)


@convolution.wrong(
    'bias added twice',
    'You add the bias twice: the convolution does it already.'
)
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = weight.reshape(-1, images.shape[1], patch_size, patch_size)
    return F.conv2d(images, kernels, bias, stride=patch_size).flatten(2).transpose(1, 2) + bias


@convolution.right('reshape and conv2d')
def embed_by_convolution(images, weight, bias, patch_size):
    kernels = weight.reshape(weight.shape[0], images.shape[1], patch_size, patch_size)
    grid = F.conv2d(images, kernels, bias, stride=patch_size)
    return grid.flatten(2).transpose(1, 2)


@convolution.right('einops')
def embed_by_convolution(images, weight, bias, patch_size):
    p = patch_size
    kernels = rearrange(weight, 'd (c p q) -> d c p q', p=p, q=p)
    return rearrange(F.conv2d(images, kernels, stride=(p, p)), 'b d i j -> b (i j) d') + bias


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
    "Each patch gets the position of the token before it (the first patch that of CLS), and CLS gets none. Put CLS "
    "in front first, then add all N + 1 positions.",
    edits={
        CAT: "torch.cat([cls_token.expand(tokens.shape[0], -1, -1), tokens + positions[:, :-1]], dim=1)",
        "return tokens + positions": "return tokens if cls_token is not None else tokens + positions",
    },
)

tokens_bank.wrong(
    "CLS added to the tokens",
    "You add the CLS vector to every patch. It is a token of its own: the sequence becomes one longer.",
    edits={
        CAT: "tokens + cls_token",
        "return tokens + positions": "return tokens + positions[:, -tokens.shape[1] :]",
    },
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


@tokens_bank.wrong(
    'positions shifted',
    "Your CLS token gets the last position, and each patch the one before its own. CLS is at position 0, the first "
    "patch at position 1."
)
def add_cls_and_positions(tokens, cls_token, positions):
    if cls_token is None:
        return tokens + positions
    patches = tokens + positions[:, :-1]
    cls = (cls_token + positions[:, -1:]).expand(len(tokens), -1, -1)
    return torch.cat([cls, patches], dim=1)


@tokens_bank.wrong(
    'zeros for a missing CLS',
    "Where `cls_token` is None you put zeros in front. Without CLS nothing goes in front of the patches."
)
def add_cls_and_positions(tokens, cls_token, positions):
    if cls_token is None:
        cls_token = torch.zeros_like(tokens[:1, :1])
        positions = F.pad(positions, (0, 0, 1, 0))
    tokens = torch.cat([cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
    return tokens + positions


@tokens_bank.wrong(
    'only the first image gets CLS',
    "Only the first image gets the CLS token; the others get zeros. Expand it over the batch."
)
def add_cls_and_positions(tokens, cls_token, positions):
    if cls_token is not None:
        front = torch.zeros_like(tokens[:, :1])
        front[:1] = cls_token
        tokens = torch.cat([front, tokens], dim=1)
    return tokens + positions


@tokens_bank.wrong(
    'CLS replaces the first patch',
    "Your CLS token takes the first patch's place. It goes in front of all N patches: N + 1 tokens."
)
def add_cls_and_positions(tokens, cls_token, positions):
    if cls_token is None:
        return tokens + positions
    cls = cls_token.expand(len(tokens), -1, -1)
    return torch.cat([cls, tokens[:, 1:]], dim=1) + positions[:, :-1]


@tokens_bank.right('expand and cat')
def add_cls_and_positions(tokens, cls_token, positions):
    if cls_token is not None:
        cls = cls_token.expand(tokens.shape[0], -1, -1)
        tokens = torch.cat([cls, tokens], dim=1)
    return tokens + positions


@tokens_bank.right('parts')
def add_cls_and_positions(tokens, cls_token, positions):
    extra = 0 if cls_token is None else 1
    parts = [tokens + positions[:, extra:]]
    if extra:
        parts.insert(0, (cls_token + positions[:, :1]).repeat(len(tokens), 1, 1))
    return torch.cat(parts, dim=1)


tokens_bank.wrong(
    'positions from the wrong end',
    'Your patches get the first N positions. With a CLS token in front, position 0 is its own, and the patches get the ones behind it.',
    edits={
        '    if cls_token is not None:\n': '    count = tokens.shape[1]\n    tokens = tokens + positions[:, :count]\n    if cls_token is None:\n        return tokens\n    cls_token = cls_token + positions[:, :1]\n    if cls_token is not None:\n',
        'return tokens + positions': 'return tokens',
    },
)
