# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # 10 · Discussion: arguing from evidence
#
# Two written assignments close the course. Both ask for an opinion, and both are marked by how it is supported.
#
# - **Individual: "CNN vs. Transformer".** Is a Transformer always the better backbone? When does a CNN win?
# - **Team: "Inductive bias".** Explain the lecture's two tables through inductive bias and the size of the pre-training set.
#
# This notebook collects the evidence. Its cells compute findings and give each a number that you cite:
#
# | numbers | what they are | how far they reach |
# | --- | --- | --- |
# | **[T1]**, ... | computed from the lecture's tables | ImageNet, large models, other people's training recipes, one run each |
# | **[E1]**, ... | computed from this course's recorded runs, with intervals | small images, small models, short training, several seeds |
# | **[X1]**, ... | exact facts, computed here on untrained networks | these architectures. Equalities (changes near 1e-15) hold for any weights and say what *cannot* happen; other changes are examples with one set of weights |
# | **[M1]**, ... | **your own measurements**, made here, on your machine | what you make of them |
# | **[L1]**, ... | published findings that speak *for the other side* | read the source before you lean on it |
#
# Below each answer a cell reads what you have written (save first!) and says which citations are unknown and whether your own measurements are among
# them. It counts; it does not judge. Whether a finding supports your sentence, a reader decides.
#
# **Goals.** After this notebook you can
#
# - make a claim that could be wrong, and say which finding would refute it;
# - tell what a table shows from what is read into it;
# - weigh evidence of different reach: few large runs without intervals against many small ones with them;
# - argue the side that you do not hold.
#
# **You need** notebooks 06 to 08 for the ideas; nothing has to be solved. **Time.** An hour for the cells and your measurements, two to three for writing; the cells took less than a
# minute on two CPU cores.

# %%
import json
import time

import torch

from utils import current_budget, describe_machine, experiments, plotting
from utils.checks import reuse
from utils.cost import profile, seconds
from utils.experiments import (
    MODELS, Evidence, build, mean_interval, paired_difference, plots, recorded, run_live,
    select,
)

budget = current_budget()
evidence = Evidence()
print(f"Budget: {budget}. Machine: {describe_machine()}.")

# %% [markdown]
# ## 1 · Evidence from the tables
#
# The two tables of the lecture (Liu et al. 2021, table 1; the ViT rows are from Dosovitskiy et al. 2021). FLOPs are multiply-adds, throughput is images per second on one V100.

# %%
tables = {
    t["name"]: t
    for t in json.loads((root / "data" / "lecture_tables.json").read_text(encoding="utf-8"))[
        "tables"
    ]
}
cells = {
    name: {f"{r['model']} {r['image_size']}": r for r in t["rows"]}
    for name, t in tables.items()
}
for table in tables.values():
    print(table["title"])
    for row in table["rows"]:
        print(
            f"  {row['model']:<9} {row['image_size']} px  {row['params_M']:>4}M "
            f" {row['flops_G']:>6.1f} G  {row['throughput']:>6.1f}/s  {row['top1']:.1f}%"
        )
k1, k22 = (
    {model: row["top1"] for model, row in cells[name].items()}
    for name in ("ImageNet-1K", "ImageNet-22K")
)

# %%
evidence.add(
    "T1",
    "Size: ViT-L/16 minus ViT-B/16, both at 384 px:"
    f" {k1['ViT-L/16 384'] - k1['ViT-B/16 384']:+.1f} points on ImageNet-1K,"
    f" {k22['ViT-L/16 384'] - k22['ViT-B/16 384']:+.1f} from 22K.",
)
gains = {model: k22[model] - k1[model] for model in k1}
evidence.add(
    "T2",
    "Gain from pre-training on 22K: "
    + ", ".join(f"{model} px {gain:+.1f}" for model, gain in gains.items())
    + ".",
)
evidence.add(
    "T3",
    "Architecture: Swin-B at 384 px minus ViT-B/16 at 384 px:"
    f" {k1['Swin-B 384'] - k1['ViT-B/16 384']:+.1f} points on 1K,"
    f" {k22['Swin-B 384'] - k22['ViT-B/16 384']:+.1f} from 22K.",
)
rows = cells["ImageNet-1K"]
evidence.add(
    "T4",
    "Cost: Swin-B at 224 px against ViT-B/16 at 384 px:"
    f" {rows['Swin-B 224']['flops_G'] / rows['ViT-B/16 384']['flops_G']:.2f} of the FLOPs,"
    f" {rows['Swin-B 224']['throughput'] / rows['ViT-B/16 384']['throughput']:.1f} times the"
    f" throughput, {k1['Swin-B 224'] - k1['ViT-B/16 384']:+.1f} points on 1K,"
    f" {k22['Swin-B 224'] - k22['ViT-B/16 384']:+.1f} from 22K.",
)
rate = {model: row["flops_G"] * row["throughput"] / 1000 for model, row in rows.items()}
evidence.add(
    "T5",
    "Multiply-adds per second on the V100 (FLOPs times throughput): "
    + ", ".join(f"{model} px {value:.1f}" for model, value in rate.items())
    + " T (10^12).",
)
errors = {model: (100 - k1[model]) / (100 - k22[model]) for model in k1}
evidence.add(
    "T6",
    "Errors on 1K divided by errors from 22K: "
    + ", ".join(f"{model} px {value:.2f}" for model, value in errors.items())
    + ".",
)

