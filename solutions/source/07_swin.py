# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 07 · Swin: attention in windows
#
# ViT cuts an image into 16 x 16 patches because it has to: attention between all pixels costs the *square*
# of their number. So ViT looks at an image on one coarse grid, from the first layer to the last. Detection
# and segmentation want fine maps, and CNNs have them: fine at the beginning, coarse at the end. Swin (Liu et
# al. 2021) gets there with a Transformer, by two ideas: attention stays inside small windows, and the
# windows move.
#
# **Goals.** After this notebook you can
#
# - compute self-attention in windows, with a position bias that is learned per *offset*;
# - derive what that costs and hold the formula against a measurement;
# - explain why the windows shift, what the mask is for, and show by gradients which pixel sees which;
# - build Swin-T, -S and -B, the last with the parameters and FLOPs of the lecture's tables;
# - read those tables critically ("question 3").
#
# **You need** attention with a mask (notebook 01) and patches (notebook 05). Nothing you wrote there is called
# here.
#
# **Time.** About four hours of reading, coding and writing. All cells together ran for two minutes on two CPU
# cores; those that train say how long they took.

# %%
import json
import time
from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from utils import current_budget, describe_machine, plotting
from utils.checks import check, ready
from utils.data import load_images
from utils.cost import peak_bytes, power_law, profile, seconds
from utils.training import count_parameters, fit, seed_everything, tensor_batches

budget = current_budget()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# ## 1 · Cutting a map into windows
#
# Let a map have $H \times W$ positions with $C$ channels each. Here, as in the authors' code, channels come
# last: `(B, H, W, C)`. We cut it into squares of $M \times M$ positions that do not overlap. There are
# $nW = \frac{H}{M} \cdot \frac{W}{M}$ of them per image, and since they never exchange information, windows and
# images can share one axis, as if each window were an image of its own:
#
# $$(B, H, W, C) \;\to\; (B \cdot nW,\; M,\; M,\; C).$$
#
# Cutting is a matter of axes. $H$ becomes (rows of windows, row inside the window), $W$ becomes (columns of
# windows, column inside), and then the axes change places.

# %% [markdown] exercise="window_partition"
# Cut the map. The order matters to everything that follows: windows in reading order, and all windows of the
# first image before those of the second.
#
# <details><summary>Hint</summary>
#
# With `einops.rearrange` it is one line: name the four parts of `H` and `W` in brackets, then say where you want
# them. Of `(a b)`, `a` is the outer, slow axis.
# </details>

# %% [markdown] exercise="window_reverse"
# And back. `B` is not given; it follows from the number of windows.

# %%
if ready("window_partition", "window_reverse"):
    numbers = torch.arange(48).reshape(1, 6, 8, 1)
    # (12, 4): which pixels are in which window
    windows = window_partition(numbers, 2).flatten(1)
    window_of = torch.empty(48, dtype=torch.long)
    window_of[windows] = torch.arange(12)[:, None].expand(12, 4)

# %% fold="Drawing"
if ready("window_partition", "window_reverse"):
    fig, (left, right) = plotting.figure(1, 2, height=3.3)
    plotting.heatmap(
        left, numbers[0, :, :, 0], annotate=True, colorbar=False,
        title="a map of 6 x 8 pixels, numbered",
    )
    plotting.heatmap(
        right,
        window_of.view(6, 8),
        annotate=True,
        colorbar=False,
        title="the window each pixel goes to (M = 2)",
    )
    plotting.show(fig, "07/window-reverse")
    print(
        f"Window 0 holds the pixels {windows[0].tolist()}, window 1 {windows[1].tolist()}, the"
        f" last {windows[-1].tolist()}."
    )
    print(
        "Round trip:",
        bool(torch.equal(window_reverse(window_partition(numbers, 2), 2, 6, 8), numbers)),
    )

# %% [markdown]
# ## 2 · Where is what? A bias per offset
#
# Attention does not know where its tokens are. ViT adds a learned vector per *place* to every token. Swin adds a
# learned number per *offset* to every score instead. (For text, Shaw et al. 2018 gave each offset a learned vector; one number per
# offset and head is the form of T5, Raffel et al. 2020.)
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\Big(\frac{Q K^\top}{\sqrt d} + \mathbf{B}\Big) V, \qquad Q, K, V: (N, d), \quad
# \mathbf{B}: (N, N), \quad N = M^2.$$
#
# What stands in row $i$, column $j$ of $\mathbf{B}$ depends only on how many rows and columns lie between
# positions $i$ and $j$. Along each axis that is one of $2M - 1$ values, from $-(M-1)$ to $M-1$, so a head needs
# no more than $(2M-1)^2$ numbers: a small table, from which the $M^2 \times M^2$ matrix is read. For $M = 7$ that
# is 169 numbers instead of 2,401.
#
# To read it we need an index. Position $i$ is in row $\lfloor i / M \rfloor$ and column $i \bmod M$. For a query
# $i$ and a key $j$
#
# $$dy = \text{row}_i - \text{row}_j + (M - 1), \qquad dx = \text{col}_i - \text{col}_j + (M - 1), \qquad \text{index}_{ij} = dy \cdot (2M - 1) + dx.$$
#
# Adding $M - 1$ makes both start at 0, and the last step numbers the table in reading order.

# %% [markdown] exercise="relative_position_index"
# Make the index for a window of any size. For $M = 3$ the first row is `12 11 10 7 6 5 2 1 0`: the first pixel
# looks at itself (offset 0, the middle of the table, entry 12), at its right neighbour (entry 11), and so on.
#
# <details><summary>Hint</summary>
#
# Two vectors of length $M^2$, the row and the column of each position. A column vector minus a row vector is a
# table of all differences.
# </details>

# %%
if ready("relative_position_index"):
    index = relative_position_index(3)
    for row in index.tolist():
        print(" ".join(f"{value:2d}" for value in row))

# %% fold="Drawing"
if ready("relative_position_index"):
    fig, (left, right) = plotting.figure(1, 2, height=3.4)
    plotting.heatmap(
        left,
        index,
        annotate=True,
        colorbar=False,
        xlabel="key j",
        ylabel="query i",
        title="index for M = 3: (9, 9)",
    )
    offsets = [str(d) for d in range(-2, 3)]
    plotting.heatmap(
        right,
        torch.arange(25).view(5, 5),
        annotate=True,
        colorbar=False,
        xlabels=offsets,
        ylabels=offsets,
        xlabel="columns apart: query's minus key's",
        ylabel="rows apart",
        title="the table it points into: (5, 5)",
    )
    alt = plotting.described("07/relative-position-index")
    plotting.show(fig, alt=alt)

# %% [markdown]
# Read the left picture along a diagonal of one of its blocks: equal offsets, equal entries. The bias is *translation invariant*
# inside the window. A head can learn "look at your left neighbour" once, and it holds for all positions of the window.

# %% [markdown] exercise="WindowAttention"
# Multi-head self-attention on windows `(B * nW, N, C)`, with the bias, and with a mask that comes into play
# later: `(nW, N, N)`, `True` = may attend, one per window of an image, *the same for every image*. All images of
# a batch need it, so give the scores an axis for them, or repeat the mask.
#
# Mind three things: scale by the width of *one* head; `qkv` gives all of q, then all of k, then all of v;
# whatever must not be seen is hidden *before* the softmax.
#
# <details><summary>Hint: shapes</summary>
#
# q, k, v: `(B * nW, heads, N, d)`. Scores: `(B * nW, heads, N, N)`. Bias: `(heads, N, N)`. Which axis does the
# mask lack, and where?
# </details>
#
# <details><summary>Hint: reading the table</summary>
#
# `table[index]` with an index of shape `(N, N)` and a table of shape `(entries, heads)` has shape `(N, N,
# heads)`.
# </details>

