"""What the tests of the runner share: a toy experiment whose cells do what they are told."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from utils.experiments.declare import Experiment
from utils.experiments.image_data import MissingData
from utils.experiments.results import load
from utils.experiments.runner import Runner

ME = "tests.experiment_toys"


def cell(number, **more):
    fixed = {"experiment": "toy", "preset": "smoke", "stage": "main", "task": f"{ME}:work", "lr": 0.1}
    return (
        fixed
        | {"model": "toy", "size": number, "seed": 0, "steps": 1, "batch": 1, "seconds_of_work": 0.0}
        | more
    )


def work(cell, context):
    """A cell that notes when it starts, and fails as it is told."""
    log = os.environ.get("TOY_LOG")
    if log:
        with open(log, "a") as file:
            file.write(f"start {cell['size']}\n")
    kind = cell.get("kind")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    first_time = kind == "once" and not Path(os.environ["TOY_ONCE"]).exists()
    if kind == "memory" or first_time:
        if first_time:
            Path(os.environ["TOY_ONCE"]).touch()
        raise MemoryError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    if kind == "missing":
        raise MissingData("the data set 'x' is not here")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt
    time.sleep(cell["seconds_of_work"])
    if cell["stage"] == "tune":
        return {"validation_accuracy": 1 - abs(cell["lr"] - 0.01)}
    found = {
        "test_accuracy": 0.5,
        "train_accuracy": 0.6,
        "data_fingerprint": os.environ.get("TOY_DATA", "d0"),
    }
    extra = {
        "tensor": {"weights": torch.ones(2)},
        "nan": {"loss": float("nan")},
        "separator": {"text": "a\u2028b"},
    }
    return found | extra.get(kind, {})


def experiment(cells, tuning=None, **more):
    return Experiment("a question", lambda preset: cells, lambda rows: {}, tuning=tuning, name="toy", **more)


def tune(lr, model="toy", **more):
    return cell(0, stage="tune", lr=lr, seed=9, model=model, **more)


RATES = (0.1, 0.01, 0.001)
MANY = experiment([cell(n, seconds_of_work=0.05) for n in range(12)])
SLOW = experiment([cell(n, seconds_of_work=0.4) for n in range(40)])
TUNED = experiment(
    [cell(n, lr=None, model=model) for n in (1, 2) for model in ("a", "b")],
    lambda preset: [tune(lr, model) for model in ("a", "b") for lr in RATES],
)


def run(what, folder, **how):
    said: list[str] = []
    how = {"device": "cpu", "command": "python -m x"} | how
    return Runner(what, "smoke", folder=folder, say=said.append, **how).run(), said


def sizes(folder):
    return sorted(row["size"] for row in load("toy", folder))
