"""What is seen while a model trains: a line before, a bar with the time left, a line per epoch, a live plot."""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from utils.budget import current_budget
from utils.training.history import History
from utils.training.stopping import UntilStopped, stop_button
from utils.words import say

T = TypeVar("T")
LONG = 10  # seconds: a longer training is announced
REDRAW = 0.5  # seconds between two looks at the loss: reading it waits for the GPU
FIRST = 3  # steps after which its time can be told; the first one is no measure
_row: list["InARow"] = []  # what `in_a_row` has begun


def in_words(seconds: float) -> str:
    """ "45 s" or "3 min"; two digits are all that a guess is worth."""
    if seconds < 100:
        return f"{max(5 * round(seconds / 5), 5)} s"
    return f"{round(seconds / 60)} min"


def somebody_looks_on() -> bool:
    """Whether a bar has a screen to be drawn on, and is wanted there."""
    from utils.plotting.display import in_jupyter

    quiet = os.environ.get("COURSE_PROGRESS") == "plain" or "PYTEST_CURRENT_TEST" in os.environ
    return not quiet and (in_jupyter() or sys.stdout.isatty()) and current_budget().name != "smoke"


def new_bar(total: int, done: int = 0):
    """A bar of tqdm's where somebody looks on, else None."""
    if not somebody_looks_on():
        return None
    from tqdm.auto import tqdm

    return tqdm(
        total=total, initial=done, unit="step", file=sys.stdout, dynamic_ncols=True,
        bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
    )  # fmt: skip


def print_above(bar, text: str) -> None:
    """A line above the bar, which would else be torn in two; without a bar (None) just the line."""
    print(text, flush=True) if bar is None else bar.write(text)


class InARow:
    """The one bar of many trainings: which of them runs, its loss and accuracy, and the time left of all.

    Args:
        show: False shows no bar.
    """

    def __init__(self, show: bool) -> None:
        self.bar = new_bar(1) if show else None
        self.begin("", None, 0.0)

    def begin(self, name: str, rest: float | None, times: float) -> None:
        """The next training.

        Args:
            name: of this one, such as "2/6 CNN, 500 images".
            rest: seconds of those behind it, None if nobody knows.
            times: how many times as long as this one they take together, for as long as `rest` is None.
        """
        self.name, self.rest, self.times = name, rest, times

    def say(self, text: str) -> None:
        """Prints a line, above the bar where there is one."""
        print_above(self.bar, text)


@contextmanager
def in_a_row(*, show: bool = True) -> Iterator[InARow]:
    """Within the block all trainings of `fit` share a bar, and none of them speaks for itself."""
    row = InARow(show)
    _row.append(row)
    try:
        yield row
    finally:
        _row.remove(row)
        if row.bar is not None:
            row.bar.close()