# %% [markdown]
# With a table of zeros it must be ordinary attention, window by window. PyTorch's own module is the witness: same
# weights, same windows.

# %%
if ready("relative_position_index", "WindowAttention"):
    seed_everything(0)
    ours, theirs = (
        WindowAttention(dim=32, window_size=4, num_heads=4),
        nn.MultiheadAttention(32, 4, batch_first=True),
    )
    with torch.no_grad():
        ours.relative_position_bias_table.zero_()
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.load_state_dict(ours.proj.state_dict())
        x = torch.randn(6, 16, 32)
        seen, expected = ours(x), theirs(x, x, x)[0]
    print(
        f"6 windows of 16 tokens: outputs up to {expected.abs().max():.2f}, largest difference"
        f" to PyTorch's {(seen - expected).abs().max():.1e}"
    )

# %% [markdown]
# And with nothing *but* the table? Set q and k to zero, and the weights are the softmax of the bias alone. Below, the table of a single head has its largest value for the key two columns to the left of the query; the farther a key is from that place, the smaller its bias. One table, 49 queries: three of them are shown.

# %%
if ready("relative_position_index", "WindowAttention"):
    M = 7
    head = WindowAttention(dim=M * M, window_size=M, num_heads=1)
    apart = torch.arange(-(M - 1), M)  # query's position minus key's, along one axis
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        head.qkv.weight[2 * M * M :] = torch.eye(M * M)  # v = x
        head.proj.weight.copy_(torch.eye(M * M))
        table = -0.5 * (
            apart[:, None].abs() + (apart[None, :] - 2).abs()
        )  # favourite: two columns to the left
        head.relative_position_bias_table.copy_(table.reshape(-1, 1))
        # x = identity, so the output is the weights themselves
        weights = head(torch.eye(M * M)[None])[0]
    fig, axes = plotting.figure(1, 3, height=2.5)
    for ax, (row, col) in zip(axes, [(3, 3), (0, 0), (5, 6)], strict=True):
        seen = weights[row * M + col].view(M, M)
        plotting.heatmap(ax, seen, title=f"query at row {row}, column {col}", colorbar=False)
        ax.plot(col, row, "o", color=plotting.COLORS["orange"])
    alt = plotting.described("07/windowattention")
    plotting.show(fig, alt=alt)

# %% [markdown]
# ## 3 · What it costs
#
# Count multiply-adds (the papers call them FLOPs) of multi-head self-attention, MSA, on $hw$ tokens with $C$
# channels:
#
# | step | product of shapes | multiply-adds |
# | --- | --- | --- |
# | q, k, v | three times $(hw, C) \cdot (C, C)$ | $3\,hw\,C^2$ |
# | scores, all heads | $(hw, d) \cdot (d, hw)$ per head, $C/d$ heads | $(hw)^2\,C$ |
# | weighted sum | $(hw, hw) \cdot (hw, d)$ per head | $(hw)^2\,C$ |
# | output projection | $(hw, C) \cdot (C, C)$ | $hw\,C^2$ |
#
# $$\Omega(\text{MSA}) = 4\,hw\,C^2 + 2\,(hw)^2\,C.$$
#
# In windows (W-MSA) the projections are what they were. But each window is a small map of $M^2$ tokens of its
# own, and there are $hw / M^2$ of them, so scores and weighted sum cost $\frac{hw}{M^2} \cdot 2\,(M^2)^2\,C$:
#
# $$\Omega(\text{W-MSA}) = 4\,hw\,C^2 + 2\,M^2\,hw\,C.$$
#
# Quadratic in $hw$ before, linear now. $M$ is a constant, 7.

# %% [markdown] exercise="msa_flops"
# The first formula as a function.

# %% [markdown] exercise="window_msa_flops"
# The second one.

# %%
COST = (
    "window_partition",
    "window_reverse",
    "relative_position_index",
    "WindowAttention",
    "msa_flops",
    "window_msa_flops",
)

if ready("msa_flops", "window_msa_flops"):
    print(
        "stage   map      C    MSA (G)   W-MSA (G)   ratio     of which scores and sum, MSA /"
        " W-MSA"
    )
    for stage, (side, channels) in enumerate(
        [(56, 96), (28, 192), (14, 384), (7, 768)], start=1
    ):
        full, local = msa_flops(side, side, channels), window_msa_flops(side, side, channels, 7)
        linear = 4 * side**2 * channels**2
        print(
            f"  {stage}    {side:2d}x{side:<2d}  {channels:4d}   {full / 1e9:6.3f}   "
            f" {local / 1e9:6.3f}   {full / local:7.1f}        {1 - linear / full:4.0%} /"
            f" {1 - linear / local:4.0%}"
        )

# %% [markdown]
# These are the four stages of Swin-T at 224 pixels. Windows matter where the map is fine: in the first stage
# global attention would cost nearly fourteen times as much, and almost all of it (94%) for scores and sum. In the last stage
# the map *is* one window, and nothing is saved.

# %% [markdown] predict="cost"
# Now the stopwatch, with your module: once with windows of 7, once with a single window as large as the map (that
# is global attention). When the side of the map doubles, the number of tokens $N$ grows fourfold. By which factor
# will the time grow, for each of the two, once maps are large? And the memory?

# %% [markdown] answer="cost"
# The multiply-adds of windows grow by 4 (as $N$), those of global attention by 13 to 14 at these sizes, and towards 16 (as $N^2$) for larger maps. Memory grows by about 4 and 15: the exponents of $N$ are 0.99 and 1.96. Time follows roughly in the stored run: exponents of 0.96 and 2.12, so factors of about 4 and 19.

# %% seconds=15
if ready(*COST):
    sides, C, M = budget.pick(smoke=(7, 14, 21), cpu=(21, 28, 35, 42, 49, 56, 63)), 96, 7

    @torch.no_grad()
    def attend(module: nn.Module, x: torch.Tensor, window: int) -> torch.Tensor:
        """(1, H, W, C) -> (1, H, W, C), attention in windows of this size."""
        tokens = window_partition(x, window).flatten(1, 2)
        return window_reverse(
            module(tokens).unflatten(1, (window, window)), window, *x.shape[1:3]
        )

    began, threads = time.perf_counter(), torch.get_num_threads()
    torch.set_num_threads(1)  # one thread: nothing waits for another
    taken, kept = {"MSA": [], "W-MSA": []}, {"MSA": [], "W-MSA": []}
    for side in sides:
        x = torch.randn(1, side, side, C)
        modules = {
            "MSA": (WindowAttention(C, side, 3), side),
            "W-MSA": (WindowAttention(C, M, 3), M),
        }
        calls = {
            name: partial(attend, module, x, window)
            for name, (module, window) in modules.items()
        }
        for name, value in seconds(calls, rounds=budget.pick(smoke=2, cpu=7)).items():
            taken[name].append(value)
            kept[name].append(peak_bytes(calls[name]))
    torch.set_num_threads(threads)
    print(
        f"Measured in {time.perf_counter() - began:.0f} s, on one thread of:"
        f" {describe_machine()}"
    )

# %%
if ready(*COST):
    N = torch.tensor([side**2 for side in sides])
    macs = {
        "MSA": [msa_flops(side, side, C) / 1e6 for side in sides],
        "W-MSA": [window_msa_flops(side, side, C, M) / 1e6 for side in sides],
    }

