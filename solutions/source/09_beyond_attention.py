# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 09 · Beyond attention: experts, latents, retention
#
# ViT and Swin ask which tokens should look at each other. The lecture ends with a glance at three designs that ask something else:
#
# | design | the question | the answer | what it changes |
# | --- | --- | --- | --- |
# | mixture of experts (MoE) | must every token go through *all* parameters? | no: a router picks k of E networks | parameters without work |
# | Perceiver IO | must every input compare with every other? | no: a few latents read, queries ask | inputs and outputs of any kind and length |
# | RetNet | must a sequence be read with a softmax? | no: without it, attention is also a recurrence | training like a Transformer, generating like an RNN |
#
# **Goals.** After this notebook you can
#
# - route tokens to experts under a capacity, say what is dropped and why, and show what the load-balancing loss changes, and what not;
# - build a Perceiver IO, and get a label and a picture out of the *same* latent array by asking different questions;
# - compute retention in parallel, recurrently and in chunks, show that the three give the same, and say which one you want when;
# - measure how each of them grows with the length of the input.
#
# **You need** notebook 01 (attention, encoder layer). What you have not solved there is replaced by the library's version.
#
# **Time.** About three and a half hours of reading and coding; the three parts don't depend on each other. All cells together run for nearly four minutes on two CPU cores; those that train or measure print how long they took.

# %%
import math
import time

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils import current_budget, describe_machine, plotting
from utils.checks import check, ready, reuse
from utils.data import load_images
from utils.cost import peak_bytes, power_law, seconds
from utils.training import accuracy, count_parameters, fit, seed_everything, tensor_batches

budget = current_budget()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# # Part A · Mixture of experts
#
# ## 1 · Many networks, few of them asked
#
# In a Transformer block about two thirds of the parameters sit in the feed-forward layer, and every token goes through all of them. A mixture of experts
# keeps E feed-forward layers (experts) side by side and a *router* that sends each token to k of them, typically one or two. Parameters grow with E, the work
# per token with k.
#
# For T tokens (all of the batch in one list) and a router with weights $W_r$:
#
# $$p_t = \mathrm{softmax}(W_r x_t) \;\; (E), \qquad y_t = \sum_{i \,\in\, \mathrm{top}_k(p_t)} w_{t,i} \; \mathrm{expert}_i(x_t)$$
#
# What is $w_{t,i}$? Papers differ, so we say it: here the softmax runs over **all** experts *before* the k largest are taken, and
#
# - `renormalize=False` (Switch Transformer, Fedus et al. 2022): $w_{t,i} = p_{t,i}$, the probability as it is;
# - `renormalize=True` (Mixtral, Jiang et al. 2024): $w_{t,i} = p_{t,i} \,/\, \sum_{j \in \mathrm{top}_k} p_{t,j}$. This equals a softmax over the k chosen
#   scores, *after* the choice (Shazeer et al. 2017).

# %%
B, N, D, E, k = 2, 64, 64, 8, 1
parts = [
    ("all tokens of the batch in one list", f"({B * N}, {D})"),
    ("router: a score per expert", f"({B * N}, {E})"),
    ("softmax, top k", f"2 x ({B * N}, {k})"),
    ("who finds a place?", f"({B * N}, {k}) bool"),
    ("experts, each on its own tokens", f"{E} x (about {B * N * k // E}, {D})"),
    ("weigh, put back", f"({B}, {N}, {D})"),
]
fig = plotting.flow(
    parts, title=f"MoELayer({D}, ..., num_experts={E}, k={k}) on {B} sequences of {N} tokens"
)
plotting.show(
    fig,
    "09/part-a-mixture-of-experts",
    ", then ".join(f"{name} {shape}" for name, shape in parts),
)

# %% [markdown] exercise="top_k_router"
# Two lines, and a third for `renormalize`.
#
# <details><summary>Hint</summary>
#
# `Tensor.topk` returns values and indices, the largest first.
# </details>

# %% [markdown]
# Why does Switch, which uses k = 1, not renormalise? Look at what the router can learn from the task. The choice itself is a number like 5: it has no gradient. The
# only path from the loss to the router runs through the weights.

# %%
if ready("top_k_router"):
    seed_everything(0)
    logits = torch.randn(6, 8, requires_grad=True)
    answers = torch.randn(6, 8)  # what each expert would say, one number per token
    for k in (1, 2):
        for renormalize in (False, True):
            weights, experts = top_k_router(logits, k, renormalize)
            loss = (weights * answers.gather(1, experts)).sum()
            (gradient,) = torch.autograd.grad(loss, logits)
            print(
                f"k = {k}, renormalize={renormalize!s:5}: weights of token 0"
                f" {[round(w, 2) for w in weights[0].tolist()]}, size of the router's gradient"
                f" {gradient.norm():.3f}"
            )

# %% [markdown]
# With k = 1 a renormalised weight is always 1, and a constant has no gradient. The router would stay as it was initialised (or be moved by other losses only).

# %% [markdown]
# ## 2 · Places are limited
#
# On real hardware every expert is a block of memory, often on a device of its own, and it gets a tensor of fixed size: so many places, no more. The number is the
# *capacity*, the fair share $kT/E$ times a capacity factor (Switch: 1 to 1.25). Which tokens get the places? They are given out in the order of a queue. In it stand first the **first** choices of all tokens, in the tokens' order; after them the second choices (Lepikhin et al. 2021, GShard). Nobody's second choice takes a place from somebody's first.
#
# What finds no place is **dropped**: it adds nothing to the output. The token itself is not lost: a residual connection goes around the layer.

# %% [markdown] exercise="keep_within_capacity"
# Say for each choice whether it finds a place. Capacity is per expert.
#
# <details><summary>Hint: the queue</summary>
#
# `experts` is (T, k), and memory runs along the rows: token by token. You want column by column.
# </details>
#
# <details><summary>Hint: how many are ahead of me?</summary>
#
# As one-hot rows, the queue is a table with a column per expert. A running sum (`cumsum`) down each column counts how often the expert has been asked for *up to and including* each
# row.
# </details>

# %% [markdown]
# Ten tokens, four experts, two choices each, four places per expert:

# %%
if ready("top_k_router", "keep_within_capacity"):
    seed_everything(2)
    # expert 0 is popular, expert 3 is not
    scores = torch.randn(10, 4) + torch.tensor([1.0, 0.0, 0.0, -0.5])
    weights, experts = top_k_router(scores, k=2)
    kept = keep_within_capacity(experts, num_experts=4, capacity=4)
    table = torch.zeros(10, 4).scatter(1, experts, weights.masked_fill(~kept, math.nan)).T

# %% fold="Drawing"
if ready("top_k_router", "keep_within_capacity"):
    fig, ax = plotting.figure(width=6.0, height=2.3)
    plotting.heatmap(
        ax, table, xlabel="token", ylabel="expert", label="weight of a kept choice", vmin=0,
        vmax=1,
    )
    for token, choice in torch.cartesian_prod(torch.arange(10), torch.arange(2)).tolist():
        said = f"{weights[token, choice]:.2f}" if kept[token, choice] else "dropped"
        ax.text(
            token, experts[token, choice], said, ha="center", va="center",
            fontsize=7 if kept[token, choice] else 5.5,
            color="white" if kept[token, choice] and weights[token, choice] > 0.55 else "black",
        )
    dropped = int((~kept).sum())
    alone = int((~kept).all(1).sum())
    alt = plotting.described("09/keep-within-capacity", dropped)
    plotting.show(fig, alt=alt)
    print(
        f"Choices per expert: {torch.bincount(experts.flatten()).tolist()}, kept:"
        f" {torch.bincount(experts[kept]).tolist()}."
    )
    print(f"{dropped} of 20 choices are dropped; {alone} of 10 tokens have no expert left.")

