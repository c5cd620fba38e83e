# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 01 · The Transformer, rebuilt from its parts
#
# In 2017 eight people at Google published a network for translation with a title that became famous: *Attention Is All You
# Need*. It removed recurrence and convolution and kept one idea, attention. Today its descendants write, translate, fold
# proteins, and look at images, which is what this course is about. Before we let a Transformer see, we build one: every part by
# hand, each checked, and at the end a complete encoder-decoder that you train in a minute or two and whose attention you can look at.
#
# **Goals.** After this notebook you can
#
# - write scaled dot-product attention and multi-head attention, with masks, and prove them equal to PyTorch's;
# - say *why* scores are divided by $\sqrt{d}$, what position encodings add, and where the norms go, each with a measurement of your own;
# - assemble encoder and decoder layers, decode greedily, and train the whole on a small task to at least 99%;
# - look at attention maps and tell what the network does.
#
# **You need** Python and PyTorch basics (tensors, broadcasting, `nn.Module`, autograd).
#
# **Time.** About three hours of reading and coding. Cells that take over ten seconds on two CPU cores say so;
# all of them together are a few minutes.

# %%
import inspect
import math
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from utils import current_budget, describe_machine, plotting
from utils.plotting import transformer as sketches
from utils.checks import check, ready
from utils.training import count_parameters, fit, seed_everything

# What later cells need: an exercise, and those that it is built on.
ATTENTION = ("scaled_dot_product_attention", "split_heads", "merge_heads", "MultiHeadAttention")
ENCODER = (*ATTENTION, "FeedForward", "EncoderLayer")
DECODER = (*ATTENTION, "FeedForward", "causal_mask", "DecoderLayer")
WHOLE = (*ENCODER, "causal_mask", "DecoderLayer", "sinusoidal_positions", "greedy_decode")

budget = current_budget()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# ## 0 · The machine as a whole
#
# This is what you will have built at the end. On the left the *encoder* reads a source sequence of M tokens (a German sentence, say); on the right the
# *decoder* writes the target, one token at a time, and at every step looks at what the encoder has made of the source. Letters in brackets are
# shapes, and they keep their meaning through the whole course: batch $B$, tokens $N$ or $M$, width $D$, vocabulary $V$.

# %% fold="Drawing"
plotting.show(
    sketches.transformer(),
    "01/the-machine-as-a-whole",
)

# %% [markdown]
# Two kinds of boxes do most of the work. In **attention** (orange) tokens exchange information. In the **feed-forward** (blue) each token
# is processed by itself. Everything else connects these two; how it does so matters, as we will measure. We begin with attention.
#
# ## 1 · Attention: a look-up that is never quite sure
#
# A Python dictionary finds the value whose key *equals* the query. Attention is a dictionary for vectors, where nothing is ever
# equal, only more or less similar. So it gives a bit of every value: a lot of those whose keys fit the query, little of the others.
#
# One query and three keys in two dimensions, step by step:

# %%
query = torch.tensor([2.0, 1.0])
keys = torch.tensor([[2.0, 0.5], [0.0, 2.0], [-1.5, 0.5]])  # three keys, one per row
values = torch.tensor([10.0, 20.0, 30.0])  # what lies behind each key; here just a number

fit_of_keys = keys @ query  # how well does each key fit? the dot product
shares = fit_of_keys.exp() / fit_of_keys.exp().sum()  # positive, and they sum to one: a softmax
print("scores ", fit_of_keys.tolist())
print("weights", [round(share, 3) for share in shares.tolist()])
print("output ", round((shares @ values).item(), 2), "(the value behind the first key is 10)")

# %% [markdown]
# The first key points in nearly the query's direction, gets 92% of the weight, and the output lands near its value. Nothing here is
# discrete, so gradients flow through every step, and the network can *learn* what to look for. Bahdanau, Cho and Bengio (2015) did this to let
# a recurrent translator look back at the source sentence; Vaswani et al. (2017) dropped the recurrence.
#
# Now N queries and M keys at once. Stack the queries as the rows of $Q$, the keys of $K$, the values of $V$:
#
# $$\text{Attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V,
# \qquad Q: (N, d),\quad K: (M, d),\quad V: (M, e) \;\to\; (N, e).$$
#
# The table $Q K^\top$ is $(N, M)$: row = query, column = key. The softmax makes each *row* sum to one. The $\sqrt d$ is explained below, after the next exercise.
#
# A **mask** says who may look at whom: a table $(N, M)$ of booleans, `True` = may attend. It hides padding, and the future.

# %% [markdown] exercise="scaled_dot_product_attention"
# Write the formula for any number of batch axes in front, and return the weights as well: they are what we will look at.
#
# A hidden key must get a weight of exactly zero, and the visible ones must still sum to one. One special case needs care: a query that may look at
# *nothing* (it happens: an empty sentence in a batch). There is nothing to average, so its output and its weights are zeros.
#
# <details><summary>Hint: transposing with batch axes in front</summary>
#
# `key.transpose(-2, -1)` exchanges the last two axes and leaves the others alone; `@` multiplies the last two and broadcasts the rest.
# </details>
# <details><summary>Hint: hiding a key</summary>
#
# What number must a score be, so that its exponential is 0? Look up `masked_fill`. (Multiplying the weights afterwards is too late: they
# would no longer sum to one.)
# </details>
# <details><summary>Hint: nothing to look at</summary>
#
# A softmax over scores that are all minus infinity is 0 / 0. One more `masked_fill`, *after* the softmax, settles the case.
# </details>

# %% [markdown]
# A first look at your function. The letters of a word become random vectors, the same letter always the same vector, and each position
# asks for its own vector. Equal letters find each other, wherever they are. Distance plays no role: attention has no notion of near and far.

# %%
if ready("scaled_dot_product_attention"):
    word = "transformers"
    vectors = torch.randn(26, 24, generator=torch.Generator().manual_seed(3))
    letters = torch.stack([vectors[ord(letter) - ord("a")] for letter in word])  # (N, d)
    _, weights = scaled_dot_product_attention(letters, letters, letters)
    fig, ax = plotting.figure(width=4.6, height=3.8)
    plotting.heatmap(
        ax, weights, xlabels=list(word), ylabels=list(word), xlabel="key", ylabel="query",
        label="weight",
    )
    plotting.show(fig, "01/scaled-dot-product-attention")

