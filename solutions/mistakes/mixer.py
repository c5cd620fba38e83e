"""Wrong and alternative right answers: MLP-Mixer and its block."""

from __future__ import annotations

import torch
from torch import nn

from utils.grading.bank import Bank

mixer = Bank("MixerBlock")

mixer.wrong(
    "token MLP without its norm",
    "Your token MLP reads x itself: `norm1` is never used. Each MLP works on the normalised tokens.",
    edits={"self.norm1(x).transpose(1, 2)": "x.transpose(1, 2)"},
)

mixer.wrong(
    "channel MLP without its norm",
    "Your channel MLP reads x itself: `norm2` is never used. Each MLP works on the normalised tokens.",
    edits={"self.mlp_channels(self.norm2(x))": "self.mlp_channels(x)"},
)

_TOKENS = "self.mlp_tokens = mlp(num_tokens, token_hidden)"

_COLUMNS = "columns = self.norm1(x).transpose(1, 2)"

mixer.wrong(
    "token MLP along the channels",
    "Your token MLP is as wide as a token (D), so it works along the channels and no token meets another. It should "
    "take rows of N numbers, one number from each token.",
    edits={
        _TOKENS: "self.mlp_tokens = mlp(dim, token_hidden)",
        _COLUMNS: "columns = self.norm1(x)",
        ".transpose(1, 2)  # (B, D, N) -> (B, N, D)": "",
    },
)

_CHANNELS = "self.mlp_channels = mlp(dim, channel_hidden)"

_SECOND = "return x + self.mlp_channels(self.norm2(x))"

mixer.wrong(
    "channel MLP along the tokens",
    "Both of your MLPs mix tokens. The second one, `mlp_channels`, should see one token at a time, as a row of D numbers.",
    edits={
        _CHANNELS: "self.mlp_channels = mlp(num_tokens, channel_hidden)",
        _SECOND: "return x + self.mlp_channels(self.norm2(x).transpose(1, 2)).transpose(1, 2)",
    },
)

_MIXED = "x = x + self.mlp_tokens(columns).transpose(1, 2)"

mixer.wrong(
    "reshaped instead of transposed",
    "You reshape (B, N, D) to (B, D, N). That only cuts the same row of numbers elsewhere: entries of several tokens and channels "
    "end up in one row. Exchange the two axes.",
    edits={
        _COLUMNS: "columns = self.norm1(x).reshape(len(x), self.dim, self.num_tokens)",
        _MIXED: "x = x + self.mlp_tokens(columns).reshape(x.shape)",
    },
)

mixer.wrong(
    "hidden widths exchanged",
    "You gave the token MLP the hidden width of the channel MLP, and the other way round.",
    edits={
        _TOKENS: "self.mlp_tokens = mlp(num_tokens, channel_hidden)",
        _CHANNELS: "self.mlp_channels = mlp(dim, token_hidden)",
    },
)

mixer.wrong(
    "no residual around the token MLP",
    "Your token MLP replaces x. Its output is *added* to x, as attention's is in a Transformer block.",
    edits={_MIXED: "x = self.mlp_tokens(columns).transpose(1, 2)"},
)

mixer.wrong(
    "no residual around the channel MLP",
    "Your channel MLP replaces x. Its output is added to x.",
    edits={_SECOND: "return self.mlp_channels(self.norm2(x))"},
)

mixer.wrong(
    "both MLPs read the input",
    "Your two MLPs work side by side on the same x. The channel MLP should read the sum of x and the token MLP's output.",
    edits={
        _MIXED: "first = self.mlp_tokens(columns).transpose(1, 2)",
        _SECOND: "return x + first + self.mlp_channels(self.norm2(x))",
    },
)

mixer.wrong(
    "norm behind the MLP",
    "You normalise what comes out of the MLPs. In a pre-norm block the norm stands in front: it is the MLP's input that is "
    "normalised, and the residual path has no norm at all.",
    edits={
        _COLUMNS: "columns = x.transpose(1, 2)",
        _MIXED: "x = x + self.norm1(self.mlp_tokens(columns).transpose(1, 2))",
        _SECOND: "return x + self.norm2(self.mlp_channels(x))",
    },
)

