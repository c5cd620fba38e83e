# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 04 · Attention meets images
#
# A sentence has twenty words. An image has thousands of pixels. How can attention, which compares everything with
# everything, work on an image? The lecture has four ideas. This notebook builds the first three, and then works out and measures
# what they cost, and what the fourth, ViT, saves.
#
# | idea | who may look at whom | papers |
# | --- | --- | --- |
# | 1 | a CNN as always, plus a layer in which all pixels of a *feature map* look at each other | Wang et al. 2018, Zhang et al. 2019 |
# | 2 | each pixel at the window around it; this takes the place of a convolution | Ramachandran et al. 2019 |
# | 3 | all pixels of the image at each other, in a plain Transformer | Chen et al. 2020 |
# | 4 | all *patches* at each other, in a plain Transformer | Dosovitskiy et al. 2021, next notebook |
#
# **Goals.** After this notebook you can
#
# - add self-attention to a CNN so that it changes nothing at first, and name a task on which it helped and one on which it did not;
# - replace a convolution by local attention, treat the border properly, and say what the two have in common;
# - feed an image to a Transformer pixel by pixel, and show what it can't know without positions;
# - compute, *and measure*, what each idea costs as the image grows.
#
# **You need** notebook 01 (attention, encoder layer). What you have not solved there is replaced by the library's version.
#
# **Time.** About two hours of reading and coding. All cells together ran for five minutes on two CPU cores;
# those that train or measure print how long they took.

# %%
import math
import time

import torch
import torch.nn.functional as F
from einops import rearrange
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from utils import cost, current_budget, describe_machine, plotting
from utils.checks import check, ready, reuse
from utils.data import DigitPairs, load_images
from utils.experiments import find, judge, paired_difference, recorded, select
from utils.training import count_parameters, fit, normalize, seed_everything, tensor_batches

budget = current_budget()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# ## 1 · Who may look at whom?
#
# To attention an image is a *set*: N = H · W pixels, each a vector of C numbers. Four layers differ first of all in which pixels a
# pixel gets to see. Here is one query pixel (marked) of a 12 x 12 image:

# %%
side = 12
rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
row, column = 3, 8  # the query
distance = torch.maximum((rows - row).abs(), (columns - column).abs())
patches = (rows // 3 + columns // 3) % 2  # only to draw the grid of patches
views = {
    "convolution 3 x 3": (distance <= 1).float(),
    "local attention 5 x 5": (distance <= 2).float(),
    "pixel attention": torch.ones(side, side),
    "patch attention, p = 3": 0.75 + 0.25 * patches,
}

# %% fold="Drawing"
fig, axes = plotting.figure(1, 4, height=2.1)
for ax, (name, view) in zip(axes, views.items(), strict=True):
    plotting.heatmap(ax, view, title=name, vmin=0, vmax=1.6, colorbar=False)
    ax.set_title(name, fontsize=8.5)
    ax.set(xticks=[], yticks=[])
    ax.plot(column, row, "*", color=plotting.COLORS["orange"], markersize=10)
axes[3].add_patch(
    Rectangle((5.5, 2.5), 3, 3, fill=False, edgecolor=plotting.COLORS["orange"], linewidth=1.5)
)
alt = plotting.described("04/who-may-look-at-whom")
plotting.show(fig, alt=alt)

# %% [markdown]
# The second difference: a convolution weighs what it sees by *where* it is (one learned matrix per place of the window, the same for every
# image). Attention weighs it by *what* it is: the weights are computed anew from the content of each pair.

# %% [markdown]
# ## 2 · Idea 1: attention inside a CNN
#
# Take a CNN that works. Somewhere in the middle, where the feature map is small, let every pixel collect information from all others. With a 1x1
# convolution for queries, keys, values and the output (a 1x1 convolution is a linear layer that is applied to each pixel):
#
# $$q_n = W_q x_n + b_q, \quad k_n = W_k x_n + b_k, \quad v_n = W_v x_n + b_v \qquad n = 1 \dots N, \; N = HW$$
#
# $$A = \mathrm{softmax}\!\Big(\frac{QK^\top}{\sqrt d}\Big) \;\; (N, N), \qquad y_n = x_n + \gamma \,\Big(W_o \sum_m A_{nm} v_m + b_o\Big)$$
#
# Two details let it be added to any network. The *residual connection*: what comes in goes out, and attention only adds. The *gate* $\gamma$, one
# learned number that starts at **zero**: before training the layer does nothing at all, and it enters only as far as training makes the gate grow. So
# you can put it even into a trained network. (The layout is the non-local block's of Wang et al. 2018, the gate SAGAN's, Zhang et al. 2019. Both
# leave out the $\sqrt d$; we keep the Transformer's.)

# %%
B, C, H, W, d = 2, 64, 8, 6, 16
parts = [
    ("query, key, value: 1x1 convolutions", f"3 x ({B}, {d}, {H}, {W})"),
    ("flatten the map", f"3 x ({B}, {d}, {H * W})"),
    ("scores, softmax over the keys", f"({B}, {H * W}, {H * W})"),
    ("average the values", f"({B}, {d}, {H * W})"),
    ("fold, output: 1x1 convolution", f"({B}, {C}, {H}, {W})"),
    ("x + gamma · ...", f"({B}, {C}, {H}, {W})"),
]
fig = plotting.flow(
    parts, title=f"SelfAttention2d({C}, head_channels={d}) on a map of {H} x {W} pixels"
)
plotting.show(
    fig,
    "04/idea-1-attention-inside-a-cnn",
    ", then ".join(f"{name} {shape}" for name, shape in parts),
)

# %% [markdown] exercise="SelfAttention2d"
# Three places: the layers (with their names from the docstring), the attention weights, the forward pass. The map need not be square.
#
# <details><summary>Hint: from a map to a set and back</summary>
#
# `x.flatten(2)` makes `(B, d, H, W)` into `(B, d, N)`, row after row. `y.unflatten(2, (H, W))` undoes it. Both only work if the pixels are the *last*
# axis.
# </details>
#
# <details><summary>Hint: which product?</summary>
#
# Write the shapes next to each other. Scores: (N, d) times (d, N). The average for query n runs over row n of the weights.
# </details>

# %% [markdown]
# Did you build something new? Take `nn.MultiheadAttention` with one head, hand it *your* 1x1 kernels as matrices, and give it the pixels as a
# sequence:

# %%
if ready("SelfAttention2d"):
    seed_everything(0)
    layer, x = SelfAttention2d(6).double(), torch.randn(2, 6, 3, 5, dtype=torch.float64)
    nn.init.constant_(layer.gamma, 0.7)  # open the gate
    library = nn.MultiheadAttention(6, num_heads=1, batch_first=True).double()
    with torch.no_grad():
        kernels = [layer.query, layer.key, layer.value]
        library.in_proj_weight.copy_(torch.cat([part.weight.flatten(1) for part in kernels]))
        library.in_proj_bias.copy_(torch.cat([part.bias for part in kernels]))
        library.out_proj.weight.copy_(layer.output.weight.flatten(1))
        library.out_proj.bias.copy_(layer.output.bias)
    sequence = rearrange(x, "b c h w -> b (h w) c")
    attended, _ = library(sequence, sequence, sequence)
    expected = x + 0.7 * rearrange(attended, "b (h w) c -> b c h w", h=3)
    print(f"Largest difference to the library: {(layer(x) - expected).abs().max().item():.1e}.")

# %% [markdown]
# It is notebook 01's attention; the image enters only through `flatten`.
#
# ### Where does it help?
#
# A convolution builds features out of neighbours. What it can't do in one step is to compare two things in different parts of an image. So here are pictures of two handwritten digits: a 0, a 1 or a 2 each, in red, green or blue, each in a different quarter of the picture. The label says what the two have in common. One digit alone says nothing about the label. No scan of a digit is in both training and test pictures.

# %%
pairs = load_images(
    "digit pairs",
    train=budget.pick(smoke=256, cpu=16_000),
    test=budget.pick(smoke=128, cpu=2_000),
)
names = [pairs.label_names[label] for label in pairs.test.labels[:8]]

# %% fold="Drawing"
fig = plotting.images(pairs.test.images[:8], titles=names, cols=4)
plotting.show(
    fig,
    "04/where-does-it-help",
)

# %% [markdown]
# The CNN is small on purpose: three convolutions, of which the last works on an 8 x 8 map, and a mean over the map. `middle` is the place where
# attention will be put.


# %%
def conv_block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class SmallCNN(nn.Module):
    """Images (B, 3, 32, 32) -> logits (B, num_classes). `middle` gets a feature map (B, 64, 8,
    8) and returns one."""

    def __init__(self, num_classes: int, middle: nn.Module):
        super().__init__()
        self.stem = nn.Sequential(conv_block(3, 32, stride=2), conv_block(32, 64, stride=2))
        self.middle = middle
        self.tail = conv_block(64, 64, stride=1)
        self.head = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)  # (B, 3, 32, 32) -> (B, 64, 8, 8)
        x = self.tail(self.middle(x))
        return self.head(x.mean(dim=(2, 3)))  # (B, 64) -> (B, num_classes)