# %% [markdown]
# ### Why divide by $\sqrt d$?
#
# Take queries and keys whose entries are independent with mean 0 and variance 1. A score is a sum of $d$ products, each with mean 0 and
# variance 1, so its variance is $d$: **scores grow with the width**, like $\sqrt d$. Dividing by $\sqrt d$ brings them back to size 1.
#
# And what is wrong with large scores? The softmax of large scores is nearly one-hot, and there it is flat: a weight $p$ reacts to its own
# score with $\partial p / \partial s = p\,(1 - p)$, which vanishes at $p = 0$ *and* at $p = 1$. No slope, no learning.

# %% [markdown] predict="sqrt_d"
# We draw 16 random keys and let the width $d$ grow from 2 to 1024. How does the *entropy* of a row of weights behave (evenly
# spread over 16 keys it is $\ln 16 \approx 2.77$; on a single key it is 0) with the division, and without? And the slope $p\,(1-p)$?

# %% [markdown] answer="sqrt_d"
# With the division both stay where they are: the scores have variance 1 for every width, so next to nothing in the softmax depends on $d$ (for the smallest widths the products of two vectors are not yet normally distributed).
# Without it the scores grow like $\sqrt d$, the largest one runs away from the rest, the entropy falls towards 0, and the slope with it.

# %%
if ready("scaled_dot_product_attention"):
    widths = [2**i for i in range(1, 11)]
    seed_everything(0)
    entropy, slope = {}, {}
    for name in ("divided by sqrt(d)", "not divided"):
        rows = []
        for d in widths:
            query, key = torch.randn(500, 4, d), torch.randn(500, 16, d)
            # takes the division back
            undo = 1.0 if name.startswith("divided") else math.sqrt(d)
            _, p = scaled_dot_product_attention(query * undo, key, key)  # (500, 4, 16)
            rows.append(((-torch.special.xlogy(p, p)).sum(-1).mean(), (p * (1 - p)).mean()))
        entropy[name], slope[name] = (
            torch.tensor(column) for column in zip(*rows, strict=True)
        )

# %% fold="Drawing"
if ready("scaled_dot_product_attention"):
    fig, axes = plotting.figure(1, 2, height=2.7)
    plotting.lines(
        axes[0], widths, entropy, xlabel="width d", ylabel="entropy of the weights (nats)",
        logx=True,
    )
    plotting.lines(
        axes[1], widths, slope, xlabel="width d", ylabel="mean slope p (1 - p)", logx=True
    )
    plotting.show(
        fig, "01/sqrt-d", entropy["divided by sqrt(d)"][-1], entropy["not divided"][-1]
    )
    ratio = slope["divided by sqrt(d)"][-1] / slope["not divided"][-1]
    print(f"At d = 1024 the slope is {ratio:.0f} times larger with the division than without.")

# %% [markdown]
# With the division neither curve depends on the width; without it both fall. Vaswani et al. suspected exactly this (section 3.2.1, footnote
# 4). What it does to a whole training was not measured here, only its cause: the slope at d = 1024 is 15 times smaller without the root.
#
# ## 2 · Many heads
#
# One attention has one set of weights, so a token can ask one question at a time. But the word *it* may want to know what it refers to
# *and* which verb it belongs to. So we cut the width $D$ into $H$ slices of $d = D / H$ and run an attention of its own in each. These are
# the **heads**. The cost is that of a single wide attention, since each head is thinner.

# %%
steps = [
    ("tokens", "(B, N, D)"),
    ("project to query, key, value", "3 x (B, N, D)"),
    ("split heads", "3 x (B, H, N, d)"),
    ("attend", "(B, H, N, d)"),
    ("merge heads", "(B, N, D)"),
    ("project the output", "(B, N, D)"),
]
plotting.show(plotting.flow(steps), "01/many-heads")

# %% [markdown]
# Two small helpers come first. `einops.rearrange` says in one line what happens to which axis, and reads like the sketch:
# `rearrange(x, "b n (h d) -> ...")` splits the last axis into h groups of d, and the right-hand side puts the axes into any order.

# %% [markdown] exercise="split_heads"
# From tokens to heads. Head 0 gets the first $d$ numbers of every token, head 1 the next $d$, and so on.
#
# <details><summary>Hint</summary>
#
# One of the two sizes in `(h d)` has to be told, as a keyword argument of `rearrange`. Which one do you know?
# </details>

# %% [markdown]
# `x.reshape(B, H, N, d)` would give the same *shape*. Here is why it would not do: three tokens, two heads, and each number says which token
# it comes from.

# %%
if ready("split_heads"):
    # (B, N, D): token 0 is all zeros, token 1 all ones, ...
    x = torch.arange(3).view(1, 3, 1).expand(1, 3, 4)

# %% fold="Drawing"
if ready("split_heads"):
    fig, axes = plotting.figure(1, 3, height=2.3)
    pictures = {
        "3 tokens of width 4": x[0],
        "split_heads: head 0": split_heads(x, 2)[0, 0],
        "reshape: 'head 0'": x.reshape(1, 2, 3, 2)[0, 0],
    }
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        plotting.heatmap(
            ax, picture, title=title, annotate=True, vmin=0, vmax=2, colorbar=False,
            xlabel="number", ylabel="row" if title.startswith("reshape") else "token",
        )
    plotting.show(fig, "01/split-heads")

# %% [markdown]
# A reshape takes the numbers in the order in which they lie in memory: "head 0" knows nothing of token 2. No error is raised, and every shape
# is right. Such mistakes are why this course checks values and not just shapes.

# %% [markdown] exercise="merge_heads"
# And back: the heads of a token lie side by side again. `merge_heads(split_heads(x, H))` is `x`.

# %% [markdown]
# Now the layer. Before the heads, three learned projections turn a token into what it asks (query), what it offers to be found by
# (key), and what it passes on (value). After them, a fourth mixes what the heads have found:
#
# $$\text{MultiHead}(X, Y) = \text{merge}\big(\text{head}_1, \dots, \text{head}_H\big)\, W_O^\top + b_O, \qquad
# \text{head}_h = \text{Attention}\big((X W_Q^\top + b_Q)_h,\; (Y W_K^\top + b_K)_h,\; (Y W_V^\top + b_V)_h\big).$$
#
# With $Y = X$ tokens look at their own sequence: **self-attention**. With another $Y$ they look at another sequence: **cross-attention**.

