"""Wrong and alternative right answers: the MetaFormer block and PoolFormer."""

from __future__ import annotations

from torch import nn

from utils.grading.bank import Bank

block = Bank("MetaFormerBlock")

block.wrong(
    "batch norm",
    "You use batch norm: mean and variance of each channel over all images and positions of the batch. Here they "
    "are over channels and positions of one image: `nn.GroupNorm` with one group.",
    edits={
        "self.norm1 = nn.GroupNorm(1, dim)": "self.norm1 = nn.BatchNorm2d(dim)",
        "self.norm2 = nn.GroupNorm(1, dim)": "self.norm2 = nn.BatchNorm2d(dim)",
    },
)

block.wrong(
    "one draw for both branches",
    "You leave both branches out together, by stochastic depth around the whole block's change. Each branch has its own draw.",
    edits={
        "x = x + self.drop_path(self.layer_scale_1[:, None, None] * mixed)": "y = x + self.layer_scale_1[:, None, None] * mixed",
        "hidden = self.mlp(self.norm2(x))": "hidden = self.mlp(self.norm2(y))",
        "return x + self.drop_path(self.layer_scale_2[:, None, None] * hidden)": "return x + self.drop_path(y + self.layer_scale_2[:, None, None] * hidden - x)",
    },
)

_NORM1, _NORM2 = "self.norm1 = nn.GroupNorm(1, dim)", "self.norm2 = nn.GroupNorm(1, dim)"

block.wrong(
    "each channel normalised alone",
    "You normalise each channel by itself (as many groups as channels). With one group, mean and variance are over all channels "
    "and positions of an image.",
    edits={_NORM1: "self.norm1 = nn.GroupNorm(dim, dim)", _NORM2: "self.norm2 = nn.GroupNorm(dim, dim)"},
)

_MIX = "mixed = self.token_mixer(self.norm1(x))"

_HIDDEN = "hidden = self.mlp(self.norm2(x))"

block.wrong(
    "each position normalised alone",
    "You normalise each position over its channels, as layer norm does in a ViT. Here mean and variance are over channels and positions "
    "of an image: one group.",
    edits={
        _MIX: "norm = lambda y, n: F.layer_norm(y.movedim(1, -1), y.shape[1:2], n.weight, n.bias).movedim(-1, 1)\n"
        "        mixed = self.token_mixer(norm(x, self.norm1))",
        _HIDDEN: "hidden = self.mlp(norm(x, self.norm2))",
    },
)

_START1 = "self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))"

_START2 = "self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale))"

block.wrong(
    "scales that start at one",
    "Your layer scales start at 1. They start at the value of the argument `layer_scale`.",
    edits={
        _START1: "self.layer_scale_1 = nn.Parameter(torch.ones(dim))",
        _START2: "self.layer_scale_2 = nn.Parameter(torch.ones(dim))",
    },
)

_LAST = "return x + self.drop_path(self.layer_scale_2[:, None, None] * hidden)"

block.wrong(
    "one scale for both branches",
    "You scale both branches by layer_scale_1. The second branch has its own, layer_scale_2.",
    edits={_LAST: "return x + self.drop_path(self.layer_scale_1[:, None, None] * hidden)"},
)

_FIRST = "x = x + self.drop_path(self.layer_scale_1[:, None, None] * mixed)"

block.wrong(
    "branches not scaled",
    "You add the branches without their layer scales.",
    edits={_FIRST: "x = x + self.drop_path(mixed)", _LAST: "return x + self.drop_path(hidden)"},
)

block.wrong(
    "the sum is scaled",
    "You scale the sum of x and the branch. Only the branch is scaled: x passes as it is.",
    edits={
        _FIRST: "x = self.layer_scale_1[:, None, None] * (x + self.drop_path(mixed))",
        _LAST: "return self.layer_scale_2[:, None, None] * (x + self.drop_path(hidden))",
    },
)

block.wrong(
    "no residual around the mixer",
    "Your token mixer replaces x. Its scaled output is added to x.",
    edits={_FIRST: "x = self.drop_path(self.layer_scale_1[:, None, None] * mixed)"},
)

block.wrong(
    "no norm in front of the mixer",
    "Your token mixer reads x itself. It should read norm1(x).",
    edits={_MIX: "mixed = self.token_mixer(x)"},
)