# %% fold="Drawing"
fig, ax = plotting.figure(width=6.2, height=3.2)
x = torch.tensor([1.28, 14.2])  # million images; the 22K set has 14.2 million
lines = {model.replace(" ", "\n") + " px": [k1[model], k22[model]] for model in k1}
plotting.lines(
    ax, x, lines, xlabel="images in the (pre-)training set (millions)",
    ylabel="ImageNet top-1 (%)", logx=True,
)
ax.set_xticks(x, ["1.28 (1K)", "14.2 (22K)"])
for line in ax.get_lines():
    line.set_linestyle("--")
ax.set_title("measured: the two ends; the lines only join them")
alt = plotting.described("10/evidence-from-the-tables")
plotting.show(fig, alt=alt)

# %% [markdown]
# ## 2 · Evidence from recorded runs
#
# Small models, several seeds. Differences are paired and have 95% t-intervals; means of one model, as in [E2] and [E16], have none. Sizes are alike in [E1] to [E16] (about 0.2 million parameters), not in [E18] (0.15 to 0.44 million) and not in [E19] to [E21]: there the ViT has three times the CNN's parameters and up to twice its steps. Each cell first says what the rows are and where they were made. An interval that includes zero is a finding, too: "not
# decided by these runs".

# %%
scaling = select(recorded("data-scaling"), augment=False)
steps = select(scaling, arm="steps")
if steps:
    sizes = sorted({row["size"] for row in steps})
    found = paired_difference(steps, "CNN", "ViT", "size")
    evidence.add(
        "E1",
        "CNN minus ViT, test accuracy, equal steps: "
        + "; ".join(f"{s:,} images {plots.describe(d)}" for s, d in found.items())
        + ".",
    )
    trains = {
        m: [
            100
            * mean_interval(r["train_accuracy"] for r in select(steps, model=m, size=s)).mean
            for s in sizes
        ]
        for m in ("CNN", "ViT")
    }
    evidence.add(
        "E2",
        f"Training accuracy at {', '.join(f'{s:,}' for s in sizes)} images: "
        + "; ".join(
            f"{m} " + ", ".join(f"{v:.0f}%" for v in values) for m, values in trains.items()
        )
        + ".",
    )

# %%
if steps:
    others = {"E3": "hybrid ViT", "E4": "Swin", "E5": "PoolFormer", "E6": "Mixer"}
    for key, model in others.items():
        found = paired_difference(steps, model, "ViT", "size")
        evidence.add(
            key,
            f"{model} minus ViT: "
            + "; ".join(f"{s:,} images {plots.describe(d)}" for s, d in found.items() if d.n)
            + ".",
        )
    gaps = paired_difference(steps, "CNN", "ViT", "size", value="gap")
    evidence.add(
        "E7",
        "Train-test gap, CNN minus ViT: "
        + "; ".join(f"{s:,} images {plots.describe(d)}" for s, d in gaps.items())
        + ".",
    )
epochs = select(scaling, arm="epochs")
if epochs:
    found = paired_difference(epochs, "CNN", "ViT", "size")
    evidence.add(
        "E8",
        "The same as E1 with equal epochs: "
        + "; ".join(f"{s:,} images {plots.describe(d)}" for s, d in found.items())
        + ".",
    )

