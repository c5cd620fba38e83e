"""What is seen while a model trains: a bar, a line per epoch, a live plot."""

import math
import os
import sys
import time

import torch

from utils.budget import current_budget
from utils.training.history import History


class Progress:
    """A bar where somebody looks on, else a line per epoch (twenty lines at most)."""

    def __init__(self, history: History, total: int, *, show: bool, live: bool):
        from utils.plotting.display import in_jupyter

        self.history, self.bar, self.handle, self.live = history, None, None, live and in_jupyter()
        self.lines, self.last = show, 0.0
        if show and len(history):
            print(f"Going on from the checkpoint: {len(history)} of {history.epochs} epochs are done.")
        screen = in_jupyter() or sys.stdout.isatty()
        quiet = os.environ.get("COURSE_PROGRESS") == "plain" or "PYTEST_CURRENT_TEST" in os.environ
        if show and screen and not quiet and current_budget().name != "smoke":
            from tqdm.auto import tqdm

            self.bar = tqdm(
                total=total, initial=history.steps, unit="step", file=sys.stdout, dynamic_ncols=True
            )
            self.lines = False

    def after_step(self, epoch: int, sums: torch.Tensor) -> None:
        if self.bar is None:
            return
        self.bar.update(1)
        if time.perf_counter() - self.last > 0.5:  # reading the sums waits for the GPU: seldom
            self.last = time.perf_counter()
            loss, right, counted = sums.tolist()
            self.bar.set_description(f"epoch {epoch + 1}/{self.history.epochs}", refresh=False)
            shown = {"loss": f"{loss / counted:.3f}"}
            if not math.isnan(right):
                shown["accuracy"] = f"{right / counted:.3f}"
            if self.history.validation_accuracy:
                shown["validation"] = f"{self.history.validation_accuracy[-1]:.3f}"
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
