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

PYTHON, NEWEST = (
    (3, 11),
    (3, 13),
)  # as in pyproject.toml: the lowest that works, and the newest that was tried
LOWEST = {
    "torch": (2, 5),
    "matplotlib": (3, 10),
}  # what a machine brings and may be too old, as in pyproject.toml

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
        RuntimeError: Python, torch or matplotlib is too old, torch is missing, or pip fails; with what to do.
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
    if sys.version_info[:2] > NEWEST:  # nothing is known against it, and on Colab nobody can choose
        print(
            say(
                "This kernel is Python {found}, and the course was tried up to {newest}. If something fails, choose an older kernel.",
                found="{}.{}".format(*sys.version_info[:2]),
                newest="{}.{}".format(*NEWEST),
            )
        )
    if importlib.util.find_spec("torch") is None:
        raise RuntimeError(
            say(
                "PyTorch is not installed in this Python. Run `make lab` in the course's folder, or install torch first."
            )
        )
    from importlib.metadata import version

    packages = missing()
    for name, needed in LOWEST.items():
        found = "" if name in packages else version(name)
        if found and tuple(int(part) for part in found.split("+")[0].split(".")[:2]) < needed:
            raise RuntimeError(
                say(
                    "{package} {found} is installed here, and the course needs {needed} or newer: "
                    "{python} -m pip install --upgrade {package}, then restart the kernel.",
                    package=name,
                    found=found,
                    needed="{}.{}".format(*needed),
                    python=sys.executable,
                )
            )
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