# %% fold="Drawing"
if ready(*COST):
    fig, axes = plotting.figure(1, 3, height=2.9, width=8.4)
    rows = [
        ("multiply-adds (millions)", macs, "the formulas"),
        (
            "time (ms)",
            {name: [1e3 * v for v in values] for name, values in taken.items()},
            "measured time",
        ),
        (
            "peak memory (MiB)",
            {name: [v / 2**20 for v in values] for name, values in kept.items()},
            "measured memory",
        ),
    ]
    for ax, (unit, series, title) in zip(axes, rows, strict=True):
        plotting.lines(ax, N, series, xlabel="tokens N = hw", ylabel=unit, logx=True, logy=True)
        ax.set_title(title)
        ax.set_xticks([500, 1_000, 2_000, 4_000], [500, "1,000", "2,000", "4,000"])
        ax.minorticks_off()
        slopes = {name: power_law(N, values) for name, values in series.items()}
        print(
            f"{title:>15}: grows as N to the "
            + ", ".join(f"{slope} ({name})" for name, slope in slopes.items())
        )
    ratios = [
        f"{a[-1] / b[-1]:.1f}"
        for a, b in (rows[0][1].values(), rows[1][1].values(), rows[2][1].values())
    ]
    alt = plotting.described("07/cost", int(N[-1]), ratios[0], ratios[1], ratios[2])
    plotting.show(fig, alt=alt)
    print(alt)

# %% [markdown]
# The exponents are fitted to all maps, with a 95 % interval from the scatter around the line. Memory is the cleanest: it is counted to the byte, and three $N \times N$ matrices per head are nearly all of it for global attention: the scores, the bias read from the table, and their sum. (Without Swin's bias it needs less.) For time the formula is a guide and no more. The
# quadratic part contains passes over a large matrix (bias, softmax) that count as no multiply-adds at all, yet
# have to be read from memory and written back; the linear part consists of matrix products. In the stored run the largest map
# costs global attention 17 times the multiply-adds of the windows, and far more than 17 times the time (the printed line): FLOPs do
# not tell the time. Keep that in mind for question 3.

# %% [markdown]
# ## 4 · Moving the windows
#
# Windows have a price. A pixel at a window's border never meets its neighbour on the other side, however many such blocks follow in its stage. Swin's answer: in every second block the cut lines move by half a window, $s = \lfloor M/2
# \rfloor$, down and to the right.
#
# Moved lines leave smaller pieces at the edges: $(\frac{H}{M} + 1)(\frac{W}{M} + 1)$ windows instead of
# $\frac{H}{M} \cdot \frac{W}{M}$, of different sizes, which do not fit into one tensor. The authors' solution: do not
# move the lines, move the *map*. Roll it by $s$ up and to the left; what leaves at one edge comes back at the
# opposite one. Then cut as before. The smaller pieces fit together into whole windows, and the count stays the
# same.

# %% [markdown] exercise="cyclic_shift"
# Roll the map. A call with $-s$ must undo a call with $s$.


# %%
def cut_lines(
    ax, height: int, width: int, window: int, shift: int = 0, color: str = "orange"
) -> None:
    """Draws the borders of windows on a map, moved down and to the right by `shift`."""
    style = {"colors": plotting.COLORS[color], "linewidth": 2, "clip_on": False}
    down, right = (
        [at - 0.5 for at in range(shift, side + 1, window)] for side in (height, width)
    )
    ax.hlines(down, -0.5, width - 0.5, **style)
    ax.vlines(right, -0.5, height - 0.5, **style)


# %%
if ready("cyclic_shift"):
    side, M, s = 8, 4, 2
    # 0, 1 or 2: between which moved lines
    strip = (torch.arange(side) - s).div(M, rounding_mode="floor") + 1
    pieces = (3 * strip[:, None] + strip[None, :])[None, :, :, None]  # (1, 8, 8, 1)
    rolled = cyclic_shift(pieces, s)