# %% [markdown]
# ## 3 · The rich get richer
#
# A router that prefers an expert sends it more tokens; so this expert learns more, so its answers improve, so the router prefers it more. Nothing in the
# task loss speaks against a layer in which three experts do everything and five are never used. So Switch adds a loss that does. With $f_i$ the fraction of choices that went to expert
# $i$, and $P_i$ the mean of its probability over all tokens:
#
# $$L_{\text{balance}} = E \sum_{i=1}^{E} f_i \, P_i \qquad \text{(1 if everything is shared equally, up to } E / k \text{ if the same } k \text{ experts get all)}$$
#
# Why a product of the two? We would like to punish $\sum f_i^2$, but $f$ is counted and has no gradient. $P$ has one. So $f_i$ acts as the price of expert
# $i$, and the gradient moves probability from expensive experts to cheap ones.

# %% [markdown] exercise="load_balancing_loss"
# For any k: $f$ is the fraction of all T · k choices, so it sums to 1. (In Mixtral's code it sums to k.)
#
# <details><summary>Hint</summary>
#
# `F.one_hot(experts, E)` is (T, k, E), of integers. Over which axes do you average?
# </details>

# %% [markdown] exercise="MoELayer"
# Put the parts together: route, find places, let every expert answer for its tokens only, weigh, add up.
#
# <details><summary>Hint: tokens of one expert</summary>
#
# `torch.where(condition)` gives the indices at which a (T, k) condition is true, one tensor per axis: which tokens, and with which of their choices.
# </details>
#
# <details><summary>Hint: putting answers back</summary>
#
# `output = output.index_add(0, rows, answers)` adds each answer to its row; `rows` are the indices from `torch.where`, and the result is a new tensor. Do you need a special case for an expert to which nobody comes?
# </details>

# %%
if ready("MoELayer"):
    seed_everything(0)
    single = MoELayer(64, 128, num_experts=1, capacity_factor=None)
    x = torch.randn(2, 5, 64)
    print(
        "One expert is that expert:"
        f" {torch.allclose(single(x)[0], single.experts[0](x), atol=1e-6)}."
    )
    for number in (1, 8, 64):
        layer = MoELayer(64, 128, num_experts=number)
        active = count_parameters(layer.router) + layer.k * count_parameters(layer.experts[0])
        print(
            f"{number:2} experts, k = 1: {count_parameters(layer):>9,} parameters, of which a"
            f" token uses {active:,}."
        )

# %% [markdown]
# ## 4 · With and without the balancing loss
#
# A small ViT on CIFAR-10: patches of 4 x 4 pixels, one of your encoder layers, then a block with eight experts. Each training step records how the choices are distributed
# and how many are dropped.

# %%
EncoderLayer = reuse("EncoderLayer")
photos = load_images(
    "cifar10",
    limit=budget.pick(
        smoke={"train": 128, "test": 100}, cpu={"train": 6_000, "test": 2_000}, gpu=None
    ),
)
print(photos)

# %%
if ready("MoELayer"):

    class ExpertClassifier(nn.Module):
        """Images (B, 3, 32, 32) -> (B, 10) logits; keeps the last balance loss, and a record of
        each training step."""

        def __init__(self, experts: nn.Module, dim: int = 64):
            super().__init__()
            self.embedding = nn.Conv2d(3, dim, kernel_size=4, stride=4)
            self.positions = nn.Parameter(torch.randn(64, dim) * 0.1)
            self.layer = EncoderLayer(dim, 4, 2 * dim, norm_first=True, activation="gelu")
            self.norm, self.experts, self.head = nn.LayerNorm(dim), experts, nn.Linear(dim, 10)
            self.shares, self.dropped = [], []

        def tokens(self, images: Tensor) -> Tensor:
            x = rearrange(self.embedding(images), "b d h w -> b (h w) d")  # (B, 64, 64)
            return self.layer(x + self.positions)

        def forward(self, images: Tensor) -> Tensor:
            x = self.tokens(images)
            output, self.balance = self.experts(self.norm(x))
            if self.training:
                self.record(self.norm(x.detach()))
            return self.head((x + output).mean(dim=1))  # residual connection around the experts

        @torch.no_grad()
        def record(self, x: Tensor) -> None:
            share, dropped = usage(self.experts, x)
            self.shares.append(share)
            self.dropped.append(dropped)