mixer.wrong(
    "norm of the residual path",
    "You overwrite x with its norm, so the norm is on the residual path as well. Normalise a copy for the branch and add the "
    "branch to the x that came in.",
    edits={
        _COLUMNS: "x = self.norm1(x)\n        columns = x.transpose(1, 2)",
        _SECOND: "x = self.norm2(x)\n        return x + self.mlp_channels(x)",
    },
)

mixer.wrong(
    "one norm for both",
    "You use norm1 in front of both MLPs. Each has its own, with its own weights.",
    edits={_SECOND: "return x + self.mlp_channels(self.norm1(x))"},
)

mixer.wrong(
    "channels first, then tokens",
    "You apply the channel MLP before the token MLP. The tokens are mixed first.",
    edits={
        _COLUMNS: "x = x + self.mlp_channels(self.norm2(x))\n        columns = self.norm1(x).transpose(1, 2)",
        _SECOND: "return x",
    },
)

mixer.right(
    "weights from the left: the token MLP as matrix products",
    edits={
        _COLUMNS: "fc1, fc2 = self.mlp_tokens.fc1, self.mlp_tokens.fc2\n        columns = fc1.weight @ self.norm1(x) + fc1.bias[:, None]",
        _MIXED: "x = x + fc2.weight @ nn.functional.gelu(columns) + fc2.bias[:, None]",
    },
)

mixer.right(
    "einsum",
    edits={
        _COLUMNS: 'columns = torch.einsum("bnd,hn->bhd", self.norm1(x), self.mlp_tokens.fc1.weight) + self.mlp_tokens.fc1.bias.view(1, -1, 1)',
        _MIXED: 'x = x + torch.einsum("bhd,nh->bnd", nn.functional.gelu(columns), self.mlp_tokens.fc2.weight) + self.mlp_tokens.fc2.bias.view(1, -1, 1)',
    },
)


@mixer.right("channel by channel, token by token")
class MixerBlock(nn.Module):
    def __init__(self, num_tokens, dim, token_hidden, channel_hidden):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.mlp_tokens = nn.Sequential()
        self.mlp_tokens.add_module("fc1", nn.Linear(num_tokens, token_hidden))
        self.mlp_tokens.add_module("act", nn.GELU())
        self.mlp_tokens.add_module("fc2", nn.Linear(token_hidden, num_tokens))
        self.mlp_channels = nn.Sequential()
        self.mlp_channels.add_module("fc1", nn.Linear(dim, channel_hidden))
        self.mlp_channels.add_module("act", nn.GELU())
        self.mlp_channels.add_module("fc2", nn.Linear(channel_hidden, dim))

    def forward(self, x):
        if x.shape[1] != self.mlp_tokens.fc1.in_features:
            raise ValueError("this block mixes another number of tokens")
        normed = self.norm1(x)
        x = x + torch.stack([self.mlp_tokens(normed[:, :, c]) for c in range(x.shape[2])], dim=2)
        normed = self.norm2(x)
        return x + torch.stack([self.mlp_channels(normed[:, n]) for n in range(x.shape[1])], dim=1)


@mixer.right("swapaxes and a module for the MLP")
class MixerBlock(nn.Module):
    def __init__(self, num_tokens, dim, token_hidden, channel_hidden):
        super().__init__()

        class MLP(nn.Module):
            def __init__(self, width, hidden):
                super().__init__()
                self.fc1 = nn.Linear(width, hidden)
                self.fc2 = nn.Linear(hidden, width)

            def forward(self, x):
                hidden = self.fc1(x)
                return self.fc2(hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5)))

        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.mlp_tokens, self.mlp_channels = MLP(num_tokens, token_hidden), MLP(dim, channel_hidden)

    def forward(self, x):
        if x.shape[1] != self.mlp_tokens.fc1.in_features:
            raise ValueError("this block mixes another number of tokens")
        y = torch.swapaxes(self.norm1(x), -1, -2).contiguous()
        x = torch.add(torch.swapaxes(self.mlp_tokens(y), -1, -2), x)
        return torch.add(self.mlp_channels(self.norm2(x)), x)


