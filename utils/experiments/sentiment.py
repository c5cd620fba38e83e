"""Trains a sentiment classifier on a text data set, a run per seed, and records each finished run as one JSON line.

    python -m utils.experiments.sentiment --model solutions.lstm:LSTMClassifier --data sst2 --seeds 0 1 2
    python -m utils.experiments.sentiment --model solutions.lstm:LSTMClassifier --data nsmc --unit bigrams --epochs 2

The model comes by name: `module:attribute`, a class or function that is called with `vocab_size`, `num_classes` and whatever
`--model-args` holds, and whose result maps tokens (B, N) and lengths (B,) to logits (B, classes). A run that is in the file
already is not repeated, so a killed command goes on where it stopped. The accuracy is that of the last epoch, on a split that
no choice was made with: the test split, or SST-2's validation split (its test labels were never published).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.budget import describe_machine
from utils.data import TextData, TextSplit, load_text
from utils.data.text import UNITS, Batches, Example, tokenize
from utils.paths import DATA
from utils.stand_ins.text import Vocabulary, collate, evaluate, train_epoch
from utils.training import count_parameters, default_device, seed_everything

RESULTS = DATA / "results"


@dataclass(frozen=True)
class Settings:
    """All that decides a run, beside the seed.

    Attributes:
        model: "module:attribute".
        data: a name that `load_text` knows.
        model_args: further arguments of the model.
        unit: of `utils.data.text.tokenize`.
        min_frequency: of the vocabulary.
        max_length: longer texts are cut to this many tokens.
        limit: number of training texts (a class-balanced subset), or None for all.
        epochs, batch_size, lr, weight_decay: of the training; lr is the peak of a one-cycle schedule.
        warmup: fraction of the steps before the peak.
        word_dropout: of `utils.data.text.Batches`.
    """

    model: str
    data: str
    model_args: dict[str, Any] = field(default_factory=dict)
    unit: str = "words"
    min_frequency: int = 2
    max_length: int = 256
    limit: int | None = None
    epochs: int = 4
    batch_size: int = 128
    lr: float = 3e-3
    weight_decay: float = 0.02
    warmup: float = 0.2
    word_dropout: float = 0.1


def resolve(name: str) -> Callable[..., nn.Module]:
    """The object behind "module:attribute".

    Raises:
        SystemExit: if it cannot be found, in a sentence.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise SystemExit(f"--model {name!r} should be module:attribute: {error}") from None


def prepare(data: TextData, settings: Settings) -> tuple[list[Example], list[Example], int, str]:
    """Training examples, held-out examples, vocabulary size, and the name of the held-out split."""
    split = "test" if "test" in data.splits else "validation"
    words = [tokenize(text, settings.unit)[: settings.max_length] for text in data.train.texts]
    vocabulary = Vocabulary.build(words, settings.min_frequency)
    train = list(zip(map(vocabulary.encode, words), data.train.labels, strict=True))
    held = data.test if split == "test" else data.validation
    other = [vocabulary.encode(tokenize(text, settings.unit)[: settings.max_length]) for text in held.texts]
    return train, list(zip(other, held.labels, strict=True)), len(vocabulary), split