# %%
rules = recorded("label-rule")
if rules:
    for key, rule in (("E9", "local"), ("E10", "relational"), ("E11", "position")):
        found = paired_difference(select(rules, rule=rule), "CNN", "ViT", "size")
        evidence.add(
            key,
            f"Labels by a {rule} rule, CNN minus ViT: "
            + "; ".join(f"{s:,} images {plots.describe(d)}" for s, d in found.items())
            + ". In training, at the largest size: "
            + ", ".join(
                f"{m} {100 * mean_interval(r['train_accuracy'] for r in last).mean:.0f}%"
                for m in ("CNN", "ViT")
                for last in [select(rules, rule=rule, model=m, size=max(found))]
            )
            + " (chance 25%).",
        )
    for key, rule, images in (
        ("E12", "position", "images as drawn"),
        (
            "E13",
            "position, rolled",
            "images rolled, so that their edges can lie anywhere in the picture",
        ),
    ):
        at = max(row["size"] for row in rules)
        found = {
            m: mean_interval(
                r["test_accuracy"] for r in select(rules, rule=rule, model=m, size=at)
            )
            for m in ("CNN", "CNN, circular")
        }
        with_zeros, blind = (
            f"{100 * d.mean:.1f} ± {100 * d.half:.1f}%" for d in found.values()
        )
        evidence.add(
            key,
            f"Position rule, {at:,} {images}: CNN without a border {blind}, with zeros"
            f" {with_zeros}; chance is 25%.",
        )

# %%
symmetry = recorded("symmetry")
if symmetry:
    costs = {
        f"{model}, {arm}": paired_difference(
            select(symmetry, model=model), "as they are", arm, of="arm"
        )
        for model in ("CNN", "ViT")
        for arm in ("patches permuted", "pixels permuted")
    }
    evidence.add(
        "E14",
        "Cost of a fixed permutation, retrained: "
        + "; ".join(f"{name} {plots.describe(d)}" for name, d in costs.items())
        + ".",
    )
transfer = recorded("transfer")
if transfer:
    arm = max(row["arm"] for row in transfer if row["arm"] != "scratch")
    gains = {
        (model, size): paired_difference(
            select(transfer, model=model, size=size), arm, "scratch", of="arm"
        )
        for model in ("CNN", "ViT")
        for size in sorted({row["size"] for row in transfer})
    }
    before = [100 * row["pretraining_accuracy"] for row in select(transfer, arm=arm)]
    evidence.add(
        "E15",
        f"Gain {arm.replace('_', ' ')}: "
        + "; ".join(f"{m} at {s:,} {plots.describe(d)}" for (m, s), d in gains.items())
        + f". The pretrained models were right on {min(before):.1f} to {max(before):.1f}% of"
        " their own test images.",
    )

# %%
distance = recorded("distance")
if distance:
    ends = {
        s: torch.tensor([row["watched"][-1]["distance"] for row in select(distance, size=s)])
        for s in sorted({row["size"] for row in distance})
    }
    base = distance[0]["uniform_distance"]
    evidence.add(
        "E16",
        f"Attention distance after training (uniform {base:.2f} patches), layers 1 and 2: "
        + "; ".join(
            f"{s:,} images {mean_interval(v[:2].mean().item() for v in seeds).mean:.2f},"
            f" nearest head {seeds[:, :2].min():.2f}"
            for s, seeds in ends.items()
        )
        + ".",
    )
text = recorded("text")
if text:
    found = paired_difference(text, "LSTM", "Transformer", "size")
    evidence.add(
        "E17",
        "Text, LSTM minus Transformer encoder: "
        + "; ".join(f"{s:,} texts {plots.describe(d)}" for s, d in found.items())
        + ".",
    )
mixers = recorded("token-mixers")
if mixers:
    scores = {
        m: mean_interval(r["test_accuracy"] for r in select(mixers, mixer=m))
        for m in sorted({r["mixer"] for r in mixers})
    }
    best = sorted(scores, key=lambda m: -scores[m].mean)
    evidence.add(
        "E18",
        "One MetaFormer, the token mixer exchanged: "
        + "; ".join(
            f"{m} {100 * scores[m].mean:.1f} ± {100 * scores[m].half:.1f}%" for m in best
        )
        + ".",
    )