# %%
if ready("MoELayer"):

    def usage(layer: nn.Module, x: Tensor) -> tuple[Tensor, float]:
        """(E,) share of each expert in all choices, and the fraction of choices that is
        dropped."""
        tokens = x.flatten(0, 1)
        _, chosen = top_k_router(layer.router(tokens), layer.k)
        kept = keep_within_capacity(chosen, layer.num_experts, layer.capacity(len(tokens)))
        share = torch.bincount(chosen.flatten(), minlength=layer.num_experts) / chosen.numel()
        return share.cpu(), 1 - kept.float().mean().item()

    train = tensor_batches(photos.train.images, photos.train.labels, 64, shuffle=True)
    test = tensor_batches(photos.test.images, photos.test.labels, 500)

    def train_experts(
        strength: float, num_experts: int = 8, factor: float | None = 1.25, seed: int = 0
    ):
        """A classifier trained with `strength` times the balance loss added, and its history.
        """
        seed_everything(seed)
        model = ExpertClassifier(MoELayer(64, 128, num_experts, capacity_factor=factor))

        def loss_fn(logits: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(logits, labels) + strength * model.balance

        epochs = budget.pick(smoke=1, cpu=4, gpu=10)
        return model, fit(
            model, train, epochs=epochs, lr=3e-3, loss_fn=loss_fn, validation=test,
            progress="bar", seed=seed,
        )


# %% [markdown] predict="balance"
# Eight experts, each with places for 1.25 times its fair share: $8 \cdot 1.25 = 10$ shares of places for 8 shares of choices. Without the balancing loss: how will the choices be distributed after training, and
# how many tokens will be dropped? And does the task suffer from the balancing loss, or gain?

# %% [markdown] answer="balance"
# With seed 0, in the stored run: without the loss the busiest expert gets 21 % of the choices, the idlest 0.1 %, and 11 % are dropped; with it 16 %
# and 8 %, and 2 %. The accuracy is the same within the noise (44.0 and 44.2 %). The other seeds are printed beside it.

# %% seconds=100
if ready("MoELayer"):
    runs = {}  # name -> model and history of seed 0, which the pictures below show
    for name, strength in (
        ("without the balancing loss", 0.0),
        ("with it, strength 0.01", 0.01),
    ):
        print(f"{name}; shares and drops of the last 50 steps:")
        for seed in budget.pick(smoke=[0], cpu=[0, 1, 2]):
            model, history = train_experts(strength, seed=seed)
            runs.setdefault(name, (model, history))
            share = torch.stack(model.shares[-50:]).mean(0)
            lost = sum(model.dropped[-50:]) / len(model.dropped[-50:])
            print(
                f"  seed {seed}: {history.validation_accuracy[-1]:.1%} on test images,"
                f" busiest expert {share.max():.0%}, idlest {share.min():.1%}, dropped"
                f" {lost:.0%}; {history.total_seconds:.0f} s."
            )
    single, history = train_experts(0.0, num_experts=1, factor=None)
    print(
        f"one expert of the same size: {history.validation_accuracy[-1]:.1%},"
        f" {history.total_seconds:.0f} s."
    )

# %% fold="Drawing"
if ready("MoELayer"):
    fig, axes = plotting.figure(1, 3, height=2.9, width=9.2)
    for ax, (name, (model, _)) in zip(axes, runs.items(), strict=False):
        shares = torch.stack(model.shares)  # (steps, E)
        order = shares[-50:].mean(0).argsort(descending=True)
        ax.stackplot(
            range(len(shares)), shares[:, order].T, colors=plotting.palette(8),
            edgecolor="white", linewidth=0.5,
        )
        ax.set(
            title=name, xlabel="training step", ylabel="share of all choices", ylim=(0, 1),
            xlim=(0, len(shares) - 1),
        )
        ax.title.set_fontsize(9)
    smooth = {}
    for name, (model, _) in runs.items():
        losses = torch.tensor(model.dropped)
        width = min(20, len(losses))
        smooth[name.split(",")[0].replace(" the balancing loss", "")] = losses.unfold(
            0, width, 1
        ).mean(1)
    steps = torch.arange(max(map(len, smooth.values())))
    plotting.lines(
        axes[2], steps, smooth, xlabel="training step",
        ylabel="dropped choices (mean of 20 steps)",
    )
    ends = "; ".join(
        f"{name}: dropped at the end {values[-1]:.0%}" for name, values in smooth.items()
    )
    spread = "; ".join(
        f"{name}, busiest {torch.stack(m.shares[-50:]).mean(0).max():.0%}, idlest"
        f" {torch.stack(m.shares[-50:]).mean(0).min():.0%}"
        for name, (m, _) in runs.items()
    )
    plotting.show(fig, "09/balance", spread, ends)

# %% [markdown]
# Each band is one expert of the run with seed 0, sorted by their shares in the last 50 steps (a colour does not mean the same expert in both pictures). With the loss, an expert below its share has a low price and gains, one above it has a high price and loses.
#
# The collapse that section 3 describes was not seen in these short runs. Without the loss one expert of eight fell idle in one of three seeds, and the busiest had 21 %. What the loss clearly changed is the fraction dropped: 2, 7 and 5 % in place of 11, 14 and 16 %. The idlest expert's share was higher too, but with seed 1 hardly (5.1 against 4.6 %).
#
# The right panel shows how many choices found no place. A dropped token is not lost, but it leaves the layer as it came in. A good balance *on average* does not bring it to zero: places are counted in each batch, and in a single batch an expert can be
# asked more often than its 1.25 fair shares all the same.
#
# Before you read anything into the accuracies: the same network differs by 2 points from seed to seed. So the 2 points between the single expert (one seed, the same work per token with an eighth of the parameters) and the eight experts show nothing: on 6,000 images and in four epochs no gain of the eight experts was shown, and none of the balancing loss.
#
# ### What do experts specialise in?
#
# Nobody told the router what its experts are for. Here are patches of test images that each expert got with the highest probability:

# %%
if ready("MoELayer"):
    model = runs["with it, strength 0.01"][0].cpu().eval()
    chosen_images = photos.test.images[:400]
    with torch.no_grad():
        x = model.norm(model.tokens((chosen_images.float() / 255 - 0.5) / 0.25)).flatten(0, 1)
        weights, experts = top_k_router(model.experts.router(x), 1)
    patches = rearrange(chosen_images, "b c (i p) (j q) -> (b i j) p q c", p=4, q=4)
    mosaic, alike = torch.full((8 * 5, 16 * 5, 3), 255, dtype=torch.uint8), []
    for number in range(8):
        of_expert = (experts[:, 0] == number).nonzero()[:, 0]
        best = of_expert[weights[of_expert, 0].argsort(descending=True)][:16]
        for place, index in enumerate(best.tolist()):
            mosaic[number * 5 : number * 5 + 4, place * 5 : place * 5 + 4] = patches[index]
        alike.append(patches[of_expert].float().mean() if len(of_expert) else math.nan)

# %% fold="Drawing"
if ready("MoELayer"):
    fig, ax = plotting.figure(width=6.4, height=3.4)
    ax.imshow(mosaic)
    ax.set_yticks(
        [number * 5 + 1.5 for number in range(8)], [f"expert {number}" for number in range(8)]
    )
    ax.set_xticks([])
    means = ", ".join(f"{value:.0f}" for value in alike)
    plotting.show(fig, "09/what-do-experts-specialise-in", means)
    print(f"Mean brightness of each expert's patches (0 to 255): {means}.")

# %% [markdown]
# Look at the rows: in the stored run one expert has green patches, one orange ones, one dark ones, one has patches with
# a dark upper edge. What the router sees is a patch and what one round of attention has added to it, a likely reason
# why it sorts by what a patch looks like (colour, brightness, edges). Whether it also sorts by what the image shows was
# not measured. Riquelme et al. (2021) looked for that in a large model: experts of early layers have no clear meaning,
# those of late layers follow the classes of the images.

# %% [markdown]
# # Part B · Perceiver IO
#
# ## 5 · Read, think, answer
#
# Self-attention over N inputs costs $N^2$. Swin keeps the cost down by looking only nearby, which presupposes that there is a "nearby": a grid. The Perceiver (Jaegle et al. 2021) keeps it down
# without a grid: L learned vectors, the *latent array*, look at the inputs. That is cross-attention, L x N. Then they attend to each other, L x L per layer, however
# long the input was.
#
# And the output? One pooled vector gives one label. Perceiver IO (Jaegle et al. 2022) reads the latents out the way they were read in: for each output that you want, hand in a
# *query* that says what you want, and let it look at the latents: O x L for O outputs.

# %%
N, D, L, width, asked, Q = 64, 15, 16, 64, 65, 64
parts = [
    ("inputs: any array", f"(B, {N}, {D})"),
    ("latents look at inputs", f"(B, {L}, {width})"),
    ("encoder layers on latents", f"(B, {L}, {width})"),
    ("queries look at latents", f"(B, {asked}, {Q})"),
]
fig = plotting.flow(parts, title=f"PerceiverIO: {N} inputs, {L} latents, {asked} queries")
plotting.show(
    fig, "09/part-b-perceiver-io", ", then ".join(f"{name} {shape}" for name, shape in parts)
)

# %% [markdown]
# $$\text{encode:}\quad z \leftarrow z + \mathrm{cross}(z, x) \;\; (L \times N), \quad z \leftarrow z + \mathrm{mlp}(z), \quad z \leftarrow \mathrm{layers}(z) \;\; (L \times L)$$
# $$\text{decode:}\quad a = \mathrm{cross}(q, z) \;\; (O \times L), \quad a \leftarrow a + \mathrm{mlp}(a)$$

# %% [markdown] exercise="CrossAttention"
# Attention from one array to another of another length *and* another width. Norms first, no residual connection inside.
#
# <details><summary>Hint: which norm for whom</summary>
#
# Both arrays are normalised before the linear layers: queries from one, keys and values from the other.
# </details>
#
# <details><summary>Hint: the mask</summary>
#
# It says which *inputs* are real, (B, N). Scores are (B, H, M, N). Which axes have to be added?
# </details>

# %% [markdown] exercise="PerceiverIO"
# `__init__` is given. Write `encode` and `decode`.
#
# <details><summary>Hint: one latent array, B images</summary>
#
# The parameter is (L, width). `expand` repeats it for a batch without copying it.
# </details>

# %% [markdown]
# Two things follow from the construction. The inputs are a *set*: another order, the same latents (so positions have to be written into the inputs). And queries don't see each other: the answer to
# one does not depend on what else is asked.

# %%
if ready("PerceiverIO"):
    seed_everything(0)
    model = PerceiverIO(
        input_dim=15, num_latents=16, latent_dim=64, depth=2, query_dim=64
    ).eval()
    x, queries, order = torch.randn(2, 64, 15), torch.randn(65, 64), torch.randperm(64)
    with torch.no_grad():
        latents = model.encode(x)
        moved = (model.encode(x[:, order]) - latents).abs().max()
        alone = (
            (model.decode(latents, queries[:1]) - model.decode(latents, queries)[:, :1])
            .abs()
            .max()
        )
    print(
        f"{count_parameters(model):,} parameters. Inputs in another order: latents move by"
        f" {moved:.0e}."
    )
    print(f"First query asked alone or with 64 others: answers differ by {alone:.0e}.")

# %% [markdown]
# ## 6 · One latent array, two questions
#
# Handwritten digits, 8 x 8 pixels, each pixel an input: its grey value and its position. The position is written as in notebook 01, by sines and cosines, here of two coordinates
# between -1 and 1. In training each pixel of every image is *hidden* with probability 1/2, and we ask two kinds of questions:
#
# - **"which digit?"**: one learned query, and a linear layer from its answer to ten classes;
# - **"how bright is it at (y, x)?"**: a query made from a position, and a linear layer from its answer to one grey value. All 64 positions are asked, the hidden ones, too.
#
# A ViT can read half a picture too, if each patch brings its position with it: masked autoencoders (He et al. 2022) are trained so. A Perceiver needs nothing special for it: its input is a list, of any length.


# %%
def fourier(coordinates: Tensor) -> Tensor:
    """(..., 2) coordinates y, x in [-1, 1] -> (..., 14): themselves, and sin and cos at three
    speeds."""
    # (..., 2, 3)
    angles = coordinates.unsqueeze(-1) * torch.tensor([1.0, 2.0, 4.0]) * math.pi / 2
    return torch.cat([coordinates, angles.sin().flatten(-2), angles.cos().flatten(-2)], dim=-1)


def grid(side: int) -> Tensor:
    """(side * side, 14): the position of every pixel of a square picture, in reading order."""
    centres = (2 * torch.arange(side) + 1) / side - 1
    return fourier(torch.cartesian_prod(centres, centres))


digits = load_images("digits", size=8)
# (n, 64)
pictures = {
    name: split.images[:, 0].flatten(1).float() / 255 for name, split in digits.splits.items()
}
print(
    f"{digits}; a picture as inputs:"
    f" {tuple(torch.cat([pictures['train'][0, :, None], grid(8)], 1).shape)}."
)

# %%
if ready("PerceiverIO"):

    class Reader(nn.Module):
        """Reads digits pixel by pixel, and answers two kinds of questions from the same
        latents."""

        def __init__(self):
            super().__init__()
            self.perceiver = PerceiverIO(
                15, num_latents=16, latent_dim=64, depth=2, query_dim=64
            )
            self.ask_label = nn.Parameter(torch.randn(1, 64))
            self.ask_pixel = nn.Linear(14, 64)
            self.label, self.grey = nn.Linear(64, 10), nn.Linear(64, 1)

        def read(self, pixels: Tensor, mask: Tensor | None = None) -> Tensor:
            """(B, 64) grey values, (B, 64) bool -> latents (B, 16, 64)."""
            inputs = torch.cat(
                [pixels.unsqueeze(-1), grid(8).expand(len(pixels), -1, -1)], dim=-1
            )
            return self.perceiver.encode(inputs, mask)

        def draw(self, latents: Tensor, side: int = 8) -> Tensor:
            """(B, side * side) grey values at the positions of a picture of any size."""
            return self.grey(self.perceiver.decode(latents, self.ask_pixel(grid(side))))[..., 0]

        def name(self, latents: Tensor) -> Tensor:
            """(B, 10) logits."""
            return self.label(self.perceiver.decode(latents, self.ask_label))[:, 0]

        def forward(self, pixels: Tensor) -> Tensor:
            mask = torch.rand(pixels.shape) < 0.5 if self.training else None
            latents = self.read(pixels, mask)
            self.error = F.mse_loss(self.draw(latents), pixels)
            return self.name(latents)


# %% [markdown] predict="two_questions"
# After training with half of the pixels: how many test digits will be named correctly if the reader sees all of them, a half, a quarter, an eighth (8 pixels)? And will the
# picture that it draws from a quarter of the pixels be better than the mean of all training pictures?

# %% [markdown] answer="two_questions"
# 97.8 % from all pixels, 91.1 % from a half, 67.2 % from a quarter, 36.7 % from eight pixels (guessing: 10 %). From a quarter the drawing is
# better than the mean picture (error 0.220 against 0.271); from eight pixels it is about equal to it.

# %% seconds=25
if ready("PerceiverIO"):
    seed_everything(0)
    reader = Reader()
    some_digits = tensor_batches(pictures["train"], digits.train.labels, 64, shuffle=True)

    def both_losses(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels) + 10 * reader.error  # about equal in size

    history = fit(
        reader,
        some_digits,
        epochs=budget.pick(smoke=1, cpu=40, gpu=60),
        lr=3e-3,
        loss_fn=both_losses,
        device="cpu",
        progress="bar",
    )
    print(
        f"{count_parameters(reader):,} parameters, {history.steps:,} steps in"
        f" {history.total_seconds:.0f} s on the CPU."
    )

# %%
if ready("PerceiverIO"):
    reader.eval()
    real, labels = pictures["test"], digits.test.labels
    seen_parts = [1.0, 0.5, 0.25, 0.125]
    mean_picture = pictures["train"].mean(0).expand_as(real)
    guess = (mean_picture - real).square().mean().sqrt()
    named, drawn = [], []
    generator = torch.Generator().manual_seed(0)
    for part in seen_parts:
        rank = torch.rand(real.shape, generator=generator).argsort(1)
        mask = rank < round(64 * part)  # exactly so many pixels of every picture
        with torch.no_grad():
            latents = reader.read(real, mask)
            named.append((reader.name(latents).argmax(1) == labels).float().mean().item())
            drawn.append((reader.draw(latents) - real).square().mean().sqrt().item())
        half = 1.96 * (named[-1] * (1 - named[-1]) / len(labels)) ** 0.5
        print(
            f"{round(64 * part):2} of 64 pixels: {named[-1]:.1%} named correctly (±"
            f" {half:.1%}), error of the drawing {drawn[-1]:.3f} (mean picture: {guess:.3f})."
        )

# %%
if ready("PerceiverIO"):
    some = torch.tensor([3, 5, 7, 15, 17, 28])
    mask = torch.rand(6, 64, generator=torch.Generator().manual_seed(1)).argsort(1) < 24
    with torch.no_grad():
        latents = reader.read(real[some], mask)
        coarse, fine, logits = (
            reader.draw(latents),
            reader.draw(latents, 40),
            reader.name(latents),
        )
    said = [f"{int(guess)} ({value:.0%})" for value, guess in zip(*logits.softmax(1).max(1))]
    rows = {
        "real": real[some].view(-1, 8, 8),
        "24 pixels read": real[some].masked_fill(~mask, math.nan).view(-1, 8, 8),
        "64 queries": coarse.view(-1, 8, 8),
        "1,600 queries": fine.view(-1, 40, 40),
    }

# %% fold="Drawing"
if ready("PerceiverIO"):
    fig, axes = plotting.figure(4, 6, height=5.2)
    for line, (name, row) in zip(axes, rows.items(), strict=True):
        for ax, picture in zip(line, row, strict=True):
            plotting.heatmap(ax, picture, vmin=0, vmax=1, colorbar=False)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, fontsize=8.5)
    for ax, label, answer in zip(axes[0], labels[some].tolist(), said, strict=True):
        ax.set_title(f"label {label}\nnamed {answer}", fontsize=8)
    alt = plotting.described("09/two-questions")
    plotting.show(
        fig,
        "09/two-questions-2",
        alt,
        ", ".join(f"{label} as {a}" for label, a in zip(labels[some].tolist(), said)),
    )

