"""Sentiment classifiers on sentences: nested subsets, common seeds, equal batches, trained by `utils.training.fit`.

All models of one seed see the same examples in the same batches; a smaller part of the training set lies inside a larger one. The
accuracy is that of the last step, on a split that no choice was made with: the test split, or SST-2's validation split (its test
labels were never published).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from utils.data import TextData, TextSplit
from utils.data.text import Batches, Example, tokenize
from utils.stand_ins.text import Vocabulary, collate
from utils.training import Precision, Steps, accuracy, count_parameters, fit, make_optimizer, seed_everything

Probe = Callable[[nn.Module, Callable[[Sequence[str]], list[int]], list[Example]], dict[str, Any]]

#: what a cell may say otherwise
DEFAULTS: dict[str, Any] = {
    "tokens": "words",  # unit of `utils.data.text.tokenize`
    "min_frequency": 2,  # of the vocabulary
    "max_length": 256,  # longer texts are cut to so many tokens
    "batch": 128,
    "weight_decay": 0.02,
    "word_dropout": 0.1,
    "schedule": "cosine",  # or "one cycle", torch's, with AdamW that decays everything
    "warmup": 0.1,
}


class Inputs:
    """Batches of (tokens, lengths, labels) as ((tokens, lengths), labels), which is what `fit` takes."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator:
        return (((tokens, lengths), labels) for tokens, lengths, labels in self.batches)


def part(examples: list[Example], size: int, seed: int) -> list[Example]:
    """`size` examples (0 = all) in the order of a seed; smaller parts lie inside larger ones."""
    if not size or size >= len(examples):
        return examples
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    return [examples[i] for i in order[:size].tolist()]


def prepare(data: TextData, how: Mapping[str, Any]) -> tuple[list[Example], list[Example], Vocabulary, str]:
    """Training examples, held-out examples, the vocabulary, and the name of the held-out split."""

    def cut(text: str) -> list[str]:
        return tokenize(text, how["tokens"])[: how["max_length"]]

    split = "test" if "test" in data.splits else "validation"
    words = [cut(text) for text in data.train.texts]
    vocabulary = Vocabulary.build(words, how["min_frequency"])
    train = list(zip(map(vocabulary.encode, words), data.train.labels, strict=True))
    held = data.test if split == "test" else data.validation
    other = [vocabulary.encode(cut(text)) for text in held.texts]
    return train, list(zip(other, held.labels, strict=True)), vocabulary, split


def train_text(
    make: Any,
    data: TextData,
    cell: Mapping[str, Any],
    precision: Precision,
    probe: Probe | None = None,
) -> dict[str, Any]:
    """One training on sentences.

    Args:
        make: called with `vocab_size`, `num_classes` and the cell's model arguments; the model maps (tokens (B, N), lengths (B,)) to
            logits (B, classes).
        data: loaded already.
        cell: `size` (0 = all), `seed`, `lr`, `steps` or `epochs`, and what differs from `DEFAULTS`.
        precision: where, and in which numbers.
        probe: asked of the trained model: (model, the vocabulary's `encode`, held-out examples) -> more columns.

    Returns:
        accuracies, losses, times and sizes, for the row.
    """
    how = DEFAULTS | dict(cell)
    whole, test, vocabulary, split = prepare(data, how)
    examples, seed = part(whole, how["size"], how["seed"]), how["seed"]
    seed_everything(seed)
    arguments = (how.get("spec") or {}).get("args", {})
    model = make(vocab_size=len(vocabulary), num_classes=len(data.label_names), **arguments).to(
        precision.device
    )
    batches = Batches(
        examples, how["batch"], collate, shuffle=True, word_dropout=how["word_dropout"], seed=seed
    )
    held = Inputs(Batches(test, 256, collate))
    epochs = how.get("epochs") or 1
    steps = how.get("steps") or epochs * len(batches)
    plan: Any = Inputs(batches)
    if how.get("steps"):
        endless = itertools.chain.from_iterable(itertools.repeat(plan))
        plan = Steps(steps, lambda step: next(endless))
    schedule: Any = how["schedule"]
    optimizer: torch.optim.Optimizer = make_optimizer(model, how["lr"], how["weight_decay"])
    if schedule == "one cycle":
        optimizer = torch.optim.AdamW(model.parameters(), lr=how["lr"], weight_decay=how["weight_decay"])
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, how["lr"], total_steps=max(steps, 10), pct_start=how["warmup"]
        )
    history = fit(
        model,
        plan,
        epochs=epochs,
        lr=how["lr"],
        warmup=how["warmup"],
        schedule=schedule,
        optimizer=optimizer,
        precision=precision,
        device=precision.device,
        seed=None,
        progress=False,
        validation=held,
    )
    if history.stopped:  # the stop button of a notebook: half a training is no row
        raise KeyboardInterrupt
    on_training = Inputs(Batches(examples[:2000], 256, collate))
    seconds = sum(history.seconds)
    return {
        "test_accuracy": round(history.validation_accuracy[-1], 4),
        "train_accuracy": round(accuracy(model, on_training), 4),
        "parameters": count_parameters(model),
        "vocabulary": len(vocabulary),
        "train_seconds": round(seconds, 1),
        "seconds_per_epoch": round(seconds * len(batches) / steps, 1),
        "steps_taken": steps,
        "curve": {
            "step": [steps * (n + 1) // epochs for n in range(epochs)],
            "train_loss": [round(loss, 4) for loss in history.train_loss],
            "test_accuracy": [round(value, 4) for value in history.validation_accuracy],
        },
        "split": split,
        "test_images": len(test),
        "data_used": data.name,
        "data_source": data.source,
        "data_note": data.note,
        "data_fingerprint": fingerprint(data),
    } | (probe(model, vocabulary.encode, test) if probe else {})


def fingerprint(data: TextData) -> str:
    """16 hexadecimal digits that change when any text or label does."""
    digest = hashlib.sha256()
    for split in data.splits.values():
        assert isinstance(split, TextSplit)  # a TextData has no other splits
        for text, label in zip(split.texts, split.labels, strict=True):
            digest.update(f"{label}\t{text}\n".encode())
    return digest.hexdigest()[:16]