# %%
crossing = recorded("crossing")
if crossing:
    where = experiments.crossing.crossing_interval
    for number, share in enumerate((1 / 8, 1 / 4), start=19):
        n, low, high, seeds = where(select(crossing, share=share), "ViT", "CNN, circular")
        evidence.add(
            f"E{number}",
            f"Exception in {share:.1%} of the frame: the ViT overtakes the CNN without a border"
            f" (ceiling {1 - share:.1%}) at {n:,.0f} frames ({low:,.0f} to {high:,.0f}; {seeds}"
            " seeds).",
        )
    most = max(row["size"] for row in crossing)
    ahead = paired_difference(select(crossing, share=1 / 4, size=most), "CNN", "ViT")
    evidence.add(
        "E21",
        f"The same with zeros beyond the CNN's border, exception in a quarter, {most:,} frames:"
        f" CNN minus ViT {plots.describe(ahead)}.",
    )

# %% [markdown]
# ## 3 · Exact facts
#
# Some properties need no statistics: they hold for every setting of the weights. Checked here in double precision on networks as they are initialised. They have limits, too: if a network gives two images the same answer, this is a disadvantage only where both occur in the data. Compare [X1] with [E12] and [E13].

# %%
torch.manual_seed(0)
ViT, ResNet = reuse("ViT"), reuse("ResNet")
x = torch.randn(4, 3, 32, 32, dtype=torch.float64)
# pixels of each 4 x 4 patch
places = torch.arange(1024).view(8, 4, 8, 4).permute(0, 2, 1, 3).reshape(64, 16)
order, moved = torch.randperm(64), torch.empty(1024, dtype=torch.long)
moved[places] = places[order]
shuffled = x.flatten(2)[:, :, moved].view_as(x)
vit, cnn, blind = ViT(32, 4, 64, 6, 4, 2.0, 4, pool="mean"), ResNet(8, 4), ResNet(8, 4)
for part in blind.modules():
    if isinstance(part, torch.nn.Conv2d) and any(part.padding):
        part.padding_mode = "circular"
with torch.no_grad():
    vit, cnn, blind = (model.double().eval() for model in (vit, cnn, blind))
    half = (blind(x.roll((16, 16), (2, 3))) - blind(x)).abs().max()
    border = (cnn(x.roll((16, 16), (2, 3))) - cnn(x)).abs().max()
    evidence.add(
        "X1",
        "Image moved cyclically by half a frame: outputs of a CNN without a border change by"
        f" {half:.0e}, with zeros at the border by {border:.0e}.",
    )
    before = vit(x)
    cost = (vit(shuffled) - before).abs().max()
    vit.positions.copy_(vit.positions[:, order])
    both = (vit(shuffled) - before).abs().max()
    evidence.add(
        "X2",
        f"Patches permuted: a ViT's outputs change by {cost:.0e}; with the rows of its position"
        f" table permuted alike by {both:.0e}: it is the same model.",
    )
    evidence.add(
        "X3",
        "Patches permuted: a CNN's outputs change by"
        f" {(cnn(shuffled) - cnn(x)).abs().max():.0e}, and it has no table to permute.",
    )

# %% [markdown]
# ## 4 · The other side
#
# Whatever you claim, somebody has published evidence against it. Numbers of the sources, not ours:

# %%
evidence.add(
    "L1",
    "Dosovitskiy et al. (2021), table 2: ViT-H/14 on JFT-300M 88.55% for 2.5k TPUv3-core-days,"
    " BiT-L (ResNet-152 x 4) 87.54% for 9.9k.",
)
evidence.add(
    "L2",
    "Smith, Brock, Berrada, De (2023), ConvNets Match Vision Transformers at Scale: NFNets on"
    " JFT-4B match ViTs at like compute; best 90.4%.",
)
evidence.add(
    "L3",
    "Touvron, Cord, Jégou (2022), DeiT III: ViT-B/16 at 384 px, ImageNet-1K only, 85.0% (the"
    " table has 77.9%): another recipe, the same architecture but for LayerScale.",
)
evidence.add(
    "L4",
    "Liu et al. (2022), A ConvNet for the 2020s: a ResNet with Swin's recipe and design details"
    " closes the distance to Swin.",
)
evidence.add(
    "L5",
    "Dosovitskiy et al. (2021), figure 4: on 9M images of JFT ViT-B/32 is much worse than"
    " ResNet50, from 90M on it is better.",
)

# %% [markdown]
# ## 5 · Your own measurements
#
# Now add your own. Change the settings, make a prediction, run. At least one **[M...]** must be cited in each assignment, and your text should say what you expected. More seeds give you an interval.