# %% [markdown]
# If accuracy rises with attention, is it *attention*, or only that information travels across the map at all? A third network tells: the same layer
# with the queries frozen at zero. All scores are zero then, every pixel gets the plain average over the map, and nothing is selected.

# %%
if ready("SelfAttention2d"):

    def make_middle(kind: str) -> nn.Module:
        """What stands in the middle of the CNN."""
        if kind == "no attention":
            return nn.Identity()
        layer = SelfAttention2d(64)
        if kind == "plain average":
            for parameter in layer.query.parameters():
                nn.init.zeros_(parameter).requires_grad_(False)
        return layer

    x = torch.randn(2, 64, 8, 8)
    weights = make_middle("plain average").weights(x)
    print(
        f"Frozen queries: every weight is 1/64 = {1 / 64:.4f}; smallest {weights.min():.4f},"
        f" largest {weights.max():.4f}."
    )
    print(f"Fresh layer: output equals input: {torch.equal(make_middle('attention')(x), x)}.")

# %% [markdown] predict="pairs"
# Three networks learn what the digits have in common: without attention, with the plain average, with attention. There are four classes, so guessing gives 25%; who knows the colours alone, or the digits alone, reaches 50%. Which
# accuracy on test images do you expect from each? And where will the gate $\gamma$ of the two end up?

# %% [markdown] answer="pairs"
# In this run: 41.4 % without attention, 51.7 % with the plain average, 92.3 % with attention. The gates end at -0.08 (average) and -0.07.

# %% seconds=150
if ready("SelfAttention2d"):
    train = tensor_batches(pairs.train.images, pairs.train.labels, 64, shuffle=True)
    test = tensor_batches(pairs.test.images, pairs.test.labels, 500)
    histories, networks = {}, {}
    for kind in ("no attention", "plain average", "attention"):
        seed_everything(0)
        networks[kind] = SmallCNN(4, make_middle(kind))
        histories[kind] = fit(
            networks[kind],
            train,
            epochs=budget.pick(smoke=2, cpu=10),
            lr=4e-3,
            validation=test,
            progress="bar",
        )
        gate = getattr(networks[kind].middle, "gamma", None)
        said = "" if gate is None else f", gamma {gate.item():+.2f}"
        seen, measured = histories[kind], count_parameters(networks[kind])
        print(
            f"{kind}: {seen.validation_accuracy[-1]:.1%} on test images,"
            f" {seen.train_accuracy[-1]:.1%} in training{said}; {measured:,} parameters,"
            f" {seen.total_seconds:.0f} s."
        )

# %%
if ready("SelfAttention2d"):
    epochs = range(1, max(map(len, histories.values())) + 1)
    curves = {kind: history.validation_accuracy for kind, history in histories.items()}

# %% fold="Drawing"
if ready("SelfAttention2d"):
    fig, ax = plotting.figure(width=5.4)
    plotting.lines(
        ax, torch.tensor(list(epochs)), curves, xlabel="epoch", ylabel="accuracy on test images"
    )
    plotting.chance(ax, 0.25)
    ends = ", ".join(f"{kind} {values[-1]:.0%}" for kind, values in curves.items())
    plotting.show(fig, "04/pairs", ends)
    half = 1.96 * (0.25 / len(pairs.test)) ** 0.5
    print(
        f"{len(pairs.test):,} test images: a difference below about {half * 2**0.5:.1%}"
        " between two networks means nothing; and this is one seed."
    )

# %%
if ready("SelfAttention2d"):
    labels = pairs.test.labels
    for kind, network in networks.items():
        with torch.no_grad():
            answers = network.cpu().eval()(normalize(pairs.test.images)).argmax(-1)
        colour = ((answers % 2 == 0) == (labels % 2 == 0)).float().mean()
        digit = ((answers < 2) == (labels < 2)).float().mean()
        print(f"{kind}: same colour or not {colour:.1%} right, same digit or not {digit:.1%}.")

# %% [markdown]
# In the stored run attention is 41 points ahead of the plain average, and the lines above say in what. With the plain average the network knows whether the two *colours* are alike (100.0 %), and guesses about the digits (51.7 %). With attention it knows both (92.3 % for the digits). Without either layer the colours are told in 83.0 % in this run; some of the seeds recorded below reach what all colours and no digits would give. The noise is larger than printed: the 2,000 test pictures are made of 108 scans.
#
# The attention network stays at one half for three epochs. (A guess at the reason: its gate starts closed, and selecting is of use only once the scores have learned something.) And the gates end small and negative: the sign means nothing, since the output convolution can turn it round, and a small gate in front of large values is not a weak layer.
#
# One seed can be luck, so here is the recorded experiment `digit-pairs`: the same network and layers, five seeds, as many steps as above and twice as many, a learning rate tuned for each (0.004, 0.0005 and 0.002; above it is 0.004 for all three).