class Progress:
    """A bar where somebody looks on, else a line per epoch (twenty lines at most); within `in_a_row` the bar of the row.

    Args:
        history: filled by the loop.
        total: steps of all epochs.
        show: False shows nothing; "bar" the bar or nothing.
        live: one plot that is redrawn after each epoch.
        max_seconds: when the loop stops at the latest.
        name: what stands in front of the bar.
    """

    def __init__(
        self,
        history: History,
        total: int,
        *,
        show: bool | str,
        live: bool = False,
        max_seconds: float | None = None,
        name: str = "",
    ):
        from utils.plotting.display import in_jupyter

        self.history, self.handle, self.live, self.name = history, None, live and in_jupyter(), name
        self.total, self.max_seconds = total, max_seconds
        self.began, self.first = time.perf_counter(), (history.steps, 0.0)
        self.row = _row[-1] if _row else None
        self.last = 0.0
        if self.row is not None:
            self.bar, self.lines, self.name = self.row.bar, False, self.row.name
            if self.bar is not None:
                self.bar.reset(total)
            return
        if show and len(history):
            print(
                say(
                    "Going on from the checkpoint: {done} of {epochs} epochs are done.",
                    done=len(history),
                    epochs=history.epochs,
                )
            )
        self.bar = new_bar(total, history.steps) if show else None
        self.lines = self.bar is None and bool(show) and show != "bar"

    def left(self, now: float) -> float:
        """Seconds until the end, by the steps so far, and not beyond `max_seconds`; in a row until the end of all."""
        steps, since = self.first
        rate = (now - since) / max(self.history.steps - steps, 1)
        left = rate * (self.total - self.history.steps)
        if self.max_seconds is not None:
            left = min(left, max(self.began + self.max_seconds - now, 0))
        if self.row is not None:
            whole = now - self.began + left
            left += self.row.times * whole if self.row.rest is None else self.row.rest
        return left

    def after_step(self, epoch: int, sums: torch.Tensor | None = None) -> None:
        """One step more.

        Args:
            epoch: from 0.
            sums: (3,) of the epoch so far: loss times targets, right answers, targets; None where only the history knows.
        """
        if self.bar is None:
            return
        self.bar.update(1)
        now = time.perf_counter()
        if not self.first[1]:
            self.first = (self.history.steps, now)
        elif self.history.steps - self.first[0] == FIRST and self.left(now) > LONG and self.row is None:
            self.bar.write(
                say(
                    "This takes about {time} here. The stop button ends it and keeps the model.",
                    time=in_words(self.left(now)),
                )
            )
        if now - self.last > REDRAW:
            self.last = now
            self.show(epoch, sums)

    def show(self, epoch: int, sums: torch.Tensor | None = None) -> None:
        """Puts the numbers behind the bar; arguments as in `after_step`."""
        if self.bar is None:
            return
        history, shown = self.history, {}
        if sums is not None:
            loss, right, counted = sums.tolist()
            shown["loss"] = f"{loss / counted:.3f}"
            if not math.isnan(right):
                shown["accuracy"] = f"{right / counted:.3f}"
        elif history.train_loss:
            shown["loss"] = f"{history.train_loss[-1]:.3f}"
        if history.validation_accuracy:
            shown["validation accuracy"] = f"{history.validation_accuracy[-1]:.3f}"
        left = round(self.left(time.perf_counter()))
        shown["left"] = f"{left // 60}:{left % 60:02d}"
        epochs = f"epoch {epoch + 1}/{history.epochs}" if history.epochs > 1 or not self.name else ""
        self.bar.set_description(", ".join(filter(None, (self.name, epochs))), refresh=False)
        self.bar.set_postfix(shown)

    def after_epoch(self) -> None:
        h, n = self.history, len(self.history)
        if self.lines and (n % math.ceil(h.epochs / 20) == 0 or n in (1, h.epochs)):
            text = f"epoch {n:{len(str(h.epochs))}}/{h.epochs}  loss {h.train_loss[-1]:.3f}"
            if not math.isnan(h.train_accuracy[-1]):
                text += f"  accuracy {h.train_accuracy[-1]:.3f}"
            if h.validation_loss:
                text += f"  |  validation loss {h.validation_loss[-1]:.3f}"
                if not math.isnan(h.validation_accuracy[-1]):
                    text += f"  accuracy {h.validation_accuracy[-1]:.3f}"
            print(f"{text}  ({h.seconds[-1]:.1f} s)", flush=True)
        if self.live:
            self._draw()

    def _draw(self) -> None:
        from IPython.display import display

        from utils import plotting

        data, metadata = plotting.mimebundle(self.history.plot(), self.history.alt())
        if self.handle is None:
            self.handle = display(data, raw=True, metadata=metadata, display_id=True)
        else:
            self.handle.update(data, raw=True, metadata=metadata)

    def close(self) -> None:
        if self.row is not None:
            return
        if self.bar is not None:
            self.bar.close()
        if self.history.stopped.startswith("interrupted"):
            print(
                say(
                    "Training was {stopped}. The model is as far as it got, and the cells below can use it.",
                    stopped=self.history.stopped,
                )
            )


class OwnLoop:
    """What `training_bar` gives to a loop of a notebook's own."""

    def __init__(self, epochs: int, steps: int, name: str) -> None:
        self.history = History(epochs=epochs)
        self.progress = Progress(self.history, epochs * steps, show="bar", name=name)

    def epochs(self) -> UntilStopped[int]:
        """The epochs' numbers, from 0, until the stop button is pressed."""
        return UntilStopped(range(self.history.epochs))

    def steps(self, batches: Iterable[T]) -> UntilStopped[T]:
        """The batches of an epoch, each a step of the bar, until the stop button is pressed."""
        return UntilStopped(batches, self._stepped)

    def _stepped(self) -> None:
        self.history.steps += 1
        self.progress.after_step(len(self.history))

    def tell(self, text: str, *, loss: float, accuracy: float = math.nan) -> None:
        """At an epoch's end: prints a line, and gives the bar its mean training loss and, where it was measured, the held-out accuracy."""
        self.history.train_loss.append(loss)
        if not math.isnan(accuracy):
            self.history.validation_accuracy.append(accuracy)
        print_above(self.progress.bar, text)
        self.progress.show(len(self.history) - 1)


@contextmanager
def training_bar(epochs: int, steps: int, *, name: str = "") -> Iterator[OwnLoop]:
    """The bar and the stop button of `fit`, for a loop of a notebook's own.

        with training_bar(4, len(batches)) as bar:
            for epoch in bar.epochs():
                loss = train_epoch(model, bar.steps(batches), optimizer)
                bar.tell(f"epoch {epoch + 1}: training loss {loss:.3f}", loss=loss)

    Args:
        epochs: how many.
        steps: of each.
        name: what stands in front of the bar.
    """
    with stop_button():
        loop = OwnLoop(epochs, steps, name)
        try:
            yield loop
        finally:
            loop.progress.close()