# %% [markdown] predict="own"
# Which comparison do you run, what do you expect, and which result would make you change your mind?

# %% [markdown] answer="own"
# *An example.* I run CNN against ViT on 1,000 images, equal steps, two seeds. I expect the CNN ahead by some points, since it was ahead at 2,000 images
# in the recorded rows, and at 500 nothing was decided. With two seeds the interval will be wide, so only a lead of the ViT in both would make me change my mind.

# %% seconds=30
SETTINGS = {  # change these
    "models": ("CNN", "ViT"),  # also "hybrid ViT"
    "sizes": budget.pick(smoke=(64,), cpu=(1_000,), gpu=(1_000, 10_000)),
    "seeds": (0, 1),
    "steps": budget.pick(smoke=2, cpu=100, gpu=2_000),
    "only": {"arm": "steps", "augment": False},
}
own = run_live(
    "data-scaling", budget.preset, **SETTINGS,
    test_images=budget.pick(smoke=40, cpu=1_000, gpu=10_000),
)
a, b = SETTINGS["models"][:2]
pairs = {size: d for size, d in paired_difference(own, a, b, "size").items() if d.n}
if not pairs:
    print("No pair of trainings was finished, so there is no finding of your own yet.")
for number, (size, d) in enumerate(pairs.items(), start=1):
    at = select(own, size=size)
    values = "; ".join(
        f"{m} " + ", ".join(f"{row['test_accuracy']:.1%}" for row in select(at, model=m))
        for m in (a, b)
    )
    reach = (
        f"difference {plots.describe(d)}"
        if d.n > 1
        else f"difference {100 * d.mean:+.1f} points (one seed: no interval)"
    )
    evidence.add(
        f"M{number}",
        f"Mine, {own[0]['data_used']}, {size:,} images, {own[0]['steps_taken']} steps:"
        f" {values}; {reach}.",
        own=True,
    )

# %% [markdown]
# ### And speed
#
# Accuracy is not the only thing that a backbone is chosen for. On *your* machine:

# %%
batch = budget.pick(smoke=4, cpu=64, gpu=512)
images = torch.randn(batch, 3, 32, 32)
calls, macs, classes = {}, {}, {"ViT": ViT, "CNN": ResNet}
for name in ("CNN", "ViT"):
    spec = MODELS[budget.pick(smoke="smoke", cpu="cpu", gpu="gpu")][name]
    model = build(spec, 10, classes, name)[0].eval()
    macs[name] = profile(model, (1, 3, 32, 32)).macs
    calls[name] = lambda model=model: model(images)
with torch.no_grad():
    took = seconds(calls, rounds=budget.pick(smoke=1, cpu=7))
words = "; ".join(
    f"{name} {batch / took[name]:,.0f} images/s, {macs[name] * batch / took[name] / 1e9:.1f}"
    " x 10^9 multiply-adds/s"
    for name in calls
)
evidence.add("M8", f"Mine, inference, batch {batch}, on the CPU: {words}.", own=True)

# %% [markdown]
# And one on which predictions go wrong: the position rule, on a few thousand fresh images. (Notebook 06, section 3, has five seeds.)

# %% seconds=10
began = time.perf_counter()
size = budget.pick(smoke=64, cpu=2_048, gpu=32_768)
mine = run_live(
    "label-rule", budget.preset, models=("CNN", "ViT"), sizes=(size,), seeds=(0,),
    only={"rule": "position"},
)
values = ", ".join(f"{row['model']} {row['test_accuracy']:.1%}" for row in mine)
if mine:
    evidence.add(
        "M9", f"Mine, position rule, {size:,} images, one seed: {values} (chance 25%).",
        own=True,
    )
print(f"{time.perf_counter() - began:.0f} s")

# %% [markdown]
# ## 6 · Individual assignment
#
# A template that works for an argument of this length. Don't keep its headings if they are in your way; keep its parts.
#
# > **Claim.** One sentence that could be wrong: "For ..., a CNN is the better choice, because ...".
# > **What speaks for it.** Two or three findings [E..] [T..] [X..], each with its number, and what it is that they have in common.
# > **My own measurement** [M..]. What I expected, what came out, how far it reaches (images, steps, seeds).
# > **What speaks against it.** The strongest finding of the other side [L..] [E..], and why I still hold my claim, or how I had to narrow it.
# > **Where it ends.** Which tasks, data, budgets my evidence says nothing about. Which experiment would decide it.

