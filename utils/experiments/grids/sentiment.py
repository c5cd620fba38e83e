"""sentiment: both text models on all of SST-2, and the LSTM of notebook 02 on SST-2 and on Korean film reviews (NSMC)."""

from __future__ import annotations

from typing import Any

from utils.experiments import plots
from utils.experiments.claims import Claim, Rows
from utils.experiments.declare import Cell, Experiment, Figures, Prediction
from utils.experiments.grids.text import ALL, RATES, cell_of
from utils.experiments.results import select
from utils.experiments.statistics import paired_difference

RECIPE = "notebook 02"  # one cycle, as in the notebook's cell
ONE_CYCLE: dict[str, Any] = {"arm": RECIPE, "schedule": "one cycle", "warmup": 0.2, "lr": RATES["LSTM"]}
KOREAN = {"tokens": "bigrams", "max_length": 80, "min_frequency": 5}


def cells(preset: str) -> list[Cell]:
    """Three epochs of both models; four of the LSTM by the notebook's recipe, and one on NSMC."""
    data, limit, seeds, short = (
        ("reviews", 300, (0,), True) if preset == "smoke" else ("sst2", None, (0, 1, 2), False)
    )
    found = [
        cell_of(
            model, data=data, size=ALL[data], seed=seed, arm="3 epochs", epochs=1 if short else 3, limit=limit
        )
        for seed in seeds
        for model in RATES
    ]
    found += [
        cell_of("LSTM", data=data, size=ALL[data], seed=seed, epochs=1 if short else 4, limit=limit)
        | ONE_CYCLE
        for seed in seeds
    ]
    if not short:
        found.append(
            cell_of("LSTM", data="nsmc", size=ALL["nsmc"], seed=0, epochs=1, limit=None) | ONE_CYCLE | KOREAN
        )
    return found


def _near(rows: Rows) -> list[Claim]:
    d = paired_difference(select(rows, arm="3 epochs"), "LSTM", "Transformer")
    return [Claim("LSTM minus Transformer", d, above=0)]


def figures(rows: Rows) -> Figures:
    """A bar per model after three epochs, with the interval over seeds."""
    three = select(rows, arm="3 epochs")
    return {
        "accuracy": plots.bars(three, by="model"),
        "training": plots.bars(three, by="model", value="train_accuracy"),
    }


EXPERIMENT = Experiment(
    "How far do an LSTM and a Transformer encoder get on all of SST-2, and the LSTM on Korean reviews?",
    cells,
    figures,
    predictions=[
        Prediction(
            "(Written after the cpu runs, which an older command had recorded.) With all sentences the LSTM is ahead of the encoder.",
            judged_by=_near,
        ),
    ],
    presets=("smoke", "cpu"),
)
