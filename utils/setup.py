"""What the set-up cell calls: looks at the versions, installs what this Python lacks, keeps work on Drive.

Does nothing where all is there; never touches an installed package. Read by every Python from 3.7 on, so that an old one gets a sentence.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from utils.paths import ON_DRIVE
from utils.words import say, speak  # noqa: F401 - the set-up cell takes `speak` from here

PYTHON = (3, 11)  # the lowest that works, as in pyproject.toml
TORCH = (2, 5)

# import name -> name on PyPI. torch is not listed: where it is missing, the README's set-up is the way.
NEEDED = {
    "matplotlib": "matplotlib",
    "einops": "einops",
    "tqdm": "tqdm",
    "safetensors": "safetensors",
    "datasets": "datasets",
    "sklearn": "scikit-learn",
    "scipy": "scipy",
    "IPython": "ipython",
}


def missing() -> list[str]:
    """Names on PyPI of the packages that cannot be imported here."""
    return [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]


def install_missing() -> None:
    """Installs missing packages with pip, keeping the installed torch exactly as it is.

    Raises:
        RuntimeError: Python or torch is missing or too old, or pip fails; with what to do.
    """
    if sys.version_info[:2] < PYTHON:
        raise RuntimeError(
            say(
                "This kernel is Python {found}, and the course needs {needed} or newer. Choose another kernel, or install one: "
                "https://www.python.org/downloads",
                found="{}.{}".format(*sys.version_info[:2]),
                needed="{}.{}".format(*PYTHON),
            )
        )
    if importlib.util.find_spec("torch") is None:
        raise RuntimeError(
            say(
                "PyTorch is not installed in this Python. Run `make lab` in the course's folder, or install torch first."
            )
        )
    from importlib.metadata import version

    found = version("torch")
    if tuple(int(part) for part in found.split("+")[0].split(".")[:2]) < TORCH:
        raise RuntimeError(
            say(
                "PyTorch {found} is installed here, and the course needs {needed} or newer: "
                "{python} -m pip install --upgrade torch, then restart the kernel.",
                found=found,
                needed="{}.{}".format(*TORCH),
                python=sys.executable,
            )
        )
    packages = missing()
    if packages:
        print(say("Installing {packages} ...", packages=", ".join(packages)))
        with tempfile.TemporaryDirectory() as folder:
            # A constraint, not a requirement: torch is looked at only if a package asks for it, and then this one has to do.
            keep = Path(folder) / "constraints.txt"
            keep.write_text(f"torch=={version('torch')}\n")
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--constraint",
                str(keep),
                *packages,
            ]
            if subprocess.run(command).returncode:
                raise RuntimeError(
                    say(
                        "pip could not install {packages} beside torch {version}, which stays as it is. "
                        "What it says stands above; without a network, install the packages beforehand.",
                        packages=", ".join(packages),
                        version=version("torch"),
                    )
                )
        importlib.invalidate_caches()


def keep_on_drive() -> None:
    """On Colab: mounts the student's Google Drive, makes the course's folder there the working folder, and says what is kept.

    The course itself stays on Colab's disk, where it is quick to read and can be fetched again. Elsewhere nothing is lost by a restart, and
    this only says so.
    """
    try:
        from google.colab import drive
    except ImportError:
        print(say("This is not Colab: your work stays on this machine, and Drive is left alone."))
        return
    drive.mount(str(ON_DRIVE.parents[1]))
    ON_DRIVE.mkdir(parents=True, exist_ok=True)
    os.chdir(ON_DRIVE)
    print(
        say(
            "Working folder: {folder}. What the cells write (progress, checkpoints) is kept there. The notebook itself is kept once you "
            'choose "File > Save a copy in Drive"; later notebooks find your answers in that copy.',
            folder=ON_DRIVE,
        )
    )