# %% [markdown] question="individual" points=15
# ### CNN vs. Transformer
#
# Is a Transformer always the better backbone for vision? When does a CNN win? Take a position and defend it: 350 to 700 words, at least five findings cited by number, of at least two kinds (tables T, recorded runs E, exact facts X), at least one of them your own measurement [M..], at least one from the other side [L..]. Write each number that you use beside its citation, with its interval where it has one: a finding cited against its own interval costs a point. Explain by what the architectures assume, and say where your evidence ends. (Citations in brackets are not counted as words.)

# %% [markdown] rubric="individual"
# **Rubric (15 points)**
#
# | points | what earns them |
# | --- | --- |
# | 3 | **Claim**: one position, specific about task, data and budget, and refutable. (1: "it depends" without saying on what.) |
# | 4 | **Evidence**: at least three findings of at least two kinds (T, E, X), each with its number and interval where there is one, each bearing on the claim. (-1 for a finding cited against its own interval) |
# | 2 | **Own measurement**: what was expected, what was seen, seeds and size; no more concluded from it than it carries |
# | 3 | **The other side**: its strongest finding in fair words, and an answer to it that is not a dismissal |
# | 2 | **Mechanism**: the claim is explained by what the architectures assume (locality, equivariance, positions, content-dependent mixing), not by their names |
# | 1 | **Limits**: reach of the evidence (small images, short training, one recipe), and the experiment that would decide |

# %% [markdown] answer="individual"
# *A model answer (one of many that would earn full marks).*
#
# **Claim.** For a vision task with a few thousand labelled images, a short training budget and labels that can be read off neighbouring pixels, a plain CNN is the better backbone than a plain ViT. The claim fails where data are plentiful, where augmentation and a
# long recipe stand in for the missing assumptions, and, for a CNN without a border, where the answer is a place that the images themselves do not mark.
#
# **What speaks for it.** With equal steps and no augmentation the CNN is ahead of the ViT by 8.6 ± 0.3 points at 2,000 images and by 9.5 ± 4.9 at 8,000 [E1]; with equal epochs
# by 12.5 ± 3.5 points at 8,000 [E8]. With equal steps a convolutional stem alone gains the ViT 4.5 ± 1.4 points at 8,000 images [E3]. That fits the assumption (neighbouring
# pixels belong together, everywhere in the same way) as the cause, not the name of the network; but a small Swin and a small PoolFormer, local too, are behind the ViT [E4, E5], so locality alone is not enough. Where the label is a local texture by construction, the lead at 4,096 images is 45.1 ± 14.7 points [E9]. The exact facts say the same from the other side: permute the patches *and* the rows of the position table, and a ViT is the same model
# up to rounding, 7e-16 [X2]. It must learn from examples what is next to what, and a few thousand are few for that.
#
# **My own measurement.** I expected the CNN to be ahead by some points at 1,000 images after 100 steps. It was, on both seeds, by 7.6 ± 3.8 points [M1], which agrees with [E1] in direction; two seeds add little. I also expected the position rule to hurt the CNN, whose layers treat all places alike. It reached 100% on 2,048 images, the ViT 27%, near chance [M9]; the recorded runs agree, 53.2 ± 12.9 points at 16,384 [E11].
# My explanation was the zeros beyond the border, without which a CNN cannot tell an image from the same image moved by half a frame [X1]. True, and not enough: without them it reaches 78.4 ± 7.6% [E12], because the pictures have edges of their own. Only on rolled images is it at chance, 24.5 ± 2.0% [E13].
#
# **What speaks against it.** First, the exact one: a CNN without a border gives an image and the moved image one answer [X1], so where the label is a place and both occur, it is at chance for ever [E13]. That is why my claim names the kind of label, and the border. (I do not use [E10]: it shows no difference, -5.6 ± 12.8 points, and neither model is right on half of its training images.) Second, my own side's figure: at 500 images the CNN is *not* ahead, -2.1 ± 3.4 points [E1]; both models fit all 500 [E2]. So
# I took "the fewer, the better for the CNN" out. Third, with enough data the order turns: ViT-B/32 is much worse than ResNet50 on 9 million images of JFT and better from 90 million on [L5]. In small it turns only where the rule has an exception that depends on the place, so that a CNN without a border can be right on 75% at most: there the ViT overtakes it at about 5,100 frames [E20]; the usual CNN it does not overtake [E21]. Fourth, the
# recipe: the same ViT-B/16 that has 77.9% in the lecture's table reaches 85.0% on the same images with another recipe [L3]: 7 points, where my distances are 9 to 12. But that remedy teaches the assumption through augmented examples, which needs the steps that I assumed not to have.
#
# **Where it ends.** Models of about 0.2 million parameters, 32 x 32 pixels, a few hundred steps (smaller ones on frames of 16 x 16 [E20, E21]): at 8,000 images neither model fits its training set (50% and 40% [E2]), so the lead there is one of learning speed, and may be no more. The same grid at 50,000 images with sixty epochs or more, augmented and not,
# would decide it. If the ViT closed the distance there without augmentation, I would give up the sentence about few images and keep the one about short training.

