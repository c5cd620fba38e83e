"""What students use works where Python has no SIGALRM, no timers and no fork (Windows); what needs Linux says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITHOUT = """
import os, signal, sys
import torch, numpy, matplotlib, scipy, datasets, IPython, asyncio, multiprocessing.popen_spawn_posix  # loaded as on this system
for module, names in ((signal, ("SIGALRM", "SIGPROF", "SIGVTALRM", "SIGKILL", "setitimer", "getitimer", "alarm", "ITIMER_REAL",
                                "ITIMER_PROF", "ITIMER_VIRTUAL", "pthread_kill", "SIGUSR1")),
                      (os, ("fork", "forkpty", "sched_getaffinity", "geteuid", "getuid", "setsid", "killpg", "uname", "wait4"))):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for name in ("resource", "fcntl", "pwd", "grp", "termios", "pty"):
    sys.modules[name] = None
"""


def run(code: str, **more: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
def test_every_module_of_the_toolbox_imports():
    code = """
import importlib, pkgutil, utils
for info in pkgutil.walk_packages(utils.__path__, "utils."):
    room = info.name.split(".")[1]
    if room not in ("grading", "authoring") and not info.name.endswith("__main__"):
        importlib.import_module(info.name)
print("all")
"""
    done = run(code)
    assert done.stdout.strip().endswith("all"), done.stderr[-2000:]


@pytest.mark.slow
def test_a_check_runs_and_a_loop_without_end_is_stopped():
    code = """
import dataclasses
from utils.checks import engine, fixtures
from utils.checks.registry import find
def causal_mask(length):
    return torch.arange(length)[:, None] >= torch.arange(length)
engine.check(causal_mask)
def endless(length):
    while True:
        pass
exercise = find("causal_mask")
result = engine.examine(dataclasses.replace(exercise, seconds=1.0), endless, fixtures.load(exercise))
print(result.passed, result.findings[0].kind)
"""
    done = run(code)
    assert "causal_mask: all" in done.stdout, done.stderr[-2000:]
    assert done.stdout.strip().endswith("False time")


@pytest.mark.slow
def test_the_trusted_grader_says_what_it_needs(tmp_path):
    code = f"""
sys.platform = "win32"
sys.argv = ["grading", "grade", {str(tmp_path)!r}, {str(tmp_path / "out")!r}]
from utils.grading.__main__ import main
sys.exit(main())
"""
    done = run(code)
    assert done.returncode not in (0, None) and "Linux" in done.stdout + done.stderr, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
