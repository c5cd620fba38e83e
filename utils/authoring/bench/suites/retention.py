"""Retention of notebook 09: is a recurrent step as fast late as early, and what do the three forms cost against attention?

"Steps after 8,192 positions" have the same steps after 64 positions as their peer: a ratio of 1 means that length makes no
difference. The same row for attention, which has to look at all keys so far, stands below it, without a target.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from utils.authoring.bench.models import answer
from utils.authoring.bench.race import Contest

BATCH, HEADS, WIDTH = 4, 4, 32
EARLY, LATE = 64, 8_192
STEPS = 16  # per call: a single step takes tens of microseconds, too little for one clock reading
CHUNK = 64


def quiet(call: Callable[[], object]) -> Callable[[], object]:
    """The call without gradients."""

    def run() -> object:
        with torch.inference_mode():
            return call()

    return run


def with_gradients(call: Callable[[], Tensor], leaves: list[Tensor]) -> Callable[[], object]:
    """The call, then a backward pass to `leaves`."""
    return lambda: torch.autograd.grad(call().sum(), leaves)


def contests() -> list[Contest]:
    """Steps early and late; whole sequences of three lengths, forward; forward and backward."""
    torch.manual_seed(0)
    setting = f"B={BATCH}, {HEADS} heads, d={WIDTH}, float32"
    return [*_steps(setting), *_sequences(setting)]


def _steps(setting: str) -> list[Contest]:
    recurrent = answer("solutions.retention_recurrent:retention_recurrent")
    chunkwise = answer("solutions.retention_recurrent:retention_chunkwise")
    decay = 1 - 2.0 ** (-5 - torch.arange(HEADS))
    query, key, value = (torch.randn(BATCH, HEADS, LATE, WIDTH) for _ in range(3))
    one = [torch.randn(BATCH, HEADS, 1, WIDTH) for _ in range(3)]

    def step_after(length: int) -> Callable[[], object]:
        """Steps of generation from the state that a sequence of this length has left."""
        _, state = chunkwise(query[:, :, :length], key[:, :, :length], value[:, :, :length], decay, CHUNK)

        def call() -> None:
            for _ in range(STEPS):
                recurrent(*one, decay, state)

        return quiet(call)

    def attention_after(length: int) -> Callable[[], object]:
        """The same for attention: one query looks at all keys that are kept."""
        keys, values = key[:, :, :length].contiguous(), value[:, :, :length].contiguous()

        def call() -> None:
            for _ in range(STEPS):
                F.scaled_dot_product_attention(one[0], keys, values)

        return quiet(call)

    early = f"after {EARLY:,}"
    return [
        Contest(
            f"retention, {STEPS} recurrent steps after {LATE:,} positions",
            setting,
            step_after(LATE),
            {early: step_after(EARLY)},
            target=1.05,
            note="flat means a ratio of 1; the 5% are for the clock",
        ),
        Contest(
            f"attention, {STEPS} steps after {LATE:,} positions",
            setting,
            attention_after(LATE),
            {early: attention_after(EARLY)},
            target=None,
        ),
    ]


def _sequences(setting: str) -> list[Contest]:
    parallel = answer("solutions.retention:retention_parallel")
    recurrent = answer("solutions.retention_recurrent:retention_recurrent")
    chunkwise = answer("solutions.retention_recurrent:retention_chunkwise")
    decay = 1 - 2.0 ** (-5 - torch.arange(HEADS))

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    def softmax_written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        hidden = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1)
        return (q @ k.mT * WIDTH**-0.5).masked_fill(hidden, float("-inf")).softmax(-1) @ v

    rows = []
    for length in (256, 1024, 4096):
        qkv = [torch.randn(BATCH, HEADS, length, WIDTH, requires_grad=True) for _ in range(3)]
        calls = {
            "retention, parallel": lambda x=qkv: parallel(*x, decay),
            "retention, recurrent": lambda x=qkv: recurrent(*x, decay)[0],
            "attention, fused": lambda x=qkv: attention(*x),
            "attention, written out": lambda x=qkv: softmax_written_out(*x),
        }
        if length > 1024:  # matrices of gigabytes, and a loop of seconds
            calls = {"attention, fused": calls["attention, fused"]}
        ours = lambda x=qkv: chunkwise(*x, decay, CHUNK)[0]  # noqa: E731
        size = f"N={length:,}, {setting}"
        rows.append(
            Contest(
                "retention, chunkwise, forward",
                size,
                quiet(ours),
                {n: quiet(c) for n, c in calls.items()},
                None,
            )
        )
        if length == 1024:
            both = {n: with_gradients(c, qkv) for n, c in calls.items() if n != "retention, recurrent"}
            rows.append(
                Contest(
                    "retention, chunkwise, forward and backward",
                    size,
                    with_gradients(ours, qkv),
                    both,
                    None,
                )
            )
    return rows
