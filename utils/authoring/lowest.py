"""The lowest versions that pyproject.toml allows, or the newest, installed for real, and the quick tests with them: `make test-lowest`,
`make test-newest`.

uv finds the versions. Lowest (`--resolution lowest-direct`): what pyproject names is as old as it may be, and what that needs in turn as new
as fits. Newest: all as new as fits, whatever the lock says. They go into an environment of their own, `.venv-lowest` or `.venv-newest`. torch
comes with CUDA, about 3 GB to fetch and 6 GB on disk; UV_TORCH_BACKEND=cpu gives the small one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from utils.paths import ROOT

QUICK = "not slow and not browser and not sandbox and not thorough"


def wanted() -> list[str]:
    """What pyproject asks for, tests included, in its own words."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["test"]]


def peers() -> list[str]:
    """Libraries that the tests compare with and that would replace torch: exactly as locked, but for torchvision, which belongs to a torch."""
    lock = (ROOT / "requirements-test.lock").read_text(encoding="utf-8")
    line = next(line for line in lock.splitlines() if line.startswith("#no-deps "))
    return [name for name in line.split()[1:] if not name.startswith("torchvision")]


def uv() -> list[str]:
    """The command that starts uv.

    Raises:
        RuntimeError: there is none; with what to do.
    """
    if found := shutil.which("uv"):
        return [found]
    if subprocess.run([sys.executable, "-m", "uv", "--version"], capture_output=True).returncode:
        raise RuntimeError(f"This needs uv: {sys.executable} -m pip install uv")
    return [sys.executable, "-m", "uv"]


def install(folder: Path, torch: str = "", newest: bool = False) -> None:
    """Makes the environment.

    Args:
        folder: of it; a new one.
        torch: another torch than is found, such as "2.13.0".
        newest: the newest versions, and not the lowest.

    Raises:
        RuntimeError: uv is not there.
        subprocess.CalledProcessError: it could not resolve or install.
    """
    program, python = uv(), str(folder / "bin" / "python")
    subprocess.run(
        [*program, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True
    )
    asked, found = folder / "asked.txt", folder / "found.txt"
    lines = [line for line in wanted() if not line.startswith("torch>")] if torch else wanted()
    asked.write_text("\n".join([*lines, *([f"torch=={torch}"] if torch else [])]) + "\n")
    which = [] if newest else ["--resolution", "lowest-direct"]
    command = [*program, "pip", "compile", "--quiet", "--python", python, *which, "--output-file", str(found)]
    subprocess.run([*command, str(asked)], check=True)
    into = [*program, "pip", "install", "--quiet", "--python", python]
    subprocess.run([*into, "--requirement", str(found)], check=True)
    subprocess.run([*into, "--constraint", str(found), "torchvision"], check=True)
    subprocess.run([*into, "--no-deps", *peers()], check=True)


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code is that of the tests."""
    parser = argparse.ArgumentParser(prog="python -m utils.authoring.lowest", description=__doc__)
    parser.add_argument("--newest", action="store_true", help="the newest versions, and not the lowest")
    parser.add_argument("--torch", default="", help="another torch than is found, for one that is at hand")
    parser.add_argument(
        "--folder", type=Path, help="of the environment; default .venv-lowest or .venv-newest"
    )
    parser.add_argument("tests", nargs="*", help="arguments of pytest; default: the quick tests")
    options = parser.parse_args(arguments)
    folder = options.folder or ROOT / f".venv-{'newest' if options.newest else 'lowest'}"
    try:
        install(folder, options.torch, options.newest)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    python = folder / "bin" / "python"
    print((folder / "found.txt").read_text(), flush=True)
    return subprocess.run([python, "-m", "pytest", "-q", "-m", QUICK, *options.tests], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