# %%
recorded_pairs = recorded("digit-pairs")
if recorded_pairs:
    plotting.show(*find("digit-pairs").figures(recorded_pairs)["accuracy"])
    for arm, steps in (("steps", "2,500"), ("twice the steps", "5,000")):
        some = select(recorded_pairs, arm=arm)
        ahead = paired_difference(some, "attention", "plain average")
        print(
            f"{steps} steps: attention minus plain average"
            f" {100 * ahead.mean:+.1f} ± {100 * ahead.half:.1f} points over {ahead.n} seeds"
        )
        each = [row["test_accuracy"] for row in select(some, model="attention")]
        print("  attention, each seed:", ", ".join(f"{value:.1%}" for value in each))
    for verdict in judge("digit-pairs", recorded_pairs):
        print(f"{verdict.outcome}: {verdict.prediction}")

# %% [markdown]
# **Attention learns the comparison, in some seeds earlier than in others.** After 2,500 steps, as many as above, the five seeds are right on 52.2 to 95.6 %, 79.2 ± 22.8 % on average: we had expected more than 80. After 5,000 steps each of them is above 96 %. The plain average is at one half after 2,500 and after 5,000 steps (49.9 ± 0.5 %); more were not tried. The two layers differ in one thing: whether the queries learn. So it is weights that depend on the *content* that help here, and not a way over the map alone.
#
# Where does it look? The next cell asks that of the network that you have just trained.

# %%
if ready("SelfAttention2d"):
    network = networks["attention"].cpu()
    # (B, 2): in which quarter of the picture each digit lies
    places = DigitPairs("test").parts(0, len(pairs.test))["quarter"]
    with torch.no_grad():
        weights = network.middle.weights(network.stem(normalize(pairs.test.images)))
    # (B, 64, 64) -> (B, 4, 4): how much the 16 queries of a quarter give to each quarter
    folded = rearrange(
        weights, "b (r y c x) (s v d u) -> b (r c) (s d) (y x) (v u)",
        r=2, c=2, s=2, d=2, y=4, x=4, v=4,
    )  # fmt: skip
    given = folded.sum(-1).mean(-1)
    at = torch.arange(len(places))[:, None]
    own, other = (given[at, places, to].mean() for to in (places, places.flip(1)))
    print(
        f"Queries in a digit's quarter give it {own:.0%} of their weight, the other digit's"
        f" quarter {other:.0%}, the two empty ones {1 - own - other:.0%}."
    )

# %% fold="Drawing"
if ready("SelfAttention2d"):
    fig, axes = plotting.figure(2, 5, height=3.3)
    # (B, 8, 8): how much each cell is looked at, on average over all queries
    received = weights.mean(dim=1).unflatten(1, (8, 8))
    for k in range(5):
        axes[0, k].imshow(pairs.test.images[k].permute(1, 2, 0))
        axes[0, k].set_axis_off()
        plotting.heatmap(axes[1, k], received[k], colorbar=False, vmin=0)
        axes[1, k].set(xticks=[], yticks=[])
    top = received[:5].flatten(1).sort(descending=True).values[:, :8].sum(1).mean()
    alt = plotting.described("04/pairs-2", top)
    plotting.show(fig, alt=alt)
    entropy = -(weights * weights.clamp_min(1e-12).log()).sum(-1)  # (B, 64) nats, per query
    print(
        f"Entropy of the weights: mean {entropy.mean():.2f}, smallest {entropy.min():.2f} nats"
        f" (plain average: {math.log(64):.2f})."
    )

# %% [markdown]
# In these five pictures one or two cells get far more than their share, and they lie on a digit: many queries read the same place. Does each digit look at the *other*? Not in this network. Queries in a digit's quarter give 32 % to it, 33 % to the other's and 35 % to the two empty ones; evenly spread that would be 25, 25 and 50 %. An entropy of $h$ nats is a spread over about $e^h$ cells: in the stored run $e^{2.81} = 17$ of 64 at the mean entropy, one cell at the smallest. Don't read such maps as explanations. They say where information is fetched, not what the network makes of it.
#
# ### And on photographs?
#
# The pairs were made so that attention helps. For comparison, here is a task that was not: CIFAR-10. (Where it can't be had,
# drawn images take its place, as a notice says. Their label is the texture of the disc: no comparison over a distance either.)

# %% [markdown] predict="cifar"
# Two new networks of this kind, without and with attention, learn from 10,000 photographs of CIFAR-10. How large is the difference?

# %% [markdown] answer="cifar"
# Less than a point, in the wrong direction (55.6 % without, 54.9 % with), and the noise of 2,000 test images alone is about three points. No
# difference was shown.

# %% seconds=40
photos = load_images(
    "cifar10",
    limit=budget.pick(
        smoke={"train": 256, "test": 200}, cpu={"train": 10_000, "test": 2_000}, gpu=None
    ),
)
print(photos)
if ready("SelfAttention2d"):
    train = tensor_batches(photos.train.images, photos.train.labels, 128, shuffle=True)
    test = tensor_batches(photos.test.images, photos.test.labels, 500)
    for kind in ("no attention", "attention"):
        seed_everything(0)
        network = SmallCNN(len(photos.label_names), make_middle(kind))
        seen = fit(
            network,
            train,
            epochs=budget.pick(smoke=1, cpu=6, gpu=15),
            lr=6e-3,
            validation=test,
            progress="bar",
        )
        gate = f", gamma {network.middle.gamma.item():+.2f}" if kind == "attention" else ""
        print(
            f"{kind}: {seen.validation_accuracy[-1]:.1%} on test images{gate};"
            f" {seen.total_seconds:.0f} s."
        )
    half = 1.96 * (0.25 / len(photos.test)) ** 0.5
    print(
        f"Differences below about {half * 2**0.5:.1%} are noise of the {len(photos.test):,}"
        " test images."
    )

# %% [markdown]
# On CIFAR-10 no difference was shown: what was measured (0.7 points in the stored run) is smaller than the noise. A possible reason is that to tell what a
# photograph shows, features of a neighbourhood and their mean over the map are enough for these accuracies, and little has to be compared over a
# distance. What idea 1 has shown here is a gain on a task for which this small CNN has no other means (a deeper one, or a head with a hidden layer, was not tried), and none on photographs.

# %% [markdown]
# ## 3 · Idea 2: local attention in place of a convolution
#
# If a layer of attention can be *added* to a CNN, can it *replace* the convolutions? Looking everywhere is expensive, and a convolution doesn't do it either. So
# let each pixel attend to the k x k window around it. Ramachandran et al. (2019) replaced the 3 x 3 convolutions in the blocks of a ResNet by such a layer:
#
# $$y_n = \sum_{m \in \mathcal N_k(n)} \mathrm{softmax}_m\!\Big(\frac{q_n \cdot k_m}{\sqrt C}\Big)\, v_m \qquad \mathcal N_k(n) = \text{the window around } n$$
#
# First the windows. `F.unfold` copies the window of every pixel into a column: `(B, C, H, W)` becomes `(B, C * K, N)`
# with K = k². Once the windows are columns ("im2col"), a convolution is one matrix product.
#
# And a decision that a convolution lets you forget: **what is outside the image?** A convolution pads with zeros, and zero times a weight is nothing. In attention a
# padded zero is a *key*. Its score is $q \cdot 0 = 0$, and $e^0 = 1$ is a weight like any other. We decide: what is outside can't be attended to.
# So beside the windows we need to know which of their places are real.

