"""What a call costs here and now: time, peak memory, and how both grow with size.

Memory is not sampled from outside. PyTorch's profiler writes down every allocation and every release that the tensor allocator makes, to
the byte; the largest running sum is the peak. So the figure is exact and the same on every run. It leaves out what lies outside the
allocator: Python, the libraries, and scratch space that a vendor's kernel takes by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's own chatter
Call = Callable[[], object]


def peak_bytes(call: Call, device: torch.device | str = "cpu") -> int:
    """Largest number of bytes that tensors made by `call()` take at one time; what was there before is not counted.

    Args:
        call: without arguments. What it returns is released before the next call.
        device: where its tensors are, "cpu" or a CUDA device.

    Returns:
        bytes. On a CUDA device the allocator rounds every tensor up to 512 bytes.
    """
    device = torch.device(device)
    call()  # first-time buffers of libraries
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    moves = sorted(
        (e["ts"], e["args"]["Ev Idx"], e["args"]["Bytes"]) for e in events if e.get("name") == "[memory]"
    )
    now = peak = 0
    for *_, size in moves:  # positive: allocated, negative: released
        now += size
        peak = max(peak, now)
    return peak


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of <malloc.h>
LARGEST_DYNAMIC = 32 * 2**20  # bytes: where glibc's own adjustment of the threshold ends


@contextlib.contextmanager
def steady_allocator() -> Iterator[None]:
    """Within the block glibc keeps released memory for the next call, instead of handing large blocks back to the kernel each time.

    Handed back, every page of a large tensor is cleared by the kernel anew in each call, and that is what a stopwatch would see
    in place of the arithmetic. Without effect where the C library is another one (macOS, Windows, musl).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        yield
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(M_MMAP_MAX, 65_536)  # glibc's default
        mallopt(M_MMAP_THRESHOLD, LARGEST_DYNAMIC)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGEST_DYNAMIC)
        ctypes.CDLL(None).malloc_trim(0)


def seconds(
    calls: Mapping[str, Call], rounds: int = 5, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """Median seconds per call. The calls take turns, A B C A B C ..., so that a slow moment of the machine hits all alike.

    The allocator keeps its memory meanwhile (:func:`steady_allocator`).

    Args:
        calls: name -> call without arguments; each is called twice more beforehand.
        rounds: how often each is timed.
        device: a CUDA device is waited for.

    Returns:
        name -> seconds.
    """

    def wait() -> None:
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)

    taken: dict[str, list[float]] = {name: [] for name in calls}
    with steady_allocator():
        for turn in range(rounds + 2):
            for name, call in calls.items():
                wait()
                began = time.perf_counter()
                call()
                wait()
                if turn > 1:  # the first two warm up: libraries, and the allocator's memory
                    taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


@dataclass(frozen=True)
class PowerLaw:
    """y = factor * x ** exponent, as fitted.

    Args:
        exponent: the slope on logarithmic axes.
        half_width: of the exponent's 95% t-interval; NaN for two points.
        factor: y at x = 1.
    """

    exponent: float
    half_width: float
    factor: float

    def at(self, x: float) -> float:
        """y that the fit expects at x."""
        return self.factor * x**self.exponent

    def __str__(self) -> str:
        return f"{self.exponent:.2f} \N{PLUS-MINUS SIGN} {self.half_width:.2f}"


def power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """Least-squares line through (log x, log y), with a t-interval for its slope (residuals taken as independent).

    Raises:
        ValueError: fewer than two points, or a value that is not positive.
    """
    if len(x) < 2 or len(x) != len(y) or min(*x, *y) <= 0:
        raise ValueError(f"a power law needs two or more pairs of positive numbers, got x={x}, y={y}")
    from scipy.stats import t

    u, v = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    slope, intercept = np.polyfit(u, v, 1)
    free = len(x) - 2
    half = math.nan
    if free:
        spread = math.sqrt(((v - intercept - slope * u) ** 2).sum() / free / ((u - u.mean()) ** 2).sum())
        half = float(t.ppf(0.975, free)) * spread
    return PowerLaw(float(slope), half, math.exp(intercept))
