"""Wrong and alternative right answers: a fair comparison of models."""

from __future__ import annotations

import math

import torch

from utils.grading.bank import Bank

compare_bank = Bank("compare_models")

SEED = "                torch.manual_seed(seed)\n"

compare_bank.wrong(
    "never seeded",
    "You never set the random state, so a second run of your experiment gives other numbers. Seed before every model is built.",
    edits={SEED: ""},
)

compare_bank.wrong(
    "seeded once per seed",
    "You set the random state once per seed, not before every training: each training uses up random numbers, so the "
    "models that come later begin elsewhere.",
    edits={
        SEED: "",
        "examples = shuffled(seed)": "examples = shuffled(seed)\n        torch.manual_seed(seed)",
    },
)

compare_bank.wrong(
    "seeded after the model is built",
    "You set the random state after the model is built. Its initial weights are drawn while it is built: seed first.",
    edits={
        SEED + "                model = build()\n": "                model = build()\n" + SEED,
    },
)

compare_bank.wrong(
    "one seed for all",
    "Every one of your trainings begins from one and the same random state. Set it to the seed of the loop, so that "
    "another seed also draws other initial weights.",
    edits={SEED: SEED.replace("seed)", "0)")},
)

compare_bank.wrong(
    "other examples for every model",
    "Your models are trained on different examples of the same number. Draw the part once and give it to all of them, else "
    "you compare data, not models.",
    edits={
        "model = build()": "model = build()\n                part = shuffled(seed + len(name))[:size]",
    },
)

PART = "part = examples[:size]"

compare_bank.wrong(
    "parts not nested",
    "Your parts are drawn anew for every size. Take them from one order, so that a larger part contains the smaller ones.",
    edits={PART: "part = shuffled(seed + size)[:size]"},
)

compare_bank.wrong(
    "not shuffled",
    "You take the first examples of the training set as it is, the same ones for every seed. Take them from `shuffled(seed)`: "
    "files are often sorted.",
    edits={"shuffled(seed)\n        for": "list(train)\n        for"},
)

compare_bank.wrong(
    "from the end",
    "You take the last examples of the order. The part of size n is the first n.",
    edits={PART: "part = examples[-size:]"},
)

compare_bank.wrong(
    "one example too many",
    "Your parts are one example too large: [:n] already gives n.",
    edits={PART: "part = examples[: size + 1]"},
)

compare_bank.wrong(
    "size ignored",
    "You train on the whole training set whatever the size. Cut it to the first `size` examples.",
    edits={PART: "part = examples"},
)

compare_bank.wrong(
    "trained on the test set as well",
    "You put the test examples into what the model is trained on. Then the test says how well it remembers, not how well it "
    "reads.",
    edits={"fit(model, part, steps)": "fit(model, [*part, *test], steps)"},
)

compare_bank.wrong(
    "trained on the test set alone",
    "You train on the test set. Train on the part, and keep the test set for `score`.",
    edits={"fit(model, part, steps)": "fit(model, test, steps)"},
)

compare_bank.wrong(
    "one model for all sizes",
    "You build each model once and go on training it, size after size. It remembers the parts before: build a fresh one for "
    "every training.",
    edits={
        "rows = []\n": "rows = []\n    torch.manual_seed(seeds[0])\n    built = {name: build() for name, build in factories.items()}\n",
        "model = build()": "model = built[name]",
    },
)

compare_bank.wrong(
    "steps grow with the size",
    "Your number of steps grows with the size, so the small parts are trained less. Equal budget means the same steps for all.",
    edits={"fit(model, part, steps)": "fit(model, part, steps * size // max(sizes))"},
)

compare_bank.wrong(
    "frozen parameters counted",
    "You count frozen parameters as well. Only those with `requires_grad` are trained.",
    edits={" if p.requires_grad)": ")"},
)

compare_bank.wrong(
    "tensors counted",
    "You count parameter tensors, not the numbers in them. Each tensor has `numel()` numbers.",
    edits={"sum(p.numel() for p": "sum(1 for p"},
)

compare_bank.wrong(
    "training accuracy on the whole training set",
    "Your training accuracy is measured on the whole training set. Measure it on the part that the model was trained on.",
    edits={"score(model, part)": "score(model, train)"},
)

compare_bank.wrong(
    "training accuracy twice",
    "Your test accuracy is measured on the training part. Measure it on the test set.",
    edits={'row["test"] = score(model, test)': 'row["test"] = score(model, part)'},
)

compare_bank.wrong(
    "accuracies swapped",
    'Your two accuracies are swapped: "train" belongs to the part, "test" to the test set.',
    edits={
        "score(model, part)": "score(model, test)",
        'row["test"] = score(model, test)': 'row["test"] = score(model, part)',
    },
)

compare_bank.wrong(
    "scored before training",
    "You score the model before it is trained, so you see what an untrained one knows.",
    edits={
        '                row["seconds"] = fit(model, part, steps)\n': "",
        "rows.append(row)": 'row["seconds"] = fit(model, part, steps)\n                rows.append(row)',
    },
)

