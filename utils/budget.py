"""One budget for the whole course: how much data and how many steps this machine can afford.

A notebook writes its sizes once for every kind of machine,

    budget = current_budget()
    epochs = budget.pick(smoke=1, cpu=4, gpu=10)

and the same cells then run in seconds under a test, in minutes on a laptop, and longer on a GPU. `t4` is a small or older GPU, such as
Colab's free one: what a notebook trains there is done in ten minutes.
"""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch

LEVELS = ("smoke", "cpu", "t4", "gpu")
T4_FLOPS = (
    0.2 * 65e12
)  # a fifth of what a T4 multiplies in float16 at best: what models of the course's size reach
T4_STEP = 0.01  # seconds: an assumption, about a thousand kernels that the processor has to start
_NOT_GIVEN = object()


@dataclass(frozen=True)
class Budget:
    """A level of effort: `smoke` (does it run at all), `cpu`, `t4` or `gpu`."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in LEVELS:
            raise ValueError(f"A budget is one of {', '.join(LEVELS)}; got {self.name!r}.")

    def pick(self, *, smoke=_NOT_GIVEN, cpu=_NOT_GIVEN, t4=_NOT_GIVEN, gpu=_NOT_GIVEN):
        """The value for this budget, of any type. `t4` and `gpu` fall back to the value for `cpu`.

        Raises:
            ValueError: no value was given for this budget.
        """
        given = {"smoke": smoke, "cpu": cpu, "t4": t4, "gpu": gpu}
        value = given[self.name]
        falls_back = self.name in ("t4", "gpu")
        if value is _NOT_GIVEN and falls_back:
            value = cpu
        if value is _NOT_GIVEN:
            there = [level for level in LEVELS if given[level] is not _NOT_GIVEN]
            raise ValueError(
                f"The budget is {self.name!r}, and this pick() has no value for it (it has: "
                f"{', '.join(there) or 'none'}). Add {'cpu' if falls_back else self.name}=..."
            )
        return value

    @property
    def preset(self) -> str:
        """The experiments' preset for this budget: a live part on a T4 has the CPU's sizes, and is soon done."""
        return "cpu" if self.name == "t4" else self.name

    def __str__(self) -> str:
        return self.name


def current_budget() -> Budget:
    """The budget in force: the environment's `COURSE_BUDGET`, else what the machine has.

    `gpu` for CUDA with capability 8 or more (Ampere and newer), `t4` for older CUDA, `cpu` without.

    Raises:
        ValueError: `COURSE_BUDGET` is none of smoke, cpu, t4, gpu.
    """
    name = os.environ.get("COURSE_BUDGET", "").strip().lower()
    if not name:
        if not torch.cuda.is_available():
            return Budget("cpu")
        return Budget("gpu" if torch.cuda.get_device_capability()[0] >= 8 else "t4")
    if name not in LEVELS:
        raise ValueError(f"COURSE_BUDGET is {name!r}; it should be one of {', '.join(LEVELS)}, or unset.")
    return Budget(name)


def t4_minutes(macs: float, examples: float, steps: int = 0) -> float:
    """Minutes that a training takes on a T4, estimated before it starts; nobody has measured it there.

    Args:
        macs: multiply-adds of one forward pass of one example.
        examples: examples seen in all epochs together.
        steps: of the training; a small model's steps take `T4_STEP` each, however few multiply-adds they have.

    Returns:
        minutes, from three times the forward pass at `T4_FLOPS`: a backward pass has twice its products.
    """
    return max(3 * 2 * macs * examples / T4_FLOPS, steps * T4_STEP) / 60


def describe_machine() -> str:
    """One line to print beside a measurement: processor, cores, torch's threads and version, GPU."""
    cores, threads = usable_cores(), torch.get_num_threads()
    parts = [
        _processor(),
        f"{cores} core{'s' * (cores != 1)} ({threads} torch thread{'s' * (threads != 1)})",
        f"torch {torch.__version__}",
        _accelerator(),
    ]
    return ", ".join(parts)


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # a container may own fewer cores than the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _accelerator() -> str:
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return torch.cuda.get_device_name(0) + (f" (1 of {count})" if count > 1 else "")
    if torch.backends.mps.is_available():
        return "Apple GPU (MPS)"
    return "no GPU"


def _processor() -> str:
    """The processor's model name, as far as the operating system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip().lower() in ("model name", "hardware", "cpu model") and value.strip():
                return " ".join(value.split())
    if platform.system() == "Darwin":
        try:
            answer = subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=5
            )
        except (OSError, subprocess.TimeoutExpired):
            answer = None
        if answer is not None and answer.stdout.strip():
            return answer.stdout.strip()
    return platform.processor() or platform.machine() or "unknown processor"
