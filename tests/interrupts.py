"""Runs a solved notebook at smoke size in one process, and presses the stop button in its trainings.

    python -m tests.interrupts NOTEBOOK.ipynb [cuda | mps]

The button is pressed after the first step of the first training of each long cell; then all is run once more from the first such cell on,
and it is pressed in the second training of those cells that have one. With a device named, all of it happens on a pretended one
(`pretend_cuda`). Prints a line of JSON: per press the cell and what it printed, and the error of the first cell that fails, if one does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys

import matplotlib
import nbformat
import torch

matplotlib.use("agg")


class Presses:
    """The stop button, pressed after the first step of a cell's first or second training; each training has an optimizer of its own."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, which: int) -> None:
        """A cell begins; 0: leave its trainings alone."""
        self.which, self.pressed = which, False
        self.seen: list[torch.optim.Optimizer] = []  # kept, so that no two have the same identity

    def __call__(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        if any(optimizer is one for one in self.seen):
            return
        self.seen.append(optimizer)
        if self.which == len(self.seen):
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def main(path: str, device: str = "cpu") -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from torch.optim.optimizer import register_optimizer_step_post_hook

    from tests import pretend_cuda
    from utils.plotting import display

    display.png = lambda *args, **named: b""  # figures are made, and not written: that takes most of the time
    display.in_jupyter = lambda: True  # a kernel has a stop button
    presses = Presses()
    register_optimizer_step_post_hook(presses)
    notebook = nbformat.read(path, as_version=4)
    announced = {cell.id.removesuffix("-time") for cell in notebook.cells if cell.id.endswith("-time")}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    long = {cell.id for cell in cells if cell.id in announced or "run_live(" in cell.source}
    os.chdir("notebooks")
    shell = InteractiveShell.instance()
    said: list[tuple[str, int, str]] = []

    def run(cells: list, which: int, long: set[str]) -> list[str]:
        """Runs cells; returns those of the long ones that have more trainings, or prints what went wrong and ends."""
        more = []
        for cell in cells:
            presses.begin(which if cell.id in long else 0)
            with capture_output() as caught:
                done = shell.run_cell(cell.source)
            if presses.pressed:
                said.append((cell.id, which, caught.stdout))
            if cell.id in long and (len(presses.seen) > which or "run_live(" in cell.source):
                more.append(cell.id)
            if not done.success:
                error = repr(done.error_in_exec or done.error_before_exec)
                print(json.dumps({"said": said, "problem": [cell.id, which, error, caught.stdout[-1500:]]}))
                sys.exit()
        return more

    with contextlib.nullcontext() if device == "cpu" else getattr(pretend_cuda, f"pretend_{device}")():
        more = run(cells, 1, long)
        if more:
            first = next(number for number, cell in enumerate(cells) if cell.id in more)
            run([cell for cell in cells[first:] if not cell.id.endswith("-check")], 2, set(more))
    print(json.dumps({"said": said, "problem": None}))


if __name__ == "__main__":
    main(*sys.argv[1:])