mixer.wrong(
    'post-norm',
    'Your norm comes after the sum. Here it comes before each MLP, inside the branch.',
    edits={
        "columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens\n"
        "        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)\n"
        "        return x + self.mlp_channels(self.norm2(x))": "x = self.norm1(x + self.mlp_tokens(x.mT).mT)\n"
        "        return self.norm2(x + self.mlp_channels(x))",
    },
)


mixer.wrong(
    "tanh GELU in the token MLP",
    "Your GELU is the tanh approximation. `mlp` is given: use it as it is.",
    edits={
        "self.mlp_channels = mlp(dim, channel_hidden)": "self.mlp_channels = mlp(dim, channel_hidden)\n        self.mlp_tokens.act = nn.GELU(approximate='tanh')"
    },
)

mixer.wrong(
    'tanh GELU',
    'Your GELU is the tanh approximation. `mlp` is given: use it as it is.',
    edits={
        "self.mlp_tokens = mlp(num_tokens, token_hidden)\n"
        "        self.mlp_channels = mlp(dim, channel_hidden)": "def gelu_mlp(width, hidden):\n"
        "            return nn.Sequential(OrderedDict(fc1=nn.Linear(width, hidden), act=nn.GELU(approximate='tanh'), fc2=nn.Linear(hidden, width)))\n"
        "        self.mlp_tokens = gelu_mlp(num_tokens, token_hidden)\n"
        "        self.mlp_channels = gelu_mlp(dim, channel_hidden)",
        "columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens\n"
        "        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)": "x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)",
    },
)


mixer.wrong(
    'one MLP for both',
    'You share one MLP where the sizes agree. mlp_tokens and mlp_channels are two.',
    edits={
        "self.mlp_channels = mlp(dim, channel_hidden)": "same = (num_tokens, token_hidden) == (dim, channel_hidden)\n"
        "        self.mlp_channels = self.mlp_tokens if same else mlp(dim, channel_hidden)",
        "columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens\n"
        "        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)": "x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)",
    },
)


mixer.wrong(
    'dropout added',
    'Your block drops numbers in training. No dropout is asked for.',
    edits={
        "self.mlp_channels = mlp(dim, channel_hidden)": "self.mlp_channels = mlp(dim, channel_hidden)\n"
        "        self.drop = nn.Dropout(0.1)",
        "columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens\n"
        "        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)\n"
        "        return x + self.mlp_channels(self.norm2(x))": "x = x + self.drop(self.mlp_tokens(self.norm1(x).mT).mT)\n"
        "        return x + self.drop(self.mlp_channels(self.norm2(x)))",
    },
)


mixer.right(
    'transpose',
    edits={
        "columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens\n"
        "        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)": "x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)",
    },
)


mixer.right(
    'einops',
    edits={
        "columns = self.norm1(x).transpose(1, 2)  # (B, D, N): a row holds one channel of all tokens\n"
        "        x = x + self.mlp_tokens(columns).transpose(1, 2)  # (B, D, N) -> (B, N, D)\n"
        "        return x + self.mlp_channels(self.norm2(x))": "turned = rearrange(self.norm1(x), 'b n d -> b d n')\n"
        "        u = x + rearrange(self.mlp_tokens(turned), 'b d n -> b n d')\n"
        "        y = u + self.mlp_channels(self.norm2(u))\n"
        "        return y",
    },
)


model = Bank("MLPMixer")

_HEAD = "return self.head(tokens.mean(dim=1))"

model.wrong(
    "the first token is read",
    "Your head reads the first token. There is no CLS token here: the first token is a patch like any other. Average over all.",
    edits={_HEAD: "return self.head(tokens[:, 0])"},
)