# %%
complete = evidence.review("individual", "10_discussion", at_least=5, own=1, words=(350, 700))

# %% [markdown]
# ## 7 · Team assignment
#
# Three or four people. Suggested roles: one argues *from the tables*, one *from the recorded runs*, one is **the opponent** and may only use [L..] and whatever weakens the others' findings, one writes. Discuss until every objection of the opponent is either answered in the text or accepted there as a limit.

# %% [markdown] question="team" points=15
# ### Inductive bias
#
# Explain the two tables of section 1 through inductive bias and the size of the pre-training set: why ViT-L is below ViT-B in the one and above it in the other; why Swin is ahead, and where its lead goes; what the recorded runs add, and what they cannot; and what else differs between the rows of the tables. 400 to 800 words, at least six findings by number, among them two of the tables [T..], two of the recorded runs or exact facts [E.., X..], one own [M..] and one of the other side [L..]. Last paragraph: who did what, and the opponent's best objection.

# %% [markdown] rubric="team"
# **Rubric (15 points)**
#
# | points | what earns them |
# | --- | --- |
# | 3 | **Size and data**: the order of ViT-B and ViT-L flips, with both differences; more capacity without a fitting prior needs more data, and "needs" is explained (what has to be learned that Swin is given) |
# | 3 | **Architecture**: Swin's lead at like cost, its shrinking from 1K to 22K, and which of its assumptions could be responsible (windows, pyramid, biases per offset); not "Swin is better" |
# | 3 | **Recorded runs**: at least two findings that bear on the explanation, with intervals; said plainly where they agree with the tables and where not |
# | 2 | **Confounds**: recipes differ between the rows (L3), one run each, the pre-training sets differ in labels as well as in size; which conclusion suffers |
# | 2 | **Own measurement and the other side**, each used for or against a specific sentence |
# | 2 | **Team**: the opponent's best objection, and what it changed in the text; who did what |

