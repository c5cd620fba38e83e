# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 05 · ViT: an image is worth 16 x 16 words
#
# The fourth idea for attention in vision, and the simplest: cut the image into patches, call each patch a word, and give the
# sentence to a plain Transformer encoder. Nothing about images is built in beyond the cutting. In this notebook you write that
# model from the first `rearrange` to the last logit, until it loads weights that were published by others and gives the same
# answers as the libraries do.
#
# **Goals.** After this notebook you can
#
# - cut images into patches and back, and say in which order the pixels lie, and why that matters;
# - show that the patch embedding is one linear layer, and at the same time a convolution;
# - build a ViT, count its parameters and multiply-adds, and compare them with a published table;
# - move a ViT to another image size, and load published weights strictly;
# - look inside: embedding filters, position embeddings, attention per head, attention rollout;
# - measure how well ViT and ResNet use the machine, layer by layer.
#
# **You need** attention and encoder layers (notebook 01); notebook 04 tells why patches, and not pixels, are the tokens.
#
# **Time.** About three and a half hours of reading and coding. All cells together ran for three and a half minutes on two CPU cores; the one that
# trains is the longest and stops after three. On a GPU it trains a larger model.

# %%
import math
import time
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils import cost, current_budget, describe_machine, experiments, plotting
from utils.checks import check, ready
from utils.data import IMAGES, Checkpoint, from_hub, load_images
from utils.layers import StochasticDepth, depth_rates
from utils.training import count_parameters, fit, flip_and_crop, seed_everything, tensor_batches

budget = current_budget()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# The images of this notebook: CIFAR-10, 32 x 32 pixels, ten classes. Where it can't be had, the course's own images take its place
# and a notice says so.

# %%
data = load_images(
    "cifar10",
    limit=budget.pick(smoke={"train": 200, "test": 200}, cpu=12_000, t4=None, gpu=None),
)
classes = data.label_names
source = f"{data.name}" + (f" ({data.note})" if data.note else "")
print(data)
picks = [int((data.test.labels == label).nonzero()[0]) for label in range(min(8, len(classes)))]
examples = data.test.images[picks]  # (8, 3, 32, 32) uint8

# %% fold="Drawing"
plotting.show(
    plotting.images(examples, titles=[classes[int(data.test.labels[i])] for i in picks]),
    "05/vit-an-image-is-worth-16-x-16", source, len(picks),
)

# %% [markdown]
# ## 1 · An image as a sentence
#
# A patch is a square of $p \times p$ pixels. An image of $H \times W$ pixels has
#
# $$N = \frac{H}{p} \cdot \frac{W}{p}$$
#
# of them. Each patch, laid out as one row of numbers, is a word: a vector of width $C p^2$.
#
# Why patches and not pixels? Attention stores $N^2$ weights per head and layer, so the *number* of tokens decides. Here is the
# arithmetic of notebook 04 once more: 48 layers, 16 heads, 32-bit floats, one image.

# %%
for name, tokens in (
    ("128 x 128 pixels", 128 * 128),
    ("16 x 16 patches", 16 * 16),
    ("14 x 14 patches", 14 * 14),
):
    size = tokens**2 * 48 * 16 * 4
    print(f"{name:>17}: N = {tokens:6,}, attention weights take {size / 2**20:12,.2f} MiB")

# %% [markdown] exercise="patchify"
# Cut a batch of images into patches. Two orders have to be right: that of the patches (reading order: left to right, then down) and
# that of the numbers inside a patch (channel, row, column: `(C p p)`). The second is a convention, but it is the one in which a
# convolution stores its weight, and section 2 needs exactly that.
#
# <details><summary>Hint 1</summary>
#
# `rearrange` can split an axis: `(i p)` on the left means that the axis of height H is made of H/p groups of p rows.
# </details>
# <details><summary>Hint 2</summary>
#
# The first name in brackets varies slowest. Write down the five names that H, W and C fall into, then group them.
# </details>

# %% [markdown]
# Here is what you have built: the first image, its patches laid apart, and their order.

# %%
if ready("patchify"):
    image = examples[:1].float() / 255  # (1, 3, 32, 32)
    patches = patchify(image, 8)  # (1, 16, 192)
    squares = F.pad(patches.reshape(-1, 3, 8, 8), (1, 1, 1, 1), value=1.0)  # a white edge
    apart = rearrange(squares, "(i j) c p q -> (i p) (j q) c", i=4)

# %% fold="Drawing"
if ready("patchify"):
    fig, axes = plotting.figure(1, 2, width=5.6, height=2.7)
    axes[0].imshow(image[0].permute(1, 2, 0))
    axes[0].set_title("image")
    axes[1].imshow(apart)
    axes[1].set_title("its patches, in order")
    for index in range(len(squares)):
        axes[1].text(
            index % 4 * 10 + 1, index // 4 * 10 + 3.2, index, fontsize=7,
            backgroundcolor="white",
        )
    for ax in axes:
        ax.set_axis_off()
    plotting.show(fig, "05/patchify")
    print(f"images {tuple(image.shape)} -> patches {tuple(patches.shape)}")

# %% [markdown] exercise="unpatchify"
# And back. A round trip that returns the same image shows that no pixel was lost, and it lets us turn vectors into pictures later.

# %% [markdown] predict="shuffle"
# The next cell puts the patches into a random order and builds an image from them. Would *you* still recognise it? Would
# a ViT with mean pooling and no position embeddings give another answer than for the original? Why?

# %% [markdown] answer="shuffle"
# A person recognises textures and colours, hardly any shapes. A ViT with mean pooling and no positions gives the same
# answer for both, up to rounding: every layer treats its tokens as a set, and a mean does not depend on the order.
# Section 6 measures it.

# %%
if ready("patchify", "unpatchify"):
    images = examples.float() / 255
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    patches = patchify(images, 4)
    print(
        "largest difference after the round trip:",
        (unpatchify(patches, 4, 32, 32) - images).abs().max().item(),
    )
    shuffled = unpatchify(patches[:, order], 4, 32, 32)

# %% fold="Drawing"
if ready("patchify", "unpatchify"):
    fig = plotting.images(torch.cat([images, shuffled]), cols=8)
    plotting.show(
        fig,
        "05/shuffle",
    )

# %% [markdown]
# ## 2 · From a patch to a token
#
# Words get their vectors from a table. A patch is a vector already, so a linear map will do, the same for every patch:
#
# $$z_n = E\,x_n + b, \qquad x_n \in \mathbb{R}^{C p^2},\; E \in \mathbb{R}^{D \times C p^2}.$$