def run(
    settings: Settings,
    seed: int,
    data: TextData | None = None,
    say: Callable[[str], None] = print,
    device: torch.device | str | None = None,
) -> dict[str, Any]:
    """One training run.

    Args:
        settings: what to train, and how.
        seed: of weights, batches and dropout.
        data: loaded already; default: by `settings.data`.
        say: gets a line per epoch.
        device: default: the best there is.

    Returns:
        accuracies, losses, times and sizes.
    """
    data = data or load_text(settings.data, limit=settings.limit)
    train, held, size, split = prepare(data, settings)
    device = torch.device(device or default_device())
    seed_everything(seed)
    model = resolve(settings.model)(
        vocab_size=size, num_classes=len(data.label_names), **settings.model_args
    ).to(device)
    batches = Batches(
        train,
        settings.batch_size,
        collate,
        shuffle=True,
        word_dropout=settings.word_dropout,
        seed=seed,
        device=device,
    )
    test = Batches(held, 256, collate, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    steps = max(
        settings.epochs * len(batches), 10
    )  # with fewer, the schedule's own arithmetic divides by zero
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=steps, pct_start=settings.warmup
    )
    history, seconds = [], 0.0
    for epoch in range(settings.epochs):
        began = time.perf_counter()
        train_loss = train_epoch(model, batches, optimizer, scheduler)
        took = time.perf_counter() - began
        seconds += took
        loss, accuracy = evaluate(model, test)
        line = {"train_loss": train_loss, "loss": loss, "accuracy": accuracy, "seconds": took}
        history.append({key: round(value, 5) for key, value in line.items()})
        say(f"seed {seed}, epoch {epoch + 1}: {split} accuracy {accuracy:.4f} ({took:.0f} s)")
    return {
        "accuracy": history[-1]["accuracy"],
        "split": split,
        "seconds": round(seconds, 2),
        "history": history,
        "parameters": count_parameters(model),
        "vocabulary": size,
        "train_examples": len(train),
        "held_out_examples": len(held),
        "source": data.source,
        "note": data.note,
        "data_sha256": _fingerprint(data),
    }


def _fingerprint(data: TextData) -> str:
    digest = hashlib.sha256()
    for split in data.splits.values():
        assert isinstance(split, TextSplit)  # a TextData has no other splits
        for text, label in zip(split.texts, split.labels, strict=True):
            digest.update(f"{label}\t{text}\n".encode())
    return digest.hexdigest()[:16]


def read(path: Path) -> list[dict[str, Any]]:
    """The runs recorded in a file; a last line that was cut off is left out."""
    runs = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            runs.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return runs


def append(path: Path, record: dict[str, Any]) -> None:
    """Adds one line in a single write, so that two commands can share a file. A cut-off last line is closed first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    line = ("\n" if cut else "") + json.dumps(record, ensure_ascii=False) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m utils.experiments.sentiment", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", required=True, help="module:attribute")
    parser.add_argument("--data", required=True)
    parser.add_argument(
        "--model-args", type=json.loads, default={}, help='JSON, such as \'{"pooling": "mean"}\''
    )
    parser.add_argument("--unit", choices=UNITS, default=Settings.unit)
    parser.add_argument("--limit", type=int, default=None, help="number of training texts")
    for name in (
        "min_frequency",
        "max_length",
        "epochs",
        "batch_size",
        "lr",
        "weight_decay",
        "warmup",
        "word_dropout",
    ):
        value = getattr(Settings, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=None, help="default: data/results/<data>.jsonl")
    parser.add_argument("--device", default=None)
    options = vars(parser.parse_args(arguments))
    seeds, out, device = options.pop("seeds"), options.pop("out"), options.pop("device")
    settings = Settings(**options)
    data = load_text(settings.data, limit=settings.limit)
    if data.stands_in_for:
        print(f"{settings.data} is not here; the figures below are of {data.name}.")
    out = out or RESULTS / f"{data.name}.jsonl"
    for seed in seeds:
        key = {**asdict(settings), "data": data.name, "seed": seed}
        if any(all(done.get(name) == value for name, value in key.items()) for done in read(out)):
            print(f"seed {seed}: in {out.name} already")
            continue
        result = run(settings, seed, data, device=device)
        command = f"python -m utils.experiments.sentiment {shlex.join(arguments)}"
        when = time.strftime("%Y-%m-%d", time.gmtime())
        record = {"experiment": "sentiment", **key, **result, "machine": describe_machine(), "date": when}
        append(out, record | {"command": command})
        print(
            f"seed {seed}: {result['split']} accuracy {result['accuracy']:.4f} in {result['seconds']:.0f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
