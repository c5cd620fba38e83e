"""What is seen while a model trains: a line before, a bar, a line per epoch, a live plot; and the notebook's stop button."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch

from utils.budget import current_budget
from utils.training.history import History
from utils.words import say

T = TypeVar("T")
LONG = 10  # seconds: a longer training is announced
FIRST = 3  # steps after which its time can be told; the first one is no measure
_stop = threading.Event()


class UntilStopped(Generic[T]):
    """What `items` yields, until the stop button is pressed; the first is always yielded.

    Args:
        items: any iterable; `len` is its own, the whole.
    """

    def __init__(self, items: Iterable[T]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]  # a TypeError, as without this class

    def __iter__(self) -> Iterator[T]:
        for item in self.items:
            yield item
            if interrupted():
                return


@contextmanager
def stop_button(*, announce: bool = True) -> Iterator[Callable[[Iterable[T]], UntilStopped[T]]]:
    """Within the block, or a function that it decorates, a notebook's stop button ends a training after the step that runs, in place
    of an exception in its middle.

    A second press raises KeyboardInterrupt at once, and so does Ctrl-C in a script, where nobody would use half a model.

        with stop_button() as until_stopped:
            for epoch in until_stopped(range(4)):
                train_epoch(model, until_stopped(batches), optimizer)

    Args:
        announce: print one line at the end if the button was pressed.

    Yields:
        what ends a loop once the button was pressed; each loop makes at least one step.
    """
    from utils.plotting.display import in_jupyter

    def note(signum, frame) -> None:
        if _stop.is_set():
            raise KeyboardInterrupt
        _stop.set()

    if not in_jupyter() or threading.current_thread() is not threading.main_thread():
        yield UntilStopped
        return
    _stop.clear()
    before = signal.signal(signal.SIGINT, note)
    try:
        yield UntilStopped
        if announce and interrupted():
            print(
                say(
                    "Training was interrupted. The model is as far as it got, and the cells below can use it."
                )
            )
    finally:
        signal.signal(signal.SIGINT, before)
        _stop.clear()


def interrupted() -> bool:
    """Whether the stop button was pressed since the training began."""
    return _stop.is_set()


def in_words(seconds: float) -> str:
    """ "45 s" or "3 min"; two digits are all that a guess is worth."""
    if seconds < 100:
        return f"{max(5 * round(seconds / 5), 5)} s"
    return f"{round(seconds / 60)} min"


class Progress:
    """A bar where somebody looks on, else a line per epoch (twenty lines at most).

    Args:
        history: filled by the loop.
        total: steps of all epochs.
        show: False shows nothing; "bar" the bar or nothing.
        live: one plot that is redrawn after each epoch.
        max_seconds: when the loop stops at the latest.
    """

    def __init__(
        self, history: History, total: int, *, show: bool | str, live: bool, max_seconds: float | None = None
    ):
        from utils.plotting.display import in_jupyter

        self.history, self.bar, self.handle, self.live = history, None, None, live and in_jupyter()
        self.total, self.max_seconds = total, max_seconds
        self.began, self.first = time.perf_counter(), (history.steps, 0.0)
        self.lines, self.last = show and show != "bar", 0.0
        if show and len(history):
            print(
                say(
                    "Going on from the checkpoint: {done} of {epochs} epochs are done.",
                    done=len(history),
                    epochs=history.epochs,
                )
            )
        screen = in_jupyter() or sys.stdout.isatty()
        quiet = os.environ.get("COURSE_PROGRESS") == "plain" or "PYTEST_CURRENT_TEST" in os.environ
        if show and screen and not quiet and current_budget().name != "smoke":
            from tqdm.auto import tqdm

            self.bar = tqdm(
                total=total, initial=history.steps, unit="step", file=sys.stdout, dynamic_ncols=True,
                bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            )  # fmt: skip
            self.lines = False

    def left(self, now: float) -> float:
        """Seconds until the end, by the steps so far, and not beyond `max_seconds`."""
        steps, since = self.first
        rate = (now - since) / max(self.history.steps - steps, 1)
        left = rate * (self.total - self.history.steps)
        return left if self.max_seconds is None else min(left, max(self.began + self.max_seconds - now, 0))

    def after_step(self, epoch: int, sums: torch.Tensor) -> None:
        if self.bar is None:
            return
        self.bar.update(1)
        now = time.perf_counter()
        if not self.first[1]:
            self.first = (self.history.steps, now)
        elif self.history.steps - self.first[0] == FIRST and self.left(now) > LONG:
            self.bar.write(
                say(
                    "This takes about {time} here. The stop button ends it and keeps the model.",
                    time=in_words(self.left(now)),
                )
            )
        if now - self.last > 0.5:  # reading the sums waits for the GPU: seldom
            self.last = now
            loss, right, counted = sums.tolist()
            self.bar.set_description(f"epoch {epoch + 1}/{self.history.epochs}", refresh=False)
            shown = {"loss": f"{loss / counted:.3f}"}
            if not math.isnan(right):
                shown["accuracy"] = f"{right / counted:.3f}"
            if self.history.validation_accuracy:
                shown["validation"] = f"{self.history.validation_accuracy[-1]:.3f}"
            left = round(self.left(now))
            shown["left"] = f"{left // 60}:{left % 60:02d}"
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
        if self.bar is not None:
            self.bar.close()
        if self.history.stopped.startswith("interrupted"):
            print(
                say(
                    "Training was {stopped}. The model is as far as it got, and the cells below can use it.",
                    stopped=self.history.stopped,
                )
            )
