"""What travels between the grader and a sandbox: frames of safetensors with JSON beside them. Never pickle, never `torch.load`."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

MAX_FRAME = 64 * 2**20
HEADER = struct.Struct("<4sQ")
MAGIC = b"crs1"  # a message of the grader or of the zygote itself
RELAYED = (
    b"stud"  # a sandbox's frame that the zygote passes on: whatever it says, it is no message of the zygote
)


class BadFrame(ValueError):
    """What came over the wire is not what this module writes."""


def pack(message: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """One frame's payload: `message` must be JSON; tensors are stored contiguously."""
    stored = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    return save(stored, metadata={"message": json.dumps(message, ensure_ascii=False)})


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The message and tensors of a payload.

    Raises:
        BadFrame: anything but what :func:`pack` writes.
    """
    try:
        tensors = load(payload)
        length = int.from_bytes(payload[:8], "little")
        message = json.loads(json.loads(payload[8 : 8 + length])["__metadata__"]["message"])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise BadFrame(type(error).__name__) from error
    if not isinstance(message, dict):
        raise BadFrame("the message is no object")
    return message, tensors


def write_frame(descriptor: int, payload: bytes, kind: bytes = MAGIC) -> None:
    """Writes one frame, however often the pipe takes a part only."""
    data = memoryview(HEADER.pack(kind, len(payload)) + payload)
    while data:
        data = data[os.write(descriptor, data) :]


class FrameReader:
    """Cuts frames out of a stream of bytes.

    Args:
        limit: bytes in all; more is a :class:`BadFrame`.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.buffer = bytearray()
        self.left = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Takes bytes, gives the payloads that are complete.

        Raises:
            BadFrame: a wrong header, or too many bytes.
        """
        self.left -= len(data)
        if self.left < 0:
            raise BadFrame("too many bytes")
        self.buffer += data
        payloads = []
        while len(self.buffer) >= HEADER.size:
            magic, length = HEADER.unpack_from(self.buffer)
            if magic != MAGIC or length > MAX_FRAME:
                raise BadFrame("a wrong header")
            if len(self.buffer) < HEADER.size + length:
                break
            payloads.append(bytes(self.buffer[HEADER.size : HEADER.size + length]))
            del self.buffer[: HEADER.size + length]
        return payloads


def read_frame(descriptor: int) -> tuple[bytes, bytes] | None:
    """Kind and payload of the next frame of a trusted stream; None at its end.

    Raises:
        BadFrame: the stream is out of step.
    """
    head = _exactly(descriptor, HEADER.size)
    if head is None:
        return None
    kind, length = HEADER.unpack(head)
    if kind not in (MAGIC, RELAYED):
        raise BadFrame("a wrong header")
    payload = _exactly(descriptor, length)
    return None if payload is None else (kind, payload)


def _exactly(descriptor: int, length: int) -> bytes | None:
    parts = []
    while length:
        part = os.read(descriptor, min(length, 2**20))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
