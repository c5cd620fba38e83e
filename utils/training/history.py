"""What a training run leaves: numbers per epoch, a figure, a sentence."""

import math
from dataclasses import dataclass, field

import numpy as np

from utils.budget import current_budget, describe_machine


@dataclass
class History:
    """What happened in each epoch. Losses in nats, accuracies from 0 to 1, times in seconds.

    The training values are running means *during* the epoch, in train mode (with dropout); the validation
    values are measured after it. `seconds` is the training part of each epoch, `total_seconds` includes
    validation.
    """

    epochs: int = 0
    steps: int = 0
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    total_seconds: float = 0.0
    stopped: str = ""
    precision: str = "float32"

    def __len__(self) -> int:
        return len(self.train_loss)

    def __str__(self) -> str:
        n = len(self)
        text = f"Trained {n} epoch{'s' * (n != 1)} ({self.steps:,} steps) in {self.total_seconds:.1f} s"
        found = [
            f"{name} {values[-1]:.3f}"
            for name, values in (
                ("training loss", self.train_loss),
                ("training accuracy", self.train_accuracy),
                ("validation accuracy", self.validation_accuracy),
            )
            if values and not math.isnan(values[-1])
        ]
        stopped = f" ({self.stopped})" if self.stopped else ""
        return f"{text}{stopped}: {', '.join(found)}. Machine: {describe_machine()}; {self.precision}; budget: {current_budget()}."

    def summary(self) -> None:
        """Prints one sentence: epochs, steps, time, last loss and accuracies, machine."""
        print(self)

    def plot(self, title: str | None = None):
        """A figure with loss and (where there is one) accuracy per epoch; show it with `plotting.show`."""
        from utils import plotting

        pairs = [("loss (nats)", self.train_loss, self.validation_loss)]
        if any(not math.isnan(a) for a in self.train_accuracy):
            pairs.append(("accuracy", self.train_accuracy, self.validation_accuracy))
        fig, axes = plotting.figure(1, len(pairs), height=2.7, width=7.2 if len(pairs) > 1 else 4.4)
        for ax, (name, train, validation) in zip(np.ravel(axes), pairs, strict=True):
            series = {"training": train} | ({"validation": validation} if validation else {})
            x = np.arange(1, len(self) + 1)
            plotting.lines(ax, x, series, xlabel="epoch", ylabel=name)
        if title:
            fig.suptitle(title, x=0.02, ha="left", fontweight="bold", fontsize=10.5)
        return fig

    def alt(self) -> str:
        """Alt text for `plot()`, from the numbers themselves."""
        parts = []
        for name, values in (
            ("training loss", self.train_loss),
            ("validation loss", self.validation_loss),
            ("training accuracy", self.train_accuracy),
            ("validation accuracy", self.validation_accuracy),
        ):
            if values and not math.isnan(values[-1]):
                parts.append(f"{name} from {values[0]:.2f} to {values[-1]:.2f}")
        return f"Over {len(self)} epochs: {'; '.join(parts)}."