# %%
steps = [
    ("image", "(B, C, H, W)"),
    ("patchify", "(B, N, C p p)"),
    ("linear layer", "(B, N, D)"),
]
steps += [
    ("CLS, positions", "(B, N + 1, D)"),
    ("L blocks, norm", "(B, N + 1, D)"),
    ("CLS, head", "(B, classes)"),
]

# %% fold="Drawing"
plotting.show(
    plotting.flow(steps, title="A Vision Transformer"),
    "05/from-a-patch-to-a-token",
)

# %% [markdown] exercise="PatchEmbedding"
# Make the layer and apply it. Call it `self.projection`, and use your `patchify`.

# %% [markdown] exercise="embed_by_convolution"
# Libraries write the same thing as a convolution with kernel size $p$ and stride $p$. Show that it *is* the same: compute the embedding
# with `F.conv2d`, from the weight of the linear layer. A convolution's weight is `(D, C, p, p)`.
#
# <details><summary>Hint</summary>
#
# `F.conv2d(images, kernels, bias, stride=...)` gives a grid of vectors, `(B, D, H/p, W/p)`. Tokens are rows: `(B, N, D)`.
# </details>

# %% [markdown] predict="three_ways"
# Three ways to one result: cut and multiply, convolve, or `F.unfold` and multiply. Which one is fastest on this machine, and by how
# much? (Think of what each has to copy.)

# %% [markdown] answer="three_ways"
# On this CPU the convolution is fastest, then cut and multiply, then `F.unfold`, in the stored run. What each has to copy is a
# possible reason: cutting copies the image once, `unfold` writes columns in an order that has to be turned for the product, and what the
# convolution's library copies cannot be seen from here. The times stand beside the bars. The order is measured, the reason is not.

# %%
if ready("PatchEmbedding", "embed_by_convolution"):
    seed_everything(0)
    embedding = PatchEmbedding(16, 384)
    batch = torch.randn(budget.pick(smoke=2, cpu=16), 3, 224, 224)
    weight, bias = embedding.projection.weight, embedding.projection.bias
    ways = {
        "patchify, then linear": lambda: embedding(batch),
        "strided convolution": lambda: embed_by_convolution(batch, weight, bias, 16),
        "F.unfold, then linear": lambda: F.linear(
            F.unfold(batch, 16, stride=16).transpose(1, 2), weight, bias
        ),
    }
    with torch.no_grad():
        expected = embedding(batch)
        for name, way in ways.items():
            print(f"{name:>22}: largest difference {(way() - expected).abs().max():.1e}")
        measured = {
            name: 1e3 * cost.throughput.seconds_of(way, torch.device("cpu"))
            for name, way in ways.items()
        }

# %% fold="Drawing"
if ready("PatchEmbedding", "embed_by_convolution"):
    fig, ax = plotting.figure(height=1.6)
    plotting.bars(ax, measured, xlabel=f"ms for {len(batch)} images of 224 x 224 (median of 5)")
    said = ", ".join(f"{name} {value:.1f} ms" for name, value in measured.items())
    plotting.show(fig, "05/three-ways", said)

# %% [markdown]
# ## 3 · A token for the answer, and a place for everyone
#
# Two things are missing from the sentence. It needs a word in which the answer can be collected: a learned vector, **CLS**, in front of
# the patches. And it needs an order: attention treats its tokens as a set (notebook 01), so each position gets a learned vector
# of its own, added to the token:
#
# $$z^{(0)} = [\,\text{cls};\; z_1;\; \dots;\; z_N\,] + P, \qquad P \in \mathbb{R}^{(N+1) \times D}.$$
#
# ViT's position embeddings are a plain table: nothing tells the model that in section 1's picture patch 5 lies below patch 1. Section 10 shows whether it finds out.

# %% [markdown] exercise="add_cls_and_positions"
# Put CLS in front, then add the positions. A model with mean pooling has no CLS token; then `cls_token` is None.
#
# <details><summary>Hint</summary>
#
# CLS has batch size 1. `expand` repeats it for every image without copying it.
# </details>

# %% [markdown]
# ## 4 · Attention with one projection
#
# You know multi-head attention from notebook 01. Two things change here. Self-attention makes queries, keys and values from the same
# tokens, so one matrix product can make all three. And the weighted average runs in PyTorch's fused kernel, which never stores the
# $N \times N$ weights. Looking at the weights is another matter: a method of its own computes them when we want a picture.

# %% [markdown] exercise="SelfAttention"
# Three short pieces: `split` makes the heads, `weights` the attention weights, `forward` the result. The parameters are those of
# `nn.MultiheadAttention`, so its weights fit.
#
# <details><summary>Hint 1</summary>
#
# `F.linear(x, weight, bias)` with the big matrix gives `(B, N, 3 D)`; `chunk(3, dim=-1)` cuts it into thirds.
# </details>
# <details><summary>Hint 2</summary>
#
# Head h owns the neighbouring channels h d .. (h + 1) d - 1 of each third.
# </details>

# %%
if ready("SelfAttention"):
    seed_everything(0)
    ours, library = SelfAttention(192, 3), nn.MultiheadAttention(192, 3, batch_first=True)
    ours.load_state_dict(library.state_dict())
    x = torch.randn(budget.pick(smoke=2, cpu=16), 197, 192)
    with torch.no_grad():
        theirs, their_weights = library(x, x, x, average_attn_weights=False)
        print(
            "output:  largest difference from nn.MultiheadAttention"
            f" {(ours(x) - theirs).abs().max():.1e}"
        )
        print(
            f"weights: largest difference {(ours.weights(x) - their_weights).abs().max():.1e}"
        )

        def stored(x):
            q, k, v = ours.split(x)
            weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1)
            return ours.out_proj(rearrange(weights @ v, "b h n d -> b n (h d)"))

        cpu = torch.device("cpu")
        fused, slow = cost.throughput.seconds_of(
            lambda: ours(x), cpu
        ), cost.throughput.seconds_of(lambda: stored(x), cpu)
    print(
        f"fused kernel {fused * 1e3:.1f} ms, with stored weights {slow * 1e3:.1f} ms,"
        f" 197 tokens, {len(x)} images"
    )

