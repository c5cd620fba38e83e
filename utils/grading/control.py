"""What the grader and a zygote say to each other: small JSON messages, with descriptors beside them. No student writes to it.

A submission and its answers never pass through here: the zygote gets the *descriptors* of two pipes and hands them to the sandbox, so that no byte of
a submission comes into the process from which the next sandbox is forked.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

MOST = 65536  # bytes of one message


def send(end: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Sends one message.

    Raises:
        OSError: the other end is gone.
    """
    data = json.dumps(message).encode() + b"\n"
    sent = socket.send_fds(end, [data], list(descriptors))
    end.sendall(data[sent:])


def receive(end: socket.socket, descriptors: int = 0) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and its descriptors; None where the other end is gone.

    Args:
        end: of the pair. The two ends speak in turn, so at most one message is under way.
        descriptors: how many come with it at most.
    """
    data, found = b"", []
    with contextlib.suppress(ConnectionError):
        while not data.endswith(b"\n"):
            part, more, _, _ = socket.recv_fds(end, MOST, descriptors)
            found += more
            if not part:
                break
            data += part
    if not data.endswith(b"\n"):
        for descriptor in found:
            os.close(descriptor)
        return None
    return json.loads(data), found
