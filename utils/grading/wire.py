"""What travels between the grader and a sandbox: frames of safetensors with JSON beside them. Never pickle, never `torch.load`.

A frame carries the nonce of the request that it belongs to, the number of the check that it answers, and its length. All of that is looked at
before one byte of the content is; the content's header is bounded in length and nesting before it is parsed.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

MAX_ANSWER = 32 * 2**20  # bytes of one answer's frame
MAX_HEADER = 4 * 2**20  # bytes of the JSON in front of the tensors
MAX_NESTING = 16
MAX_TENSORS = 20_000
MAX_BRACKETS = 12 * MAX_TENSORS  # of a header or a message: each tensor has an object and two lists
MAX_ELEMENTS = (
    2**31
)  # of one tensor, with every dimension of 0 counted as 1: more is no shape that torch can hold
NONCE = 16
HEADER = struct.Struct(f"<4s{NONCE}sIQ")
MAGIC = b"crs2"
# without its end too: a search that fails would begin again at each quote in it
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.S)
_NO_BRACKET = bytes(sorted(set(range(256)) - set(b"[]{}")))


class BadFrame(ValueError):
    """What came over the wire is not what this module writes."""


@dataclass(frozen=True)
class Frame:
    """One frame: the number of the check that it answers, and its content."""

    index: int
    payload: bytes


def pack(message: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """One frame's payload: `message` must be JSON; tensors are stored contiguously."""
    stored = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    return save(stored, metadata={"message": json.dumps(message, ensure_ascii=False)})


def unpack(payload: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The message and tensors of a payload that somebody untrusted may have written.

    Raises:
        BadFrame: anything but what :func:`pack` writes; no other exception, whatever the payload is.
    """
    try:
        message = _message(payload)
        return message, load(payload)
    except (BadFrame, KeyboardInterrupt, SystemExit):
        raise
    except (
        BaseException
    ) as error:  # of json, torch or safetensors, which is Rust: its panics are no `Exception`
        raise BadFrame(type(error).__name__) from error


def unpack_trusted(payload: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The same for what the grader itself has written: a request holds a whole notebook, so its header is not bounded."""
    length = int.from_bytes(payload[:8], "little")
    return json.loads(json.loads(payload[8 : 8 + length])["__metadata__"]["message"]), load(payload)


def _message(payload: bytes) -> dict[str, Any]:
    """The message in a payload's header, all of which has been looked at.

    Raises:
        BadFrame: a header too long or too deep, or tensors that the payload cannot hold.
    """
    length = int.from_bytes(payload[:8], "little")
    if len(payload) < 8 or length > min(MAX_HEADER, len(payload) - 8):
        raise BadFrame("a header of a wrong length")
    header = _parse(payload[8 : 8 + length])
    metadata = header.pop("__metadata__", None)
    text = metadata.get("message") if isinstance(metadata, dict) else None
    if not isinstance(text, str) or len(header) > MAX_TENSORS:
        raise BadFrame("a header of another form")
    for entry in header.values():
        shape = entry["shape"]
        if not all(type(size) is int and size >= 0 for size in shape):
            raise BadFrame("a shape that is none")
        if len(shape) > 64 or math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
            raise BadFrame("a shape too large")
    return _parse(text.encode())


def _parse(text: bytes) -> dict[str, Any]:
    """A JSON object, once its size and nesting are known to be bounded."""
    brackets = _STRING.sub(b"", text).translate(None, _NO_BRACKET)
    if len(brackets) > MAX_BRACKETS:
        raise BadFrame("JSON of too many parts")
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise BadFrame("JSON that is too deep, or broken")
    found = json.loads(text)
    if not isinstance(found, dict):
        raise BadFrame("the message is no object")
    return found


def frame(nonce: bytes, index: int, payload: bytes) -> bytes:
    """The bytes of a frame."""
    return HEADER.pack(MAGIC, nonce, index, len(payload)) + payload


def write_frame(descriptor: int, nonce: bytes, index: int, payload: bytes) -> None:
    """Writes one frame, however often the pipe takes a part only."""
    data = memoryview(frame(nonce, index, payload))
    while data:
        data = data[os.write(descriptor, data) :]


class FrameReader:
    """Cuts the frames of one request out of a stream of bytes.

    Args:
        nonce: of the request.
        checks: how many checks it holds: frames have an index below that, each once.
        limit: bytes of one frame's content.
    """

    def __init__(self, nonce: bytes, checks: int, limit: int = MAX_ANSWER) -> None:
        self.buffer = bytearray()
        self.nonce, self.limit = nonce, limit
        self.awaited = set(range(checks))

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Takes bytes, gives the frames that are complete, one by one: what stands before a bad one is given before it is met.

        Raises:
            BadFrame: a wrong header, a foreign nonce, a frame out of turn or too long.
        """
        self.buffer += data
        while len(self.buffer) >= HEADER.size:
            magic, nonce, index, length = HEADER.unpack_from(self.buffer)
            if magic != MAGIC or nonce != self.nonce:
                raise BadFrame("a wrong header")
            if index not in self.awaited:
                raise BadFrame("a frame out of turn")
            if length > self.limit:
                raise BadFrame("a frame too long")
            if len(self.buffer) < HEADER.size + length:
                break
            self.awaited.discard(index)
            payload = bytes(self.buffer[HEADER.size : HEADER.size + length])
            del self.buffer[: HEADER.size + length]
            yield Frame(index, payload)


def read_all(descriptor: int) -> bytes:
    """What a pipe holds until its other end is closed."""
    parts = []
    while part := os.read(descriptor, 2**20):
        parts.append(part)
    return b"".join(parts)
