"""What a warm kernel imports before it is forked, and how a fork becomes a kernel like any other."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from utils.grading import kernel
from utils.grading.warm import ROOT

# what a kernel imports while it starts: a tenth of a second in each, if it is not here
LATE = (
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
    "tornado.queues",
)
INLINE = "module://matplotlib_inline.backend_inline"


def import_what_notebooks_import() -> None:
    """Imports the kernel itself and what the course's notebooks import. Nothing is computed, and no socket or loop is made."""
    os.environ.setdefault("MPLBACKEND", INLINE)  # read when matplotlib is imported; a kernel would set it too
    for name in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import einops  # noqa: F401
    import ipykernel.ipkernel  # noqa: F401
    import ipykernel.kernelapp  # noqa: F401
    import ipykernel.zmqshell  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch.nn.functional  # noqa: F401
    import tqdm.auto  # noqa: F401

    import utils.checks
    import utils.plotting
    import utils.training  # noqa: F401
    from utils import budget, setup  # noqa: F401
    from utils.checks.registry import all_exercises

    all_exercises()


def become_kernel(request: dict[str, Any], streams: list[int], server: int) -> None:
    """Turns this process, a fork of the server, into an IPython kernel, and never returns.

    Args:
        request: the launcher's `file` (connection file), `folder` (working folder), `environment`.
        streams: the launcher's standard streams.
        server: process id of the parent; when that is gone, so is this.
    """
    os.setsid()
    _die_with(server)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for target, stream in enumerate(streams[:3]):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request["folder"])
    _take_environment(request["environment"])
    _own_seeds()
    from ipykernel.kernelapp import IPKernelApp

    with contextlib.suppress(SystemExit):
        IPKernelApp.launch_instance(argv=["-f", request["file"], f"--IPKernelApp.parent_handle={server}"])
    sys.stdout.flush()
    os._exit(0)


def _die_with(server: int) -> None:
    if sys.platform == "linux":
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    else:

        def watch() -> None:
            while os.getppid() == server:
                time.sleep(0.5)
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
    if os.getppid() != server:  # it went in between
        os._exit(1)


def _take_environment(environment: dict[str, str]) -> None:
    """The launcher's environment, import path and number of threads in place of the server's."""
    import torch

    environment.pop("JPY_PARENT_PID", None)  # the launcher watches the parent for us
    os.environ.clear()
    os.environ.update(environment)
    given = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [*given, *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    if _course() != ROOT:  # another copy of the course: its own modules count, not ours
        for name in [name for name in sys.modules if name == "utils" or name.startswith("utils.")]:
            del sys.modules[name]
    if "MPLBACKEND" in environment:
        import matplotlib

        matplotlib.use(environment["MPLBACKEND"])
    asked = environment.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(
        int(asked)
        if asked.isdigit()
        else len(os.sched_getaffinity(0))
        if sys.platform == "linux"
        else os.cpu_count() or 1
    )


def _course() -> Path | None:
    """The course that a notebook's set-up cell will find from the working folder."""
    here = Path.cwd()
    places = [here, *here.parents, here / "course"]
    return next((place.resolve() for place in places if (place / "utils" / "checks").is_dir()), None)


def _own_seeds() -> None:
    """Generators that were seeded from the system's entropy at import would give every fork the same numbers."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
