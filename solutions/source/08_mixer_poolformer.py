# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 08 · MLP-Mixer and PoolFormer: is attention all you need?
#
# A Transformer block does two things in turn. Attention lets tokens exchange information; the MLP then works on
# each token by itself. Since 2021 people have put other things in the place of attention, simpler and simpler
# ones: an MLP along the tokens (MLP-Mixer), a plain average of the neighbours (PoolFormer), a random matrix, and
# in the end nothing at all. Surprisingly much kept working. In this notebook you build these networks, and then
# run the experiment that the question asks for: one architecture, six token mixers, everything else the same but
# the learning rate, which is chosen for each.
#
# **Goals.** After this notebook you can
#
# - say which part of a block moves information between tokens and which within them, and show it by changing one number of the input;
# - build MLP-Mixer, with the published sizes, and explain why it can do without positions and why it is tied to
#   one image size;
# - build PoolFormer from a block that takes *any* token mixer;
# - compare token mixers fairly, with intervals, and tell what an experiment shows from what it does not.
#
# **You need** the pre-norm block (notebook 01) and patches (notebook 05). Windowed attention is taken from your
# notebook 07 where it passes its checks, else from the library's stand-in.
#
# **Time.** About two hours of reading and coding. The cells that compute took two minutes together on a CPU with two cores; those that train say how long they took.

# %%
import re
import time
from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils import cost, current_budget, describe_machine, experiments, plotting
from utils.checks import check, ready, reuse
from utils.data import load_images
from utils.layers import ChannelMLP, StochasticDepth, depth_rates
from utils.training import count_parameters, fit, seed_everything, tensor_batches

budget = current_budget()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# ## 1 · Two directions
#
# Write the tokens of one image as a table: $N$ rows, one per token, and $D$ columns, one per channel. A layer can
# work along the rows or along the columns of this table.
#
# - **Channel mixing** takes a *row*: all channels of one token. The same function for every token. That is the
#   MLP of a Transformer block, and the 1 x 1 convolution of a CNN.
# - **Token mixing** takes a *column*: one channel of all tokens. The same function for every channel. Attention is only roughly of this kind: its weights depend on all channels and differ from head to head, and its value and output projections mix channels, too. A depthwise convolution has a kernel per channel.

# %%
N, D = 6, 9

# %% fold="Drawing"
fig, axes = plotting.figure(1, 2, height=2.7, width=7.6)
for ax, (title, where) in zip(
    axes,
    [
        ("channel mixing: along a row", (2, slice(None))),
        ("token mixing: along a column", (slice(None), 4)),
    ],
    strict=True,
):
    table = torch.zeros(N, D)
    table[where] = 1.0
    plotting.heatmap(
        ax, table, xlabel="channel (D)", ylabel="token (N)", title=title, colorbar=False
    )
alt = plotting.described("08/two-directions")
plotting.show(fig, alt=alt)

# %% [markdown]
# ## 2 · The Mixer block
#
# Tolstikhin et al. (2021) use a two-layer MLP in both directions. With $X: (N, D)$
#
# $$U = X + \big(W_2\, \sigma(W_1\, \mathrm{LN}(X))\big), \qquad W_1: (D_S, N),\; W_2: (N, D_S),$$
# $$Y = U + \sigma(\mathrm{LN}(U)\, W_3)\, W_4, \qquad\qquad W_3: (D, D_C),\; W_4: (D_C, D),$$
#
# with $\sigma$ = GELU, and biases left out of the formula. Look at the sides: a matrix on the *left* of $X$
# combines rows, so it mixes tokens; a matrix on the *right* combines columns, so it mixes channels. `nn.Linear`
# works on the last axis only. For the first MLP the table has to be turned.

# %% [markdown] exercise="MixerBlock"
# Build both MLPs with the small helper `mlp(width, hidden)` that is given, then the block. Pre-norm, as in
# notebook 01: normalise, mix, add.
#
# <details><summary>Hint</summary>
#
# `(B, N, D)` to `(B, D, N)` is a transposition, not a `reshape`. And back again before you add.
# </details>

# %% [markdown]
# Who influences whom? Change one number of the input, token 2, channel 4, and see which outputs of each MLP
# change.

# %%
if ready("MixerBlock"):
    seed_everything(0)
    block = MixerBlock(num_tokens=N, dim=D, token_hidden=12, channel_hidden=20)
    x = torch.randn(1, N, D)
    other = x.clone()
    other[0, 2, 4] += 1.0
    along = {
        "mlp_channels": lambda t: block.mlp_channels(t),
        "mlp_tokens": lambda t: block.mlp_tokens(t.mT).mT,
    }
    fig, axes = plotting.figure(1, 2, height=2.7, width=7.6)
    with torch.no_grad():
        moved = {name: (call(other) - call(x))[0].abs() for name, call in along.items()}
    for ax, (name, change) in zip(axes, moved.items(), strict=True):
        plotting.heatmap(
            ax, change, xlabel="channel", ylabel="token", title=f"change by {name}"
        )
        ax.plot(4, 2, "o", color=plotting.COLORS["orange"])
    rows, columns = ((change > 0).nonzero().unique(dim=0) for change in moved.values())
    said = (
        f"the channel MLP changes token {rows[:, 0].unique().tolist()} only, the token MLP"
        f" channel {columns[:, 1].unique().tolist()} only"
    )
    plotting.show(fig, "08/mixerblock", said)
    print(said[0].upper() + said[1:] + ".")

# %% [markdown] predict="positions"
# A Transformer without positions does not notice when its tokens are shuffled: the outputs are shuffled in the
# same way, nothing else happens (notebook 01). Mixer has no position embedding either. Shuffle the tokens of a
# Mixer block: what will happen, and why? And what will happen if the image has a few patches more?