compare_bank.wrong(
    "only the last seed",
    "Your table keeps the last seed only: it is emptied at every turn of the outer loop. Begin it once, before the loops.",
    edits={
        "    rows = []\n": "",
        "examples = shuffled(seed)": "examples = shuffled(seed)\n        rows = []",
    },
)

compare_bank.wrong(
    "returns after the first seed",
    "Your function returns within the loop over the seeds, after the first of them. Mind the indentation of `return`.",
    edits={"    return rows": "        return rows"},
)

compare_bank.wrong(
    "only the last model",
    "Your table has one row per size: the row is added outside the loop over the models, so only the last model's is kept.",
    edits={"                rows.append(row)": "            rows.append(row)"},
)


@compare_bank.right("itertools.product, sizes outside")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):
    import itertools

    table = []
    for size, seed, name in itertools.product(sizes, seeds, factories):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        part = [train[int(i)] for i in order[:size]]
        torch.manual_seed(seed)
        model = factories[name]()
        table.append(
            {
                "size": size,
                "seed": seed,
                "model": name,
                "seconds": fit(model, part, steps),
                "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                "test": score(model, test),
                "train": score(model, part),
            }
        )
    return table


@compare_bank.right("models outside, a helper for one training")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):
    def shuffled(seed):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        return [train[i] for i in order.tolist()]

    def one(name, seed, size):
        part = shuffled(seed)[:size]
        torch.manual_seed(seed)
        model = factories[name]()
        row = dict(model=name, seed=seed, size=size, seconds=fit(model, part, steps))
        row["parameters"] = sum(math.prod(p.shape) for p in model.parameters() if p.requires_grad)
        row["train"], row["test"] = score(model, part), score(model, test)
        return row

    return [one(name, seed, size) for name in factories for seed in seeds for size in sizes]


@compare_bank.right("sizes sorted, extra column, tensors in the rows")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):
    rows = []
    for seed in seeds:
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
        for size in sorted(sizes):
            chosen = [train[i] for i in sorted(order[:size])]
            for name in factories:
                torch.manual_seed(seed)
                model = factories[name]()
                count = torch.tensor([p.numel() for p in model.parameters() if p.requires_grad]).sum()
                seconds = fit(model, chosen, steps)
                with torch.no_grad():
                    rows.append(
                        {
                            "model": name,
                            "seed": seed,
                            "size": len(chosen),
                            "parameters": count,
                            "seconds": seconds,
                            "train": score(model, chosen),
                            "test": score(model, test),
                            "steps": steps,
                        }
                    )
    return rows


@compare_bank.wrong(
    "one row per model",
    "You keep one row per model, so later sizes and seeds overwrite earlier ones. There is one row per seed, size and model.",
)
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):

    def shuffled(seed):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        return [train[i] for i in order.tolist()]

    rows = {}
    for seed in seeds:
        examples = shuffled(seed)
        for size in sizes:
            part = examples[:size]
            for name, build in factories.items():
                torch.manual_seed(seed)
                model = build()
                seconds = fit(model, part, steps)
                rows[name] = {
                    "model": name,
                    "seed": seed,
                    "size": size,
                    "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                    "seconds": seconds,
                    "train": score(model, part),
                    "test": score(model, test),
                }
    return list(rows.values())


@compare_bank.right("three loops")
def compare_models(factories, fit, score, train, test, sizes, seeds, steps):

    def shuffled(seed):
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
        return [train[i] for i in order.tolist()]

    rows = []
    for seed in seeds:
        examples = shuffled(seed)
        for size in sizes:
            for name, build in factories.items():
                part = examples[:size]
                torch.manual_seed(seed)
                model = build()
                seconds = fit(model, part, steps)
                rows.append(
                    {
                        "model": name,
                        "seed": seed,
                        "size": size,
                        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
                        "seconds": seconds,
                        "train": score(model, part),
                        "test": score(model, test),
                    }
                )
    return rows


compare_bank.right(
    "indices in place of slices",
    edits={
        "part = examples[:size]": "part = [examples[i] for i in range(size)]",
        "for name, build in factories.items():": "for name in factories:",
        "model = build()": "model = factories[name]()",
    },
)

compare_bank.wrong(
    "random state put back",
    "You put PyTorch's random state back after a model is built, so `fit` begins from whatever came before. Set the seed before the model is built, "
    "and leave the state alone.",
    edits={
        "torch.manual_seed(seed)\n                model = build()": "before = torch.get_rng_state()\n"
        "                torch.manual_seed(seed)\n                model = build()\n                torch.set_rng_state(before)"
    },
)


compare_bank.wrong(
    'test set cut to the size of the part',
    'You cut the test examples to `size`, too. All models are measured on the same test examples: all of them.',
    edits={
        'score(model, test)': 'score(model, test[:size])',
    },
)