block.wrong(
    "the MLP reads the block's input",
    "Your MLP reads the x that came into the block. It should read x after the mixer's branch has been added.",
    edits={
        _MIX: "before = x\n        mixed = self.token_mixer(self.norm1(x))",
        _HIDDEN: "hidden = self.mlp(self.norm2(before))",
    },
)

block.wrong(
    "norm behind the branches",
    "You normalise the sums, as in the first Transformer (post-norm). Here the norms stand in front of the mixer and of the MLP.",
    edits={
        _MIX: "mixed = self.token_mixer(x)",
        _FIRST: "x = self.norm1(x + self.drop_path(self.layer_scale_1[:, None, None] * mixed))",
        _HIDDEN: "hidden = self.mlp(x)",
        _LAST: "return self.norm2(x + self.drop_path(self.layer_scale_2[:, None, None] * hidden))",
    },
)

block.wrong(
    "no stochastic depth",
    "In training you add every branch. `self.drop_path` goes around each branch and leaves it out for some images.",
    edits={
        _FIRST: "x = x + self.layer_scale_1[:, None, None] * mixed",
        _LAST: "return x + self.layer_scale_2[:, None, None] * hidden",
    },
)

block.wrong(
    "stochastic depth around the sum",
    "You put `self.drop_path` around the sum, so for some images everything is lost, x too. It goes around the branch alone.",
    edits={
        _FIRST: "x = self.drop_path(x + self.layer_scale_1[:, None, None] * mixed)",
        _LAST: "return self.drop_path(x + self.layer_scale_2[:, None, None] * hidden)",
    },
)

block.right(
    "scales as (C, 1, 1) by view, branches in one line",
    edits={
        f"        {_MIX}\n": "",
        _FIRST: "x = x + self.drop_path(self.layer_scale_1.view(1, -1, 1, 1) * self.token_mixer(self.norm1(x)))",
        f"        {_HIDDEN}\n": "",
        _LAST: "return x + self.drop_path(self.layer_scale_2.view(1, -1, 1, 1) * self.mlp(self.norm2(x)))",
    },
)

block.right(
    "addcmul, scales filled in place",
    edits={
        _START1: "self.layer_scale_1 = nn.Parameter(torch.empty(dim).fill_(layer_scale))",
        _FIRST: "x = torch.addcmul(x, self.drop_path(mixed), self.layer_scale_1[:, None, None])",
        _LAST: "return torch.addcmul(x, self.drop_path(hidden), self.layer_scale_2[:, None, None])",
    },
)

block.right(
    "einsum for the scales, layer norm over three axes",
    edits={
        _MIX: "normed = F.layer_norm(x, x.shape[1:]) * self.norm1.weight[:, None, None] + self.norm1.bias[:, None, None]\n"
        "        mixed = self.token_mixer(normed)",
        _FIRST: 'x = x + self.drop_path(torch.einsum("c,bchw->bchw", self.layer_scale_1, mixed))',
        _LAST: 'return x + self.drop_path(torch.einsum("c,bchw->bchw", self.layer_scale_2, hidden))',
    },
)

block.right(
    "mean and variance by hand, the MLP on positions last",
    edits={
        _HIDDEN: "mean, var = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), unbiased=False, keepdim=True)\n"
        "        y = (x - mean) / (var + self.norm2.eps).sqrt()\n"
        "        y = y.movedim(1, -1) * self.norm2.weight + self.norm2.bias\n"
        "        y = F.gelu(F.linear(y, self.mlp.fc1.weight.flatten(1), self.mlp.fc1.bias))\n"
        "        hidden = F.linear(y, self.mlp.fc2.weight.flatten(1), self.mlp.fc2.bias).movedim(-1, 1)",
    },
)


@block.wrong(
    'one scale for both',
    'Both branches have one and the same scale in yours. layer_scale_1 and layer_scale_2 are two parameters.'
)
class MetaFormerBlock(nn.Module):

    def __init__(self, dim, token_mixer, mlp_ratio=4.0, layer_scale=1e-05, drop_path=0.0):
        super().__init__()
        self.mlp = ChannelMLP(dim, int(mlp_ratio * dim))
        self.drop_path = StochasticDepth(drop_path)
        self.norm1 = nn.GroupNorm(1, dim)
        self.norm2 = nn.GroupNorm(1, dim)
        self.token_mixer = token_mixer
        self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.layer_scale_2 = self.layer_scale_1

    def forward(self, x):
        mixed = self.token_mixer(self.norm1(x))
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * mixed)
        return x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