# %% [markdown] exercise="neighborhoods"
# Cut out the windows, and say which places are inside the image.
#
# <details><summary>Hint: the middle axis of unfold</summary>
#
# Its C * K numbers are all K places of channel 0, then all K places of channel 1, ...: channel slowest.
# </details>
#
# <details><summary>Hint: what is inside?</summary>
#
# Don't look for zeros in the windows; a pixel may be zero (after a ReLU, many are). What would the windows of an image
# look like that is 1 everywhere?
# </details>

# %%
if ready("neighborhoods"):
    # pixels numbered 1 to 12 in reading order
    counting = torch.arange(1.0, 13).view(1, 1, 3, 4)
    windows, inside = neighborhoods(counting, 3)

# %% fold="Drawing"
if ready("neighborhoods"):
    fig, axes = plotting.figure(1, 4, height=2.0)
    shown = {"the image": counting[0, 0]} | {
        f"window of pixel {n + 1}": windows[0, 0, :, n].view(3, 3) for n in (0, 5, 11)
    }
    for ax, (name, values) in zip(axes, shown.items(), strict=True):
        hidden = values.masked_fill(values == 0, math.nan)  # here only padding is zero
        plotting.heatmap(ax, hidden, annotate=True, vmin=0, vmax=16, colorbar=False)
        ax.set_title(name, fontsize=9)
        ax.set(xticks=[], yticks=[])
    plotting.show(
        fig,
        "04/neighborhoods",
    )
    print(f"Real places in the window of each pixel: {inside.sum(0).view(3, 4).tolist()}.")

# %% [markdown]
# A corner pixel has 4 real neighbours (itself included), a pixel in the middle 9. Now attention inside the windows.

# %% [markdown] exercise="LocalAttention2d"
# Write the forward pass. Keys and values are projected first and cut into windows then; the queries need no windows. No residual: the layer takes the place of a convolution.
#
# <details><summary>Hint: shapes</summary>
#
# Queries (B, C, 1, N) next to keys (B, C, K, N): a product that broadcasts, and a sum over one axis, give the scores (B, K, N). Which axis holds the alternatives that one query
# chooses from?
# </details>

# %% [markdown]
# Two tests. A window that covers the whole image is global attention. And smaller windows are global attention with a mask, only without ever
# computing what the mask throws away.

