"""Measured memory to the byte on calls whose peak is known; fitted exponents on data whose law is known."""

from __future__ import annotations

import ctypes
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from scipy import stats

from utils.cost.measure import peak_bytes, power_law, seconds
from utils.paths import ROOT


def test_peak_is_exact():
    a, b = torch.randn(100, 50), torch.randn(50, 30)
    assert peak_bytes(lambda: a @ b) == 100 * 30 * 4, "what was there before is not counted"
    assert peak_bytes(lambda: torch.zeros(1000) + torch.ones(1000)) == 3 * 4000
    assert peak_bytes(lambda: torch.zeros(1000, dtype=torch.float64).exp_()) == 8000, "in place"


def test_peak_is_not_the_sum_of_what_was_allocated():
    def one_after_the_other():
        for size in (1000, 5000, 2000):
            torch.zeros(size, dtype=torch.uint8)

    assert peak_bytes(one_after_the_other) == 5000


def test_peak_sees_what_backward_keeps():
    x = torch.randn(64, 64, requires_grad=True)

    def train():
        x.exp().exp().sum().backward()
        x.grad = None

    with torch.no_grad():
        forward = peak_bytes(lambda: x.exp().exp().sum())
    assert forward == 2 * 64 * 64 * 4
    assert peak_bytes(train) >= 3 * 64 * 64 * 4


def test_seconds_are_medians_and_calls_take_turns():
    order = []
    calls = {
        "fast": lambda: order.append("fast"),
        "slow": lambda: (order.append("slow"), time.sleep(0.02)),
    }
    found = seconds(calls, rounds=3)
    assert order == ["fast", "slow"] * 5, "two calls of each warm up"
    assert found["slow"] >= 0.02 and found["fast"] < found["slow"]


def test_power_law_finds_the_exponent_and_scipys_interval():
    x = np.array([8, 16, 24, 48, 96])
    exact = power_law(x, 3.5 * x**2.5)
    assert exact.exponent == pytest.approx(2.5) and exact.factor == pytest.approx(3.5)
    assert exact.half_width == pytest.approx(0, abs=1e-9) and exact.at(10) == pytest.approx(3.5 * 10**2.5)
    y = 2 * x**1.7 * np.exp(np.random.default_rng(0).normal(0, 0.1, len(x)))
    expected, found = stats.linregress(np.log(x), np.log(y)), power_law(x, y)
    assert found.exponent == pytest.approx(expected.slope)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, 3) * expected.stderr)


def test_power_law_of_too_little():
    assert math.isnan(power_law([1, 2], [3, 12]).half_width)
    with pytest.raises(ValueError, match="positive"):
        power_law([1, 2], [0, 1])


FAULTS = """
import resource, torch
from utils.cost.measure import steady_allocator
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(16, 1024, 1024).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
outside = max(faults() for _ in range(3))
with steady_allocator():
    inside = min(faults() for _ in range(6))  # the first calls make the heap as large as it has to be
print(outside, inside, max(faults() for _ in range(3)))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
@pytest.mark.slow
def test_the_allocator_keeps_large_blocks_while_calls_are_timed():
    """Counted are the pages that the kernel hands out for one call on a tensor of 64 MiB (16,384 pages).

    In a process of its own: in one that has run other tests the heap may end where something else is mapped, and cannot grow.
    """
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], cwd=ROOT, check=True, capture_output=True, text=True
    )
    outside, inside, after = map(int, done.stdout.split())
    assert inside < outside / 10 and inside < after / 10, (outside, inside, after)