@block.wrong(
    'drop path once',
    'Your second branch has no stochastic depth. self.drop_path goes around each of the two.'
)
class MetaFormerBlock(nn.Module):

    def __init__(self, dim, token_mixer, mlp_ratio=4.0, layer_scale=1e-05, drop_path=0.0):
        super().__init__()
        self.mlp = ChannelMLP(dim, int(mlp_ratio * dim))
        self.drop_path = StochasticDepth(drop_path)
        self.norm1 = nn.GroupNorm(1, dim)
        self.norm2 = nn.GroupNorm(1, dim)
        self.token_mixer = token_mixer
        self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(self, x):
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * self.token_mixer(self.norm1(x)))
        return x + self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x))


@block.wrong(
    'scales exchanged',
    'Your scales are exchanged: layer_scale_1 belongs to the mixer, layer_scale_2 to the MLP.'
)
class MetaFormerBlock(nn.Module):

    def __init__(self, dim, token_mixer, mlp_ratio=4.0, layer_scale=1e-05, drop_path=0.0):
        super().__init__()
        self.mlp = ChannelMLP(dim, int(mlp_ratio * dim))
        self.drop_path = StochasticDepth(drop_path)
        self.norm1 = nn.GroupNorm(1, dim)
        self.norm2 = nn.GroupNorm(1, dim)
        self.token_mixer = token_mixer
        self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(self, x):
        mixed = self.token_mixer(self.norm1(x))
        x = x + self.drop_path(self.layer_scale_2[:, None, None] * mixed)
        return x + self.drop_path(self.layer_scale_1[:, None, None] * self.mlp(self.norm2(x)))


@block.right('plain')
class MetaFormerBlock(nn.Module):

    def __init__(self, dim, token_mixer, mlp_ratio=4.0, layer_scale=1e-05, drop_path=0.0):
        super().__init__()
        self.mlp = ChannelMLP(dim, int(mlp_ratio * dim))
        self.drop_path = StochasticDepth(drop_path)
        self.norm1 = nn.GroupNorm(1, dim)
        self.norm2 = nn.GroupNorm(1, dim)
        self.token_mixer = token_mixer
        self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))
        self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale))

    def forward(self, x):
        mixed = self.token_mixer(self.norm1(x))
        x = x + self.drop_path(self.layer_scale_1[:, None, None] * mixed)
        return x + self.drop_path(self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x)))


@block.right('helper method')
class MetaFormerBlock(nn.Module):

    def __init__(self, dim, token_mixer, mlp_ratio=4.0, layer_scale=1e-05, drop_path=0.0):
        super().__init__()
        self.mlp = ChannelMLP(dim, int(mlp_ratio * dim))
        self.drop_path = StochasticDepth(drop_path)
        self.token_mixer = token_mixer
        for number in (1, 2):
            self.add_module(f'norm{number}', nn.GroupNorm(num_groups=1, num_channels=dim))
            scale = nn.Parameter(layer_scale * torch.ones(dim))
            self.register_parameter(f'layer_scale_{number}', scale)

    def branch(self, scale, y):
        return self.drop_path(scale.view(1, -1, 1, 1) * y)

    def forward(self, x):
        x = x + self.branch(self.layer_scale_1, self.token_mixer(self.norm1(x)))
        x = x + self.branch(self.layer_scale_2, self.mlp(self.norm2(x)))
        return x


block.wrong(
    "scales that cannot be trained",
    "Your layer scales cannot be trained: without `requires_grad=False` an `nn.Parameter` learns, and these should.",
    edits={
        "self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale))": "self.layer_scale_1 = nn.Parameter(torch.full((dim,), layer_scale), requires_grad=False)",
        "self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale))": "self.layer_scale_2 = nn.Parameter(torch.full((dim,), layer_scale), requires_grad=False)",
    },
)

block.wrong(
    "scales detached",
    "You detach a layer scale, so no gradient reaches it and it stays where it started.",
    edits={"self.layer_scale_2[:, None, None]": "self.layer_scale_2.detach()[:, None, None]"},
)


former = Bank("PoolFormer")

_EMBED = "self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))"