# %% [markdown]
# Both kinds of answers come from the *same* 16 vectors; only the question differs. The fourth row asks a question that no training picture contained, 1,600 positions, the 64 among them, most of the others between these: a query is a position, and positions are continuous. What you see there is
# the network's own idea of what lies between the pixels, a smooth interpolation, not hidden detail.
#
# And half a picture needed no special treatment: the input is a set of values with their positions, and a mask.
#
# ### Where do the latents look?
#
# The weights of the first cross-attention, (H, L, N), say which pixels each latent reads. Here they are averaged over the heads and over the test digits. Each map has its own scale: dark is its own largest weight.

# %%
if ready("PerceiverIO"):
    cross = reader.perceiver.read
    with torch.no_grad():
        inputs = torch.cat([real.unsqueeze(-1), grid(8).expand(len(real), -1, -1)], dim=-1)
        # (L, width): before reading, all images are alike
        query = cross.query(cross.norm_query(reader.perceiver.latents))
        key = cross.key(cross.norm_input(inputs))  # (B, N, width)
        query, key = (rearrange(x, "... n (h d) -> ... h n d", h=4) for x in (query, key))
        weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1).mean((0, 1))  # (L, N)

# %% fold="Drawing"
if ready("PerceiverIO"):
    fig, axes = plotting.figure(2, 8, height=2.2)
    for ax, row in zip(axes.flat, weights, strict=True):
        plotting.heatmap(ax, row.view(8, 8), colorbar=False, vmin=0)
        ax.set(xticks=[], yticks=[])
    top = weights.sort(descending=True).values[:, :16].sum(1)
    plotting.show(fig, "09/where-do-the-latents-look", top.min(), top.max())