# %% [markdown] predict="heads"
# A layer of width $D = 128$ has how many parameters with 1 head? With 8 heads?

# %% [markdown] answer="heads"
# The same number: $4 D^2 + 4 D = 66{,}048$. The heads are slices of the same projections; only who is compared with whom changes.

# %% [markdown] exercise="MultiHeadAttention"
# Write `forward`: project, split, attend, merge, project. As in PyTorch, the three projections are stored in one matrix,
# `in_proj_weight` of shape (3D, D): its first D rows are the query's, then come the key's, then the value's; the same goes for `in_proj_bias`.
#
# `self.attend` is given, and calls your `scaled_dot_product_attention` when the weights are wanted.
#
# <details><summary>Hint: the projections</summary>
#
# `self.in_proj_weight.chunk(3)` gives the three matrices. `F.linear(x, weight, bias)` computes x W^T + b, as `nn.Linear` does.
# </details>
# <details><summary>Hint: fewer products (optional)</summary>
#
# In self-attention query, key and value are the same tensor, and one product with the whole (3D, D) matrix gives all three projections.
# </details>

# %% [markdown]
# The names and the layout of the parameters are PyTorch's, so your layer can load the weights of `nn.MultiheadAttention`. Does it then
# compute the same? (PyTorch's mask is the other way round there, `True` = hidden, so we invert it.)

# %%
if ready(*ATTENTION):
    seed_everything(0)
    theirs = nn.MultiheadAttention(64, 4, batch_first=True)
    ours = MultiHeadAttention(64, 4)
    ours.load_state_dict(theirs.state_dict())
    x, y = torch.randn(2, 5, 64), torch.randn(2, 7, 64)
    mask = torch.rand(5, 7) < 0.7
    mask[:, 0] = True
    expected, _ = theirs(x, y, y, attn_mask=~mask)
    for need_weights in (True, False):
        output, _ = ours(x, y, mask=mask, need_weights=need_weights)
        print(
            f"need_weights={need_weights!s:5}: largest difference to PyTorch"
            f" {(output - expected).abs().max():.1e}"
        )
    counts = {heads: count_parameters(MultiHeadAttention(128, heads)) for heads in (1, 8)}
    print(f"parameters at D = 128: {counts[1]:,} with 1 head, {counts[8]:,} with 8")

# %% [markdown]
# Equal to rounding, on both paths through `attend`. So there are two ways to the same output: yours, which stores all
# $N \times N$ weights, and PyTorch's fused kernel, which works through them block by block and never has them all in memory (Dao et al.
# 2022). That is why layers ask for weights only when somebody wants to look at them. What does it save?

