"""Wrong and alternative right answers: a Transformer whose tokens are pixels."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

pixels = Bank("pixel_tokens")

pixels.wrong(
    "channels in reverse",
    "Your channels come in reverse order. A token holds them as the image does.",
    edits={'rearrange(images, "b c h w -> b (h w) c")': 'rearrange(images.flip(1), "b c h w -> b (h w) c")'},
)

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


@pixels.right("einsum")
def pixel_tokens(images):
    return torch.einsum("bchw->bhwc", images).flatten(1, 2)


@pixels.right("one image at a time")
def pixel_tokens(images):
    return torch.stack([image.reshape(len(image), -1).T for image in images])


@pixels.right("row after row")
def pixel_tokens(images):
    return torch.cat([images[:, :, i].movedim(1, 2) for i in range(images.shape[2])], dim=1)


transformer = Bank("PixelTransformer")

transformer.wrong(
    "positions forgotten",
    "Your positions are never added, so the model cannot know where a pixel was.",
    edits={"tokens = tokens + self.positions": "pass"},
)

LOOP = "            tokens = layer(tokens)\n        return self.norm(tokens)"

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
    "You take the maximum over the tokens. The exercise asks for the mean of all tokens.",
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


@transformer.wrong("norm twice", "You normalise twice: `encode` ends with the norm already.")
class PixelTransformer(nn.Module):
    def __init__(self, image_size, in_channels, dim, depth, num_heads, num_classes, use_positions=True):
        super().__init__()
        self.expected = (in_channels, *image_size)
        num_tokens = image_size[0] * image_size[1]
        self.embedding = nn.Linear(in_channels, dim)
        self.positions = nn.Parameter(torch.randn(1, num_tokens, dim) * 0.5) if use_positions else None
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, 4 * dim, norm_first=True, activation="gelu") for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def encode(self, images):
        if tuple(images.shape[1:]) != self.expected:
            raise ValueError(
                f"this model reads images of (C, H, W) = {self.expected}, got {tuple(images.shape[1:])}"
            )
        x = self.embedding(pixel_tokens(images))
        if self.positions is not None:
            x = x + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, images):
        return self.head(self.norm(self.encode(images)).mean(dim=1))


transformer.wrong(
    "columns first",
    "Your tokens come column by column. Pixels are in reading order, row by row.",
    edits={
        "tokens = self.embedding(pixel_tokens(images))  # (B, C, H, W) -> (B, N, C) -> (B, N, D)\n"
        "        if self.positions is not None:\n"
        "            tokens = tokens + self.positions\n"
        "        for layer in self.layers:\n"
        "            tokens = layer(tokens)\n"
        "        return self.norm(tokens)": "x = self.embedding(pixel_tokens(images.transpose(2, 3)))\n"
        "        if self.positions is not None:\n"
        "            x = x + self.positions\n"
        "        for layer in self.layers:\n"
        "            x = layer(x)\n"
        "        return self.norm(x)",
    },
)


@transformer.right("straight")
class PixelTransformer(nn.Module):
    def __init__(self, image_size, in_channels, dim, depth, num_heads, num_classes, use_positions=True):
        super().__init__()
        self.expected = (in_channels, *image_size)
        num_tokens = image_size[0] * image_size[1]
        self.embedding = nn.Linear(in_channels, dim)
        self.positions = nn.Parameter(torch.randn(1, num_tokens, dim) * 0.5) if use_positions else None
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, 4 * dim, norm_first=True, activation="gelu") for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def encode(self, images):
        if tuple(images.shape[1:]) != self.expected:
            raise ValueError(
                f"this model reads images of (C, H, W) = {self.expected}, got {tuple(images.shape[1:])}"
            )
        x = self.embedding(pixel_tokens(images))
        if self.positions is not None:
            x = x + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def forward(self, images):
        tokens = self.encode(images)
        return self.head(tokens.mean(dim=1))


@transformer.right("reduce and einops")
class PixelTransformer(nn.Module):
    def __init__(self, image_size, in_channels, dim, depth, num_heads, num_classes, use_positions=True):
        super().__init__()
        self.expected = (in_channels, *image_size)
        num_tokens = image_size[0] * image_size[1]
        self.embedding = nn.Linear(in_channels, dim)
        self.positions = nn.Parameter(torch.randn(1, num_tokens, dim) * 0.5) if use_positions else None
        self.layers = nn.ModuleList(
            EncoderLayer(dim, num_heads, 4 * dim, norm_first=True, activation="gelu") for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_classes)

    def encode(self, images):
        if tuple(images.shape[1:]) != self.expected:
            raise ValueError(
                f"this model reads images of (C, H, W) = {self.expected}, got {tuple(images.shape[1:])}"
            )
        from functools import reduce

        tokens = rearrange(images, "b c h w -> b (h w) c")
        x = self.embedding(tokens) + (0 if self.positions is None else self.positions)
        return self.norm(reduce(lambda y, layer: layer(y), self.layers, x))

    def forward(self, images):
        from einops import reduce

        return self.head(reduce(self.encode(images), "b n d -> b d", "mean"))


transformer.wrong(
    'norm in forward',
    'Your `encode` returns tokens before the final norm. The norm belongs into `encode`.',
    edits={
        'return self.norm(tokens)': 'return tokens',
        'self.head(self.encode(images).mean': 'self.head(self.norm(self.encode(images)).mean',
    },
)
