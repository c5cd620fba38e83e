"""How long from nothing to the first green check: `python -m utils.authoring.first_minutes [--cold]`.

It does in a temporary folder what the README tells a student to do: clone the last commit, `make` the environment, run notebook 01
in it to its first exercise, answer that (with the course's own answer) and check it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from utils.budget import describe_machine
from utils.paths import ROOT

NOTEBOOK = "01_transformer_recap"


def clone(folder: Path) -> None:
    """Clones the last commit of this repository."""
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(folder)], check=True)


def make_environment(folder: Path, cache: Path) -> None:
    """Creates the course's environment, by the Makefile's own rule, with pip's (or uv's) cache in `cache`."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH" and not k.startswith("VIRTUAL_ENV")}
    env |= {"PIP_CACHE_DIR": str(cache), "UV_CACHE_DIR": str(cache)}
    command = ["make", "--silent", ".venv/.installed", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=folder, env=env, check=True)


def first_check(folder: Path) -> None:
    """Runs notebook 01 in a kernel of the new environment to the first check, with the course's answer.

    Raises:
        RuntimeError: the check is not green.
    """
    solved = nbformat.read(ROOT / "solutions" / f"{NOTEBOOK}.ipynb", as_version=4)
    answer = next(
        i for i, cell in enumerate(solved.cells) if cell.metadata.get("nbgrader", {}).get("solution")
    )
    solved.cells = solved.cells[: answer + 2]
    client = NotebookClient(solved, timeout=600, resources={"metadata": {"path": str(folder / "notebooks")}})
    spec = client.create_kernel_manager().kernel_spec
    assert spec is not None  # only a manager without a kernel's name has none
    spec.argv[0] = str(folder / ".venv" / "bin" / "python")
    client.execute()
    if "cases are right" not in str(solved.cells[-1].outputs):
        raise RuntimeError(f"the first check is not green: {solved.cells[-1].outputs}")


def size(folder: Path) -> str:
    """What all files of a folder take, in megabytes."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return f"{sum(path.lstat().st_size for path in files) / 1e6:8.1f} MB"


def measure(cold: bool) -> None:
    """Does it all once and prints the figures.

    Args:
        cold: with an empty package cache, so that everything is fetched; else the environment is made once before, uncounted.
    """
    print(f"{describe_machine()}; the package cache is {'empty' if cold else 'full'}.")
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "course", Path(temporary) / "cache"
        if not cold:
            clone(folder)
            make_environment(folder, cache)
            shutil.rmtree(folder)
        total = 0.0
        for what, step in (
            ("clone", lambda: clone(folder)),
            ("make the environment", lambda: make_environment(folder, cache)),
            ("kernel, set-up, imports, first check", lambda: first_check(folder)),
        ):
            began = time.perf_counter()
            step()
            total += time.perf_counter() - began
            print(f"{time.perf_counter() - began:8.1f} s   {what}", flush=True)
        print(f"{total:8.1f} s   from nothing to the first green check, without reading and thinking")
        print(
            f"{size(cache)}  in the package cache: about what was fetched\n{size(folder / '.venv')}  on disk"
        )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m utils.authoring.first_minutes", description=__doc__)
    parser.add_argument("--cold", action="store_true", help="with an empty package cache")
    measure(parser.parse_args().cold)


if __name__ == "__main__":
    main()