# %% [markdown] answer="positions"
# The outputs are *not* shuffled in the same way: they differ by up to 1.4. Every position has weights of its own in the token MLP: a column of $W_1$ and a row of $W_2$. For the same reason one patch more does not fit at all.

# %%
if ready("MixerBlock"):
    seed_everything(1)
    x, order = torch.randn(2, N, D), torch.randperm(N)
    attention = nn.MultiheadAttention(D, 3, batch_first=True)
    with torch.no_grad():
        for name, layer in {
            "attention": lambda t: attention(t, t, t)[0],
            "Mixer block": block,
        }.items():
            apart = (layer(x[:, order]) - layer(x)[:, order]).abs().max()
            print(
                f"{name:>12}: shuffle, then layer, against layer, then shuffle: largest"
                f" difference {apart:.1e}"
            )
    try:
        block(torch.randn(2, N + 1, D))
    except ValueError as error:
        print(f"One token more: {error}.")

# %% [markdown]
# The token MLP has weights of its own *for every position* (a column of $W_1$, a row of $W_2$), so it knows positions by construction, and needs none added. This has a price: the number of tokens is built in. And nothing says that what is learned
# for one place holds for another; a convolution knows that, and so, with its bias per offset, does Swin.

# %% [markdown]
# ## 3 · MLP-Mixer
#
# Patches, a stack of blocks, a norm, the mean over the tokens, a linear head. You have built all of it before.

# %% [markdown] exercise="MLPMixer"
# Build the stack for the number of tokens that the image and patch size give, the norm, and the head (none, that
# is `nn.Identity`, for `num_classes=0`). In `forward`, `self.embed` is given.

# %%
if ready("MixerBlock", "MLPMixer"):
    print("model        parameters (M)   GMACs    of which token MLPs")
    for name in budget.pick(
        smoke=("mixer_s_16",), cpu=("mixer_s_16", "mixer_b_16", "mixer_l_16")
    ):
        with torch.device("meta"):  # shapes without data: nothing is drawn or stored
            model = MLPMixer.from_config(name)
        counted = cost.profile(model, (1, 3, 224, 224))
        mixing = sum(
            macs for part, macs in counted.by_module.items() if part.endswith("mlp_tokens")
        )
        parameters = sum(
            p.numel() for part, p in model.named_parameters() if "mlp_tokens" in part
        )
        print(
            f"{name}        {counted.parameters / 1e6:6.2f}       {counted.macs / 1e9:6.3f}   "
            f" {parameters / counted.parameters:.0%} of the parameters,"
            f" {mixing / counted.macs:.0%} of the MACs"
        )

# %% [markdown]
# Mixer-S/16 has 18.53 million parameters and 3.777 GMACs, ViT-S/16 (notebook 05) 22.05 million and 4.599. Both
# spend most of it on the *channel* MLPs. Section 7 counts this again for its own, much smaller networks, and
# there it does not hold for every mixer.
#
# ### What do the token MLPs learn?
#
# We train a small one on a part of CIFAR-10. Its first layer's rows are filters over the 8 x 8 grid of patches:
# 64 weights each, that start as noise.

# %%
limit = budget.pick(
    smoke={"train": 256, "test": 200}, cpu={"train": 6_000, "test": 1_000}, gpu=None
)
data = load_images("cifar10", limit=limit)
print(data)
train = tensor_batches(data.train.images, data.train.labels, batch_size=100, shuffle=True)
test = tensor_batches(data.test.images, data.test.labels, batch_size=500)

# %% [markdown] predict="filters"
# What will these filters look like after training: like noise, like local blobs, like waves over the whole grid?
# No one has told the network which patches are neighbours.

# %% [markdown] answer="filters"
# Still nearly like noise. Neighbouring weights correlate with 0.09 (0.01 before training): a beginning of
# neighbourhood. One of the twelve filters shown has a blob, none has waves. The paper's clear patterns come from 300
# million images.

# %% seconds=25
if ready("MixerBlock", "MLPMixer"):
    seed_everything(0)
    sizes = {
        "image_size": 32,
        "patch_size": 4,
        "token_hidden": 64,
        "num_classes": len(data.label_names),
    }
    sizes |= {
        "dim": budget.pick(smoke=16, cpu=64),
        "depth": budget.pick(smoke=1, cpu=3),
        "channel_hidden": 128,
    }
    mixer = MLPMixer(**sizes)
    before = mixer.blocks[0].mlp_tokens.fc1.weight.detach().clone()
    epochs = budget.pick(smoke=1, cpu=8, gpu=30)
    history = fit(mixer, train, epochs=epochs, lr=3e-3, validation=test, progress="bar")
    history.summary()
    plotting.show(history.plot(f"a small Mixer on part of {data.name}"), alt=history.alt())


# %%
def neighbours_alike(filters: Tensor) -> float:
    """Correlation of a filter's weights at patches side by side; filters (K, 8, 8)."""
    here = torch.cat([filters[:, :, :-1].flatten(), filters[:, :-1].flatten()])
    there = torch.cat([filters[:, :, 1:].flatten(), filters[:, 1:].flatten()])
    return float(torch.corrcoef(torch.stack([here, there]))[0, 1])