former.wrong(
    "padding left out",
    "Your patch embeddings have no padding. The first has the stem's, the further ones have 1.",
    edits={_EMBED: "self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride))"},
)

_GEOMETRY = "kernel, stride, padding = (3, 2, 1) if stage else stem"

former.wrong(
    "every embedding is the stem",
    "You use the stem's kernel, stride and padding before every stage. After the first they are (3, 2, 1).",
    edits={_GEOMETRY: "kernel, stride, padding = stem"},
)

former.wrong(
    "no stem",
    "Your first patch embedding has kernel, stride and padding (3, 2, 1), whatever `stem` says.",
    edits={_GEOMETRY: "kernel, stride, padding = (3, 2, 1)"},
)

_RUN = "x = blocks(embed(x))"

former.wrong(
    "blocks before the embedding",
    "Your blocks are not called: `features` only embeds (perhaps you call them before the embedding, where the "
    "width does not fit yet). Embed first, then call that stage's blocks.",
    edits={_RUN: "x = embed(blocks(x) if x.shape[1] == embed.out_channels else x)"},
)

_NORMED = "x = self.norm(self.features(images))"

former.wrong(
    "no final norm",
    "The norm after the last stage is missing.",
    edits={_NORMED: "x = self.features(images)"},
)

_LOGITS = "return self.head(x.mean(dim=(2, 3)))"

former.wrong(
    "average first, then norm",
    "You average the map and then normalise. Normalise the map, then average: the norm's mean and variance are over channels and "
    "positions.",
    edits={
        _NORMED: "x = self.features(images)",
        _LOGITS: "return self.head(self.norm(x.mean(dim=(2, 3), keepdim=True)).flatten(1))",
    },
)

former.wrong(
    "sum instead of mean",
    "You add up the positions of the last map and do not divide by their number.",
    edits={_LOGITS: "return self.head(x.sum(dim=(2, 3)))"},
)

former.wrong(
    "maximum instead of mean",
    "You take the maximum over the last map. Take its mean.",
    edits={_LOGITS: "return self.head(x.amax(dim=(2, 3)))"},
)

former.wrong(
    "the middle is read",
    "Your head reads one position of the last map. It should read the mean over all of them.",
    edits={_LOGITS: "return self.head(x[:, :, x.shape[2] // 2, x.shape[3] // 2])"},
)

_BLOCK = "MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))"

former.wrong(
    "pool size ignored",
    "Your blocks pool over 3 x 3 positions, whatever `pool_size` says.",
    edits={_BLOCK: "MetaFormerBlock(dim, Pooling(), mlp_ratio, layer_scale, next(rates))"},
)

former.wrong(
    "one rate for the whole stage",
    "All blocks of a stage have the same rate of stochastic depth. It grows from block to block.",
    edits={
        "blocks = [": "rate = [next(rates) for _ in range(depth)][0]\n            blocks = [",
        _BLOCK: "MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, rate)",
    },
)

former.wrong(
    "no stochastic depth",
    "You do not hand the rates of stochastic depth to the blocks.",
    edits={_BLOCK: "MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale)"},
)

former.wrong(
    "layer scale not handed on",
    "You do not hand `layer_scale` on: the scales of your blocks start at 1e-5 whatever the argument says.",
    edits={_BLOCK: "MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, 1e-5, next(rates))"},
)

former.wrong(
    "the last stage's blocks left out",
    "Your `features` stops behind the last patch embedding: the last stage's blocks are not called.",
    edits={_RUN: "x = embed(x) if blocks is self.stages[-1] else blocks(embed(x))"},
)

former.right(
    "a loop over indices, adaptive pooling",
    edits={
        "for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):": "for number in range(len(self.stages)):",
        _RUN: "x = self.patch_embeddings[number](x)\n            for block in self.stages[number]:\n                x = block(x)",
        _LOGITS: "return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))",
    },
)

former.right(
    "channels from the list of widths",
    edits={
        "        channels = in_channels\n": "        widths = [in_channels, *dims]\n",
        _EMBED: "self.patch_embeddings.append(nn.Conv2d(widths[stage], dim, kernel, stride=stride, padding=padding))",
        "            channels = dim\n": "",
    },
)