# %% [markdown]
# ## 5 · A block
#
# ViT's block is pre-norm: each branch normalises what it reads, and the sum itself is left alone,
#
# $$x \leftarrow x + \text{attention}(\mathrm{LN}_1(x)), \qquad x \leftarrow x + \text{MLP}(\mathrm{LN}_2(x)).$$
#
# Two regularisers sit in it. **Dropout** sets single numbers to zero: after the attention, after GELU and after the MLP.
# **Stochastic depth** (`drop_path`) leaves a *whole branch* out for some images of the batch, and makes up for it by scaling the
# others, so that the expectation stays.

# %%
seed_everything(0)
branch = torch.ones(8, 2, 3)  # 8 images, 2 tokens, 3 channels
print("training:", StochasticDepth(0.25).train()(branch)[:, 0, 0].tolist())
print("eval:    ", StochasticDepth(0.25).eval()(branch)[:, 0, 0].tolist())

# %% [markdown] exercise="ViTBlock"
# Write the two lines of the formula, with `dropout` and `drop_path` on each branch. GELU is `F.gelu`.

# %% [markdown]
# ## 6 · The whole model
#
# What remains is to put the parts together: embed, add CLS and positions, run the blocks, normalise once more, read one
# vector, and map it to the classes.

# %% [markdown] exercise="ViT"
# Two pieces: `encode` gives all tokens after the final norm (dropout comes after the positions), `forward` pools and classifies.
# `pool="cls"` reads the CLS token; `pool="mean"` averages the patches of a model that has no CLS token.

# %% [markdown]
# Your class builds the sizes Ti, S, B and L by their names.

# %%
if ready("ViT"):
    print(
        f"{'':>10} {'D':>5} {'blocks':>6} {'heads':>5} {'tokens':>6}"
        f" {'parameters':>11} {'GMACs':>7}"
    )
    for name in ("vit_ti_16", "vit_s_16", "vit_b_32", "vit_b_16", "vit_l_16", "vit_cifar"):
        with torch.device("meta"):  # shapes without memory
            model = ViT.from_config(name)
        counted = cost.profile(model, (1, 3, *model.image_size))
        d, tokens = model.norm.weight.numel(), model.positions.shape[1]
        heads = model.blocks[0].self_attn.num_heads
        print(
            f"{name:>10} {d:5} {len(model.blocks):6} {heads:5} {tokens:6}"
            f" {counted.parameters / 1e6:10.2f}M {counted.macs / 1e9:7.3f}"
        )

# %% [markdown] predict="permutation"
# Take two small ViTs with random weights, one with its position embeddings, one with all of them set to zero, and shuffle the patches of
# every image (the same shuffle as in section 1). By how much will the logits of each change? What does that say about section 1's
# question?

# %% [markdown] answer="permutation"
# With positions the logits (of size 0.7) change by up to 0.07; without, by $5 \cdot 10^{-7}$, which is rounding. So all that a ViT knows of
# the arrangement of its patches comes in through the position table.

# %%
if ready("ViT", "patchify", "unpatchify"):
    seed_everything(1)
    model = ViT(32, 4, 64, 2, 4, num_classes=10, pool="mean").eval()
    images = (examples.float() / 255 - 0.5) / 0.25
    shuffled = unpatchify(patchify(images, 4)[:, order], 4, 32, 32)
    with torch.no_grad():
        for name in ("with positions", "positions zero"):
            change = (model(images) - model(shuffled)).abs().max()
            print(
                f"{name}: logits of size {model(images).abs().mean():.2f} change by at most"
                f" {change:.1e}"
            )
            model.positions.zero_()

# %% [markdown]
# Without positions a ViT is a function of a *bag* of patches, up to rounding. All it can know about the arrangement of an image is in
# the $(N+1) \times D$ numbers of one table, and at the start they are noise.

# %% [markdown]
# ## 7 · A published table, recomputed
#
# The lecture's table (from the Swin paper) gives ViT-B/16 and ViT-L/16 at 384 x 384 pixels as 86M parameters and 55.4G, 307M and
# 190.7G "FLOPs", by which it means multiply-adds. Your model can be asked.

# %% [markdown] predict="flops"
# A ViT-B/16 at 224 x 224 takes 17.6 billion multiply-adds for 197 tokens. At 384 x 384 it has 577 tokens, 2.93 times as many. Will the
# multiply-adds grow by less than 2.93, by exactly that, or by more?

# %% [markdown] answer="flops"
# By more: 3.16 times for 2.93 times the tokens. The linear layers grow with $N$, the two products of attention with $N^2$, and their share
# rises from 4 % at 224 to 11 % at 384.

# %%
if ready("ViT"):
    lecture = {"vit_b_16": (86, 55.4), "vit_l_16": (307, 190.7)}
    print(f"{'at 384 x 384':<22} {'tokens':>6} {'parameters':>11} {'GMACs':>8}   lecture")
    for name, (millions, billions) in lecture.items():
        for pool in ("cls", "mean"):
            with torch.device("meta"):
                model = ViT.from_config(name, image_size=384, pool=pool)
            counted = cost.profile(model, (1, 3, 384, 384))
            print(
                f"{name + ', pool=' + pool:<22} {model.positions.shape[1]:6}"
                f" {counted.parameters / 1e6:10.2f}M {counted.macs / 1e9:8.3f}   {millions}M,"
                f" {billions}G"
            )
    with torch.device("meta"):
        wide = ViT.from_config("vit_l_32", image_size=384)
    print(
        f"vit_l_32 at 384 has {cost.profile(wide, (1, 3, 384, 384)).parameters / 1e6:.2f}M"
        " parameters"
    )

# %% [markdown]
# Your model's numbers differ from the table in three ways. One difference has a clear explanation, two have several possible ones.
#
# - **55.4 and 190.7** are what your model takes with 576 patches, *without* the CLS token. So the published counts seem to leave out the
#   577th token, whose share is 0.2%.
# - **86M**: your B/16 has 86.86M parameters with a head for 1,000 classes and 86.09M without one. The table does not say which of the two it means.
# - **307M** is no ViT-L/16. With a head for 1,000 classes L/16 has 304.7M at 384; it is L/32 that comes to 306.6M, because a
#   32 x 32 patch has four times as many pixels to embed. The ViT paper's table 1 gives 307M for
#   "ViT-Large". We do not know whether the lecture's table took its number from there.
#
# And the prediction: the linear layers grow with $N$, the two products of attention with $N^2$, so the total grows faster than the number of tokens.