# %% [markdown]
# ## 7 · Measured: cost against the length of the input
#
# Forward pass, 32 latents, four encoder layers of width 64, against *one* self-attention of the same width on the inputs themselves: once with the weights written out, once with the fused kernel.

# %% [markdown]
# Two helpers for this and for section 10. *Time* is the median of several rounds in which the contestants take turns; *memory* is exact, the largest sum of all tensors that are alive
# at one time (`utils/cost/measure.py`); exponents are slopes on logarithmic axes.


# %%
def measure(contestants: dict, sizes: list[int], make, rounds: int) -> tuple[dict, dict]:
    """Milliseconds and MiB of each call on `make(size)`; NaN beyond a contestant's largest
    size."""
    took = {name: [math.nan] * len(sizes) for name in contestants}
    needed = {name: [math.nan] * len(sizes) for name in contestants}
    for i, size in enumerate(sizes):
        x = make(size)
        calls = {
            n: lambda call=call: call(x)
            for n, (call, most) in contestants.items()
            if size <= most
        }
        with torch.inference_mode():
            for name, value in seconds(calls, rounds=rounds).items():
                took[name][i] = value * 1000
            for name, call in calls.items():
                needed[name][i] = peak_bytes(call) / 2**20
    return took, needed


# %%
def show_costs(sizes: list[int], took: dict, needed: dict, unit: str) -> None:
    """Two panels on logarithmic axes, and the exponents of the seven largest sizes of each
    contestant."""
    fig, axes = plotting.figure(2, 1, height=6.2, width=6.4)
    for ax, (label, values) in zip(
        axes, {"time (ms)": took, "peak memory (MiB)": needed}.items(), strict=True
    ):
        plotting.lines(
            ax, torch.tensor(sizes), values, xlabel=unit, ylabel=label, logx=True, logy=True
        )
        ax.set_ylim(top=3 * ax.get_ylim()[1])  # room for names above the ends of the lines
        shown = [size for size in sizes if size & (size - 1) == 0]  # not all: they would touch
        ax.set_xticks(shown, [f"{size:,}" for size in shown])
        ax.minorticks_off()
    rows, said = [], []
    for name in took:
        there = [i for i, value in enumerate(took[name]) if not math.isnan(value)][-7:]
        n = [sizes[i] for i in there]
        laws = [power_law(n, [values[name][i] for i in there]) for values in (took, needed)]
        flat = name.replace("\n", " ")
        rows.append(f"{flat:<28}{laws[0]!s:>14}{laws[1]!s:>16}{f'{n[0]:,} to {n[-1]:,}':>20}")
        said.append(f"{flat} {laws[0].exponent:.1f} and {laws[1].exponent:.1f}")
    alt = plotting.described("09/measured-cost-against-the-length", unit)
    plotting.show(fig, alt=alt + "; ".join(said) + ".")
    print(f"{'exponent of N':<28}{'time':>14}{'memory':>16}{'sizes':>20}", *rows, sep="\n")


# %% [markdown] predict="perceiver_cost"
# Time and memory grow like $N^a$. Which exponents do you expect for the three?

# %% [markdown] answer="perceiver_cost"
# Memory: 1 for Perceiver IO, 2 for attention that writes its weights down, at most 1 for the fused kernel. Time: about
# 2 for both kinds of attention; for Perceiver IO well below 1 here. A likely reason is the constant part, many small
# operations on 32 latents: they take time, though they are only a fifth of the multiply-adds at 2,048 inputs and less
# at more.