# %% fold="Drawing"
if ready("cyclic_shift"):
    fig, (left, right) = plotting.figure(1, 2, height=3.5)
    plotting.heatmap(left, pieces[0, :, :, 0], annotate=True, colorbar=False)
    plotting.heatmap(right, rolled[0, :, :, 0], annotate=True, colorbar=False)
    cut_lines(left, side, side, M, s)
    cut_lines(right, side, side, M)
    left.set_title("moved lines: nine pieces")
    right.set_title("moved map: four windows")
    alt = plotting.described("07/cyclic-shift")
    plotting.show(fig, alt=alt)
    ragged, whole = (56 // 7 + 1) ** 2, (56 // 7) ** 2
    print(
        f"At 56 x 56 with M = 7: {ragged} pieces, or {whole} whole windows after the roll."
    )

# %% [markdown]
# Look at the lower right window of the right picture: it holds pieces 8, 6, 2 and 0, from the four *corners* of
# the image. They must not attend to each other. That is what the mask is for. After the roll, the last $s$ rows
# and the last $s$ columns hold what has wrapped round. Two pixels of one window belong together if their rows
# have both wrapped or both not, and their columns likewise.

# %% [markdown] exercise="shifted_window_mask"
# For every window, which position may attend to which? The result has the layout that your `WindowAttention`
# expects: `(nW, M * M, M * M)`, `True` = may attend.
#
# <details><summary>Hint</summary>
#
# Give each pixel of the (rolled) map a number, so that pixels that belong together have the same one. A map of
# numbers can be cut into windows like any other. Then compare all pairs in a window.
# </details>
#
# <details><summary>Hint: how many different numbers?</summary>
#
# Wrapped by its row, yes or no; wrapped by its column, yes or no.
# </details>

# %%
if ready("window_partition", "shifted_window_mask"):
    masks = shifted_window_mask(8, 8, window_size=4, shift_size=2)  # (4, 16, 16)

# %% fold="Drawing"
if ready("window_partition", "shifted_window_mask"):
    fig, axes = plotting.figure(1, 4, height=2.4, width=8.4)
    for number, (ax, mask) in enumerate(zip(axes, masks, strict=True)):
        where = f"{'lower' if number // 2 else 'upper'} {'right' if number % 2 else 'left'}"
        plotting.heatmap(
            ax, mask.float(), colorbar=False, vmin=0, vmax=1, title=where, xlabel="key"
        )
    axes[0].set_ylabel("query")
    shares = ", ".join(f"{mask.float().mean():.0%}" for mask in masks)
    alt = plotting.described("07/shifted-window-mask", shares)
    plotting.show(fig, alt=alt)
    print(f"Allowed pairs per window: {shares}.")

# %% [markdown]
# The upper left window is whole: everything is allowed. The upper right one has two halves, left and right, which
# alternate in every row: a checkerboard. The lower left one has an upper and a lower half: two blocks. The lower
# right one has four pieces that keep to themselves: a checkerboard in two blocks. Compare with the picture of the
# pieces above.
#
# (The libraries add a mask of 0 and -100 to the scores instead. $e^{-100}$ is not zero, but beside other weights
# it is lost in float32's rounding.)

# %% [markdown]
# Move the windows yourself: choose a shift, a window, and a pixel in it. Left is the rolled map with its pieces, right what the framed
# pixel may attend to, put back where those pixels came from.

# %%
if ready("window_partition", "window_reverse", "cyclic_shift", "shifted_window_mask"):

    def reach(shift, window, pixel):
        """(8, 8) map of what one pixel of a window may see, in the places of the image; 2 marks
        the pixel itself."""
        allowed = (
            torch.ones(4, 16, 16, dtype=torch.bool)
            if shift == 0
            else shifted_window_mask(8, 8, 4, shift)
        )
        shown = torch.zeros(4, 16)
        shown[window] = allowed[window, pixel].float()
        shown[window, pixel] = 2
        return cyclic_shift(window_reverse(shown.view(4, 4, 4, 1), 4, 8, 8), -shift)[0, :, :, 0]

    def draw(shift, window, pixel):
        strip = (torch.arange(8) - shift).div(4, rounding_mode="floor") + 1
        pieces = (3 * strip[:, None] + strip[None, :])[None, :, :, None]  # (1, 8, 8, 1)
        fig, (left, right) = plotting.figure(1, 2, height=3.5)
        plotting.heatmap(
            left, cyclic_shift(pieces, shift)[0, :, :, 0], annotate=True, colorbar=False,
            title="rolled map",
        )
        cut_lines(left, 8, 8, 4)
        left.plot(
            window % 2 * 4 + pixel % 4, window // 2 * 4 + pixel // 4, "s",
            color=plotting.COLORS["orange"], fillstyle="none",
            markersize=17, markeredgewidth=2.5,
        )
        plotting.heatmap(
            right, reach(shift, window, pixel), colorbar=False,
            title="what it may see, in the image",
        )
        cut_lines(right, 8, 8, 4, shift)
        return fig

    def said(shift, window, pixel):
        seen = int((reach(shift, window, pixel) > 0).sum())
        return plotting.described("07/shifted-window-mask-2", shift, pixel, window, seen)

    plotting.explore(
        draw, said, shift=[0, 1, 2, 3], window=range(4), pixel=range(16),
        start={"shift": 2, "window": 3, "pixel": 5},
    )

# %% [markdown]
# ## 5 · The block
#
# A Swin block is the pre-norm Transformer block that you know, with windows around the attention. In every second block they are shifted (the S in brackets):
#
# $$\hat z = z + \text{(S)W-MSA}(\mathrm{LN}(z)), \qquad z' = \hat z + \mathrm{MLP}(\mathrm{LN}(\hat z)).$$

# %%
BLOCK = (
    "window_partition", "window_reverse", "relative_position_index", "WindowAttention",
    "cyclic_shift",
)
BLOCK += ("shifted_window_mask", "SwinBlock")  # what a block consists of
NETWORK = (*BLOCK, "PatchMerging", "SwinTransformer")

steps = [
    ("norm1", "(B, H, W, C)"),
    ("pad to a multiple of M", "(B, H', W', C)"),
    ("roll by -s", "(B, H', W', C)"),
    ("cut into windows", "(B·nW, M·M, C)"),
    ("attention with mask", "(B·nW, M·M, C)"),
    ("put together", "(B, H', W', C)"),
    ("roll back by s", "(B, H', W', C)"),
    ("cut off padding, + x", "(B, H, W, C)"),
    ("+ MLP of norm2", "(B, H, W, C)"),
]

# %% fold="Drawing"
fig = plotting.flow(steps, title="A Swin block")
plotting.show(
    fig, "07/the-block", ', then '.join(f'{name} {shape}' for name, shape in steps)
)

# %% [markdown] exercise="SwinBlock"
# Put the parts together. `shift` is 0 in a plain block, and also where one window spans a side of the map.
# `self.mask_for(height, width, device)` calls your `shifted_window_mask` and remembers the result; ask it for the
# mask of the *padded* map, and only if there is a shift.
#
# Padding: zeros, at the bottom and on the right, after the norm and before the roll. In Python `-height % window`
# is the number of rows that are missing to the next multiple.
#
# <details><summary>Hint: <code>F.pad</code></summary>
#
# It takes pairs (before, after), *last* axis first: channels, then width, then height.
# </details>
#
# <details><summary>What the libraries do here</summary>
#
# Padded positions are not masked: pixels attend to them like to any other. That is what the authors' code does,
# and `transformers` and `timm` do it, too. The two differ in the order: `transformers` pads and then rolls, as
# you do; `timm` rolls and then pads. With `timm`'s order the padding ends up where the mask expects wrapped rows,
# and in a map whose sides are no multiples of the window a pixel of the first row can see one of the last. At 224 or 384 pixels nothing is padded
# and all agree.
# </details>

# %% [markdown] predict="reach"
# Which pixels of the input does one pixel of the output depend on? Think of a 16 x 16 map with windows of 4 and
# the pixel in row 6, column 9. After one plain block; after one shifted block; after two plain blocks; after a
# plain and a shifted one. Sketch the four areas.

# %% [markdown] answer="reach"
# 16 pixels (its own window), 16 (the shifted window), again 16 (two plain blocks: depth alone does not help), and 64: the four windows that
# the shifted window touches.


# %%
def dependence(blocks: list[nn.Module], row: int, col: int, side: int = 16) -> torch.Tensor:
    """(H, W) size of the gradient of one output pixel for every input pixel; NaN where it is
    exactly zero."""
    x = torch.randn(1, side, side, 16, requires_grad=True)
    y = nn.Sequential(*blocks)(x)[0, row, col].square().sum()
    size = torch.autograd.grad(y, x)[0][0].abs().sum(-1)
    return size.where(size > 0, torch.nan)


if ready(*BLOCK):
    seed_everything(0)
    M, row, col = 4, 6, 9
    plain, plain2, shifted = (
        SwinBlock(16, 2, window_size=M, shift_size=s) for s in (0, 0, M // 2)
    )
    stacks = {"plain": [plain], "shifted": [shifted]}
    stacks |= {"plain, plain": [plain, plain2], "plain, shifted": [plain, shifted]}
    fig, axes = plotting.figure(1, 4, height=2.5, width=8.4)
    maps = {name: dependence(blocks, row, col).log10() for name, blocks in stacks.items()}
    counts = {name: int((~seen.isnan()).sum()) for name, seen in maps.items()}
    every = torch.stack([*maps.values()]).nan_to_num(float("inf"))
    low, high = every.min().item(), every[every.isfinite()].max().item()
    for ax, (name, seen) in zip(axes, maps.items(), strict=True):
        plotting.heatmap(
            ax, seen, title=name, vmin=low, vmax=high, colorbar=ax is axes[-1],
            label="log10 of the gradient",
        )
        cut_lines(ax, 16, 16, M, M // 2 if name == "shifted" else 0, color="green")
        ax.plot(
            col, row, "o", color=plotting.COLORS["orange"], markerfacecolor="none",
            markeredgewidth=2,
        )
    said = "; ".join(f"{name}: {count}" for name, count in counts.items())
    alt = plotting.described("07/reach", said)
    plotting.show(fig, alt=alt)
    print(f"Number of pixels that the marked one depends on. {said}.")

# %% [markdown]
# Grey means a gradient of exactly zero; the colours of all four pictures have one scale. Two plain blocks see no more than one: *depth alone does not help*. A
# plain and a shifted one see four windows, and the marked pixel now depends on pixels that were in other windows.
# (The colours are the logarithm of the gradient; look how much weaker the dependence by way of a second pixel
# is.)
#
# Does anything leak through the wrapped edge? Ask a pixel in the corner. And how does the reach grow with depth?

# %%
if ready(*BLOCK):
    corner = dependence([plain, shifted], 0, 0)
    seen = int((~corner.isnan()).sum())
    opposite = (~corner[8:, :].isnan()).any() or (~corner[:, 8:].isnan()).any()
    print(
        f"The corner depends on {seen} pixels; any of them in the far half of the map:"
        f" {bool(opposite)}."
    )
    growth = {"plain, shifted, plain, ...": [], "plain only": []}
    for depth in range(1, 9):
        for name, moves in (("plain, shifted, plain, ...", True), ("plain only", False)):
            stack = [
                SwinBlock(16, 2, M, M // 2 if moves and i % 2 else 0) for i in range(depth)
            ]
            growth[name].append(int((~dependence(stack, row, col).isnan()).sum()))

# %% fold="Drawing"
if ready(*BLOCK):
    fig, ax = plotting.figure(width=5.6, height=2.8)
    plotting.lines(
        ax, torch.arange(1, 9), growth, xlabel="blocks", ylabel="input pixels seen (of 256)"
    )
    alt = plotting.described(
        "07/reach-2", growth["plain, shifted, plain, ..."], growth["plain only"]
    )
    plotting.show(fig, alt=alt)

# %% [markdown]
# ## 6 · From stage to stage
#
# A ResNet halves its map a few times and doubles its channels. Swin does so between its stages, by *patch
# merging*: the four pixels of each 2 x 2 group become one vector of $4C$, which is normalised and projected to
# $2C$. Half the height, half the width, twice the channels; and a window of $M \times M$ now covers twice as
# much of the image in each direction.
#
# Why to $2C$, and not to $4C$ or $C$? The projections of a block cost $4\,hw\,C^2$, its MLP $8\,hw\,C^2$. Merging makes $hw$ four times smaller.
# With $2C$ channels $C^2$ is four times larger, so a block of the next stage costs the same: $12 \cdot \frac{hw}{4} \cdot (2C)^2 = 12\,hw\,C^2$. With all
# $4C$ kept it would cost four times as much, with $C$ a quarter. (The numbers per map are halved: $\frac{hw}{4} \cdot 2C$ in place of $hw \cdot C$.)

# %% [markdown] exercise="PatchMerging"
# Merge. The four neighbours are concatenated column by column (upper left, lower left, upper right, lower right).
# Any order would do for training, but the released weights were trained with this one. Odd sides get a row or
# column of zeros first.

# %%
if ready("PatchMerging"):
    merge = PatchMerging(96)
    for size in ((56, 56), (7, 14)):
        print(f"{size} with 96 channels -> {tuple(merge(torch.randn(1, *size, 96)).shape[1:])}")
    print(
        f"{count_parameters(merge):,} parameters: 4C norm weights, 4C norm biases, 4C x 2C in"
        " the projection (no bias)"
    )

# %% [markdown]
# ## 7 · The whole network

# %%
pyramid = [("image", "(B, 3, 224, 224)"), ("patches of 4 x 4, norm", "(B, 56, 56, 96)")]
for stage, (depth, side, dim) in enumerate(
    [(2, 56, 96), (2, 28, 192), (6, 14, 384), (2, 7, 768)], start=1
):
    pyramid.append((f"stage {stage}: {depth} blocks", f"(B, {side}, {side}, {dim})"))
    if stage < 4:
        pyramid.append(("merge", f"(B, {side // 2}, {side // 2}, {2 * dim})"))
pyramid.append(("norm, mean, head", "(B, 1000)"))

# %% fold="Drawing"
fig = plotting.flow(pyramid, title="Swin-T at 224 pixels")
plotting.show(
    fig, "07/the-whole-network", ', then '.join(f'{name} {shape}' for name, shape in pyramid)
)

# %% [markdown] exercise="SwinTransformer"
# Three gaps. In `__init__`: one `nn.ModuleDict` per stage, with its `"blocks"` (an `nn.Sequential`, plain and
# shifted by half a window in turn, the first plain) and, except in the last stage, a `"downsample"`. A window
# cannot be larger than the shorter side of its map: take the smaller of the two, and half of that as the
# shift. After your loop `dim` must be the width of the last stage: the lines below it use it. In `features`: the norm of the patches, the stages, the final norm. In `forward`: the mean over all positions, and the head. (Swin has no class token.)
#
# The names are those of the authors' release, so real weights fit: `layers.0.blocks.1.attn.qkv.weight`.
#
# <details><summary>Hint: half of an odd number</summary>
#
# Patch merging pads, so sizes are rounded *up*: `-(-height // 2)`.
# </details>

# %%
SIZES = {
    "Swin-T": {"embed_dim": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)},
    "Swin-S": {"embed_dim": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)},
    "Swin-B": {"embed_dim": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)},
}
WINDOWS = {224: 7, 384: 12}  # side of the image -> M
tables = json.loads((root / "data" / "lecture_tables.json").read_text(encoding="utf-8"))[
    "tables"
]
lecture = {(row["model"], row["image_size"]): row for row in tables[0]["rows"]}

if ready(*NETWORK):
    print("model    image   window   parameters (M)   GMACs      the lecture says")
    wanted = [("Swin-T", 224), ("Swin-S", 224), ("Swin-B", 224), ("Swin-B", 384)]
    for name, side in budget.pick(smoke=wanted[:1], cpu=wanted):
        model = SwinTransformer(image_size=side, window_size=WINDOWS[side], **SIZES[name])
        cost = profile(model, (1, 3, side, side))
        said = lecture.get((name, side))
        beside = f"{said['params_M']}M, {said['flops_G']}G" if said else ""
        print(
            f"{name}   {side}     {WINDOWS[side]:2d}       {cost.parameters / 1e6:8.2f}      "
            f" {cost.macs / 1e9:7.3f}      {beside}"
        )
    del model

# %% [markdown]
# `profile` runs *your* network on tensors without data and counts. (In the stored run it counts 0.2 % more at
# 384 pixels than the table says, 47.08 against 47.0; the reason was not looked for.) Swin-B has a few more
# parameters at 384 than at 224, and only the bias tables can be the reason: $(2 \cdot 12 - 1)^2$ entries per
# head in place of $(2 \cdot 7 - 1)^2$.
#
# ### Other people's names
#
# The parameters have the names of the authors' release. Hugging Face's `transformers` has the same network under other names, and keeps queries, keys and
# values apart. So its weights fit after a renaming and one concatenation. The second cell shows it on the names and shapes of one block. (That the whole state
# dict of that library's Swin fits after this function, and gives the library's logits, is tested with random weights in `tests/test_parity_swin.py`.)

# %%
import re

THEIRS_TO_OURS = (  # parts of a name, replaced in this order
    ("swin.", ""), ("encoder.", ""), ("classifier.", "head."),
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("embeddings.norm.", "patch_embed.norm."),
    ("layernorm_before.", "norm1."), ("layernorm_after.", "norm2."), ("layernorm.", "norm."),
    ("attention.relative_position_bias.", "attn."), ("attention.self.rel", "attn.rel"),
    ("attention.o_proj.", "attn.proj."), ("attention.output.dense.", "attn.proj."),
    ("intermediate.dense.", "mlp.fc1."), ("output.dense.", "mlp.fc2."),
)


def from_transformers(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict of transformers' Swin under this notebook's names."""
    ours, thirds = {}, {}
    for name, value in state.items():
        for theirs, mine in THEIRS_TO_OURS:
            name = name.replace(theirs, mine)
        third = re.search(r"attention\.(?:self\.)?(query|key|value|[qkv]_proj)\.", name)
        if third:  # W_q, W_k and W_v of shape (C, C) each become one of (3C, C)
            whole = f"{name[: third.start()]}attn.qkv.{name[third.end() :]}"
            thirds.setdefault(whole, {})[third[1][0]] = value
        elif not name.endswith("relative_position_index"):  # computed, not learned
            ours[name] = value
    return ours | {name: torch.cat([part[x] for x in "qkv"]) for name, part in thirds.items()}


# %%
if ready(*NETWORK):
    block, C = "swin.encoder.layers.1.blocks.0.", 192  # one block of Swin-T, under their names
    shapes = {
        f"attention.self.{part}.{kind}": (C, C) if kind == "weight" else (C,)
        for part in ("query", "key", "value")
        for kind in ("weight", "bias")
    }
    shapes |= {
        "layernorm_before.weight": (C,),
        "attention.self.relative_position_bias_table": (13 * 13, 6),
        "attention.output.dense.weight": (C, C),
        "layernorm_after.weight": (C,),
        "intermediate.dense.weight": (4 * C, C),
        "output.dense.weight": (C, 4 * C),
    }
    state = {block + name: torch.randn(shape) for name, shape in shapes.items()}
    with torch.device("meta"):  # shapes without numbers
        yours = SwinTransformer(**SIZES["Swin-T"]).state_dict()
    for name, value in from_transformers(state).items():
        fits = "fits" if yours[name].shape == value.shape else "does not fit"
        print(f"{name:<52}{tuple(value.shape)!s:>12}  {fits}")

# %% [markdown]
# ## 8 · What the shift is good for
#
# A task that shows it. Each image holds two marks, side by side, each bright or dark. The question: are they
# *equal*? The marks stand left and right of the border between two windows, in a random row.
#
# The network has one stage, so no merging helps: two blocks, then mean and head. Without a shift, each token
# knows its own window only, so the logits are a sum over windows: $f(\text{left}) + f(\text{right})$. A sum
# cannot say "equal": if it is high for bright-bright and for dark-dark, it is as high, on average, for the mixed
# pairs. At best it gets three of the four combinations right.


# %%
def two_marks(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (count, 1, 16, 16) with two 2 x 2 marks at columns 6-7 and 8-9 of one random row;
    label 1 = equal."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.1 * torch.randn(
        count, 8, 2, 8, 2, generator=generator
    )  # (count, row, dy, column, dx) of 2 x 2 patches
    row = torch.randint(0, 8, (count,), generator=generator)
    marks = 2 * torch.randint(0, 2, (count, 2), generator=generator) - 1  # bright +1, dark -1
    for mark, column in enumerate((3, 4)):
        images[torch.arange(count), row, :, column] = 2.0 * marks[:, mark, None, None]
    return images.reshape(count, 1, 16, 16), (marks[:, 0] == marks[:, 1]).long()


examples, equal = two_marks(8, seed=5)
titles = ["equal" if label else "different" for label in equal]

# %% fold="Drawing"
shown = plotting.images(examples.clamp(-2, 2) / 4 + 0.5, titles=titles)
plotting.show(
    shown,
    "07/what-the-shift-is-good-for", ', '.join(titles),
)

# %% [markdown] predict="marks"
# Three networks are trained on the same data for the same number of steps: (a) a plain and a shifted block; (b) two plain blocks; (c) a plain block, a patch merging, and another plain block. In (c) the first block has windows of 4 on an 8 x 8 map, the second one window on a 4 x 4 map. Which test accuracy will each
# reach: 50%, 75%, 100%?

# %% [markdown] answer="marks"
# 100 % with the shift in all three runs; about 50 %, which is guessing, for two plain blocks, which could have had 75; and about 50 % with the merging too, although there a path between the two marks exists. That a network could represent the answer does not mean that training finds it.


# %% seconds=15
def score(depths: tuple[int, ...], moves: bool, seed: int, count: int) -> float:
    """Test accuracy of a small Swin, trained on `count` pairs of marks."""
    seed_everything(seed)
    sizes = {
        "image_size": 16,
        "patch_size": 2,
        "in_channels": 1,
        "window_size": 4,
        "num_classes": 2,
    }
    sizes |= {
        "embed_dim": 24,
        "depths": depths,
        "num_heads": (2,) * len(depths),
        "mlp_ratio": 2.0,
    }
    model = SwinTransformer(**sizes)
    for module in model.modules():
        if isinstance(module, SwinBlock) and not moves:
            module.shift_size = 0
    train = tensor_batches(*two_marks(count, seed), batch_size=32, shuffle=True)
    test = tensor_batches(*two_marks(1000, 100 + seed), batch_size=250)
    settings = {"epochs": 4, "lr": 5e-3, "weight_decay": 0.01, "seed": seed, "device": "cpu"}
    return fit(model, train, validation=test, progress="bar", **settings).validation_accuracy[
        -1
    ]


if ready(*NETWORK):
    kinds = {"plain, shifted": ((2,), True), "plain, plain": ((2,), False)}
    kinds["plain, merging, plain"] = ((1, 1), False)
    seeds, count = range(budget.pick(smoke=1, cpu=3)), budget.pick(smoke=128, cpu=2048)
    began = time.perf_counter()
    scores = {
        name: [score(*kind, seed, count) for seed in seeds] for name, kind in kinds.items()
    }
    took = time.perf_counter() - began
    print(
        f"{len(kinds) * len(seeds)} runs in {took:.0f} s on {describe_machine()}; budget:"
        f" {budget}."
    )

# %% fold="Drawing"
if ready(*NETWORK):
    fig, ax = plotting.figure(width=6.4, height=2.2)
    means = {name: 100 * sum(values) / len(values) for name, values in scores.items()}
    plotting.bars(ax, means, xlabel="test accuracy (%), mean of the runs; guessing: 50")
    ax.axvline(50, color=plotting.COLORS["grey"], linestyle="--", linewidth=1)
    for row, values in enumerate(scores.values()):
        ax.plot(
            [100 * v for v in values],
            [len(scores) - 1 - row] * len(values),
            "o",
            color=plotting.COLORS["orange"],
            markersize=4,
        )
    said = ", ".join(f"{name} {value:.0f}%" for name, value in means.items())
    plotting.show(fig, "07/marks", said)
    for name, values in scores.items():
        print(f"{name:>22}: " + ", ".join(f"{value:.3f}" for value in values))
    parts = [two_marks(1000, 100 + seed)[1].float().mean().item() for seed in seeds]
    print(f"{'of them equal':>22}: " + ", ".join(f"{part:.3f}" for part in parts))

# %% [markdown]
# Without a path between the windows no token depends on both marks. What is left is the mean over the windows, a sum of what each says, and a sum can get three of four right. A shift is such a path, and every stored run with it ends at 100%.
#
# The other two rows have the same numbers, and that is no accident: each is the share of one answer among the test images (printed below the accuracies), because in every run these two networks gave all images one answer. They learned nothing, not even the three of four. So the distance between 100 and 50 is not only the missing path; it is also a training that did not start.
#
# Now look at the third row. A merging brings both marks into one window of the next stage, so there *is* a path, and still all three stored runs gave one answer after these four epochs. Other learning rates and longer trainings are not recorded: try
# them before you conclude that it cannot learn. A guess at the reason: after merging, each mark is one of four neighbours in a
# vector that was normalised and projected, and the comparison has to be found through that.
#
# What this task shows is that a shift lets *fine* detail cross a border within the stage, before resolution is given away. What a shift
# is worth on real images is measured by the paper's ablation on ImageNet, COCO and ADE20K (reference 1, table 4).

# %% [markdown]
# ## 9 · A small Swin on real images
#
# CIFAR-10, 32 x 32 pixels, patches of 2 x 2: three stages of 16 x 16, 8 x 8 and 4 x 4 tokens, windows of 4. A CPU
# can train this for a few minutes on part of the data; in the stored run it reached about 46 % (guessing: 10 %). Where it cannot be downloaded, the course's drawn images are used; they have four classes, so guessing gives 25 %. (From random weights, with all images, 100
# epochs and heavy augmentation, a small Swin reaches 94.5 %: reference 6.)

# %%
limit = budget.pick(
    smoke={"train": 256, "test": 200}, cpu={"train": 10_000, "test": 2_000}, gpu=None
)
data = load_images("cifar10", limit=limit)
print(data)


def flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirrors half of the images, left to right."""
    chosen = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen.to(images.device), images.flip(-1), images)


train = tensor_batches(
    data.train.images, data.train.labels, batch_size=128, shuffle=True, augment=flip
)
test = tensor_batches(data.test.images, data.test.labels, batch_size=500)

# %% seconds=115
if ready(*NETWORK):
    seed_everything(0)
    small = SwinTransformer(
        image_size=32,
        patch_size=2,
        embed_dim=budget.pick(smoke=16, cpu=32, gpu=64),
        depths=(2, 2, 2),
        num_heads=(2, 4, 8),
        window_size=4,
        mlp_ratio=2.0,
        num_classes=len(data.label_names),
    )
    print(profile(small, (1, 3, 32, 32)))
    history = fit(
        small, train, epochs=budget.pick(smoke=1, cpu=8, gpu=60), lr=2e-3, validation=test,
        progress="bar",
    )
    history.summary()
    fig = history.plot(f"a small Swin on {data.name}")
    plotting.chance(fig.axes[1], 1 / len(data.label_names))
    plotting.show(fig, alt=history.alt())

# %% [markdown] predict="learned-bias"
# Every head has learned a table of $(2 \cdot 4 - 1)^2 = 49$ biases, which began as noise of size 0.02. Are there
# heads that look at nearby pixels only? In a direction? Where in the table would you see that?

# %% [markdown] answer="learned-bias"
# The tables have moved: their standard deviations are 0.07 to 0.15, at the start 0.02. A head that prefers the
# neighbourhood would show a blue spot around the centre, one that prefers a direction a spot beside it. Of the eight
# heads shown none clearly prefers the neighbourhood. The clearest patterns are rows: two heads of stage 1, block 2
# prefer rows above (one of them below as well), one of stage 2, block 2 the row two below. It is one short training.

# %%
if ready(*NETWORK):
    blocks = [small.layers[stage]["blocks"][i].attn for stage in (0, 1) for i in (0, 1)]
    bias_tables = [
        table.detach().cpu()
        for block in blocks
        for table in block.relative_position_bias_table.T[:2]
    ]

# %% fold="Drawing"
if ready(*NETWORK):
    fig, axes = plotting.figure(2, 4, height=4.2, width=8.4)
    reach = max(table.abs().max().item() for table in bias_tables)
    ticks = [str(d) if d in (-3, 0, 3) else "" for d in range(-3, 4)]
    for number, (ax, table) in enumerate(zip(axes.T.flat, bias_tables, strict=True)):
        block, head_number = divmod(number, 2)
        title = f"stage {block // 2 + 1}, block {block % 2 + 1}, head {head_number + 1}"
        # entry (dy, dx) is query minus key; turned round, it shows where the key lies as seen
        # from the query
        seen = table.view(7, 7).flip(0, 1)
        plotting.heatmap(
            ax, seen, diverging=True, vmax=reach, xlabels=ticks, ylabels=ticks,
            colorbar=number >= 6, label="bias",
        )
        ax.set_title(title, fontsize=8.5)
    axes[1, 0].set(xlabel="columns from the query", ylabel="rows from the query")
    spread = [float(table.std()) for table in bias_tables]
    alt = plotting.described("07/learned-bias", min(spread), max(spread))
    plotting.show(fig, alt=alt)
    print(alt)

# %% [markdown]
# The query sits in the middle of each picture, blue is where the head wants to look, orange to brown where it does not. No
# position was ever given to this network as an input. What its attention knows about offsets stands in these
# tables. (Places also enter through the order in which patches and merging put pixels side by side, and through
# the masks at the edges.)

# %% [markdown]
# ## 10 · Question 3: two tables
#
# Here are the lecture's two tables, read from `data/lecture_tables.json`. The first compares networks that were
# trained on ImageNet-1K only (1.3 million images), the second networks that were pre-trained on ImageNet-22K (14
# million) and then fine-tuned. Throughput was measured on one V100; on other machines even its ratios may
# differ.

# %%
from IPython.display import Markdown, display

for table in tables:
    lines = [
        f"**{table['title']}**",
        "",
        "| model | image | params | FLOPs | images / s | top-1 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in table["rows"]:
        lines.append(
            f"| {row['model']} | {row['image_size']} | {row['params_M']}M | {row['flops_G']}G |"
            f" {row['throughput']} | {row['top1']:.1f} |"
        )
    display(Markdown("\n".join(lines)))

# %%
small_data, large_data = (table["rows"] for table in tables)


def arrows(ax, key: str) -> None:
    """One arrow per network, from its accuracy with ImageNet-1K (circle) to that with 22K
    (square), over `key`."""
    for few, many in zip(small_data, large_data, strict=True):
        swin = few["model"] == "Swin-B"
        color = plotting.COLORS["green" if swin else "orange"]
        start, end = (few[key], few["top1"]), (many[key], many["top1"])
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color})
        ax.plot(*start, "o", color=color)
        ax.plot(*end, "s", color=color)
        name = f"{few['model']}\n@{few['image_size']}"
        style = {"textcoords": "offset points", "ha": "center", "fontsize": 8, "color": color}
        ax.annotate(name, end if swin else start, (0, 8 if swin else -26), **style)