# %%
if ready("ViT"):
    shown = {}
    for side in (224, 384, 512, 768, 1024):
        with torch.device("meta"):
            model = ViT.from_config("vit_b_16", image_size=side)
        counted, tokens = cost.profile(model, (1, 3, side, side)), (side // 16) ** 2 + 1
        # queries times keys, weights times values, in 12 blocks
        scores = 2 * 12 * tokens**2 * 768
        shown[side] = (counted.macs / 1e9, scores / 1e9)
    sides = list(shown)

# %% fold="Drawing"
if ready("ViT"):
    fig, ax = plotting.figure(height=2.8)
    series = {
        "all": [shown[s][0] for s in sides],
        "scores and weighted sum": [shown[s][1] for s in sides],
    }
    plotting.lines(
        ax, sides, series, xlabel="side of the image (pixels)", ylabel="GMACs", logx=True,
        logy=True,
    )
    ax.set_xticks(sides, sides)
    ax.minorticks_off()
    parts = [
        f"{s}: {shown[s][0]:.0f} GMACs, {shown[s][1] / shown[s][0]:.0%} of them scores"
        " and weighted sum"
        for s in sides
    ]
    plotting.show(fig, "05/flops", "; ".join(parts))
    print("\n".join(parts))
    print(
        f"224 -> 384: tokens x {577 / 197:.2f}, multiply-adds x"
        f" {shown[384][0] / shown[224][0]:.2f}"
    )

# %% [markdown]
# ## 8 · A small ViT learns CIFAR-10
#
# Now the model is trained, from random weights, in a few minutes. The loop is the course's `fit`: AdamW, warm-up, cosine. Images are
# shifted by up to two pixels and mirrored at random. With ten classes **label smoothing** of 0.1 replaces the target "class 3 with probability 1" by 0.91 for class 3 and
# 0.01 for each of the other nine (0.9, and 0.1 shared by all ten), so that the model is not rewarded for ever larger logits.

# %% [markdown] predict="accuracy"
# CIFAR-10 has ten classes, so guessing gives 10% (25% on the course's own images, which have four). Small convolutional networks reach 94% on all of CIFAR-10 (Jordan 2024). What will this small ViT reach
# on 12,000 images in under three minutes of CPU time, and will its training accuracy be far above its test accuracy?

# %% [markdown] answer="accuracy"
# 52.3 % in this run, and 54.8 % on the (shifted and mirrored) training images: 2.5 points more, measured as a mean over the last epoch. In six passes both accuracies still rise; the
# network has not memorised its images. It is undertrained rather than overfitted.

# %% seconds=180
if ready("ViT"):
    seed_everything(0)
    shape = budget.pick(
        smoke={"dim": 32, "depth": 1, "num_heads": 2},
        cpu={"dim": 128, "depth": 4, "num_heads": 4},
        gpu={"dim": 192, "depth": 9, "num_heads": 6, "drop_path": 0.1},
    )
    small = ViT(32, 4, mlp_ratio=2.0, num_classes=len(classes), **shape)
    scale = {
        "mean": [0.4914, 0.4822, 0.4465],
        "std": [0.247, 0.2435, 0.2616],
    }  # of CIFAR-10's training pixels
    train = tensor_batches(
        data.train.images,
        data.train.labels,
        budget.pick(smoke=50, cpu=64, t4=256, gpu=256),
        shuffle=True,
        **scale,
        augment=lambda images, generator: flip_and_crop(images, 2, generator),
    )
    test = tensor_batches(data.test.images[:5000], data.test.labels[:5000], 500, **scale)
    history = fit(
        small,
        train,
        epochs=budget.pick(smoke=1, cpu=6, t4=60, gpu=100),
        lr=1e-3,
        validation=test,
        label_smoothing=0.1,
        max_seconds=budget.pick(smoke=60, cpu=175, t4=540, gpu=None),
        checkpoint=budget.pick(smoke=None, cpu=None, t4="vit.resume", gpu="vit.resume"),
    )
    history.summary()
    print(
        f"{count_parameters(small):,} parameters, {len(data.train):,} training images of"
        f" {source}"
    )
    fig = history.plot()
    plotting.chance(fig.axes[1], 1 / len(classes))
    plotting.show(fig, alt=history.alt())

# %% [markdown]
# Attention has to learn from examples what is built into a convolution: that neighbouring pixels belong together, and that a
# cat on the left is a cat on the right. This run had few images and few steps; it cannot show which of the two held it back more. How much
# data it takes until this no longer matters is the subject of notebook 06.
#
# ### The course's checkpoint
#
# The course ships a checkpoint of the same class, trained by `python -m utils.experiments checkpoint`. It is not this run with more time:
# it is deeper (6 blocks), saw all 50,000 images, and was trained with another optimiser (Muon) and averaged weights. We did not measure how much each of these changes contributed. (The optimiser was chosen between two by 200 steps each, on the same test images; on new images the accuracy would probably be a little lower.) Its log says on what and for how long it was trained:

# %%
head, rows = experiments.training_log()
last = rows[-1]
minutes = sum(row["seconds"] for row in rows) / 60
print(head["command"])
print(f"{head['settings']['data']}; {head['machine']}")
print(f"{len(rows)} epochs, {minutes:.0f} minutes: test accuracy {last['test_accuracy']:.1%}, "
      f"on augmented training images {last['train_accuracy_augmented']:.1%}")

# %% fold="Drawing"
fig, ax = plotting.figure(height=2.6)
series = {
    "training (augmented)": [r["train_accuracy_augmented"] for r in rows],
    "test": [r["test_accuracy"] for r in rows],
}
plotting.lines(ax, [r["epoch"] for r in rows], series, xlabel="epoch", ylabel="accuracy")
plotting.chance(ax, 0.1)
plotting.show(
    fig,
    "05/accuracy", last['test_accuracy'],
)

# %% [markdown]
# On a GPU, `python -m utils.experiments checkpoint --epochs 200 --crop 4 --device cuda` trains the same model for
# longer. That run is not part of this version of the course: no figure is given for it.

# %% [markdown]
# ### "Why is my ViT not at 97%?"
#
# The question that every forum about small ViTs gets. CIFAR-10 from scratch, unless it says otherwise:
#
# | model | CIFAR-10 | what it took | source |
# | --- | --- | --- | --- |
# | CNN `airbench94` | 94.0 | 3.3 s on an A100 | Jordan (2024) |
# | ViT, patch 4 | 80 / 85 / 89 | 200 / 500 / 1,000 epochs | `kentaroy47/vision-transformers-cifar10` |
# | ViT, 6.3M parameters | 90.9 | 200 epochs, strong augmentation | `omihub777/ViT-CIFAR` |
# | compact convolutional Transformer | 94.7 / 96.5 | 200 / 300 epochs | Hassani et al. (2021) |
# | ViT-L/16, *pretrained* on ImageNet-21k | 99.15 | 230 TPUv3-core-days | Dosovitskiy et al. (2021) |
#
# What is missing: **epochs** (a notebook that trains for minutes is at the steep beginning; look at the *training* accuracy); **augmentation** beyond flips; **a little bias** (a convolutional stem in front, notebook 06); **other people's images**. A bug, too, can be the cause; but about 50 % after three minutes on a CPU (this notebook's run), or about 70 % after an hour (its checkpoint), is not a sign of one.

# %% [markdown]
# ## 9 · Other sizes, other people's weights
#
# ### Positions for another grid
#
# A ViT is pretrained at 224 x 224 pixels and fine-tuned at 384 x 384. The patches stay 16 x 16, so there are more of them: a 24 x 24 grid in
# place of 14 x 14. Every layer but one can take a longer sentence: the position table has a row per position. It is resized like an
# image with D channels.

# %% [markdown] exercise="interpolate_positions"
# Set the CLS position aside, lay the others out as a grid, resize it (bicubic, `align_corners=False`, no antialiasing), and put all
# back together. Grids are `(rows, columns)` and need not be square.
#
# <details><summary>Hint</summary>
#
# `F.interpolate` wants the channels second: `(1, D, h, w)`.
# </details>

# %%
if ready("interpolate_positions", "ViT"):
    model = experiments.load_model(ViT)
    print(
        f"the checkpoint's grid is {model.grid}, its position table"
        f" {tuple(model.positions.shape)}"
    )
    h, w = model.grid

# %% fold="Drawing"
if ready("interpolate_positions", "ViT"):
    fig, axes = plotting.figure(1, 3, height=2.3)
    for ax, grid in zip(axes, [(h, w), (12, 12), (24, 24)], strict=True):
        positions = interpolate_positions(model.positions.detach(), (h, w), grid)
        patches = rearrange(positions[0, 1:], "(i j) d -> i j d", i=grid[0])
        place = round(0.31 * grid[0] - 0.5)  # about the same place of the image in all grids
        similarity = F.cosine_similarity(patches, patches[place, place], dim=-1)
        plotting.heatmap(
            ax, similarity, diverging=True, title=f"{grid[0]} x {grid[1]}", vmin=-1, vmax=1,
            colorbar=ax is axes[-1], label="cosine similarity", xlabel="column of patches",
            ylabel="row of patches" if ax is axes[0] else None,
        )
        ax.plot(place, place, "x", color="black")
    plotting.show(fig, "05/interpolate-positions")

# %% [markdown]
# ### Published weights
#
# If your ViT is the published one, then weights trained by somebody else must fit into it, every one, and give the same logits. Names differ
# between libraries; so does the packing: Hugging Face keeps queries, keys and values apart, timm joins them as you did, and both store
# the patch embedding as a convolution. `Checkpoint` shows either under the names of the Hub's file, and `copy_into` accepts the result
# only if nothing is missing, nothing is left over and every shape fits.

# %% [markdown] exercise="load_pretrained"
# Fill `own`: your names on the left, the Hub's on the right. A file of one block looks like this (`model.blocks` says how many
# there are):
#
# | the Hub's name | shape |
# | --- | --- |
# | `vit.embeddings.cls_token` | (1, 1, D) |
# | `vit.embeddings.position_embeddings` | (1, N + 1, D) |
# | `vit.embeddings.patch_embeddings.projection.weight`, `.bias` | (D, C, p, p), (D,) |
# | `vit.encoder.layer.0.layernorm_before.weight`, `.bias` (and `layernorm_after`) | (D,) |
# | `vit.encoder.layer.0.attention.attention.query.weight`, `.bias` (and `key`, `value`) | (D, D), (D,) |
# | `vit.encoder.layer.0.attention.output.dense.weight`, `.bias` | (D, D), (D,) |
# | `vit.encoder.layer.0.intermediate.dense.weight`, `.bias` | (4 D, D), (4 D,) |
# | `vit.encoder.layer.0.output.dense.weight`, `.bias` | (D, 4 D), (D,) |
# | `vit.layernorm.weight`, `.bias` | (D,) |
# | `classifier.weight`, `.bias` | (classes, D), (classes,) |
#
# <details><summary>Hint 1</summary>
#
# Print `list(model.state_dict())` of a small ViT of yours: those are the names on the left.
# </details>
# <details><summary>Hint 2</summary>
#
# Three things are more than a new name: the kernels become rows, queries, keys and values are stacked, and everything inside a block
# is a loop.
# </details>

# %% [markdown]
# Does it hold for the real thing? ViT-B/16, pretrained on ImageNet-21k and fine-tuned on ImageNet-1k, is 350 MB on the Hugging Face Hub. Where the Hub can't be reached
# the course's own checkpoint takes its place for all pictures below. (That the mapping fits a B/16 exactly, and that the logits then
# equal the library's, is tested in `tests/test_parity_vit.py` either way.)

# %%
published = from_hub("google/vit-base-patch16-224") if budget.name != "smoke" else None
viewed = mean = std = None
if ready("ViT", "load_pretrained"):
    if published is not None:
        state, names = published
        viewed = load_pretrained(ViT.from_config("vit_b_16", norm_eps=1e-12), state).eval()
        mean, std = torch.tensor(0.5), torch.tensor(0.5)
        title = "ViT-B/16 (google/vit-base-patch16-224)"
    else:
        viewed, names, title = (
            experiments.load_model(ViT),
            IMAGES["cifar10"].label_names,  # what it was trained on, whatever `data` holds here
            "the course's checkpoint (CIFAR-10)",
        )
        mean = torch.tensor(head["mean"]).view(3, 1, 1) / 255
        std = torch.tensor(head["std"]).view(3, 1, 1) / 255
    print(f"Pictures below: {title}, {count_parameters(viewed):,} parameters.")

# %%
if ready("ViT", "load_pretrained"):
    pixels = F.interpolate(
        data.test.images[:200].float() / 255, viewed.image_size, mode="bicubic"
    ).clamp(0, 1)
    inputs = (pixels - mean) / std  # what the model reads; `pixels` is what we look at
    with torch.no_grad():
        probabilities = viewed(inputs[: budget.pick(smoke=40, cpu=40)]).softmax(-1)
    best, answer = probabilities.max(-1)
    sure = best.argsort(descending=True)[:8]
    titles = [f"{names[answer[i]].split(',')[0]} {best[i]:.0%}" for i in sure]
    truth = [classes[int(data.test.labels[i])] for i in sure]
    said = "; ".join(f"{t} (label: {c})" for t, c in zip(titles, truth, strict=True))
    if not set(classes) & {part for name in names for part in name.split(", ")}:
        print(
            "The images here have none of the classes that the model knows: no answer is right."
        )

# %% fold="Drawing"
if ready("ViT", "load_pretrained"):
    plotting.show(
        plotting.images(pixels[sure], titles=titles),
        "05/load-pretrained", title, said,
    )

# %% [markdown]
# ## 10 · Looking inside
#
# ### What does the embedding look for?
#
# Each of the D rows of the embedding is a filter of $p \times p$ pixels in colour. Their principal components show which patterns they are
# made of, most important first. The ViT paper shows the first 28.

# %%
if ready("ViT", "load_pretrained"):
    filters = viewed.patch_embedding.projection.weight.detach()  # (D, C p p)
    components, strength, directions = torch.linalg.svd(
        filters - filters.mean(0), full_matrices=False
    )
    share = strength.square() / strength.square().sum()
    p = viewed.patch_embedding.patch_size
    kernels = directions[:28].reshape(-1, 3, p, p)

# %% fold="Drawing"
if ready("ViT", "load_pretrained"):
    fig = plotting.images(kernels, cols=7, rescale="each")
    plotting.show(fig, "05/looking-inside", title, p, p)
    print(
        f"Of {min(filters.shape)} components, the first four hold {share[:4].sum():.0%} of the"
        f" variance, the 28 shown {share[:28].sum():.1%}."
    )

# %% [markdown]
# On the course's checkpoint the first components are mostly grey patterns of edges and spots (the very first is a dark centre with a light border). A few are flat or slowly changing colours (the second, fourth and seventh). The last ones look like noise. But they are *not* simply ordered from smooth to fine. (The 28 shown hold all of the variance, to a tenth of a
# per cent: the other 20 of the 48 directions that a 4 x 4 patch in colour has are next to unused. Why was not tested. For the 768 numbers of a
# 16 x 16 patch it would be more remarkable.)
#
# ### Where does the model think a patch is?
#
# The cosine similarity of each position embedding to all others, one small map per position, arranged as the patches are.

# %% [markdown] predict="positions"
# The table of positions began as noise, and rows and columns were never mentioned. What will the map of a position in a corner look like? And that of one in the middle? Two tables will be drawn. The first model was trained on images of which half, chosen at random, were mirrored (left and right exchanged). The second model saw no mirrored images. What will differ?

# %% [markdown] answer="positions"
# A position in a top corner is like the top row and the edges of the image, the other corner included; one in the middle is like a small spot around itself. Direct neighbours come out high (0.74 on average for the right neighbour in the first table). One thing is hard to foresee: the position *mirrored left to right* is higher still, and without mirrored images it is as high as a neighbour. The text below the picture says where that may come from.

# %%
def alike(positions: Tensor) -> Tensor:
    """(1, 1 + N, D) -> (N, N): cosine similarity of each patch's position to all."""
    patches = F.normalize(positions.detach()[0, 1:], dim=-1)
    return patches @ patches.T


def by_kind(cosine: Tensor) -> dict[str, float]:
    """(N, N) -> mean similarity of two positions, by how they lie to each other."""
    side = math.isqrt(len(cosine))
    place = torch.arange(side**2).view(side, side)
    pairs = {
        "right neighbour": (place[:, :-1], place[:, 1:]),
        "neighbour below": (place[:-1], place[1:]),
        "mirrored left to right": (place[:, : side // 2], place.flip(1)[:, : side // 2]),
        "mirrored top to bottom": (place[: side // 2], place.flip(0)[: side // 2]),
        "same column, three or more rows away": (place[:-3], place[3:]),
        "all pairs": (place.flatten()[:, None], place.flatten()),
    }
    return {name: cosine[one, other].mean().item() for name, (one, other) in pairs.items()}


# %%
if ready("ViT", "load_pretrained"):
    tables = {
        "half of the images mirrored": experiments.load_model(ViT).positions,
        "no image mirrored": experiments.load_model(ViT, experiments.UNMIRRORED).positions,
    }
    if published is not None:
        tables[title] = viewed.positions
    cosines = {name: alike(positions) for name, positions in tables.items()}
    average = data.train.images.float().mean(0)  # (3, 32, 32), grey levels
    flipped = [(average - average.flip(axis)).abs().mean().item() for axis in (2, 1)]
    print(
        f"The mean of {len(data.train):,} training images differs from its mirror image by"
        f" {flipped[0]:.1f} of 255 grey levels, from itself upside down by {flipped[1]:.1f}."
    )

# %% fold="Drawing"
if ready("ViT", "load_pretrained"):
    fig, axes = plotting.figure(1, len(tables), width=4.7 * len(tables), height=4.4)
    said = []
    for ax, (name, cosine) in zip(axes, cosines.items(), strict=True):
        side = math.isqrt(len(cosine))
        maps = rearrange(cosine, "(a b) (i j) -> a b i j", a=side, i=side)
        tiles = F.pad(maps, (0, 1, 0, 1), value=math.nan)  # a grey line between the maps
        whole = rearrange(tiles, "a b i j -> (a i) (b j)")[:-1, :-1]
        plotting.heatmap(
            ax, whole, diverging=True, vmax=1, label="cosine similarity", title=name
        )
        ax.set_axis_off()
        found = "; ".join(f"{kind} {value:.2f}" for kind, value in by_kind(cosine).items())
        said.append(f"{name}: {found}")
    plotting.show(fig, "05/positions", side, side, ". ".join(said))
    print(*said, sep="\n")

# %% [markdown]
# In the first table neighbours are alike, as expected, and there is a surprise: the position *mirrored left to right* is more alike still (0.84). No position is near its mirror image except in the middle, so distance is not the reason. From top to bottom nothing of the kind is seen (0.15).
#
# **We had put it down to the augmentation, and that is not the whole of it.** Where half of the images are mirrored, a patch on the left and its mirror image on the right see the same contents. So a second checkpoint was trained, alike but for that (`--no-mirror`). In its table the mirrored position is less alike, 0.74, but still as much as a neighbour (0.73), and mirroring cannot be the reason. A likely one is in the photographs: few of them prefer left to right, nearly all have an above and a below. Their mean image hardly differs from its mirror image (0.5 grey levels), and much from itself upside down (11.9). So a symmetry of the augmentation has been written into the weights, and, it seems, one of the data, too. (One training each. With mirrored images the test accuracy was 70.9 %, without 71.7 %.)

# %% [markdown]
# ### Where do the heads look?
#
# The attention of the CLS token to the patches, head by head, in one layer. Dark is where it looks. Each map has a scale of its own (the largest weight
# stands above it), because the weights of one head can be many times those of another; evenly spread they would be 1.5 % each on an 8 x 8 grid.


# %%
def beside(images: list[Tensor], maps: list[list[Tensor]], names: list[str]) -> tuple:
    """A row per image: the image, then its maps (N,) of weights of the patches, each on its own
    scale; returns the figure and the largest weight of each map."""
    rows, columns = len(images), 1 + len(names)
    fig, axes = plotting.figure(rows, columns, width=1.6 * columns, height=1.75 * rows)
    for line, image, row in zip(axes, images, maps, strict=True):
        line[0].imshow(image.permute(1, 2, 0))
        for ax, name, weights in zip(line[1:], names, row, strict=True):
            plotting.heatmap(ax, weights.view(viewed.grid), colorbar=False, vmin=0)
            ax.set_title(f"{name}: up to {weights.max():.1%}", fontsize=8)
        for ax in line:
            ax.set(xticks=[], yticks=[])
    return fig, [[weights.max().item() for weights in row] for row in maps]

# %% fold="Drawing"
if ready("ViT", "load_pretrained", "SelfAttention"):
    chosen = sure[:3]
    maps = viewed.attention_maps(inputs[chosen])  # (L, 3, H, N + 1, N + 1)
    layer = len(viewed.blocks) * 2 // 3
    heads = min(6, maps.shape[2])
    fig, largest = beside(
        [pixels[i] for i in chosen],
        [[maps[layer, i, k, 0, 1:] for k in range(heads)] for i in range(len(chosen))],
        [f"head {k}" for k in range(heads)],
    )
    ends = min(map(min, largest)), max(map(max, largest))
    plotting.show(fig, "05/where-do-the-heads-look", heads, layer, *ends)

# %% [markdown]
# Every patch asks, not only CLS. Choose a picture, a block, a head and a patch (the framed one), and see where it looks. Do you find a head that looks
# at the same place in all four pictures, and one whose place depends on what is there?

# %%
if ready("ViT", "load_pretrained", "SelfAttention"):
    every = viewed.attention_maps(inputs[sure[:4]])  # (L, 4, H, N + 1, N + 1)
    side = viewed.patch_embedding.patch_size

    def look(picture, block, head, patch):
        row, column = divmod(patch, viewed.grid[1])
        fig, (left, right) = plotting.figure(1, 2, width=5.8, height=2.7)
        left.imshow(pixels[sure[picture]].permute(1, 2, 0))
        frame = {"fill": False, "edgecolor": plotting.COLORS["orange"], "linewidth": 2}
        left.add_patch(
            plt.Rectangle((column * side - 0.5, row * side - 0.5), side, side, **frame)
        )
        left.set_axis_off()
        weights = every[block, picture, head, 1 + patch, 1:].view(viewed.grid)
        plotting.heatmap(
            right, weights, title=f"block {block}, head {head}", label="attention weight"
        )
        right.plot(column, row, "s", color=plotting.COLORS["orange"], markerfacecolor="none")
        return fig

    def where(picture, block, head, patch):
        weights = every[block, picture, head, 1 + patch, 1:]
        (row, column), (y, x) = divmod(patch, viewed.grid[1]), divmod(
            int(weights.argmax()), viewed.grid[1]
        )
        return plotting.described(
            "05/where-do-the-heads-look-2", block, head, row, column, y, x, weights.max()
        )

    layers, _, heads, tokens = every.shape[:4]
    plotting.explore(
        look, where, picture=range(4), block=range(layers), head=range(heads),
        patch=range(tokens - 1), start={"patch": (tokens - 1) // 2 - viewed.grid[1] // 2},
    )

# %% [markdown]
# ### Through all layers: attention rollout
#
# One layer's map tells where *that layer* looks, but by then a token is a mixture of many patches. Rollout (Abnar and Zuidema 2020)
# follows the mixing through all layers. Per layer, average the heads' weights $A$, add the identity for the residual connection,
# normalise the rows, and multiply:
#
# $$\tilde A_l = \mathrm{rownorm}(A_l + I), \qquad R = \tilde A_L \cdots \tilde A_2\, \tilde A_1.$$
#
# It is an approximation: values, MLPs and norms are left out.

# %% [markdown] exercise="attention_rollout"
# Write the product. Mind the order: the first layer acts first, so it stands on the right.

# %%
if ready("ViT", "load_pretrained", "attention_rollout"):
    chosen = sure[:3]
    maps = viewed.attention_maps(inputs[chosen])
    halfway = len(maps) // 2
    # (B, N) each: what reaches CLS from each patch, after half of the layers and after all
    rollouts = {
        f"{depth} layers": attention_rollout(maps[:depth])[:, 0, 1:]
        for depth in (halfway, len(maps))
    }

# %% fold="Drawing"
if ready("ViT", "load_pretrained", "attention_rollout"):
    fig, largest = beside(
        [pixels[i] for i in chosen],
        [[rollout[i] for rollout in rollouts.values()] for i in range(len(chosen))],
        list(rollouts),
    )
    plotting.show(fig, "05/attention-rollout", len(chosen), title)
    for depth in (1, len(maps) // 2, len(maps)):
        part = attention_rollout(maps[:depth])[:, 0]
        entropy = -(part * part.clamp_min(1e-12).log2()).sum(-1).mean()
        print(
            f"after {depth:2} layers: CLS keeps {part[:, 0].mean():.0%} of itself, its sources"
            f" spread over {2**entropy:.0f} tokens"
        )

# %% [markdown]
# Read the printed lines with the maps. In the stored run the sources of CLS spread over 59 of 65 tokens after all six
# layers: rollout is then not far from an even average, and the largest weight (above each map) is two to three times
# the even share of 1.5 %. By averaging over heads and adding the identity, rollout probably mixes the tokens more than the network itself does.
# So it is one way to look, and no statement about what decided the answer.

# %% [markdown]
# ## 11 · Who makes better use of the machine?
#
# The lecture claims that ViTs make more efficient use of GPU hardware, and asks why. A claim about efficiency is a claim about achieved
# operations per second, so it can be measured. Two models with about the same multiply-adds: your `vit_cifar` (0.188 G) and a ResNet
# of ResNet-18's shape (0.217 G). Every operation is timed by itself and put down to its kind.

# %% [markdown] predict="hardware"
# A matrix product does many operations for each number it loads; a norm or an activation does hardly any. Which share of its time
# will each model spend in products or convolutions, and which model will achieve more operations per second *on this CPU*? Would you
# expect the same order on a GPU?

# %% [markdown] answer="hardware"
# Products take 72 % of the ViT's time, convolutions 94 % of the ResNet's. On this CPU the ResNet achieves more operations per second (188 against 151 GFLOP/s over everything), not the ViT. Its convolutions run nearly as fast as the large matrix product named in the first line. (Another library computes them: oneDNN the convolutions, BLAS the product.) The lecture's claim is about GPUs, and this measurement
# neither supports nor refutes it.

# %%
if ready("ViT"):
    batch = torch.randn(budget.pick(smoke=4, cpu=64, gpu=512), 3, 32, 32)
    device = torch.device("cuda" if budget.name in ("t4", "gpu") else "cpu")
    models = {
        "ViT": ViT.from_config("vit_cifar"),
        "ResNet": cost.throughput.residual_network(40),
    }
    found = {
        name: cost.throughput.shares(model.to(device), batch.to(device))
        for name, model in models.items()
    }
    print(
        f"{describe_machine()}; a large matrix product:"
        f" {cost.throughput.best_matmul(device) / 1e9:.0f} GFLOP/s"
    )
    print(cost.throughput.table(found, len(batch)))

# %% fold="Drawing"
if ready("ViT"):
    fig, axes = plotting.figure(1, 2, height=2.5)
    longest = 1e3 * max(s.seconds for kinds in found.values() for s in kinds)
    colors = {"ViT": plotting.COLORS["orange"], "ResNet": plotting.COLORS["blue"]}
    for ax, (name, kinds) in zip(axes, found.items(), strict=True):
        plotting.bars(
            ax, {s.kind: 1e3 * s.seconds for s in kinds}, colors=colors[name],
            xlabel=f"{name}: ms per batch of {len(batch)}",
        )
        ax.set_xlim(0, 1.3 * longest)  # both panels on one scale
        ax.set_xticks(range(0, int(longest) + 1, max(1, int(longest) // 3)))
    said = "; ".join(
        f"{n}: " + ", ".join(f"{s.kind} {1e3 * s.seconds:.1f} ms" for s in k)
        for n, k in found.items()
    )
    plotting.show(fig, "05/hardware", said)

# %% [markdown]
# Read the table in three steps. (Here one multiply-add counts as two operations, FLOP; in section 7 the papers count it as one.)
#
# 1. **Where are the multiply-adds?** In the ViT nearly all are in matrix products of four shapes, the same in every
#    block; in the ResNet they are spread over convolutions whose shape changes from stage to stage.
# 2. **What does each kind achieve?** Compare the GFLOP/s with the large matrix product above the table. `FLOP/byte` tells how
#    often a loaded number is used; where it is low, memory sets the pace.
# 3. **What is the rest?** Norms, activations and additions have no multiply-adds worth counting and still take time.
#
# On the CPU of the stored run the ResNet is ahead (the two lines "all"), the opposite of the lecture's claim. Its convolutions run at 198 GFLOP/s, nearly as fast as
# the "large matrix product" of the first line (204); the ViT's own products run at 184, and its attention at 70, in which it spends 17 % of its time. The
# first line is not a ceiling of the machine: it is what the library for products (BLAS) reached at that moment, and convolutions are computed by another
# library (oneDNN). The lecture's claim is about GPUs and TPUs, whose units are built for large matrix products. It has to be measured there:
#
# `python -m utils.cost.throughput --model solutions.vit:ViT --device cuda --batch 1024`
#
# (no GPU was at hand when the outputs of this notebook were stored, so no GPU figure is given).

# %% [markdown]
# ## Summary
#
# - An image becomes a sentence by cutting; the patch embedding is a linear layer, and a strided convolution, and both are equal.
# - The rest is the encoder of notebook 01: pre-norm blocks, a CLS token, a table of positions. Without the table the model sees
#   a bag of patches.
# - Your class loads published weights strictly. Parameters and multiply-adds of a table can be recomputed, and then understood.
# - Trained from random weights on few images and in few steps the ViT reached 52 % on CIFAR-10 in the stored run; what it lacks is the subject of notebook 06.
#
# **Open questions.** What would change if patches overlapped? Why do published ViTs read CLS, when averaging works as well (Beyer et al.
# 2022)? What would you see in the position maps of a model trained on shuffled patches?
#
# ## Further reading
#
# - Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, Dirk Weissenborn, Xiaohua Zhai, Thomas Unterthiner, Mostafa Dehghani, Matthias
#   Minderer, Georg Heigold, Sylvain Gelly, Jakob Uszkoreit, Neil Houlsby (2021). *An Image is Worth 16x16 Words: Transformers for
#   Image Recognition at Scale.* ICLR.
# - Hugo Touvron, Matthieu Cord, Matthijs Douze, Francisco Massa, Alexandre Sablayrolles, Hervé Jégou (2021). *Training data-efficient image
#   transformers & distillation through attention.* ICML.
# - Ali Hassani, Steven Walton, Nikhil Shah, Abulikemu Abuduweili, Jiachen Li, Humphrey Shi (2021). *Escaping the Big Data Paradigm with
#   Compact Transformers.* arXiv:2104.05704.
# - Keller Jordan (2024). *94% on CIFAR-10 in 3.29 Seconds on a Single GPU.* arXiv:2404.00498. (A small convolutional network.)
# - Lucas Beyer, Xiaohua Zhai, Alexander Kolesnikov (2022). *Better plain ViT baselines for ImageNet-1k.* arXiv:2205.01580.
# - Samira Abnar, Willem Zuidema (2020). *Quantifying Attention Flow in Transformers.* ACL.
# - Gao Huang, Yu Sun, Zhuang Liu, Daniel Sedra, Kilian Q. Weinberger (2016). *Deep Networks with Stochastic Depth.* ECCV.
# - Samuel Williams, Andrew Waterman, David Patterson (2009). *Roofline: An Insightful Visual Performance Model for Multicore
#   Architectures.* Communications of the ACM 52(4).
