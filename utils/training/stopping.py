"""The notebook's stop button: it ends a training between two steps, and the model is kept as far as it got."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from utils.words import say

T = TypeVar("T")
_stop = threading.Event()


class UntilStopped(Generic[T]):
    """What `items` yields, until the stop button is pressed; the first is always yielded.

    Args:
        items: any iterable; `len` is its own, the whole.
        after: called behind each of them.
    """

    def __init__(self, items: Iterable[T], after: Callable[[], None] | None = None) -> None:
        self.items, self.after = items, after

    def __len__(self) -> int:
        return len(self.items)  # type: ignore[arg-type]  # a TypeError, as without this class

    def __iter__(self) -> Iterator[T]:
        for item in self.items:
            yield item
            if self.after is not None:
                self.after()
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
