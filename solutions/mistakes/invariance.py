"""The ceiling of an invariant function: what students really write, wrong and right."""

from __future__ import annotations

from utils.grading.bank import Bank

ceiling = Bank("invariant_ceiling")
LOOP = "for orbit in orbits.unique():"
INSIDE = "inside = labels[orbits == orbit]"
BEST = "right += inside.bincount().max().item()"
SHARE = "return right / len(labels)"

ceiling.wrong(
    "mean over orbits",
    "You average the orbits' accuracies, so a small orbit counts as much as a large one. Count images.",
    edits={
        BEST: "right += inside.bincount().max().item() / len(inside)",
        SHARE: "return right / len(orbits.unique())",
    },
)
ceiling.wrong(
    "one answer for all",
    "You give all images one answer, the most frequent label of all. An invariant function may answer differently for each orbit.",
    edits={SHARE: "return labels.bincount().max().item() / len(labels)"},
)
ceiling.wrong(
    "only pure orbits",
    "You count only orbits whose labels all agree. In a mixed orbit the best single answer is still right on some images.",
    edits={BEST: "right += len(inside) if len(inside.unique()) == 1 else 0"},
)
ceiling.wrong(
    "the first label of each orbit",
    "You answer each orbit with its first label. The *best* answer is the most frequent one.",
    edits={BEST: "right += (inside == inside[0]).sum().item()"},
)
ceiling.wrong(
    "the error",
    "You return the error. The accuracy is one minus it.",
    edits={SHARE: "return 1 - right / len(labels)"},
)
ceiling.wrong(
    "the least frequent label",
    "You answer each orbit with its least frequent label. The best answer is the most frequent one.",
    edits={BEST: "right += inside.unique(return_counts=True)[1].min().item()"},
)
ceiling.wrong(
    "neighbours in the list",
    "You take images that stand side by side for an orbit. The images come in no order: collect all with the same orbit number.",
    edits={
        LOOP: "_, lengths = orbits.unique_consecutive(return_counts=True)\n    for inside in labels.split(lengths.tolist()):",
        INSIDE: "",
    },
)
ceiling.wrong(
    "the largest label",
    "You count how often the label with the largest *number* occurs, not the one that occurs most.",
    edits={BEST: "right += (inside == inside.max()).sum().item()"},
)
ceiling.wrong(
    "orbits and labels exchanged",
    "You look for the most frequent orbit of each label. It is the other way round: the most frequent label of each orbit.",
    edits={
        LOOP: "for label in labels.unique():",
        INSIDE: "inside = orbits[labels == label]",
    },
)
ceiling.wrong(
    "a count",
    "You return how many images are right. The accuracy is their share.",
    edits={SHARE: "return float(right)"},
)

ceiling.right("mode", edits={BEST: "right += (inside == inside.mode().values).sum().item()"})
ceiling.right(
    "counts of unique labels", edits={BEST: "right += inside.unique(return_counts=True)[1].max().item()"}
)
ceiling.right("a mean", edits={SHARE: "return float(torch.tensor(right).double() / labels.numel())"})


@ceiling.right("a table of counts")
def invariant_ceiling(orbits, labels):
    if len(orbits) == 0 or orbits.shape != labels.shape:
        raise ValueError("needs a label per image, and an image")
    numbers, index = orbits.unique(return_inverse=True)
    table = torch.zeros(len(numbers), int(labels.max()) + 1)
    table.index_put_((index, labels), torch.ones(len(labels)), accumulate=True)
    return table.max(dim=1).values.sum().item() / len(labels)


@ceiling.right("plain Python")
def invariant_ceiling(orbits, labels):
    if len(orbits) == 0 or len(orbits) != len(labels):
        raise ValueError('a label per image, and one image at least')
    from collections import Counter

    inside = {}
    for orbit, label in zip(orbits.tolist(), labels.tolist()):
        inside.setdefault(orbit, Counter())[label] += 1
    return sum(counts.most_common(1)[0][1] for counts in inside.values()) / len(labels)


@ceiling.right("one-hot sums")
def invariant_ceiling(orbits, labels):
    if len(orbits) == 0 or orbits.shape != labels.shape:
        raise ValueError("needs a label per image, and an image")
    numbers, index = orbits.unique(return_inverse=True)
    member = torch.nn.functional.one_hot(index, len(numbers)).double()  # (n, O)
    label = torch.nn.functional.one_hot(labels).double()  # (n, K)
    return float((member.T @ label).amax(1).sum() / len(labels))


@ceiling.wrong(
    'numbers taken as consecutive',
    'You count orbits from 0 to their number. Orbits can have any numbers: go through those that occur.'
)
def invariant_ceiling(orbits, labels):
    if len(orbits) == 0 or orbits.shape != labels.shape:
        raise ValueError(f'needs a label per image and at least one, got {len(orbits)} orbits and {len(labels)} labels')
    right = 0
    for orbit in range(len(orbits.unique())):
        inside = labels[orbits == orbit]
        if len(inside):
            right += int(inside.bincount().max())
    return right / len(labels)


@ceiling.wrong(
    'last label lost',
    'Your table has one column too few for the labels, so the largest is counted in the next orbit.'
)
def invariant_ceiling(orbits, labels):
    if len(orbits) == 0 or orbits.shape != labels.shape:
        raise ValueError(f'needs a label per image and at least one, got {len(orbits)} orbits and {len(labels)} labels')
    _, index = orbits.unique(return_inverse=True)
    classes = max(int(labels.max()), 1)
    size = (int(index.max()) + 2) * classes
    table = torch.bincount(index * classes + labels, minlength=size)[:size].view(-1, classes)
    return (table.max(1).values.sum() / len(labels)).item()


ceiling.wrong(
    'strict majority',
    'You ask for at least half. The best answer is the most frequent label, whatever its share.',
    edits={
        "right += inside.bincount().max().item()  # the best single answer: the most frequent label": "most = int(inside.bincount().max())\n"
        "        right += most if 2 * most >= len(inside) else 0",
    },
)


ceiling.wrong(
    "a percentage",
    "Your result is in percent. Asked for is the fraction itself, between 0 and 1.",
    edits={"return right / len(labels)": "return 100 * right / len(labels)"},
)


@ceiling.wrong(
    'in percent',
    "Your result is in percent, and rounded. Asked for is the fraction itself, between 0 and 1."
)
def invariant_ceiling(orbits, labels):
    if len(orbits) == 0 or orbits.shape != labels.shape:
        raise ValueError(f'needs a label per image and at least one, got {len(orbits)} orbits and {len(labels)} labels')
    right = sum(int(labels[orbits == o].bincount().max()) for o in orbits.unique())
    return round(100 * right / len(labels), 1)


ceiling.wrong(
    'maximum over the wrong axis',
    'You take the largest count over the orbits, for each label. Asked is the most frequent label of each orbit.',
    edits={
        'for orbit in orbits.unique():': 'for label in labels.unique():',
        'inside = labels[orbits == orbit]': 'inside = orbits[labels == label]',
        'inside.bincount().max().item()': 'inside.unique(return_counts=True)[1].max().item()',
    },
)