# %%
if ready("PerceiverIO"):
    seed_everything(0)
    deep = PerceiverIO(64, num_latents=32, latent_dim=64, depth=4, query_dim=64).eval()
    project, question = nn.Linear(64, 3 * 64), torch.randn(1, 64)

    def heads(x: Tensor) -> Tensor:
        """(B, N, 64) -> queries, keys, values of four heads, (3, B, 4, N, 16)."""
        return rearrange(project(x), "b n (three h d) -> three b h n d", three=3, h=4)

    def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention with every weight in memory."""
        return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v

    contestants = {  # name -> (call, largest N)
        "Perceiver IO": (lambda x: deep(x, question), 32_768),
        "self-attention": (lambda x: written_out(*heads(x)), 4_096),
        "self-attention,\nfused": (lambda x: F.scaled_dot_product_attention(*heads(x)), 8_192),
    }


# %% seconds=10
if ready("PerceiverIO"):
    sizes = budget.pick(
        smoke=[64, 128, 256, 512],
        cpu=[512, 768, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192, 16_384, 32_768],
    )
    began = time.perf_counter()
    took, needed = measure(
        contestants, sizes, lambda n: torch.randn(1, n, 64), rounds=budget.pick(smoke=1, cpu=5)
    )
    print(f"Measured on: {describe_machine()}, in {time.perf_counter() - began:.0f} s.")
    show_costs(sizes, took, needed, "number of inputs N")

# %% [markdown]
# The memory is exact, so begin there: with the weights written out it goes with $N^2$, since a matrix of $N \times N$
# for each head is all that counts. The fused kernel keeps no matrix, and what Perceiver IO keeps is three vectors per
# input (normalised, key, value): neither grows faster than $N$.
#
# The time of the fused kernel still goes nearly with $N^2$, as in notebook 04: every pair is still computed. Perceiver
# IO's is a constant (four layers on 32 latents, the same for every input) plus something proportional to N. In the
# stored run plain attention is the cheaper one at 512 inputs; for long inputs the slope decides. That is also the
# limit of the design: *all* that is known about the input has to fit into L vectors.

# %% [markdown]
# # Part C · Retention
#
# ## 8 · Attention without the softmax
#
# A model that generates a sequence with attention keeps every key and value it has ever made, and looks at all of them for each new token. A recurrent network keeps a
# state of fixed size, but has to be trained step by step. RetNet (Sun et al. 2023) drops the softmax, and gets both. Start with causal attention, leave out the softmax, and let the past fade by a
# factor $\gamma$ per step:
#
# $$o_n = \sum_{m \le n} \gamma^{\,n-m} \,(q_n \cdot k_m)\; v_m$$
#
# Without a softmax the output is a plain sum over the past. $q_n$ is the same in every term, so it can be taken out of the sum. What remains in the sum, $S_n$, does not depend on the query.
#
# $$o_n = q_n \underbrace{\sum_{m \le n} \gamma^{\,n-m} k_m^\top v_m}_{S_n,\;\; d \times e} \qquad\Rightarrow\qquad S_n = \gamma\, S_{n-1} + k_n^\top v_n, \quad o_n = q_n S_n$$
#
# Same numbers, two algorithms: a matrix of all pairs, or a small state carried along. Each head has its own $\gamma$, $1 - 2^{-5-h}$ in the paper: some forget fast, some slowly. (A whole RetNet layer also
# rotates queries and keys, which puts relative positions into $q_n \cdot k_m$, and has a norm per head and a gate. Here is its core.)

# %% [markdown] exercise="decay_matrix"
# All factors at once: row n, column m.
#
# <details><summary>Hint: trouble with large N</summary>
#
# Above the diagonal n - m is negative, and $0.5^{-2000}$ is infinite. Infinity times 0 is not a number, and even if you cut it off *afterwards*, the gradient remembers. What exponent would do no harm there?
# </details>

# %%
if ready("decay_matrix"):
    gammas = 1 - 2.0 ** -torch.tensor([1, 3, 5])

# %% fold="Drawing"
if ready("decay_matrix"):
    fig, axes = plotting.figure(1, 3, height=2.6, width=8.4)
    for ax, gamma, matrix in zip(axes, gammas, decay_matrix(gammas, 40), strict=True):
        plotting.heatmap(
            ax, matrix, vmin=0, vmax=1, colorbar=ax is axes[2], xlabel="position m (key)",
            label="gamma^(n - m)",
        )
        ax.set_title(
            f"gamma = {gamma:.3f}, half-life in steps: {math.log(0.5) / math.log(gamma):.0f}",
            fontsize=8.5,
        )
    axes[0].set_ylabel("position n (query)")
    plotting.show(fig, "09/decay-matrix")

# %% [markdown] exercise="retention_parallel"
# The matrix form, $(QK^\top \odot D)\,V$. Two lines.

# %% [markdown] exercise="retention_recurrent"
# One position after the other. The state is (B, H, d, e).
#
# <details><summary>Hint: an outer product</summary>
#
# Slices `key[:, :, n : n + 1]` keep the axis: (B, H, 1, d). Transposed that is a column, and a column times a row is a matrix.
# </details>

# %% [markdown]
# Is it true that the recurrent form never sees the future? Ask autograd: which inputs does the output at position 5 depend on?

# %%
if ready("retention_parallel", "retention_recurrent"):
    seed_everything(0)
    gammas = torch.tensor([0.5, 0.75, 0.9], dtype=torch.float64)
    forms = {"parallel": retention_parallel, "recurrent": lambda *a: retention_recurrent(*a)[0]}
    qkv = [torch.randn(1, 3, 12, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    for name, form in forms.items():
        output = form(*qkv, gammas)
        (gradient,) = torch.autograd.grad(output[:, :, 5].square().sum(), qkv[2])
        reach = gradient.abs().sum(dim=(0, 1, 3))  # per position of the values
        print(f"{name:10} depends on values at {[n for n in range(12) if reach[n] > 0]}")

# %% [markdown]
# ## 9 · Chunks: a form between the two
#
# The matrix form costs $N^2$; the recurrent form is a loop of N small steps, one after the other. In between: cut the
# sequence into chunks of C positions. *Inside* a chunk use the matrix form; what came *before* the chunk arrives
# through the state. With $i = 1 \dots C$ counting the positions of a chunk:
#
# $$o_i = \underbrace{\text{matrix form inside the chunk}}_{C \times C} \;+\; \gamma^{\,i}\, q_i\, S, \qquad S \leftarrow \gamma^{\,C} S + \sum_{i=1}^{C} \gamma^{\,C-i}\, k_i^\top v_i$$
#
# That is N / C steps of size $C^2$, and a state of $d$ rows to read and to update: about $N (C + d)$ per channel, linear in N.

# %% [markdown] exercise="retention_chunkwise"
# Three exponents: $i$ on the way in, $C - i$ on the way out, $C$ for the state. Where C does not divide N, the last chunk is shorter, and *its* length is what counts.
#
# <details><summary>Hint: check the exponents</summary>
#
# The first position of a chunk is one step away from the state before it; the last position of a chunk has not faded at all when the chunk ends.
# </details>
#
# <details><summary>Hint: cutting</summary>
#
# `x.split(C, dim=2)` gives chunks, the last one shorter if need be.
# </details>

# %% [markdown] predict="equality"
# Three algorithms, one function. How far apart will their results be in float64, for 500 positions? And in float32?

# %% [markdown] answer="equality"
# About $10^{-15}$ in float64 and $5 \cdot 10^{-7}$ in float32, relative to the largest value, gradients included: rounding, and nothing else.

# %%
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):
    forms["chunkwise"] = lambda *a: retention_chunkwise(*a, chunk_size=64)[0]
    for dtype in (torch.float64, torch.float32):
        seed_everything(0)
        gammas = (1 - 2.0 ** (-5 - torch.arange(4))).to(dtype)
        qkv = [torch.randn(2, 4, 500, 16, dtype=dtype, requires_grad=True) for _ in range(3)]
        results = {}
        for name, form in forms.items():
            output = form(*qkv, gammas)
            results[name] = (output, torch.autograd.grad(output.square().mean(), qkv))
        first, first_gradients = results["parallel"]
        for name in ("recurrent", "chunkwise"):
            output, gradients = results[name]
            apart = (output - first).abs().max() / first.abs().max()
            worst = max(
                ((a - b).abs().max() / b.abs().max()).item()
                for a, b in zip(gradients, first_gradients)
            )
            print(
                f"{str(dtype)[6:]}: {name} against parallel: output {apart:.0e}, gradients"
                f" {worst:.0e} apart (relative to the largest)."
            )

# %% [markdown]
# Equal up to rounding, gradients included. So you may *train* with one form and *run* with another.

# %% [markdown]
# ### The whole layer
#
# A RetNet layer puts three things around this core (Sun et al. 2023, sections 2.1 and 2.2). Queries and keys are
# **rotated** by an angle that grows with the position, pair of numbers by pair of numbers; the product of two rotated
# vectors then depends on their positions only through the *distance* between them. The output of each head is
# **normalised** by itself (a group norm). And a **gate**, made from the input, scales what comes out. With your exercises that is the layer, without the paper's
# normalisation of the scores and the feed-forward network behind it:

# %%
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):

    def rotate(x: Tensor, places: Tensor) -> Tensor:
        """(B, H, N, d): each pair of neighbouring numbers turned by place times speed, like the
        hands of notebook 01's clock."""
        speeds = 10_000 ** (-torch.arange(0, x.shape[-1], 2, dtype=x.dtype) / x.shape[-1])
        angles = places[:, None] * speeds  # (N, d / 2)
        cos, sin = angles.cos(), angles.sin()
        a, b = x[..., ::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], dim=-1).flatten(-2)

    class RetNetLayer(nn.Module):
        """Multi-scale retention; `form` is one of the three of your exercises."""

        def __init__(self, dim: int, num_heads: int) -> None:
            super().__init__()
            self.num_heads = num_heads
            self.query, self.key, self.value, self.gate, self.output = (
                nn.Linear(dim, dim, bias=False) for _ in range(5)
            )
            self.register_buffer("decay", 1 - 2.0 ** (-5 - torch.arange(num_heads)))

        def forward(self, x: Tensor, form, start: int = 0) -> Tensor:
            """(B, N, D) at the places start, start + 1, ... -> (B, N, D)."""
            q, k, v = (
                rearrange(part(x), "b n (h d) -> b h n d", h=self.num_heads)
                for part in (self.query, self.key, self.value)
            )
            places = start + torch.arange(x.shape[1])
            q, k = rotate(q, places), rotate(k, places) / k.shape[-1] ** 0.5
            heads = form(q, k, v, self.decay)
            heads = F.layer_norm(heads, heads.shape[-1:])  # each head by itself: a group norm
            merged = rearrange(heads, "b h n d -> b n (h d)")
            return self.output(F.silu(self.gate(x)) * merged)

