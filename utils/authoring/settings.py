"""What every notebook begins with: the badge and the set-up cell. The repository's address is one setting in pyproject.toml."""

from __future__ import annotations

import tomllib
from functools import cache

from utils.paths import ROOT
from utils.words import say

SETUP = """\
# Set-up: finds the course on this machine, or fetches it (on Colab). Run this cell first.
import subprocess
import sys
from pathlib import Path

KEEP_ON_DRIVE = False  # Colab: True works from a folder on your Google Drive, which is kept

places = [Path.cwd(), *Path.cwd().parents, Path.cwd() / "course", *map(Path, sys.path)]
root = next((place for place in places if (place / "utils" / "checks").is_dir()), None)
if root is None:
    root = Path.cwd() / "course"
    address = "REPOSITORY_URL"
    subprocess.run(["git", "clone", "--depth", "1", address, str(root)], check=True)
if str(root) not in sys.path:
    sys.path.insert(0, str(root))

from utils.setup import install_missing, keep_on_drive, speak

speak("en")
install_missing()
if KEEP_ON_DRIVE:
    keep_on_drive()"""

# After the notebook's imports, and at its end. The number is put in for NUMBER.
RESTORE = """\
# After a restart of the kernel: run the cells above and this one.
# It brings back your answers that have passed, and trains nothing.
from utils.progress import hint, progress, restore

restore("NUMBER")"""
PROGRESS = 'progress("NUMBER")'


@cache
def repository() -> str:
    """Address of the repository that students clone, from `[tool.course]` in pyproject.toml."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["tool"]["course"]["repository"]


def speak(language: str) -> str:
    """The line of the set-up cell by which the kernel knows the notebook's language: it sees no metadata of the notebook."""
    return f'speak("{language}")'


def colab(name: str, language: str = "en") -> str:
    """Address that opens a notebook in Colab."""
    folder = "" if language == "en" else f"{language}/"
    return f"https://colab.research.google.com/github/{_path()}/blob/main/notebooks/{folder}{name}.ipynb"


def badge(name: str, language: str = "en") -> str:
    """Markdown for the notebook's Colab badge, in the language in use."""
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    words = say("Open this notebook in Colab")
    return f"[![{words}]({image})]({colab(name, language)})"


def on_the_web(path: str, *, folder: bool = False) -> str:
    """Address of a file or folder of the repository, for readers without a copy."""
    return f"https://github.com/{_path()}/{'tree' if folder else 'blob'}/main/{path}"


def _path() -> str:
    """Owner and name of the repository on GitHub."""
    return repository().removeprefix("https://github.com/").removesuffix(".git")
