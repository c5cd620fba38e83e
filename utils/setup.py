"""Installs what a notebook needs and this Python lacks. Does nothing where all is there; never touches an installed package."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

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
        RuntimeError: without torch, or if pip fails; with what to do.
    """
    if importlib.util.find_spec("torch") is None:
        raise RuntimeError(
            "PyTorch is not installed in this Python. Run `make lab` in the course's folder, or install torch first."
        )
    packages = missing()
    if packages:
        from importlib.metadata import version

        print(f"Installing {', '.join(packages)} ...")
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
                    f"pip could not install {', '.join(packages)} beside torch {version('torch')}, which stays as it is. "
                    "What it says stands above; without a network, install the packages beforehand."
                )
        importlib.invalidate_caches()