# %% fold="Drawing"
fig, axes = plotting.figure(1, 2, height=3.4, width=8.4)
panels = [("flops_G", "multiply-adds per image (G)", [15, 50, 200])]
panels += [("throughput", "images per second (one V100)", [30, 100, 300])]
for ax, (key, unit, ticks) in zip(axes, panels, strict=True):
    ax.set(xscale="log", xlabel=unit, ylabel="ImageNet-1K top-1 (%)", ylim=(73.5, 88.5))
    arrows(ax, key)
    ax.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.margins(x=0.18)
axes[0].set_title("circle: ImageNet-1K only · square: with 22K")
alt = plotting.described("07/question-3-two-tables")
plotting.show(fig, alt=alt)

# %% [markdown]
# Some ratios to argue with. Add your own.

# %%
one_k = {(row["model"], row["image_size"]): row for row in small_data}
many_k = {(row["model"], row["image_size"]): row for row in large_data}
vit_b, vit_l, swin_224, swin_384 = one_k
print(
    "Gain from 22K:      ",
    ", ".join(f"{m}@{s} {many_k[m, s]['top1'] - one_k[m, s]['top1']:+.1f}" for m, s in one_k),
)
for name, table in (("1K", one_k), ("22K", many_k)):
    print(f"ViT-L minus ViT-B on {name}: {table[vit_l]['top1'] - table[vit_b]['top1']:+.1f}")