if ready("MixerBlock", "MLPMixer"):
    after = mixer.blocks[0].mlp_tokens.fc1.weight.detach().cpu()
    filters, noise = after.view(-1, 8, 8), before.view(-1, 8, 8)
    strongest = filters.flatten(1).norm(dim=1).argsort(descending=True)[:12]
    fig, axes = plotting.figure(2, 6, height=2.9, width=8.0)
    for ax, which in zip(axes.flat, strongest, strict=True):
        plotting.heatmap(
            ax, filters[which], diverging=True, colorbar=False, xlabels=[""] * 8,
            ylabels=[""] * 8,
        )
    fig.suptitle(
        "12 filters: blue positive, brown negative, each scaled to its largest", fontsize=9.5
    )
    said = (
        f"correlation of neighbouring weights {neighbours_alike(filters):.2f}, before training"
        f" {neighbours_alike(noise):.2f}"
    )
    plotting.show(fig, "08/filters", said)
    print(said[0].upper() + said[1:] + ".")

# %% [markdown]
# A correlation above that of the noise would mean that patches side by side get similar weights: neighbourhood
# *learned*, from images alone. With 300 million images the paper's filters (its figure 5) become clear waves and
# blobs. In the stored run, with 6,000, there is a start of it. A CNN knows this before it has seen an image; Mixer has to learn it from data.

# %% [markdown]
# ### An aside: a parameter that does nothing
#
# The token MLP's second bias adds one number to *all* channels of a token. Every layer norm behind it subtracts
# the mean over the channels, and this number with it. So the logits cannot depend on it, and its gradient is zero
# up to rounding. Ask your network:

# %%
if ready("MixerBlock", "MLPMixer"):
    images = data.test.images[:100].float().to(next(mixer.parameters()).device)
    images = (images - images.mean()) / images.std()
    mixer.zero_grad()
    mixer(images).square().sum().backward()
    for part in ("mlp_tokens.fc1.bias", "mlp_tokens.fc2.bias", "mlp_channels.fc2.bias"):
        largest = mixer.blocks[0].get_parameter(part).grad.abs().max()
        print(f"{part:>22}: largest gradient {largest:.1e}")

# %% [markdown]
# ## 4 · Pooling as a token mixer
#
# Yu et al. (2022) took away even the weights. Their token mixer is the mean of the $K \times K$ neighbourhood of
# each position, minus the position itself. On a map $T: (C, H, W)$
#
# $$\mathrm{Pool}(T)_{c,i,j} = \frac{1}{|\Omega_{ij}|} \sum_{(p,q) \in \Omega_{ij}} T_{c,p,q} \;-\; T_{c,i,j},$$
#
# where $\Omega_{ij}$ are the positions of the neighbourhood *that lie inside the map*: for $K = 3$ nine in the
# middle, six at an edge, four in a corner. Why minus? The block adds its input back, so that mean minus input
# plus input is the mean: smoothing. On a constant map there is nothing to smooth, and the mixer should say so,
# with zeros, up to the last pixel of the border.

# %% [markdown] exercise="Pooling"
# No parameters, one call of a function from `torch.nn.functional`. Read its arguments: padding must not count.

# %%
if ready("Pooling"):
    picture = data.test.images[1].float() / 255  # (3, 32, 32)
    counted = F.avg_pool2d(picture[None], 7, stride=1, padding=3)[0]
    mixed = Pooling(7)(picture[None])[0]
    shown = [picture, counted, picture + mixed, (mixed + 0.5).clamp(0, 1)]
    titles = ["input", "mean, padding counted", "input + Pooling", "Pooling alone (+ 0.5)"]
    border = [f"{version[:, 0].mean():.2f}" for version in shown[:3]]

# %% fold="Drawing"
if ready("Pooling"):
    fig = plotting.images(torch.stack(shown), titles=titles, cols=4)
    alt = plotting.described("08/pooling", ", ".join(border))
    plotting.show(fig, alt=alt)
    print(
        f"Mean brightness of the top row: input {border[0]}, padding counted {border[1]}, input"
        f" + Pooling {border[2]}."
    )

# %% [markdown]
# Where padding counts, every map is pulled towards 0 at its border (here: a dark frame), and a network can read off where the border is.
# That may even help; but it is not a mean, and the released weights were trained without it. Alone, `Pooling` is
# silent on flat areas and speaks at edges: up to a factor it is a Laplacian, and so it finds edges.

# %% [markdown]
# ## 5 · A block for any mixer
#
# Take the Transformer block and leave the mixer open. Yu et al. call what is left a **MetaFormer**:
#
# $$U = X + s_1 \odot \mathrm{Mixer}(\mathrm{Norm}(X)), \qquad Y = U + s_2 \odot \mathrm{MLP}(\mathrm{Norm}(U)).$$
#
# The vectors $s_1, s_2: (C,)$ are *layer scales* (Touvron et al. 2021): one learned factor per channel, tiny at
# the start, so that a deep network begins as nearly the identity. Maps are `(B, C, H, W)` here, so the MLP is two
# 1 x 1 convolutions; and the norm is `nn.GroupNorm` with a single group: mean and variance over all channels
# *and* positions of an image.

# %% [markdown] exercise="MetaFormerBlock"
# The MLP is given. Add the norms, the mixer and the scales in `__init__`, then the two branches in `forward`.
#
# <details><summary>Hint</summary>
#
# A vector `(C,)` times a map `(B, C, H, W)` needs two more axes: `scale[:, None, None]`.
# </details>

# %%
if ready("Pooling", "MetaFormerBlock"):
    seed_everything(0)
    x = torch.randn(4, 64, 8, 8)
    for scale in (1.0, 0.1, 1e-5):
        blocks = nn.Sequential(
            *(MetaFormerBlock(64, Pooling(3), layer_scale=scale) for _ in range(36))
        )
        with torch.no_grad():
            change = (blocks(x) - x).norm() / x.norm()
        print(
            f"36 blocks, scales starting at {scale:g}: the output differs from the input by"
            f" {change:.2%} of its size"
        )