model.wrong(
    "mean over the batch",
    "You average over the batch, so every image gets the same tokens. The tokens' axis is the second one.",
    edits={_HEAD: "return self.head(tokens.mean(dim=0, keepdim=True).expand_as(tokens).mean(dim=1))"},
)

model.wrong(
    "sum instead of mean",
    "You add up the tokens and do not divide by their number.",
    edits={_HEAD: "return self.head(tokens.sum(dim=1))"},
)

model.wrong(
    "maximum instead of mean",
    "You take the maximum over the tokens, channel by channel. Take their mean.",
    edits={_HEAD: "return self.head(tokens.amax(dim=1))"},
)

_ALL = "tokens = self.norm(self.blocks(self.embed(images)))"

model.wrong(
    "no final norm",
    "The norm after the last block is missing.",
    edits={_ALL: "tokens = self.blocks(self.embed(images))"},
)

model.wrong(
    "norm in front of the blocks",
    "You normalise the embedded patches and leave out the norm after the blocks. `norm` stands behind the last block.",
    edits={_ALL: "tokens = self.blocks(self.norm(self.embed(images)))"},
)

model.wrong(
    "norm of the mean",
    "You average first and normalise the mean. Each token is normalised, and then the mean is taken.",
    edits={
        _ALL: "tokens = self.blocks(self.embed(images))",
        _HEAD: "return self.head(self.norm(tokens.mean(dim=1)))",
    },
)

_BLOCKS = "*(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))"

model.wrong(
    "blocks that share their weights",
    "You put one and the same block in depth times, so all blocks share their weights. Build a new one for each.",
    edits={_BLOCKS: "*[MixerBlock(num_tokens, dim, token_hidden, channel_hidden)] * depth"},
)

model.wrong(
    "the last block is not used",
    "Your last block is never called. All of `self.blocks` come one after the other.",
    edits={"self.blocks(self.embed(images))": "self.blocks[:-1](self.embed(images))"},
)

model.wrong(
    "the height alone counts tokens",
    "You take the grid's height squared for the number of tokens. An image need not be square: take patches down "
    "times patches across.",
    edits={"num_tokens = self.grid[0] * self.grid[1]": "num_tokens = self.grid[0] ** 2"},
)

model.wrong(
    "hidden widths exchanged",
    "You give MixerBlock its two hidden widths in the wrong order. First the token MLP's, then the channel MLP's.",
    edits={_BLOCKS: "*(MixerBlock(num_tokens, dim, channel_hidden, token_hidden) for _ in range(depth))"},
)

model.right(
    "a ModuleList and a loop",
    edits={
        "self.blocks = nn.Sequential(": "self.blocks = nn.ModuleList(",
        _BLOCKS: "MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth)",
        _ALL: "tokens = self.embed(images)\n        for block in self.blocks:\n            tokens = block(tokens)\n        tokens = self.norm(tokens)",
    },
)

model.right(
    "the head on every token, then the mean",
    edits={_HEAD: "return self.head(tokens).mean(dim=1)"},
)

model.right(
    "adaptive average pooling",
    edits={
        "num_tokens = self.grid[0] * self.grid[1]": "num_tokens = image_pixels = height * width // patch_size**2",
        _HEAD: "return self.head(nn.functional.adaptive_avg_pool1d(tokens.mT, 1)[..., 0])",
    },
)

model.right(
    "patches cut by unfold",
    edits={
        "self.embed(images)))": "nn.functional.linear(nn.functional.unfold(images, self.patch_size, stride=self.patch_size).mT, "
        "self.stem.proj.weight.flatten(1), self.stem.proj.bias)))",
    },
)