# %%
if ready("LocalAttention2d"):
    seed_everything(0)
    x = torch.randn(2, 6, 4, 7, dtype=torch.float64)
    places = torch.stack(
        [torch.arange(28) // 7, torch.arange(28) % 7], -1
    )  # (N, 2): row and column of every pixel
    distance = (places[:, None] - places[None]).abs().amax(-1)  # (N, N)
    for k in (3, 5, 13):
        layer = LocalAttention2d(6, k).double()
        query, key, value = (
            part(x).flatten(2).transpose(1, 2) for part in (layer.query, layer.key, layer.value)
        )
        near = distance <= k // 2
        expected = F.scaled_dot_product_attention(
            query, key, value, attn_mask=near
        )  # the library's, over all pixels
        worst = (layer(x).flatten(2).transpose(1, 2) - expected).abs().max().item()
        print(
            f"k = {k:2}: {near.float().mean():4.0%} of all pairs allowed; largest difference to"
            f" masked global attention {worst:.1e}."
        )

# %% [markdown]
# ### In place of a convolution, trained
#
# Ramachandran et al. (2019) put such layers into the blocks of a ResNet. Their equation 2 is the layer above (without the division by $\sqrt C$), and it lacks something: inside its window it weighs the nine pixels by what they *hold*, and cannot tell where they lie. Exchange left and right, and the pixel in the middle
# gets the same. So their equation 3 adds to each key a learned vector for its place relative to the query.
#
# The recorded experiment `local-attention` asks what that is worth. One small CNN: a convolutional stem and four residual blocks with one layer of 3 x 3 each. That layer is a convolution, local attention, or local attention with relative positions. 8,000 images of CIFAR-10, 400 steps of 64, ten seeds, a learning
# rate tuned for each.

# %% [markdown] predict="idea-2"
# In which order do the three come? By how many points is local attention behind the convolution, and how much of that do relative positions win back?

# %% [markdown] answer="idea-2"
# The convolution is ahead: by 4.8 ± 1.0 points of local attention without positions, by 4.1 ± 1.2 of local attention with them. What relative positions win back, 0.8 ± 1.6 points, is not larger than its interval. Written down before the first run was "5 points or more" and "more than half of it comes back". Both means miss that, and count as failed; but 5 points lie inside the first interval, so the first was near.

# %%
rows = recorded("local-attention")
if rows:
    plotting.show(*find("local-attention").figures(rows)["accuracy"])
    plain, relative = "local attention", "local attention, relative positions"
    for a, b in (("convolution", plain), ("convolution", relative), (relative, plain)):
        ahead = paired_difference(rows, a, b)
        print(
            f"{a} minus {b}: {100 * ahead.mean:+.1f} ± {100 * ahead.half:.1f} points"
            f" over {ahead.n} seeds"
        )
    for verdict in judge("local-attention", rows):
        print(f"{verdict.outcome}: {verdict.prediction}")

# %% [markdown]
# **At this size idea 2 is behind, and no gain from positions is shown.** With each of the ten seeds the convolution is ahead of both. It has more weights (42,762 against 18,442): a matrix of its own for each of the nine places. One head of attention has one value matrix for all of them, and decides only how much of each neighbour comes in.
# So exchanging the layer alone is not yet a replacement. The layers of the paper look at 7 x 7 pixels with eight heads, and were trained on ImageNet; here no layer had learned its images after 400 steps (49, 45 and 46% right in training). "Lots of tricky details; hard to implement and marginally better than CNNs", says the
# lecture. The details are in the cells above; "marginally better" is not seen here.

# %% [markdown]
# ### What the border does
#
# An image that is the same everywhere should come out the same everywhere: there is nothing to see. For a convolution that averages (all weights 1/k²) it does not: at the border a part of the
# average is padding.

# %% [markdown] predict="border"
# A constant image goes through (a) an averaging convolution with zero padding, (b) your local attention, (c) local attention that attends to the padding. Which come out constant?

# %% [markdown] answer="border"
# Only (b). The averaging convolution mixes zeros into every window that hangs over the border, so the border comes out darker; attention that
# attends to the padding does the same, because a zero key has the score 0 and $e^0 = 1$ is a weight.

# %%
if ready("neighborhoods", "LocalAttention2d"):
    flat = torch.ones(1, 1, 8, 10)
    layer = LocalAttention2d(1, 5)
    for part in (layer.query, layer.key, layer.value):
        nn.init.constant_(part.weight, 1.0)
        nn.init.zeros_(part.bias)
    keys, inside = neighborhoods(flat, 5)  # query, key and value are the image itself here
    careless = (
        (keys.sum(1).softmax(dim=1) * keys[:, 0]).sum(1).view(1, 1, 8, 10)
    )  # scores 1 * 1, and 1 * 0 outside
    outputs = {
        "convolution": F.avg_pool2d(flat, 5, 1, 2),
        "local attention": layer(flat),
        "no mask": careless,
    }

# %% fold="Drawing"
if ready("neighborhoods", "LocalAttention2d"):
    fig, axes = plotting.figure(1, 3, height=1.9)
    for ax, (name, output) in zip(axes, outputs.items(), strict=True):
        plotting.heatmap(ax, output[0, 0], vmin=0, vmax=1, colorbar=ax is axes[2])
        ax.set_title(f"{name}: corner {output[0, 0, 0, 0].item():.2f}", fontsize=8.5)
        ax.set(xticks=[], yticks=[])
    alt = plotting.described("04/border")
    plotting.show(fig, alt=alt)

# %% [markdown]
# Only the mask keeps a flat image flat. Padded zeros are not neutral, they pull the border towards zero, and the network can tell from this how near the border is. CNNs
# can use that (notebook 06 comes back to it). With attention you have the choice.
#
# ### What content-dependent weights can do
#
# A convolution applies the same weights everywhere, so an average that removes noise also blurs edges. Local attention
# can look first. No training needed, the weights can be written down: give every pixel two channels, its grey value $u$
# and $u^2$, and set
#
# $$q = \tfrac{\sqrt 2}{\sigma^2}\,(u,\, -\tfrac12), \quad k = (u,\, u^2) \quad\Rightarrow\quad \frac{q_n \cdot k_m}{\sqrt 2} = -\frac{(u_n - u_m)^2}{2\sigma^2} + \frac{u_n^2}{2\sigma^2}$$
#
# The last term is the same for all $m$, so the softmax ignores it: each pixel averages those neighbours that *look like it*. That is a classic, the range part of the bilateral filter (Tomasi and
# Manduchi 1998), close kin to the non-local means (Buades et al. 2005) after which the non-local block is named.
#
# Its opponent is not only the plain average, but the best 3 x 3 kernel that there is. Both may look at *other* photographs first: the convolution takes its kernel from them (least
# squares, no training needed), attention the width $\sigma$ that does best there.

# %% [markdown] predict="denoise"
# Noise of standard deviation 0.08 is added to grey images (values 0 to 1). Which is nearest to the clean image: the noisy one, the average over 3 x 3, the best kernel of 3 x 3, or the average over *similar* pixels within 3 x 3?

# %% [markdown] answer="denoise"
# The average over similar pixels is nearest (error 0.0496), then the plain average (0.0623), then the noisy picture (0.0800). But the plain average is
# not the best that a convolution can do: a kernel that was *fitted* comes to 0.0499.

# %%
def to_grey(split) -> Tensor:
    """Grey images with values 0 to 1, (B, 1, 32, 32)."""
    return split.images[: budget.pick(smoke=8, cpu=200)].float().mean(1, keepdim=True) / 255


def similar(noisy: Tensor, sigma: float) -> Tensor:
    """Each pixel becomes the average of its neighbours that look like it, (B, 1, H, W)."""
    layer = LocalAttention2d(2, 3).requires_grad_(False)
    for part in (layer.key, layer.value):
        part.weight.copy_(torch.eye(2)[..., None, None])
        part.bias.zero_()
    layer.query.weight.copy_(torch.tensor([[2**0.5 / sigma**2, 0], [0, 0]])[..., None, None])
    layer.query.bias.copy_(torch.tensor([0, -(2**0.5) / (2 * sigma**2)]))
    return layer(torch.cat([noisy, noisy**2], dim=1))[:, :1]


def rms_error(image: Tensor, clean: Tensor, where: Tensor | None = None) -> float:
    """Root mean square error, of all pixels or of those in `where`."""
    off = image - clean
    return (off if where is None else off[where]).square().mean().sqrt().item()


# %%
if ready("LocalAttention2d"):
    noise = torch.Generator().manual_seed(0)
    clean, others = to_grey(photos.test), to_grey(photos.train)
    noisy, worse = (x + 0.08 * torch.randn(x.shape, generator=noise) for x in (clean, others))
    columns = F.unfold(worse, 3).mT.reshape(-1, 9)  # the window of every inner pixel
    kernel = torch.linalg.lstsq(columns, others[..., 1:-1, 1:-1].reshape(-1, 1)).solution
    sigma = min((0.1, 0.15, 0.2, 0.25, 0.3), key=lambda s: rms_error(similar(worse, s), others))
    padded = F.pad(noisy, (1, 1, 1, 1), mode="replicate")
    results = {
        "noisy": noisy,
        "average": F.avg_pool2d(noisy, 3, 1, 1, count_include_pad=False),
        "best kernel": F.conv2d(padded, kernel.view(1, 1, 3, 3)),
        "attention": similar(noisy, sigma),
    }

# %%
if ready("LocalAttention2d"):
    shown, titles = [], []
    for i in range(2):
        for name, image in {"clean": clean, **results}.items():
            off = rms_error(image[i], clean[i])
            shown.append(image[i].clamp(0, 1))
            titles.append(f"{name}: {off:.3f}" if off else name)

# %% fold="Drawing"
if ready("LocalAttention2d"):
    fig = plotting.images(torch.stack(shown), titles=titles, cols=5)
    plotting.show(fig, "04/denoise")
    # of every 3 x 3: the largest value minus the smallest
    contrast = F.max_pool2d(clean, 3, 1, 1) + F.max_pool2d(-clean, 3, 1, 1)
    edge = contrast > contrast.flatten().sort().values[int(0.75 * contrast.numel())]
    print(f"Best kernel: {kernel[4].item():.2f} in the middle, sum {kernel.sum().item():.2f}.")
    print(f"RMS error on {len(clean)} photographs (sigma {sigma}): all, edges, elsewhere")
    for name, image in results.items():
        parts = [rms_error(image, clean, where) for where in (None, edge, ~edge)]
        print(f"{name:>12}: " + "  ".join(f"{part:.4f}" for part in parts))

# %% [markdown]
# Compare the last two lines, not the last with the plain average. The plain average is a poor convolution: it removes noise and blurs edges. The
# best kernel gives the pixel itself the largest weight (the printed line), and then, on photographs, it does as well as attention does, to within 3 % in
# the stored run: a little better at edges (the quarter of the pixels with most contrast around them: 0.0647 against 0.0664), a little worse elsewhere
# (0.0438 against 0.0426). The weights of attention depend on what they meet, which no convolution's do; on noise of this kind and windows of 3 x 3
# that freedom changed the error by less than 1 % over all pixels. (On drawn images, with their flat areas and sharp edges, attention is ahead.) What a new kind of layer is worth can be seen only beside the best version of the old one.

# %% [markdown]
# ## 4 · Idea 3: a Transformer on pixels
#
# Why keep the CNN at all? Write the pixels in a row and give them to the Transformer of notebook 01 as if they were words. iGPT (Chen et al. 2020) did that with a language model's
# architecture and objective: predict the next pixel. We take the same input and a simpler task, the label.

# %% [markdown] exercise="pixel_tokens"
# Make every pixel a token.
#
# <details><summary>Hint</summary>
#
# A reshape alone would give the right shape and the wrong numbers: in memory all of channel 0 comes first. `rearrange` (einops) says what goes where.
# </details>

# %%
if ready("pixel_tokens"):
    # one image, two channels, 2 x 2 pixels
    tiny = torch.tensor([[[[1, 2], [3, 4]], [[10, 20], [30, 40]]]])
    print(
        f"As tokens: {pixel_tokens(tiny).tolist()}\nReshaped only:"
        f" {tiny.reshape(1, 4, 2).tolist()}"
    )

# %% [markdown]
# Now the model around it: a linear layer lifts the C numbers of a pixel to width D, a learned vector per position is added, encoder layers follow (yours, if notebook 01 is solved), and the
# mean over all tokens is classified.

# %%
EncoderLayer = reuse("EncoderLayer")

# %% [markdown] exercise="PixelTransformer"
# `__init__` is given. Write `encode`, from images to the final tokens, and `forward`, from tokens to logits.
#
# <details><summary>Hint: order</summary>
#
# Tokens, embedding, positions (if there are any), all layers one after the other, final norm. The mean over the tokens belongs into `forward`.
# </details>

# %% [markdown]
# ### What it can't know
#
# Nothing in this model knows that in an 8 x 8 image pixel 9 lies below pixel 1. Attention treats its tokens as a set, and every other layer treats each token by itself. Without positions the model is *permutation
# equivariant*: shuffle the pixels $P$, and the tokens come out shuffled in the same way, $\mathrm{encode}(Px) = P\,\mathrm{encode}(x)$. The mean over the tokens then doesn't change at all.

# %%
if ready("PixelTransformer"):
    seed_everything(0)
    images, order = torch.randn(2, 3, 4, 6), torch.randperm(24)
    shuffled = images.flatten(2)[:, :, order].view_as(images)
    with torch.no_grad():
        for use_positions in (False, True):
            model = PixelTransformer(
                (4, 6), 3, dim=32, depth=2, num_heads=4, num_classes=5,
                use_positions=use_positions,
            ).eval()
            tokens = (model.encode(shuffled) - model.encode(images)[:, order]).abs().max()
            logits = (model(shuffled) - model(images)).abs().max()
            print(
                f"positions: {use_positions!s:5}  encode(Px) - P encode(x): {tokens:.1e}  "
                f" logits(Px) - logits(x): {logits:.1e}"
            )

# %% [markdown]
# ### On real data
#
# Handwritten digits at 8 x 8 pixels: 64 tokens, which a laptop can afford.

# %%
digits = load_images("digits", size=8)
grey = {
    name: split.images[:, :1] for name, split in digits.splits.items()
}  # (n, 1, 8, 8): the three channels are equal
order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
mixed = {name: images.flatten(2)[:, :, order].view_as(images) for name, images in grey.items()}
both = torch.cat([grey["test"][:6], mixed["test"][:6]])

# %% fold="Drawing"
fig = plotting.images(
    both, titles=[str(int(label)) for label in digits.test.labels[:6]] * 2, cols=6
)
plotting.show(fig, "04/on-real-data")

# %% [markdown] predict="digits"
# The pixel Transformer learns these digits three times: with positions; without; and with positions, but on the lower row, where all images have their pixels in the same other order. Ten classes: guessing gives 10%. What do you
# expect?

# %% [markdown] answer="digits"
# With positions 96 %, without 26 %, with reordered pixels 94 %. Without positions only the amounts of ink and grey are left. Reordering
# changes nothing that this model knows: before training no two positions are neighbours for it.

# %% seconds=60
if ready("PixelTransformer"):
    outcomes = {}
    for name, use_positions, images in (
        ("with positions", True, grey),
        ("without positions", False, grey),
        ("with, pixels reordered", True, mixed),
    ):
        seed_everything(0)
        model = PixelTransformer(
            (8, 8), 1, dim=48, depth=2, num_heads=4, num_classes=10, use_positions=use_positions
        )
        train = tensor_batches(images["train"], digits.train.labels, 64, shuffle=True)
        test = tensor_batches(images["test"], digits.test.labels, 360)
        seen = fit(
            model, train, epochs=budget.pick(smoke=1, cpu=20), lr=3e-3, validation=test,
            progress="bar",
        )
        n, right = len(digits.test), seen.validation_accuracy[-1]
        half = 1.96 * (right * (1 - right) / n) ** 0.5  # 95% interval of a proportion
        outcomes[name] = (right, half)
        print(
            f"{name}: {right:.1%} of {n} test images, training {seen.train_accuracy[-1]:.1%};"
            f" {seen.total_seconds:.0f} s."
        )

# %% fold="Drawing"
if ready("PixelTransformer"):
    fig, ax = plotting.figure(width=5.6, height=1.7)
    plotting.bars(ax, outcomes, xlabel="test accuracy (95% interval; dotted: guessing)")
    ax.axvline(0.1, color=plotting.COLORS["grey"], linestyle=":", zorder=2.5)
    ends = ", ".join(f"{name} {value:.0%}" for name, (value, _) in outcomes.items())
    plotting.show(fig, "04/digits", ends)

# %% [markdown]
# Without positions the model sees a bag of grey values: how much ink, and how dark. That is enough to be better than guessing, and
# for little more. With positions it recognises nearly all digits. And no difference was shown between the two orders of the pixels:
# the two intervals overlap. To this model the lower row of pictures is as much an image as the upper one.
#
# That has a price. That two pixels are neighbours, which a convolution knows before it has seen a
# single image, must be learned here from examples. Notebook 06 measures what that costs.

# %% [markdown]
# ## 5 · The bill
#
# 64 tokens cost little. Each head of each layer makes a matrix of weights with an entry for every pair of tokens, and training keeps all of them until the backward pass has used them. For an image of R x R pixels, $N = R^2$, and the
# matrices have $N^2 = R^4$ entries.

# %% [markdown] exercise="attention_memory_bytes"
# One line of arithmetic; the next cells show what it says about images.

# %% [markdown] predict="bill"
# Before you run the next cell: a network of 48 layers with 16 heads (iGPT-L's numbers), float32, *one* image of 128 x 128 pixels. How much memory do the attention weights take? A laptop's? A GPU's? A
# cluster's?

# %% [markdown] answer="bill"
# 768 GiB (825 GB), for one image, for the attention weights alone: more than ten GPUs of 80 GB have. Nothing else of the network is counted yet.

# %%
if ready("attention_memory_bytes"):
    GIB, MIB = 2**30, 2**20
    pixels = attention_memory_bytes(128 * 128, num_layers=48, num_heads=16, bytes_per_element=4)
    print(
        f"128 x 128 pixels as tokens: {pixels / GIB:.0f} GiB (= {pixels / 1e9:.0f} GB) for one"
        " image."
    )
    for grid in (14, 16):
        patches = attention_memory_bytes(grid * grid, 48, 16, 4)
        print(
            f"{grid} x {grid} patches as tokens: {patches / MIB:.1f} MiB,"
            f" {pixels / patches:,.0f} times less."
        )

# %%
if ready("attention_memory_bytes"):
    sides = [32, 48, 64, 96, 128, 160, 224, 256]  # all divisible by 16
    needs = {
        "pixels": [attention_memory_bytes(r**2, 48, 16, 4) / GIB for r in sides],
        "patches of\n16 x 16 pixels": [
            attention_memory_bytes((r // 16) ** 2, 48, 16, 4) / GIB for r in sides
        ],
    }
    axes_of = {"xlabel": "side R of the image (pixels)", "ylabel": "attention weights (GiB)"}

# %% fold="Drawing"
if ready("attention_memory_bytes"):
    fig, ax = plotting.figure(width=5.8)
    plotting.lines(ax, torch.tensor(sides), needs, logx=True, logy=True, **axes_of)
    ax.set_xticks(sides, [str(r) if r != 224 else "" for r in sides])  # it would touch 256
    ax.minorticks_off()
    ax.axhline(80, color="#6b6b6b", linewidth=1, linestyle=":")
    ax.text(256, 60, "80 GiB: a large GPU", ha="right", va="top", fontsize=8.5, color="#444444")
    alt = plotting.described("04/bill", needs['pixels'][4])
    plotting.show(fig, alt=alt)

# %% [markdown]
# The two lines are parallel: *both* grow with $R^4$. Patches don't change the exponent, they divide the number of tokens by $p^2$ and the matrices by $p^4 = 65{,}536$ at p = 16. (224 pixels make 14 x 14 such patches, 256 make
# 16 x 16. And iGPT never saw 128 x 128 pixels: its images were reduced to 32 x 32, 48 x 48 or 64 x 64.)
#
# ### Is it true?
#
# PyTorch can be asked. `saved_tensors_hooks` is called for every tensor that autograd puts aside for the backward pass; we add up those of shape N x N. Once with an attention that computes the weights in the open, once with the *fused* kernel that
# your `EncoderLayer` uses: it computes softmax and average piece by piece and never writes the matrix down (Dao et al. 2022, FlashAttention; it recomputes it in the backward pass).

# %%
if ready("attention_memory_bytes"):

    def kept_bytes(layers: nn.ModuleList, num_tokens: int, need_weights: bool) -> int:
        """Bytes of all (N, N) matrices that autograd keeps for a stack of attention layers."""
        found: dict[int, int] = {}

        def keep(saved: Tensor) -> Tensor:
            if saved.shape[-2:] == (num_tokens, num_tokens):
                storage = saved.untyped_storage()
                found[storage.data_ptr()] = (
                    storage.nbytes()
                )  # two tensors may share one storage: count it once
            return saved

        x = torch.randn(1, num_tokens, 16, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
            for layer in layers:
                x = layer(x, need_weights=need_weights)[0]
        return sum(found.values())

    MultiHeadAttention = reuse("MultiHeadAttention")
    for (h, w), depth, heads in (((6, 8), 1, 1), ((6, 8), 3, 4), ((20, 16), 3, 4)):
        layers = nn.ModuleList(MultiHeadAttention(16, heads) for _ in range(depth))
        formula = attention_memory_bytes(h * w, depth, heads, 4)
        counted, fused = (
            kept_bytes(layers, h * w, need_weights) for need_weights in (True, False)
        )
        print(
            f"{h} x {w} pixels, layers {depth}, heads {heads}: formula {formula:,} bytes,"
            f" counted {counted:,}, fused kernel {fused:,}."
        )

# %% [markdown]
# The formula is right to the byte. And the fused kernel keeps none: 768 GiB is the price of *writing the weights down*. So is the problem solved? That of memory, yes. The $N^2$ products are still computed; the next section shows how much that is.

# %% [markdown]
# ## 6 · Measured: time and memory against resolution
#
# Five layers on maps of R x R pixels with 16 channels, one training step (forward and backward) each: a 5 x 5 convolution, your local attention over 5 x 5, your `SelfAttention2d` on all pixels, the same with the fused
# kernel, and `SelfAttention2d` on patches of 8 x 8.
#
# *Time* is the median of several rounds in which the layers take turns. *Memory* is exact: PyTorch's profiler writes down each allocation and each release of the tensor allocator, and the largest running sum is the peak (`utils/cost/measure.py`). It doesn't
# vary from run to run.

# %% [markdown] predict="exponents"
# Cost grows like $R^a$. Write down the exponent $a$ that you expect for each of the five layers: of the time, and of the memory.

# %% [markdown] answer="exponents"
# Memory: 2 for convolution and local attention, 4 for pixel attention that writes its weights down, less than 2 for the fused kernel in the
# measured range (it will be 2 for large maps), between 2 and 4 for patches. Time, by the arithmetic: 2 for what looks at a neighbourhood, between 2 and 4 for patches,
# 4 for *both* kinds of pixel attention: the fused kernel saves the memory, not the work. Measured on patches was less than the arithmetic's 2, with a wide interval; at these sizes
# the start of each operation may still count (not tested).

# %%
if ready("SelfAttention2d", "LocalAttention2d"):

    class FusedAttention2d(SelfAttention2d):
        """Your layer with the library's fused kernel.

        The kernel wants the channels of a token side by side in memory.
        """

        def forward(self, x: Tensor) -> Tensor:
            parts = (
                part(x).flatten(2).transpose(1, 2).contiguous()[:, None]
                for part in (self.query, self.key, self.value)
            )
            attended = F.scaled_dot_product_attention(*parts)[:, 0]  # (B, N, d)
            return x + self.gamma * self.output(
                attended.transpose(1, 2).unflatten(2, x.shape[2:])
            )

    seed_everything(0)
    contestants = {  # name -> (layer, largest R)
        "convolution": (nn.Conv2d(16, 16, 5, padding=2), 256),
        "local attention": (LocalAttention2d(16, 5), 256),
        "pixel attention": (SelfAttention2d(16), 96),
        "pixels, fused": (FusedAttention2d(16), 128),
        "patch attention": (
            nn.Sequential(nn.Conv2d(16, 16, 8, stride=8), SelfAttention2d(16)),
            256,
        ),
    }

    def training_step(layer: nn.Module, r: int):
        """A call that does one forward and backward pass and leaves no gradient behind."""
        x = torch.randn(1, 16, r, r, requires_grad=True)
        leaves = [x, *layer.parameters()]
        return lambda: torch.autograd.grad(layer(x).square().mean(), leaves)


# %% seconds=50
if ready("SelfAttention2d", "LocalAttention2d"):
    began = time.perf_counter()
    resolutions = budget.pick(
        smoke=[16, 24, 32, 40], cpu=[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256]
    )
    took = {name: [math.nan] * len(resolutions) for name in contestants}
    needed = {name: [math.nan] * len(resolutions) for name in contestants}
    for i, r in enumerate(resolutions):
        calls = {
            name: training_step(layer, r)
            for name, (layer, largest) in contestants.items()
            if r <= largest
        }
        for name, value in cost.seconds(calls, rounds=budget.pick(smoke=1, cpu=5)).items():
            took[name][i] = value * 1000
        for name, call in calls.items():
            needed[name][i] = cost.peak_bytes(call) / 2**20
    print(f"Measured on: {describe_machine()}, in {time.perf_counter() - began:.0f} s.")

# %% fold="Drawing"
if ready("SelfAttention2d", "LocalAttention2d"):
    fig, axes = plotting.figure(2, 1, height=6.4, width=6.2)
    panels = {"time of a training step (ms)": took, "peak memory (MiB)": needed}
    for ax, (unit, values) in zip(axes, panels.items(), strict=True):
        r = torch.tensor(resolutions)
        plotting.lines(
            ax, r, values, xlabel="side R of the map (pixels)", ylabel=unit, logx=True,
            logy=True,
        )
        # not all: they would touch
        shown = [r for r in resolutions if r & (r - 1) == 0 or r == 96]
        ax.set_xticks(shown, shown)
        ax.minorticks_off()
    alt = plotting.described("04/exponents")
    plotting.show(fig, alt=alt)

# %% [markdown]
# ### The exponents
#
# They are the slopes of these lines: a least-squares fit through the (at most seven) largest maps of each layer, with a 95% interval from the scatter around the line.

# %%
if ready("SelfAttention2d", "LocalAttention2d"):
    print(f"{'exponent of R':<18}{'time':>14}{'memory':>16}{'maps':>14}")
    laws = {}
    for name in contestants:
        there = [i for i, value in enumerate(took[name]) if not math.isnan(value)][-7:]
        r = [resolutions[i] for i in there]
        laws[name] = [
            cost.power_law(r, [values[name][i] for i in there]) for values in (took, needed)
        ]
        print(f"{name:<18}{laws[name][0]!s:>14}{laws[name][1]!s:>16}{f'{r[0]} to {r[-1]}':>14}")
    slower, larger = (
        values["local attention"][-1] / values["convolution"][-1] for values in (took, needed)
    )
    print(
        f"Local attention against the convolution at R = {resolutions[-1]}: {slower:.0f} times"
        f" the time, {larger:.0f} times the memory."
    )
    time_law, memory_law = laws["pixel attention"]
    print(
        f"Extrapolated to one layer, one head, R = 224: {memory_law.at(224) / 1024:.0f} GiB,"
        f" {time_law.at(224) / 1000:.0f} s per training step."
    )

# %% [markdown]
# **Memory**, which is exact, for maps as large as in the stored run. Convolution and local attention: 2, so much per pixel. Local attention has the same exponent
# and a much larger constant: `unfold` copies every pixel into 25 windows, once for the keys and once for the values.
# Pixel attention: 4. The fused kernel: 2 or less (queries, keys and values per pixel, plus a buffer of fixed size that
# flattens the slope). Patch attention: a sum of two terms, $a R^2$ for embedding the patches and $b\,(R/p)^4$ for their
# matrices, so its line is not straight: the slope climbs from 2 towards 4 as the second term takes over.
#
# **Time**, which is not. Two things may bend the lines, both guesses: the cost of starting an operation, which counts
# most for small maps and makes slopes smaller, and the processor's cache, which large maps no longer fit into and which
# makes them larger. While time is measured, the allocator keeps its memory: otherwise each call would also pay for
# clearing large blocks again. An interval of ± 1 and more says that the points lie on no line, perhaps because
# something else ran on the machine: then the exponent shows nothing, and the measurement wants a repeat. The last lines
# say by how much local attention is slower than the convolution, and how much more memory it takes (it copies each
# window, twice). In the stored run convolution and local attention come to 1.74 and 1.93, pixel attention to 4.30, *and the fused kernel to 3.89*, with intervals of up to ± 0.4: near 2 for what looks at a neighbourhood, near 4 for both
# kinds of pixel attention. The fused kernel saves the memory, not the work.
#
# ## Summary
#
# - Attention sees a set of vectors. To use it on images you say what a token is and who may look at whom. In these
#   two choices `SelfAttention2d`, `LocalAttention2d` and the pixel Transformer differ most.
# - Added to a CNN it brings what a single convolution lacks, comparing things over a distance. A residual connection
#   and a gate at zero let it start without any effect.
# - Local attention grows with $R^2$ as a convolution does, with a constant that is far larger (see the figure), and weighs by content. The border wants a decision: mask it.
# - Without positions, pixels are a bag. With learned positions a Transformer learns where things are, from data, and no order of pixels is special to it.
# - Looking everywhere costs $N^2 = R^4$: 768 GiB of weights for one 128 x 128 image in a network of iGPT-L's depth. Fused kernels save the memory, not the work. Patches divide it by $p^4$. That is idea 4.
#
# **Open questions.** (1) Relative positions told local attention left from right, and no gain was shown. How would you test whether the layer uses them? (Notebook 07 has Swin's positions.) (2) `SelfAttention2d` has no positions at all. Why does it still know something about
# where pixels are when it stands behind a convolution? (Hint: section 3, the border.) (3) Would you rather have larger patches or smaller images, at the same number of tokens?
#
# ## Further reading
#
# - Xiaolong Wang, Ross Girshick, Abhinav Gupta, Kaiming He (2018). Non-local Neural Networks. CVPR. (Idea 1.)
# - Han Zhang, Ian Goodfellow, Dimitris Metaxas, Augustus Odena (2019). Self-Attention Generative Adversarial Networks. ICML. (The gate.)
# - Irwan Bello, Barret Zoph, Ashish Vaswani, Jonathon Shlens, Quoc V. Le (2019). Attention Augmented Convolutional Networks. ICCV. (Idea 1 with the two side by side.)
# - Prajit Ramachandran, Niki Parmar, Ashish Vaswani, Irwan Bello, Anselm Levskaya, Jonathon Shlens (2019). Stand-Alone Self-Attention in Vision Models. NeurIPS. (Idea 2.)
# - Jean-Baptiste Cordonnier, Andreas Loukas, Martin Jaggi (2020). On the Relationship between Self-Attention and
#   Convolutional Layers. ICLR. (Attention with relative positions and enough heads can express any convolution.)
# - Mark Chen, Alec Radford, Rewon Child, Jeff Wu, Heewoo Jun, David Luan, Ilya Sutskever (2020). Generative Pretraining from Pixels. ICML. (Idea 3.)
# - Tri Dao, Daniel Y. Fu, Stefano Ermon, Atri Rudra, Christopher Ré (2022). FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness. NeurIPS.
# - Carlo Tomasi, Roberto Manduchi (1998). Bilateral Filtering for Gray and Color Images. ICCV.
# - Antoni Buades, Bartomeu Coll, Jean-Michel Morel (2005). A Non-Local Algorithm for Image Denoising. CVPR.