# %% [markdown]
# ## 6 · PoolFormer
#
# A pyramid, as in Swin: four stages, with a strided convolution before each that makes the map smaller and wider.
# The first takes kernel, stride and padding from `stem` (published: 7, 4, 2), the others have kernel 3, stride 2, padding 1.

# %%
steps = [("image", "(B, 3, 224, 224)")]
for stage, (depth, dim, side) in enumerate(
    zip((2, 2, 6, 2), (64, 128, 320, 512), (56, 28, 14, 7), strict=True)
):
    steps.append((f"embed {stage + 1}, {depth} blocks", f"(B, {dim}, {side}, {side})"))
steps += [("norm, mean", "(B, 512)"), ("head", "(B, 1000)")]

# %% fold="Drawing"
plotting.show(
    plotting.flow(steps, title="PoolFormer-S12"),
    "08/poolformer",
)

# %% [markdown] exercise="PoolFormer"
# For each stage append an `nn.Conv2d` to `self.patch_embeddings` and an `nn.Sequential` of blocks to
# `self.stages`; each block gets the next rate of stochastic depth. Then run them. The head reads the mean of the
# normalised map.

# %%
ALL = ("Pooling", "MetaFormerBlock", "PoolFormer")

if ready(*ALL):
    with torch.device("meta"):
        model = PoolFormer.from_config("poolformer_s12")
    counted = cost.profile(model, (1, 3, 224, 224))
    print(f"PoolFormer-S12: {counted}")
    kinds = {
        "patch embeddings": r"^patch_embeddings\.\d$",
        "channel MLPs": r"\.mlp$",
        "token mixers": r"\.token_mixer$",
    }
    for name, pattern in kinds.items():
        inside = sum(
            macs for part, macs in counted.by_module.items() if re.search(pattern, part)
        )
        print(f"{name:>17}: {inside / counted.macs:.1%} of the multiply-adds")
    seed_everything(0)
    small = PoolFormer.from_config("poolformer_cifar")
    for size in ((32, 32), (40, 24), (37, 51)):
        print(
            f"an image of {size[0]} x {size[1]}: logits"
            f" {tuple(small(torch.randn(2, 3, *size)).shape)}"
        )

# %% [markdown]
# The token mixers cost no multiply-adds at all (sums are not counted), and the network reads images of any size,
# odd ones too. No parameter of it belongs to a position.
#
# PoolFormer, too, has parameters that do nothing: the bias of `norm1` adds a constant to the whole map, and
# pooling makes zero of a constant. In Mixer the norm *after* the mixer removes such a bias, in PoolFormer the mixer
# after the norm does.

# %% [markdown]
# ## 7 · One MetaFormer, six token mixers
#
# Now the experiment. One pyramid, and in every block one of six token mixers:
#
# | mixer | reaches | learns |
# | --- | --- | --- |
# | attention | the whole map, weights from the content | projections, a bias per offset |
# | window attention | its window of 4 x 4, shifted in every second block | the same |
# | token MLP | the whole map, weights that belong to positions | these weights |
# | pooling | the 3 x 3 neighbourhood | nothing |
# | random | the whole map, a random weighted mean drawn once (all weights positive) | nothing |
# | identity | the position itself | nothing |
#
# Attention is your `WindowAttention` of notebook 07. With a window as large as the map it is global attention with
# a position bias, so that "attention" and "window attention" differ in reach (and in the last
# stage, whose map is one window, not at all).

# %%
WindowAttention = reuse("WindowAttention")
window_partition, window_reverse = reuse("window_partition"), reuse("window_reverse")
cyclic_shift, shifted_window_mask = reuse("cyclic_shift"), reuse("shifted_window_mask")