def compare(first: tuple, second: tuple) -> None:
    """Prints the ratios of two rows."""
    a, b = one_k[first], one_k[second]
    print(
        f"{first[0]}@{first[1]} against {second[0]}@{second[1]}: FLOPs"
        f" x{a['flops_G'] / b['flops_G']:.2f}, throughput"
        f" x{a['throughput'] / b['throughput']:.2f}, top-1 {a['top1'] - b['top1']:+.1f} (1K),"
        f" {many_k[first]['top1'] - many_k[second]['top1']:+.1f} (22K)"
    )


for pair in ((swin_224, vit_b), (swin_384, vit_b), (vit_l, vit_b), (swin_384, swin_224)):
    compare(*pair)
print(f"Pixels, 384 against 224: x{(384 / 224) ** 2:.2f}")
for name, row in one_k.items():
    print(
        f"{name[0]}@{name[1]}: {row['flops_G'] * row['throughput'] / 1000:.2f} T"
        " multiply-adds per second"
    )

# %% [markdown] question="tables" points=10
# ### Question 3
#
# Analyse the two tables freely. What do they say about model size and the amount of training data? About
# architecture, at comparable cost? About resolution? About FLOPs and speed? What do they *not* allow you to
# conclude? Use figures from the tables, and ratios computed from them, in every argument. 300 to 400 words.