former.right(
    "stages filled block by block",
    edits={
        "            self.stages.append(nn.Sequential(*blocks))\n": "            self.stages.append(nn.Sequential())\n"
        "            for block in blocks:\n                self.stages[-1].append(block)\n",
        _LOGITS: "return self.head(x.flatten(2).mean(dim=2))",
    },
)

former.right(
    "the head on every position, then the mean",
    edits={
        _NORMED: "x = self.norm(self.features(images)).movedim(1, -1)",
        _LOGITS: "return self.head(x).mean(dim=(1, 2))",
    },
)


former.wrong(
    'features normalised',
    "Your `features` ends with the final norm. It should return the map before that norm, which `forward` applies.",
    edits={
        "channels = in_channels\n"
        "        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):\n"
        "            kernel, stride, padding = (3, 2, 1) if stage else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))\n"
        "            blocks = [\n"
        "                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "                for _ in range(depth)\n"
        "            ]\n"
        "            self.stages.append(nn.Sequential(*blocks))\n"
        "            channels = dim": "before = in_channels\n"
        "        for number, (depth, dim) in enumerate(zip(depths, dims)):\n"
        "            kernel, stride, padding = (3, 2, 1) if number else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(before, dim, kernel, stride, padding))\n"
        "            self.stages.append(nn.Sequential(*(MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates)) for _ in range(depth))))\n"
        "            before = dim",
        "for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):\n"
        "            x = blocks(embed(x))\n"
        "        return x": "for embed, stage in zip(self.patch_embeddings, self.stages):\n"
        "            x = stage(embed(x))\n"
        "        return self.norm(x)",
        "x = self.norm(self.features(images))  # (B, D, h, w)\n"
        "        return self.head(x.mean(dim=(2, 3)))": "return self.head(self.features(images).mean(dim=(2, 3)))",
    },
)


former.wrong(
    'squeeze',
    "For a single image your output has no batch axis: `squeeze` takes away every axis of length 1. Take away the "
    "two axes of the map only.",
    edits={
        "channels = in_channels\n"
        "        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):\n"
        "            kernel, stride, padding = (3, 2, 1) if stage else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))\n"
        "            blocks = [\n"
        "                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "                for _ in range(depth)\n"
        "            ]\n"
        "            self.stages.append(nn.Sequential(*blocks))\n"
        "            channels = dim": "before = in_channels\n"
        "        for number, (depth, dim) in enumerate(zip(depths, dims)):\n"
        "            kernel, stride, padding = (3, 2, 1) if number else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(before, dim, kernel, stride, padding))\n"
        "            self.stages.append(nn.Sequential(*(MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates)) for _ in range(depth))))\n"
        "            before = dim",
        "for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):\n"
        "            x = blocks(embed(x))": "for embed, stage in zip(self.patch_embeddings, self.stages):\n"
        "            x = stage(embed(x))",
        "return self.head(x.mean(dim=(2, 3)))": "return self.head(F.adaptive_avg_pool2d(x, 1).squeeze())",
    },
)


former.wrong(
    'one block repeated',
    "The blocks of a stage are one and the same block (`[block] * n` gives that, and so does a block made before "
    "the loop). Build a new one for every place.",
    edits={
        "channels = in_channels\n"
        "        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):\n"
        "            kernel, stride, padding = (3, 2, 1) if stage else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))\n"
        "            blocks = [\n"
        "                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "                for _ in range(depth)\n"
        "            ]\n"
        "            self.stages.append(nn.Sequential(*blocks))\n"
        "            channels = dim": "before = in_channels\n"
        "        for number, (depth, dim) in enumerate(zip(depths, dims)):\n"
        "            kernel, stride, padding = (3, 2, 1) if number else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(before, dim, kernel, stride, padding))\n"
        "            block = MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "            self.stages.append(nn.Sequential(*[block] * depth))\n"
        "            before = dim",
        "for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):\n"
        "            x = blocks(embed(x))": "for embed, stage in zip(self.patch_embeddings, self.stages):\n"
        "            x = stage(embed(x))",
        "x = self.norm(self.features(images))  # (B, D, h, w)\n"
        "        return self.head(x.mean(dim=(2, 3)))": "return self.head(self.norm(self.features(images)).mean(dim=(2, 3)))",
    },
)


