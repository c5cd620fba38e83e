"""A Jupyter kernel that is there at once: torch is imported already, and each notebook gets a fork of that process.

`python -m pytest -p utils.grading.plugin --nbval-lax --warm SUBMISSIONS` starts one for the run and ends it with the run. By hand:
`python -m utils.grading.warm` starts one that stays, and prints what to export, so that `--nbval-kernel-name course-warm` (of nbval,
nbclient, papermill or JupyterLab) finds it.

- `server`: holds what is imported, forks, and ends a kernel as soon as its client is gone.
- `launcher`: what Jupyter starts and watches in place of a kernel; its death is the client's.
- `start`: for whoever wants one for a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from utils.paths import ROOT

KERNEL = "course-warm"
VARIABLE = "COURSE_WARM"  # folder of a server that runs already


class Warm:
    """A running server: its folder holds the socket and the kernel specification.

    Args:
        folder: private to this user.
        process: the server, or None where somebody else started (and ends) it.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes] | None) -> None:
        self.folder, self.process = folder, process

    def environment(self) -> dict[str, str]:
        """What a process needs in its environment, so that Jupyter finds the kernel `course-warm`."""
        paths = [str(self.folder), *filter(None, [os.environ.get("JUPYTER_PATH")])]
        return {VARIABLE: str(self.folder), "JUPYTER_PATH": os.pathsep.join(paths)}

    def stop(self) -> None:
        """Ends the server and with it every kernel. Does nothing to one that somebody else started."""
        if self.process is None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()  # this is what it waits for
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.process = None

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def available() -> bool:
    """Whether this system can fork and has Unix sockets (Windows cannot)."""
    return hasattr(os, "fork") and hasattr(socket, "AF_UNIX")


def start() -> Warm:
    """Starts a server. Returns at once: the socket is there, and who connects waits until all is imported.

    The server ends when this process does, however it does.

    Raises:
        OSError: this system has no `fork`.
    """
    if not available():
        raise OSError("a warm kernel needs fork and Unix sockets; this system has none")
    folder = Path(tempfile.mkdtemp(prefix="course-warm-"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(64)
        _specification(folder)
        env = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, "-m", "utils.grading.warm.server", str(folder), str(listener.fileno())]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # an interrupt from the keyboard is for pytest, not for the server
        )
    return Warm(folder, process)


def running() -> Warm | None:
    """The server that the environment names, if it answers."""
    folder = os.environ.get(VARIABLE, "")
    if not folder or not available():
        return None
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(Path(folder) / "socket"))
        return Warm(Path(folder), None)
    return None


def _specification(folder: Path) -> None:
    """A kernel specification whose command is the launcher."""
    launcher = Path(__file__).with_name("launcher.py")
    # -I -S: no site, no user's files; it starts in a few milliseconds
    command = [sys.executable, "-I", "-S", str(launcher), str(folder / "socket"), "{connection_file}"]
    text = {"argv": command, "display_name": "Course (torch already imported)", "language": "python"}
    path = folder / "kernels" / KERNEL / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(text, indent=1), encoding="utf-8")