# %%
if ready(*ATTENTION):
    layer = MultiHeadAttention(64, 4).eval()
    tokens = budget.pick(smoke=[32, 64], cpu=[64, 128, 256, 512, 1024, 2048])
    names = {True: "by hand, keeps the weights", False: "fused, never has them"}
    milliseconds = {name: [] for name in names.values()}
    with torch.no_grad():
        for n in tokens:
            x = torch.randn(1, n, 64)
            times = {name: [] for name in names.values()}
            for repeat in range(budget.pick(smoke=3, cpu=21)):
                for need_weights, name in names.items():  # in turn: a disturbance hits both
                    start = time.perf_counter()
                    layer(x, need_weights=need_weights)
                    if repeat:  # the first call of each is slower
                        times[name].append(1000 * (time.perf_counter() - start))
            for name, some in times.items():
                milliseconds[name].append(sorted(some)[len(some) // 2])

# %% fold="Drawing"
if ready(*ATTENTION):
    fig, ax = plotting.figure(width=5.6, height=2.7)
    plotting.lines(
        ax, tokens, milliseconds, xlabel="tokens N", ylabel="time per call (ms)", logx=True,
        logy=True,
    )
    plotting.show(
        fig, "01/multiheadattention", tokens[-1], milliseconds[names[False]][-1],
        milliseconds[names[True]][-1],
    )
    print(
        f"N = {tokens[-1]}: the weights of one layer alone take"
        f" {4 * 4 * tokens[-1] ** 2 / 2**20:.2f} MiB per sequence."
    )

# %% [markdown]
# In the stored run the fused kernel took 10.6 ms for 2,048 tokens, and attention that keeps the weights 75.5 ms; and the kernel does not store those 64 MiB per sequence. For few tokens the two take nearly the same time.
#
# Twice the tokens, four times the weights. A sentence of 20 words has few of them. An image has thousands of pixels. If each is a token, the cost decides what is possible: that is the question of notebooks 04 to 07.
#
# ## 3 · Where am I?
#
# Look at the formula of attention once more: is there anything in it that knows the *order* of the tokens? Shuffle the rows of $X$ with a
# permutation $P$. All scores are the same, only elsewhere, and the output is shuffled in the same way: $f(PX) = P f(X)$. This is called
# **permutation equivariance**. To attention, *dog bites man* and *man bites dog* are one and the same bag of words.

# %%
if ready(*ATTENTION):
    seed_everything(0)
    layer, x = MultiHeadAttention(64, 4), torch.randn(1, 10, 64)
    order = torch.randperm(10)
    difference = layer(x[:, order])[0] - layer(x)[0][:, order]
    print(
        f"shuffle, then attend, against attend, then shuffle: {difference.abs().max():.1e}"
        " apart"
    )

# %% [markdown]
# If order is to matter, it has to be written *into the tokens*. The paper adds to each token a vector that depends on its position $p$
# alone. Think of a clock: hour, minute and second hand together tell the time, and each is periodic. A position gets $D / 2$ hands, the
# fastest turns by one radian per position, the slowest almost not at all. A hand is stored as its sine and cosine:
#
# $$PE_{p,\,2i} = \sin\!\big(p / 10000^{2i/D}\big), \qquad PE_{p,\,2i+1} = \cos\!\big(p / 10000^{2i/D}\big),
# \qquad i = 0, \dots, D/2 - 1.$$

# %% [markdown] exercise="sinusoidal_positions"
# Compute the table, shape (N, D). Mind the order of the columns: sine and cosine of a hand are neighbours.
#
# <details><summary>Hint: all angles at once</summary>
#
# A column of N positions times a row of D/2 speeds gives an (N, D/2) table of angles, by broadcasting.
# </details>
# <details><summary>Hint: interleaving</summary>
#
# Either fill every second column of an empty table (`table[:, 0::2] = ...`), or stack sine and cosine along a new last axis and
# flatten it into the one before.
# </details>

# %%
if ready("sinusoidal_positions"):
    table = sinusoidal_positions(64, 64)

# %% fold="Drawing"
if ready("sinusoidal_positions"):
    fig, axes = plotting.figure(1, 2, height=3.0)
    plotting.heatmap(
        axes[0], table, diverging=True, xlabel="column", ylabel="position", title="the table"
    )
    offsets = torch.arange(-20, 21)
    products = {f"from position {p}": table[p + offsets] @ table[p] for p in (20, 40)}
    plotting.lines(
        axes[1], offsets, products, xlabel="offset to the other position", ylabel="dot product"
    )
    axes[1].set_title("similarity of two positions")
    axes[1].lines[1].set_linestyle((0, (3, 3)))  # the curves coincide: both can be seen
    plotting.show(fig, "01/sinusoidal-positions")

# %% [markdown]
# On the right is the reason for sines *and* cosines. The dot product of two positions is a sum of $\cos(\omega_i\,(p - q))$, so it depends
# on their **distance** only, not on where they are. The two curves coincide (one is dashed), and near positions look alike. "Three to the left" is the
# same rotation of the hands everywhere, something that a linear projection can learn.

# %% [markdown] predict="shuffle"
# We repeat the shuffling experiment, and this time positions are added to the tokens before attention. What will the difference be now: zero,
# small, or about as large as the outputs themselves?

# %% [markdown] answer="shuffle"
# Far from zero: a shuffled token now meets another position, so its query, key and value change, and with them all outputs. It is not as large as
# the outputs either (about a fifth of their size here). One reason: every output is partly an average over all tokens, and the average of the
# positions does not change when tokens are shuffled.

# %%
if ready(*ATTENTION, "sinusoidal_positions"):
    positions = sinusoidal_positions(10, 64)
    for name, added in (("without positions", 0 * positions), ("with positions", positions)):
        plain, shuffled = layer(x + added)[0], layer(x[:, order] + added)[0]
        difference = (shuffled - plain[:, order]).abs().mean()
        print(
            f"{name:>17}: mean difference {difference:.1e}, mean size of an output"
            f" {plain.abs().mean():.1e}"
        )

# %% [markdown]
# ## 4 · An encoder layer
#
# After the tokens have exchanged information, each is processed by itself. The **feed-forward** network is applied to every token separately, with
# the same weights. It is wide inside (four times, in the paper), and it holds two thirds of a layer's parameters:
#
# $$\text{FFN}(x) = W_2\, \phi(W_1 x + b_1) + b_2, \qquad W_1: (\text{hidden}, D), \quad W_2: (D, \text{hidden}), \quad \phi = \text{ReLU}.$$

# %% [markdown] exercise="FeedForward"
# Make the two linear layers, `linear1` and `linear2`, and apply them with `self.activation(...)` in between.

# %%
if ready(*ATTENTION, "FeedForward"):
    seed_everything(0)
    feed_forward, attention, x = (
        FeedForward(64, 256),
        MultiHeadAttention(64, 4),
        torch.randn(1, 8, 64),
    )
    nudged = x.clone()
    nudged[0, 3] += 1.0  # touch token 3

# %% fold="Drawing"
if ready(*ATTENTION, "FeedForward"):
    fig, axes = plotting.figure(1, 2, height=2.4)
    moves = {"attention": lambda x: attention(x)[0], "feed-forward": feed_forward}
    for ax, (name, move) in zip(axes, moves.items(), strict=True):
        change = (move(nudged) - move(x)).norm(dim=-1)[0]
        plotting.bars(
            ax, {f"token {n}": change[n].item() for n in range(8)},
            xlabel="change of the output (norm)",
        )
        ax.set_title(name)
    for ax in axes:
        ax.set(xlim=(0, max(ax.get_xlim()[1] for ax in axes)), xticks=[0, 1, 2])
    plotting.show(fig, "01/feedforward")

# %% [markdown]
# So the two do different things: attention moves information *between* tokens, the feed-forward works *within* each.
#
# We call each of the two a *move*. Around each move stand two things that make deep networks trainable. A **residual connection** adds the move's result to its input, so that a
# layer only has to say what to *change* (He et al. 2016). A **layer norm** brings each token to mean 0 and variance 1, and then scales and shifts it
# with learned numbers (Ba, Kiros and Hinton 2016). There are two places for the norm, and the choice matters more than it seems:

# %% fold="Drawing"
plotting.show(
    sketches.norm_orders(),
    "01/feedforward-2",
)

# %% [markdown] exercise="EncoderLayer"
# Two moves, attention and feed-forward, each with its residual connection, its own norm and dropout:
#
# $$\text{post-LN: } x \leftarrow \text{LN}\big(x + \text{dropout}(f(x))\big), \qquad
# \text{pre-LN: } x \leftarrow x + \text{dropout}\big(f(\text{LN}(x))\big).$$
#
# The paper's layer is post-LN (`norm_first=False`); GPT-2 and ViT, for example, are pre-LN, BERT is post-LN. `attend` is given.

# %% [markdown]
# Does it equal the library's layer? PyTorch keeps the two linear layers of the feed-forward directly in the layer, so one name has
# to be extended; then its weights load into yours.

# %%
if ready(*ENCODER):
    for norm_first in (False, True):
        seed_everything(0)
        theirs = nn.TransformerEncoderLayer(
            64, 4, 256, dropout=0.0, batch_first=True, norm_first=norm_first
        )
        # not the default weights: a norm of all ones would hide mistakes
        for parameter in theirs.parameters():
            nn.init.normal_(parameter, mean=0.1, std=0.2)
        ours = EncoderLayer(64, 4, 256, norm_first)
        weights = theirs.state_dict()
        ours.load_state_dict(
            {
                ("feed_forward." if name.startswith("linear") else "") + name: w
                for name, w in weights.items()
            }
        )
        x = torch.randn(2, 9, 64)
        difference = (ours(x) - theirs(x)).abs().max()
        print(
            f"norm_first={norm_first!s:5}: largest difference to nn.TransformerEncoderLayer"
            f" {difference:.1e}"
        )

# %% [markdown]
# ### Where should the norm go?
#
# In post-LN, a gradient on its way down passes through every norm. In pre-LN it has a free path from the loss to the first layer: the
# residual connections, with nothing on them. Xiong et al. (2020) worked out what this does to the gradient of the *last* layer's weights at
# initialisation: in post-LN it does not shrink however deep the network is, in pre-LN it shrinks like $1 / \sqrt{L}$ with the number $L$ of layers. They conclude that a pre-LN stack needs no warm-up. Here we measure the gradients.

# %% [markdown] predict="depth"
# A stack of 24 layers, fresh from initialisation. Sketch the gradient of a layer's weights against the layer's number, from the first
# to the last, for post-LN and for pre-LN. Where is it largest?

# %% [markdown] answer="depth"
# Pre-LN: largest in the first layer, and at the last about a third of that. The gradient of an early layer reaches it along the residual path and through every later layer, and each of these adds its share; the last layer has the residual path alone. (The norm in front of the head divides the gradients of all layers by the size of the residual stream. The more layers, the larger the stream: that is why the last layer's gradient shrinks with the depth, on the right.)
#
# Post-LN: no such fall. It rises over the first half and then stays, so the largest lies somewhere in the second half. The last layers get gradients at least as large as the first. Post-LN varies more from seed to seed, most of all in the middle layers (shaded: the 95 % interval of the mean over the seeds).

# %%
def gradients(depth: int, norm_first: bool, seed: int) -> Tensor:
    """Norm of the gradient for the last weight of each layer, at initialisation: (depth,)."""
    seed_everything(seed)
    layers = nn.ModuleList(EncoderLayer(64, 4, 256, norm_first) for _ in range(depth))
    for parameter in layers.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)  # as in the paper
    head, x = nn.Linear(64, 10), torch.randn(8, 16, 64)
    for layer in layers:
        x = layer(x)
    if norm_first:
        x = F.layer_norm(x, (64,))  # a pre-LN stack ends with a norm
    F.cross_entropy(head(x).flatten(0, 1), torch.randint(10, (128,))).backward()
    return torch.stack([layer.feed_forward.linear2.weight.grad.norm() for layer in layers])


# %% seconds=25
if ready(*ENCODER):
    orders = {"post-LN": False, "pre-LN": True}
    deep = budget.pick(smoke=4, cpu=24)
    depths = budget.pick(smoke=[2, 4], cpu=[3, 6, 12, 24, 48])
    seeds = range(budget.pick(smoke=2, cpu=10))
    per_layer = {
        name: torch.stack([gradients(deep, order, s) for s in seeds])
        for name, order in orders.items()
    }
    last = {
        name: torch.stack(
            [torch.stack([gradients(depth, order, s)[-1] for depth in depths]) for s in seeds]
        )
        for name, order in orders.items()
    }

# %% fold="Drawing"
if ready(*ENCODER):
    fig, axes = plotting.figure(1, 2, height=2.9)
    plotting.lines(
        axes[0], torch.arange(1, deep + 1), per_layer, xlabel=f"layer (of {deep})",
        ylabel="norm of the gradient", logy=True,
    )
    plotting.lines(
        axes[1], depths, last, xlabel="number of layers L", ylabel="gradient of the last layer",
        logx=True, logy=True,
    )
    said = []
    for name in orders:
        (near, far), (shallow, many) = (
            per_layer[name].mean(0)[[0, -1]],
            last[name].mean(0)[[0, -1]],
        )
        said.append(
            f"{name}: {near:.2f} in layer 1, {far:.2f} in layer {deep}; last layer"
            f" {shallow:.2f} of {depths[0]}, {many:.2f} of {depths[-1]}"
        )
    plotting.show(fig, "01/depth", ". ".join(said))
    print("\n".join(said))

# %% [markdown]
# The direction is the theory's: with depth the last layer's gradient shrinks in pre-LN, and does not in post-LN (here it even grows). The slopes are
# not exactly the predicted ones: the theory simplifies, among other things it lets attention be uniform at the start.
# %% [markdown]
# Does that matter beyond the first step? Let us train. Twelve layers, a toy task (each position must name the letter that stands at
# the mirrored place), a learning rate on the high side, 300 steps. Once without warm-up, and for post-LN also with a learning rate that grows
# in a straight line over the first half of the steps. Vaswani et al. (2017) let theirs grow, too, over their first 4,000 steps. (`fit` is the course's training loop; section 7 has a word on it.)

# %%
class Tower(nn.Module):
    """An encoder that predicts a letter at each position."""

    def __init__(
        self, depth: int, norm_first: bool, letters: int = 26, length: int = 12, dim: int = 64
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, dim)
        self.register_buffer("positions", sinusoidal_positions(length, dim))
        self.layers = nn.ModuleList(
            EncoderLayer(dim, 4, 4 * dim, norm_first) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim) if norm_first else nn.Identity()
        self.head = nn.Linear(dim, letters)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.positions  # (B, N, D)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def mirror_batches(part: int):
    generator = torch.Generator().manual_seed(part)
    for _ in range(budget.pick(smoke=2, cpu=25)):
        tokens = torch.randint(26, (32, 12), generator=generator)
        yield tokens, tokens.flip(1)


# %% seconds=30
if ready(*ENCODER, "sinusoidal_positions"):
    losses, parts = {}, budget.pick(smoke=2, cpu=12)
    palette = dict(zip((*orders, "post-LN, warm-up"), plotting.palette(3), strict=True))
    start = time.perf_counter()
    for name, order, warmup in (
        ("pre-LN", True, 0),
        ("post-LN", False, 0),
        ("post-LN, warm-up", False, 0.5),
    ):
        seed_everything(0)
        tower = Tower(budget.pick(smoke=2, cpu=12), order)
        history = fit(
            tower, mirror_batches, epochs=parts, lr=3e-3, warmup=warmup, schedule="constant",
            progress="bar",
        )
        losses[name] = history.train_loss
    print(
        f"Three trainings took {time.perf_counter() - start:.0f} s. Machine:"
        f" {describe_machine()}; budget: {budget}."
    )
    fig, ax = plotting.figure(width=5.6, height=2.7)
    plotting.lines(
        ax, torch.arange(1, parts + 1) * budget.pick(smoke=2, cpu=25), losses, xlabel="step",
        ylabel="training loss (nats)", colors=palette,
    )
    plotting.chance(ax, math.log(26))
    plotting.show(
        fig,
        "01/depth-2",
        "; ".join(f"{name} ends at {loss[-1]:.2f}" for name, loss in losses.items()),
        math.log(26),
    )

# %% [markdown]
# In the stored run (one seed of each) the pre-LN stack learns without any warm-up. The post-LN stack, same data, same learning rate, stays at the
# loss of guessing for all 300 steps. With warm-up it learns too, only later. This agrees with the main finding of Xiong et al. (2020): a deep
# post-LN stack needs the warm-up of the original paper, and a pre-LN stack can do without.

# %% [markdown]
# ## 5 · A decoder layer
#
# The decoder writes. While it is *trained*, it sees the whole target at once and predicts, at every position, the token that comes next. For
# this to be a task at all, position $i$ must not see what comes after it. A **causal mask** ensures this: query $i$ may look at the keys $0..i$.

# %% [markdown] exercise="causal_mask"
# Make the mask, (N, N), `True` = may attend.
#
# <details><summary>Hint</summary>
#
# It is a triangle. There is a tensor method that keeps one and clears the rest; its name is four letters long.
# </details>

# %% [markdown]
# So one forward pass over N tokens trains N predictions at the same time, each with its own past. To give the decoder the *true* target so far,
# and not what it has written itself, is called **teacher forcing**. A recurrent network has to take its N steps one after the other, a
# Transformer takes them at once. That is an advantage where the hardware has many parallel units. On two CPU cores and short sentences notebook 03
# measures both: there the LSTM's steps are not slower.
#
# A decoder layer is an encoder layer with a third move in the middle. Masked self-attention looks at the target so far;
# **cross-attention** then looks at the source: queries from the decoder, keys and values from the encoder's output, the *memory*.

# %% [markdown] exercise="DecoderLayer"
# Three moves, each wrapped like those of `EncoderLayer`: self-attention with `mask` and `norm1`; cross-attention (`self.multihead_attn`) to
# `memory` with `memory_mask` and `norm2`; feed-forward with `norm3`. The memory itself is used as it comes: the norms are for `x`.
#
# <details><summary>Hint: not writing it six times</summary>
#
# A list of pairs (norm, move), and a loop over it. A `lambda x: ...` makes a move of a call with further arguments. Remember that
# MultiHeadAttention returns two things.
# </details>

# %% [markdown]
# Who can influence whom? We can ask autograd: the gradient of output $i$ with respect to input $j$ is zero exactly if $j$ has no way to $i$.

# %%
if ready(*DECODER):
    seed_everything(0)
    layer = DecoderLayer(32, 4, 64)
    x, memory = torch.randn(1, 8, 32, requires_grad=True), torch.randn(
        1, 6, 32, requires_grad=True
    )
    output = layer(x, memory, mask=causal_mask(8))
    direction = torch.randn(32)
    reached = [
        torch.autograd.grad(output[0, i] @ direction, (x, memory), retain_graph=True)
        for i in range(8)
    ]

# %% fold="Drawing"
if ready(*DECODER):
    fig, axes = plotting.figure(1, 2, height=2.9)
    for ax, part, name in ((axes[0], 0, "target"), (axes[1], 1, "source")):
        influence = torch.stack([gradient[part][0].norm(dim=-1) for gradient in reached])
        plotting.heatmap(
            ax, influence.log10(), xlabel=f"{name} position j", ylabel="output i",
            label="log10 of the gradient",
        )
        ax.set_title(f"from the {name}")
    plotting.show(fig, "01/decoderlayer")

# %% [markdown]
# Grey is exactly zero. The past and the source come through, the future does not.
#
# ## 6 · Writing, one token at a time
#
# When the trained network is *used*, there is no target to look at. It gets a start token, predicts the next one, appends it, and
# is asked again, until it writes the end token. **Greedy decoding** takes the likeliest token every time. (**Beam search**, which you will meet
# in translation, keeps the k likeliest beginnings instead of one. k = 1 is greedy decoding.)

# %% [markdown] exercise="greedy_decode"
# Decode a whole batch at once. The sequences of a batch end at different times; one that has ended is filled up with `end` while the others
# go on, and the loop stops when all have ended.
#
# `model` can be anything that can be called as `model(source, target)`. The check uses one that looks its scores up in a table.
#
# <details><summary>Hint: which scores?</summary>
#
# The model answers with (B, T, V), a prediction after *each* position so far. You need the one after the last.
# </details>
# <details><summary>Hint: who has ended?</summary>
#
# Keep a boolean (B,) tensor `ended`, and use it twice: to overwrite the new tokens of those rows, and to stop.
# </details>

# %% [markdown]
# ## 7 · The whole machine, trained
#
# All parts are there. The task: write a word **backwards**. For a person it is trivial, for a Transformer it is a fair test. The first
# letter to be written is the last one read, wherever that is, and every letter has to be fetched from its own place.
#
# The words are random letters, 4 to 12 of them, drawn anew for every batch. A source ends with an end token and is padded; the decoder gets the
# start token and then the answer, shifted by one.

# %%
PAD, START, END, FIRST = 0, 1, 2, 3  # the letters a to z are tokens 3 to 28
LONGEST = 12


def draw_batch(
    size: int, task: str, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """((source, target so far), what to write), each (size, LONGEST + 1); -100 = nothing to
    write here."""
    place = torch.arange(LONGEST + 1)
    lengths = torch.randint(4, LONGEST + 1, (size, 1), generator=generator)
    letters = torch.randint(FIRST, FIRST + 26, (size, LONGEST + 1), generator=generator)
    inside = place < lengths
    ending = torch.where(place == lengths, END, PAD)  # END behind the last letter, then padding
    source = torch.where(inside, letters, ending)
    if task == "reverse":
        answer = letters.gather(1, (lengths - 1 - place).clamp(min=0))
    else:  # "sort"
        answer = letters.masked_fill(~inside, FIRST + 26).sort(dim=1).values
    answer = torch.where(inside, answer, ending)
    so_far = F.pad(answer[:, :-1], (1, 0), value=START)
    return (source, so_far), answer.masked_fill(place > lengths, -100)


def spell(tokens: Tensor) -> str:
    return "".join(
        {PAD: ".", START: "<", END: "#"}.get(t, chr(ord("a") + t - FIRST))
        for t in tokens.tolist()
    )


(source, so_far), answer = draw_batch(3, "reverse", torch.Generator().manual_seed(0))
for row in range(3):
    print(
        f"source {spell(source[row])}   decoder sees {spell(so_far[row])}   and writes"
        f" {spell(answer[row].clamp(min=0))}"
    )

# %% [markdown]
# Here is the picture of section 0 in code, made of your classes, with one difference: the layers are pre-LN (section 4 has shown why), so the norm
# stands *before* each move, and each stack ends with one more. This is the picture of what the code does; find each box in `forward`.

# %% fold="Drawing"
plotting.show(sketches.transformer(norm_first=True), "01/the-whole-machine-pre-ln")

# %%
class Seq2Seq(nn.Module):
    """An encoder-decoder over one vocabulary, pre-LN."""

    def __init__(
        self, vocabulary: int = 29, dim: int = 64, heads: int = 4, depth: int = 1,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, dim)
        table = sinusoidal_positions(LONGEST + 1, dim) * positions  # False: no positions at all
        self.register_buffer("positions", table)
        self.encoder = nn.ModuleList(
            EncoderLayer(dim, heads, 4 * dim, norm_first=True) for _ in range(depth)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(dim, heads, 4 * dim, norm_first=True) for _ in range(depth)
        )
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.head = nn.Linear(dim, vocabulary)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens) + self.positions[: tokens.shape[1]]  # (B, N, D)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """(B, M) and (B, N) tokens -> (B, N, V) scores of the token after each target position.
        """
        real = (source != PAD).unsqueeze(1)  # (B, 1, M): nobody looks at padding
        past = causal_mask(target.shape[1]).to(target.device)  # (N, N)
        memory = self.embed(source)
        for layer in self.encoder:
            memory = layer(memory, real)
        memory, x = self.encoder_norm(memory), self.embed(target)
        for layer in self.decoder:
            x = layer(x, memory, past, real)
        return self.head(self.decoder_norm(x))


# %% [markdown]
# Training uses `fit`, the course's loop, which you have just met: AdamW, a learning rate that warms up and then falls, clipped gradients. It is
# plain PyTorch, in `utils/training/loop.py`; read it once, you will meet it in every notebook.
#
# What counts at the end is not the loss. It is whether the *whole* word is right when the network writes by itself, on words it has never
# seen. One wrong letter, and the word is wrong.

# %%
STEPS = budget.pick(smoke=20, cpu=1000)
PARTS = budget.pick(smoke=2, cpu=10)  # "epochs"; the words are new in each


def train(task: str, seed: int = 0, **options) -> tuple[Seq2Seq, object]:
    seed_everything(seed)
    model = Seq2Seq(**options)
    generator = torch.Generator().manual_seed(seed + 1)

    def batches(epoch: int):
        for _ in range(STEPS // PARTS):
            yield draw_batch(128, task, generator)

    history = fit(
        model, batches, epochs=PARTS, lr=2e-3, weight_decay=0.0, progress="bar", seed=seed
    )
    return model.cpu(), history


@torch.no_grad()
def exact(model: Seq2Seq, task: str, words: int = 1000) -> float:
    """Fraction of new words that are written without a single mistake."""
    (source, _), answer = draw_batch(words, task, torch.Generator().manual_seed(999))
    written = greedy_decode(model, source, START, END, max_length=LONGEST + 1)
    written = F.pad(written, (0, answer.shape[1] - written.shape[1]), value=END)
    return ((written == answer) | (answer == -100)).all(dim=1).float().mean().item()


# %% seconds=30
if ready(*WHOLE):
    reverser, history = train("reverse")
    history.summary()
    plotting.show(
        history.plot("writing backwards"), "01/the-whole-machine-trained", history.alt()
    )
    print(
        f"{count_parameters(reverser):,} parameters; new words written backwards without a"
        f" mistake: {exact(reverser, 'reverse'):.1%}"
    )

# %%
if ready(*WHOLE):
    words = ["transformer", "attention", "vision", "softmax", "backwards"]
    source = torch.full((len(words), LONGEST + 1), PAD)
    for row, word in enumerate(words):
        source[row, : len(word) + 1] = torch.tensor(
            [FIRST + ord(letter) - ord("a") for letter in word] + [END]
        )
    answers = greedy_decode(reverser, source, START, END, LONGEST + 1)
    for word, written in zip(words, answers, strict=True):
        print(f"{word:>12} -> {spell(written).split('#')[0]}")

# %% [markdown]
# The network was trained on random letters, not on English. In the stored run it writes all five backwards: it has learned a *procedure*, not a list.
#
# ### Looking at its attention
#
# The layers do not keep their weights, so we read them on the way: PyTorch's *hooks* let us change the arguments of one call
# (`need_weights=True`) and keep a copy of what comes out.

# %%
def cross_attention(model: Seq2Seq, source: Tensor, target: Tensor) -> Tensor:
    """Weights of the last decoder layer's cross-attention, (B, H, N, M)."""
    attention, kept = model.decoder[-1].multihead_attn, []

    def ask(module, args, kwargs):
        call = inspect.signature(module.forward).bind(*args, **kwargs)
        call.arguments["need_weights"] = True
        return call.args, call.kwargs

    hooks = [
        attention.register_forward_pre_hook(ask, with_kwargs=True),
        attention.register_forward_hook(lambda module, args, output: kept.append(output[1])),
    ]
    with torch.no_grad():
        model(source, target)
    for hook in hooks:
        hook.remove()
    return kept[0]


# %% [markdown] predict="map"
# The network writes *transformer* backwards. Row = position that is being written, column = letter of the source. Which pattern will
# the weights of cross-attention draw?

# %% [markdown] answer="map"
# An anti-diagonal: to write the first letter it has to look at the last one of the source, then at the one before, and so on. In the last row
# the end token is written, and there is no letter left to fetch.

# %%
def show_map(model: Seq2Seq, word: str, answer: str, alt: str) -> Tensor:
    codes = torch.tensor(
        [[FIRST + ord(letter) - ord("a") for letter in text] for text in (word, answer)]
    )
    source = torch.cat([codes[:1], torch.tensor([[END]])], dim=1)
    target = torch.cat([torch.tensor([[START]]), codes[1:]], dim=1)
    weights = cross_attention(model, source, target)[0]  # (H, N, M)
    panels = {"mean of the heads": weights.mean(0)} | {
        f"head {h + 1}": weights[h] for h in range(len(weights))
    }
    fig, axes = plotting.figure(2, 3, height=5.0)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, panel) in zip(axes.flat, panels.items(), strict=False):
        ax.set_axis_on()
        image = plotting.heatmap(
            ax, panel, xlabels=list(word + "#"), ylabels=list(answer + "#"), vmin=0, vmax=1,
            title=title, colorbar=False,
        )
    fig.colorbar(image, cax=axes[1, 2].inset_axes([0.2, 0, 0.08, 1]), label="weight")
    axes[0, 0].set(xlabel="letter read", ylabel="letter written")
    plotting.show(fig, alt=alt)
    return weights


