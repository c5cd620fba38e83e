"""LSTM against Transformer encoder, recorded: the same examples, batches and steps, several seeds and training-set sizes.

    python -m utils.experiments.comparison --model LSTM=solutions.lstm:LSTMClassifier \\
        --model Transformer=solutions.sentiment:TransformerClassifier --seeds 0 1 2 --epochs 4 --out sentiment_full

One JSON line per training in `data/results/<out>.jsonl`, written when the training is done; a killed run goes on where it stopped.
All models of one seed see the same examples in the same batches; a smaller part of the training set lies inside a larger one.
"""

from __future__ import annotations

import argparse
import itertools
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from utils.budget import describe_machine
from utils.data import load_text
from utils.data.text import Batches, Example
from utils.experiments.sentiment import RESULTS, Settings, append, prepare, read, resolve
from utils.stand_ins.text import collate, evaluate, train_epoch
from utils.training import count_parameters, learning_rate_factor, make_optimizer, seed_everything

# The same for every size. The LSTM's were chosen on a part held out from the training set; for the Transformer only two
# learning rates were tried there (1e-3 and 2e-3, one run each), so it may be under-tuned.
OPTIMIZER = {"LSTM": {"lr": 3e-3, "weight_decay": 0.02}, "Transformer": {"lr": 1e-3, "weight_decay": 0.02}}
WARMUP = 0.1


def part(examples: list[Example], size: int, seed: int) -> list[Example]:
    """`size` examples (0 = all) in the order of a seed; smaller parts lie inside larger ones."""
    if not size or size >= len(examples):
        return examples
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    return [examples[i] for i in order[:size].tolist()]


def train_one(
    name: str,
    build: Callable[[], nn.Module],
    examples: list[Example],
    test: list[Example],
    seed: int,
    *,
    epochs: int = 0,
    steps: int = 0,
) -> dict[str, Any]:
    """One training, for a number of epochs or, if `steps` is not 0, of steps.

    Returns:
        accuracies (0 to 1; on the test examples and on 2,000 training examples), seconds, parameters, steps.
    """
    seed_everything(seed)
    model = build()
    settings = Settings(model=name, data="")
    batches = Batches(
        examples, settings.batch_size, collate, shuffle=True, word_dropout=settings.word_dropout, seed=seed
    )
    total = steps or epochs * len(batches)
    optimizer = make_optimizer(model, **OPTIMIZER[name])
    factor = partial(learning_rate_factor, total=total, name="cosine", warmup=WARMUP)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(min(step, total - 1)))
    endless = itertools.chain.from_iterable(itertools.repeat(batches))
    began = time.perf_counter()
    loss = train_epoch(model, itertools.islice(endless, total), optimizer, scheduler)
    seconds = time.perf_counter() - began
    return {
        "accuracy": round(evaluate(model, Batches(test, 256, collate))[1], 4),
        "train_accuracy": round(evaluate(model, Batches(examples[:2000], 256, collate))[1], 4),
        "train_loss": round(loss, 4),
        "parameters": count_parameters(model),
        "seconds": round(seconds, 1),
        "seconds_per_epoch": round(seconds * len(batches) / total, 1),
        "steps": total,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m utils.experiments.comparison", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--model", action="append", required=True, help="NAME=module:attribute, NAME of LSTM, Transformer"
    )
    parser.add_argument("--data", default="sst2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[0], help="training texts; 0 = all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=0, help="train for so many steps instead of epochs")
    parser.add_argument(
        "--limit", type=int, default=None, help="use only so many texts of the data set (for tests)"
    )
    parser.add_argument("--out", required=True, help="name of the file in data/results, without ending")
    parser.add_argument("--folder", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    data = load_text(options.data, limit=options.limit)
    train, test, vocabulary, split = prepare(data, Settings(model="", data=options.data))
    path = options.folder / f"{options.out}.jsonl"
    grid = list(itertools.product(options.seeds, options.sizes, options.model))
    for number, (seed, size, model) in enumerate(grid, start=1):
        name, _, where = model.partition("=")
        if name not in OPTIMIZER:
            parser.error(f"--model {model}: the name should be one of {', '.join(OPTIMIZER)}")
        key = {"model": name, "data": data.name, "size": size or len(train), "seed": seed}
        if any(all(row.get(k) == v for k, v in key.items()) for row in read(path)):
            continue
        build = partial(resolve(where), vocab_size=vocabulary, num_classes=len(data.label_names))
        result = train_one(
            name, build, part(train, size, seed), test, seed, epochs=options.epochs, steps=options.steps
        )
        how = {
            "split": split,
            "epochs": None if options.steps else options.epochs,
            **OPTIMIZER[name],
            "source": data.source,
        }
        made = {
            "command": f"python -m utils.experiments.comparison {shlex.join(arguments)}",
            "machine": describe_machine(),
            "torch": torch.__version__,
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
        }
        append(path, key | result | how | made)
        print(
            f"[{number}/{len(grid)}] {name}, {key['size']:,} texts, seed {seed}: {result['accuracy']:.1%} in {result['seconds']:.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