# %% [markdown] rubric="tables"
# **Rubric (10 points)**
#
# | points | what earns them |
# | --- | --- |
# | 2 | size and data: ViT-L is *below* ViT-B on ImageNet-1K and *above* it with 22K, with both differences; larger models without a suitable bias need more data |
# | 2 | architecture: Swin-B at 224 is ahead of ViT-B at 384 on 1K at about a quarter of the FLOPs; the gap shrinks with 22K; explained by inductive bias (locality, hierarchy, relative positions) |
# | 2 | FLOPs against throughput: the two ratios differ, and a reason (small kernels, memory traffic of windows and rolls, large matrix products in ViT) |
# | 2 | resolution: gain in accuracy against cost for Swin-B 224 to 384, with ratios; why FLOPs grow by more than the number of pixels (window 12) |
# | 2 | limits: different training recipes, one run each, one task, throughput of one GPU, no intervals; at least two, each with its consequence |

# %% [markdown] answer="tables"
# *A model answer (one of many that would earn full marks).*
#
# **Size and data.** On ImageNet-1K the larger ViT is the worse one: ViT-L/16 has 3.6 times the parameters of
# ViT-B/16 and is 1.4 points *below* it (76.5 against 77.9). Pre-trained on 22K it is 1.2 points *above* (85.2
# against 84.0). The order flips, and the larger model gains more from data: +8.7 against +6.1. This is what one
# expects of a ViT-L that is limited by data (or by too little regularisation), not by capacity.
#
# **Architecture.** Swin-B has about as many parameters as ViT-B. At 224 pixels it reaches 83.5 on 1K, 5.6 points above
# ViT-B at 384, with 0.28 of the FLOPs and 3.2 times the throughput. From 22K Swin gains only 1.7 and 1.9 points, ViT-B
# 6.1, and the lead of Swin-B at 224 over ViT-B shrinks to 1.2. That is what inductive bias should look like: locality
# (windows), a pyramid of scales and biases per offset are knowledge that Swin need not learn from images; ViT can learn
# it, given enough of them. Even then it does not overtake here: Swin-B at 224 *equals* ViT-L (85.2) with a twelfth of
# the FLOPs.
#
# **FLOPs are not time.** Swin-B and ViT-B at 384 have nearly the same throughput (84.7 and 85.9), although Swin
# needs 15% fewer FLOPs. Per second ViT-L does about 5.2, ViT-B 4.8, Swin 4.0 to 4.3 tera (10^12)
# multiply-adds. A likely reason, which the table does not show: large matrix products use a GPU better than many small windows with
# rolls, copies and masks between them.
#
# **Resolution.** 384 instead of 224 is 2.9 times the pixels; Swin-B needs 3.05 times the FLOPs (the window grows
# to 12, so the term $2M^2hwC$ grows faster than $hw$) and 3.3 times the time for +1.0 (1K) or +1.2 points (22K).
# For a third of the speed that is little; I would use it only where detail matters.
#
# **Limits.** The training recipes differ: Swin's has far more augmentation and regularisation than the ViT rows',
# and Touvron et al. (2021) reach 83.1 with ViT-B at 384 on 1K alone by such a recipe. So much of the 5.6 points
# is recipe, not architecture. There is one run per row and no interval, so a difference of a few tenths, as between Swin's gains of 1.7 and 1.9, means nothing; ViT is shown
# at 384 only; and the throughput is that of one V100, where other kernels or GPUs may order the rows differently.

