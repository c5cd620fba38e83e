"""In which precision a comparison is computed: chosen once, by a measurement at its start, and then kept.

    choice = choose(experiment, "cpu", folder, device="cpu")
    print(choice)                # which, and why
    choice.precision.name        # part of every row's identity
    choice.measured              # in every row: computing seconds of the grid's steps in each precision, and their ratio

bfloat16 slows one model and speeds another, and a comparison has one precision: so the models of a grid are weighed by how much they are
trained, and the sum decides. Rows that are there decide before any measurement, so a grid that is finished on another day stays one
comparison; two commands that begin at once agree by a file.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from utils.experiments.declare import Experiment
from utils.experiments.models import MissingModel, build, resolve
from utils.experiments.results import RESULTS, path_of, read, select
from utils.experiments.workload import Load, loads
from utils.storage import lock
from utils.training import cross_entropy
from utils.training.precision import Precision, has_native_bfloat16, precision_for

GAIN = 1.1  # so many times as fast it has to be: less may be the machine's mood, and float32 is what figures are compared in
ROUNDS = 3  # measured steps per model and precision, after one that is not counted
TOKENS, WORDS = 32, 8_000  # of a text in the measurement, and of its vocabulary


@dataclass(frozen=True)
class Choice:
    """A precision, and what it was chosen by.

    Attributes:
        precision: with the reason in words.
        measured: {"float32": seconds, "bfloat16": seconds, "ratio": float32 / bfloat16}; {} where nothing was measured.
    """

    precision: Precision
    measured: Mapping[str, float]

    def __str__(self) -> str:
        return str(self.precision)


def choose(
    experiment: Experiment, preset: str, folder: Path | str | None = None, *, device: str | None = None
) -> Choice:
    """The precision of a comparison: that of its recorded rows, else on a CPU with native bfloat16 the faster one, else the device's own.

    Args:
        experiment, preset: the grid.
        folder: of the results.
        device: "cpu", "cuda" or "mps"; default: the best here.
    """
    own = precision_for(device)
    kind, place = own.device.type, Path(folder or RESULTS)
    owner = experiment.owner.name
    for name in dict.fromkeys((experiment.name, owner)):
        stage = {} if name == experiment.name else {"stage": "tune"}
        for row in select(read(path_of(name, place)), preset=preset, device=kind, **stage):
            why = "the recorded rows of this comparison are in it"
            return Choice(Precision(own.device, row["precision"], why), row.get("precision_measured") or {})
    if kind != "cpu" or preset == "smoke" or not has_native_bfloat16():
        return Choice(own, {})
    found = loads(experiment, preset)
    if not found:
        return Choice(own, {})
    try:
        measured = _once(place / ".claims" / f"{experiment.name}.{preset}.precision", found)
    except (
        Exception
    ) as error:  # a task of one's own, whose model takes something else: its cells may run all the same
        why = f"random images could not be run through its models ({type(error).__name__}), so nothing was measured"
        return Choice(Precision(own.device, "float32", why), {})
    ratio = measured["ratio"]
    name = "bfloat16" if ratio >= GAIN else "float32"
    why = f"bfloat16 takes {1 / ratio:.2f} times as long for this grid's steps, measured at its start"
    return Choice(Precision(own.device, name, why), measured)


def _once(path: Path, found: list[Load]) -> dict[str, float]:
    """Measures, unless another command that began at the same time has; the file goes when a run is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        lock(handle, wait=True)
        said = os.read(handle, 4096)
        try:
            return json.loads(said)
        except ValueError:  # empty, or cut off by a kill
            measured = measure(found)
            os.ftruncate(handle, 0)
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, json.dumps(measured).encode())
            return measured
    finally:
        os.close(handle)


def measure(found: list[Load]) -> dict[str, float]:
    """Computing seconds of all steps of a grid in float32 and in bfloat16, from a few steps of each model, and their ratio.

    Of computing time in one thread, so what else the machine does counts little; the two precisions take turns.
    """
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    total = dict.fromkeys(("float32", "bfloat16"), 0.0)
    try:
        for load in found:
            step = training_step(load)
            times: dict[str, list[float]] = {name: [] for name in total}
            for number in range(1 + ROUNDS):
                for name in total:
                    began = time.process_time()
                    step(Precision(torch.device("cpu"), name))
                    if number:
                        times[name].append(time.process_time() - began)
            for name, some in times.items():
                total[name] += load.steps * statistics.median(some)
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    return {name: round(value, 3) for name, value in total.items()} | {
        "ratio": round(total["float32"] / total["bfloat16"], 3)
    }


def training_step(load: Load) -> Any:
    """precision -> one forward and backward pass of a grid's model on random examples."""
    cell = load.cell
    batch = cell.get("batch", 64)
    model: nn.Module
    inputs: tuple[Tensor, ...]
    if cell.get("unit") == "sentences":
        try:
            make = resolve(cell["spec"]["where"])
        except MissingModel:
            make = resolve(cell["spec"]["stand_in"])
        model = make(vocab_size=WORDS, num_classes=2, **cell["spec"].get("args", {}))
        inputs = torch.randint(2, WORDS, (batch, TOKENS)), torch.full((batch,), TOKENS)
    else:
        model = build(cell["spec"], 10, name=cell["model"])[0]
        inputs = (torch.randn(batch, 3, load.side, load.side),)
    labels = torch.zeros(batch, dtype=torch.int64)

    def step(precision: Precision) -> None:
        with precision.forward():
            logits = model(*inputs)
        cross_entropy(logits.float(), labels).backward()
        model.zero_grad()

    return step
