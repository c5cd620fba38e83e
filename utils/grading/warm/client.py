"""Jupyter's kernel manager and client as nbval uses them, without the waiting that a kernel which is there at once does not need.

`jupyter_client` ends its wait for a new kernel with 0.2 s of silence on the IOPub channel. nbval then asks once more and waits for the
answer to just that question, so the silence buys nothing; of a short notebook's time it is a third.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from traitlets import DottedObjectName


class WarmClient(BlockingKernelClient):
    """A client that is ready with the first answer on both channels."""

    def start_channels(self, *args: Any, **how: Any) -> None:
        """As there, but who finds nobody listening tries again after 5 ms; 100 ms, ZeroMQ's own, is half of such a kernel's start."""
        self.context.setsockopt(zmq.RECONNECT_IVL, 5)
        super().start_channels(*args, **how)

    def wait_for_ready(self, timeout: float | None = None) -> None:  # type: ignore[override]  # there: a wrapped coroutine
        """Waits until the kernel answers, and what it publishes arrives.

        Args:
            timeout: seconds; None: no limit.

        Raises:
            RuntimeError: it died, or its time was over.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            self.kernel_info()
            try:
                self.get_shell_msg(timeout=1)
                self.get_iopub_msg(timeout=0.05)
                return
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died before it answered") from None
                if time.monotonic() > until:
                    raise RuntimeError(f"the kernel did not answer in {timeout:g} seconds") from None


class WarmManager(KernelManager):
    """A manager whose clients are :class:`WarmClient`."""

    client_class = DottedObjectName(f"{__name__}.WarmClient")