# %%
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):
    seed_everything(0)
    layer, x = RetNetLayer(64, 4).double(), torch.randn(2, 100, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = layer(x, forms["parallel"])
        for name in ("recurrent", "chunkwise"):
            apart = (layer(x, forms[name]) - expected).abs().max()
            print(f"{name} against parallel: {apart:.0e} apart, of {expected.abs().max():.2f}.")
        moved = (layer(x, forms["parallel"], start=1_000) - expected).abs().max()
        print(f"The same sequence 1,000 places later: {moved:.0e} apart.")
    print(f"{count_parameters(layer):,} parameters: 5 matrices of 64 x 64.")

# %% [markdown]
# Only distances count: a sequence that begins at place 1,000 gets the same output. And the three forms stay one function inside the whole layer.

# %% [markdown]
# ## 10 · Measured: time and memory against length
#
# Causal attention with the matrix written out, the fused kernel, and the three forms of retention. One sequence, four heads of width 32, forward pass.

# %% [markdown] predict="retention_cost"
# Which exponents of N do you expect, of time and of memory, for each of the five? Which one is fastest at 256 positions, and which at 4,096?

# %% [markdown] answer="retention_cost"
# Memory: 2 for attention and parallel retention (both write a matrix of all pairs), 1 or less for the other three. Time: about 2 for these two and
# for the fused kernel, 1 for the recurrent form and the chunks. At 256 positions fused attention is fastest and the recurrent form slowest;
# at 4,096 the chunks are fastest.

# %%
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):
    gammas = 1 - 2.0 ** (-5 - torch.arange(4))

    def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Every weight in memory."""
        hidden = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
        return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(hidden, float("-inf")).softmax(
            -1
        ) @ v

    contestants = {
        "attention": (lambda x: causal_attention(*x), 4_096),
        "attention,\nfused": (
            lambda x: F.scaled_dot_product_attention(*x, is_causal=True),
            8_192,
        ),
        "retention,\nparallel": (lambda x: retention_parallel(*x, gammas), 4_096),
        "retention,\nrecurrent": (lambda x: retention_recurrent(*x, gammas), 8_192),
        "retention,\nchunkwise": (lambda x: retention_chunkwise(*x, gammas, 64), 8_192),
    }
    sizes = budget.pick(
        smoke=[32, 64, 128, 256],
        cpu=[256, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144, 8_192],
    )

# %% seconds=35
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):

    def make(length: int) -> list[Tensor]:
        """Queries, keys and values of one sequence."""
        return [torch.randn(1, 4, length, 32) for _ in range(3)]

    began = time.perf_counter()
    took, needed = measure(contestants, sizes, make, rounds=budget.pick(smoke=1, cpu=5))
    print(f"Measured on: {describe_machine()}, in {time.perf_counter() - began:.0f} s.")
    show_costs(sizes, took, needed, "sequence length N")
    for size in budget.pick(smoke=(64, 128), cpu=(256, 4_096)):
        ranking = sorted(
            (times[sizes.index(size)], name.replace("\n", " ")) for name, times in took.items()
        )
        print(
            f"N = {size:,}: "
            + ", ".join(f"{name} {value:.1f} ms" for value, name in ranking)
            + "."
        )

# %% [markdown]
# Memory first again, because it does not vary. Where a matrix of all pairs is written down (attention, parallel retention) the exponent is 2; parallel retention needs more than attention even, for the decay matrix comes on top. Fused attention, the recurrent form and the chunks keep
# something per position only, so no slope of theirs is above 1.
#
# Time is noisier, and the printed intervals say how much. Two things to look for. The recurrent form does the least
# arithmetic of all, and at short lengths it is the slowest. A likely reason: N tiny steps, one after the other, each
# too small to keep a processor busy. What it lacks is something to do in parallel. The chunks have that, with steps of
# $64 \times 64$. And fused attention has an exponent near 2 with a small factor: the two printed rankings say whether
# that is enough at 256 positions, and at 4,096.
#
# RetNet's authors train in parallel or in chunks, and generate recurrently (Sun et al. 2023).
#
# ### One more token
#
# Training sees whole sequences. Generation makes one token at a time, and there the difference is of another kind. After N tokens, the next one costs attention a look at N keys and values that have to be
# kept; it costs retention one update of the state.

# %%
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):
    lengths = budget.pick(
        smoke=[64, 128, 256, 512],
        cpu=[256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536],
    )
    x, one = make(lengths[-1]), make(1)
    step_ms = {"attention": [], "retention, recurrent": []}
    kept_kib = {name: [] for name in step_ms}
    for n in lengths:
        keys, values = (part[:, :, :n].contiguous() for part in x[1:])
        state = retention_chunkwise(*(part[:, :, :n] for part in x), gammas, 64)[1]
        calls = {
            "attention": lambda: [
                F.scaled_dot_product_attention(one[0], keys, values) for _ in range(20)
            ],
            "retention, recurrent": lambda: [
                retention_recurrent(*one, gammas, state) for _ in range(20)
            ],
        }
        with torch.inference_mode():
            for name, value in seconds(calls, rounds=budget.pick(smoke=1, cpu=9)).items():
                step_ms[name].append(value * 1000 / 20)
        kept_kib["attention"].append(sum(part.nbytes for part in (keys, values)) / 1024)
        kept_kib["retention, recurrent"].append(state.nbytes / 1024)
    for name in step_ms:
        law = power_law(lengths, step_ms[name])
        print(
            f"{name}: exponent of a step's time {law}, {step_ms[name][0]:.3f} ms after"
            f" {lengths[0]:,}, {step_ms[name][-1]:.3f} ms after {lengths[-1]:,} tokens."
        )

# %% fold="Drawing"
if ready("retention_parallel", "retention_recurrent", "retention_chunkwise"):
    fig, axes = plotting.figure(1, 2, height=2.9, width=9.0)
    for ax, (label, values) in zip(
        axes,
        {"time of the next token (ms)": step_ms, "kept from the past (KiB)": kept_kib}.items(),
        strict=True,
    ):
        plotting.lines(
            ax, torch.tensor(lengths), values, xlabel="tokens so far", ylabel=label, logx=True,
            logy=True,
        )
        ax.set_xticks(lengths[::2], [f"{n:,}" for n in lengths[::2]], fontsize=8)
        ax.minorticks_off()
    kept = "; ".join(
        f"{name} from {step_ms[name][0]:.2f} to {step_ms[name][-1]:.2f} ms, from"
        f" {values[0]:,.0f} to {values[-1]:,.0f} KiB"
        for name, values in kept_kib.items()
    )
    plotting.show(fig, "09/one-more-token", kept)

# %% [markdown]
# One update of the state is the same arithmetic after 65,536 tokens as after 256, and what has to be kept is the same: one d x e matrix per head. The measured time of a step hardly grows (the printed exponent), that of attention grows with all that is kept. In the stored run attention's step is the faster one up to 512 tokens; from 1,024 on retention's is.
#
# This has a price. A state of fixed size has to forget (that is what $\gamma$ is for), whereas attention can look up any token of the past exactly.
#
# ## Summary
#
# - **Mixture of experts**: parameters without work per token. What it costs is a discrete choice, which needs weights to learn through, places (and a rule for who gets them), and a loss that keeps the experts in use.
# - **Perceiver IO**: a latent array between input and output. Cost is linear in both; depth is paid on the latents only; the output is whatever the queries ask for. Positions must be written into inputs and queries.
# - **Retention**: linear in the past, because the softmax is gone. So one function has three algorithms: matrices to train, a state to generate, chunks for length. What is given up is the softmax, which can put nearly all weight on one token.
# - All three change *what is computed for whom*; none of them is specific to text or images.
#
# **Open questions.** (1) A dropped token passes unchanged through the residual connection. The tokens of the whole batch stand in one queue, image after image, and within an image in reading order. Which tokens does such a queue treat unfairly? (Riquelme et al. 2021 have an answer.)
# (2) Each expert has a fixed number of places, and a Perceiver a fixed number of latents. Could one see each latent as a place in an expert? What would then play the part of the router? (3) Where in an image would you want a retention with decay, which has a first and a last position? (Fan et al. 2024 let it fade with the distance along both axes of the image.)
#
# ## Further reading
#
# - Noam Shazeer, Azalia Mirhoseini, Krzysztof Maziarz, Andy Davis, Quoc Le, Geoffrey Hinton, Jeff Dean (2017). Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer. ICLR.
# - Dmitry Lepikhin, HyoukJoong Lee, Yuanzhong Xu, Dehao Chen, Orhan Firat, Yanping Huang, Maxim Krikun, Noam Shazeer, Zhifeng Chen (2021). GShard: Scaling Giant Models with Conditional Computation and Automatic Sharding. ICLR. (Capacity, second choices.)
# - William Fedus, Barret Zoph, Noam Shazeer (2022). Switch Transformers: Scaling to Trillion Parameter Models with Simple and Efficient Sparsity. JMLR. (k = 1, the balancing loss.)
# - Carlos Riquelme, Joan Puigcerver, Basil Mustafa, Maxim Neumann, Rodolphe Jenatton, André Susano Pinto, Daniel Keysers, Neil Houlsby (2021). Scaling Vision with Sparse Mixture of Experts. NeurIPS. (Experts in a ViT.)
# - Albert Q. Jiang and others (2024). Mixtral of Experts. arXiv:2401.04088.
# - Andrew Jaegle, Felix Gimeno, Andrew Brock, Andrew Zisserman, Oriol Vinyals, João Carreira (2021). Perceiver: General Perception with Iterative Attention. ICML.
# - Andrew Jaegle, Sebastian Borgeaud, Jean-Baptiste Alayrac, Carl Doersch, Catalin Ionescu, David Ding, Skanda Koppula, Daniel Zoran, Andrew Brock, Evan Shelhamer, Olivier Hénaff, Matthew M. Botvinick, Andrew Zisserman, Oriol Vinyals, João Carreira (2022). Perceiver IO: A General Architecture for Structured Inputs & Outputs. ICLR.
# - Kaiming He, Xinlei Chen, Saining Xie, Yanghao Li, Piotr Dollár, Ross Girshick (2022). Masked Autoencoders Are Scalable Vision Learners. CVPR.
# - Angelos Katharopoulos, Apoorv Vyas, Nikolaos Pappas, François Fleuret (2020). Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention. ICML. (Attention without the softmax.)
# - Yutao Sun, Li Dong, Shaohan Huang, Shuming Ma, Yuqing Xia, Jilong Xue, Jianyong Wang, Furu Wei (2023). Retentive Network: A Successor to Transformer for Large Language Models. arXiv:2307.08621.
# - Qihang Fan, Huaibo Huang, Mingrui Chen, Hongmin Liu, Ran He (2024). RMT: Retentive Networks Meet Vision Transformers. CVPR.