# %%
class MapAttention(nn.Module):
    """(B, C, H, W) -> (B, C, H, W): self-attention in windows; a window as large as the map
    makes it global."""

    def __init__(self, dim, side, window_size, head_dim=32, shift_size=0):
        super().__init__()
        if side % window_size:
            raise ValueError(
                f"windows of {window_size} x {window_size} do not tile a {side} x {side} map"
            )
        self.window_size, self.shift_size = window_size, shift_size
        self.attn = WindowAttention(dim, window_size, max(1, dim // head_dim))
        mask = shifted_window_mask(side, side, window_size, shift_size) if shift_size else None
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x):
        height, width = x.shape[-2:]
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
        if self.shift_size:
            x = cyclic_shift(x, self.shift_size)
        windows = window_partition(x, self.window_size).flatten(1, 2)  # (B nW, M M, C)
        windows = self.attn(windows, self.mask).unflatten(
            1, (self.window_size, self.window_size)
        )
        x = window_reverse(windows, self.window_size, height, width)
        if self.shift_size:
            x = cyclic_shift(x, -self.shift_size)
        return x.permute(0, 3, 1, 2)


# %%
class TokenMLP(nn.Module):
    """(B, C, H, W) -> (B, C, H, W): Mixer's MLP along the N = H W positions, shared by all
    channels."""

    def __init__(self, num_tokens, hidden):
        super().__init__()
        self.fc1 = nn.Linear(num_tokens, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, num_tokens)

    def forward(self, x):
        rows = x.flatten(2)  # (B, C, N)
        return self.fc2(self.act(self.fc1(rows))).view(x.shape)


class RandomMixing(nn.Module):
    """(B, C, H, W) -> (B, C, H, W): each position becomes a fixed weighted mean of all; the
    weights are never trained."""

    def __init__(self, num_tokens):
        super().__init__()
        self.register_buffer("matrix", torch.rand(num_tokens, num_tokens).softmax(dim=1))

    def forward(self, x):
        rows = x.flatten(2)  # (B, C, N)
        return (rows @ self.matrix.T).view(x.shape)


# %%
TOKEN_MIXERS = ("attention", "window attention", "token MLP", "pooling", "random", "identity")


def make_mixer(name, dim, side, block, *, window_size=4):
    """One of the six, for a map of `dim` channels and `side` x `side` positions in block number
    `block` of a stage."""
    if name == "attention":
        return MapAttention(dim, side, window_size=side)
    if name == "window attention":
        window = min(window_size, side)
        shifted = block % 2 == 1 and window < side  # a single window has nowhere to go
        return MapAttention(dim, side, window, shift_size=window // 2 if shifted else 0)
    if name == "token MLP":
        return TokenMLP(side * side, side * side)
    if name == "pooling":
        return Pooling(pool_size=3)
    if name == "random":
        return RandomMixing(side * side)
    if name == "identity":
        return nn.Identity()
    raise ValueError(f"no token mixer is called {name!r}; there are {', '.join(TOKEN_MIXERS)}")


# %% [markdown]
# And the network: *your* PoolFormer, in which every block's mixer is replaced. From the same seed all that the six
# models share starts from the same values. The layer scales start at 0.1, since we expect few blocks and a short
# training to leave too little time to grow from 1e-5.


# %%
def mixer_metaformer(
    mixer, image_size=32, num_classes=10, *, depths=(2, 2, 2), dims=(64, 128, 256),
    mlp_ratio=4.0, in_channels=3, window_size=4, layer_scale=0.1, drop_path=0.0,
):
    """A small PoolFormer with another token mixer in every block; maps of 16, 8 and 4 for 32
    pixels."""
    if image_size % 2 ** len(depths):
        raise ValueError(
            f"an image of {image_size} pixels cannot be halved {len(depths)} times"
        )
    model = PoolFormer(
        depths, dims, mlp_ratio=mlp_ratio, num_classes=num_classes, in_channels=in_channels,
        stem=(3, 2, 1), layer_scale=layer_scale, drop_path=drop_path,
    )
    for stage, (blocks, dim) in enumerate(zip(model.stages, dims, strict=True)):
        side = image_size // 2 ** (stage + 1)
        for number, block in enumerate(blocks):
            block.token_mixer = make_mixer(mixer, dim, side, number, window_size=window_size)
            for module in block.token_mixer.modules():
                if isinstance(module, nn.Linear):  # as every other linear layer of the network
                    nn.init.trunc_normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)
    return model


if ready(*ALL):
    print("mixer               parameters (M)   MACs (M)   of which in the mixers")
    for name in TOKEN_MIXERS:
        model = mixer_metaformer(name)
        own = sum(p.numel() for key, p in model.named_parameters() if "token_mixer" in key)
        counted = cost.profile(model, (1, 3, 32, 32))
        inside = sum(
            macs for key, macs in counted.by_module.items() if key.endswith("token_mixer")
        )
        print(
            f"{name:<17}  {counted.parameters / 1e6:8.2f}       {counted.macs / 1e6:8.1f}    "
            f" {own / counted.parameters:4.0%} of the parameters, {inside / counted.macs:4.0%}"
            " of the MACs"
        )

# %% [markdown]
# The networks are not equally large: attention adds parameters and multiply-adds, pooling and identity add none.
# This is part of the comparison, not a flaw of it. But it means that a lead of attention could be one of size.
#
# ### Who sees what
#
# Before any training: which pixels can reach one position of the map? We take the gradient of one position (dot) with respect to the image. Upper row: behind the first stage (two blocks), on the map of 16 x 16; lower row: behind the last. The shading is the logarithm of the gradient's size relative to the panel's largest (dark); white is zero, or less than $10^{-8}$ of it. For
# this picture the norms are left out: group norm takes its mean over the whole image, so with it a little of
# everything comes from everywhere.


# %%
def receptive_field(model, stages, place):
    """(32, 32): size of the gradient of one position of the map behind `stages` stages, for
    each pixel."""
    images = torch.randn(
        1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    x = images.requires_grad_()
    for embed, blocks in list(zip(model.patch_embeddings, model.stages, strict=True))[:stages]:
        x_map = blocks(embed(x if embed.in_channels == 3 else x_map))
    probe = torch.randn(
        x_map.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    (x_map[0, :, place, place] * probe).sum().backward()
    return images.grad[0].norm(dim=0)


if ready(*ALL):
    fig, axes = plotting.figure(2, 6, height=3.6, width=9.6)
    reached = {}
    for column, name in zip(axes.T, TOKEN_MIXERS, strict=True):
        seed_everything(0)
        model = mixer_metaformer(name, layer_scale=1.0).double()
        for block in (block for blocks in model.stages for block in blocks):
            block.norm1 = block.norm2 = nn.Identity()
        for ax, (stages, place) in zip(column, [(1, 6), (3, 2)], strict=True):
            size = receptive_field(model, stages, place)
            reached[name, stages] = float((size > 0).double().mean())
            ticks = [""] * 32
            plotting.heatmap(
                ax, (size / size.max()).clamp(min=1e-8).log10(), xlabels=ticks, ylabels=ticks,
                colorbar=False,
            )
            ax.plot(place * 2**stages, place * 2**stages, ".", color=plotting.COLORS["orange"])
            ax.set_title(f"{name}\n{reached[name, stages]:.0%}", fontsize=8.5)
    said = "; ".join(
        f"{name} {reached[name, 1]:.0%} and {reached[name, 3]:.0%}" for name in TOKEN_MIXERS
    )
    plotting.show(fig, "08/who-sees-what", said)

# %% [markdown]
# The percentages count the pixels whose gradient is not exactly zero. The mixers' shapes are as announced: everything
# for attention, token MLP and random; for window attention windows that the shift has joined; for pooling a small
# blob, which grows with every block and every stage. And *identity* is more than a point: the strided 3 x 3
# convolutions between the stages overlap, so they mix neighbours even where the blocks do not.
#
# Choose a mixer, a stage and a position yourself. Where does the reach of pooling end, and what does it look like in a corner?

# %%
if ready(*ALL):
    nets = {}
    for name in TOKEN_MIXERS:
        seed_everything(0)
        nets[name] = mixer_metaformer(name, layer_scale=1.0).double()
        for block in (block for blocks in nets[name].stages for block in blocks):
            # a norm over the whole map would connect everything
            block.norm1 = block.norm2 = nn.Identity()

    def reach(mixer, stages, position):
        """(32, 32): as above; positions count along the diagonal of the map behind the stage,
        from 0 to 3."""
        side = 32 // 2**stages
        return receptive_field(nets[mixer], stages, position * (side - 1) // 3)

    def draw(mixer, stages, position):
        size = reach(mixer, stages, position)
        fig, ax = plotting.figure(width=3.6, height=3.4)
        plotting.heatmap(
            ax, (size / size.max()).clamp(min=1e-8).log10(), colorbar=False, xlabel="pixel",
            ylabel="pixel", title=f"{mixer}, behind stage {stages}",
        )
        dot = position * (32 // 2**stages - 1) // 3 * 2**stages
        ax.plot(dot, dot, ".", color=plotting.COLORS["orange"])
        return fig

    def said(mixer, stages, position):
        share = (reach(mixer, stages, position) > 0).double().mean()
        return plotting.described("08/who-sees-what-2", mixer, share, position, stages)

    start = {"mixer": "pooling", "stages": 2, "position": 1}
    plotting.explore(
        draw, said, mixer=TOKEN_MIXERS, stages=[1, 2, 3], position=range(4), start=start
    )

# %% [markdown] predict="mixers"
# Before you look: order the six by test accuracy on CIFAR-10, after 2,000 steps of 64 on the same 8,000 training images, in small networks (0.15 to 0.44 million parameters; chance is 10 %). How far below the best will *identity* be: far, or close? Will *random* be better or worse than *identity*, which mixes nothing? Write down numbers.

# %% [markdown] answer="mixers"
# In the recorded runs (8,000 images, 2,000 steps, five seeds) the order is: pooling 49.7 %, random 49.5 %, identity 49.0 %, attention 47.8 %,
# window attention 47.4 %, token MLP 46.4 %. All six lie within 3.3 points, and only the last can be told apart from identity with some confidence: read on.

# %%
experiment = experiments.find("token-mixers")
print(experiment.question)
print("What the authors predicted before the first run (the last one later, as it says):")
for number, text in enumerate(experiment.predictions, start=1):
    print(f"{number}. {text}")

# %% [markdown]
# ### Live: a small part of it
#
# The experiment is declared in `utils/experiments`; here it runs with *your* classes, small models, few images and
# a few seeds. A seventh model has no mixer either, but wider channel MLPs: as many parameters as the token MLP's
# network. So a difference between the token MLP and this model is not caused by the number of parameters (but their learning rates differ, too).

# %% seconds=110
if ready(*ALL):
    began = time.perf_counter()
    live = experiments.run_live(
        "token-mixers",
        budget.pick(smoke="smoke", cpu="cpu", gpu="cpu"),
        classes={"mixer_metaformer": mixer_metaformer},
        seeds=budget.pick(smoke=(0, 1), cpu=(0, 1, 2)),
        **budget.pick(smoke={}, cpu={"sizes": (4_000,), "steps": 60, "test_images": 1_000}),
    )
    took = time.perf_counter() - began
    print(f"{len(live)} trainings in {took:.0f} s on {describe_machine()}; budget: {budget}.")


# %%
NAMES = (*TOKEN_MIXERS, "wider identity")  # its channel MLPs hold what the token MLP adds


def short(rows):
    """The rows with the mixer's name as the model's."""
    return [row | {"model": row["mixer"]} for row in rows]


def describe_runs(rows):
    """One line on what was run."""
    first, seeds = rows[0], sorted({row["seed"] for row in rows})
    rates = sorted({row["lr"] for row in rows})
    return (
        f"{first['data_used']}, {first['size']:,} training images, {first['steps_taken']:,}"
        f" steps of {first['batch']}, {len(seeds)} seeds, {first['test_images']:,} test images,"
        f" learning rates {', '.join(f'{lr:g}' for lr in rates)}"
    )


def show_runs(rows, title):
    """Accuracies with intervals as bars, a dot per run."""
    fig, ax = plotting.figure(width=7.2, height=3.0)
    names = [name for name in NAMES if any(row["mixer"] == name for row in rows)]
    _, said = experiments.plots.bars(short(rows), order=names, ax=ax)
    for place, name in enumerate(names):
        dots = [100 * row["test_accuracy"] for row in rows if row["mixer"] == name]
        ax.plot(
            dots, [len(names) - 1 - place] * len(dots), ".",
            color=plotting.COLORS["orange"], zorder=5,
        )
    ax.set_title(title, loc="left")
    plotting.show(fig, "08/live-a-small-part-of-it", title, said)


if ready(*ALL) and live:
    print(describe_runs(live))
    show_runs(live, "Six token mixers and a wider identity, live")
elif ready(*ALL):
    print("No training above was finished, so there is nothing to show.")


# %% [markdown]
# Read the intervals before the bars. These are few, short runs, on purpose: they show *how* the comparison is
# made. Mixers are compared in pairs that share seed, images and order, so that what the pair shares cancels out.


# %%
def compare(rows, a, b):
    """A sentence on a minus b, in pairs of runs with the same seed."""
    difference = experiments.statistics.paired_difference(short(rows), a, b)
    if difference.n < 2:
        found = f"{100 * difference.mean:+.1f} points in one pair" * difference.n
        return f"{a} − {b}: {found or 'no pair'}; no interval."
    verdict = "the interval includes zero, so these runs do not tell"
    if difference.excludes_zero:
        verdict = f"{a} is {'ahead' if difference.mean > 0 else 'behind'}"
    return f"{a} − {b}: {experiments.plots.describe(difference)}: {verdict}."


def read_runs(rows):
    """What the rows say, in sentences."""
    chance = 1 / rows[0].get("classes", 10)  # recorded rows are of CIFAR-10
    mean = experiments.statistics.means(short(rows), by="model")
    if "identity" not in mean:
        print("Without a run of identity, which was to come later, nothing can be compared.")
        return
    best = max(mean, key=lambda name: mean[name].mean)
    lead = (mean["identity"].mean - chance) / (mean[best].mean - chance)
    print(
        f"Best on average: {best} with {mean[best].mean:.1%}. Identity reaches"
        f" {mean['identity'].mean:.1%}, which is {lead:.0%} of the best one's lead over chance"
        f" ({chance:.0%})."
    )
    pairs = [("attention", "window attention"), ("token MLP", "wider identity")]
    pairs += [(name, "identity") for name in NAMES if name != "identity"]
    for a, b in pairs:
        print("  " + compare(rows, a, b))
    gaps = experiments.statistics.means(short(rows), by="model", value="gap")
    print(
        "Training minus test accuracy (points): "
        + ", ".join(
            f"{name} {100 * gaps[name].mean:+.1f}" for name in NAMES if name in gaps
        )
        + "."
    )


if ready(*ALL) and live:
    read_runs(live)


# %%
def read_losses(rows):
    """The training loss after a sixth of the steps and at the end, means of the seeds."""
    steps = rows[0]["curve"]["step"]
    for at in (len(steps) // 6, -1):
        said = []
        for name in NAMES:
            some = [row["curve"]["train_loss"][at] for row in rows if row["mixer"] == name]
            if some:
                said.append(f"{name} {sum(some) / len(some):.2f}")
        print(f"Training loss after {steps[at]:,} steps: {', '.join(said)}.")


if ready(*ALL) and live:
    read_losses(live)

# %% [markdown]
# ### Recorded: the same experiment, longer
#
# The repository keeps the rows of the full run in `data/results/token-mixers.jsonl`, each with its command, seed,
# machine and learning rate (chosen per mixer on held-out training images). These networks, and those of the live run, are narrower than the ones counted above: 24, 48 and 96 channels, MLPs twice as wide as the map. So a mixer's share of the parameters is larger. The following cells read whatever is there, the largest preset first.

# %%
recorded = {
    preset: experiments.results.load("token-mixers", preset=preset, stage="main")
    for preset in ("gpu", "cpu")
}
recorded = {
    preset: rows
    for preset, rows in recorded.items()
    if {row["mixer"] for row in rows} >= set(NAMES)
}
if not recorded:
    print(
        "Nothing is recorded yet. `python -m utils.experiments run token-mixers --preset cpu`"
        " does it."
    )
for preset, rows in recorded.items():
    print(f"{preset}: {describe_runs(rows)}; machine: {rows[0]['machine']}")
    print(f"  command: {rows[0]['command']}")
    show_runs(rows, f"Six token mixers and a wider identity, recorded ({preset})")

# %%
for preset, rows in recorded.items():
    print(f"[{preset}]")
    read_runs(rows)
    read_losses(rows)

# %%
if recorded:
    preset, rows = next(iter(recorded.items()))
    for verdict in experiments.judge("token-mixers", rows):
        print(f"{verdict.outcome}: {verdict.prediction}")

# %% fold="Drawing"
if recorded:
    seen = {
        name: experiments.statistics.mean_interval(
            100 * row["test_accuracy"] for row in rows if row["mixer"] == name
        )
        for name in NAMES
    }
    first = {name: next(row for row in rows if row["mixer"] == name) for name in NAMES}
    order = sorted(NAMES, key=lambda name: seen[name].mean)
    fig, axes = plotting.figure(1, 3, height=2.6, width=8.6)
    for y, name in enumerate(order):
        axes[0].errorbar(
            seen[name].mean, y, xerr=seen[name].half, marker="o", capsize=3,
            color=plotting.COLORS["blue"],
        )
    axes[0].set(xlabel="test accuracy (%)", ylim=(-0.5, len(order) - 0.5))
    axes[0].set_yticks(range(len(order)), order)
    for ax, key, unit in [
        (axes[1], "parameters", "parameters (millions)"),
        (axes[2], "macs", "multiply-adds (millions)"),
    ]:
        ax.barh(order, [first[name][key] / 1e6 for name in order], color="#a0a0a0")
        ax.set(xlabel=unit, yticks=[], ylim=axes[0].get_ylim())
    said = ", ".join(f"{name} {seen[name].mean:.1f}%" for name in reversed(order))
    plotting.show(fig, "08/recorded-the-same-experiment", preset, said)

# %%
if recorded:
    preset, rows = next(iter(recorded.items()))
    sizes = {row["mixer"]: (row["parameters"], row["macs"]) for row in rows}
    print("What a mixer adds to the network of identity blocks, as a share of the whole:")
    for name in NAMES:
        base, own = sizes["identity"], sizes[name]
        more = [1 - less / all_in for less, all_in in zip(base, own, strict=True)]
        print(f"  {name:<17}{more[0]:4.0%} of the parameters, {more[1]:4.0%} of the MACs")

# %% [markdown]
# ### How to argue from this
#
# *What is the architecture's?* Identity is the yardstick: its network mixes tokens in the three patch embeddings, in the final mean,
# and through the mean and variance of its norms, only. At 49.0 % it has 98 % of the best mixer's lead over chance (10 %). At this size and budget nearly all belongs to patches,
# channel MLPs, norms, residuals and training.
#
# *What is the mixer's?* The differences to identity whose interval excludes zero. There are two, and both are *losses*: the token MLP 2.5 ± 0.9 points, window attention 1.5 ± 1.5.
# But six comparisons were made, and with so many one interval may exclude zero by chance. After a correction for six (Bonferroni: mean over standard error above 4.85 in place of 2.78) the token MLP remains (7.5), window attention (2.8) does not.
# Attention (-1.1 ± 2.0), pooling (+0.8 ± 2.4) and random (+0.5 ± 1.3) cannot be told apart from identity.
#
# *Who learns fastest?* The token MLP: after 400 steps its training loss is 1.46, that of the others 1.77 to 1.89. At the end it is right on 100.0 % of the training images that were looked at (2,000 of the 8,000), the others on 54 to 57 %, and its mean on test images is the lowest. One possible reason (not tested): weights of its own for every position are quickly fitted, and nothing in
# them says what will hold for the next image.

# %% [markdown]
# *Is it the size?* The token MLP holds 65% of its network's parameters, attention 68% of its network's multiply-adds. But the wider identity has as many parameters as the token MLP's network, and ends where identity
# ends (-0.2 ± 0.7), 2.4 ± 1.4 points ahead of the token MLP. So the number of parameters alone does not explain it (the learning rates differ, see below).
#
# *What does the tuning decide?* Here as much as the mixers do. Each mixer's rate is the best of six, and each was tried for all 2,000 steps: 0.016 for random, 0.008 for pooling and the wider identity, 0.004 for identity and both attentions, 0.002 for the token MLP. In an earlier version of this table the rates had been chosen after 300 steps.
# Most were smaller (0.001 or 0.002), and three mixers were behind identity. Pooling gained 2.7 points by its rate alone, nearly as much as lies between the first mixer and the last (3.3). So ask of any comparison: how were the rates found, and after how many steps? A doubt is left here, too. One seed and 2,000 images chose the rates, and neighbouring rates often differ by less than that can tell (about one point).

# %% [markdown]
# *What had we predicted?* That pooling and window attention would be the best: pooling is on average, but not clearly ahead of random and identity, and window attention is behind random. That random would be at most level with identity, and global attention at most level with window attention: both means are higher, and both intervals include zero. All five verdicts are printed above the picture of sizes: "held" means that the whole interval agrees, "open" that only the mean does, "failed" that the mean does not, and "partly" that some parts failed.
#
# *What is not in these figures?* Images of 32 pixels, ten classes, small networks. On ImageNet-1K the paper reports
# 82.1% for its PoolFormer of 56 million parameters, and Yu et al. (2024) more than 80% with identity and more than
# 81% with random mixing, for networks larger and trained far longer than ours, and with other improvements. There, too, most of the accuracy comes from the rest of the network. But not all of it: in the same paper, the networks with convolutions below and attention on top are the best, at 85.5%.

# %% [markdown]
# ## Summary
#
# - A block has two jobs: mixing tokens and mixing channels. A matrix from the left does one, from the right the
#   other.
# - Mixer's token MLP has weights of its own for each position: it needs no position embedding, is tied to one
#   size, and must learn neighbourhood from images.
# - Pooling minus input is a token mixer without a single parameter; its mean must not count padding.
# - A MetaFormer block takes any mixer. In our experiment the network without a mixer has 98 % of the best one's lead over chance; the mixer that learned fastest has the lowest mean at the end.
# - A comparison needs pairs, several seeds, intervals, equal tuning for as many steps as are compared, and a yardstick: here, *identity*.
#
# **Try next.** Make the patch embeddings of section 7 non-overlapping (kernel = stride): what does identity still
# see, and what does it lose? Train the token MLP with augmentation. Put attention in the last
# stage only, pooling below. Permute the pixels of all images by one fixed permutation (notebook 06): whose accuracy
# suffers, whose does not?
#
# ## Further reading
#
# 1. I. Tolstikhin, N. Houlsby, A. Kolesnikov, L. Beyer, X. Zhai, T. Unterthiner, J. Yung, A. Steiner, D. Keysers,
#    J. Uszkoreit, M. Lucic, A. Dosovitskiy (2021). *MLP-Mixer: An all-MLP Architecture for Vision.* NeurIPS.
#    https://arxiv.org/abs/2105.01601
# 2. W. Yu, M. Luo, P. Zhou, C. Si, Y. Zhou, X. Wang, J. Feng, S. Yan (2022). *MetaFormer Is Actually What You Need
#    for Vision.* CVPR. https://arxiv.org/abs/2111.11418
# 3. W. Yu, C. Si, P. Zhou, M. Luo, Y. Zhou, J. Feng, S. Yan, X. Wang (2024). *MetaFormer Baselines for Vision.*
#    IEEE Transactions on Pattern Analysis and Machine Intelligence 46(2). https://arxiv.org/abs/2210.13452
# 4. H. Touvron, M. Cord, A. Sablayrolles, G. Synnaeve, H. Jégou (2021). *Going deeper with Image Transformers.*
#    ICCV. https://arxiv.org/abs/2103.17239
# 5. A. Trockman, J. Z. Kolter (2023). *Patches Are All You Need?* Transactions on Machine Learning Research.
#    https://arxiv.org/abs/2201.09792 (ConvMixer: the same frame with a depthwise convolution)