# %%
if ready(*WHOLE):
    weights = show_map(
        reverser, "transformer", "remrofsnart",
        alt="01/map",
    )
    mirrored = weights[:, :11, :11].flip(-1).diagonal(dim1=-2, dim2=-1).mean(-1)  # (H,)
    for head, share in enumerate(mirrored.tolist(), start=1):
        print(f"head {head}: {share:.0%} of the weight lies on the anti-diagonal")

# %% [markdown]
# The weights lie on the anti-diagonal: the network reads from right to left. Nobody told it to. When all letters are written it looks at the end
# token (#), and writes one.
#
# The band is wider than one letter: 52 to 66 % of a head's weight lies on the anti-diagonal itself, the rest beside it, mostly on the side of the letters that have been written already. That neighbouring positions have similar encodings (the curves of section 3) would explain a band, though not that it lies on one side. In the stored run no word of 1,000 was wrong all the same: attention does not have to be sharp for the
# right letter to be the likeliest. The four heads draw much the same picture: this task asks a single question. Would one head do?
# `train("reverse", heads=1)` tells.
#
# ### Do positions matter?
#
# Section 3 said that without positions a sentence is a bag of words. Time to put that to the test, with two tasks: writing the
# letters **backwards**, and writing them **sorted** by the alphabet.