former.wrong(
    'pool over 7',
    'You average a 7 x 7 corner. The mean is over the whole map, whatever its size.',
    edits={
        "channels = in_channels\n"
        "        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):\n"
        "            kernel, stride, padding = (3, 2, 1) if stage else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))\n"
        "            blocks = [\n"
        "                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "                for _ in range(depth)\n"
        "            ]\n"
        "            self.stages.append(nn.Sequential(*blocks))\n"
        "            channels = dim": "before = in_channels\n"
        "        for number, (depth, dim) in enumerate(zip(depths, dims)):\n"
        "            kernel, stride, padding = (3, 2, 1) if number else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(before, dim, kernel, stride, padding))\n"
        "            self.stages.append(nn.Sequential(*(MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates)) for _ in range(depth))))\n"
        "            before = dim",
        "for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):\n"
        "            x = blocks(embed(x))": "for embed, stage in zip(self.patch_embeddings, self.stages):\n"
        "            x = stage(embed(x))",
        "return self.head(x.mean(dim=(2, 3)))": "return self.head(F.avg_pool2d(x, 7, ceil_mode=True)[:, :, 0, 0])",
    },
)


former.right(
    'loop',
    edits={
        "channels = in_channels\n"
        "        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):\n"
        "            kernel, stride, padding = (3, 2, 1) if stage else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))\n"
        "            blocks = [\n"
        "                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "                for _ in range(depth)\n"
        "            ]\n"
        "            self.stages.append(nn.Sequential(*blocks))\n"
        "            channels = dim": "before = in_channels\n"
        "        for number, (depth, dim) in enumerate(zip(depths, dims)):\n"
        "            kernel, stride, padding = (3, 2, 1) if number else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(before, dim, kernel, stride, padding))\n"
        "            self.stages.append(nn.Sequential(*(MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates)) for _ in range(depth))))\n"
        "            before = dim",
        "for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):\n"
        "            x = blocks(embed(x))": "for embed, stage in zip(self.patch_embeddings, self.stages):\n"
        "            x = stage(embed(x))",
        "x = self.norm(self.features(images))  # (B, D, h, w)\n"
        "        return self.head(x.mean(dim=(2, 3)))": "return self.head(self.norm(self.features(images)).mean(dim=(2, 3)))",
    },
)


former.right(
    'pairs of widths',
    edits={
        "channels = in_channels\n"
        "        for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):\n"
        "            kernel, stride, padding = (3, 2, 1) if stage else stem\n"
        "            self.patch_embeddings.append(nn.Conv2d(channels, dim, kernel, stride, padding))\n"
        "            blocks = [\n"
        "                MetaFormerBlock(dim, Pooling(pool_size), mlp_ratio, layer_scale, next(rates))\n"
        "                for _ in range(depth)\n"
        "            ]\n"
        "            self.stages.append(nn.Sequential(*blocks))\n"
        "            channels = dim": "settings = [stem] + [(3, 2, 1)] * (len(dims) - 1)\n"
        "        widths = (in_channels, *dims)\n"
        "        for depth, old, new, (kernel, stride, padding) in zip(depths, widths, widths[1:], settings):\n"
        "            self.patch_embeddings.append(nn.Conv2d(old, new, kernel_size=kernel, stride=stride, padding=padding))\n"
        "            blocks = []\n"
        "            for _ in range(depth):\n"
        "                blocks.append(MetaFormerBlock(new, token_mixer=Pooling(pool_size), mlp_ratio=mlp_ratio, layer_scale=layer_scale, drop_path=next(rates)))\n"
        "            self.stages.append(nn.Sequential(*blocks))",
        "x = images\n"
        "        for embed, blocks in zip(self.patch_embeddings, self.stages, strict=True):\n"
        "            x = blocks(embed(x))\n"
        "        return x": "for i in range(len(self.stages)):\n"
        "            images = self.stages[i](self.patch_embeddings[i](images))\n"
        "        return images",
        "return self.head(x.mean(dim=(2, 3)))": "return self.head(x.flatten(2).mean(-1))",
    },
)


block.wrong(
    'norm behind the mixer',
    'You normalise what mixer and MLP give out. The norms come first: the mixer reads norm1(x), the MLP norm2 of what came of that.',
    edits={
        'self.token_mixer(self.norm1(x))': 'self.norm1(self.token_mixer(x))',
        'self.mlp(self.norm2(x))': 'self.norm2(self.mlp(x))',
    },
)