# %% [markdown]
# ## Summary
#
# - In windows, attention is linear in the number of tokens; in the stored run the formula, the clock and the memory agree on that,
#   though not on the constant.
# - A bias per offset tells a head where things are, with $(2M-1)^2$ numbers, the same for every place in the
#   window.
# - Windows that move let neighbours meet. A roll keeps the number of windows, a mask keeps the image's edges
#   apart; together they *are* moved cut lines.
# - Merging turns the network into a pyramid. Everything else is the Transformer block of notebook 01.
# - In the lecture's tables Swin-B needs fewer FLOPs than ViT-B and gains less from more data; and FLOPs are not seconds.
#
# **Try next.** Load real weights: `from_hub("microsoft/swin-tiny-patch4-window7-224")` of `utils.data` gives a state dict for the function of
# section 7 (a download of about 110 MB; the course's tests do this with random weights only). Train section 9 without the tables (freeze them at
# zero). Make section 8's images 32 pixels wide (four windows side by side), put the second mark two windows to the right of the first, and count how many blocks it takes.
#
# ## Further reading
#
# 1. Z. Liu, Y. Lin, Y. Cao, H. Hu, Y. Wei, Z. Zhang, S. Lin, B. Guo (2021). *Swin Transformer: Hierarchical
#    Vision Transformer using Shifted Windows.* ICCV. https://arxiv.org/abs/2103.14030
# 2. P. Shaw, J. Uszkoreit, A. Vaswani (2018). *Self-Attention with Relative Position Representations.* NAACL.
#    https://arxiv.org/abs/1803.02155. One number per offset: C. Raffel et al. (2020).
#    *Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer.* JMLR 21.
# 3. A. Dosovitskiy, L. Beyer, A. Kolesnikov, D. Weissenborn, X. Zhai, T. Unterthiner, M. Dehghani, M. Minderer,
#    G. Heigold, S. Gelly, J. Uszkoreit, N. Houlsby (2021). *An Image is Worth 16x16 Words: Transformers for Image
#    Recognition at Scale.* ICLR. https://arxiv.org/abs/2010.11929
# 4. H. Touvron, M. Cord, M. Douze, F. Massa, A. Sablayrolles, H. Jégou (2021). *Training Data-Efficient Image
#    Transformers & Distillation through Attention.* ICML. https://arxiv.org/abs/2012.12877
# 5. Z. Liu, H. Hu, Y. Lin, Z. Yao, Z. Xie, Y. Wei, J. Ning, Y. Cao, Z. Zhang, L. Dong, F. Wei, B. Guo (2022).
#    *Swin Transformer V2: Scaling Up Capacity and Resolution.* CVPR. https://arxiv.org/abs/2111.09883
# 6. S. H. Lee, S. Lee, B. C. Song (2021). *Vision Transformer for Small-Size Datasets.*
#    https://arxiv.org/abs/2112.13492 (small Swins from scratch on CIFAR-10)