# %% [markdown] predict="positions"
# Both tasks, each with and without position encodings: four trainings. Which of the four will fail, and why not the others?

# %% [markdown] answer="positions"
# Only reversal without positions fails: the encoder sees a bag of letters, and which of them was last is not in it. Sorting needs no
# positions in the source, since the sorted word depends on the bag alone. The decoder has to know how far it has got, but this it can
# see from what it has written so far.

# %% seconds=75
if ready(*WHOLE):
    scores = {"backwards, with positions": exact(reverser, "reverse")}
    start = time.perf_counter()
    for task, positions in (("reverse", False), ("sort", True), ("sort", False)):
        model, history = train(task, positions=positions)
        name = (
            f"{'backwards' if task == 'reverse' else 'sorted'},"
            f" {'with' if positions else 'without'} positions"
        )
        scores[name] = exact(model, task)
        if task == "sort" and positions:
            sorter = model
    print(
        f"Three trainings took {time.perf_counter() - start:.0f} s. Machine:"
        f" {describe_machine()}; budget: {budget}."
    )
    fig, ax = plotting.figure(width=5.6, height=2.2)
    plotting.bars(
        ax, {name: 100 * score for name, score in scores.items()},
        xlabel="words written without a mistake (%)",
    )
    plotting.show(
        fig, "01/positions", "; ".join(f"{name} {score:.1%}" for name, score in scores.items())
    )