model.wrong(
    'eps of 1e-5',
    "Your norm has PyTorch's default eps. The text says 1e-6.",
    edits={
        "num_tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(\n"
        "            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))\n"
        "        )\n"
        "        self.norm = nn.LayerNorm(dim, eps=1e-6)": "tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(*(MixerBlock(tokens, dim, token_hidden, channel_hidden) for _ in range(depth)))\n"
        "        self.norm = nn.LayerNorm(dim)",
        "tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)\n"
        "        return self.head(tokens.mean(dim=1))": "x = self.norm(self.blocks(self.embed(images)))\n"
        "        return self.head(x.mean(dim=1))",
    },
)


model.wrong(
    'class probabilities',
    'You return probabilities. The loss takes logits and does the softmax itself.',
    edits={
        "num_tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(\n"
        "            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))\n"
        "        )": "tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(*(MixerBlock(tokens, dim, token_hidden, channel_hidden) for _ in range(depth)))",
        "tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)\n"
        "        return self.head(tokens.mean(dim=1))": "x = self.norm(self.blocks(self.embed(images)))\n"
        "        return self.head(x.mean(dim=1)).softmax(dim=-1)",
    },
)


model.wrong(
    'squeeze',
    "For a single image your output has no batch axis: `squeeze` takes away every axis of length 1. Take away only "
    "the axis over which you averaged.",
    edits={
        "num_tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(\n"
        "            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))\n"
        "        )": "tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(*(MixerBlock(tokens, dim, token_hidden, channel_hidden) for _ in range(depth)))",
        "tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)\n"
        "        return self.head(tokens.mean(dim=1))": "x = self.norm(self.blocks(self.embed(images)))\n"
        "        pooled = F.adaptive_avg_pool1d(x.transpose(1, 2), 1).squeeze()\n"
        "        return self.head(pooled)",
    },
)


model.wrong(
    'patches column by column',
    'Your tokens come column by column. `embed` gives them in reading order; the token MLPs depend on it.',
    edits={
        "num_tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(\n"
        "            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))\n"
        "        )": "tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(*(MixerBlock(tokens, dim, token_hidden, channel_hidden) for _ in range(depth)))",
        "tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)\n"
        "        return self.head(tokens.mean(dim=1))": "x = rearrange(self.stem(images), 'b d h w -> b (w h) d')\n"
        "        return self.head(self.norm(self.blocks(x)).mean(dim=1))",
    },
)


model.wrong(
    'head on every token',
    'You give every token logits and keep the largest. The head reads the mean token.',
    edits={
        "num_tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(\n"
        "            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))\n"
        "        )": "tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(*(MixerBlock(tokens, dim, token_hidden, channel_hidden) for _ in range(depth)))",
        "tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)\n"
        "        return self.head(tokens.mean(dim=1))": "x = self.norm(self.blocks(self.embed(images)))\n"
        "        return self.head(x).max(dim=1).values",
    },
)


model.right(
    "the mean as a product of matrices",
    edits={
        "num_tokens = self.grid[0] * self.grid[1]": "num_tokens = (height // patch_size) * (width // patch_size)",
        "return self.head(tokens.mean(dim=1))": "share = tokens.new_full((1, tokens.shape[1]), 1 / tokens.shape[1])\n"
        "        return self.head((share @ tokens).squeeze(1))",
    },
)


model.right(
    'module list',
    edits={
        "num_tokens = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.Sequential(\n"
        "            *(MixerBlock(num_tokens, dim, token_hidden, channel_hidden) for _ in range(depth))\n"
        "        )": "number = self.grid[0] * self.grid[1]\n"
        "        self.blocks = nn.ModuleList()\n"
        "        for _ in range(depth):\n"
        "            self.blocks.append(MixerBlock(num_tokens=number, dim=dim, token_hidden=token_hidden, channel_hidden=channel_hidden))",
        "self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()": "self.head = nn.Identity() if num_classes == 0 else nn.Linear(dim, num_classes)",
        "tokens = self.norm(self.blocks(self.embed(images)))  # (B, N, D)\n"
        "        return self.head(tokens.mean(dim=1))": "x = self.embed(images)\n"
        "        for block in self.blocks:\n"
        "            x = block(x)\n"
        "        return self.head(self.norm(x).mean(1))",
    },
)