# %% [markdown] answer="team"
# *A model answer (one of many that would earn full marks).*
#
# **What the tables show.** On ImageNet-1K the larger ViT is the worse one: ViT-L/16 is 1.4 points *below* ViT-B/16. With pre-training on 22K it is 1.2 points *above* [T1]. Same architectures, same resolution; what changed is the data, and with them epochs and weight decay. In terms of errors, ViT-L has
# 1.59 times as many with 1K as with 22K, ViT-B 1.38 times, Swin-B only 1.11 and 1.14 times [T6].
#
# **Explanation.** A ViT starts with almost no knowledge of images. Nothing in it says that two patches are neighbours: permute the patches and the rows of its position table together, and it computes the same numbers up to rounding, 7e-16 [X2]. Locality, and that an object remains
# the same when it moves, have to be inferred from examples. With 1.3 million images there are many functions that fit, and a larger model can choose among more of them; nothing makes it prefer the ones that generalise. So capacity costs accuracy in the first
# table and pays in the second, where ten times as many images exclude most of the wrong functions. Swin is *given* what ViT has to learn: windows (locality), a bias per offset (the same rule at every place in the window), merging (a pyramid of scales). So it needs fewer images
# for the same knowledge: it leads ViT-B/16 at 384 pixels by 6.6 points on 1K, and by 2.4 from 22K [T3]. The lead shrinks because the data now teach the ViT what Swin had from the start. It does not vanish, which our explanation alone would not predict.
#
# **What the recorded runs add.** To a ViT the arrangement of patches is indeed nothing given: with all patches in another, fixed order it loses 0.1 ± 0.2 points, a CNN 6.6 ± 2.7 [E14]. The CNN, whose prior is convolutional, is ahead by 8.6 ± 0.3 points at 2,000 images [E1], and a convolutional stem in front of the same ViT 4.5 ± 1.4 at 8,000 [E3]. That agrees with the explanation. Two findings do not simply agree. At 500 images the CNN is not
# ahead, -2.1 ± 3.4 [E1], although "less data, more need of a prior" would say that it should be most ahead there. And our small Swin is 4.6 ± 2.7 points *behind* the ViT at 8,000 images [E4], the reverse of the table. Training accuracy at that size is 50% for the CNN and 40% for the ViT [E2]:
# these models are hardly trained. So the runs fit "a fitting prior helps in short training" for convolutions; that it saves data they do not show, and for Swin they say nothing at this length. Nor do they show the second table's effect: our own pretraining gained a ViT 7.5 ± 2.4 points at 500 images, but a CNN 16.6 ± 7.2 [E15], so it opened a distance where there had been none. It had 50,000 images, not 14 million.
#
# **Our own measurement.** We expected an absolute-position task to favour the ViT, which has a table of positions. After 2,048 images the ViT was near chance (27%), the CNN at 100% [M9]; one seed, but five recorded ones agree, 53.2 ± 12.9 points at 16,384 images [E11]. "Has less bias" does not mean "is better where the bias is wrong": the ViT *can* represent
# the answer, and had not learned it yet. (Without its border the CNN still has 78.4 ± 7.6% [E12], from the pictures' own edges, and on rolled ones chance [E13].)
#
# **Confounds, and the other side.** The rows of the tables differ in more than architecture. ViT-B/16 with a later recipe reaches 85.0% on ImageNet-1K alone [L3], above Swin-B at 384 pixels in the first table. So the 6.6 points of [T3] mix architecture with augmentation and regularisation, and the conclusion that suffers is
# "Swin's prior is worth 6.6 points". What survives is the flip within the ViT rows [T1], where B and L share nearly one recipe within each table. Dosovitskiy et al., from whom the ViT rows come, have a further experiment that points the same way: behind a ResNet at 9 million images, ahead from 90 million [L5]. The 22K set also has other labels, 22 thousand classes, so "more images" is not all that
# changed. Each row is one run; differences of a few tenths mean nothing. And at JFT scale the sources disagree: NFNets, convolutional, match ViTs at like compute [L2], and a ViT is ahead of a CNN at a quarter of the compute [L1].
#
# **Who did what.** A read the tables, B the recorded runs, C was the opponent, D wrote. C's best objection was [L3]: "your explanation explains a recipe". It made us move the argument from the distance between Swin and ViT to the flip within ViT, and take back a sentence that called the 6.6 points "the value
# of locality".

# %%
complete = evidence.review("team", "10_discussion", at_least=6, own=1, words=(400, 800))

# %% [markdown]
# ## Summary
#
# - A finding has a reach: data, sizes, steps, seeds, recipe. Cite it with its reach, or it is an anecdote.
# - The same architecture moved by 7 points between two recipes [L3]. Differences of 1 or 2 points between architectures that were trained by different people are not evidence about architectures.
# - "This architecture cannot" is a claim about the data, too. [X1] is exact, and [E12] is 53 points above what it seemed to imply; [E13] says where the difference lay.
# - Where evidence of different reach points the same way, believe it more; where it does not, that is the interesting part of your text.
#
# ## Further reading
#
# - Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, et al. (2021). An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale. ICLR.
# - Ze Liu, Yutong Lin, Yue Cao, Han Hu, Yixuan Wei, Zheng Zhang, Stephen Lin, Baining Guo (2021). Swin Transformer: Hierarchical Vision Transformer using Shifted Windows. ICCV.
# - Hugo Touvron, Matthieu Cord, Hervé Jégou (2022). DeiT III: Revenge of the ViT. ECCV.
# - Zhuang Liu, Hanzi Mao, Chao-Yuan Wu, Christoph Feichtenhofer, Trevor Darrell, Saining Xie (2022). A ConvNet for the 2020s. CVPR.
# - Samuel Smith, Andrew Brock, Leonard Berrada, Soham De (2023). ConvNets Match Vision Transformers at Scale. arXiv:2310.16764.
# - Zachary Lipton, Jacob Steinhardt (2019). Troubling Trends in Machine Learning Scholarship. ACM Queue 17(1). (On explanation and speculation.)