# %% [markdown]
# In the stored run only one of the four trainings failed, reversal without positions. So whether a task needs positions depends on whether it is about a
# *sequence* or about a *set*. Keep this in mind for images: are the patches of a picture a sequence, a grid, or a set? Notebooks 04 to 06 come back to it.
#
# One last look, at the sorter. It reads by *content*, not by place, so its map for the same word has nothing diagonal about it. Follow a row to
# see which letters it consults: often the one being written, sometimes those that come next in the alphabet, sometimes the one just written. Here the heads
# do differ.

# %%
if ready(*WHOLE):
    weights = show_map(
        sorter, "transformer", "aefmnorrrst",
        alt="01/positions-2",
    )

# %% [markdown]
# ## Summary
#
# - Attention is a soft dictionary: scores, softmax over the keys, weighted average of the values. A mask decides who may be seen.
# - Division by $\sqrt d$ keeps scores at size 1; without it the softmax saturates, and its slope falls towards 0 as the width grows.
# - Heads are slices of the width; they need no additional parameters and no additional multiply-adds (each keeps a table of weights of its own). With the library's weights loaded, your layer computes the library's output.
# - Attention without a mask is permutation equivariant. Position encodings break the symmetry; without them, reversing words failed.
# - Attention moves information between tokens, the feed-forward works within each. Residual connections and norms carry them; pre-LN leaves the
#   residual path free.
# - A causal mask trains all positions at once. Cross-attention is how the decoder reads, and its weights can be looked at.
#
# **Questions to take along.** Attention compares all pairs of tokens: what if there are 16,384 of them (an image of 128 x 128 pixels)? Is a weight in
# an attention map an *explanation*? What would the reverser do with words of 20 letters, longer than any it was trained on, and why?
#
# ## Further reading
#
# - D. Bahdanau, K. Cho, Y. Bengio (2015). *Neural Machine Translation by Jointly Learning to Align and Translate.* ICLR. Attention, before the Transformer.
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin (2017). *Attention Is All You Need.* NeurIPS.
# - J. L. Ba, J. R. Kiros, G. E. Hinton (2016). *Layer Normalization.* arXiv:1607.06450.
# - K. He, X. Zhang, S. Ren, J. Sun (2016). *Deep Residual Learning for Image Recognition.* CVPR.
# - R. Xiong, Y. Yang, D. He, K. Zheng, S. Zheng, C. Xing, H. Zhang, Y. Lan, L. Wang, T.-Y. Liu (2020). *On Layer Normalization in the Transformer
#   Architecture.* ICML.
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré (2022). *FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness.* NeurIPS.
# - S. Jain, B. C. Wallace (2019). *Attention is not Explanation.* NAACL; and S. Wiegreffe, Y. Pinter (2019). *Attention is not not Explanation.* EMNLP.
